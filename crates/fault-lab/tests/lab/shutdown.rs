//! File systems that are shut down under the program, as when their disk is pulled out.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fault_lab::{Dice, Mounted, sh};

use crate::bench::{Bench, is_full, saw};
use crate::scenario::{publish, sections, vendor};
use crate::tree::Tree;

/// What `ioctl(FS_IOC_SHUTDOWN)` takes: 0 writes everything first, 1 writes the journal first, 2 writes nothing.
const FLAGS: [u32; 3] = [0, 1, 2];
const SHUTDOWN: &str = "import fcntl, os, struct, sys\n\
    disk = os.open(sys.argv[1], os.O_RDONLY)\n\
    os.write(1, b'.')\n\
    sys.stdin.read()\n\
    fcntl.ioctl(disk, 0x8004587D, struct.pack('I', int(sys.argv[2])))";

#[test]
fn s13_a_file_system_is_shut_down_under_a_run() {
    let rounds: u32 = if is_full() { 100 } else { 8 };
    on("ext4", 64, &["mkfs.ext4", "-q", "-F"], rounds);
    on("xfs", 300, &["mkfs.xfs", "-q", "-f"], rounds);
}

fn on(system: &str, megabytes: u64, make: &[&str], rounds: u32) {
    let begun = Instant::now();
    let vendor = vendor(16 << 10, 128 << 10);
    let retention = "[retention]\ndays = 1\nbytes = \"2MB\"\ngrace = \"0s\"\n";
    let bench = Bench::new(&sections(&vendor, retention));
    let image = bench.folder().join("disk.img");
    std::fs::File::create(&image).unwrap().set_len(megabytes << 20).unwrap();
    sh(make[0], &[&make[1..], &[image.to_str().unwrap()]].concat()).unwrap();
    let data = bench.put("data", None);
    let mount = || Mounted::new(system, image.to_str().unwrap(), &data, "loop").unwrap();
    let mut disk = mount();
    bench.act(&["sync"]).expect(0);
    publish(&vendor);
    let began = Instant::now();
    bench.act(&["sync"]).expect(0);
    let usual = u64::try_from(began.elapsed().as_micros()).unwrap();

    let mut dice = Dice::new(13);
    let (mut failed, mut done) = (0, 0);
    for round in 0..rounds {
        let before = Tree::walk(&data).unwrap();
        publish(&vendor);
        let flag = FLAGS[usize::try_from(round).unwrap() % FLAGS.len()];
        let code = cut(&bench, Duration::from_micros(dice.below(usual)), flag);
        disk.unmount().unwrap();
        disk = mount();
        let served = Tree::walk(&data).unwrap_or_else(|error| panic!("{system}, round {round}, flag {flag}: {error}"));
        let synced = bench.act(&["sync", "--json"]);
        assert_eq!(synced.code, Some(0), "{system}, round {round}, flag {flag}: {}", synced.text());
        let after = Tree::walk(&data).unwrap();
        let allowed = if code == Some(0) { vec![&after] } else { vec![&before, &after] };
        served.is_among(&allowed).unwrap_or_else(|error| panic!("{system}, round {round}, flag {flag}: {error}"));
        if code == Some(0) {
            done += 1
        } else {
            failed += 1
        }
        if round % 20 == 19 {
            bench.act(&["gc"]).expect(0);
        }
    }
    bench.act(&["release", "verify", "--all", "--store"]).expect(0);
    saw(&format!(
        "{system} shut down under {rounds} runs (flags 0, 1, 2): {failed} failed and said so, {done} were done, 0 \
         violations; {} s",
        begun.elapsed().as_secs()
    ));
    assert!(failed > 0, "{system}: no run met the disk that was taken away");
    drop(disk);
}

/// Begins a run, and takes the disk away after a while; answers what the run ended with.
fn cut(bench: &Bench, after: Duration, flag: u32) -> Option<i32> {
    let mut plug = Plug::new(&bench.data(), flag);
    let begun = Instant::now();
    let mut run = bench.begin(&["sync"]);
    while begun.elapsed() < after && run.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_micros(100));
    }
    plug.pull();
    run.wait().unwrap().code()
}

/// A helper that has begun already, so that it pulls at once when it is told.
struct Plug(Child);

impl Plug {
    fn new(at: &Path, flag: u32) -> Self {
        let mut command = Command::new("python3");
        command.args(["-c", SHUTDOWN, at.to_str().unwrap(), &flag.to_string()]);
        let mut helper = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = [0];
        helper.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
        Self(helper)
    }

    fn pull(&mut self) {
        drop(self.0.stdin.take());
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Plug {
    fn drop(&mut self) {
        // It may have ended already, which is as good.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
