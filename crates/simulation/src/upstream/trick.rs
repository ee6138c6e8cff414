//! What can be wrong with an answer.

use model::Reason;
use outbound::ScriptedAnswer;
use vendor_sim::{ArchiveFault, Fault, InfoFault, Kind, ManifestFault};

use crate::draw::Draw;

/// What is wrong with one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trick {
    /// U01: nobody answers.
    Refused,
    /// U01: the line breaks half-way.
    Reset,
    /// U02: fewer bytes than announced.
    Short,
    /// U03: fewer bytes, none announced.
    CutSilently,
    /// U04: more bytes than there are.
    TooLong,
    /// U05: one bit turned.
    OtherBytes,
    /// U08: a sign-in page.
    Html,
    /// U09: nothing, or a status without meaning.
    Empty(u16),
    /// U10-U14: a status.
    Status(u16),
    /// U15: come back in so many seconds.
    Wait(u32),
    /// U34, U55: everything is replaced right after this answer.
    Replaced,
    /// U36: another part than was asked for.
    WrongPart,
    /// U38, U41: what stood there at first.
    Frozen,
    /// U42: not modified, though nobody asked.
    NotModified,
    /// U44: neither tag nor date.
    Untagged,
    /// U45: one tag for all bytes.
    SameTag,
    /// U06, U07, C: what is in it is wrong, and may be well signed.
    Spoiled(Fault),
}

/// Tricks that leave the content of an answer alone; those of contents are chosen by what stands there.
const TRICKS: [Trick; 22] = [
    Trick::Refused,
    Trick::Reset,
    Trick::Short,
    Trick::CutSilently,
    Trick::TooLong,
    Trick::OtherBytes,
    Trick::Html,
    Trick::Empty(200),
    Trick::Empty(204),
    Trick::Status(203),
    Trick::Status(403),
    Trick::Status(404),
    Trick::Status(500),
    Trick::Status(503),
    Trick::Wait(5),
    Trick::Wait(7200),
    Trick::Replaced,
    Trick::WrongPart,
    Trick::Frozen,
    Trick::NotModified,
    Trick::Untagged,
    Trick::SameTag,
];

/// What no setting lets in.
const MANIFESTS: [ManifestFault; 17] = [
    ManifestFault::EncodedSize,
    ManifestFault::EncodedHash,
    ManifestFault::DecodedSize,
    ManifestFault::DecodedHash,
    ManifestFault::SwappedPairs,
    ManifestFault::DuplicateKeys,
    ManifestFault::DuplicateEntryKeys,
    ManifestFault::HugeNumber,
    ManifestFault::NotUtf8,
    ManifestFault::NotJson,
    ManifestFault::MissingMember,
    ManifestFault::StackedZips,
    ManifestFault::TrailingBytes,
    ManifestFault::Truncated,
    ManifestFault::SignatureBad,
    ManifestFault::SignatureMissing,
    ManifestFault::SignatureUnknownKey,
];

/// Nothing binds an info to its archive but the moment: one that lies before and after would be believed.
const INFOS: [InfoFault; 4] = [InfoFault::NoVersions, InfoFault::NotXml, InfoFault::WrongRoot, InfoFault::Twice];

const ARCHIVES: [ArchiveFault; 6] = [
    ArchiveFault::Crc,
    ArchiveFault::Encrypted,
    ArchiveFault::Duplicate,
    ArchiveFault::Traversal,
    ArchiveFault::Stacked,
    ArchiveFault::TrailingBytes,
];

impl Trick {
    /// Whether it needs nothing of what stands at the address.
    pub(super) fn is_of_a_head(&self) -> bool {
        use Trick::{Empty, Html, NotModified, Refused, Status, Wait};
        matches!(self, Refused | Html | Empty(_) | Status(_) | Wait(_) | NotModified)
    }

    /// The answer of a trick that needs nothing of what stands at the address.
    pub(super) fn bare(self) -> ScriptedAnswer {
        match self {
            Self::Html => ScriptedAnswer::ok("<html><body>sign in</body></html>").header("content-type", "text/html"),
            Self::Empty(200) => ScriptedAnswer::ok(""),
            Self::Empty(status) | Self::Status(status) => ScriptedAnswer::status(status),
            Self::Wait(seconds) => ScriptedAnswer::status(429).header("retry-after", &seconds.to_string()),
            Self::NotModified => ScriptedAnswer::status(304),
            _ => ScriptedAnswer::failure(Reason::ConnectFailed, "the simulated host does not answer"),
        }
    }
}

/// How answers are spoiled.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mischief {
    /// So many answers out of a thousand.
    pub(crate) rate: u64,
    /// This trick alone, where named.
    pub(crate) only: Option<Trick>,
    /// Whether manifests are taken without a good signature: then nothing is spoiled there that a signature proves.
    pub(crate) unsigned_is_fine: bool,
}

impl Mischief {
    /// Whether and how the next answer is spoiled.
    pub(super) fn next(&self, draw: &mut Draw, kind: Option<Kind>) -> Option<Trick> {
        if self.rate == 0 || !draw.chance(self.rate) {
            return None;
        }
        if let Some(only) = &self.only {
            return Some(only.clone());
        }
        if draw.chance(300)
            && let Some(fault) = self.spoil(draw, kind?)
        {
            return Some(Trick::Spoiled(fault));
        }
        let trick = draw.pick(&TRICKS).cloned()?;
        // A turned bit in what nothing else vouches for is another release, not a broken one.
        let unproven = matches!(kind, Some(Kind::Manifest)) && self.unsigned_is_fine;
        // For the same reason neither may stand still while the other moves.
        let unbound = matches!(kind, Some(Kind::Info | Kind::Archive));
        Some(match trick {
            Trick::OtherBytes if unproven => Trick::Reset,
            Trick::Frozen if unbound => Trick::Short,
            trick => trick,
        })
    }

    fn spoil(&self, draw: &mut Draw, kind: Kind) -> Option<Fault> {
        match kind {
            Kind::Manifest => {
                let signatures = if self.unsigned_is_fine { 3 } else { 0 };
                let known = MANIFESTS.len() - signatures;
                draw.pick(MANIFESTS.get(..known)?).cloned().map(Fault::Manifest)
            }
            Kind::Info => draw.pick(&INFOS).copied().map(Fault::Info),
            Kind::Archive => draw.pick(&ARCHIVES).copied().map(Fault::Archive),
            _ => None,
        }
    }
}
