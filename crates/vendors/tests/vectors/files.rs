//! Vectors that are archives and XML.

use model::Digest;

use crate::builder::{Build, extra};
use crate::documents::{archive, info, manifest, zip};
use crate::make::Book;

pub(crate) fn add(book: &mut Book) {
    archives(book);
    signatures(book);
    elsewhere(book);
    documents(book);
}

/// An archive with one thing wrong.
type Wrong = (&'static str, &'static str, fn(Build) -> Vec<u8>);

/// C21 to C30: each for both vendors' archives.
const WRONG: &[Wrong] = &[
    ("stacked-zips/in-front", "bad_zip", |build| [zip(&manifest("1.0.11", 1)), build.bytes()].concat()),
    ("stacked-zips/behind", "bad_zip", |build| [build.bytes(), zip(&manifest("1.0.11", 1))].concat()),
    ("stacked-zips/prefix", "bad_zip", |build| [b"#!/bin/sh\n".to_vec(), build.bytes()].concat()),
    ("stacked-zips/gap", "bad_zip", |build| build.with(|b| b.parts[0].gap = b"gap".to_vec()).bytes()),
    ("stacked-zips/trailing-bytes", "bad_zip", |build| build.with(|b| b.trailing = b"more".to_vec()).bytes()),
    ("two-views/other-name", "bad_zip", |build| build.with(|b| b.parts[0].local.name = b"other".to_vec()).bytes()),
    ("two-views/other-size", "bad_zip", |build| build.with(|b| b.parts[0].local.size += 1).bytes()),
    ("two-views/other-checksum", "bad_zip", |build| build.with(|b| b.parts[0].local.crc32 ^= 1).bytes()),
    ("two-views/other-method", "bad_zip", |build| build.with(|b| b.parts[0].local.method = 8).bytes()),
    ("two-views/name-twice", "bad_zip", |build| build.with(|b| b.parts.push(b.parts[0].clone())).bytes()),
    ("two-views/name-in-another-case", "bad_zip", |build| build.with(|b| b.parts.push(upper(&b.parts[0]))).bytes()),
    ("zip-bomb/overlapping", "bad_zip", |build| {
        build
            .with(|b| {
                let mut again = b.parts[0].clone();
                (again.local.name, again.central.name) = (b"again".to_vec(), b"again".to_vec());
                again.offset = Some(0);
                b.parts.push(again);
            })
            .bytes()
    }),
    ("zip-bomb/flat", "member_damaged", |build| build.deflated("zeros", &vec![0; 4 << 20]).bytes()),
    ("member-elsewhere/climbing", "bad_zip", |build| build.stored("../../etc/cron.d/x", b"x").bytes()),
    ("member-elsewhere/absolute", "bad_zip", |build| build.stored("/etc/passwd", b"x").bytes()),
    ("member-elsewhere/drive", "bad_zip", |build| build.stored("C:/x", b"x").bytes()),
    ("member-elsewhere/backslash", "bad_zip", |build| build.stored("..\\x", b"x").bytes()),
    ("member-elsewhere/nul", "bad_zip", |build| build.stored("a\0b", b"x").bytes()),
    ("member-not-plain/link", "bad_zip", |build| attributes(build, 0o120_777)),
    ("member-not-plain/device", "bad_zip", |build| attributes(build, 0o020_600)),
    ("member-not-plain/pipe", "bad_zip", |build| attributes(build, 0o010_600)),
    ("encrypted-member/flag", "bad_zip", |build| flags(build, 1)),
    ("encrypted-member/strong", "bad_zip", |build| flags(build, 1 << 6)),
    ("encrypted-member/aes", "bad_zip", |build| {
        build.with(|b| b.parts[0].central.extra = extra(0x9901, &[2, 0, b'A', b'E', 3, 8, 0])).bytes()
    }),
    ("unknown-method/99", "bad_zip", |build| method(build, 99)),
    ("unknown-method/lzma", "bad_zip", |build| method(build, 14)),
    ("wrong-checksum/stored", "member_damaged", |build| {
        build.with(|b| (b.parts[0].local.crc32, b.parts[0].central.crc32) = (7, 7)).bytes()
    }),
    ("wrong-descriptor/flag-without-one", "bad_zip", |build| flags(build, 8)),
    ("wrong-descriptor/lying", "bad_zip", |build| {
        build
            .deflated("late", b"late late")
            .streamed(true, false)
            .with(|b| b.parts.last_mut().unwrap().descriptor[5] ^= 1)
            .bytes()
    }),
    ("truncated/end-record", "bad_zip", |build| cut(&build, 3)),
    ("truncated/directory", "bad_zip", |build| cut(&build, 40)),
    ("truncated/half", "bad_zip", |build| cut(&build, build.bytes().len() / 2)),
];

fn upper(part: &crate::builder::Part) -> crate::builder::Part {
    let mut part = part.clone();
    part.local.name = part.local.name.to_ascii_uppercase();
    part.central.name = part.local.name.clone();
    part
}

fn attributes(build: Build, mode: u32) -> Vec<u8> {
    build.with(|b| b.parts[0].attributes = mode << 16).bytes()
}

fn flags(build: Build, flags: u16) -> Vec<u8> {
    build.with(|b| (b.parts[0].local.flags, b.parts[0].central.flags) = (flags, flags)).bytes()
}

fn method(build: Build, method: u16) -> Vec<u8> {
    build.with(|b| (b.parts[0].local.method, b.parts[0].central.method) = (method, method)).bytes()
}

