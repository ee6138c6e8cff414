//! Everything a vendor's side can do wrong, by name.

mod bad_paths;
mod rule;
mod scripts;
mod table;

use std::borrow::Cow;
use std::time::Duration;

pub use bad_paths::bad_paths;
pub(crate) use rule::{ActiveRule, Stage};
pub use rule::{FaultRule, Kind, Pattern, PatternError, RuleId, Times};
pub use table::{FaultError, named_faults};

use crate::script::Script;

/// One fault. Names for the command line are in [`Fault::ALL_NAMES`]; each comment starts with the ids of the
/// fault catalogue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// U01: the connection is reset.
    Reset(Point),
    /// U01, U25: the connection is closed without an answer.
    Refuse,
    /// U02: half of the body, then the end of the connection.
    ShortBody,
    /// U03: half of a body that only the end of the connection delimits.
    CloseDelimitedCut,
    /// U04: more bytes than the manifest declares, with a Content-Length that says so.
    TooLong,
    /// U05: right size, one bit turned.
    OtherBytes,
    /// U08: 200 and a sign-in page.
    Html,
    /// U09: 200 without a byte.
    EmptyBody,
    /// U09-U14: this status; 203 and 226 carry the honest body, 204, 205 and 304 none, the others a page.
    Status(u16),
    /// U15, U16: this status (429, 503) with a Retry-After.
    RetryAfter(u16, Wait),
    /// U17: a redirect to itself.
    RedirectLoop,
    /// U17: redirects that never end.
    RedirectChain,
    /// U18-U23: a redirect to this place; `{host}` is the simulator, `{target}` what was asked for.
    Redirect(Cow<'static, str>),
    /// U24: one byte at a time.
    SlowDrip(Duration),
    /// U25: silence at this point, for ever.
    Stall(Point),
    /// U24-U29, U50: exactly these bytes in place of an answer.
    Script(Script),
    /// U26: chunks that never end.
    EndlessBody,
    /// U27, U33: what stands in the head.
    Head(HeadFault),
    /// U28: broken chunked coding.
    Chunked(ChunkFault),
    /// U29: Content-Length and Transfer-Encoding.
    LengthAndChunked,
    /// U29: two Content-Lengths that differ.
    TwoLengths,
    /// U29, U30: this Content-Length; `{n}` is the true one.
    Length(Cow<'static, str>),
    /// U31, U32: a content coding that nobody asked for.
    Coding(CodingFault),
    /// U34: a new release replaces this one as soon as this manifest was sent, and the two artifacts of its own
    /// that it replaces are gone.
    ReplacedMeanwhile,
    /// U36: a wrong 206.
    Partial(PartialFault),
    /// U37: 200 and everything, whatever Range says.
    IgnoreRange,
    /// U42: 304 although nobody asked conditionally.
    NotModified,
    /// U44, U45: what the answer says of its identity.
    Etag(EtagFault),
    /// U54: a Date off by so many days.
    DateOff(i64),
    /// U55: a new release right after the info document was sent.
    PublishAfterInfo,
    /// U55: a new release as soon as the archive's answer was made; the answer is still of the one before.
    PublishAfterArchive,
    /// U06, U07, U38-U40, U52, C: what stands in a manifest.
    Manifest(ManifestFault),
    /// U55, C35, C36: what stands in an info document.
    Info(InfoFault),
    /// C21-C28: what stands in an archive.
    Archive(ArchiveFault),
}

/// A point in an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    /// Before its first byte.
    BeforeHead,
    /// In the middle of its head.
    InHead,
    /// After so many bytes of its body.
    Byte(u64),
    /// After half of its body.
    Half,
    /// Before the last byte of its body.
    Last,
}

/// What a Retry-After says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wait {
    /// This text.
    Text(Cow<'static, str>),
    /// The HTTP date so many seconds from now.
    Date(i64),
}

/// What can be wrong with a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadFault {
    /// U27: one field of a megabyte.
    Huge,
    /// U27: ten thousand fields.
    Many,
    /// U27: a field that never ends.
    Endless,
    /// U33: Content-Disposition, Link, Refresh, Set-Cookie and X-Content-Digest of ill will.
    Hostile,
    /// U28: not HTTP at all.
    Garbage,
}

/// What can be wrong with chunked coding (U28).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkFault {
    /// A size that is no number.
    BadHex,
    /// `-1`.
    Negative,
    /// 2^64.
    TooBig,
    /// No CRLF behind a chunk.
    MissingCrlf,
    /// An extension of a megabyte.
    HugeExtension,
    /// Trailers without end.
    TrailerFlood,
    /// The connection ends without the last chunk.
    NoEnd,
    /// U25: silence between two chunks.
    Stall,
}

/// What can be wrong with a content coding (U31, U32).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodingFault {
    /// gzip, and it says so.
    Gzip,
    /// It says gzip and is not.
    Label,
    /// gzip in gzip.
    GzipTwice,
    /// Ten megabytes that become ten gigabytes.
    GzipBomb,
    /// gzip with bytes behind it.
    GzipTrailing,
    /// Another coding's name on plain bytes.
    Named(Cow<'static, str>),
}

