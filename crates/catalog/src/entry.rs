//! What the history holds.

use model::{Digest, ReleaseId, Timestamp};
use serde::{Deserialize, Serialize};

/// Who did something. What the environment tells of a person is that person's word, not a proof.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    /// The system's user id.
    pub uid: u32,
    /// The process id.
    pub pid: u32,
    /// What the process was doing: `run`, `sync`, `release admit`, …
    pub verb: String,
    /// The user id that became another one by sudo, where the environment tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sudo_uid: Option<u32>,
    /// The name that the person logged in with, where the environment tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub login: Option<String>,
    /// The id of the token that was shown; kept for acts over the network, which do not exist yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

impl Actor {
    /// A process of a user, of whom nothing more is known.
    pub fn new(uid: u32, pid: u32, verb: impl Into<String>) -> Self {
        Self { uid, pid, verb: verb.into(), ..Self::default() }
    }
}

/// What kind of thing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    /// A feed was checked, 304s included.
    Check,
    /// A verdict on a release was reached.
    Verdict,
    /// A publication is about to move a ring.
    PublicationIntended,
    /// A publication moved a ring.
    PublicationDone,
    /// An intended publication was found not to have happened.
    PublicationAbandoned,
    /// The operator acted, or tried to.
    Act,
    /// Retention or gc let something go, or damaged bytes were set aside.
    Upkeep,
    /// The configuration is another than before.
    ConfigChange,
    /// An alarm was raised, or what it told of is over.
    Alarm,
    /// A process that stays began or ended.
    Process,
    /// The oldest entries were let go: the anchor that the chain begins at.
    Pruned,
    /// An entry that was let go and still matters, as it was.
    Carried,
}

impl EntryKind {
    /// Every kind.
    pub const ALL: [Self; 12] = [
        Self::Check,
        Self::Verdict,
        Self::PublicationIntended,
        Self::PublicationDone,
        Self::PublicationAbandoned,
        Self::Act,
        Self::Upkeep,
        Self::ConfigChange,
        Self::Alarm,
        Self::Process,
        Self::Pruned,
        Self::Carried,
    ];

    /// The word in the record.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Verdict => "verdict",
            Self::PublicationIntended => "publication-intended",
            Self::PublicationDone => "publication-done",
            Self::PublicationAbandoned => "publication-abandoned",
            Self::Act => "act",
            Self::Upkeep => "upkeep",
            Self::ConfigChange => "config-change",
            Self::Alarm => "alarm",
            Self::Process => "process",
            Self::Pruned => "pruned",
            Self::Carried => "carried",
        }
    }

    /// Reads the word back.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// Something that happened, to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What kind of thing.
    pub kind: EntryKind,
    /// On what: a feed, a release, a ring.
    pub subject: String,
    /// The particulars.
    pub data: serde_json::Value,
}

/// A recorded entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Counts up from 1 without a gap.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: Actor,
    /// What kind of thing.
    pub kind: EntryKind,
    /// On what.
    pub subject: String,
    /// The particulars, as canonical text: what the digest is over.
    pub data: String,
    /// The digest of the entry before it; all zeroes for the first.
    pub previous: Digest,
    /// This entry's digest, see [`chain_digest`](crate::chain_digest).
    pub digest: Digest,
}

/// The end of the history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChainHead {
    /// The last entry's number; 0 when there is none.
    pub seq: u64,
    /// The last entry's digest; all zeroes when there is none.
    pub digest: Digest,
    /// When the last entry happened; none when there is none.
    pub at: Option<Timestamp>,
}

/// The end of what was let go: where the chain begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchor {
    /// The number of the last entry that was let go.
    pub seq: u64,
    /// Its digest, which the first entry that is left carries.
    pub digest: Digest,
}

/// Which entries are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntryFilter {
    /// From this number on.
    pub from: u64,
    /// Up to this number, itself included; none is no end.
    pub to: Option<u64>,
    /// Of these kinds only; of any when empty.
    pub kinds: Vec<EntryKind>,
    /// On this subject only.
    pub subject: Option<String>,
    /// That happened at this time or later, as the clock said then.
    pub since: Option<Timestamp>,
    /// That happened at this time or earlier, as the clock said then.
    pub until: Option<Timestamp>,
}

impl EntryFilter {
    /// Whether it lets an entry through.
    pub fn fits(&self, entry: &Entry) -> bool {
        entry.seq >= self.from
            && self.to.is_none_or(|to| entry.seq <= to)
            && (self.kinds.is_empty() || self.kinds.contains(&entry.kind))
            && self.subject.as_ref().is_none_or(|subject| *subject == entry.subject)
            && self.since.is_none_or(|since| entry.at >= since)
            && self.until.is_none_or(|until| entry.at <= until)
    }
}

/// Which end of the history entries are read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryOrder {
    /// From the oldest on.
    OldestFirst,
    /// From the newest back.
    NewestFirst,
}

/// What is let go of, from the front of the history and of what it stood for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prune {
    /// The last entry to let go, and its digest: the whole batch is refused if that is not what is recorded, or if
    /// nothing of the history would be left.
    pub through: Anchor,
    /// Records of releases to let go. Of these, those that are admitted or quarantined stay, and so does the release
    /// with the highest number, so that no number is ever given twice.
    pub releases: Vec<ReleaseId>,
    /// Publications closed at this time or earlier go with them.
    pub publications_until: Timestamp,
}
