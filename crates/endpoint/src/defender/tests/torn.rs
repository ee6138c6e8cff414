//! A folder whose pair is replaced whole, again and again, while an endpoint reads it.

use std::os::unix::fs::symlink;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use model::Digest;

use super::world::{World, definitions, folder, versions};

const PUBLICATIONS: u32 = 200;

/// Each release's version and its archive.
fn release(number: u32) -> (String, Vec<u8>) {
    (format!("1.459.{number}.0"), definitions(&number.to_string()))
}

#[tokio::test]
async fn of_two_hundred_publications_no_pair_is_torn() {
    let world = World::new();
    let root = world.folder.path().join("production");
    std::fs::create_dir(&root).unwrap();
    let publish = {
        let root = root.clone();
        move |number: u32| {
            let (version, archive) = release(number);
            let made = root.join(format!("release-{number}"));
            std::fs::create_dir(&made).unwrap();
            std::fs::write(made.join("updates.zip"), archive).unwrap();
            std::fs::write(made.join("manifest.json"), versions(&version)).unwrap();
            let next = root.join("next");
            symlink(&made, &next).unwrap();
            std::fs::rename(next, root.join("arch_x86_64")).unwrap();
            if let Some(old) = number.checked_sub(3) {
                let _ = std::fs::remove_dir_all(root.join(format!("release-{old}")));
            }
        }
    };
    publish(0);
    let known: Vec<(String, Digest)> =
        (0..=PUBLICATIONS).map(release).map(|(version, archive)| (version, Digest::of(&archive))).collect();
    let over = Arc::new(AtomicBool::new(false));
    let publisher = {
        let over = Arc::clone(&over);
        std::thread::spawn(move || {
            (1..=PUBLICATIONS).for_each(publish);
            over.store(true, Ordering::SeqCst);
        })
    };
    let settings = folder(&root);
    let mut updates = 0;
    loop {
        let was_over = over.load(Ordering::SeqCst);
        // What is removed under a reader fails, and is asked for again.
        if world.update(&settings).await.is_good() {
            let installed = world.endpoint.store.current().unwrap().unwrap();
            let version = installed.version.expect("the companion was there").version.to_string();
            assert!(known.contains(&(version.clone(), installed.archive)), "{version} with {}", installed.archive);
            updates += 1;
        }
        if was_over {
            break;
        }
    }
    publisher.join().unwrap();
    assert!(updates > 1);
    assert_eq!(world.version().as_deref(), Some("1.459.200.0"));
    assert_eq!(world.endpoint.store.check().unwrap(), Vec::<String>::new());
}
