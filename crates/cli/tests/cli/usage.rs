//! Mistakes, and what they are answered with.

use std::process::Stdio;

use crate::site::{Site, command, waystation};

#[test]
fn nothing_and_nonsense_are_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    for arguments in [&[][..], &["fetch"], &["sync", "--jsno"], &["release", "admit", "1"], &["release", "verify"]] {
        let ended = waystation(folder.path(), arguments).with(2);
        assert_eq!(ended.stdout, "");
        assert!(!ended.stderr.is_empty());
    }
}

#[test]
fn a_swarm_that_would_prove_nothing_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let swarm = |rest: &[&str]| waystation(folder.path(), &[&["endpoint", "swarm"], rest].concat()).with(2).stderr;
    let told = swarm(&["http://127.0.0.1:1", "--defender", "5", "--interval", "3h", "--for", "1h"]);
    assert!(told.contains("--for 1 h is shorter than --interval 3 h"), "{told}");
    let told = swarm(&["http://127.0.0.1:1/linux/production", "--defender", "5"]);
    assert!(told.contains("already holds 'linux/production'") && told.contains("--track"), "{told}");
}

#[test]
fn a_url_that_cannot_be_used_is_not_repeated_with_its_secrets_i13() {
    let folder = tempfile::tempdir().unwrap();
    for url in ["http://eve:hunter2@:80/", "eve:hunter2@mirror", "ftp://eve:hunter2@mirror/", "//eve:hunter2@mirror"] {
        let ended = waystation(folder.path(), &["doctor", url]).with(2);
        assert_eq!(ended.stdout, "");
        assert!(ended.stderr.contains("URL") && !ended.stderr.contains("hunter2"), "{}", ended.stderr);
    }
}

#[test]
fn a_missing_configuration_says_how_to_get_one() {
    let folder = tempfile::tempdir().unwrap();
    let ended = waystation(folder.path(), &["status", "--config", "no.toml"]).with(2);
    assert!(ended.stderr.starts_with("waystation: the configuration cannot be used:\n  no.toml: "), "{}", ended.stderr);
}

#[test]
fn a_mistake_in_the_configuration_names_file_line_key_and_the_nearest_key() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("waystation.toml"), "data_dir = \"d\"\n[elastic]\nversoins = [\"9.0.0\"]\n")
        .unwrap();
    for verb in [&["status"][..], &["sync"], &["run"], &["serve"], &["gc"], &["release", "list"], &["history", "list"]]
    {
        let ended = waystation(folder.path(), verb).with(2);
        assert_eq!(ended.stdout, "");
        assert!(ended.stderr.contains("waystation.toml:3: elastic.versoins: "), "{}", ended.stderr);
        assert!(ended.stderr.contains("versions"), "{}", ended.stderr);
    }
}

#[test]
fn the_environment_names_the_configuration() {
    let site = Site::builder().build();
    let elsewhere = tempfile::tempdir().unwrap();
    let output = command(elsewhere.path(), &["feed", "list"])
        .env("WAYSTATION_CONFIG", site.path().join("waystation.toml"))
        .output()
        .unwrap();
    assert!(String::from_utf8(output.stdout).unwrap().contains("elastic/9.0.0"));
}

#[test]
fn init_writes_what_the_program_reads_and_never_overwrites_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let first = waystation(folder.path(), &["init"]).with(0);
    assert!(first.stdout.contains("wrote waystation.toml") && first.stdout.contains("sync --plan"), "{}", first.stdout);
    let output = command(folder.path(), &["feed", "list"]).env("WAYSTATION__DATA_DIR", "data").output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let file = folder.path().join("waystation.toml");
    std::fs::write(&file, "mine").unwrap();
    let again = waystation(folder.path(), &["init"]).with(1);
    assert!(again.stderr.contains("--force"), "{}", again.stderr);
    assert_eq!(std::fs::read(&file).unwrap(), b"mine");
    waystation(folder.path(), &["init", "--force"]).with(0);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), config::template());
    std::fs::create_dir(folder.path().join("etc")).unwrap();
    waystation(folder.path(), &["init", "etc"]).with(0);
    assert!(folder.path().join("etc/waystation.toml").is_file());
    waystation(folder.path(), &["init", "missing/x.toml"]).with(1);
}

