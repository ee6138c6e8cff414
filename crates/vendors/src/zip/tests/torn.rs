//! Archives that were cut, flipped, or never were any.

use proptest::prelude::*;

use super::builder::{Build, saturate};
use super::*;

fn samples() -> Vec<Vec<u8>> {
    let text = b"text, text, text, text, text, text";
    let build = Build::new().stored("a", text).deflated("b/c", text).streamed(true, false).stored("d/", b"");
    let commented = build.clone().with(|b| b.comment = b"a comment".to_vec());
    let wide = build.clone().with(|b| {
        b.wide = Some(|_| {});
        b.end = Some(saturate);
    });
    vec![build.bytes(), commented.bytes(), wide.bytes()]
}

#[test]
fn cut_at_every_byte_c29() {
    for whole in samples() {
        for length in 0..whole.len() {
            assert!(contents(&whole[..length], &CAPS).is_err(), "{length} of {}", whole.len());
        }
        for start in 1..whole.len() {
            assert!(contents(&whole[start..], &CAPS).is_err(), "from {start} of {}", whole.len());
        }
    }
}

#[test]
fn flipped_at_every_bit_c30() {
    for whole in samples() {
        let meant = contents(&whole, &CAPS).unwrap();
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut flipped = whole.clone();
                flipped[at] ^= 1 << bit;
                if let Ok(read) = contents(&flipped, &CAPS) {
                    assert_eq!(read, meant, "bit {bit} of byte {at}");
                }
            }
        }
    }
}

#[test]
fn not_archives_c29() {
    for bytes in [
        b"".as_slice(),
        b"PK",
        b"PK\x05\x06",
        b"<!doctype html><title>Sign in</title>",
        &[0; 100_000],
        &b"PK\x05\x06".repeat(30_000),
    ] {
        refused(bytes, model::Reason::BadZip);
    }
}

/// A reader that answers in small bites and fails at a place.
#[derive(Debug)]
struct Failing {
    inner: std::io::Cursor<Vec<u8>>,
    at: u64,
}

impl std::io::Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.inner.position() >= self.at {
            return Err(std::io::Error::other("the disk is gone"));
        }
        let bite = buffer.len().min(3);
        self.inner.read(&mut buffer[..bite])
    }
}

impl std::io::Seek for Failing {
    fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
        self.inner.seek(to)
    }
}

#[test]
fn small_bites_and_a_failing_disk() {
    let whole = samples().remove(0);
    let failing = |at| Failing { inner: std::io::Cursor::new(whole.clone()), at };
    let mut good = failing(u64::MAX);
    Archive::open(&mut good, &CAPS).unwrap().check_all().unwrap();
    let mut bad = failing(whole.len() as u64 / 2);
    let error = Archive::open(&mut bad, &CAPS).unwrap_err();
    assert_eq!(error.reason(), model::Reason::StoreFailed, "{error}");
}

proptest! {
    #[test]
    fn any_bytes_c30(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        let _ = contents(&bytes, &CAPS);
    }

    #[test]
    fn any_bytes_before_an_end_record_c30(bytes in proptest::collection::vec(any::<u8>(), 0..200), fields in any::<[u8; 18]>()) {
        let _ = contents(&[&bytes[..], b"PK\x05\x06", &fields].concat(), &CAPS);
    }

    #[test]
    fn many_changes_at_once_c30(changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), pick in 0usize..3) {
        let whole = samples().remove(pick);
        let meant = contents(&whole, &CAPS).unwrap();
        let mut changed = whole;
        for (index, value) in changes {
            let at = index.index(changed.len());
            changed[at] = value;
        }
        if let Ok(read) = contents(&changed, &CAPS) {
            prop_assert_eq!(read, meant);
        }
    }

    #[test]
    fn what_another_writer_makes_reads_back(members in proptest::collection::btree_map("[a-z]{1,8}", proptest::collection::vec(any::<u8>(), 0..2000), 0..6), streamed in any::<bool>()) {
        let build = members.iter().fold(Build::new(), |build, (name, data)| {
            let build = build.deflated(name, data);
            if streamed { build.streamed(true, false) } else { build }
        });
        let read: std::collections::BTreeMap<_, _> = contents(&build.bytes(), &CAPS).unwrap().into_iter().collect();
        prop_assert_eq!(read, members);
    }
}
