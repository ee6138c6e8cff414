use model::{Note, Reason};

use super::*;
use crate::Inspection;
use crate::defender::archive::Whole;

const LINUX: &[&str] =
    &["libmpengine.so", "libmpengine.so.sig", "mpavbase.vdm", "mpavdlta.vdm", "mpasbase.vdm", "mpasdlta.vdm"];

fn whole(feed: &str, policy: MemberPolicy) -> Whole {
    Whole::new(place(feed), &DefenderSettings { expected_members: policy, ..DefenderSettings::default() })
}

fn look(feed: &str, policy: MemberPolicy, names: &[&str]) -> Result<Vec<Note>, Note> {
    whole(feed, policy).inspect(&mut Cursor::new(archive(names)))
}

const FEED: &str = "defender/linux/production/x86_64";

#[test]
fn archives_as_they_have_been() {
    for policy in [MemberPolicy::Off, MemberPolicy::Warn, MemberPolicy::Require] {
        assert_eq!(look(FEED, policy, LINUX), Ok(Vec::new()));
        // Folders are ignored, and so are members nobody has heard of.
        let nested = ["0-0/", "0-0/LIBMPENGINE.SO", "0-0/mpavbase.vdm", "0-0/a/", "readme.txt"];
        assert_eq!(look(FEED, policy, &nested), Ok(Vec::new()));
        assert_eq!(look("defender/mac/preview/arm64", policy, &["libmpengine.dylib", "mpasbase.vdm"]), Ok(Vec::new()));
    }
}

#[test]
fn members_that_are_absent() {
    for (names, absent) in [
        (&LINUX[..2], "no member matches 'mp*base.vdm'"),
        (&LINUX[2..], "no member matches '*mpengine*'"),
        (&["mpavdlta.vdm", "mpasbase.vdm", "libmpengine.so/"], "no member matches '*mpengine*'"),
    ] {
        let notes = look(FEED, MemberPolicy::Warn, names).unwrap();
        assert!(notes.iter().all(|note| note.reason == Reason::UnexpectedMembers), "{notes:?}");
        assert_eq!(notes[0].detail, absent);
        let note = look(FEED, MemberPolicy::Require, names).unwrap_err();
        assert_eq!(note.reason, Reason::UnexpectedMembers);
        assert!(note.detail.starts_with(absent), "{note:?}");
        assert_eq!(look(FEED, MemberPolicy::Off, names), Ok(Vec::new()));
    }
}

#[test]
fn an_archive_without_files_is_refused_under_every_policy_u52() {
    let mut hollow = ::zip::ZipWriter::new(Cursor::new(Vec::new()));
    for name in LINUX {
        hollow.start_file(*name, ::zip::write::SimpleFileOptions::default()).unwrap();
    }
    let hollow = hollow.finish().unwrap().into_inner();
    for policy in [MemberPolicy::Off, MemberPolicy::Warn, MemberPolicy::Require] {
        for bytes in [archive(&[]), archive(&["0-0/", "libmpengine.so/", "mpavbase.vdm/"]), hollow.clone()] {
            let note = whole(FEED, policy).inspect(&mut Cursor::new(bytes)).unwrap_err();
            assert_eq!(note.reason, Reason::UnexpectedMembers, "{policy:?}");
            assert_eq!(note.detail, "updates.zip holds no file with bytes in it");
        }
    }
}

#[test]
fn an_archive_with_nothing_expected_is_taken_only_unlooked_at_u52() {
    for names in [&["x"][..], &["readme.txt", "0-0/"], &["mpavdlta.vdm", "libmpengine.so/"]] {
        for policy in [MemberPolicy::Warn, MemberPolicy::Require] {
            let note = look(FEED, policy, names).unwrap_err();
            assert_eq!(note.reason, Reason::UnexpectedMembers, "{names:?}");
            assert!(note.detail.ends_with("no member matches '*mpengine*' or 'mp*base.vdm'"), "{note:?}");
        }
        assert_eq!(look(FEED, MemberPolicy::Off, names), Ok(Vec::new()));
    }
    let unpatterned = DefenderSettings { member_patterns: Vec::new(), ..DefenderSettings::default() };
    let looked = Whole::new(place(FEED), &unpatterned).inspect(&mut Cursor::new(archive(&["x"])));
    assert_eq!(looked, Ok(Vec::new()), "nothing was expected");
}

const ELF_X64: &[u8] = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0";
const ELF_ARM64: &[u8] = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\xb7\0\x01\0\0\0";
const MACH_X64: &[u8] = b"\xcf\xfa\xed\xfe\x07\0\0\x01\x03\0\0\0\x06\0\0\0\0\0\0\0";
const MACH_ARM64: &[u8] = b"\xcf\xfa\xed\xfe\x0c\0\0\x01\0\0\0\0\x06\0\0\0\0\0\0\0";
const MACH_BOTH: &[u8] = b"\xca\xfe\xba\xbe\0\0\0\x02\x01\0\0\x07\0\0\0\x03\0\0\x40\0";
/// Definitions are laid out as Windows libraries on every system.
const VDM: &[u8] = b"MZ\x90\0\x03\0\0\0\x04\0\0\0\xff\xff\0\0\xb8\0\0\0";

