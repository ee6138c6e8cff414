//! A folder brought from one generation to the next, whatever happens in between.

mod crash;
mod open;
mod own;
mod stage;

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::time::Duration;

use model::Reason;
use platform::fs::Folder;

use crate::{Claim, Depth, Files, TreeError};
use stage::{ARM, Stage, X64, artifact, elastic};

const ZIP: &str = "linux/production/arch_x86_64/updates.zip";
const COMPANION: &str = "linux/production/arch_x86_64/manifest.json";

#[test]
fn a_generation_stands_there_path_for_path_readable_by_all() {
    let stage = Stage::new();
    let current = stage.serves(&[(X64, 2), (ARM, 1)], &[elastic(1), artifact("a"), artifact("b")]);
    let report = stage.bring(&current);
    assert!(report.is_whole() && report.put == 9, "{report:?}");
    stage.is_exactly(&current);
    for path in [ZIP, COMPANION, "linux/production_back/arch_x86_64/updates.zip"] {
        assert_eq!(stage.mode(path), 0o644, "{path}");
    }
    for path in ["", "linux", "linux/production", "linux/production/arch_x86_64"] {
        assert_eq!(stage.mode(path), 0o755, "{path}");
    }
    let modified = fs::metadata(stage.root.join(ZIP)).unwrap().mtime();
    assert_eq!(modified, current.generation.routes[&format!("/{ZIP}").parse().unwrap()].since.as_micros() / 1_000_000);
    let again = stage.bring(&current);
    assert_eq!((again.changes(), again.bytes_written), (0, 0), "what is right is left alone");
}

#[test]
fn whoever_has_the_folder_open_reads_one_whole_release() {
    let stage = Stage::new();
    stage.bring(&stage.serves(&[(X64, 1)], &[]));
    let open = Folder::open(&stage.root.join("linux/production/arch_x86_64")).unwrap();
    let read = |folder: &Folder, name: &str| {
        let mut text = String::new();
        folder.open_regular(name).unwrap().0.read_to_string(&mut text).unwrap();
        text
    };
    let companion = read(&open, "manifest.json");
    stage.bring(&stage.serves(&[(X64, 2)], &[]));
    assert_eq!(companion, stage::companion(1));
    assert_eq!(read(&open, "updates.zip"), stage::archive(X64, 1), "the one that it opened");
    let fresh = Folder::open(&stage.root.join("linux/production/arch_x86_64")).unwrap();
    assert_eq!(read(&fresh, "updates.zip"), stage::archive(X64, 2));
    assert_eq!(read(&fresh, "manifest.json"), stage::companion(2));
}

#[test]
fn folders_above_are_never_replaced_so_mounts_on_them_stay() {
    let stage = Stage::new();
    stage.bring(&stage.serves(&[(X64, 1)], &[]));
    let inode = |path: &str| fs::metadata(stage.root.join(path)).unwrap().ino();
    let above = ["", "linux", "linux/production"];
    let before = above.map(inode);
    for n in 2..5 {
        stage.bring(&stage.serves(&[(X64, n)], &[]));
    }
    assert_eq!(above.map(inode), before);
}

#[test]
fn what_was_replaced_is_kept_through_its_grace_and_no_longer() {
    let stage = Stage::new();
    for n in 1..4 {
        stage.bring(&stage.serves(&[(X64, n)], &[]));
    }
    // Two of production, and one of the release before.
    assert_eq!(stage.hidden(), 3);
    stage.pass(Duration::from_secs(3601));
    let current = stage.serves(&[(X64, 3)], &[]);
    stage.bring(&current);
    assert_eq!(stage.hidden(), 0);
    assert!(!stage.root.join(".waystation").exists());
    stage.is_exactly(&current);
}

