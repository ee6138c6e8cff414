use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn is_unsafe<T>(result: Result<T, FsError>) {
    match result {
        Err(FsError::Unsafe { .. }) => {}
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("was believed"),
    }
}

#[test]
fn an_atomic_write_replaces_whole_and_leaves_nothing_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("current");
    write_atomic(dir.path(), "current", b"a long first version", Mode::FILE).unwrap();
    let old = fs::File::open(&path).unwrap();
    write_atomic(dir.path(), "current", b"second", Mode::PRIVATE_FILE).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"second");
    assert_eq!(io::read_to_string(old).unwrap(), "a long first version", "who reads the old one reads it whole");
    assert_eq!(mode_of(&path), 0o600);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn an_atomic_write_that_fails_leaves_the_old_file_and_no_temporary_one_s02() {
    let dir = tempfile::tempdir().unwrap();
    // A folder under the name makes the rename fail after everything else went well.
    fs::create_dir(dir.path().join("current")).unwrap();
    let failed = write_atomic(dir.path(), "current", b"bytes", Mode::FILE).unwrap_err();
    assert!(failed.to_string().starts_with("cannot rename to "), "{failed}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn an_atomic_write_replaces_a_link_and_not_what_it_points_to_s20() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("victim"), "untouched").unwrap();
    symlink("victim", dir.path().join("current")).unwrap();
    write_atomic(dir.path(), "current", b"bytes", Mode::FILE).unwrap();
    assert_eq!(fs::read(dir.path().join("victim")).unwrap(), b"untouched");
    assert!(dir.path().join("current").symlink_metadata().unwrap().is_file());
}

#[test]
fn folders_are_made_with_their_mode_and_keep_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("data");
    create_folder(&path, Mode::FOLDER).unwrap();
    create_folder(&path, Mode::PRIVATE_FOLDER).unwrap();
    assert_eq!(mode_of(&path), 0o755);
    let nested = create_folder(&dir.path().join("absent/data"), Mode::FOLDER).unwrap_err();
    assert!(nested.is_missing(), "{nested}");
    fs::write(dir.path().join("file"), "").unwrap();
    is_unsafe(create_folder(&dir.path().join("file"), Mode::FOLDER));
    symlink("data", dir.path().join("link")).unwrap();
    is_unsafe(create_folder(&dir.path().join("link"), Mode::FOLDER));
    sync_folder(&path).unwrap();
    assert!(free_bytes(&path).unwrap() > 0);
    assert!(free_bytes(&dir.path().join("absent")).unwrap_err().is_missing());
}

#[test]
fn a_folder_that_is_swapped_for_a_link_is_not_followed_s20() {
    let dir = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let root = create_folder(&dir.path().join("data"), Mode::FOLDER).unwrap();
    let inner = root.ensure_folder("inner", Mode::FOLDER).unwrap();
    fs::rename(dir.path().join("data/inner"), dir.path().join("data/moved")).unwrap();
    symlink(elsewhere.path(), dir.path().join("data/inner")).unwrap();
    is_unsafe(root.folder("inner"));
    is_unsafe(root.ensure_folder("inner", Mode::FOLDER));
    inner.write_atomic("file", b"bytes", Mode::FILE).unwrap();
    assert!(dir.path().join("data/moved/file").exists(), "an open folder is the folder that was opened");
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[test]
fn only_plain_files_of_believed_owners_pass_s22() {
    let dir = tempfile::tempdir().unwrap();
    let root = Folder::open(dir.path()).unwrap();
    let path = dir.path().join("file");
    fs::write(&path, "12345").unwrap();
    for (mode, good) in [(0o644, true), (0o600, true), (0o444, true), (0o664, false), (0o646, false)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let opened = root.open_plain("file", Owners::us()).map(|(_, size)| size);
        let seen = root.look("file", Owners::us()).unwrap().unwrap();
        assert_eq!((seen.kind, seen.size, seen.doubt.is_none()), (EntryKind::File, 5, good), "{mode:o}");
        if good { assert_eq!(opened.unwrap(), 5) } else { is_unsafe(opened) }
    }
    is_unsafe(root.open_plain("file/below", Owners::us()));
    fs::create_dir(dir.path().join("folder")).unwrap();
    is_unsafe(root.open_plain("folder", Owners::us()));
    assert!(root.open_plain("absent", Owners::us()).unwrap_err().is_missing());
    assert_eq!(root.look("absent", Owners::us()).unwrap(), None);
}

#[test]
fn a_pipe_planted_as_a_file_is_refused_and_does_not_hang_s20() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    let root = Folder::open(dir.path()).unwrap();
    is_unsafe(root.open_plain("pipe", Owners::us()));
    is_unsafe(root.open_regular("pipe"));
    is_unsafe(root.open_writable("pipe", Owners::us()));
    is_unsafe(root.open_or_create("pipe", Mode::FILE, Owners::us()));
}

#[test]
fn root_is_believed_and_strangers_are_not_s22() {
    let dir = tempfile::tempdir().unwrap();
    let root = Folder::open(dir.path()).unwrap();
    let stranger = crate::uid().wrapping_add(4_321);
    assert!(Owners::us().believes(0) && Owners::us().believes(crate::uid()));
    assert!(!Owners::us().believes(stranger));
    assert!(Owners::us_or_owner_of(&root).unwrap().believes(root.owner().unwrap()));
}

#[test]
fn interrupted_writes_are_tidied_and_nothing_else_s11() {
    let dir = tempfile::tempdir().unwrap();
    for name in [".tmp-1-2-3", "current", "tmp-kept"] {
        fs::write(dir.path().join(name), "").unwrap();
    }
    let root = Folder::open(dir.path()).unwrap();
    root.tidy_temps().unwrap();
    let mut names = root.names().unwrap().collect::<Result<Vec<_>, _>>().unwrap();
    names.sort();
    assert_eq!(names, ["current", "tmp-kept"]);
}
