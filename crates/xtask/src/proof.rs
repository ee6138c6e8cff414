//! Checks that need installed programs, root or minutes. `cargo test --workspace` needs none of them.

mod rounds;
mod rules;
mod schema;
mod tests;

use std::path::PathBuf;

use anyhow::Result;
use cargo_metadata::MetadataCommand;
use simulation::{On, Request};

use crate::simulate;

/// How much is run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    /// What fits a continuous run.
    Ci,
    /// Everything.
    Full,
}

/// Who may run a check.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum User {
    /// Anybody.
    Any,
    /// Root alone: it mounts, or becomes somebody else.
    Root,
}

/// Where and how large a proof runs.
pub(crate) struct Stage {
    pub(crate) root: PathBuf,
    pub(crate) size: Size,
}

/// One check.
pub(crate) struct Proof {
    /// What it proves, in a few words.
    pub(crate) name: &'static str,
    /// The smallest size that it belongs to.
    pub(crate) from: Size,
    /// The programs it needs, each with the Debian package that brings it.
    pub(crate) needs: &'static [(&'static str, &'static str)],
    /// Whose it must be run as.
    pub(crate) by: User,
    /// Runs it; an error says what did not hold.
    pub(crate) run: fn(&Stage) -> Result<()>,
}

/// Every proof. One that is a test lives in a crate's `tests` behind the feature `proof` and runs by
/// `tests`; its row names the programs.
const PROOFS: &[Proof] = &[
    Proof {
        name: "the schema of the configuration, read by another program, explains every key",
        from: Size::Ci,
        needs: &[("jq", "jq")],
        by: User::Any,
        run: schema::explained,
    },
    Proof {
        name: "the alerting rules fire, stay silent and end as their unit tests say",
        from: Size::Ci,
        needs: &[("promtool", "prometheus")],
        by: User::Any,
        run: rules::hold,
    },
    Proof {
        name: "properties hold over many more cases",
        from: Size::Ci,
        needs: &[],
        by: User::Any,
        run: tests::properties,
    },
    Proof {
        name: "random single faults of network and vendors, one after the other, never break what is served",
        from: Size::Ci,
        needs: &[],
        by: User::Any,
        run: rounds::of_random_faults,
    },
    Proof {
        name: "whatever fails or crashes at which operation, the engine serves whole releases and comes together again",
        from: Size::Ci,
        needs: &[],
        by: User::Any,
        run: simulated,
    },
    Proof {
        name: "the vendor page's own commands fetch everything from the mirror and tell its version",
        from: Size::Ci,
        needs: &[BASH, CURL, JQ, ("wget", "wget"), ("zcat", "gzip"), ("xargs", "findutils")],
        by: User::Any,
        run: |stage| tests::end_to_end(stage, "pipeline::"),
    },
    Proof {
        name: "Microsoft's layout is served path for path, with the release before in _back",
        from: Size::Ci,
        needs: &[BASH, CURL, JQ, ("unzip", "unzip")],
        by: User::Any,
        run: |stage| tests::end_to_end(stage, "layout::"),
    },
    Proof {
        name: "a tree made by the steps of Microsoft's script is taken in without a network",
        from: Size::Ci,
        needs: &[BASH, CURL, JQ, ("sed", "sed")],
        by: User::Any,
        run: |stage| tests::end_to_end(stage, "script::"),
    },
    Proof {
        name: "what stands in for Microsoft's script makes the script's tree, and has none of its defects",
        from: Size::Ci,
        needs: &[BASH, CURL, JQ, ("sed", "sed")],
        by: User::Any,
        run: |stage| tests::end_to_end(stage, "downloader::"),
    },
    Proof {
        name: "the tasks for Ansible hold on a new host, change nothing again, and merge into what others manage",
        from: Size::Ci,
        needs: &[BASH, ("ansible-playbook", "ansible-core")],
        by: User::Root,
        run: |stage| tests::end_to_end(stage, "ansible::"),
    },
    Proof {
        name: "a ring's plain folder shows whole pairs over NFS, locally and to an endpoint, while releases are published",
        from: Size::Ci,
        needs: &[
            BASH,
            ("ganesha.nfsd", "nfs-ganesha"),
            ("ganesha.nfsd", "nfs-ganesha-vfs"),
            ("nfs-ls", "libnfs-utils"),
            ("python3", "python3"),
        ],
        by: User::Root,
        run: |stage| tests::end_to_end(stage, "tree::"),
    },
    Proof {
        name: "curl and wget find heads, ranges, conditions and resumed downloads as they should be",
        from: Size::Ci,
        needs: &[BASH, CURL, ("wget", "wget")],
        by: User::Any,
        run: |stage| tests::end_to_end(stage, "clients::"),
    },
    Proof {
        name: "vendor, mirror, endpoint and process stop one after another, and each is told alone within a minute",
        from: Size::Ci,
        needs: &[("sh", "dash"), ("cat", "coreutils")],
        by: User::Any,
        run: |stage| tests::end_to_end(stage, "alarms::"),
    },
    Proof {
        name: "nginx in front, as the vendor page has it, keeps tags, conditions and ranges",
        from: Size::Ci,
        needs: &[BASH, CURL, ("sed", "sed"), ("nginx", "nginx-light")],
        by: User::Any,
        run: |stage| tests::end_to_end(stage, "proxy::"),
    },
    Proof {
        name: "nginx and Apache answer generated requests as we do, or the difference is explained",
        from: Size::Ci,
        needs: &[("nginx", "nginx-light"), ("apache2", "apache2")],
        by: User::Root,
        run: |stage| tests::end_to_end(stage, "wire::differential::"),
    },
    Proof {
        name: "smuggled requests never get anybody another's answer, alone and behind nginx, Apache and haproxy",
        from: Size::Ci,
        needs: &[("nginx", "nginx-light"), ("apache2", "apache2"), ("haproxy", "haproxy")],
        by: User::Root,
        run: |stage| tests::end_to_end(stage, "wire::smuggling::"),
    },
    Proof {
        name: "slow heads, slow readers, idle thousands and storms of connections leave good clients served",
        from: Size::Ci,
        needs: &[],
        by: User::Any,
        run: |stage| tests::end_to_end(stage, "wire::crowd::"),
    },
    Proof {
        name: "clients that walk during publications, and at full load, get whole releases from a server that stays as it is",
        from: Size::Ci,
        needs: &[],
        by: User::Any,
        run: |stage| tests::end_to_end(stage, "wire::publications::"),
    },
    Proof {
        name: "scanners of TLS and of slow attacks find nothing that is not explained",
        from: Size::Full,
        needs: &[
            BASH,
            ("openssl", "openssl"),
            ("sslscan", "sslscan"),
            ("testssl", "testssl.sh"),
            ("slowhttptest", "slowhttptest"),
        ],
        by: User::Any,
        run: |stage| tests::end_to_end(stage, "wire::scanners::"),
    },
    Proof {
        name: "the doctor finds what is wrong with the vendor page's nginx and Apache, and nothing with our mirror",
        from: Size::Ci,
        needs: &[("nginx", "nginx-light"), ("apache2", "apache2")],
        by: User::Any,
        run: |stage| tests::end_to_end(stage, "doctor::"),
    },
    Proof {
        name: "a thousand endpoints at a cold proxy are one request each to the vendor; the page's recipes beside ours",
        from: Size::Ci,
        needs: &[
            BASH,
            CURL,
            JQ,
            ("wget", "wget"),
            ("zcat", "gzip"),
            ("xargs", "findutils"),
            ("nginx", "nginx-light"),
            ("apache2", "apache2"),
        ],
        by: User::Any,
        run: |stage| tests::end_to_end(stage, "demand::"),
    },
    Proof {
        name: "clocks thrown a year either way, of commands and of a run that lives, end no grace and lose nothing",
        from: Size::Ci,
        needs: &[("faketime", "faketime"), ("printenv", "coreutils")],
        by: User::Any,
        run: |stage| tests::end_to_end(stage, "clock::"),
    },
    Proof {
        name: "serve runs as nobody on a mount that cannot be written",
        from: Size::Ci,
        needs: &[("unshare", "util-linux"), ("setpriv", "util-linux"), ("mount", "mount")],
        by: User::Root,
        run: |stage| tests::end_to_end(stage, "readonly::"),
    },
    Proof {
        name: "two users of the declared group share one data folder",
        from: Size::Ci,
        needs: &[("setpriv", "util-linux")],
        by: User::Root,
        run: |stage| tests::end_to_end(stage, "group::"),
    },
    Proof {
        name: "an archive of 2 GB streams through 64 MiB of memory, and serving outlives a killed fetch",
        from: Size::Full,
        needs: &[("sh", "dash")],
        by: User::Root,
        run: |stage| tests::end_to_end(stage, "memory::"),
    },
    Proof {
        name: "every operation of a run fails, or the run is killed at it: old or new is served, and it is told",
        from: Size::Ci,
        needs: &[UNSHARE, MOUNT, COPY],
        by: User::Root,
        run: |stage| tests::lab(stage, "sweep::"),
    },
    Proof {
        name: "runs killed at random, again and again on one data folder, converge",
        from: Size::Ci,
        needs: &[UNSHARE, MOUNT, COPY],
        by: User::Root,
        run: |stage| tests::lab(stage, "kills::"),
    },
    Proof {
        name: "disks without room, before, while and after: what is served stays whole, and it is told",
        from: Size::Ci,
        needs: &[UNSHARE, MOUNT, COPY, MKFS_EXT4, ("fallocate", "util-linux"), ("du", "coreutils")],
        by: User::Root,
        run: |stage| tests::lab(stage, "filling::"),
    },
    Proof {
        name: "few descriptors, slow disks, parts of the data folder that cannot be used",
        from: Size::Ci,
        needs: &[UNSHARE, MOUNT, COPY, ("prlimit", "util-linux")],
        by: User::Root,
        run: |stage| tests::lab(stage, "lean::"),
    },
    Proof {
        name: "power cuts at any moment leave one whole release and all that was acknowledged",
        from: Size::Ci,
        needs: &[UNSHARE, MOUNT, MKFS_EXT4, MKFS_XFS, ("mkfs.btrfs", "btrfs-progs"), ("strace", "strace")],
        by: User::Root,
        run: |stage| tests::lab(stage, "power::"),
    },
    Proof {
        name: "file systems shut down under a run come back with one whole release",
        from: Size::Ci,
        needs: &[UNSHARE, MOUNT, MKFS_EXT4, MKFS_XFS, ("python3", "python3-minimal")],
        by: User::Root,
        run: |stage| tests::lab(stage, "shutdown::"),
    },
];