#[test]
fn init_makes_the_folder_it_is_given() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().unwrap();
    let told = waystation(folder.path(), &["init", "etc/waystation"]).with(0);
    assert!(told.stdout.contains("wrote etc/waystation/waystation.toml"), "{}", told.stdout);
    assert!(told.stdout.contains("--config etc/waystation/waystation.toml"), "{}", told.stdout);
    for made in ["etc", "etc/waystation"] {
        let mode = std::fs::metadata(folder.path().join(made)).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o755, "{made}");
    }
    waystation(folder.path(), &["init", "etc/waystation"]).with(1);
    waystation(folder.path(), &["init", "etc/waystation", "--force"]).with(0);
    let whole = folder.path().join("a/b.toml/");
    waystation(folder.path(), &["init", whole.to_str().unwrap()]).with(0);
    assert!(folder.path().join("a/b.toml/waystation.toml").is_file(), "a trailing slash says folder");
    waystation(folder.path(), &["init", "--config", "named.conf"]).with(0);
    assert!(folder.path().join("named.conf").is_file());
    let file = waystation(folder.path(), &["init", "named.conf", "--force"]).with(2);
    assert!(file.stderr.contains("is a file; name a folder"), "{}", file.stderr);
    waystation(folder.path(), &["init", "named.conf/below"]).with(1);
}

#[test]
fn init_makes_no_folder_that_looks_like_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let refused = waystation(folder.path(), &["init", "site/foo.txt"]).with(2);
    assert!(refused.stderr.contains("ends in .txt as a file does"), "{}", refused.stderr);
    assert!(!folder.path().join("site").exists(), "nothing is made");
    let told = waystation(folder.path(), &["init", "./site//conf.d/"]).with(0);
    assert!(told.stdout.contains("wrote site/conf.d/waystation.toml"), "{}", told.stdout);
}

#[test]
fn a_feed_that_is_not_followed_is_answered_with_the_nearest() {
    let site = Site::builder().versions(&["9.0.0", "8.18.3"]).build();
    for verb in [&["sync", "elastic/9.0.1"][..], &["feed", "show", "elastic/9.0.1"], &["sync", "elastc/9.0.0"]] {
        let ended = site.run(verb).with(2);
        assert!(ended.stderr.contains("nearest: elastic/9.0.0"), "{}", ended.stderr);
    }
    assert_eq!(site.vendors.requests().requests, 0);
}

#[test]
fn following_nothing_is_told_before_anything_is_made() {
    let site = Site::builder().versions(&[]).build();
    let ended = site.run(&["sync"]).with(2);
    assert!(ended.stderr.contains("no feed is followed: name versions under [elastic]"), "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1);
    assert!(!site.data().exists());
}

#[test]
fn a_proxy_that_has_learned_nothing_yet_is_told_so_by_every_verb() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("waystation.toml"), "data_dir = \"data\"\n[elastic]\nmode = \"proxy\"\n")
        .unwrap();
    for (verb, code) in [(&["sync", "--plan"][..], 0), (&["feed", "list"], 0), (&["status"], 4)] {
        let output = command(folder.path(), verb).output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout);
        assert_eq!(
            (output.status.code(), told.contains("nothing is followed yet")),
            (Some(code), true),
            "{verb:?} {told}"
        );
    }
}

#[test]
fn a_list_in_which_nothing_is_wanted_is_no_mistake() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("waystation.toml"), "data_dir = \"data\"\n[elastic]\n").unwrap();
    for (verb, code) in
        [(&["feed", "wanted", "--export", "w.json"][..], 0), (&["sync", "--wanted", "w.json"], 0), (&["sync"], 2)]
    {
        assert_eq!(command(folder.path(), verb).output().unwrap().status.code(), Some(code), "{verb:?}");
    }
}

#[test]
fn a_wrong_log_level_is_told() {
    let site = Site::builder().build();
    let ended = site.run(&["status", "--log-level", "inof"]).with(2);
    assert!(ended.stderr.contains("--log-level: 'inof' is no level"), "{}", ended.stderr);
    let output = command(site.path(), &["status"]).env("WAYSTATION_LOG", "loud").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn a_reader_that_goes_away_changes_nothing_p05() {
    let site = Site::builder().build();
    let mut child = command(site.path(), &["sync"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(!String::from_utf8(output.stderr).unwrap().contains("waystation:"));
}

#[test]
#[cfg(target_os = "linux")]
fn a_report_that_cannot_be_written_is_a_failure_s05() {
    let site = Site::builder().build();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = command(site.path(), &["feed", "list"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().starts_with("waystation: cannot write the report: "));
}

#[test]
fn a_date_that_nobody_has_a_manifest_of_takes_no_place() {
    let site = Site::builder().build();
    for (feed, why) in [("9.2.0@2999-01-01", "has to be before today"), ("8.10.4@2024-01-15", "8.11 and later can")] {
        let told = site.run(&["feed", "learn", "9.1.0", feed]).with(2).stderr;
        assert!(told.contains(&format!("nobody has elastic/{feed}: ")) && told.contains(why), "{told}");
    }
    let list = site.run(&["feed", "list", "--json"]).with(0).lines();
    assert!(
        list.iter().all(|known| known["followed_for"] == "configured"),
        "what stood beside it is not learned: {list:?}"
    );
}
