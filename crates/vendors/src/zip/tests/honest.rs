//! What honest writers make is taken, and read as they meant it.

use std::io::{Cursor, Write as _};

use ::zip::write::{SimpleFileOptions, ZipWriter};
use ::zip::{CompressionMethod, DateTime};

use super::builder::{Build, extra, saturate};
use super::*;

const TEXT: &[u8] = b"definitions, definitions, definitions, definitions";

fn options(method: CompressionMethod) -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(method).last_modified_time(DateTime::default())
}

#[track_caller]
fn taken(archive: &[u8], expected: &[(&str, &[u8])]) {
    let read = contents(archive, &CAPS).unwrap();
    let read: Vec<(&str, &[u8])> = read.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    assert_eq!(read, expected);
}

fn write<W: std::io::Write + std::io::Seek>(mut writer: ZipWriter<W>, large: bool) -> W {
    let stored = options(CompressionMethod::Stored).large_file(large);
    let deflated = options(CompressionMethod::Deflated).large_file(large);
    for (name, method, data) in
        [("libmpengine.so", deflated, TEXT), ("a/mpavbase.vdm", stored, TEXT), ("a/empty", deflated, b"")]
    {
        writer.start_file(name, method.unix_permissions(0o755)).unwrap();
        writer.write_all(data).unwrap();
    }
    writer.add_directory("b", stored).unwrap();
    writer.finish().unwrap()
}

const WRITTEN: &[(&str, &[u8])] = &[("libmpengine.so", TEXT), ("a/mpavbase.vdm", TEXT), ("a/empty", b""), ("b/", b"")];

#[test]
fn another_writers_archives() {
    for large in [false, true] {
        taken(&write(ZipWriter::new(Cursor::new(Vec::new())), large).into_inner(), WRITTEN);
    }
    let mut commented = ZipWriter::new(Cursor::new(Vec::new()));
    commented.set_comment("made by a test").unwrap();
    taken(&write(commented, false).into_inner(), WRITTEN);
}

#[test]
fn another_writers_streamed_archives() {
    for large in [false, true] {
        taken(&write(ZipWriter::new_stream(Vec::new()), large).into_inner(), WRITTEN);
    }
}

#[test]
fn another_reader_reads_ours_alike() {
    let bytes = Build::new().stored("x", TEXT).deflated("y/z", TEXT).streamed(true, false).bytes();
    taken(&bytes, &[("x", TEXT), ("y/z", TEXT)]);
    let mut other = ::zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    for index in 0..2 {
        let mut read = Vec::new();
        std::io::copy(&mut other.by_index(index).unwrap(), &mut read).unwrap();
        assert_eq!(read, TEXT);
    }
}

#[test]
fn nothing_at_all() {
    taken(&Build::new().bytes(), &[]);
}

#[test]
fn members_come_in_file_order() {
    let build = Build::new().stored("1", b"one").stored("2", b"two").stored("3", b"three");
    taken(&build.with(|b| b.order = Some(vec![2, 0, 1])).bytes(), &[("1", b"one"), ("2", b"two"), ("3", b"three")]);
}

#[test]
fn descriptors_of_every_form() {
    for (signed, wide) in [(false, false), (true, false), (false, true), (true, true)] {
        let build = Build::new().deflated("a", TEXT).streamed(signed, wide).stored("b", TEXT).streamed(signed, wide);
        taken(&build.bytes(), &[("a", TEXT), ("b", TEXT)]);
        let known = build.with(|b| b.parts.iter_mut().for_each(|part| part.local = part.central.clone()));
        taken(&known.bytes(), &[("a", TEXT), ("b", TEXT)]);
    }
}

#[test]
fn zip64_of_every_form() {
    taken(&Build::new().stored("a", TEXT).with(|b| b.wide = Some(|_| {})).bytes(), &[("a", TEXT)]);
    let saturated = Build::new().stored("a", TEXT).with(|b| {
        b.wide = Some(|_| {});
        b.end = Some(saturate);
    });
    taken(&saturated.bytes(), &[("a", TEXT)]);
    let size = (TEXT.len() as u64).to_le_bytes();
    let cases: [(u32, u32, Option<u32>, Vec<u8>); 5] = [
        (u32::MAX, u32::MAX, None, [size, size].concat()),
        (u32::MAX, u32::MAX, Some(u32::MAX), [size, size, [0; 8]].concat()),
        (TEXT.len() as u32, TEXT.len() as u32, Some(u32::MAX), vec![0; 8]),
        (TEXT.len() as u32, TEXT.len() as u32, None, [size, size, [0; 8]].concat()),
        (TEXT.len() as u32, u32::MAX, None, size.to_vec()),
    ];
    for (narrow_size, narrow_compressed, offset, body) in cases {
        let build = Build::new().stored("a", TEXT).with(|b| {
            let part = &mut b.parts[0];
            (part.central.size, part.central.compressed, part.offset) = (narrow_size, narrow_compressed, offset);
            part.central.extra = extra(1, &body);
        });
        taken(&build.bytes(), &[("a", TEXT)]);
    }
}

#[test]
fn names_beyond_ascii_that_say_so() {
    let build = Build::new().stored("größe", TEXT).with(|b| {
        b.parts[0].local.flags |= 1 << 11;
        b.parts[0].central.flags |= 1 << 11;
        let path = [&[1, 0, 0, 0, 0], "größe".as_bytes()].concat();
        b.parts[0].central.extra = [extra(0x7075, &path), extra(0x5455, &[0; 5])].concat();
    });
    taken(&build.bytes(), &[("größe", TEXT)]);
}

#[test]
fn an_archive_inside_an_archive_is_a_member() {
    let inner = Build::new().stored("inner", TEXT).bytes();
    taken(&Build::new().stored("outer.zip", &inner).bytes(), &[("outer.zip", &inner)]);
    taken(&Build::new().stored("outer.zip", &inner).streamed(true, false).bytes(), &[("outer.zip", &inner)]);
}

#[test]
fn large_members_stream_in_chunks() {
    let large: Vec<u8> =
        (0..300_000u32).flat_map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()).take(1 << 20).collect();
    taken(&Build::new().deflated("a", &large).stored("b", &large).bytes(), &[("a", &large), ("b", &large)]);
}

#[test]
fn a_member_is_read_up_to_a_cap() {
    let bytes = Build::new().stored("a", TEXT).bytes();
    let mut bytes = Cursor::new(bytes);
    let mut archive = Archive::open(&mut bytes, &CAPS).unwrap();
    assert_eq!(archive.find("a"), Some(0));
    assert_eq!(archive.find("A"), None);
    assert_eq!(archive.read(0, TEXT.len() as u64).unwrap(), TEXT);
    assert_eq!(archive.head(0, 3).unwrap(), &TEXT[..3]);
    assert_eq!(archive.head(0, 1 << 20).unwrap(), TEXT);
    assert_eq!(archive.read(0, 3).unwrap_err().reason(), model::Reason::MemberDamaged);
    assert_eq!(archive.read(1, 3).unwrap_err().reason(), model::Reason::BadZip);
}
