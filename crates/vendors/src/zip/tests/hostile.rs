//! What two readers could read differently, or what costs more than it should, is refused.

use model::Reason::{BadZip, MemberDamaged};

use super::builder::{Build, Part, crc, deflate, extra, saturate};
use super::*;

fn two() -> Build {
    Build::new().stored("a", b"first").deflated("b", b"second, second, second")
}

#[track_caller]
fn changed(change: impl FnOnce(&mut Build)) {
    refused(&two().with(change).bytes(), BadZip);
}

#[test]
fn bombs_c21() {
    let zeros = vec![0; 900_000];
    refused(&Build::new().deflated("flat", &zeros).bytes(), MemberDamaged);
    refused(&Build::new().stored("large", &vec![0; (1 << 20) + 1]).bytes(), MemberDamaged);
    let third = vec![7; 1 << 20];
    let four = ["a", "b", "c", "d"].into_iter().fold(Build::new(), |build, name| build.stored(name, &third));
    refused(&four.bytes(), MemberDamaged);
    let many = (0..101).fold(Build::new(), |build, index| build.stored(&format!("{index}"), b""));
    refused(&many.bytes(), BadZip);
}

#[test]
fn a_bomb_that_lies_about_its_size_c21() {
    let packed = deflate(&vec![0; 50_000_000]);
    refused(&Build::new().member("a", 8, packed, b"small").bytes(), MemberDamaged);
}

#[test]
fn overlapping_members_c21() {
    // Each quotes the next one's header as its own bytes.
    let inner = Build::new().stored("b", b"kernel");
    let quoted = inner.bytes();
    let quoted = &quoted[..37];
    let mut build = Build::new().stored("a", quoted);
    let mut second: Part = inner.parts[0].clone();
    second.offset = Some(31);
    build.parts.push(second);
    let file = build.bytes();
    refused(&file, BadZip);
    // The same member named twice by the directory.
    changed(|b| b.order = Some(vec![0, 1, 1]));
    changed(|b| b.parts[1].offset = Some(0));
}

#[test]
fn members_behind_the_directory_c24() {
    // The second is said to lie behind the end of the file, so the first may say that it reaches there.
    for far in [1_000, 0x7fff_ffff] {
        let mut file = two().with(|b| b.parts[1].offset = Some(far)).bytes();
        refused(&file, BadZip);
        file[28..30].copy_from_slice(&900u16.to_le_bytes());
        refused(&file, BadZip);
    }
}

#[test]
fn two_names_that_are_one_c23() {
    for (one, other) in [("a", "a"), ("A/b", "a/B"), ("ä", "Ä"), ("a/", "a"), ("a", "a/b"), ("A", "a/b/c")] {
        let build = Build::new().stored(one, b"").stored(other, b"").with(|b| {
            b.parts.iter_mut().for_each(|part| (part.local.flags, part.central.flags) = (1 << 11, 1 << 11));
        });
        refused(&build.bytes(), BadZip);
    }
}

#[test]
fn headers_that_disagree_c23() {
    changed(|b| b.parts[1].local.name = b"c".to_vec());
    changed(|b| b.parts[1].local.name = b"bb".to_vec());
    changed(|b| b.parts[1].local.crc32 ^= 1);
    changed(|b| b.parts[1].local.size += 1);
    changed(|b| b.parts[1].local.compressed += 1);
    changed(|b| b.parts[1].local.method = 0);
    changed(|b| b.parts[1].local.flags = 2);
    changed(|b| b.parts[1].local.flags = 8);
    changed(|b| b.parts[1].central.flags = 8);
    changed(|b| b.parts[0].local.compressed = 0);
    changed(|b| (b.parts[0].local.size, b.parts[0].local.compressed) = (u32::MAX, u32::MAX));
    changed(|b| b.parts[0].local.extra = extra(1, &[9; 16]));
    changed(|b| b.parts[0].central.extra = extra(1, &[9; 16]));
}

#[test]
fn another_name_in_an_extra_field_c23() {
    changed(|b| b.parts[0].central.extra = extra(0x7075, &[1, 0, 0, 0, 0, b'z']));
    changed(|b| b.parts[0].local.extra = extra(0x7075, &[1, 0, 0, 0, 0, b'z']));
    changed(|b| b.parts[0].central.extra = extra(0x7075, &[1, 0, 0, 0, 0, b'a']).repeat(2));
    changed(|b| b.parts[0].central.extra = vec![1, 2, 3]);
    changed(|b| b.parts[0].central.extra = vec![0x55, 0x54, 9, 0, 1]);
}

