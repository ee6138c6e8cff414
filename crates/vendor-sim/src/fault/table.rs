//! The names of faults.

use std::borrow::Cow::{Borrowed, Owned};
use std::str::FromStr;
use std::time::Duration;

use super::scripts::SCRIPTS;
use super::{ArchiveFault as A, ChunkFault as C, CodingFault as Z, EtagFault as E, HeadFault as H};
use super::{Fault, InfoFault as I, ManifestFault as M, PartialFault as P, Point, Wait};
use crate::script::Script;

/// Name, ids of the fault catalogue, fault.
pub(super) type Row = (&'static str, &'static str, Fault);

const fn status(status: u16) -> Fault {
    Fault::Status(status)
}

const fn redirect(to: &'static str) -> Fault {
    Fault::Redirect(Borrowed(to))
}

const fn length(text: &'static str) -> Fault {
    Fault::Length(Borrowed(text))
}

const fn wait(status: u16, text: &'static str) -> Fault {
    Fault::RetryAfter(status, Wait::Text(Borrowed(text)))
}

const TABLE: &[Row] = &[
    ("reset-before-head", "U01", Fault::Reset(Point::BeforeHead)),
    ("reset-in-head", "U01", Fault::Reset(Point::InHead)),
    ("reset-at-0", "U01", Fault::Reset(Point::Byte(0))),
    ("reset-at-1", "U01", Fault::Reset(Point::Byte(1))),
    ("reset-at-half", "U01", Fault::Reset(Point::Half)),
    ("reset-at-last", "U01", Fault::Reset(Point::Last)),
    ("refuse", "U01", Fault::Refuse),
    ("short-body", "U02", Fault::ShortBody),
    ("close-delimited-cut", "U03", Fault::CloseDelimitedCut),
    ("too-long", "U04", Fault::TooLong),
    ("other-bytes", "U05", Fault::OtherBytes),
    ("manifest-encoded-size", "U06", Fault::Manifest(M::EncodedSize)),
    ("manifest-encoded-hash", "U07", Fault::Manifest(M::EncodedHash)),
    ("manifest-decoded-size", "U07", Fault::Manifest(M::DecodedSize)),
    ("manifest-decoded-hash", "U07", Fault::Manifest(M::DecodedHash)),
    ("manifest-swapped-pairs", "U07", Fault::Manifest(M::SwappedPairs)),
    ("html", "U08", Fault::Html),
    ("manifest-not-json", "U08", Fault::Manifest(M::NotJson)),
    ("empty-200", "U09", Fault::EmptyBody),
    ("status-203", "U09", status(203)),
    ("status-204", "U09", status(204)),
    ("status-205", "U09", status(205)),
    ("status-226", "U09", status(226)),
    ("status-500", "U10 U11", status(500)),
    ("status-502", "U10 U11", status(502)),
    ("status-503", "U10 U11", status(503)),
    ("status-504", "U10 U11", status(504)),
    ("status-404", "U12 U13", status(404)),
    ("status-410", "U12", status(410)),
    ("status-401", "U14", status(401)),
    ("status-403", "U14", status(403)),
    ("status-407", "U14", status(407)),
    ("retry-after-seconds", "U15", wait(429, "2")),
    ("retry-after-date", "U15", Fault::RetryAfter(503, Wait::Date(2))),
    ("retry-after-negative", "U16", wait(429, "-5")),
    ("retry-after-huge", "U16", wait(503, "1000000000000000000")),
    ("retry-after-text", "U16", wait(429, "soon")),
    ("retry-after-40-years", "U16", Fault::RetryAfter(503, Wait::Date(40 * 365 * 86_400))),
    ("redirect-loop", "U17", Fault::RedirectLoop),
    ("redirect-chain", "U17", Fault::RedirectChain),
    ("redirect-http", "U18", redirect("http://{host}{target}")),
    ("redirect-loopback", "U19", redirect("http://127.0.0.1:9/")),
    ("redirect-metadata", "U19", redirect("http://169.254.169.254/latest/meta-data/")),
    ("redirect-private", "U19", redirect("http://10.0.0.1/")),
    ("redirect-ula", "U19", redirect("http://[fd00::1]/")),
    ("redirect-any-address", "U19", redirect("http://0.0.0.0:9/")),
    ("redirect-decimal", "U19", redirect("http://2130706433:9/")),
    ("redirect-hex", "U19", redirect("http://0x7f.1:9/")),
    ("redirect-mapped", "U19", redirect("http://[::ffff:127.0.0.1]:9/")),
    ("redirect-localhost", "U19", redirect("http://localhost:9/")),
    ("redirect-file", "U21", redirect("file:///etc/passwd")),
    ("redirect-ftp", "U21", redirect("ftp://{host}/x")),
    ("redirect-gopher", "U21", redirect("gopher://{host}/x")),
    ("redirect-data", "U21", redirect("data:text/plain,x")),
    ("redirect-javascript", "U21", redirect("javascript:alert(1)")),
    ("redirect-unix", "U21", redirect("unix:///run/x.sock")),
    ("redirect-off-list", "U22", redirect("https://off-list.invalid/x")),
    ("redirect-userinfo", "U23", redirect("http://user:secret@{host}{target}")),
    ("redirect-nowhere", "U17", redirect("")),
    ("slow-drip", "U24", Fault::SlowDrip(Duration::from_secs(10))),
    ("stall-before-head", "U25", Fault::Stall(Point::BeforeHead)),
    ("stall-in-head", "U25", Fault::Stall(Point::InHead)),
    ("stall-mid-body", "U25", Fault::Stall(Point::Half)),
    ("stall-between-chunks", "U25", Fault::Chunked(C::Stall)),
    ("endless-body", "U26", Fault::EndlessBody),
    ("huge-header", "U27", Fault::Head(H::Huge)),
    ("many-headers", "U27", Fault::Head(H::Many)),
    ("endless-header", "U27", Fault::Head(H::Endless)),
    ("garbage-head", "U28", Fault::Head(H::Garbage)),
    ("chunk-bad-hex", "U28", Fault::Chunked(C::BadHex)),
    ("chunk-negative", "U28", Fault::Chunked(C::Negative)),
    ("chunk-too-big", "U28", Fault::Chunked(C::TooBig)),
    ("chunk-missing-crlf", "U28", Fault::Chunked(C::MissingCrlf)),
    ("chunk-huge-extension", "U28", Fault::Chunked(C::HugeExtension)),
    ("chunk-trailer-flood", "U28", Fault::Chunked(C::TrailerFlood)),
    ("chunk-no-end", "U28", Fault::Chunked(C::NoEnd)),
    ("length-and-chunked", "U29", Fault::LengthAndChunked),
    ("two-lengths", "U29", Fault::TwoLengths),
    ("length-plus", "U29", length("+{n}")),
    ("length-list", "U29", length("{n},{n}")),
    ("length-hex", "U29", length("0x5")),
    ("length-2-63", "U30", length("9223372036854775808")),
    ("length-2-64", "U30", length("18446744073709551615")),
    ("gzip-unasked", "U31", Fault::Coding(Z::Gzip)),
    ("gzip-label", "U31", Fault::Coding(Z::Label)),
    ("gzip-twice", "U32", Fault::Coding(Z::GzipTwice)),
    ("gzip-bomb", "U32", Fault::Coding(Z::GzipBomb)),
    ("gzip-trailing", "U32", Fault::Coding(Z::GzipTrailing)),
    ("coding-br", "U32", Fault::Coding(Z::Named(Borrowed("br")))),
    ("coding-unknown", "U32", Fault::Coding(Z::Named(Borrowed("x-simulated")))),
    ("hostile-headers", "U33", Fault::Head(H::Hostile)),
    ("replaced-meanwhile", "U34", Fault::ReplacedMeanwhile),
    ("partial-wrong-offset", "U36", Fault::Partial(P::WrongOffset)),
    ("partial-lying-offset", "U36", Fault::Partial(P::LyingOffset)),
    ("partial-wrong-total", "U36", Fault::Partial(P::WrongTotal)),
    ("partial-multipart", "U36", Fault::Partial(P::Multipart)),
    ("partial-no-content-range", "U36", Fault::Partial(P::NoContentRange)),
    ("partial-unasked", "U36", Fault::Partial(P::Unasked)),
    ("ignore-range", "U37", Fault::IgnoreRange),
    ("manifest-older-version", "U38", Fault::Manifest(M::OlderVersion)),
    ("manifest-other-content", "U39", Fault::Manifest(M::OtherContent)),
    ("manifest-leap", "U40", Fault::Manifest(M::Leap)),
    ("not-modified", "U42", Fault::NotModified),
    ("no-validators", "U44", Fault::Etag(E::None)),
    ("etag-weak", "U45", Fault::Etag(E::Weak)),
    ("etag-empty", "U45", Fault::Etag(E::Empty)),
    ("etag-unquoted", "U45", Fault::Etag(E::Unquoted)),
    ("etag-huge", "U45", Fault::Etag(E::Huge)),
    ("etag-same", "U45", Fault::Etag(E::Same)),
    ("etag-dashed", "U45", Fault::Etag(E::Dashed)),
    ("manifest-empty", "U52", Fault::Manifest(M::Empty)),
    ("manifest-shrunk", "U52", Fault::Manifest(M::Shrunk)),
    ("manifest-grown", "U52 C14", Fault::Manifest(M::Grown)),
    ("date-year-ahead", "U54", Fault::DateOff(365)),
    ("date-year-behind", "U54", Fault::DateOff(-365)),
    ("info-other-version", "U55", Fault::Info(I::OtherVersion)),
    ("publish-after-info", "U55", Fault::PublishAfterInfo),
    ("publish-after-archive", "U55", Fault::PublishAfterArchive),
    ("manifest-duplicate-keys", "C12", Fault::Manifest(M::DuplicateKeys)),
    ("manifest-duplicate-entry-keys", "C12", Fault::Manifest(M::DuplicateEntryKeys)),
    ("manifest-deep-nesting", "C13", Fault::Manifest(M::DeepNesting)),
    ("manifest-huge-number", "C15", Fault::Manifest(M::HugeNumber)),
    ("manifest-not-utf8", "C17", Fault::Manifest(M::NotUtf8)),
    ("manifest-missing-member", "C18", Fault::Manifest(M::MissingMember)),
];