#[test]
fn what_the_ring_went_back_from_leaves_at_once() {
    let stage = Stage::new();
    stage.bring(&stage.serves(&[(X64, 1)], &[]));
    stage.bring(&stage.serves(&[(X64, 9)], &[]));
    assert_eq!(stage.hidden(), 1);
    let back = stage.serves(&[(X64, 2)], &[]);
    stage.bring(&back);
    assert!(stage.bytes_anywhere(&stage::archive(X64, 9)).is_empty(), "denied content is nowhere below the root");
    stage.is_exactly(&back);
}

#[test]
fn a_rebuild_repairs_what_was_altered_lost_or_left_and_tells_what_is_not_ours() {
    let stage = Stage::new();
    let old = stage.serves(&[(X64, 1)], &[elastic(1), artifact("a"), artifact("old")]);
    stage.bring(&old);
    let current = stage.serves(&[(X64, 1)], &[elastic(1), artifact("a")]);
    let file = stage.root.join(ZIP);
    let (size, times) = (fs::metadata(&file).unwrap().len(), fs::metadata(&file).unwrap().modified().unwrap());
    // Altered so that neither size nor time tells.
    fs::write(&file, vec![b'x'; usize::try_from(size).unwrap()]).unwrap();
    fs::File::options().write(true).open(&file).unwrap().set_modified(times).unwrap();
    fs::remove_file(stage.root.join("downloads/artifacts/a")).unwrap();
    fs::write(stage.root.join("linux/production/arch_x86_64/README"), "mine").unwrap();
    fs::create_dir(stage.root.join("linux/production/arch_x86_64/mine")).unwrap();
    fs::write(stage.root.join("linux/notes"), "mine").unwrap();
    fs::set_permissions(stage.root.join(COMPANION), fs::Permissions::from_mode(0o666)).unwrap();
    let told = stage.tree().check(&current, Depth::Rebuild).unwrap();
    assert_eq!((told.put, told.replaced, told.removed, told.foreign_count), (1, 1, 1, 3), "{told:?}");
    let report = stage.rebuild(&current);
    assert_eq!((report.put, report.replaced, report.repaired, report.removed), (1, 1, 2, 1), "{report:?}");
    let mut foreign = report.foreign.clone();
    foreign.sort();
    let folder = "linux/production/arch_x86_64";
    assert_eq!(foreign, ["linux/notes".to_owned(), format!("{folder}/README"), format!("{folder}/mine")]);
    for name in ["linux/notes", "linux/production/arch_x86_64/README"] {
        assert_eq!(fs::read(stage.root.join(name)).unwrap(), b"mine", "{name}");
        fs::remove_file(stage.root.join(name)).unwrap();
    }
    fs::remove_dir(stage.root.join("linux/production/arch_x86_64/mine")).unwrap();
    stage.is_exactly(&current);
    assert_eq!(stage.mode(COMPANION), 0o644);
    assert_eq!(stage.rebuild(&current).changes(), 0);
}

#[test]
fn a_look_notices_what_was_altered_unless_it_hides() {
    let stage = Stage::new();
    let current = stage.serves(&[(X64, 1)], &[]);
    stage.bring(&current);
    fs::write(stage.root.join(ZIP), "other").unwrap();
    assert_eq!(stage.bring(&current).repaired, 1);
    stage.is_exactly(&current);
}

#[test]
fn a_folder_that_holds_something_at_first_use_is_refused() {
    let stage = Stage::new();
    fs::create_dir(&stage.root).unwrap();
    fs::write(stage.root.join("photos"), "mine").unwrap();
    let current = stage.serves(&[(X64, 1)], &[]);
    for depth in [Depth::Look, Depth::Rebuild] {
        let refused = stage.tree().bring(&current, depth).unwrap_err();
        assert!(matches!(&refused, TreeError::Foreign { name, .. } if name == "photos"), "{refused:?}");
        assert_eq!(refused.reason(), Reason::TreeRefused);
    }
    assert_eq!(stage.tree().standing().unwrap().unwrap().trouble.unwrap().reason, Reason::TreeRefused);
    assert_eq!(fs::read_dir(&stage.root).unwrap().count(), 1, "nothing was written");
    fs::remove_file(stage.root.join("photos")).unwrap();
    stage.bring(&current);
    stage.is_exactly(&current);
    assert_eq!(stage.tree().standing().unwrap().unwrap().trouble, None);
}

