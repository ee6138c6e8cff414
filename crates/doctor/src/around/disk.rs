//! The disk under the data folder: room, inodes, what file system it is.

use std::fs;
use std::path::{Path, PathBuf};

use config::Config;
use model::Vendor;

use crate::Check;
use crate::around::mounts;
use crate::finding::Finding;

/// Fewer free inodes than this are a failure, and ten times as many a warning.
const FEW_INODES: u64 = 1000;
/// Blobs looked at when what is held is counted; beyond, it is not known.
const MOST_BLOBS: usize = 200_000;

/// A disk as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Disk {
    pub(crate) on: String,
    pub(crate) free: u64,
    /// None where the file system makes inodes as it needs them.
    pub(crate) inodes_free: Option<u64>,
    pub(crate) kind: String,
    /// What is held here already; none where there is too much to count.
    pub(crate) held: Option<u64>,
}

/// What is wanted of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) reserve: u64,
    /// What retention may keep, of all vendors that are followed.
    pub(crate) kept: u64,
}

/// Looks at the disk of a configuration's data folder, or of where it will be made.
pub(crate) fn look(config: &Config) -> Vec<Finding> {
    let place = existing(&config.data_dir);
    let disk = match read(&place, &config.data_dir) {
        Ok(disk) => disk,
        Err(error) => {
            let on = place.display().to_string();
            return vec![Finding::fail(Check::DiskFree, &on, "how much is free", error.to_string())];
        }
    };
    let followed = Vendor::ALL.into_iter().filter(|vendor| config.schedule_of(*vendor).is_some());
    let kept = followed.map(|vendor| config.retention_of(vendor).bytes).fold(0, u64::saturating_add);
    weigh(&disk, Wanted { reserve: config.limits.disk_reserve, kept })
}

/// The nearest folder above that exists.
pub(crate) fn existing(path: &Path) -> PathBuf {
    // As it is written: a relative path ends at the folder that this runs in.
    let end = Path::new(if path.is_absolute() { "/" } else { "." });
    path.ancestors().find(|one| one.exists()).unwrap_or(end).to_path_buf()
}

fn read(place: &Path, data_dir: &Path) -> Result<Disk, rustix::io::Errno> {
    let stat = rustix::fs::statvfs(place)?;
    let kind = mounts::kind_of(place).unwrap_or_else(|| "unknown".to_owned());
    Ok(Disk {
        on: place.display().to_string(),
        free: stat.f_bavail.saturating_mul(stat.f_frsize),
        inodes_free: (stat.f_files > 0).then_some(stat.f_favail),
        kind,
        held: held(&data_dir.join("blobs")),
    })
}

fn held(blobs: &Path) -> Option<u64> {
    let (mut sum, mut count) = (0u64, 0usize);
    let Ok(shards) = fs::read_dir(blobs) else { return Some(0) };
    for shard in shards.flatten() {
        for blob in fs::read_dir(shard.path()).into_iter().flatten().flatten() {
            count += 1;
            if count > MOST_BLOBS {
                return None;
            }
            sum = sum.saturating_add(blob.metadata().map_or(0, |data| data.len()));
        }
    }
    Some(sum)
}

/// What a disk is worth for what is wanted of it.
pub(crate) fn weigh(disk: &Disk, wanted: Wanted) -> Vec<Finding> {
    let on = disk.on.as_str();
    let (free, reserve) = (disk.free, wanted.reserve);
    let room = disk.held.map(|held| free.saturating_add(held).saturating_sub(reserve));
    let asked = format!("{} beyond the reserve of {}", bytes(wanted.kept), bytes(reserve));
    let came = match disk.held {
        Some(held) => format!("{} free, {} held", bytes(free), bytes(held)),
        None => format!("{} free, more held than was counted", bytes(free)),
    };
    let level = match room {
        _ if free <= reserve => Finding::fail,
        Some(room) if room < wanted.kept => Finding::warn,
        _ => Finding::ok,
    };
    let mut findings = vec![level(Check::DiskFree, on, asked, came)];
    if let Some(inodes) = disk.inodes_free {
        let level = match inodes {
            few if few < FEW_INODES => Finding::fail,
            few if few < FEW_INODES * 10 => Finding::warn,
            _ => Finding::ok,
        };
        findings.push(level(Check::Inodes, on, "inodes free".to_owned(), inodes.to_string()));
    }
    findings.push(file_system(on, &disk.kind));
    findings
}

