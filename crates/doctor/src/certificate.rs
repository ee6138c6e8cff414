//! The few facts of a certificate that a report shows: names and times. What decides about trust is elsewhere.

use model::Timestamp;

/// The names and times of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    pub(crate) issuer: Name,
    pub(crate) subject: Name,
    pub(crate) not_before: Timestamp,
    pub(crate) not_after: Timestamp,
    /// Whether it may issue others (RFC 5280, 4.2.1.9); none where its version has nothing that says so.
    pub(crate) is_ca: Option<bool>,
}

/// A distinguished name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    /// Its DER, without the outer head: what tells two names apart.
    pub(crate) der: Vec<u8>,
    /// Its common name, else its organisation, else a dash; fit to show.
    pub(crate) words: String,
}

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT: u8 = 0x06;
const VERSION: u8 = 0xa0;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const BMP_STRING: u8 = 0x1e;
const BOOLEAN: u8 = 0x01;
const EXTENSIONS: u8 = 0xa3;
/// 2.5.29.19.
const BASIC_CONSTRAINTS: [u8; 3] = [0x55, 0x1d, 0x13];
/// 2.5.4.3 and 2.5.4.10.
const COMMON_NAME: [u8; 3] = [0x55, 0x04, 0x03];
const ORGANISATION: [u8; 3] = [0x55, 0x04, 0x0a];
/// The longest name shown.
const MAX_WORDS: usize = 120;

impl Certificate {
    /// None where the DER is not a certificate's.
    pub(crate) fn read(der: &[u8]) -> Option<Self> {
        let (certificate, _) = expect(der, SEQUENCE)?;
        let (body, _) = expect(certificate, SEQUENCE)?;
        let (rest, has_version) = match item(body)? {
            (VERSION, _, rest) => (rest, true),
            _ => (body, false),
        };
        let (_, _, rest) = item(rest)?;
        let (_, rest) = expect(rest, SEQUENCE)?;
        let (issuer, rest) = expect(rest, SEQUENCE)?;
        let (validity, rest) = expect(rest, SEQUENCE)?;
        let (subject, rest) = expect(rest, SEQUENCE)?;
        let (not_before, later) = time(validity)?;
        let (not_after, _) = time(later)?;
        let (_, rest) = expect(rest, SEQUENCE)?;
        let is_ca = has_version.then(|| may_issue(rest).unwrap_or(false));
        Some(Self { issuer: Name::read(issuer), subject: Name::read(subject), not_before, not_after, is_ca })
    }

    /// Whether it vouches for itself.
    pub(crate) fn is_its_own(&self) -> bool {
        self.issuer.der == self.subject.der
    }
}

impl Name {
    fn read(der: &[u8]) -> Self {
        let words = attribute(der, COMMON_NAME).or_else(|| attribute(der, ORGANISATION));
        Self { der: der.to_vec(), words: words.unwrap_or_else(|| "-".to_owned()) }
    }
}

/// What the basic constraints say, out of what follows the key.
fn may_issue(mut rest: &[u8]) -> Option<bool> {
    let mut extensions = loop {
        match item(rest)? {
            (EXTENSIONS, all, _) => break expect(all, SEQUENCE)?.0,
            (_, _, behind) => rest = behind,
        }
    };
    loop {
        let (extension, others) = expect(extensions, SEQUENCE)?;
        let (kind, value) = expect(extension, OBJECT)?;
        if kind == BASIC_CONSTRAINTS {
            let value = match item(value)? {
                (BOOLEAN, _, value) => value,
                _ => value,
            };
            let (_, octets, _) = item(value)?;
            let (constraints, _) = expect(octets, SEQUENCE)?;
            return Some(matches!(item(constraints), Some((BOOLEAN, [said], _)) if *said != 0));
        }
        extensions = others;
    }
}

