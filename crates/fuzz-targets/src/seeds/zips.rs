//! Archives, honest and not.

use std::io::{Cursor, Write as _};

use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use super::{Book, manifests};
use crate::wrap::zip_of_one;

/// Every archive's two members: what they are called and hold depends on who reads it.
struct Pair {
    targets: &'static [&'static str],
    names: [&'static str; 2],
    contents: [Vec<u8>; 2],
}

pub(super) fn write(book: &mut Book) {
    let library = [b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0".as_slice(), &[7; 30]].concat();
    let archives = Pair {
        targets: &["zip_view", "defender_archive"],
        names: ["libmpengine.so", "mpasbase.vdm"],
        contents: [library, b"definitions definitions definitions".to_vec()],
    };
    let manifests = Pair {
        targets: &["elastic_session"],
        names: ["manifest.json", "manifest.sig"],
        contents: [manifests::whole().into_bytes(), vec![5; 256]],
    };
    for pair in [archives, manifests] {
        honest(book, &pair);
        two_views(book, &pair);
        not_plain(book, &pair);
        costly(book, &pair);
    }
    book.family(
        &["elastic_session"],
        "u08-page",
        [&b""[..], b"<!doctype html><title>Sign in</title>", b"\x1f\x8b\x08\x00", b"PK", b"PK\x03\x04"],
    );
    others_code(book);
}

fn options(method: CompressionMethod) -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(method)
}

impl Pair {
    fn zip(&self, options: SimpleFileOptions) -> Vec<u8> {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in self.names.iter().zip(&self.contents) {
            writer.start_file(*name, options).expect("memory takes it");
            writer.write_all(content).expect("memory takes it");
        }
        writer.finish().expect("memory takes it").into_inner()
    }

    fn streamed(&self, options: SimpleFileOptions) -> Vec<u8> {
        let mut writer = ZipWriter::new_stream(Vec::new());
        for (name, content) in self.names.iter().zip(&self.contents) {
            writer.start_file(*name, options).expect("memory takes it");
            writer.write_all(content).expect("memory takes it");
        }
        writer.finish().expect("memory takes it").into_inner()
    }

    fn one(&self) -> Vec<u8> {
        let [name, _] = self.names;
        let [content, _] = &self.contents;
        zip_of_one(name, content)
    }
}

