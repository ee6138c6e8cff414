//! The order of versions.

use std::cmp::Ordering;

use model::Version;

use crate::reads_back;

/// Three lines as three versions: a total order, which is that of numbers where there are numbers alone.
pub fn version_order(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let versions: Vec<Version> = text.split('\n').take(3).filter_map(taken).collect();
    for a in &versions {
        for b in &versions {
            let order = a.cmp(b);
            assert_eq!(order, b.cmp(a).reverse(), "{a} and {b}: not antisymmetric");
            assert_eq!(order == Ordering::Equal, a == b, "{a} and {b}: equal in one way only");
            assert_eq!(a == b, a.as_str() == b.as_str());
            by_numbers(a, b, order);
            for c in versions.iter().filter(|c| order != Ordering::Greater && b <= *c) {
                assert!(a <= c, "{a} <= {b} <= {c}: not transitive");
            }
        }
    }
}

fn taken(text: &str) -> Option<Version> {
    let version: Version = text.parse().ok()?;
    assert_eq!((version.as_str(), version.to_string().as_str()), (text, text), "not kept as it came");
    assert!(text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-+".contains(&byte)));
    reads_back(&version);
    // A pre-release comes before its release.
    if let Ok(early) = format!("{text}-rc1").parse::<Version>()
        && !text.contains(['-', '+'])
    {
        assert!(early < version, "{early} is not before {version}");
    }
    Some(version)
}

/// The order of plain dotted numbers, by another road.
fn by_numbers(a: &Version, b: &Version, order: Ordering) {
    let numbers = |version: &Version| -> Option<Vec<u128>> {
        let plain = version.as_str().bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        let parts = version.as_str().split('.').map(|part| part.parse().ok());
        let mut parts: Vec<u128> = if plain { parts.collect::<Option<_>>()? } else { return None };
        while parts.last() == Some(&0) {
            parts.pop();
        }
        Some(parts)
    };
    let (Some(left), Some(right)) = (numbers(a), numbers(b)) else { return };
    assert_eq!(order, left.cmp(&right).then_with(|| a.as_str().cmp(b.as_str())), "{a} and {b}");
}
