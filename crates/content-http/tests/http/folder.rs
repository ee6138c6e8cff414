//! On a real data folder.

use std::sync::Arc;

use blob_store::{Access, BlobStore, Expected, FsRings, FsStore, RingStore};
use content_http::{ContentServer, DataFolder, Settings};
use model::{Digest, Generation, Route, Timestamp};

use crate::harness::{Answer, Client, flip, noise, ring, until};

async fn publish(path: &std::path::Path, number: u64, bytes: &[u8]) {
    publish_all(path, number, &[("/a", bytes)]).await;
}

async fn publish_all(path: &std::path::Path, number: u64, files: &[(&str, &[u8])]) {
    let store = FsStore::open(path, Access::ReadWrite).unwrap();
    let rings = FsRings::open(path, Access::ReadWrite).unwrap();
    let before = rings.current(&ring("broad")).await.unwrap().map(|current| current.digest);
    let at = Timestamp::from_micros(1_000_000);
    let mut generation = Generation::empty(ring("broad"), at);
    generation.number = number;
    for (path, bytes) in files {
        let mut writer = store.begin(None).await.unwrap();
        writer.write(bytes.to_vec().into()).await.unwrap();
        writer.finish(Expected::default()).await.unwrap();
        let feed = "elastic/9.0.0".parse().unwrap();
        let route = Route { digest: Digest::of(bytes), size: bytes.len() as u64, feed, since: at, until: None };
        generation.routes.insert(path.parse().unwrap(), route);
    }
    rings.prepare(&generation).await.unwrap();
    rings.publish(&generation, before).await.unwrap();
}

#[tokio::test]
async fn a_published_folder_is_served_and_followed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    publish(&path, 1, b"one").await;
    let source = Arc::new(DataFolder::open(&path).unwrap());
    let settings = Settings::plain("127.0.0.1:0".parse().unwrap(), ring("broad"));
    let server = ContentServer::start(settings, source, Arc::new(platform::SystemClock::new())).unwrap();
    assert!(server.is_ready());
    let ask = || {
        let mut client = Client::new(std::net::TcpStream::connect(server.local_addresses()[0]).unwrap());
        client.get("/a", "");
        client.answer().unwrap().body
    };
    assert_eq!(ask(), b"one");
    publish(&path, 2, b"two").await;
    until(|| server.stats().rings[0].generation == Some(2));
    assert_eq!(ask(), b"two");
    // What is served is in memory: a folder that vanishes takes nothing away at once.
    std::fs::remove_file(path.join("rings/broad/current")).unwrap();
    server.nudge();
    assert_eq!(ask(), b"two");
}

#[tokio::test]
async fn a_blob_deleted_from_the_folder_before_the_start_is_served_once_it_is_back_s18() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    publish(&path, 1, b"one").await;
    let name = Digest::of(b"one").to_string();
    let blob = path.join("blobs").join(&name[..2]).join(&name);
    let aside = folder.path().join("aside");
    std::fs::rename(&blob, &aside).unwrap();
    let source = Arc::new(DataFolder::open(&path).unwrap());
    let settings = Settings::plain("127.0.0.1:0".parse().unwrap(), ring("broad"));
    let server = ContentServer::start(settings, source, Arc::new(platform::SystemClock::new())).unwrap();
    let ask = |path| {
        let mut client = Client::new(std::net::TcpStream::connect(server.local_addresses()[0]).unwrap());
        client.get(path, "");
        client.answer().unwrap()
    };
    assert_eq!((ask("/a").status, ask("/").status), (503, 200));
    assert_eq!(server.take_damaged(), [Digest::of(b"one")]);
    std::fs::rename(&aside, &blob).unwrap();
    until(|| server.stats().rings[0].broken == 0);
    assert_eq!(ask("/a").body, b"one");
}

fn stored(path: &std::path::Path, bytes: &[u8]) -> std::path::PathBuf {
    let name = Digest::of(bytes).to_string();
    path.join("blobs").join(&name[..2]).join(&name)
}

fn poll(server: &ContentServer, times: usize) -> Vec<Answer> {
    let one = |_| {
        let mut client = Client::new(std::net::TcpStream::connect(server.local_addresses()[0]).unwrap());
        client.get("/a", "");
        client.answer().unwrap()
    };
    (0..times).map(one).collect()
}

/// A server on a folder whose one blob was asked for often enough to be open in every worker.
async fn warm(path: &std::path::Path, bytes: &[u8]) -> ContentServer {
    publish(path, 1, bytes).await;
    let blob = stored(path, bytes);
    let owner = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&blob, owner).unwrap();
    let source = Arc::new(DataFolder::open(path).unwrap());
    let settings = Settings::plain("127.0.0.1:0".parse().unwrap(), ring("broad"));
    let server = ContentServer::start(settings, source, Arc::new(platform::SystemClock::new())).unwrap();
    assert!(poll(&server, 32).iter().all(|answer| answer.body == bytes));
    server
}

#[tokio::test]
async fn a_byte_flipped_in_an_open_blob_is_never_served_s16_v39() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(folder.path().join("data")).unwrap();
    for size in [50_000, 3 << 20] {
        let path = folder.path().join("data").join(size.to_string());
        let bytes = noise(1, size);
        let server = warm(&path, &bytes).await;
        flip(&stored(&path, &bytes), 25_000);
        assert!(poll(&server, 32).iter().all(|answer| answer.status == 503), "{size}");
        until(|| server.take_damaged() == [Digest::of(&bytes)]);
        flip(&stored(&path, &bytes), 25_000);
        until(|| server.stats().rings[0].broken == 0);
        assert!(poll(&server, 32).iter().all(|answer| answer.body == bytes), "{size}");
    }
}