const MORE: &[Row] = &[
    ("bad-path-c01", "C01", Fault::Manifest(M::BadPath(Borrowed("../../etc/cron.d/x")))),
    ("bad-path-c02", "C02", Fault::Manifest(M::BadPath(Borrowed("https://evil.invalid/x")))),
    ("bad-path-c03", "C03", Fault::Manifest(M::BadPath(Borrowed("//evil.invalid/x")))),
    ("bad-path-c04", "C04", Fault::Manifest(M::BadPath(Borrowed("@evil.invalid/x")))),
    ("bad-path-c05", "C05", Fault::Manifest(M::BadPath(Borrowed("/downloads/%2e%2e/x")))),
    ("bad-path-c06", "C06", Fault::Manifest(M::BadPath(Borrowed("/downloads/CON")))),
    ("bad-path-c07", "C07", Fault::Manifest(M::BadPath(Borrowed("/downloads/a\r\nb")))),
    ("bad-path-c10", "C10", Fault::Manifest(M::BadPath(Borrowed("/waystation/x")))),
    ("manifest-stacked-zips", "C24", Fault::Manifest(M::StackedZips)),
    ("manifest-trailing-bytes", "C24", Fault::Manifest(M::TrailingBytes)),
    ("manifest-truncated", "C29", Fault::Manifest(M::Truncated)),
    ("signature-missing", "C32", Fault::Manifest(M::SignatureMissing)),
    ("signature-empty", "C32", Fault::Manifest(M::SignatureEmpty)),
    ("signature-bad", "C32", Fault::Manifest(M::SignatureBad)),
    ("signature-of-another", "C32", Fault::Manifest(M::SignatureOfAnother)),
    ("signature-truncated", "C33", Fault::Manifest(M::SignatureTruncated)),
    ("signature-unknown-key", "C33", Fault::Manifest(M::SignatureUnknownKey)),
    ("info-no-versions", "C35", Fault::Info(I::NoVersions)),
    ("info-not-xml", "C35", Fault::Info(I::NotXml)),
    ("info-wrong-root", "C35", Fault::Info(I::WrongRoot)),
    ("info-doctype", "C35", Fault::Info(I::Doctype)),
    ("info-twice", "C35", Fault::Info(I::Twice)),
    ("info-huge", "C35", Fault::Info(I::Huge)),
    ("archive-bomb", "C21", Fault::Archive(A::Bomb)),
    ("archive-duplicate", "C23", Fault::Archive(A::Duplicate)),
    ("archive-stacked", "C24", Fault::Archive(A::Stacked)),
    ("archive-trailing-bytes", "C24", Fault::Archive(A::TrailingBytes)),
    ("archive-traversal", "C25", Fault::Archive(A::Traversal)),
    ("archive-encrypted", "C27", Fault::Archive(A::Encrypted)),
    ("archive-crc", "C28", Fault::Archive(A::Crc)),
    ("archive-no-engine", "C39", Fault::Archive(A::NoEngine)),
    ("archive-empty", "U52", Fault::Archive(A::Empty)),
];

