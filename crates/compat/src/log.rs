//! The script's log: its path, its form, and the size that it was meant to have.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use model::{Clock, Timestamp};
use platform::fs::{EntryKind, Folder, FsError, Mode, Owners};

/// The size that the script meant: it compares kilobytes with a number of bytes.
const FULL: u64 = 100 * 1024;
/// What ends a message.
const END: &str = "----------End of message----------";

/// A log file in the script's form: the date, the message, a line that ends it.
pub struct Log {
    folder: Folder,
    name: String,
    file: File,
    size: u64,
    clock: Arc<dyn Clock>,
}

impl Log {
    /// Opens it, or makes it. Nothing is followed and nobody else may be able to write it.
    ///
    /// # Errors
    /// [`FsError`] naming it.
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Result<Self, FsError> {
        let named = || FsError::Io { act: "open", path: path.to_owned(), source: io::ErrorKind::InvalidInput.into() };
        let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(named)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = Folder::open(parent)?;
        // The script leaves it as the umask has it; ours to mend where it is ours.
        if let Some(look) = folder.look_at(name)?
            && look.kind == EntryKind::File
            && look.owner == platform::uid()
            && look.mode & 0o022 != 0
        {
            let (file, _) = folder.open_regular(name)?;
            let set = Mode::FILE.apply(&file);
            set.map_err(|source| FsError::Io { act: "set the mode of", path: path.to_owned(), source })?;
        }
        let (file, size) = opened(&folder, name)?;
        let mut log = Self { folder, name: name.to_owned(), file, size, clock };
        log.rotate()?;
        Ok(log)
    }

    /// Writes a message.
    ///
    /// # Errors
    /// [`FsError`] naming the log.
    pub fn write(&mut self, message: &str) -> Result<(), FsError> {
        self.rotate()?;
        let text = format!("{}\n{}\n{END}\n", date(self.clock.now()), plain(message));
        self.file.write_all(text.as_bytes()).map_err(|source| self.failed("write", source))?;
        self.size = self.size.saturating_add(text.len() as u64);
        Ok(())
    }

    /// The old one is kept beside, once.
    fn rotate(&mut self) -> Result<(), FsError> {
        if self.size <= FULL {
            return Ok(());
        }
        self.folder.rename(&self.name, &self.folder, &format!("{}.1", self.name))?;
        (self.file, self.size) = opened(&self.folder, &self.name)?;
        Ok(())
    }

    fn failed(&self, act: &'static str, source: io::Error) -> FsError {
        FsError::Io { act, path: self.folder.path().join(&self.name), source }
    }
}

/// A message as it may stand there: what a vendor or a file brought along ends no message and begins none.
fn plain(message: &str) -> String {
    let lines = message.lines().enumerate().map(|(at, line)| {
        let clean: String =
            line.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect();
        if at == 0 && clean != END { clean } else { format!("  {clean}") }
    });
    lines.collect::<Vec<String>>().join("\n")
}

fn opened(folder: &Folder, name: &str) -> Result<(File, u64), FsError> {
    let mut file = folder.open_or_create(name, Mode::FILE, Owners::us())?;
    let end = file.seek(SeekFrom::End(0));
    let size = end.map_err(|source| FsError::Io { act: "read", path: folder.path().join(name), source })?;
    Ok((file, size))
}

/// As `date` prints it in UTC: `Sun Nov  6 08:49:37 UTC 1994`.
fn date(at: Timestamp) -> String {
    let http = at.http_date();
    let mut parts = http.split([' ', ',']).filter(|part| !part.is_empty());
    let mut next = || parts.next().unwrap_or_default().to_owned();
    let (weekday, day, month, year, time) = (next(), next(), next(), next(), next());
    let day = day.strip_prefix('0').map_or(day.clone(), |day| format!(" {day}"));
    format!("{weekday} {month} {day} {time} UTC {year}")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn open(path: &Path) -> Result<Log, FsError> {
        Log::open(path, Arc::new(platform::SystemClock::new()))
    }

    #[test]
    fn messages_have_the_scripts_form() {
        assert_eq!(date(Timestamp::parse("1994-11-06T08:49:37Z").unwrap()), "Sun Nov  6 08:49:37 UTC 1994");
        assert_eq!(date(Timestamp::parse("2026-11-22T18:00:05Z").unwrap()), "Sun Nov 22 18:00:05 UTC 2026");
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        fs::write(&path, "what stood there\n").unwrap();
        open(&path).unwrap().write("Script started.").unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines[0], lines[2], lines[3]), ("what stood there", "Script started.", END), "{text}");
    }

    #[test]
    fn nothing_in_a_message_stands_as_one_of_its_own() {
        assert_eq!(plain("Error: it failed"), "Error: it failed");
        assert_eq!(plain(END), format!("  {END}"));
        let forged = format!("it is at 1\u{1b}[2J\r\n{END}\nSun Nov  6 08:49:37 UTC 1994\nScript completed.");
        let shown = plain(&forged);
        assert!(shown.lines().skip(1).all(|line| line.starts_with("  ")), "{shown}");
        assert!(!shown.contains(['\u{1b}', '\r']), "{shown}");
    }

    #[test]
    fn d12_the_log_is_rotated_at_a_hundred_kilobytes_and_one_before_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.log");
        fs::write(&path, vec![b'x'; 300 * 1024]).unwrap();
        let mut log = open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), 0);
        assert_eq!(fs::metadata(dir.path().join("a.log.1")).unwrap().len(), 300 * 1024);
        for _ in 0..2000 {
            log.write(&"y".repeat(100)).unwrap();
        }
        for name in ["a.log", "a.log.1"] {
            assert!(fs::metadata(dir.path().join(name)).unwrap().len() <= FULL + 200, "{name}");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn no_link_is_followed_and_no_log_of_others_is_written_s20() {
        let dir = tempfile::tempdir().unwrap();
        let (victim, path) = (dir.path().join("victim"), dir.path().join("a.log"));
        fs::write(&victim, "theirs").unwrap();
        symlink(&victim, &path).unwrap();
        assert!(matches!(open(&path).map(drop), Err(FsError::Unsafe { .. })));
        assert_eq!(fs::read(&victim).unwrap(), b"theirs");
        fs::remove_file(&path).unwrap();
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o664)).unwrap();
        open(&path).unwrap().write("ours, as the script left it").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
    }
}