#[tokio::test]
async fn a_blob_set_aside_and_fetched_again_is_served_from_the_next_poll_on_s16_v39() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    for size in [50_000, 3 << 20] {
        let path = path.join(size.to_string());
        let bytes = noise(2, size);
        std::fs::create_dir_all(folder.path().join("data")).unwrap();
        let server = warm(&path, &bytes).await;
        flip(&stored(&path, &bytes), 25_000);
        std::fs::rename(stored(&path, &bytes), folder.path().join("damaged")).unwrap();
        let store = FsStore::open(&path, Access::ReadWrite).unwrap();
        let mut writer = store.begin(None).await.unwrap();
        writer.write(bytes.clone().into()).await.unwrap();
        writer.finish(Expected::default()).await.unwrap();
        // A large file that is another one is read before it is served.
        let large = size > 1 << 20;
        let right = |answer: &Answer| (answer.status, &answer.body) == (200, &bytes) || large && answer.status == 503;
        assert!(poll(&server, 32).iter().all(right), "{size}");
        until(|| server.stats().rings[0].broken == 0);
        assert!(poll(&server, 32).iter().all(|answer| (answer.status, &answer.body) == (200, &bytes)), "{size}");
        assert!(server.take_damaged().is_empty());
    }
}

#[tokio::test]
async fn who_has_nothing_left_but_what_is_in_memory_is_not_ready_s42() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("data");
    publish_all(&path, 1, &[("/manifest", b"small"), ("/a", &noise(7, 50_000)), ("/b", &noise(8, 3 << 20))]).await;
    let source = Arc::new(DataFolder::open(&path).unwrap());
    let settings = Settings::plain("127.0.0.1:0".parse().unwrap(), ring("broad"));
    let server = ContentServer::start(settings, source, Arc::new(platform::SystemClock::new())).unwrap();
    let ask = |path| {
        let mut client = Client::new(std::net::TcpStream::connect(server.local_addresses()[0]).unwrap());
        client.get(path, "");
        client.answer().unwrap().status
    };
    let looks_until = |condition: &dyn Fn() -> bool| {
        until(|| {
            server.nudge();
            condition()
        });
    };
    assert_eq!(ask("/manifest"), 200);
    // One file that is gone is told, and no reason to send everybody away.
    let (stored, aside) = (stored(&path, &noise(7, 50_000)), folder.path().join("aside"));
    std::fs::rename(&stored, &aside).unwrap();
    looks_until(&|| server.broken() == (1, 3));
    assert!(server.is_ready());
    std::fs::rename(&aside, &stored).unwrap();
    looks_until(&|| server.broken() == (0, 3));
    std::fs::rename(path.join("blobs"), &aside).unwrap();
    looks_until(&|| !server.is_ready_for(|path| path == "/manifest"));
    assert_eq!((server.broken(), ask("/manifest")), ((2, 3), 200), "memory serves on");
    std::fs::rename(&aside, path.join("blobs")).unwrap();
    looks_until(&|| server.is_ready() && server.broken() == (0, 3));
}

#[tokio::test]
async fn who_lost_the_files_of_what_it_serves_is_not_ready_s42() {
    let folder = tempfile::tempdir().unwrap();
    let (path, away, older) = (folder.path().join("data"), folder.path().join("away"), folder.path().join("older"));
    let (one, two) = (noise(5, 50_000), noise(6, 3 << 20));
    publish(&path, 1, &one).await;
    let copied = std::process::Command::new("cp").arg("-a").args([&path, &older]).status().unwrap();
    assert!(copied.success());
    publish(&path, 2, &two).await;
    let source = Arc::new(DataFolder::open(&path).unwrap());
    let settings = Settings::plain("127.0.0.1:0".parse().unwrap(), ring("broad"));
    let server = ContentServer::start(settings, source, Arc::new(platform::SystemClock::new())).unwrap();
    let looks_until = |condition: &dyn Fn() -> bool| {
        until(|| {
            server.nudge();
            condition()
        });
    };
    let is_back = || server.is_ready() && server.stats().rings[0].refused.is_none();
    let put_in_its_place = |other: Option<&std::path::Path>| {
        std::fs::rename(&path, &away).unwrap();
        other.inspect(|other| std::fs::rename(other, &path).unwrap());
    };
    let empty = folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    for other in [None, Some(empty.as_path()), Some(older.as_path())] {
        looks_until(&is_back);
        put_in_its_place(other);
        // Nobody asks for anything.
        looks_until(&|| server.has_lost_content() && !server.is_ready());
        other.inspect(|other| std::fs::rename(&path, other).unwrap());
        std::fs::rename(&away, &path).unwrap();
    }
    looks_until(&is_back);
    assert_eq!(poll(&server, 1)[0].body, two);
    // The blobs alone are gone, whatever the pointer says: it still names what is served.
    let blobs = path.join("blobs");
    std::fs::rename(&blobs, &away).unwrap();
    looks_until(&|| !server.is_ready() && server.broken() == (1, 1));
    assert!(server.has_lost_content() && server.stats().rings[0].refused.is_none());
    std::fs::rename(&away, &blobs).unwrap();
    looks_until(&is_back);
    // A restore that is half done: the same state, and none of its files yet.
    put_in_its_place(None);
    looks_until(&|| !server.is_ready());
    let copied = std::process::Command::new("cp").arg("-a").args([&away, &path]).status().unwrap();
    assert!(copied.success());
    std::fs::rename(path.join("blobs"), folder.path().join("not-yet")).unwrap();
    let looks = server.watched().looks;
    looks_until(&|| server.stats().rings[0].refused.is_none() && server.watched().looks > looks + 20);
    assert!(!server.is_ready());
    std::fs::rename(folder.path().join("not-yet"), path.join("blobs")).unwrap();
    looks_until(&is_back);
}
