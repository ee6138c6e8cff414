//! The check of the whole data folder: every kind of fault planted is found, what is whole is told as whole, and
//! nothing is changed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use mirror::{Depth, LeftoverOf, StoreReport};
use model::{Digest, Reason};
use vendor_sim::Change;

use crate::world::World;

/// A world on files that has served two generations.
async fn whole() -> World {
    let world = World::on_files().await;
    world.sync().await;
    world.publish();
    world.sync().await;
    world
}

async fn check(world: &World, depth: Depth) -> StoreReport {
    let before = picture(world.ports.path());
    let report = world.engine().check_store(depth, &|_| ()).await;
    assert_eq!(picture(world.ports.path()), before, "a check changes nothing");
    report
}

/// Every file below a folder and its bytes; the database's own files move by being read.
fn picture(root: &Path) -> BTreeMap<PathBuf, Option<Digest>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(path);
            } else if !path.starts_with(root.join("catalog")) {
                let bytes = kind.is_file().then(|| fs::read(&path).map(|bytes| Digest::of(&bytes)).unwrap());
                all.insert(path, bytes);
            }
        }
    }
    all
}

fn reasons(report: &StoreReport) -> Vec<Reason> {
    report.faults.iter().map(|fault| fault.reason).collect()
}

fn left(report: &StoreReport) -> BTreeMap<LeftoverOf, u64> {
    report.leftovers.iter().map(|left| (left.kind, left.count)).collect()
}

fn blob(world: &World, digest: Digest) -> PathBuf {
    let name = digest.to_string();
    world.ports.path().join("blobs").join(&name[..2]).join(&name)
}

/// The blobs that are served now.
async fn served(world: &World) -> Vec<Digest> {
    let mut digests: Vec<Digest> = world.tree().await.values().map(|(digest, _)| *digest).collect();
    digests.sort_unstable();
    digests.dedup();
    digests
}

#[tokio::test]
async fn what_is_whole_is_told_as_whole() {
    let world = whole().await;
    for depth in [Depth::Look, Depth::Rehash] {
        let report = check(&world, depth).await;
        assert!(report.is_good() && report.leftovers.is_empty(), "{report:#?}");
        assert_eq!((report.rings, report.generations, report.releases), (1, 2, 6));
        assert!(report.blobs > 20 && report.bytes > 0 && report.entries > 6, "{report:#?}");
    }
}

#[tokio::test]
async fn an_empty_folder_is_whole() {
    let world = World::on_files().await;
    let report = check(&world, Depth::Rehash).await;
    assert!(report.is_good() && report.leftovers.is_empty(), "{report:#?}");
}

#[tokio::test]
async fn rot_at_every_thousandth_byte_is_found_only_by_reading_s16() {
    let world = whole().await;
    let digests = served(&world).await;
    let file = digests.iter().map(|digest| blob(&world, *digest)).max_by_key(|path| path.metadata().unwrap().len());
    let file = file.unwrap();
    let bytes = fs::read(&file).unwrap();
    for at in (0..bytes.len()).step_by(1000).chain([bytes.len() - 1]) {
        let mut rotten = bytes.clone();
        rotten[at] ^= 0x10;
        fs::write(&file, rotten).unwrap();
        assert!(check(&world, Depth::Look).await.is_good());
        let report = check(&world, Depth::Rehash).await;
        assert_eq!(reasons(&report), [Reason::BlobDamaged], "byte {at}: {report:#?}");
        assert_eq!(report.damaged.len(), 1);
    }
}

#[tokio::test]
async fn other_sizes_and_zeros_are_found_s17() {
    let world = whole().await;
    let file = blob(&world, served(&world).await[0]);
    let bytes = fs::read(&file).unwrap();
    let longer = [bytes.clone(), vec![0]].concat();
    for (wrong, look) in
        [(Vec::new(), true), (bytes[..bytes.len() - 1].to_vec(), true), (longer, true), (vec![0; bytes.len()], false)]
    {
        fs::write(&file, &wrong).unwrap();
        let report = check(&world, Depth::Look).await;
        assert_eq!(!report.is_good(), look, "{report:#?}");
        assert_eq!(reasons(&check(&world, Depth::Rehash).await), [Reason::BlobDamaged]);
    }
}