/// What can be wrong with a 206 (U36).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PartialFault {
    /// Another offset than was asked for, and it says so.
    WrongOffset,
    /// It says the right offset and sends the beginning.
    LyingOffset,
    /// Another total.
    WrongTotal,
    /// multipart/byteranges.
    Multipart,
    /// Without Content-Range.
    NoContentRange,
    /// Although no range was asked for.
    Unasked,
}

/// What can be wrong with a validator (U44, U45).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EtagFault {
    /// Neither ETag nor Last-Modified.
    None,
    /// `W/"…"`.
    Weak,
    /// `""`.
    Empty,
    /// Without quotes.
    Unquoted,
    /// 64 KB.
    Huge,
    /// The same for all bytes, and a 304 for whoever echoes it.
    Same,
    /// With a dash, as nginx makes it.
    Dashed,
}

/// What can be wrong in a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ManifestFault {
    /// U06: the first artifact's encoded size.
    EncodedSize,
    /// U07: its encoded digest.
    EncodedHash,
    /// U07: its decoded size.
    DecodedSize,
    /// U07: its decoded digest.
    DecodedHash,
    /// U07: encoded and decoded the wrong way round.
    SwappedPairs,
    /// U38: the version before.
    OlderVersion,
    /// U39: other bytes under the same version.
    OtherContent,
    /// U40: version 1.0.999999.
    Leap,
    /// C19, C36: this version.
    Version(Cow<'static, str>),
    /// U52: no artifacts.
    Empty,
    /// U52: a tenth of the artifacts.
    Shrunk,
    /// U52, C14: ten thousand more names.
    Grown,
    /// C01-C08: the first artifact's path.
    BadPath(Cow<'static, str>),
    /// C12: a key of the document twice.
    DuplicateKeys,
    /// C12: a key of an entry twice.
    DuplicateEntryKeys,
    /// C13: a hundred thousand brackets.
    DeepNesting,
    /// C15: a size of 1e400.
    HugeNumber,
    /// C17: bytes that are not UTF-8.
    NotUtf8,
    /// U08: a page where the document should be.
    NotJson,
    /// C18: no `encoded_sha256` in the first entry.
    MissingMember,
    /// C24: another archive in front.
    StackedZips,
    /// C24: bytes behind the archive.
    TrailingBytes,
    /// C29: half of the archive.
    Truncated,
    /// C32: no `manifest.sig`.
    SignatureMissing,
    /// C32: an empty one.
    SignatureEmpty,
    /// C32: one bit turned.
    SignatureBad,
    /// C33: cut off.
    SignatureTruncated,
    /// C32: of another manifest.
    SignatureOfAnother,
    /// C33: by a key that nobody was told of.
    SignatureUnknownKey,
}

/// What can be wrong in an info document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InfoFault {
    /// U55: another version than the archive's.
    OtherVersion,
    /// C35: without the version's text.
    NoVersions,
    /// C35: no XML.
    NotXml,
    /// C35: another root.
    WrongRoot,
    /// C35: a DTD with entities.
    Doctype,
    /// C36: a version for a shell and a page.
    Hostile,
    /// C35: two engines.
    Twice,
    /// C35: an attribute that nobody was told of, in a document that is good.
    Attribute,
    /// C35: eight megabytes of text.
    Huge,
}

/// What can be wrong in an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArchiveFault {
    /// C28: the first member's checksum.
    Crc,
    /// No engine in it.
    NoEngine,
    /// C27: a member flagged as encrypted.
    Encrypted,
    /// C23: a member twice.
    Duplicate,
    /// C25: a member that climbs out.
    Traversal,
    /// C21: a gigabyte of zeros.
    Bomb,
    /// No members.
    Empty,
    /// C24: another archive in front.
    Stacked,
    /// C24: bytes behind it.
    TrailingBytes,
}

impl Fault {
    /// When it acts: on the content, on what the answer promises of it, or on the answer.
    pub(crate) const fn stage(&self) -> Stage {
        match self {
            Self::Manifest(_) | Self::Info(_) | Self::Archive(_) | Self::OtherBytes => Stage::Content,
            Self::Etag(_) | Self::IgnoreRange => Stage::Promise,
            Self::ReplacedMeanwhile | Self::PublishAfterInfo | Self::PublishAfterArchive => Stage::After,
            _ => Stage::Answer,
        }
    }

    /// Whether a resource of this kind can have it.
    pub(crate) const fn fits(&self, kind: Kind) -> bool {
        match self {
            Self::Manifest(_) | Self::ReplacedMeanwhile => matches!(kind, Kind::Manifest),
            Self::Info(_) | Self::PublishAfterInfo => matches!(kind, Kind::Info),
            Self::Archive(_) | Self::PublishAfterArchive => matches!(kind, Kind::Archive),
            _ => true,
        }
    }
}
