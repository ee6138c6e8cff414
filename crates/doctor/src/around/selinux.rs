//! SELinux: whether it is enforced, and what label the data folder has.

use std::fs;
use std::path::Path;

use crate::Check;
use crate::around::disk::existing;
use crate::finding::Finding;

/// Types that a service's own folder should not have: it was made by hand, or moved.
const ODD: [&str; 7] =
    ["tmp_t", "user_tmp_t", "user_home_t", "user_home_dir_t", "default_t", "unlabeled_t", "httpd_sys_content_t"];

/// Looks at the label of the data folder, or of where it will be made.
pub(crate) fn look(data_dir: &Path) -> Vec<Finding> {
    let mode = fs::read_to_string("/sys/fs/selinux/enforce").ok();
    let place = existing(data_dir);
    let mut bytes = vec![0u8; 256];
    let label = match rustix::fs::getxattr(&place, "security.selinux", bytes.as_mut_slice()) {
        Ok(length) => {
            Some(String::from_utf8_lossy(bytes.get(..length).unwrap_or_default()).trim_end_matches('\0').to_owned())
        }
        Err(_) => None,
    };
    vec![weigh(mode.as_deref(), label.as_deref(), &place.display().to_string())]
}

fn weigh(mode: Option<&str>, label: Option<&str>, on: &str) -> Finding {
    let asked = "whether SELinux is enforced, and the label";
    let enforced = match mode.map(str::trim) {
        None => return Finding::ok(Check::Selinux, on, asked, "SELinux is not there"),
        Some("1") => "enforced",
        Some(_) => "permissive",
    };
    let kind = label.and_then(|label| label.split(':').nth(2)).unwrap_or("none");
    let came = format!("{enforced}, label {}", label.unwrap_or("none"));
    if enforced == "enforced" && ODD.contains(&kind) {
        return Finding::warn(Check::Selinux, on, asked, came);
    }
    Finding::ok(Check::Selinux, on, asked, came)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Level;

    #[test]
    fn labels_of_other_services_are_found_where_they_are_enforced() {
        for (mode, label, level) in [
            (None, None, Level::Ok),
            (Some("1\n"), Some("system_u:object_r:var_lib_t:s0"), Level::Ok),
            (Some("1"), Some("unconfined_u:object_r:user_home_t:s0"), Level::Warn),
            (Some("0"), Some("unconfined_u:object_r:user_home_t:s0"), Level::Ok),
        ] {
            assert_eq!(weigh(mode, label, "/x").level, level, "{mode:?} {label:?}");
        }
    }
}