#[tokio::test]
async fn what_was_deleted_is_found_s18() {
    let mut world = whole().await;
    let digests = served(&world).await;
    fs::remove_file(blob(&world, digests[0])).unwrap();
    let report = check(&world, Depth::Look).await;
    assert_eq!(reasons(&report), [Reason::BlobMissing]);
    assert!(report.faults[0].detail.contains("in ring broad"), "{report:#?}");
    assert!(!report.faults[0].remedy.is_empty());
    fs::remove_dir_all(world.ports.path().join("blobs")).unwrap();
    world.reopen().await;
    let report = check(&world, Depth::Rehash).await;
    assert!(report.faults.len() >= digests.len(), "{report:#?}");
    assert!(reasons(&report).iter().all(|reason| *reason == Reason::BlobMissing));
}

#[tokio::test]
async fn a_pointer_that_names_nothing_whole_is_found_s18_s41() {
    let world = whole().await;
    let current = world.ports.path().join("rings/broad/current");
    let good = fs::read(&current).unwrap();
    for at in 0..good.len() {
        let mut flipped = good.clone();
        flipped[at] ^= 0x01;
        fs::write(&current, flipped).unwrap();
        assert_eq!(reasons(&check(&world, Depth::Look).await), [Reason::PointerDamaged], "byte {at}");
    }
    for cut in (0..good.len()).step_by(7) {
        fs::write(&current, &good[..cut]).unwrap();
        assert_eq!(reasons(&check(&world, Depth::Look).await), [Reason::PointerDamaged], "cut at {cut}");
    }
    fs::remove_file(&current).unwrap();
    assert_eq!(reasons(&check(&world, Depth::Look).await), [Reason::PointerDamaged]);
}

#[tokio::test]
async fn damaged_generations_are_found_s41() {
    let world = whole().await;
    let ring = world.ports.path().join("rings/broad");
    let old = fs::read(ring.join("generation-1")).unwrap();
    for at in (0..old.len()).step_by(101) {
        let mut flipped = old.clone();
        flipped[at] ^= 0x01;
        fs::write(ring.join("generation-1"), flipped).unwrap();
        assert_eq!(reasons(&check(&world, Depth::Look).await), [Reason::GenerationDamaged], "byte {at}");
    }
    fs::write(ring.join("generation-1"), &old).unwrap();
    // The present one: pointer and file no longer agree, and what is served instead is not what is recorded last.
    fs::write(ring.join("generation-2"), &old).unwrap();
    let found = reasons(&check(&world, Depth::Look).await);
    assert!(found.contains(&Reason::PointerDamaged), "{found:?}");
}

#[tokio::test]
async fn planted_links_foreign_owners_and_open_modes_are_found_s20_s22() {
    let world = whole().await;
    let root = world.ports.path().to_owned();
    let file = blob(&world, served(&world).await[0]);
    let outside = tempfile::tempdir().unwrap();
    fs::rename(&file, outside.path().join("blob")).unwrap();
    symlink(outside.path().join("blob"), &file).unwrap();
    assert_eq!(reasons(&check(&world, Depth::Rehash).await), [Reason::UnsafeFile], "a link as a blob");
    fs::remove_file(&file).unwrap();
    fs::rename(outside.path().join("blob"), &file).unwrap();

    let shard = file.parent().unwrap().to_owned();
    for path in
        [file.clone(), root.join("rings/broad/current"), root.join("locks"), root.join("rings/broad/generation-1")]
    {
        let private = fs::metadata(&path).unwrap().permissions();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        let found = check(&world, Depth::Look).await;
        assert!(reasons(&found).contains(&Reason::UnsafeFile), "{}: {found:#?}", path.display());
        fs::set_permissions(&path, private).unwrap();
        assert!(check(&world, Depth::Look).await.is_good(), "{}", path.display());
    }
    fs::set_permissions(&shard, fs::Permissions::from_mode(0o777)).unwrap();
    let found = reasons(&check(&world, Depth::Look).await);
    assert!(found.contains(&Reason::UnsafeFile) && found.contains(&Reason::BlobMissing), "{found:?}");
    fs::set_permissions(&shard, fs::Permissions::from_mode(0o755)).unwrap();

    let moved = root.join("blobs/away");
    fs::rename(&shard, &moved).unwrap();
    symlink(&moved, &shard).unwrap();
    let found = reasons(&check(&world, Depth::Look).await);
    assert!(found.contains(&Reason::BlobMissing), "a link as a shard: {found:?}");
}

