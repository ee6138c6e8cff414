//! Files that a configuration names: keys, certificates, passwords.
//!
//! Links are followed, for mounted secrets are links; nothing but a regular file is opened. A pipe would hold whoever
//! opens it, and a device has no end.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::path::Path;

use rustix::fs::{Mode, OFlags};

/// Opens a regular file to read it, and waits for nobody; with its length in bytes.
///
/// # Errors
/// The system's answer, or that it is something else than a regular file.
pub fn open_named(path: &Path) -> io::Result<(File, u64)> {
    // Before it is opened: to open a device may do something by itself.
    let _before = regular(&std::fs::metadata(path)?)?;
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(rustix::io::retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()))?);
    // Something else may have been put there in between.
    let length = regular(&file.metadata()?)?;
    Ok((file, length))
}

/// Reads a regular file of at most `most` bytes.
///
/// # Errors
/// As [`open_named`], or that it is longer.
pub fn read_named(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let (file, length) = open_named(path)?;
    let mut bytes = Vec::new();
    if length <= most {
        // It may grow while it is read.
        file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    }
    if length > most || bytes.len() as u64 > most {
        let what = format!("it has more than {most} bytes, which is more than such a file can need");
        return Err(io::Error::new(io::ErrorKind::InvalidData, what));
    }
    Ok(bytes)
}

fn regular(found: &Metadata) -> io::Result<u64> {
    match found.is_file() {
        true => Ok(found.len()),
        false => {
            let what = if found.is_dir() { "it is a folder" } else { "it is a pipe, a socket or a device" };
            Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{what}, not a regular file")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_regular_file_is_refused_and_nobody_waits_for_it_s20() {
        let dir = tempfile::tempdir().unwrap();
        let pipe = dir.path().join("pipe");
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        for path in [pipe.as_path(), dir.path(), Path::new("/dev/zero")] {
            let refused = read_named(path, 10).unwrap_err();
            assert!(refused.to_string().ends_with("not a regular file"), "{}: {refused}", path.display());
        }
        assert_eq!(read_named(&dir.path().join("absent"), 10).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_link_is_followed_and_what_is_too_long_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        std::fs::write(&file, b"0123456789").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert_eq!(read_named(&link, 10).unwrap(), b"0123456789");
        assert_eq!(read_named(&link, 9).unwrap_err().kind(), io::ErrorKind::InvalidData);
        File::create(&file).unwrap().set_len(1 << 40).unwrap();
        assert!(read_named(&file, 1 << 20).unwrap_err().to_string().contains("1048576"));
    }
}