fn file_system(on: &str, kind: &str) -> Finding {
    let asked = "which file system it is";
    let shared = ["nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "glusterfs", "fuse.sshfs", "afs", "vboxsf", "virtiofs"];
    match kind {
        kind if shared.contains(&kind) => {
            Finding::warn(Check::FileSystem, on, asked, format!("{kind}: shared with other machines"))
        }
        "tmpfs" | "ramfs" => Finding::warn(Check::FileSystem, on, asked, format!("{kind}: gone at the next start")),
        "overlay" => {
            Finding::warn(Check::FileSystem, on, asked, "overlay: a container's own layer, gone with the container")
        }
        kind => Finding::ok(Check::FileSystem, on, asked, kind),
    }
}

/// A size, in powers of ten.
pub(crate) fn bytes(count: u64) -> String {
    match count {
        0..1_000_000 => format!("{} kB", count / 1000),
        1_000_000..1_000_000_000 => format!("{} MB", count / 1_000_000),
        _ => format!("{}.{} GB", count / 1_000_000_000, count / 100_000_000 % 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;

    fn disk() -> Disk {
        Disk {
            on: "/data".to_owned(),
            free: 100_000_000_000,
            inodes_free: Some(1_000_000),
            kind: "ext4".to_owned(),
            held: Some(0),
        }
    }

    const WANTED: Wanted = Wanted { reserve: 1_000_000_000, kept: 50_000_000_000 };

    fn levels(disk: &Disk) -> Vec<Level> {
        weigh(disk, WANTED).iter().map(|finding| finding.level).collect()
    }

    #[test]
    fn a_disk_that_is_nearly_full_is_found_s30() {
        assert_eq!(levels(&disk()), [Level::Ok, Level::Ok, Level::Ok]);
        assert_eq!(levels(&Disk { free: 900_000_000, ..disk() })[0], Level::Fail);
        assert_eq!(levels(&Disk { free: 20_000_000_000, ..disk() })[0], Level::Warn);
        let much_of_it_ours = Disk { free: 20_000_000_000, held: Some(40_000_000_000), ..disk() };
        assert_eq!(levels(&much_of_it_ours)[0], Level::Ok);
    }

    #[test]
    fn few_inodes_are_found_s03() {
        assert_eq!(levels(&Disk { inodes_free: Some(20), ..disk() })[1], Level::Fail);
        assert_eq!(levels(&Disk { inodes_free: Some(5000), ..disk() })[1], Level::Warn);
        assert_eq!(levels(&Disk { inodes_free: None, ..disk() }).len(), 2);
    }

    #[test]
    fn file_systems_that_forget_or_are_shared_are_found() {
        for (kind, level) in
            [("xfs", Level::Ok), ("nfs4", Level::Warn), ("tmpfs", Level::Warn), ("overlay", Level::Warn)]
        {
            assert_eq!(levels(&Disk { kind: kind.to_owned(), ..disk() })[2], level, "{kind}");
        }
    }

    #[test]
    fn the_disk_of_a_folder_that_is_not_there_yet_is_that_above() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(existing(&folder.path().join("a/b")), folder.path());
        for (path, found) in [("no-such-thing/here", "."), ("src/none", "src"), ("../doctor/none", "../doctor")] {
            assert_eq!(existing(Path::new(path)), Path::new(found), "as it is written");
        }
        assert!(read(folder.path(), folder.path()).unwrap().free > 0);
    }
}
