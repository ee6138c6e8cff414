use super::*;

fn target(path: &Path, rotate_bytes: u64, keep: usize) -> Target {
    Target::open(&LogTarget::File { path: path.to_owned(), rotate_bytes, keep }).unwrap()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

#[test]
fn a_log_that_was_moved_away_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let mut target = target(&path, 0, 0);
    assert_eq!(target.write(b"1\n"), 0);
    std::fs::rename(&path, folder.path().join("away")).unwrap();
    assert_eq!(target.write(b"2\n"), 0);
    assert_eq!((read(&folder.path().join("away")), read(&path)), ("1\n".into(), "2\n".into()));
    std::fs::remove_file(&path).unwrap();
    target.reopen();
    assert!(path.exists(), "at the word, not only at the next line");
}

#[test]
fn it_rotates_by_size_and_keeps_so_many() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let mut target = target(&path, 4, 2);
    for line in ["a\n", "b\n", "c\n", "d\n", "e\n", "f\n", "g\n"] {
        assert_eq!(target.write(line.as_bytes()), 0);
    }
    let kept = |end: &str| read(&folder.path().join(format!("access.log{end}")));
    assert_eq!([kept(""), kept(".1"), kept(".2"), kept(".3")], ["g\n", "e\nf\n", "c\nd\n", ""]);
}

#[test]
fn without_a_place_for_earlier_ones_it_begins_anew_or_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let mut none = target(&path, 2, 0);
    assert_eq!((none.write(b"a\n"), none.write(b"b\n")), (0, 0));
    assert_eq!(read(&path), "b\n");
}

#[test]
fn a_rotation_that_fails_moves_nothing_s32() {
    for in_the_way in ["access.log.2", "access.log.new"] {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mut stuck = target(&at("access.log"), 2, 2);
        assert_eq!((stuck.write(b"a\n"), stuck.write(b"b\n")), (0, 0));
        std::fs::create_dir_all(at(in_the_way).join("x")).unwrap();
        if in_the_way == "access.log.new" {
            std::fs::write(at("access.log.2"), "0\n").unwrap();
        }
        for line in ["c\n", "d\n", "e\n"] {
            assert_eq!(stuck.write(line.as_bytes()), 0);
        }
        assert_eq!([read(&at("access.log.1")), read(&at("access.log"))], ["a\n", "b\nc\nd\ne\n"]);
        std::fs::remove_dir_all(at(in_the_way)).unwrap();
        assert_eq!((stuck.write(b"f\n"), stuck.write(b"g\n")), (0, 0), "and it goes on by itself");
        assert_eq!(read(&at("access.log")), "g\n");
    }
}

#[test]
fn what_is_no_file_is_never_moved_away_s32() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    // A link to a pipe behind a descriptor of this process, as /dev/stdout is one in a container.
    let (reader, writer) = io::pipe().unwrap();
    let behind = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&writer));
    std::os::unix::fs::symlink(&behind, at("stdout")).unwrap();
    // A link to a file that this process holds open.
    let held = File::create(at("held")).unwrap();
    let behind = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&held));
    std::os::unix::fs::symlink(&behind, at("file")).unwrap();
    std::os::unix::fs::symlink("/dev/null", at("null")).unwrap();
    for name in ["stdout", "file", "null"] {
        let mut target = target(&at(name), 2, 2);
        for _ in 0..8 {
            assert_eq!(target.write(b"a\n"), 0);
        }
        assert!(std::fs::symlink_metadata(at(name)).unwrap().is_symlink());
    }
    assert_eq!(read(&at("held")), "a\n".repeat(8));
    drop(writer);
    assert_eq!(io::read_to_string(reader).unwrap(), "a\n".repeat(8));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4);
}

#[test]
fn a_link_to_a_file_stays_and_the_file_is_rotated_where_it_is_s32() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("disk")).unwrap();
    std::os::unix::fs::symlink("disk/a.log", at("access.log")).unwrap();
    let mut target = target(&at("access.log"), 2, 2);
    for line in ["a\n", "b\n", "c\n"] {
        assert_eq!(target.write(line.as_bytes()), 0);
    }
    let there = ["disk/a.log.2", "disk/a.log.1", "disk/a.log", "access.log"].map(|name| read(&at(name)));
    assert_eq!(there, ["a\n", "b\n", "c\n", "c\n"]);
    assert!(std::fs::symlink_metadata(at("access.log")).unwrap().is_symlink());
}

#[test]
fn a_pipe_that_nobody_reads_holds_nothing_up_s32() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, rustix::fs::Mode::RWXU).unwrap();
    let mut target = target(&path, 2, 2);
    assert_eq!(target.write(b"1\n2\n"), 2, "lost and counted");
    let both = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    assert_eq!(target.write(b"3\n"), 0);
    target.reopen();
    assert_eq!(target.write(b"4\n"), 0);
    let mut lines = [0; 4];
    io::Read::read_exact(&mut &both, &mut lines).unwrap();
    assert_eq!(&lines, b"3\n4\n");
    drop(both);
    assert_eq!(target.write(b"5\n"), 1, "its reader left");
}

#[test]
fn lines_into_a_file_that_was_removed_with_its_folder_are_lost_and_counted_s32() {
    let folder = tempfile::tempdir().unwrap();
    let logs = folder.path().join("logs");
    std::fs::create_dir(&logs).unwrap();
    let path = logs.join("access.log");
    let mut target = target(&path, 0, 0);
    assert_eq!(target.write(b"1\n"), 0);
    std::fs::remove_dir_all(&logs).unwrap();
    assert_eq!((target.write(b"2\n3\n"), target.write(b"4\n")), (2, 1));
    std::fs::create_dir(&logs).unwrap();
    assert_eq!(target.write(b"5\n"), 0);
    assert_eq!(read(&path), "5\n");
    // Moved away, it can still be found.
    std::fs::rename(&logs, folder.path().join("away")).unwrap();
    assert_eq!(target.write(b"6\n"), 0);
    assert_eq!(read(&folder.path().join("away/access.log")), "5\n6\n");
}

#[test]
fn a_line_that_an_earlier_process_left_torn_is_ended_s32() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    std::fs::write(&path, "whole\nto").unwrap();
    let mut first = target(&path, 0, 0);
    assert_eq!(first.write(b"1\n"), 0);
    assert_eq!(target(&path, 0, 0).write(b"2\n"), 0);
    assert_eq!(read(&path), "whole\nto\n1\n2\n");
}

/// Takes so many bytes in all.
struct Full(usize, Vec<u8>);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.0 - self.1.len());
        self.1.extend_from_slice(&bytes[..taken]);
        if taken == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(taken) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_line_that_had_no_room_is_lost_alone_s32() {
    let mut torn = Torn::default();
    let mut full = Full(5, Vec::new());
    assert_eq!(torn.write(&mut full, b"one\ntwo\n"), (1, 5));
    assert_eq!(torn.write(&mut full, b"three\n"), (1, 0));
    full.0 = 100;
    assert_eq!(torn.write(&mut full, b"four\n"), (0, 5));
    assert_eq!(full.1, b"one\nt\nfour\n", "the torn line is ended, the next one whole");
}
