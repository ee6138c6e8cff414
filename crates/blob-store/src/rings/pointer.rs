//! What `current` contains.

use std::fmt;
use std::str::FromStr;

use model::Digest;

/// Names a generation by number and by the digest of its file's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pointer {
    pub(crate) number: u64,
    pub(crate) digest: Digest,
}

/// A text is not a pointer in its one canonical form.
#[derive(Debug)]
pub(crate) struct NotAPointer;

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}", self.number, self.digest)
    }
}

impl Pointer {
    /// What the file's bytes say; nothing where they are no pointer.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        std::str::from_utf8(bytes).ok()?.parse().ok()
    }
}

impl FromStr for Pointer {
    type Err = NotAPointer;

    fn from_str(text: &str) -> Result<Self, NotAPointer> {
        let line = text.strip_suffix('\n').ok_or(NotAPointer)?;
        let (number, digest) = line.split_once(' ').ok_or(NotAPointer)?;
        let digest = digest.parse().map_err(|_| NotAPointer)?;
        Ok(Self { number: number_of(number).ok_or(NotAPointer)?, digest })
    }
}

/// The highest number of a generation: what a database holds as well, with room behind it. Nobody publishes that often,
/// so a file that claims a higher one is not ours.
pub(super) const HIGHEST: u64 = 1 << 62;

/// Reads a generation's number, which has one spelling: no sign, no zeros in front.
pub(super) fn number_of(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number <= HIGHEST && number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_spelling_only_s41() {
        let digest = Digest::of(b"x");
        let good = Pointer { number: 12, digest };
        assert_eq!(good.to_string().parse::<Pointer>().unwrap(), good);
        for bad in [
            String::new(),
            "\n".to_owned(),
            format!("12 {digest}"),
            format!("012 {digest}\n"),
            format!("+12 {digest}\n"),
            format!("-1 {digest}\n"),
            format!("12  {digest}\n"),
            format!("12 {digest}\n\n"),
            format!("99999999999999999999 {digest}\n"),
            format!("{} {digest}\n", HIGHEST + 1),
            format!("{} {digest}\n", u64::MAX),
            format!("12 {}\n", digest.short()),
        ] {
            assert!(bad.parse::<Pointer>().is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_parses_prints_the_same_s41(text in "[0-9]{0,3}[ \n]?[0-9a-f]{60,66}\n?|\\PC{0,90}") {
            if let Ok(pointer) = text.parse::<Pointer>() {
                prop_assert_eq!(pointer.to_string(), text);
            }
        }
    }
}