/// The first attribute of this type in a name.
fn attribute(name: &[u8], wanted: [u8; 3]) -> Option<String> {
    let mut sets = name;
    while let Some((SET, mut set, rest)) = item(sets) {
        while let Some((SEQUENCE, pair, others)) = item(set) {
            if let Some((OBJECT, kind, value)) = item(pair)
                && kind == wanted
                && let Some((tag, text, _)) = item(value)
            {
                return Some(words(tag, text));
            }
            set = others;
        }
        sets = rest;
    }
    None
}

fn words(tag: u8, text: &[u8]) -> String {
    let all = if tag == BMP_STRING {
        let units: Vec<u16> =
            text.chunks_exact(2).filter_map(|two| two.try_into().ok().map(u16::from_be_bytes)).collect();
        String::from_utf16_lossy(&units)
    } else {
        String::from_utf8_lossy(text).into_owned()
    };
    model::shown(&all, MAX_WORDS)
}

/// A tag, what it holds, and what follows it.
fn item(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0usize, |sum, digit| (sum << 8) | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (held, rest) = rest.split_at_checked(length)?;
    Some((tag, held, rest))
}

fn expect(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    item(der).filter(|(found, ..)| *found == tag).map(|(_, held, rest)| (held, rest))
}

/// A time, and what follows it (RFC 5280, 4.1.2.5).
fn time(der: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (tag, text, rest) = item(der)?;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let full = match tag {
        UTC_TIME if text.len() == 12 => {
            let century = if text.get(..2)?.parse::<u8>().ok()? < 50 { "20" } else { "19" };
            format!("{century}{text}")
        }
        GENERALIZED_TIME if text.len() == 14 => text.to_owned(),
        _ => return None,
    };
    let part = |from: usize, to: usize| full.get(from..to);
    let shown = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0, 4)?,
        part(4, 6)?,
        part(6, 8)?,
        part(8, 10)?,
        part(10, 12)?,
        part(12, 14)?
    );
    Some((Timestamp::parse(&shown)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn made(name: &str) -> rcgen::Certificate {
        let mut parameters = rcgen::CertificateParams::new(vec!["mirror.example".to_owned()]).unwrap();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
        parameters.not_before = rcgen::date_time_ymd(2024, 2, 3);
        parameters.not_after = rcgen::date_time_ymd(2055, 6, 7);
        parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap()
    }

    #[test]
    fn names_and_times_are_read_from_both_forms_of_time() {
        let read = Certificate::read(made("Corp Inspection CA").der()).unwrap();
        assert_eq!(read.issuer.words, "Corp Inspection CA");
        assert!(read.is_its_own());
        assert_eq!(read.not_before.to_string(), "2024-02-03T00:00:00Z");
        assert_eq!(read.not_after.to_string(), "2055-06-07T00:00:00Z");
    }

    #[test]
    fn who_may_issue_says_so() {
        let made = |is_ca| {
            let mut parameters = rcgen::CertificateParams::new(vec!["mirror.example".to_owned()]).unwrap();
            parameters.is_ca = is_ca;
            let made = parameters.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
            Certificate::read(made.der()).unwrap().is_ca
        };
        assert_eq!(made(rcgen::IsCa::NoCa), Some(false));
        assert_eq!(made(rcgen::IsCa::ExplicitNoCa), Some(false));
        assert_eq!(made(rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained)), Some(true));
        assert_eq!(made(rcgen::IsCa::Ca(rcgen::BasicConstraints::Constrained(1))), Some(true));
    }

    #[test]
    fn every_cut_is_refused_c29() {
        let der = made("x").der().to_vec();
        for end in 0..der.len() {
            assert_eq!(Certificate::read(&der[..end]), None);
        }
    }

    proptest! {
        #[test]
        fn nothing_panics_u46(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = Certificate::read(&bytes);
        }

        #[test]
        fn no_flipped_byte_panics_u46(at in 0usize..400, bit in 0u8..8) {
            let mut der = made("x").der().to_vec();
            let at = at % der.len();
            der[at] ^= 1 << bit;
            let _ = Certificate::read(&der);
        }
    }
}
