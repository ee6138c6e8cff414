//! Byte ranges (RFC 9110, 14): pure.

/// Which part of a file a `Range` header asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// All of it: no range, one that is not well-formed, another unit, or several.
    Whole,
    /// `length` bytes from `first`; never empty, never past the end.
    Part {
        /// The first byte.
        first: u64,
        /// How many bytes.
        length: u64,
    },
    /// None of it: 416.
    Unsatisfiable,
}

/// Reads a `Range` header for a file of `size` bytes.
pub(crate) fn wanted(header: &[u8], size: u64) -> Wanted {
    let Some((unit, set)) = split_once(header, b'=') else { return Wanted::Whole };
    if !unit.trim_ascii().eq_ignore_ascii_case(b"bytes") {
        return Wanted::Whole;
    }
    let mut specs = set.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|spec| !spec.is_empty());
    match (specs.next(), specs.next()) {
        (Some(spec), None) => one(spec, size),
        _ => Wanted::Whole,
    }
}

fn one(spec: &[u8], size: u64) -> Wanted {
    let Some((first, last)) = split_once(spec, b'-') else { return Wanted::Whole };
    match (first.is_empty(), number(first), number(last)) {
        (true, _, Some(0)) => Wanted::Unsatisfiable,
        // A file without bytes has no last bytes to send, and no range that could name them.
        (true, _, Some(_)) if size == 0 => Wanted::Whole,
        (true, _, Some(suffix)) => {
            let length = suffix.min(size);
            Wanted::Part { first: size.saturating_sub(length), length }
        }
        (false, Some(first), _) if last.is_empty() => from(first, u64::MAX, size),
        (false, Some(first), Some(last)) if first <= last => from(first, last, size),
        _ => Wanted::Whole,
    }
}

fn from(first: u64, last: u64, size: u64) -> Wanted {
    match size.checked_sub(first) {
        None | Some(0) => Wanted::Unsatisfiable,
        Some(left) => Wanted::Part { first, length: left.min((last - first).saturating_add(1)) },
    }
}

/// A number of digits alone; one that is too large for us is as large as can be.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0u64, |sum, digit| sum.saturating_mul(10).saturating_add(u64::from(digit - b'0'))))
}

fn split_once(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let index = text.iter().position(|byte| *byte == at)?;
    Some((text.get(..index)?, text.get(index + 1..)?))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(header: &str, size: u64, expected: Wanted) {
        assert_eq!(wanted(header.as_bytes(), size), expected, "{header:?} of {size}");
    }

    #[test]
    fn ranges_v14() {
        use Wanted::{Part, Unsatisfiable, Whole};
        check("bytes=0-", 100, Part { first: 0, length: 100 });
        check("bytes=0-0", 100, Part { first: 0, length: 1 });
        check("bytes=10-19", 100, Part { first: 10, length: 10 });
        check("bytes=90-200", 100, Part { first: 90, length: 10 });
        check("bytes=-1", 100, Part { first: 99, length: 1 });
        check("bytes=-200", 100, Part { first: 0, length: 100 });
        check("Bytes=1-2", 100, Part { first: 1, length: 2 });
        check("bytes= 1-2 ", 100, Part { first: 1, length: 2 });
        check("bytes=,1-2,", 100, Part { first: 1, length: 2 });
        check("bytes=100-", 100, Unsatisfiable);
        check("bytes=18446744073709551616-", 100, Unsatisfiable);
        check("bytes=-0", 100, Unsatisfiable);
        check("bytes=0-", 0, Unsatisfiable);
        check("bytes=-5", 0, Whole);
        check("bytes=0-999999999999999999999999999999", 100, Part { first: 0, length: 100 });
        for bad in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-2",
            "bytes=--1",
            "bytes=a-b",
            "bytes=1 - 2",
            "bytes=+1-2",
            "bytes=0x1-2",
            "items=0-1",
            "bytes=1-2,3-4",
            "bytes=0-0,-1",
            "bytes=1",
            "=0-1",
            "bytes=1-2-3",
        ] {
            check(bad, 100, Whole);
        }
        check(&format!("bytes={}", "0-,".repeat(1300)), 100, Whole);
    }

    proptest! {
        #[test]
        fn never_beyond_the_file_v14(header in "bytes=[-0-9, ]{0,24}", size in 0u64..1000) {
            if let Wanted::Part { first, length } = wanted(header.as_bytes(), size) {
                prop_assert!(length > 0 && first.checked_add(length).unwrap() <= size);
            }
        }

        #[test]
        fn never_panics_v14(header in proptest::collection::vec(any::<u8>(), 0..64), size: u64) {
            let _ = wanted(&header, size);
        }
    }
}