#[test]
fn zip64_fields_that_two_readers_take_differently_c23() {
    let size = 5u64.to_le_bytes();
    for (narrow, body) in [
        ((5, u32::MAX), [size, size].concat()),
        ((u32::MAX, 5), [size, 6u64.to_le_bytes()].concat()),
        ((u32::MAX, u32::MAX), size.to_vec()),
        ((u32::MAX, u32::MAX), Vec::new()),
        ((5, 5), vec![5, 0, 0]),
        ((u32::MAX, u32::MAX), [size, size, [1; 8]].concat()),
    ] {
        changed(|b| {
            (b.parts[0].central.size, b.parts[0].central.compressed) = narrow;
            b.parts[0].central.extra = extra(1, &body);
        });
    }
    changed(|b| b.parts[0].central.extra = extra(1, &[]).repeat(2));
}

#[test]
fn bytes_that_belong_to_nothing_c24() {
    changed(|b| b.parts[0].gap = b"#!/bin/sh\n".to_vec());
    changed(|b| b.parts[1].gap = vec![0]);
    changed(|b| b.before_directory = vec![0; 3]);
    changed(|b| b.after_directory = vec![0; 3]);
    changed(|b| b.after_directory = b"PK\x05\x05\0\0".to_vec());
    changed(|b| b.trailing = vec![0]);
    changed(|b| b.order = Some(vec![0]));
    changed(|b| b.order = Some(vec![1]));
    changed(|b| b.order = Some(Vec::new()));
}

#[test]
fn stacked_archives_c24() {
    let (one, other) = (two().bytes(), Build::new().stored("a", b"other").bytes());
    refused(&[one.clone(), other.clone()].concat(), BadZip);
    refused(&two().with(|b| b.comment = other.clone()).bytes(), BadZip);
    refused(&Build::new().stored("a", b"x").with(|b| b.comment = [&one[..], &other].concat()).bytes(), BadZip);
    changed(|b| b.comment = b"PK\x05\x06".to_vec());
    changed(|b| b.comment = [b"PK\x05\x06".as_slice(), &[0; 18]].concat());
    changed(|b| b.parts[1].comment = b"PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x16\0".to_vec());
}

#[test]
fn end_records_that_lie_c24() {
    let lies: [fn(&mut [u8]); 9] = [
        |end| end[4] = 1,
        |end| end[6] = 1,
        |end| end[8] = 1,
        |end| (end[8], end[10]) = (3, 3),
        |end| (end[8], end[10]) = (1, 1),
        |end| end[12] ^= 1,
        |end| end[16] ^= 1,
        |end| end[20] = 1,
        saturate,
    ];
    for lie in lies {
        changed(|b| b.end = Some(lie));
    }
    // Every number of a zip64 record and its locator, but for versions.
    let wide: [fn(&mut [u8]); 11] = [
        |wide| wide[0] ^= 1,
        |wide| wide[4] = 45,
        |wide| wide[16] = 1,
        |wide| wide[20] = 1,
        |wide| wide[24] = 1,
        |wide| wide[32] = 1,
        |wide| wide[40] ^= 1,
        |wide| wide[48] ^= 1,
        |wide| wide[60] = 1,
        |wide| wide[64] ^= 1,
        |wide| wide[72] = 2,
    ];
    for lie in wide {
        changed(|b| b.wide = Some(lie));
        changed(|b| {
            b.wide = Some(lie);
            b.end = Some(saturate);
        });
    }
}

#[test]
fn members_that_are_no_plain_files_c25() {
    for mode in [0o120_777u32, 0o020_600, 0o060_600, 0o010_600, 0o140_700, 0o040_755, 0o170_000] {
        changed(|b| b.parts[0].attributes = mode << 16);
    }
    changed(|b| b.parts[0].attributes = 0x10);
    changed(|b| b.parts[0].attributes = 0x08);
    changed(|b| b.parts[0].central.extra = extra(0x756e, &[0; 14]));
    changed(|b| b.parts[0].local.extra = extra(0x000d, b"\0\0\0\0\0\0\0\0\0\0\0\0/etc/passwd"));
    refused(&Build::new().stored("a/", b"x").bytes(), BadZip);
    let file_by_mode = Build::new().stored("a/", b"").with(|b| b.parts[0].attributes = 0o100_644 << 16);
    refused(&file_by_mode.bytes(), BadZip);
    let folder = Build::new().stored("a/", b"").with(|b| b.parts[0].attributes = (0o040_755 << 16) | 0x10).bytes();
    contents(&folder, &CAPS).unwrap();
    let error = contents(&folder, &Caps { folders: false, ..CAPS }).unwrap_err();
    assert_eq!(error.reason(), BadZip);
}

