//! A cheap stream of incompressible bytes that can be read from anywhere.

use std::sync::OnceLock;

use model::Digest;

const CHUNK: usize = 64 * 1024;
const MARK: usize = 16;
const BASE: usize = 1 << 20;

/// `len` bytes made from `seed`: each 64 KB are a mark of their own and a piece of one random megabyte, so
/// that reading costs a copy and no two streams are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seeded {
    pub(crate) seed: u64,
    pub(crate) len: u64,
}

impl Seeded {
    /// Fills `buffer` from `offset` on; answers how much there was.
    pub(crate) fn read_at(&self, offset: u64, buffer: &mut [u8]) -> usize {
        let mut done = 0;
        while done < buffer.len() {
            let position = offset + done as u64;
            let left = usize::try_from(self.len.saturating_sub(position)).unwrap_or(usize::MAX);
            let Some(rest) = buffer.get_mut(done..).filter(|_| left > 0) else { break };
            let room = rest.len().min(left);
            let copied = rest.get_mut(..room).map_or(0, |rest| self.copy(position, rest));
            done += copied;
        }
        done
    }

    /// All of it.
    pub(crate) fn to_vec(self) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(self.len).unwrap_or(0)];
        self.read_at(0, &mut bytes);
        bytes
    }

    /// Copies up to the end of the chunk or of its mark.
    fn copy(&self, position: u64, out: &mut [u8]) -> usize {
        let number = position / CHUNK as u64;
        let within = usize::try_from(position % CHUNK as u64).unwrap_or(0);
        if within < MARK {
            let mark = self.mark(number);
            copy(mark.get(within..).unwrap_or_default(), out)
        } else {
            let start = usize::try_from(mix(self.seed ^ mix(number)) % (BASE - CHUNK) as u64).unwrap_or(0);
            copy(base().get(start + within..start + CHUNK).unwrap_or_default(), out)
        }
    }

    fn mark(&self, number: u64) -> [u8; MARK] {
        let both = u128::from(mix(self.seed.wrapping_add(number))) << 64 | u128::from(mix(self.seed) ^ number);
        both.to_le_bytes()
    }
}

fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let length = from.len().min(to.len());
    if let (Some(from), Some(to)) = (from.get(..length), to.get_mut(..length)) {
        to.copy_from_slice(from);
    }
    length
}

/// A seed from words: the same for the same words, everywhere.
pub(crate) fn number_of(words: &str) -> u64 {
    let digest = Digest::of(words.as_bytes());
    digest.as_bytes().iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// SplitMix64's finaliser.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ value >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ value >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ value >> 31
}

fn base() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| (0..BASE as u64 / 8).flat_map(|n| mix(n).to_le_bytes()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_in_pieces_gives_the_same_bytes() {
        let stream = Seeded { seed: 7, len: 200_001 };
        let whole = stream.to_vec();
        for (offset, length) in [(0, 1), (15, 3), (65_530, 70_000), (131_072, 16), (200_000, 50), (200_001, 1)] {
            let mut piece = vec![0; length];
            let read = stream.read_at(offset as u64, &mut piece);
            assert_eq!(piece[..read], whole[offset..(offset + length).min(whole.len())], "{offset} {length}");
        }
        assert_ne!(whole, Seeded { seed: 8, len: 200_001 }.to_vec());
    }
}
