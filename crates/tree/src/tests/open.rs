//! Open to all, out of sight no longer than needed, and each folder for itself.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use super::ZIP;
use super::stage::{self, Stage, X64};
use crate::Depth;

#[test]
fn a_folder_that_others_cannot_enter_is_opened_wherever_it_stands() {
    let stage = Stage::new();
    let current = stage.serves(&[(X64, 1)], &[]);
    stage.bring(&current);
    let all = ["", "linux", "linux/production", "linux/production/arch_x86_64"];
    for path in all {
        fs::set_permissions(stage.root.join(path), fs::Permissions::from_mode(0o700)).unwrap();
    }
    let seen = stage.tree().check(&current, Depth::Look).unwrap();
    assert_eq!((seen.opened, seen.changes()), (4, 4), "{seen:?}");
    stage.bring(&current);
    for path in all {
        assert_eq!(stage.mode(path), 0o755, "{path}");
    }
    assert_eq!(stage.tree().check(&current, Depth::Look).unwrap().changes(), 0);
}

#[test]
fn what_lies_out_of_sight_goes_in_the_end_though_the_records_were_lost() {
    let stage = Stage::new();
    stage.bring(&stage.serves(&[(X64, 1)], &[]));
    let current = stage.serves(&[(X64, 2)], &[]);
    stage.bring(&current);
    assert_eq!(stage.hidden(), 1);
    fs::remove_dir_all(&stage.records).unwrap();
    stage.rebuild(&current);
    assert_eq!(stage.hidden(), 1, "who reads it may go on for its grace");
    stage.pass(Duration::from_secs(3601));
    stage.bring(&current);
    assert_eq!(stage.hidden(), 0);
    stage.is_exactly(&current);
}

#[test]
fn an_archive_does_not_wait_for_the_release_before_it() {
    let stage = Stage::new();
    stage.bring(&stage.serves(&[(X64, 1)], &[]));
    // Somebody's file stands where the release before is to be put.
    fs::create_dir_all(stage.root.join("linux/production_back")).unwrap_or_default();
    let back = stage.root.join("linux/production_back/arch_x86_64");
    fs::remove_dir_all(&back).unwrap_or_default();
    fs::write(&back, "in the way").unwrap();
    let current = stage.serves(&[(X64, 2)], &[]);
    let report = stage.tree().bring(&current, Depth::Look).unwrap();
    assert_eq!(report.failed.len(), 1, "{report:?}");
    assert!(report.failed[0].folder.contains("_back"), "{report:?}");
    assert_eq!(fs::read_to_string(stage.root.join(ZIP)).unwrap(), stage::archive(X64, 2), "endpoints get what is new");
}

#[test]
fn a_folder_that_holds_the_data_is_refused_however_it_is_written() {
    let mut stage = Stage::new();
    let current = stage.serves(&[(X64, 1)], &[]);
    let above = stage.root.parent().unwrap().to_owned();
    let link = above.join("link");
    std::os::unix::fs::symlink(&above, &link).unwrap();
    for root in [above.clone(), above.join("records/.."), link.join(".")] {
        stage.root = root;
        let refused = stage.tree().bring(&current, Depth::Look).unwrap_err();
        assert!(matches!(refused, crate::TreeError::HoldsData { .. }), "{refused}");
    }
    assert!(!above.join("linux").exists());
}
