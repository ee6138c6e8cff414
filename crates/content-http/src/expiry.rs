//! From when until when a certificate or a revocation list holds: the one fact of it that is shown. What decides about
//! trust is elsewhere.

use model::Timestamp;

const SEQUENCE: u8 = 0x30;
/// The first thing that is tagged in its context: a certificate's version, a list's extensions.
const VERSION: u8 = 0xa0;
const SET: u8 = 0x31;
const INTEGER: u8 = 0x02;
const BITS: u8 = 0x03;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const BOOLEAN: u8 = 0x01;
const OBJECT: u8 = 0x06;
/// 1.2.840.113549.1.1.1.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1];
/// 2.5.29.20.
const CRL_NUMBER: &[u8] = &[0x55, 0x1d, 0x14];

/// A span of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
}

/// Of several in one file: until when each holds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ends(Vec<End>);

/// One of them.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub(crate) span: Span,
    /// Whose it is, in words; empty where it is its listener's own.
    pub(crate) whose: String,
    /// Until when its end shuts somebody out. After that, as behind the certificates that clients go by, it hides no other's.
    pub(crate) counts_until: Timestamp,
}

impl Ends {
    pub(crate) fn new(all: impl Iterator<Item = End>) -> Self {
        Self(all.collect())
    }

    /// The one to be shown: the one that ended last of those that shut somebody out by it, or else the first that is to end.
    pub(crate) fn shown(&self, now: Timestamp) -> Option<&End> {
        let ended = || self.0.iter().filter(|one| one.span.until <= now);
        let shuts_out = ended().filter(|one| now < one.counts_until).max_by_key(|one| one.span.until);
        shuts_out.or_else(|| self.first_after(now)).or_else(|| ended().max_by_key(|one| one.span.until))
    }

    /// The one that ends first after this moment.
    pub(crate) fn first_after(&self, moment: Timestamp) -> Option<&End> {
        self.0.iter().filter(|one| moment < one.span.until).min_by_key(|one| one.span.until)
    }

    /// When the last of them begins.
    pub(crate) fn begin(&self) -> Option<Timestamp> {
        self.0.iter().map(|one| one.span.from).max()
    }
}

impl Span {
    /// Whether it lies within.
    pub(crate) fn holds(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }
}

/// Whether a certificate is of version 1, which says so by saying nothing (RFC 5280, 4.1.2.1).
pub(crate) fn is_version_1(der: &[u8]) -> bool {
    let first = || item(sequence(sequence(der)?.0)?.0);
    first().is_some_and(|(tag, _, _)| tag == INTEGER)
}

/// A certificate's validity (RFC 5280, 4.1.2.5); none where the DER is no certificate's.
pub(crate) fn of_certificate(der: &[u8]) -> Option<Span> {
    span(sequence(from_validity(der)?)?.0)
}

/// The names of who issued a certificate and of whom it is of (RFC 5280, 4.1.2.4 and 4.1.2.6), as they stand there.
pub(crate) fn names_of(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (_, _, rest) = item(from_serial(der)?)?;
    let (issuer, _) = sequence(sequence(rest)?.1)?;
    let (_, rest) = sequence(from_validity(der)?)?;
    Some((issuer, sequence(rest)?.0))
}

/// A certificate's serial number (RFC 5280, 4.1.2.2), which its issuer's lists name it by.
pub(crate) fn serial_of(der: &[u8]) -> Option<&[u8]> {
    item(from_serial(der)?).filter(|(tag, _, _)| *tag == INTEGER).map(|(_, digits, _)| digits)
}

/// How many bits a certificate's RSA key has (RFC 3279, 2.3.1), to whole bytes; none where its key is of another kind.
pub(crate) fn rsa_bits(der: &[u8]) -> Option<usize> {
    let (_, rest) = sequence(from_validity(der)?)?;
    let (_, rest) = sequence(rest)?;
    let (algorithm, key) = sequence(sequence(rest)?.0)?;
    let (_, key, _) = item(key).filter(|_| item(algorithm).is_some_and(|(_, name, _)| name == RSA))?;
    // The bits that are not used, which are none, stand before those that are.
    let (tag, modulus, _) = item(sequence(key.get(1..)?)?.0)?;
    (tag == INTEGER).then(|| modulus.iter().skip_while(|byte| **byte == 0).count() * 8)
}