const COUNT: usize = TABLE.len() + MORE.len() + SCRIPTS.len();

/// Every named fault with the ids of the catalogue that it plays.
pub fn named_faults() -> impl Iterator<Item = (&'static str, &'static str, Fault)> {
    TABLE.iter().chain(MORE).chain(SCRIPTS).cloned()
}

/// A text names no fault.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "'{0}' is no fault; there are {names}, and status-N, reset-at-N, redirect:URL, bad-path:PATH, version:TEXT, \
     retry-after:TEXT, length:TEXT, slow-drip:MILLISECONDS, raw:BYTES (with \\r, \\n, \\xHH)", names = Fault::ALL_NAMES.join(", ")
)]
pub struct FaultError(String);

impl Fault {
    /// Every name that reads as a fault; some faults also take a value of yours, such as `status-418`,
    /// `reset-at-12345`, `redirect:http://…` or `bad-path:/x/../y`.
    pub const ALL_NAMES: [&'static str; COUNT] = names();

    fn with_value(text: &str) -> Option<Self> {
        if let Some((name, value)) = text.split_once(':') {
            let value = || Owned(value.to_owned());
            return match name {
                "redirect" => Some(Self::Redirect(value())),
                "bad-path" => Some(Self::Manifest(M::BadPath(value()))),
                "version" => Some(Self::Manifest(M::Version(value()))),
                "retry-after" => Some(Self::RetryAfter(503, Wait::Text(value()))),
                "length" => Some(Self::Length(value())),
                "raw" => Script::from_text(text.get("raw:".len()..)?).map(Self::Script),
                "slow-drip" => value().parse().ok().map(Duration::from_millis).map(Self::SlowDrip),
                _ => None,
            };
        }
        let (name, number) = text.rsplit_once('-')?;
        match name {
            "status" => number.parse().ok().filter(|code| (200..600).contains(code)).map(Self::Status),
            "reset-at" => number.parse().ok().map(|byte| Self::Reset(Point::Byte(byte))),
            _ => None,
        }
    }
}

#[allow(clippy::indexing_slicing, reason = "evaluated by the compiler, which would refuse an index out of bounds")]
const fn names() -> [&'static str; COUNT] {
    let mut names = [""; COUNT];
    let mut at = 0;
    while at < names.len() {
        names[at] = if at < TABLE.len() {
            TABLE[at].0
        } else if at < TABLE.len() + MORE.len() {
            MORE[at - TABLE.len()].0
        } else {
            SCRIPTS[at - TABLE.len() - MORE.len()].0
        };
        at += 1;
    }
    names
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let named = named_faults().find(|(name, ..)| *name == text).map(|(.., fault)| fault);
        named.or_else(|| Self::with_value(text)).ok_or_else(|| FaultError(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_as_its_own_fault() {
        for (name, ids, fault) in named_faults() {
            assert_eq!(name.parse(), Ok(fault), "{name}");
            assert!(ids.split(' ').all(|id| id.len() == 3), "{ids}");
            assert_eq!(named_faults().filter(|(other, ..)| *other == name).count(), 1, "{name}");
        }
        assert_eq!("status-418".parse(), Ok(Fault::Status(418)));
        assert_eq!("reset-at-77".parse(), Ok(Fault::Reset(Point::Byte(77))));
        assert_eq!("redirect:http://x/y:z".parse(), Ok(redirect("http://x/y:z")));
        for bad in ["", "status-9", "status-x", "nonsense", "redirect", "slow-drip:x"] {
            assert!(bad.parse::<Fault>().is_err(), "{bad}");
        }
    }
}
