//! Which file system a path lies on.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// The kind of the file system that holds an existing path, as the system calls it.
pub(crate) fn kind_of(path: &Path) -> Option<String> {
    let device = fs::metadata(path).ok()?.dev();
    let whole = fs::canonicalize(path).ok()?;
    kind_in(&fs::read_to_string("/proc/self/mountinfo").ok()?, &whole, device)
}

/// Of the mounts above the path the longest wins, the later of two; where its device is not the path's own, a mount
/// that has it.
fn kind_in(mounts: &str, path: &Path, device: u64) -> Option<String> {
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let number = format!("{major}:{minor}");
    let mut best: Option<(bool, usize, &str)> = None;
    for line in mounts.lines() {
        let Some((front, back)) = line.split_once(" - ") else { continue };
        let mut words = front.split(' ');
        let (Some(found), Some(point), Some(kind)) = (words.nth(2), words.nth(1), back.split(' ').next()) else {
            continue;
        };
        let point = unescaped(point);
        if path.starts_with(&point) {
            let rank = (found == number, point.len());
            if best.is_none_or(|(same, length, _)| (same, length) <= rank) {
                best = Some((rank.0, rank.1, kind));
            }
        }
    }
    best.map(|(_, _, kind)| kind.to_owned())
}

/// Spaces and such are written as octal digits.
fn unescaped(text: &str) -> String {
    ["\\040", "\\011", "\\012", "\\134"]
        .iter()
        .zip([" ", "\t", "\n", "\\"])
        .fold(text.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:25 / /var/lib rw - xfs /dev/sdb1 rw
31 30 0:40 / /var/lib/way\\040station rw - nfs4 server:/x rw
";

    #[test]
    fn the_nearest_mount_counts() {
        let device = |major, minor| rustix::fs::makedev(major, minor);
        for (path, number, kind) in [
            ("/srv/x", device(8, 1), "ext4"),
            ("/var/lib/waystation", device(0, 25), "xfs"),
            ("/var/lib/way station/data", device(0, 40), "nfs4"),
            ("/var/library", device(8, 1), "ext4"),
        ] {
            assert_eq!(kind_in(MOUNTS, Path::new(path), number).as_deref(), Some(kind), "{path}");
        }
        assert!(kind_of(Path::new("/")).is_some());
    }
}
