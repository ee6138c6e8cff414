//! A ring's plain folder, read while releases are published: over NFS by libnfs, as a local folder, and by the reference
//! endpoint, which updates from it again and again.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use e2e::{Site, closed_address, definitions_in_use, until};
use model::Digest;
use platform::fs::Folder;
use vendor_sim::{DefenderChange, DefenderFeed, DefenderSettings, DefenderTarget, Settings, Simulator};

use crate::shell::{Ends, saw, try_sh};

/// Reads pairs over NFS until it is told to stop, and tells each.
const READER: &str = include_str!("tree/reader.py");

/// Version and digest of every release that was ever published.
type Known = Arc<Mutex<BTreeSet<(String, String)>>>;

fn vendor() -> Simulator {
    let defender = DefenderSettings { archive_size: 256 << 10, ..DefenderSettings::default() };
    Simulator::start(Settings { defender, ..Settings::lately() }).unwrap()
}

fn note(vendor: &Simulator, known: &Known) {
    let release = vendor.defender_release(DefenderFeed::ALL[0]).unwrap();
    known.lock().unwrap().insert((release.definitions.clone(), release.archive.digest().to_string()));
}

/// Opens the folder, reads both files through what it opened, and opens it again.
fn read_locally(folder: &Path, known: &Known, stop: &AtomicBool) -> u64 {
    let mut pairs = 0;
    while !stop.load(Ordering::SeqCst) {
        let open = Folder::open(folder).unwrap();
        let read = |name: &str| {
            let mut bytes = Vec::new();
            open.open_regular(name).unwrap().0.read_to_end(&mut bytes).unwrap();
            bytes
        };
        for _ in 0..3 {
            let companion: serde_json::Value = serde_json::from_slice(&read("manifest.json")).unwrap();
            let pair = (
                companion["DefinitionVersion"].as_str().unwrap().to_owned(),
                Digest::of(&read("updates.zip")).to_string(),
            );
            assert!(known.lock().unwrap().contains(&pair), "a torn pair: {pair:?}");
            pairs += 1;
        }
    }
    pairs
}

/// The reference endpoint on the folder: updates until it is told to stop, and looks at what it holds each time. How often
/// it did, and how many releases it had.
fn updates(folder: &Path, known: &Known, stop: &AtomicBool) -> (u64, usize) {
    let work = tempfile::tempdir().unwrap();
    let (state, settings) = (work.path().join("state"), work.path().join("mdatp_managed.json"));
    let url = folder.display();
    let managed = format!(
        r#"{{"antivirusEngine":{{"offlineDefinitionUpdate":"enabled","offlineDefinitionUpdateUrl":"{url}"}}}}"#
    );
    fs::write(&settings, managed).unwrap();
    let (mut times, mut had) = (0, BTreeSet::new());
    while !stop.load(Ordering::SeqCst) {
        let mut update = Command::new(e2e::waystation());
        update.args(["endpoint", "defender", "update", "--state"]).arg(&state).arg("--settings").arg(&settings);
        let ended = update.output().unwrap();
        let said = [&ended.stdout[..], &ended.stderr[..]].concat();
        assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&said));
        let pair = definitions_in_use(&state);
        assert!(known.lock().unwrap().contains(&pair), "a torn pair in use: {pair:?}");
        had.insert(pair);
        times += 1;
    }
    (times, had.len())
}

/// A server in user space that exports a folder, read-only. What it remembers of names it asks for again each time: it
/// would else show the old pair, whole, for a minute, and the new one would not be tried.
fn nfs_server(work: &Path, export: &Path) -> (Ends, u16) {
    let (port, mount) = (closed_address().port(), closed_address().port());
    let config = format!(
        "NFS_CORE_PARAM {{ Protocols = 4; NFS_Port = {port}; MNT_Port = {mount}; Enable_UDP = false; Enable_NLM = false; \
         Enable_RQUOTA = false; Bind_addr = 127.0.0.1; mount_path_pseudo = true; }}\n\
         NFSV4 {{ Graceless = true; RecoveryRoot = {work}; }}\n\
         CACHEINODE {{ Dir_Chunk = 0; }}\n\
         EXPORT {{ Export_Id = 1; Path = {export}; Pseudo = /defs; Access_Type = RO; Attr_Expiration_Time = 0; Squash = No_root_squash; \
         SecType = sys; Protocols = 4; Transports = TCP; FSAL {{ Name = VFS; }} }}\n",
        work = work.display(),
        export = export.display(),
    );
    fs::write(work.join("ganesha.conf"), config).unwrap();
    let arguments = ["-F", "-N", "WARN", "-L", "ganesha.log", "-p", "ganesha.pid", "-f", "ganesha.conf"];
    let child = Command::new("ganesha.nfsd")
        .args(arguments)
        .current_dir(work)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let server = Ends(child);
    until("the NFS server answers", Duration::from_secs(60), || {
        let listing = try_sh(work, &format!("nfs-ls 'nfs://127.0.0.1/defs/?version=4&nfsport={port}'"));
        listing.status.success().then_some(())
    });
    (server, port)
}

