//! The strict zip reader.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};

use model::Reason;
use vendors::zip::{Archive, Caps, Member, ZipError};
use zip::read::read_zipfile_from_stream;

use crate::fit_to_show;

const CAPS: Caps =
    Caps { entries: 64, name_bytes: 128, member_bytes: 1 << 20, total_bytes: 2 << 20, ratio: 100, folders: true };

type Contents = Vec<(String, Vec<u8>)>;

/// What is taken has one view: a reader that starts at the directory and one that streams from the front see the
/// same names with the same bytes. What is refused is refused within the caps.
pub fn zip_view(bytes: &[u8]) {
    match read(bytes, &CAPS) {
        Ok((members, contents)) => {
            well_formed(bytes, &members);
            by_directory(bytes, &contents);
            by_stream(bytes, &contents);
            narrower(bytes, &members);
        }
        Err(error) => {
            fit_to_show(&error.to_string());
            assert!(matches!(error.reason(), Reason::BadZip | Reason::MemberDamaged), "{error:?}");
        }
    }
}

fn read(bytes: &[u8], caps: &Caps) -> Result<(Vec<Member>, Contents), ZipError> {
    let mut cursor = Cursor::new(bytes);
    let mut archive = Archive::open(&mut cursor, caps)?;
    archive.check_all()?;
    let members = archive.members().to_vec();
    let mut contents = Vec::new();
    for (index, member) in members.iter().enumerate() {
        let whole = archive.read(index, CAPS.member_bytes)?;
        let head = archive.head(index, 20)?;
        assert!(whole.starts_with(&head) && head.len() == whole.len().min(20));
        assert_eq!(archive.find(&member.name), Some(index));
        contents.push((member.name.clone(), whole));
    }
    Ok((members, contents))
}

fn well_formed(bytes: &[u8], members: &[Member]) {
    let mut names = BTreeSet::new();
    assert!(members.len() <= CAPS.entries);
    for member in members {
        let name = &member.name;
        assert!(!name.contains(['\\', ':', '\0']) && name.len() <= CAPS.name_bytes, "{name:?}");
        let path = name.strip_suffix('/').unwrap_or(name);
        assert!(path.split('/').all(|part| !part.is_empty() && part != "." && part != ".."), "{name:?}");
        assert_eq!(name.ends_with('/'), member.is_folder);
        assert!(names.insert(path.to_lowercase()), "{name:?} is there twice");
        assert!(member.size <= CAPS.member_bytes);
    }
    let packed: u64 = members.iter().map(|member| member.compressed).sum();
    let size: u64 = members.iter().map(|member| member.size).sum();
    assert!(packed <= bytes.len() as u64 && size <= CAPS.total_bytes);
}

/// As most programs read: the end record, then the directory.
fn by_directory(bytes: &[u8], contents: &Contents) {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).expect("another reader takes it too");
    let mut seen = BTreeMap::new();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).expect("another reader finds each member");
        let mut content = Vec::new();
        file.read_to_end(&mut content).expect("another reader unpacks each member");
        seen.insert(String::from_utf8_lossy(file.name_raw()).into_owned(), content);
    }
    let ours: BTreeMap<String, Vec<u8>> = contents.iter().cloned().collect();
    assert_eq!(seen, ours, "a reader of the directory sees something else");
}

/// As programs in a pipe read: front to back, as far as they can.
fn by_stream(bytes: &[u8], contents: &Contents) {
    let mut rest = bytes;
    for (name, expected) in contents {
        match read_zipfile_from_stream(&mut rest) {
            Ok(Some(mut file)) => {
                let mut content = Vec::new();
                file.read_to_end(&mut content).expect("a streaming reader unpacks what it finds");
                assert_eq!(file.name_raw(), name.as_bytes());
                assert_eq!(content, *expected, "a streaming reader sees something else in {name:?}");
            }
            Ok(None) => panic!("a streaming reader does not see {name:?}"),
            // Sizes that stand behind a member are beyond such a reader.
            Err(_) => return,
        }
    }
    assert!(!matches!(read_zipfile_from_stream(&mut rest), Ok(Some(_))), "a streaming reader sees one more");
}

/// Every cap that the archive just passes refuses it when it is one less.
fn narrower(bytes: &[u8], members: &[Member]) {
    let less = |caps: Caps| assert!(read(bytes, &caps).is_err(), "taken beyond {caps:?}");
    if let Some(entries) = members.len().checked_sub(1) {
        less(Caps { entries, ..CAPS });
    }
    if let Some(member_bytes) = members.iter().map(|member| member.size).max().and_then(|most| most.checked_sub(1)) {
        less(Caps { member_bytes, ..CAPS });
    }
    if let Some(total_bytes) = members.iter().map(|member| member.size).sum::<u64>().checked_sub(1) {
        less(Caps { total_bytes, ..CAPS });
    }
    if members.iter().any(|member| member.is_folder) {
        less(Caps { folders: false, ..CAPS });
    }
}