fn with_code(libraries: &[&[u8]]) -> Vec<u8> {
    let mut writer = ::zip::ZipWriter::new(Cursor::new(Vec::new()));
    let named = libraries.iter().enumerate().map(|(index, code)| (format!("libmpengine{index}.so"), *code));
    for (name, code) in named.chain([("mpavbase.vdm".to_owned(), VDM)]) {
        writer.start_file(name, ::zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(code).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn another_systems_or_processors_archive_c39() {
    let feeds = [
        "defender/linux/production/x86_64",
        "defender/linux/production/arm64",
        "defender/mac/production/x86_64",
        "defender/mac/production/arm64",
    ];
    for (libraries, fits) in [
        ([ELF_X64].as_slice(), [true, false, false, false]),
        (&[ELF_ARM64], [false, true, false, false]),
        (&[MACH_X64], [false, false, true, false]),
        (&[MACH_ARM64], [false, false, false, true]),
        (&[MACH_BOTH], [false, false, true, true]),
        (&[ELF_X64, ELF_ARM64], [true, true, false, false]),
        (&[ELF_X64, MACH_ARM64], [true, false, false, true]),
        (&[b"no library known here"], [true; 4]),
        (&[VDM], [true; 4]),
        (&[&ELF_X64[..19]], [true; 4]),
    ] {
        let bytes = with_code(libraries);
        for (feed, fits) in feeds.into_iter().zip(fits) {
            let look = |policy| whole(feed, policy).inspect(&mut Cursor::new(&bytes));
            assert_eq!(look(MemberPolicy::Off), Ok(Vec::new()));
            let notes = look(MemberPolicy::Warn).unwrap();
            assert_eq!(notes.is_empty(), fits, "{feed} {notes:?}");
            assert!(notes.iter().all(|note| note.detail.contains("the feed is for")), "{notes:?}");
            let required = look(MemberPolicy::Require).map_err(|note| note.reason);
            assert_eq!(required, if fits { Ok(Vec::new()) } else { Err(Reason::UnexpectedMembers) });
        }
    }
}

#[test]
fn archives_that_are_damaged_u55_c28_c29() {
    let good = archive(LINUX);
    for policy in [MemberPolicy::Off, MemberPolicy::Require] {
        let inspect = |bytes: &[u8]| whole(FEED, policy).inspect(&mut Cursor::new(bytes)).unwrap_err();
        assert_eq!(inspect(b"<!doctype html><html>Sign in</html>").reason, Reason::BadZip);
        assert_eq!(inspect(b"").reason, Reason::BadZip);
        assert_eq!(inspect(&good[..good.len() - 1]).reason, Reason::BadZip);
        let mut flipped = good.clone();
        flipped[50] ^= 1;
        assert_eq!(inspect(&flipped).reason, Reason::MemberDamaged);
    }
}

#[test]
fn caps_follow_the_archives_cap_c21() {
    let settings = DefenderSettings { archive_cap: 20, ..DefenderSettings::default() };
    let whole = Whole::new(place(FEED), &settings);
    assert_eq!(whole.inspect(&mut Cursor::new(archive(LINUX))).unwrap_err().reason, Reason::MemberDamaged);
}

#[test]
fn patterns() {
    let matched = |patterns: &[&str], names: &[&str]| {
        let member_patterns = patterns.iter().map(ToString::to_string).collect();
        let settings = DefenderSettings { member_patterns, ..DefenderSettings::default() };
        // A single pattern that nothing matches refuses the archive.
        Whole::new(place(FEED), &settings).inspect(&mut Cursor::new(archive(names))).is_ok()
    };
    for (pattern, name) in [
        ("*", "a"),
        ("a", "A"),
        ("?b*d", "abcd"),
        ("a*b*c", "aXbXbXc"),
        ("x|b", "b"),
        ("mp*base.vdm", "mpasbase.vdm"),
        ("**a**", "a"),
        ("lib*.so | lib*.dylib", "x/libe.so"),
    ] {
        assert!(matched(&[pattern], &[name]), "{pattern} {name}");
    }
    for (pattern, name) in
        [("a", "ab"), ("", "a"), ("?", "ab"), ("a*b", "ac"), ("*.vdm", "a.vdm.sig"), ("a/b", "a/b"), ("a|b", "c")]
    {
        assert!(!matched(&[pattern], &[name]), "{pattern} {name}");
    }
    let slow = "*a".repeat(60);
    assert!(!matched(&[&slow], &[&"a".repeat(59)]));
}

#[test]
fn results_are_kept_under_what_they_depend_on() {
    let keys: std::collections::BTreeSet<String> = [
        whole(FEED, MemberPolicy::Warn),
        whole(FEED, MemberPolicy::Require),
        whole("defender/mac/production/x86_64", MemberPolicy::Warn),
        whole("defender/linux/production/arm64", MemberPolicy::Warn),
        Whole::new(place(FEED), &DefenderSettings { archive_cap: 1, ..DefenderSettings::default() }),
        Whole::new(place(FEED), &DefenderSettings { member_patterns: Vec::new(), ..DefenderSettings::default() }),
    ]
    .iter()
    .map(Whole::key)
    .collect();
    assert_eq!(keys.len(), 6);
    let same = whole("defender/linux/preview/x86_64", MemberPolicy::Warn).key();
    assert!(keys.contains(&same), "one look serves both tracks that offer the same bytes");
}