#[test]
fn an_emptied_folder_is_told_and_filled_by_a_rebuild_alone_s42() {
    let stage = Stage::new();
    let current = stage.serves(&[(X64, 1)], &[]);
    stage.bring(&current);
    for there in [true, false] {
        fs::remove_dir_all(&stage.root).unwrap();
        if there {
            fs::create_dir(&stage.root).unwrap();
        }
        let refused = stage.tree().bring(&current, Depth::Look).unwrap_err();
        assert!(matches!(refused, TreeError::Emptied { .. }), "a volume that is not mounted: {refused:?}");
        let told = stage.tree().check(&current, Depth::Look).unwrap_err();
        assert!(matches!(told, TreeError::Emptied { .. }), "nor does a look call it something to be rebuilt: {told:?}");
        stage.rebuild(&current);
        stage.is_exactly(&current);
    }
}

#[test]
fn a_folder_of_another_installation_is_taken_over_by_a_rebuild_alone() {
    let stage = Stage::new();
    let current = stage.serves(&[(X64, 1)], &[]);
    stage.bring(&current);
    fs::remove_dir_all(&stage.records).unwrap();
    fs::write(stage.root.join(ZIP), "other").unwrap();
    let refused = stage.tree().bring(&current, Depth::Look).unwrap_err();
    assert!(matches!(refused, TreeError::Strange { .. }), "{refused:?}");
    let report = stage.rebuild(&current);
    assert_eq!((report.taken_over, report.replaced), (1, 1), "{report:?}");
    stage.is_exactly(&current);
    stage.bring(&current);
}

#[test]
fn records_that_do_not_read_are_made_anew_by_a_rebuild_s41() {
    let stage = Stage::new();
    let current = stage.serves(&[(X64, 1)], &[]);
    stage.bring(&current);
    fs::write(stage.records.join("broad.json"), "{").unwrap();
    assert!(matches!(stage.tree().bring(&current, Depth::Look).unwrap_err(), TreeError::Records { .. }));
    stage.rebuild(&current);
    stage.is_exactly(&current);
}

#[test]
fn a_folder_that_was_moved_with_its_mark_stays_ours() {
    let mut stage = Stage::new();
    stage.bring(&stage.serves(&[(X64, 1)], &[]));
    let moved = stage.root.with_file_name("moved");
    fs::rename(&stage.root, &moved).unwrap();
    stage.root = moved;
    let current = stage.serves(&[(X64, 2)], &[]);
    assert_eq!(stage.bring(&current).replaced, 2);
    stage.is_exactly(&current);
}

#[test]
fn no_link_is_followed_and_none_is_left_at_a_files_place_s20() {
    let stage = Stage::new();
    let current = stage.serves(&[(X64, 1)], &[]);
    stage.bring(&current);
    let victim = stage.root.with_file_name("victim");
    fs::write(&victim, "theirs").unwrap();
    fs::remove_file(stage.root.join(ZIP)).unwrap();
    symlink(&victim, stage.root.join(ZIP)).unwrap();
    stage.bring(&current);
    stage.is_exactly(&current);
    assert_eq!(fs::read(&victim).unwrap(), b"theirs");

    // A folder replaced by a link that leads out.
    let outside = stage.root.with_file_name("outside");
    fs::rename(stage.root.join("linux"), &outside).unwrap();
    symlink(&outside, stage.root.join("linux")).unwrap();
    let next = stage.serves(&[(X64, 2)], &[]);
    let report = stage.tree().bring(&next, Depth::Look).unwrap();
    assert!(!report.is_whole());
    assert_eq!(fs::read_to_string(outside.join("production/arch_x86_64/updates.zip")).unwrap(), stage::archive(X64, 1));
    let trouble = stage.tree().standing().unwrap().unwrap().trouble.unwrap();
    assert!(trouble.detail.contains("symbolic link"), "{trouble:?}");
}

