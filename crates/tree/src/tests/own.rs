//! What a wrong name in the configuration may not do, and what only a reading of every byte finds.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use model::{Digest, Reason};

use super::stage::{Stage, X64, archive};
use crate::{Depth, Files, TreeError};

const ZIP: &str = "linux/production/arch_x86_64/updates.zip";

/// Other bytes, with neither size nor time to tell.
fn rots(file: &Path) {
    let (size, time) = (fs::metadata(file).unwrap().len(), fs::metadata(file).unwrap().modified().unwrap());
    fs::write(file, vec![b'x'; usize::try_from(size).unwrap()]).unwrap();
    fs::File::options().write(true).open(file).unwrap().set_modified(time).unwrap();
}

#[test]
fn a_wrong_folder_that_is_refused_costs_the_right_one_nothing() {
    let mut stage = Stage::new();
    let current = stage.serves(&[(X64, 1)], &[]);
    stage.bring(&current);
    let right = stage.root.clone();
    stage.root = right.with_file_name("wrong");
    fs::create_dir(&stage.root).unwrap();
    fs::write(stage.root.join("photos"), "mine").unwrap();
    let refused = stage.tree().bring(&current, Depth::Look).unwrap_err();
    assert!(matches!(refused, TreeError::Foreign { .. }), "{refused:?}");
    let standing = stage.tree().standing().unwrap().unwrap();
    assert_eq!(standing.generation, None, "nothing is known of a folder that was not taken");
    assert_eq!(standing.trouble.unwrap().reason, Reason::TreeRefused);
    stage.root = right;
    let next = stage.serves(&[(X64, 2)], &[]);
    stage.bring(&next);
    stage.is_exactly(&next);
    assert_eq!(stage.tree().standing().unwrap().unwrap().trouble, None);
}

#[test]
fn no_tree_is_made_in_the_data_folder_however_either_is_written() {
    let mut stage = Stage::new();
    let current = stage.serves(&[(X64, 1)], &[]);
    let data = stage.root.with_file_name("data");
    fs::create_dir(&data).unwrap();
    let link = data.with_file_name("link");
    symlink(&data, &link).unwrap();
    for root in [data.join("broad"), link.join("broad"), data.join("../data/broad")] {
        stage.root = root;
        let refused = stage.tree().outside(&data).bring(&current, Depth::Look).unwrap_err();
        assert!(matches!(refused, TreeError::InData { .. }), "{refused:?}");
        assert!(!data.join("broad").exists());
    }
}

#[test]
fn bytes_that_rot_unseen_are_found_when_all_are_read_again() {
    let mut stage = Stage::new();
    stage.prove = Some(Duration::from_secs(86_400));
    let current = stage.serves(&[(X64, 1)], &[]);
    stage.bring(&current);
    let file = stage.root.join(ZIP);
    rots(&file);
    assert_eq!(stage.bring(&current).changes(), 0, "a look believes what looks as it did");
    stage.pass(Duration::from_secs(86_401));
    let report = stage.bring(&current);
    assert_eq!((report.repaired, report.altered), (1, vec![ZIP.to_owned()]));
    stage.is_exactly(&current);
    rots(&file);
    assert_eq!(stage.bring(&current).changes(), 0, "once a day");
    assert_eq!(stage.tree().bring(&current, Depth::Prove).unwrap().repaired, 1, "or when somebody asks for it");
    stage.is_exactly(&current);
}

