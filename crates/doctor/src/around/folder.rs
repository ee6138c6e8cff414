//! The data folder: owner, mode, links; and who holds its locks.

use std::fs;
use std::path::{Path, PathBuf};

use platform::fs::{Folder, Owners};

use crate::Check;
use crate::finding::Finding;

/// The folders in it whose owners and modes decide what is served.
const BELOW: [&str; 6] = ["blobs", "partial", "damaged", "rings", "catalog", "locks"];

/// Judges the folder and those in it as the program itself does when it opens them.
pub(crate) fn look(data_dir: &Path) -> Vec<Finding> {
    let on = data_dir.display().to_string();
    let asked = "owner and mode";
    let root = match Folder::open(data_dir) {
        Err(error) if error.is_missing() => return vec![missing(data_dir)],
        Err(error) => return vec![Finding::fail(Check::DataFolder, &on, asked, model::error_chain(&error))],
        Ok(root) => root,
    };
    let mut findings = Vec::new();
    if let Err(error) = root.check(Owners::us()) {
        findings.push(Finding::fail(Check::DataFolder, &on, asked, model::error_chain(&error)));
    }
    for name in BELOW {
        let path = data_dir.join(name);
        let Ok(folder) = Folder::open(&path) else { continue };
        if let Err(error) = folder.check(Owners::us()) {
            let on = path.display().to_string();
            findings.push(Finding::fail(Check::DataFolder, &on, asked, model::error_chain(&error)));
        }
    }
    if findings.is_empty() {
        findings.push(Finding::ok(Check::DataFolder, &on, asked, described(data_dir)));
    }
    findings
}

fn missing(data_dir: &Path) -> Finding {
    let on = data_dir.display().to_string();
    let asked = "whether it is there";
    let parent = data_dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match fs::metadata(parent) {
        Ok(data) if data.is_dir() && may_write(parent) => {
            Finding::ok(Check::DataFolder, &on, asked, "not yet; it can be made")
        }
        Ok(_) => {
            Finding::fail(Check::DataFolder, &on, asked, format!("no, and {} cannot be written", parent.display()))
        }
        Err(error) => Finding::fail(Check::DataFolder, &on, asked, format!("no: {}: {error}", parent.display())),
    }
}

fn may_write(folder: &Path) -> bool {
    rustix::fs::access(folder, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK).is_ok()
}

fn described(path: &Path) -> String {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata(path).map_or_else(
        |error| error.to_string(),
        |data| format!("uid {}, gid {}, mode {:04o}", data.uid(), data.gid(), data.mode() & 0o7777),
    )
}

/// Who holds a lock, by the system's own list: taking one, even for a moment, would change something.
pub(crate) fn locks(data_dir: &Path) -> Vec<Finding> {
    let list = fs::read_to_string("/proc/locks").unwrap_or_default();
    let mut findings = Vec::new();
    for name in ["fetch", "publish"] {
        let path: PathBuf = data_dir.join("locks").join(name);
        let Some(pid) = holder(&list, &path) else { continue };
        let verb = platform::lock::FileLock::holder(&path).map(|holder| format!(" ({})", holder.verb));
        let came = format!("held by process {pid}{}", verb.unwrap_or_default());
        findings.push(Finding::ok(Check::Locks, &path.display().to_string(), "who holds it", came));
    }
    findings
}

fn holder(list: &str, path: &Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;
    let data = fs::symlink_metadata(path).ok()?;
    let (major, minor) = (rustix::fs::major(data.dev()), rustix::fs::minor(data.dev()));
    let mark = format!("{major:02x}:{minor:02x}:{}", data.ino());
    let line = list.lines().find(|line| line.split_whitespace().any(|word| word == mark) && !line.contains("->"))?;
    line.split_whitespace().nth(4)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::Level;

    #[test]
    fn a_folder_that_all_may_write_is_found_s22() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        fs::create_dir(&data).unwrap();
        let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        mode(&data, 0o755);
        assert_eq!(look(&data)[0].level, Level::Ok);
        mode(&data, 0o777);
        let found = look(&data);
        assert_eq!((found[0].level, found[0].check), (Level::Fail, Check::DataFolder));
        mode(&data, 0o755);
        fs::create_dir(data.join("catalog")).unwrap();
        mode(&data.join("catalog"), 0o770);
        assert!(look(&data)[0].on[0].ends_with("catalog"));
    }

    #[test]
    fn a_link_in_its_place_is_found_s20() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/tmp", folder.path().join("data")).unwrap();
        assert_eq!(look(&folder.path().join("data"))[0].level, Level::Fail);
    }

    #[test]
    fn a_folder_that_is_not_there_yet_can_be_made_or_not() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(look(&folder.path().join("data"))[0].level, Level::Ok);
        assert_eq!(look(&folder.path().join("a/b"))[0].level, Level::Fail);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "looking made something");
    }

    #[test]
    fn who_holds_a_lock_is_told_s23() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("locks")).unwrap();
        let path = folder.path().join("locks/fetch");
        assert!(locks(folder.path()).is_empty());
        let mut lock = platform::lock::FileLock::try_acquire(&path).unwrap().unwrap();
        lock.describe("sync", model::Timestamp::from_micros(0));
        let found = locks(folder.path());
        assert_eq!(found.len(), 1);
        assert!(found[0].came.contains("(sync)"), "{}", found[0].came);
    }
}