const BASH: (&str, &str) = ("bash", "bash");
const CURL: (&str, &str) = ("curl", "curl");
const JQ: (&str, &str) = ("jq", "jq");
const UNSHARE: (&str, &str) = ("unshare", "util-linux");
const MOUNT: (&str, &str) = ("mount", "mount");
const COPY: (&str, &str) = ("cp", "coreutils");
const MKFS_EXT4: (&str, &str) = ("mkfs.ext4", "e2fsprogs");
const MKFS_XFS: (&str, &str) = ("mkfs.xfs", "xfsprogs");

/// Seeds of the whole engine; at full size, every operation of one life as well.
fn simulated(stage: &Stage) -> Result<()> {
    let full = stage.size == Size::Full;
    let (memory, files) = if full { (20_000, 300) } else { (500, 20) };
    // Far from the seeds of the ordinary run.
    let far = 1 << 32;
    let request = |on| move |seed| Request { on, ..Request::of(seed) };
    let mut holds = simulate::many(far..far + memory, request(On::Memory))?;
    holds &= simulate::many(far..far + files, request(On::Files))?;
    if full {
        holds &= simulate::sweep(simulate::Strikes::Once)? & simulate::sweep(simulate::Strikes::Twice)?;
    }
    anyhow::ensure!(holds, "an invariant did not hold");
    Ok(())
}

