//! How certificates and heads of answers are read, for `fuzz-targets` alone: no part of the crate's face.

use model::Timestamp;

use crate::certificate::Certificate;
use crate::wire::Head;

/// What of a certificate a report shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its issuer's name, as DER without the outer head.
    pub issuer: Vec<u8>,
    /// Its own.
    pub subject: Vec<u8>,
    /// Both, in words.
    pub words: [String; 2],
    /// From when on it is valid, and until when.
    pub times: [Timestamp; 2],
    /// Whether it may issue others; none where its version has nothing that says so.
    pub is_ca: Option<bool>,
}

/// Reads a certificate; none where the DER is no certificate's.
pub fn certificate(der: &[u8]) -> Option<Facts> {
    let Certificate { issuer, subject, not_before, not_after, is_ca } = Certificate::read(der)?;
    let words = [issuer.words, subject.words];
    Some(Facts { issuer: issuer.der, subject: subject.der, words, times: [not_before, not_after], is_ca })
}

/// The head of an answer: its status, its fields, and how many bytes it takes; none while it is not whole.
///
/// # Errors
/// Why it is no head, in words.
#[expect(clippy::type_complexity, reason = "a head is what it is made of")]
pub fn head(bytes: &[u8]) -> Result<Option<(u16, Vec<(String, String)>, usize)>, String> {
    let read = Head::parse(bytes).map_err(|error| error.to_string())?;
    Ok(read.map(|(head, length)| (head.status, head.fields, length)))
}