/// One bad sector below a file and, where it is the store's own under a second name, below the blob.
#[test]
fn what_rotted_and_cannot_be_made_anew_is_never_left_to_endpoints_in_silence() {
    for files in [Files::Copy, Files::Link] {
        let mut stage = Stage::new();
        stage.files = files;
        let current = stage.serves(&[(X64, 2)], &[]);
        stage.bring(&current);
        let back = "linux/production_back/arch_x86_64";
        rots(&stage.root.join(back).join("updates.zip"));
        let blob = stage.blob(&archive(X64, 1));
        fs::write(&blob, archive(X64, 1).to_uppercase()).unwrap();
        for _ in 0..2 {
            let report = stage.tree().bring(&current, Depth::Rebuild).unwrap();
            assert_eq!(report.failed.len(), 1, "{report:?}");
            assert_eq!((report.replaced, report.repaired, &report.named), (0, 0, &vec![]), "it was left as it is");
            assert_eq!(stage.tree().standing().unwrap().unwrap().trouble.unwrap().reason, Reason::BlobDamaged);
        }
        // The store gives it up, and the ring has no release before.
        fs::rename(&blob, blob.with_extension("damaged")).unwrap();
        let mut current = current;
        current.generation.routes.retain(|path, _| !path.as_str().contains("_back"));
        current.generation.number += 1;
        current.digest = Digest::of(&current.generation.encode());
        let report = stage.bring(&current);
        assert_eq!((report.removed, report.foreign_count), (2, 0), "{files:?} {report:?}");
        stage.is_exactly(&current);
        assert!(!stage.root.join(back).exists());
    }
}

#[test]
fn a_probe_tells_what_a_run_would_be_refused_for_and_leaves_nothing() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut stage = Stage::new();
    stage.claim = crate::Claim::TakeOver;
    stage.tree().probe().unwrap();
    assert_eq!(fs::read_dir(&stage.root).unwrap().count(), 0);
    fs::set_permissions(&stage.root, fs::Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(stage.tree().probe(), Err(TreeError::Unsafe { .. })));
    // Before it is made, what is above it says as much; and nothing is made.
    let (above, new) = (stage.root.clone(), stage.root.join("deep/new"));
    let fits = crate::Tree::fits(&new, stage.claim);
    stage.root = new;
    for fits in [fits, stage.tree().probe()] {
        assert!(matches!(&fits, Err(TreeError::Replaceable { above: at, .. }) if *at == above), "{fits:?}");
    }
    assert_eq!(fs::read_dir(&above).unwrap().count(), 0);
}

#[test]
fn what_is_taken_over_is_never_a_rings_folder_nor_lies_in_one() {
    let mut stage = Stage::new();
    let current = stage.serves(&[(X64, 1)], &[]);
    stage.bring(&current);
    let ring = stage.root.clone();
    stage.claim = crate::Claim::TakeOver;
    stage.records = stage.records.with_file_name("others");
    for root in [ring.clone(), ring.join("linux")] {
        stage.root = root;
        let next = stage.serves(&[(X64, 2)], &[]);
        for refused in [stage.tree().probe().unwrap_err(), stage.tree().bring(&next, Depth::Look).unwrap_err()] {
            assert!(matches!(&refused, TreeError::Kept { root } if *root == ring), "{refused}");
        }
    }
    stage.root = ring;
    stage.is_exactly(&current);
}

#[test]
fn what_a_killed_probe_left_goes_with_the_next() {
    let mut stage = Stage::new();
    stage.claim = crate::Claim::TakeOver;
    stage.tree().probe().unwrap();
    let left = stage.root.join(format!("{}1", crate::place::PROBE));
    fs::create_dir(&left).unwrap();
    // And what a run before made for a folder that nothing is asked for in any more.
    fs::create_dir(stage.root.join(".waystation-new-1")).unwrap();
    stage.tree().probe().unwrap();
    assert!(!left.exists());
    let current = stage.serves(&[(X64, 1)], &[]);
    stage.bring(&current);
    stage.is_exactly(&current);
    assert_eq!(fs::read_dir(&stage.root).unwrap().count(), 1);
}

#[test]
fn the_records_say_which_folder_they_filled() {
    let stage = Stage::new();
    let filled =
        || crate::Tree::filled(&stage.records, &model::RingName::broad()).unwrap().map(|standing| standing.root);
    assert_eq!(filled(), None);
    stage.bring(&stage.serves(&[(X64, 1)], &[]));
    assert_eq!(filled(), Some(stage.root.clone()));
}