#[tokio::test]
async fn a_catalog_that_does_not_know_what_is_served_is_found_s18_s40() {
    let mut world = whole().await;
    fs::remove_dir_all(world.ports.path().join("catalog")).unwrap();
    world.reopen().await;
    let report = check(&world, Depth::Look).await;
    assert!(!report.is_good());
    assert!(reasons(&report).iter().all(|reason| *reason == Reason::CatalogDisagrees), "{report:#?}");
    world.sync().await;
    assert!(check(&world, Depth::Rehash).await.is_good());
}

#[tokio::test]
async fn leftovers_are_listed_apart() {
    let world = whole().await;
    let root = world.ports.path().to_owned();
    fs::write(root.join("notes.txt"), "mine").unwrap();
    fs::write(root.join("rings/broad/.tmp-1-2-3"), "half").unwrap();
    fs::write(root.join("rings/broad/old"), "x").unwrap();
    // Ours, and nothing to speak of.
    for ours in ["wanted", "spool"] {
        fs::create_dir(root.join(ours)).unwrap();
        fs::set_permissions(root.join(ours), fs::Permissions::from_mode(0o700)).unwrap();
    }
    fs::write(root.join("damaged/x.0"), "x").unwrap();
    fs::write(root.join("partial/tmp-1"), "x").unwrap();
    fs::write(root.join("blobs/README"), "x").unwrap();
    world.ports.memory.put("nobody");
    let stray = Digest::of(b"nobody refers to this");
    fs::write(blob(&world, stray), b"nobody refers to this").unwrap();
    fs::set_permissions(blob(&world, stray), fs::Permissions::from_mode(0o644)).unwrap();
    let mut next = world.generation().await.unwrap();
    next.number += 1;
    world.ports.rings.prepare(&next).await.unwrap();
    fs::write(root.join("rings/broad/.tmp-1-2-3"), "half").unwrap();
    let report = check(&world, Depth::Rehash).await;
    assert!(report.is_good(), "{report:#?}");
    let expected = [
        (LeftoverOf::Partial, 1),
        (LeftoverOf::Temporary, 1),
        (LeftoverOf::Damaged, 1),
        (LeftoverOf::Unreferenced, 1),
        (LeftoverOf::Unpublished, 1),
        (LeftoverOf::Foreign, 3),
    ];
    assert_eq!(left(&report), expected.into_iter().collect());
}

#[tokio::test]
async fn odd_numbers_of_generations_are_told_and_keep_nobody_from_publishing_s41() {
    let world = whole().await;
    let before = world.generation().await.unwrap().number;
    let odd = [u64::MAX, u64::MAX - 1, 1 << 63, (1 << 63) - 1, 1 << 62, (1 << 53) + 1, 1 << 53, (1 << 53) - 1, 1 << 40];
    for number in odd {
        fs::write(world.ports.path().join(format!("rings/broad/generation-{number}")), "x").unwrap();
    }
    let report = check(&world, Depth::Look).await;
    assert_eq!(left(&report).get(&LeftoverOf::Foreign), Some(&4), "{report:#?}");
    world.publish();
    assert_eq!(world.sync().await.exit_code(), 0);
    assert_eq!(world.generation().await.unwrap().number, before + 1);
    // Nor where the pointer is lost with them lying about.
    fs::remove_file(world.ports.path().join("rings/broad/current")).unwrap();
    world.publish();
    assert_eq!(world.sync().await.exit_code(), 0);
    assert_eq!(world.generation().await.unwrap().number, before + 2);
}

#[tokio::test]
async fn what_was_rejected_may_be_held_and_need_not() {
    let world = whole().await;
    world.sim.publish_elastic("9.0.0", Change::regress()).unwrap();
    world.sync().await;
    let engine = world.engine();
    let waiting = engine.status().await.unwrap().quarantined[0].clone();
    assert!(check(&world, Depth::Rehash).await.is_good());
    engine.reject(&waiting.number.to_string(), "no").await.unwrap();
    let report = check(&world, Depth::Rehash).await;
    assert!(report.is_good() && !left(&report).contains_key(&LeftoverOf::Unreferenced), "{report:#?}");
}

#[tokio::test]
async fn a_check_beside_a_run_finds_nothing_that_is_not_there() {
    let world = whole().await;
    for _ in 0..3 {
        world.publish();
        let engine = world.engine();
        let (report, _) = tokio::join!(engine.check_store(Depth::Rehash, &|_| ()), world.sync());
        assert!(report.is_good(), "{report:#?}");
    }
}