#[test]
fn a_folder_that_everybody_can_write_is_refused_s22() {
    let stage = Stage::new();
    fs::create_dir(&stage.root).unwrap();
    fs::set_permissions(&stage.root, fs::Permissions::from_mode(0o777)).unwrap();
    let refused = stage.tree().bring(&stage.serves(&[(X64, 1)], &[]), Depth::Look).unwrap_err();
    assert!(matches!(refused, TreeError::Unsafe { .. }), "{refused:?}");
}

#[test]
fn a_folder_that_everybody_could_replace_is_refused_s22() {
    for (claim, below) in [(Claim::Mark, ""), (Claim::TakeOver, ""), (Claim::Mark, "deep"), (Claim::TakeOver, "deep")] {
        let mut stage = Stage::new();
        stage.claim = claim;
        let above = stage.root.parent().unwrap().to_owned();
        // However far above: who renames a folder there takes all below it along.
        stage.root = above.join(below).join("tree");
        fs::create_dir_all(stage.root.parent().unwrap()).unwrap();
        let opened = |mode| fs::set_permissions(&above, fs::Permissions::from_mode(mode)).unwrap();
        opened(0o777);
        let refused = stage.tree().bring(&stage.serves(&[(X64, 1)], &[]), Depth::Look).unwrap_err();
        assert!(matches!(&refused, TreeError::Replaceable { above: at, .. } if *at == above), "{refused:?}");
        // Where only owners may rename, nobody could.
        opened(0o1777);
        stage.tree().bring(&stage.serves(&[(X64, 1)], &[]), Depth::Look).unwrap();
    }
}

#[test]
fn files_are_the_stores_own_only_where_owner_and_mode_allow() {
    let mut stage = Stage::new();
    stage.files = Files::Link;
    let current = stage.serves(&[(X64, 1), (ARM, 1)], &[]);
    fs::set_permissions(stage.blob(&stage::archive(ARM, 1)), fs::Permissions::from_mode(0o640)).unwrap();
    stage.bring(&current);
    let inode = |path: std::path::PathBuf| fs::metadata(path).unwrap().ino();
    assert_eq!(inode(stage.root.join(ZIP)), inode(stage.blob(&stage::archive(X64, 1))));
    let arm = stage.root.join("linux/production/arch_arm64/updates.zip");
    assert_ne!(inode(arm), inode(stage.blob(&stage::archive(ARM, 1))));
    stage.is_exactly(&current);
    // Once they are to be files of their own, a rebuild makes them so.
    stage.files = Files::Copy;
    assert_eq!(stage.rebuild(&current).replaced, 3);
    assert_ne!(inode(stage.root.join(ZIP)), inode(stage.blob(&stage::archive(X64, 1))));
    stage.is_exactly(&current);
}

/// A server that knows files by their times alone must not call what was gone back to what endpoints have already.
#[test]
fn a_path_has_a_later_time_with_each_change_also_where_what_is_older_comes_back() {
    for files in [Files::Copy, Files::Link] {
        let mut stage = Stage::new();
        stage.files = files;
        let serves = |x64: u64, arm: u64| {
            stage.pass(Duration::from_secs(60));
            let current = stage.serves(&[(X64, x64), (ARM, arm)], &[]);
            for n in 0..5 {
                for bytes in [stage::archive(X64, n), stage::archive(ARM, n), stage::companion(n)] {
                    let written = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + n);
                    if let Ok(blob) = fs::File::options().write(true).open(stage.blob(&bytes)) {
                        blob.set_modified(written).unwrap();
                    }
                }
            }
            current
        };
        let times = || {
            let time = |path: &String| fs::metadata(stage.root.join(path)).unwrap().mtime();
            let paths = [X64, ARM].map(|arch| {
                ["production", "production_back"].map(|track| {
                    ["updates.zip", "manifest.json"].map(|name| format!("linux/{track}/arch_{arch}/{name}"))
                })
            });
            let mut found: Vec<(String, i64)> = Vec::new();
            for path in paths.as_flattened().as_flattened() {
                let digest = model::Digest::of(&fs::read(stage.root.join(path)).unwrap());
                found.push((format!("{path} {digest}"), time(path)));
            }
            found
        };
        stage.bring(&serves(2, 2));
        stage.bring(&serves(3, 3));
        let mut before = times();
        // Whoever goes back alone has a companion that the other has, too.
        for (step, (x64, arm)) in [(2, 2), (3, 2), (3, 3), (2, 3), (4, 3)].into_iter().enumerate() {
            stage.bring(&serves(x64, arm));
            let now = times();
            for ((was, then), (is, time)) in before.iter().zip(&now) {
                assert!(was == is || time > then, "{files:?} {step}: {was} {then}, {is} {time}");
            }
            before = now;
        }
    }
}