fn honest(book: &mut Book, pair: &Pair) {
    book.honest(pair.targets, "stored", pair.zip(options(CompressionMethod::Stored)));
    book.honest(pair.targets, "deflated", pair.zip(options(CompressionMethod::Deflated)));
    book.honest(pair.targets, "streamed", pair.streamed(options(CompressionMethod::Deflated)));
    book.honest(pair.targets, "streamed-stored", pair.streamed(options(CompressionMethod::Stored)));
    book.honest(pair.targets, "zip64", pair.zip(options(CompressionMethod::Deflated).large_file(true)));
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.add_directory("folder/", options(CompressionMethod::Stored)).expect("memory takes it");
    writer.set_comment("made by hand").expect("a short comment");
    book.family(pair.targets, "folder-and-comment", [writer.finish().expect("memory takes it").into_inner()]);
    book.family(pair.targets, "empty-archive", [b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"]);
}

/// Where the directory of an archive without a comment begins.
fn directory(zip: &[u8]) -> usize {
    let end = zip.len().saturating_sub(22);
    let start = zip.get(end + 16..end + 20).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes);
    usize::try_from(start).unwrap_or(usize::MAX)
}

/// Sets bytes at a place.
fn set(zip: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut changed = zip.to_vec();
    for (offset, byte) in bytes.iter().enumerate() {
        if let Some(slot) = changed.get_mut(at + offset) {
            *slot = *byte;
        }
    }
    changed
}

/// Sets bytes of the first member's headers: `at` in its own, two further in the directory's.
fn both(zip: &[u8], at: usize, bytes: &[u8]) -> Vec<u8> {
    set(&set(zip, at, bytes), directory(zip) + at + 2, bytes)
}

fn two_views(book: &mut Book, pair: &Pair) {
    let two = pair.zip(options(CompressionMethod::Stored));
    let one = pair.one();
    let (start, end) = (directory(&two), two.len() - 22);
    let second = directory(&one);
    // Version, flags, method, CRC, sizes, name's length, name: each differs between the two headers.
    book.family(
        pair.targets,
        "c23-headers-differ",
        [(6, 2), (8, 8), (14, 1), (18, 3), (22, 3), (26, 1), (28, 4), (30, b'x')]
            .map(|(at, byte)| set(&two, at, &[byte])),
    );
    let [first, other] = pair.names;
    let renamed = |zip: &[u8], from: &str, to: &str| {
        let text: Vec<u8> = zip.to_vec();
        let places: Vec<usize> = (0..text.len())
            .filter(|at| text.get(*at..).is_some_and(|rest| rest.starts_with(from.as_bytes())))
            .collect();
        places.into_iter().fold(text, |text, at| set(&text, at, to.as_bytes()))
    };
    let shared = first.get(..other.len()).unwrap_or(first);
    book.family(
        pair.targets,
        "c23-same-name",
        [renamed(&two, other, shared), renamed(&zip_of_one(&first.to_uppercase(), b""), &first.to_uppercase(), first)],
    );
    let central = one.get(second..one.len() - 22).unwrap_or_default();
    let doubled =
        [one.get(..one.len() - 22).unwrap_or_default(), central, one.get(one.len() - 22..).unwrap_or_default()]
            .concat();
    let tail = doubled.len() - 22;
    let doubled = set(
        &set(&doubled, tail + 8, &[2, 0, 2]),
        tail + 12,
        &u32::try_from(central.len() * 2).unwrap_or(0).to_le_bytes(),
    );
    book.family(pair.targets, "c21-overlapping", [doubled, set(&two, start + 42, &[1])]);
    book.family(pair.targets, "c24-stacked", [[&one[..], &two].concat(), [&two[..], &one].concat()]);
    book.family(
        pair.targets,
        "c24-around",
        [
            [b"#!/bin/sh\n", &two[..]].concat(),
            [&two[..], b"\0"].concat(),
            [two.get(..start).unwrap_or_default(), &[0; 3], two.get(start..).unwrap_or_default()].concat(),
            [two.get(..end).unwrap_or_default(), &[0; 3], two.get(end..).unwrap_or_default()].concat(),
            [&set(&two, end + 20, &[22])[..], two.get(end..).unwrap_or_default()].concat(),
        ],
    );
    book.family(
        pair.targets,
        "c24-end-lies",
        [(4, 1), (6, 1), (8, 1), (10, 1), (12, 9), (16, 1), (20, 1)].map(|(at, byte)| set(&two, end + at, &[byte])),
    );
}

fn not_plain(book: &mut Book, pair: &Pair) {
    let one = pair.one();
    let start = directory(&one);
    let modes = [0o120_777_u32, 0o020_600, 0o040_755, 0o010_600];
    book.family(
        pair.targets,
        "c25-mode",
        modes.map(|mode| set(&set(&one, start + 5, &[3]), start + 38, &(mode << 16).to_le_bytes())),
    );
    let names = [
        "../climb",
        "/etc/passwd",
        "C:\\x",
        "a\\b",
        "a//b",
        "./a",
        "a/../b",
        "a\0b",
        "a\u{202e}b",
        "a.",
        "a ",
        "NUL",
        "f/",
    ];
    book.family(pair.targets, "c25-name", names.map(|name| zip_of_one(name, b"content")));
    book.family(pair.targets, "c27-encrypted", [both(&one, 6, &[1]), both(&one, 6, &[0x41])]);
    book.family(pair.targets, "c27-method", [both(&one, 8, &[99]), both(&one, 8, &[8]), both(&one, 8, &[9])]);
    book.family(pair.targets, "c27-stored-size", [both(&one, 22, &[1]), both(&one, 18, &[1])]);
    let streamed = pair.streamed(options(CompressionMethod::Stored));
    let at = (0..streamed.len()).find(|at| streamed.get(*at..).is_some_and(|rest| rest.starts_with(b"PK\x07\x08")));
    book.family(
        pair.targets,
        "c27-descriptor-lies",
        [4, 8, 12].map(|offset| set(&streamed, at.unwrap_or(0) + offset, &[0x5a])),
    );
    book.family(pair.targets, "c28-crc", [both(&one, 14, &[1, 2, 3, 4])]);
}

fn costly(book: &mut Book, pair: &Pair) {
    let [name, _] = pair.names;
    let bomb = |bytes: usize| {
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        writer.start_file(name, options(CompressionMethod::Deflated)).expect("memory takes it");
        writer.write_all(&vec![0; bytes]).expect("memory takes it");
        writer.finish().expect("memory takes it").into_inner()
    };
    let flat = bomb(900_000);
    // And one that says it is small.
    let lying = both(&flat, 22, &[9, 0, 0, 0]);
    book.family(pair.targets, "c21-bomb", [flat, lying]);
    let mut nested = pair.one();
    for _ in 0..3 {
        nested = zip_of_one("inner.zip", &nested);
    }
    book.family(pair.targets, "c21-nested", [nested]);
    let mut many = ZipWriter::new(Cursor::new(Vec::new()));
    for index in 0..66 {
        many.start_file(format!("{index}"), options(CompressionMethod::Stored)).expect("memory takes it");
    }
    book.family(pair.targets, "c14-many", [many.finish().expect("memory takes it").into_inner()]);
}

/// Libraries for other systems and processors (C39).
fn others_code(book: &mut Book) {
    let heads: [&[u8]; 5] = [
        b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\xb7\0",
        b"\xcf\xfa\xed\xfe\x07\0\0\x01",
        b"\xcf\xfa\xed\xfe\x0c\0\0\x01",
        b"\xca\xfe\xba\xbe",
        b"\x7fELF",
    ];
    book.family(&["defender_archive"], "c39-foreign", heads.map(|head| zip_of_one("libmpengine.so", head)));
}