/// A certificate from its serial number on.
fn from_serial(der: &[u8]) -> Option<&[u8]> {
    let (body, _) = sequence(sequence(der)?.0)?;
    Some(match item(body)? {
        (VERSION, _, rest) => rest,
        _ => body,
    })
}

/// A certificate from its validity on: behind serial number, algorithm and issuer.
fn from_validity(der: &[u8]) -> Option<&[u8]> {
    let (_, _, rest) = item(from_serial(der)?)?;
    let (_, rest) = sequence(rest)?;
    Some(sequence(rest)?.1)
}

/// What is read of a revocation list.
pub(crate) struct List<'a> {
    /// Its issuer's name, as it stands there.
    pub(crate) issuer: &'a [u8],
    /// From when until when it holds (RFC 5280, 5.1.2.4 and 5.1.2.5); none where it does not say when the next one comes.
    pub(crate) span: Option<Span>,
    /// Its number, which only rises (RFC 5280, 5.2.3); none where it has none.
    pub(crate) number: Option<&'a [u8]>,
}

impl<'a> List<'a> {
    /// None where the DER is no list's.
    pub(crate) fn of(der: &'a [u8]) -> Option<Self> {
        let (list, _) = sequence(der)?;
        let (body, _) = sequence(list)?;
        let rest = match item(body)? {
            (INTEGER, _, rest) => rest,
            _ => body,
        };
        let (_, rest) = sequence(rest)?;
        let (issuer, rest) = sequence(rest)?;
        Some(Self { issuer, span: span(rest), number: number(rest) })
    }
}

/// What is signed, how, and the signature (RFC 5280, 5.1.1).
pub(crate) struct Signed<'a> {
    pub(crate) what: &'a [u8],
    /// The name of the way, as it stands there.
    pub(crate) way: &'a [u8],
    pub(crate) signature: &'a [u8],
}

impl<'a> Signed<'a> {
    /// None where the DER is nothing that is signed.
    pub(crate) fn of(der: &'a [u8]) -> Option<Self> {
        let (inside, _) = sequence(der)?;
        let (_, rest) = sequence(inside)?;
        let what = inside.get(..inside.len() - rest.len())?;
        let (way, rest) = sequence(rest)?;
        Some(Self { what, way, signature: bits(rest)? })
    }

    /// The kind and the bits of a key, from what is within `subjectPublicKeyInfo` (RFC 5280, 4.1.2.7).
    pub(crate) fn key_of(info: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
        let (kind, rest) = sequence(info)?;
        Some((kind, bits(rest)?))
    }
}

/// A row of bits to whole bytes.
fn bits(der: &[u8]) -> Option<&[u8]> {
    let (_, bits, _) = item(der).filter(|(tag, _, _)| *tag == BITS)?;
    bits.split_first().and_then(|(unused, bits)| (*unused == 0).then_some(bits))
}

/// The number among the extensions, which come last.
fn number(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        let (tag, inner, behind) = item(rest)?;
        if tag == VERSION {
            rest = sequence(inner)?.0;
            break;
        }
        rest = behind;
    }
    loop {
        let (extension, behind) = sequence(rest)?;
        let (tag, name, value) = item(extension)?;
        if tag == OBJECT && name == CRL_NUMBER {
            let value = match item(value)? {
                (BOOLEAN, _, value) => value,
                _ => value,
            };
            let (_, octets, _) = item(value)?;
            return item(octets).filter(|(tag, _, _)| *tag == INTEGER).map(|(_, digits, _)| digits);
        }
        rest = behind;
    }
}

/// What a name says (RFC 5280, 4.1.2.4), without what its parts are called.
pub(crate) fn name_of(mut name: &[u8]) -> String {
    const MOST: usize = 120;
    let mut parts = Vec::new();
    while let Some((SET, part, rest)) = item(name) {
        let text = || Some(item(item(sequence(part)?.0)?.2)?.1);
        parts.extend(text().map(|text| String::from_utf8_lossy(text).into_owned()));
        name = rest;
    }
    model::shown(&parts.join(", "), MOST)
}

/// Two times, one behind the other.
fn span(der: &[u8]) -> Option<Span> {
    let (_, _, end) = item(der)?;
    Some(Span { from: time(der)?, until: time(end)? })
}