#[test]
fn a_tree_that_somebody_left_is_taken_over_as_far_as_it_is_right() {
    let mut stage = Stage::new();
    stage.claim = Claim::TakeOver;
    let folder = stage.root.join("linux/production/arch_x86_64");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("updates.zip"), stage::archive(X64, 1)).unwrap();
    fs::write(folder.join("manifest.json"), "{}").unwrap();
    fs::write(folder.join("updates.zip_temp"), "half").unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o775)).unwrap();
    let current = stage.serves(&[(X64, 1)], &[]);
    let report = stage.bring(&current);
    assert_eq!((report.taken_over, report.replaced, report.bytes_written > 0), (1, 1, true), "{report:?}");
    assert_eq!(report.foreign, ["linux/production/arch_x86_64/updates.zip_temp"]);
    assert!(!stage.root.join(".waystation-tree").exists());
    assert_eq!(stage.mode("linux/production/arch_x86_64"), 0o755);
    fs::remove_file(folder.join("updates.zip_temp")).unwrap();
    stage.is_exactly(&current);
}

#[test]
fn a_blob_with_other_bytes_keeps_its_release_out_and_no_other_i4() {
    let stage = Stage::new();
    stage.bring(&stage.serves(&[(X64, 1), (ARM, 1)], &[]));
    let next = stage.serves(&[(X64, 2), (ARM, 2)], &[]);
    let rotten = stage::archive(X64, 2);
    fs::write(stage.blob(&rotten), rotten.to_uppercase()).unwrap();
    let report = stage.tree().bring(&next, Depth::Look).unwrap();
    assert_eq!(report.failed.len(), 1, "{report:?}");
    assert_eq!(report.failed[0].reason, Reason::BlobDamaged);
    assert_eq!(report.blobs, [model::Digest::of(rotten.as_bytes())], "who keeps the store is told which");
    assert_eq!(fs::read_to_string(stage.root.join(ZIP)).unwrap(), stage::archive(X64, 1));
    assert_eq!(fs::read_to_string(stage.root.join(COMPANION)).unwrap(), stage::companion(1));
    let arm = stage.root.join("linux/production/arch_arm64/updates.zip");
    assert_eq!(fs::read_to_string(arm).unwrap(), stage::archive(ARM, 2));
    assert!(stage.tree().standing().unwrap().unwrap().generation.is_none());
    fs::write(stage.blob(&rotten), &rotten).unwrap();
    stage.bring(&next);
    stage.is_exactly(&next);
}

#[test]
fn a_full_disk_changes_nothing_and_is_told_s01() {
    let mut stage = Stage::new();
    let first = stage.serves(&[(X64, 1)], &[]);
    stage.bring(&first);
    stage.reserve = u64::MAX;
    let next = stage.serves(&[(X64, 2)], &[]);
    let report = stage.tree().bring(&next, Depth::Look).unwrap();
    assert!(report.failed.iter().any(|failed| failed.reason == Reason::DiskFull), "{report:?}");
    assert_eq!(fs::read_to_string(stage.root.join(ZIP)).unwrap(), stage::archive(X64, 1));
    assert_eq!(fs::read_to_string(stage.root.join(COMPANION)).unwrap(), stage::companion(1));
    stage.reserve = 0;
    stage.bring(&next);
    stage.is_exactly(&next);
}

