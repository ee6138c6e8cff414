//! The inputs that every corpus begins with: honest ones, every hostile family that applies to the parser (named by
//! its number in the list of attacks that the tests are named after), and honest ones cut and with bits flipped.

mod certificates;
mod documents;
mod endpoints;
mod manifests;
mod messages;
mod names;
mod records;
mod zips;

use std::collections::BTreeMap;

/// An input to begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed {
    /// The target that it is for.
    pub target: &'static str,
    /// What it shows: the name of its file.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// How large one input may be: together they are kept with the sources.
pub const LARGEST: usize = 8 << 10;

/// Every input, for every target.
pub fn all() -> Vec<Seed> {
    let mut book = Book::default();
    manifests::write(&mut book);
    certificates::write(&mut book);
    zips::write(&mut book);
    documents::write(&mut book);
    endpoints::write(&mut book);
    messages::write(&mut book);
    names::write(&mut book);
    records::write(&mut book);
    book.seeds.into_iter().map(|((target, name), bytes)| Seed { target, name, bytes }).collect()
}

/// The inputs gathered so far.
#[derive(Default)]
struct Book {
    seeds: BTreeMap<(&'static str, String), Vec<u8>>,
}

impl Book {
    /// Adds inputs of one family, numbered if there are several.
    fn family<B: AsRef<[u8]>>(&mut self, targets: &[&'static str], family: &str, inputs: impl IntoIterator<Item = B>) {
        let inputs: Vec<B> = inputs.into_iter().collect();
        for (index, input) in inputs.iter().enumerate() {
            let name = if inputs.len() == 1 { family.to_owned() } else { format!("{family}-{index:02}") };
            for target in targets {
                self.add(target, name.clone(), input.as_ref());
            }
        }
    }

    /// Adds an honest input, and it cut and with bits flipped (C29, C30).
    fn honest(&mut self, targets: &[&'static str], name: &str, input: impl AsRef<[u8]>) {
        let input = input.as_ref();
        for target in targets {
            self.add(target, name.to_owned(), input);
            for (index, at) in places(input.len(), 6).enumerate() {
                self.add(target, format!("c29-{name}-cut-{index}"), input.get(..at).unwrap_or_default());
            }
            for (index, at) in places(input.len(), 8).enumerate() {
                let mut flipped = input.to_vec();
                if let Some(byte) = flipped.get_mut(at) {
                    *byte ^= 1 << (index % 8);
                }
                self.add(target, format!("c30-{name}-flip-{index}"), &flipped);
            }
        }
    }

    fn add(&mut self, target: &'static str, name: String, bytes: &[u8]) {
        assert!(bytes.len() <= LARGEST, "{target}/{name} has {} bytes", bytes.len());
        assert!(self.seeds.insert((target, name.clone()), bytes.to_vec()).is_none(), "{target}/{name} twice");
    }
}

/// Places spread over an input, the last one near its end, where formats keep what they trust.
fn places(length: usize, count: usize) -> impl Iterator<Item = usize> {
    (0..count).map(move |index| (length * index + length / 2) / count).chain(length.checked_sub(3))
}