/// One item: its tag, what is in it, and what follows it.
fn item(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x0f))?;
            (bytes.iter().fold(0_usize, |length, byte| (length << 8) | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (inner, rest) = rest.split_at_checked(length)?;
    Some((*tag, inner, rest))
}

fn sequence(der: &[u8]) -> Option<(&[u8], &[u8])> {
    item(der).and_then(|(tag, inner, rest)| (tag == SEQUENCE).then_some((inner, rest)))
}

/// `YYMMDDHHMMSSZ`, whose years lie from 1950 to 2049, or the same with four digits of the year.
fn time(der: &[u8]) -> Option<Timestamp> {
    let (tag, text, _) = item(der)?;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (year, rest) = match tag {
        UTC_TIME => {
            let (short, rest) = text.split_at_checked(2)?;
            let century = if short < "50" { "20" } else { "19" };
            (format!("{century}{short}"), rest)
        }
        GENERALIZED_TIME => text.split_at_checked(4).map(|(year, rest)| (year.to_owned(), rest))?,
        _ => return None,
    };
    let pair = |at: usize| rest.get(at * 2..at * 2 + 2);
    let (month, day, hour, minute, second) = (pair(0)?, pair(1)?, pair(2)?, pair(3)?, pair(4)?);
    let rest_is_empty = rest.len() == 10;
    let parsed = Timestamp::parse(&format!("{year}-{month}-{day}T{hour}:{minute}:{second}Z"));
    parsed.filter(|_| rest_is_empty)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(year: i32) -> Vec<u8> {
        let mut parameters = rcgen::CertificateParams::new(vec!["mirror.test".to_owned()]).unwrap();
        parameters.not_before = rcgen::date_time_ymd(2024, 3, 1);
        parameters.not_after = rcgen::date_time_ymd(year, 2, 28);
        let key = rcgen::KeyPair::generate().unwrap();
        parameters.self_signed(&key).unwrap().der().to_vec()
    }

    fn list(year: i32) -> Vec<u8> {
        let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let issuer = rcgen::Issuer::new(authority, rcgen::KeyPair::generate().unwrap());
        let list = rcgen::CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2024, 3, 1),
            next_update: rcgen::date_time_ymd(year, 2, 28),
            crl_number: rcgen::SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        list.signed_by(&issuer).unwrap().der().to_vec()
    }

    #[test]
    fn from_when_until_when_is_read_v23_v34() {
        for year in [2027, 2049, 2050, 2999] {
            let at = |text: String| Timestamp::parse(&text).unwrap();
            let (from, until) = (at("2024-03-01T00:00:00Z".to_owned()), at(format!("{year}-02-28T00:00:00Z")));
            let expected = Some(Span { from, until });
            assert_eq!(of_certificate(&made(year)), expected);
            let list = list(year);
            let list = List::of(&list).unwrap();
            assert_eq!((list.span, list.number), (expected, Some(&[1][..])));
        }
    }

    #[test]
    fn a_certificate_is_told_by_its_serial_number_v34() {
        let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
        parameters.serial_number = Some(rcgen::SerialNumber::from(0x0a_bc));
        let made = parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
        assert_eq!(serial_of(made.der()), Some(&[0x0a, 0xbc][..]));
        assert_eq!(serial_of(&[]), None);
    }

    #[test]
    fn keys_of_other_kinds_have_no_bits_of_rsa_v23() {
        assert_eq!(rsa_bits(&made(2030)), None);
        assert_eq!(rsa_bits(&[]), None);
    }

    #[test]
    fn version_1_says_nothing_of_its_version_v23() {
        assert!(is_version_1(&[0x30, 5, 0x30, 3, 0x02, 1, 7]));
        for other in [made(2030).as_slice(), list(2030).get(..3).unwrap(), &[]] {
            assert!(!is_version_1(other));
        }
    }

    #[test]
    fn what_is_neither_has_no_end_and_panics_nowhere_i10() {
        type Read = fn(&[u8]) -> Option<Span>;
        for (whole, read) in [(made(2030), of_certificate as Read), (list(2030), |der: &[u8]| List::of(der)?.span)] {
            for length in 0..whole.len() {
                assert_eq!(read(&whole[..length]), None, "{length}");
            }
            for at in 0..whole.len().min(400) {
                for bit in 0..8 {
                    let mut other = whole.clone();
                    other[at] ^= 1 << bit;
                    let _ = read(&other);
                }
            }
        }
    }
}