#[test]
fn a_manifest_waits_for_what_it_names_and_lets_go_of_nothing_before_i1() {
    let stage = Stage::new();
    stage.bring(&stage.serves(&[], &[elastic(1), artifact("a"), artifact("b")]));
    let next = stage.serves(&[], &[elastic(2), artifact("b"), artifact("c")]);
    let missing = stage.blob("artifact c");
    fs::remove_file(&missing).unwrap();
    let report = stage.tree().bring(&next, Depth::Look).unwrap();
    assert_eq!(report.failed.len(), 2, "{report:?}");
    assert_eq!(fs::read_to_string(stage.root.join("downloads/manifest/m.zip")).unwrap(), "manifest 1");
    assert!(stage.root.join("downloads/artifacts/a").exists(), "the old manifest still names it");
    fs::write(&missing, "artifact c").unwrap();
    stage.bring(&next);
    stage.is_exactly(&next);
}

#[test]
fn a_feed_that_leaves_takes_its_folders_along_and_nothing_else() {
    let stage = Stage::new();
    stage.bring(&stage.serves(&[(X64, 2), (ARM, 1)], &[]));
    fs::write(stage.root.join("linux/production/arch_arm64/notes"), "mine").unwrap();
    let current = stage.serves(&[(ARM, 1)], &[]);
    stage.bring(&current);
    assert!(!stage.root.join("linux/production/arch_x86_64").exists());
    assert!(!stage.root.join("linux/production_back").exists());
    let none = stage.serves(&[], &[]);
    stage.bring(&none);
    let left = fs::read_dir(stage.root.join("linux/production/arch_arm64")).unwrap().count();
    assert_eq!(left, 1, "what is not ours keeps its folder");
}

#[test]
fn a_name_of_ours_that_somebody_took_for_his_own_is_not_deleted_and_told_until_it_is_gone() {
    let mut stage = Stage::new();
    for claim in [Claim::Mark, Claim::TakeOver] {
        stage.claim = claim;
        stage.bring(&stage.serves(&[], &[elastic(1), artifact("a"), artifact("b")]));
        let taken = stage.root.join("downloads/artifacts/a");
        fs::write(&taken, "somebody else's").unwrap();
        let current = stage.serves(&[], &[elastic(1)]);
        for removed in [1, 0] {
            let report = stage.tree().bring(&current, Depth::Look).unwrap();
            // Nobody else has anything to put into a ring's folder; what was taken over has other users.
            let told = if claim == Claim::Mark { (1, 0) } else { (0, usize::from(removed == 1)) };
            let counted = (report.failed.len(), usize::try_from(report.foreign_count).unwrap());
            assert_eq!((report.removed, counted), (removed, told), "{report:?}");
            assert_eq!(stage.tree().standing().unwrap().unwrap().trouble.is_some(), claim == Claim::Mark);
        }
        assert_eq!(fs::read(&taken).unwrap(), b"somebody else's");
        fs::remove_file(&taken).unwrap();
        stage.bring(&current);
        stage.is_exactly(&current);
        fs::remove_dir_all(&stage.records).unwrap();
        fs::remove_dir_all(&stage.root).unwrap();
    }
}

#[test]
fn the_release_before_shares_its_bytes_with_what_was_served_until_then() {
    let stage = Stage::new();
    stage.bring(&stage.serves(&[(X64, 1)], &[]));
    let inode = fs::metadata(stage.root.join(ZIP)).unwrap().ino();
    let next = stage.serves(&[(X64, 2)], &[]);
    let report = stage.bring(&next);
    stage.is_exactly(&next);
    let back = stage.root.join("linux/production_back/arch_x86_64/updates.zip");
    assert_eq!(fs::metadata(back).unwrap().ino(), inode);
    let copied = (stage::archive(X64, 2).len() + stage::companion(2).len()) as u64;
    assert!(report.bytes_written <= copied, "{report:?}");
}