#[test]
fn names_that_lead_elsewhere_c25() {
    for name in [
        "",
        "/",
        "/etc/passwd",
        "../a",
        "a/../b",
        "a/..",
        "..",
        ".",
        "./a",
        "a//b",
        "C:a",
        "C:/a",
        "a:b",
        "a\\b",
        "..\\a",
        "a\0b",
        "a\nb",
        "\u{1b}[2J",
        "a\u{7f}",
        "a.",
        "a ",
        "a./b",
        "a/ ",
        "//host/share",
        "a//",
        "ä",
    ] {
        refused(&Build::new().stored(name, b"").bytes(), BadZip);
    }
    for name in ["a\u{202e}b", "a\u{200b}", "a\u{85}", "\u{feff}a"] {
        let marked = Build::new().stored(name, b"").with(|b| {
            (b.parts[0].local.flags, b.parts[0].central.flags) = (1 << 11, 1 << 11);
        });
        refused(&marked.bytes(), BadZip);
    }
    refused(&Build::new().stored(&"a".repeat(65), b"").bytes(), BadZip);
    refused(&Build::new().stored(&"a/".repeat(33), b"").bytes(), BadZip);
    let not_utf8 = two().with(|b| {
        let part = &mut b.parts[0];
        for head in [&mut part.local, &mut part.central] {
            (head.name, head.flags) = (vec![0xff, 0xfe], 1 << 11);
        }
    });
    refused(&not_utf8.bytes(), BadZip);
}

#[test]
fn encryption_methods_and_disks_c27() {
    for flags in [1, 1 << 4, 1 << 5, 1 << 6, 1 << 13, 1 << 15] {
        changed(|b| (b.parts[0].local.flags, b.parts[0].central.flags) = (flags, flags));
    }
    for method in [1, 6, 9, 12, 14, 93, 95, 99] {
        changed(|b| (b.parts[0].local.method, b.parts[0].central.method) = (method, method));
    }
    changed(|b| b.parts[0].disk = 1);
    changed(|b| b.parts[0].central.extra = extra(0x9901, &[2, 0, b'A', b'E', 3, 8, 0]));
    changed(|b| b.parts[0].local.extra = extra(0x0017, &[0; 8]));
}

#[test]
fn descriptors_that_lie_c27() {
    for (signed, wide) in [(false, false), (true, false), (false, true), (true, true)] {
        let honest = Build::new().deflated("a", b"text, text, text").streamed(signed, wide);
        for at in 0..honest.parts[0].descriptor.len() {
            refused(&honest.clone().with(|b| b.parts[0].descriptor[at] ^= 1).bytes(), BadZip);
        }
        refused(&honest.clone().with(|b| b.parts[0].descriptor.truncate(11)).bytes(), BadZip);
        refused(&honest.clone().with(|b| b.parts[0].descriptor.push(0)).bytes(), BadZip);
        refused(&honest.clone().with(|b| b.parts[0].descriptor.clear()).bytes(), BadZip);
        refused(&honest.clone().with(|b| b.parts[0].local.size = 3).bytes(), BadZip);
    }
    changed(|b| b.parts[0].descriptor = vec![0; 12]);
}

#[test]
fn a_streamed_member_that_holds_its_own_end_c27() {
    let kernel = b"what a streaming reader sees";
    let mut inner = kernel.to_vec();
    for field in [0x0807_4b50, crc(kernel), kernel.len() as u32, kernel.len() as u32] {
        inner.extend(field.to_le_bytes());
    }
    inner.extend(b"what the directory's readers see as well");
    refused(&Build::new().stored("a", &inner).streamed(true, false).bytes(), BadZip);
    let known = Build::new().stored("a", &inner).streamed(true, false);
    refused(&known.with(|b| b.parts[0].local = b.parts[0].central.clone()).bytes(), BadZip);
    contents(&Build::new().stored("a", &inner).bytes(), &CAPS).unwrap();
    // Across the edge of two chunks.
    let mut long = vec![b'x'; (64 << 10) - 7];
    let size = long.len() as u32;
    for field in [0x0807_4b50, crc(&long), size, size] {
        long.extend(field.to_le_bytes());
    }
    refused(&Build::new().stored("a", &long).streamed(true, false).bytes(), BadZip);
}

#[test]
fn stored_sizes_that_differ_c27() {
    changed(|b| (b.parts[0].local.size, b.parts[0].central.size) = (4, 4));
    let cut = deflate(b"text, text, text");
    let more = [cut.clone(), vec![0]].concat();
    refused(&Build::new().member("a", 8, more, b"text, text, text").bytes(), MemberDamaged);
    refused(&Build::new().member("a", 8, cut[..cut.len() - 1].to_vec(), b"text, text, text").bytes(), MemberDamaged);
    refused(&Build::new().member("a", 8, Vec::new(), b"").bytes(), MemberDamaged);
    refused(&Build::new().member("a", 8, cut.clone(), b"text, text, tex").bytes(), MemberDamaged);
    refused(&Build::new().member("a", 8, cut, b"text, text, text,").bytes(), MemberDamaged);
    refused(&Build::new().member("a", 8, b"\xff\xff\xff\xff".to_vec(), b"text").bytes(), MemberDamaged);
}

#[test]
fn crc_that_is_wrong_everywhere_c28() {
    for index in 0..2 {
        let wrong = two().with(|b| {
            b.parts[index].local.crc32 ^= 0x100;
            b.parts[index].central.crc32 ^= 0x100;
        });
        refused(&wrong.bytes(), MemberDamaged);
    }
}