fn chosen(size: Size) -> impl Iterator<Item = &'static Proof> {
    PROOFS.iter().filter(move |proof| size == Size::Full || proof.from == Size::Ci)
}

fn missing(proof: &Proof) -> Vec<(&'static str, &'static str)> {
    proof.needs.iter().copied().filter(|(program, _)| !is_installed(program)).collect()
}

/// Whether a program can be started at all. Asked by starting it, since that is what a proof will do.
fn is_installed(program: &str) -> bool {
    use std::process::{Command, Stdio};
    let null = Stdio::null;
    match Command::new(program).arg("--version").stdin(null()).stdout(null()).stderr(null()).status() {
        Ok(_) => true,
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}

/// Runs the proofs of a size; true when all of them hold. One whose programs are missing does not.
pub(crate) fn run(size: Size) -> Result<bool> {
    let root = MetadataCommand::new().no_deps().exec()?.workspace_root.into_std_path_buf();
    let stage = Stage { root, size };
    let mut failed = 0usize;
    let begun = now();
    for proof in chosen(size) {
        let missing = missing(proof);
        let begun = now();
        let outcome = outcome(proof, &stage, &missing);
        let seconds = begun.elapsed().as_secs();
        if let Err(error) = outcome {
            println!("FAIL {} ({seconds} s)\n       {error:#}", proof.name);
            failed += 1;
        } else {
            println!("ok   {} ({seconds} s)", proof.name);
        }
    }
    let (all, seconds) = (chosen(size).count(), begun.elapsed().as_secs());
    println!("{all} proofs, {failed} failed; {seconds} s");
    Ok(failed == 0)
}

#[allow(clippy::disallowed_methods, reason = "what a proof takes is real time")]
fn now() -> std::time::Instant {
    std::time::Instant::now()
}

fn outcome(proof: &Proof, stage: &Stage, missing: &[(&str, &str)]) -> Result<()> {
    if !missing.is_empty() {
        let programs: Vec<&str> = missing.iter().map(|(program, _)| *program).collect();
        let packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
        anyhow::bail!("needs {}: apt-get install {}", programs.join(", "), packages.join(" "));
    }
    if proof.by == User::Root && !rustix::process::geteuid().is_root() {
        anyhow::bail!("needs root: run it again as root");
    }
    (proof.run)(stage)
}

/// Prints the packages whose programs are missing, one a line.
pub(crate) fn list_missing(size: Size) -> Result<bool> {
    let mut packages: Vec<&str> = chosen(size).flat_map(missing).map(|(_, package)| package).collect();
    packages.sort_unstable();
    packages.dedup();
    for package in packages {
        println!("{package}");
    }
    Ok(true)
}
