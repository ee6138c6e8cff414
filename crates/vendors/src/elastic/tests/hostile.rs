//! The manifests in `hostile/`, in folders named for the attack: each is refused with the attack's reason.

use std::fs;
use std::path::Path;

use model::Reason;

use super::world::World;

const ATTACKS: [(&str, Reason); 6] = [
    ("contradiction", Reason::BadManifest),
    ("duplicate-keys", Reason::BadManifest),
    ("oversized", Reason::TooLarge),
    ("path-takeover", Reason::BadPath),
    ("path-traversal", Reason::BadPath),
    ("truncated", Reason::BadManifest),
];

#[test]
fn every_hostile_manifest_is_refused_with_its_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/elastic/tests/hostile");
    assert_eq!(fs::read_dir(&root).unwrap().count(), ATTACKS.len(), "a folder per attack");
    for (attack, reason) in ATTACKS {
        let files: Vec<_> = fs::read_dir(root.join(attack)).unwrap().map(|file| file.unwrap().path()).collect();
        assert!(!files.is_empty(), "{attack}");
        for file in files {
            let mut world = World::of_text(&fs::read(&file).unwrap());
            world.run().refused(reason);
            assert_eq!(world.asked.len(), 1, "{}: nothing but the manifest is asked for", file.display());
        }
    }
}