#[test]
fn no_pair_is_torn_over_nfs_or_locally_while_releases_are_published() {
    let publications = if std::env::var("WAYSTATION_PROOF").is_ok_and(|size| size == "ci") { 20 } else { 200 };
    let (vendor, known) = (vendor(), Known::default());
    let shared = tempfile::tempdir().unwrap();
    let tree = format!("[tree]\nfolder = \"{}\"\n", shared.path().display());
    let site = Site::new(&[e2e::defender(&vendor.defender_url(), &["linux"], &["production"]), tree]);
    note(&vendor, &known);
    site.sync(&[]).expect(0);
    let ring = shared.path().join("broad");
    let folder = ring.join("linux/production/arch_x86_64");
    let work = tempfile::tempdir().unwrap();
    let (server, port) = nfs_server(work.path(), &ring);

    fs::write(work.path().join("reader.py"), READER).unwrap();
    let url = format!("nfs://127.0.0.1/defs/linux/production/arch_x86_64/?version=4&nfsport={port}");
    let told = fs::File::create(work.path().join("pairs")).unwrap();
    let mut remote = Command::new("python3")
        .args(["reader.py", &url, "stop"])
        .current_dir(work.path())
        .stdout(told)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (stop, local) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let reader = std::thread::spawn({
        let (folder, known, stop, local) = (folder.clone(), Arc::clone(&known), Arc::clone(&stop), Arc::clone(&local));
        move || local.store(read_locally(&folder, &known, &stop), Ordering::SeqCst)
    });
    let endpoint = std::thread::spawn({
        let platform: PathBuf = ring.join("linux/production");
        let (known, stop) = (Arc::clone(&known), Arc::clone(&stop));
        move || updates(&platform, &known, &stop)
    });
    for _ in 0..publications {
        vendor.publish_defender(DefenderTarget::All, DefenderChange::default()).unwrap();
        note(&vendor, &known);
        site.sync(&[]).expect(0);
        assert!(!reader.is_finished(), "the local reader met something");
        assert!(!endpoint.is_finished(), "the endpoint met something");
    }
    stop.store(true, Ordering::SeqCst);
    reader.join().unwrap();
    let (times, had) = endpoint.join().unwrap();
    assert!(had > 1, "the endpoint had one release only");
    fs::write(work.path().join("stop"), "").unwrap();
    let status = until("the reader over NFS ends", Duration::from_secs(60), || remote.try_wait().unwrap());
    let mut complaint = String::new();
    remote.stderr.take().unwrap().read_to_string(&mut complaint).unwrap();
    assert!(status.success(), "{status}: {complaint}");
    drop(server);

    let pairs = fs::read_to_string(work.path().join("pairs")).unwrap();
    let mut seen = BTreeSet::new();
    for line in pairs.lines() {
        let (version, digest) = line.split_once(' ').unwrap();
        let pair = (version.to_owned(), digest.to_owned());
        assert!(known.lock().unwrap().contains(&pair), "a torn pair over NFS: {line}");
        seen.insert(version.to_owned());
    }
    assert!(seen.len() > 1, "the reader over NFS saw one release only");
    site.act(&["tree", "status", "--all"]).expect(0);
    let (over_nfs, locally) = (pairs.lines().count(), local.load(Ordering::SeqCst));
    saw(&format!(
        "{publications} publications: {over_nfs} pairs of {} releases over NFS (ganesha, libnfs), {locally} locally, 0 torn; \
         {times} updates of the reference endpoint on the folder, {had} releases in use, 0 torn",
        seen.len()
    ));
}