fn cut(build: &Build, bytes: usize) -> Vec<u8> {
    let whole = build.bytes();
    whole[..whole.len() - bytes].to_vec()
}

fn archives(book: &mut Book) {
    for (place, reason, wrong) in WRONG {
        let elastic = Build::new().stored("manifest.json", &manifest("1.0.10", 1));
        let elastic = wrong(elastic);
        // What does not begin as an archive is no manifest.
        let reason_there = if elastic.starts_with(b"PK") { reason } else { "not_manifest" };
        book.add(&format!("{place}-elastic"), "manifest.zip", elastic, reason_there);
        book.add(&format!("{place}-defender"), "updates.zip", wrong(archive()), reason);
    }
    book.add("not-a-zip/page", "manifest.zip", "<!doctype html><title>Sign in</title>\n", "not_manifest");
    book.add("not-a-zip/nothing", "manifest.zip", "", "not_manifest");
    book.add("not-a-zip/page-defender", "updates.zip", "<!doctype html><title>Sign in</title>\n", "bad_zip");
    let folder = Build::new().stored("a/", b"").stored("manifest.json", &manifest("1.0.10", 1));
    book.add("member-not-plain/folder-elastic", "manifest.zip", folder.bytes(), "bad_zip");
}

/// C32, C33, where a signature is required.
fn signatures(book: &mut Book) {
    let plain = manifest("1.0.10", 1);
    let signed =
        |signature: &[u8]| Build::new().stored("manifest.json", &plain).stored("manifest.sig", signature).bytes();
    // No key of ours: made of a digest, as long as a signature is.
    let noise: Vec<u8> = (0..8u8).flat_map(|part| Digest::of(&[part]).as_bytes().to_vec()).collect();
    book.add("bad-signature/absent", "manifest.zip", zip(&plain), "signature_missing");
    for (name, signature) in [
        ("empty", &noise[..0]),
        ("short", &noise[..40]),
        ("noise", &noise[..]),
        ("zeros", &[0; 256]),
        ("page", b"<html>"),
    ] {
        book.add(&format!("bad-signature/{name}"), "manifest.zip", signed(signature), "signature_unverified");
    }
}

/// C39, U52: an archive of another system, or of nothing.
fn elsewhere(book: &mut Book) {
    let arm = [b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\xb7\0\x01\0\0\0".as_slice(), &[7; 40]].concat();
    let other = Build::new().stored("libmpengine.so", &arm).stored("mpasbase.vdm", b"definitions");
    book.add("other-product/processor", "updates.zip", other.bytes(), "unexpected_members");
    let mac = Build::new()
        .stored("libmpengine.dylib", b"\xcf\xfa\xed\xfe\x07\0\0\x01")
        .stored("mpasbase.vdm", b"definitions");
    book.add("other-product/system", "updates.zip", mac.bytes(), "unexpected_members");
    let text = Build::new().stored("readme.txt", b"nothing that is expected");
    book.add("other-product/nothing-expected", "updates.zip", text.bytes(), "unexpected_members");
    book.add("shrunk/no-members", "updates.zip", Build::new().bytes(), "unexpected_members");
    let hollow = Build::new().stored("libmpengine.so", b"").stored("mpasbase.vdm", b"");
    book.add("shrunk/no-bytes", "updates.zip", hollow.bytes(), "unexpected_members");
}

/// C35, C36, U08: version documents.
fn documents(book: &mut Book) {
    let good = info();
    let entities: String = (0..10).map(|n| format!("<!ENTITY l{} '&l{n};&l{n};&l{n};&l{n};'>", n + 1)).collect();
    let root = good.split_once('\n').map(|(_, rest)| rest).unwrap_or_default();
    for (place, text) in [
        (
            "xml-entities/expansion",
            format!("<!DOCTYPE versions [<!ENTITY l0 'lol'>{entities}]>\n{}", root.replace("1.1.26080.3", "&l10;")),
        ),
        (
            "xml-entities/external",
            format!(
                "<!DOCTYPE versions [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>\n{}",
                root.replace("1.1.26080.3", "&x;")
            ),
        ),
        ("xml-entities/document-type", format!("<!DOCTYPE versions SYSTEM 'http://evil.invalid/x.dtd'>\n{root}")),
        ("xml-entities/undeclared", good.replace("1.1.26080.3", "&x;")),
        ("wrong-document/other-root", good.replace("versions>", "version>")),
        ("wrong-document/page", "<!doctype html><html><title>Sign in</title></html>\n".to_owned()),
        ("wrong-document/nothing", String::new()),
        ("wrong-document/no-engine", good.replace("engine>", "motor>")),
        ("wrong-document/engine-twice", good.replace("</versions>", "<engine>1.1.26080.4</engine></versions>")),
        ("wrong-document/empty-version", good.replace("1.459.553.0", "")),
        ("wrong-document/swapped", good.replace("<engine>1.1.26080.3</engine>", "<engine version=\"1.1.26080.3\"/>")),
        ("wrong-document/unclosed", good.replace("</versions>", "")),
        ("hostile-version/info-shell", good.replace("1.459.553.0", "1.459.553.$(id)")),
        ("hostile-version/info-page", good.replace("1.459.553.0", "&lt;img src=x onerror=alert(1)&gt;")),
        ("hostile-version/info-three-numbers", good.replace("1.459.553.0", "1.459.553")),
    ] {
        book.add(place, "info.xml", text, "bad_info");
    }
}
