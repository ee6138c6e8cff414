//! Defects on purpose, so that the oracle shows that it finds them.

/// A port that lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// The store says that it keeps a blob, and loses one in so many.
    LosesBlobs,
    /// The store keeps other bytes than it was given, one blob in so many.
    TurnsBits,
    /// The ring says that its pointer moved, and it did not.
    PointerStays,
    /// The ring moves its pointer to a generation that misses a route.
    PointerToHalf,
    /// The ring publishes nothing below `_back`.
    DropsBack,
    /// The store says that whatever it finds is whole, and reads nothing.
    VouchesUnread,
    /// The catalog reserves nothing.
    ReservesNothing,
    /// The catalog lets everything be swept that is a candidate.
    SweepsInUse,
    /// The catalog forgets the releases of a batch.
    ForgetsReleases,
    /// The catalog says that what was turned down is good to serve.
    ForgivesRejected,
    /// The catalog says that whatever the clock shows has passed.
    TrustsTheClock,
    /// The history tells of no publication that is done.
    ForgetsPublications,
    /// The ring says that a generation is removed, and keeps it.
    KeepsGenerations,
    /// Versions may leap as far as they like.
    LetsLeap,
    /// The publication lock is nobody's.
    NoLock,
}

impl Lie {
    /// Every lie.
    pub const ALL: [Self; 15] = [
        Self::LosesBlobs,
        Self::TurnsBits,
        Self::PointerStays,
        Self::PointerToHalf,
        Self::DropsBack,
        Self::VouchesUnread,
        Self::ReservesNothing,
        Self::SweepsInUse,
        Self::ForgetsReleases,
        Self::ForgivesRejected,
        Self::TrustsTheClock,
        Self::ForgetsPublications,
        Self::KeepsGenerations,
        Self::LetsLeap,
        Self::NoLock,
    ];
}
