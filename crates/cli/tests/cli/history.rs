//! The history found, exported, compared; rings and status as they were.

use std::path::Path;

use catalog::{Batch, Catalog as _, Entry, NewEntry, SqlCatalog};
use model::Digest;
use serde_json::{Value, json};
use vendor_sim::Change;

use crate::site::{Ended, Site, command};

fn with_heads() -> Site {
    Site::named("[history]\nhead_file = \"heads\"\nhead_entries = 1\n")
}

/// The folder's files, to be put back later.
fn copy(from: &Path, to: &Path) {
    std::fs::remove_dir_all(to).ok();
    std::fs::create_dir_all(to).unwrap();
    for file in std::fs::read_dir(from).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), to.join(file.file_name())).unwrap();
    }
}

fn with_environment(site: &Site, arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
    command(site.path(), arguments).envs(environment.iter().copied()).output().unwrap().into()
}

#[test]
fn entries_are_found_by_what_they_are_about() {
    let site = Site::named("");
    let person = [("SUDO_USER", "ada"), ("SUDO_UID", "1007")];
    with_environment(&site, &["sync"], &person).with(0);
    site.vendors.publish_elastic("9.0.0", Change::regress()).unwrap();
    site.run(&["sync"]).with(3);
    site.run(&["release", "reject", "2", "--reason", "a mistake = theirs | ours"]).with(0);
    site.run(&["release", "admit", "77", "--reason", "typo"]).with(1);
    let count = |more: &[&str]| site.run(&[&["history", "list", "--json"], more].concat()).with(0).lines().len();
    let all = count(&["--limit", "1000"]);
    assert_eq!((count(&["--kind", "check"]), count(&["--kind", "act"]), count(&["--kind", "verdict"])), (2, 2, 2));
    assert_eq!(count(&["--kind", "act", "--kind", "verdict"]), 4);
    assert_eq!(count(&["--kind", "act", "--limit", "1"]), 1);
    assert!(count(&["--feed", "elastic/9.0.0"]) > 5 && count(&["--feed", "elastic/8.0.0"]) == 0);
    assert!(count(&["--actor", "ada"]) > 2 && count(&["--actor", "ada"]) == count(&["--actor", "1007"]));
    // The word, and the publication by which the ring keeps it.
    assert_eq!((count(&["--actor", "release reject"]), count(&["--actor", "eve"])), (3, 0));
    assert_eq!((count(&["--since", "1h ago", "--limit", "1000"]), count(&["--until", "1h ago"])), (all, 0));
    site.run(&["history", "list", "--since", "lately"]).with(2);
    site.run(&["history", "list", "--kind", "lunch"]).with(2);
    let shown = site.run(&["history", "list", "--limit", "100"]).with(0).stdout;
    for part in [
        "sync by uid ",
        " (says ada",
        "reject, release 2, because: a mistake = theirs | ours",
        "admit, refused: ",
        "quarantined, release 2, 1.0.",
        "version_regression",
        "noticed: start of sync",
    ] {
        assert!(shown.contains(part), "{part}:\n{shown}");
    }
    let empty = site.run(&["history", "list", "--actor", "eve"]).with(0).stdout;
    assert_eq!(empty, "nothing that fits is recorded\n");
}

/// As the guide says it, but for the moving away of what a process that was killed left: here each ended.
#[test]
fn a_backup_of_the_one_file_is_put_back_s40() {
    let site = Site::named("");
    site.run(&["sync"]).with(0);
    let (catalog, backup) = (site.data().join("catalog/catalog.sqlite3"), site.path().join("backup.sqlite3"));
    std::fs::copy(&catalog, &backup).unwrap();
    let verified = || site.run(&["history", "verify"]).with(0).stdout;
    let then = verified();
    for _ in 0..2 {
        site.vendors.publish_elastic("9.0.0", Change::of(1)).unwrap();
        site.run(&["sync"]).with(0);
    }
    assert_ne!(verified(), then);
    std::fs::copy(&backup, &catalog).unwrap();
    assert_eq!(verified(), then);
    // What was published since is recorded again.
    site.run(&["sync"]).with(0);
    site.run(&["release", "verify", "--store"]).with(0);
}

/// The formula of docs/history.md, by nothing that the program computes it with.
fn digest_of(line: &Value) -> Digest {
    let mut text =
        format!("waystation history 1\n{}\n{}\n{}\n", line["previous"].as_str().unwrap(), line["seq"], line["at"]);
    let plain = |name: &str| line[name].as_str().unwrap().to_owned();
    for part in [line["actor"].to_string(), plain("kind"), plain("subject"), line["data"].to_string()] {
        text += &format!("{} {part}\n", part.len());
    }
    Digest::of(text.as_bytes())
}

#[test]
fn an_export_is_proven_by_somebody_else() {
    let site = Site::named("");
    with_environment(&site, &["sync"], &[("USER", "ada")]).with(0);
    site.run(&["release", "admit", "9", "--reason", "caf\u{e9} \u{1f980} \"quoted\" \\ back"]).with(1);
    let lines = site.run(&["history", "export"]).with(0).lines();
    let mut previous = Digest::from_bytes([0; 32]).to_string();
    for (line, seq) in lines.iter().zip(1..) {
        assert_eq!((&line["seq"], line["previous"].as_str()), (&json!(seq), Some(previous.as_str())));
        previous = digest_of(line).to_string();
        assert_eq!(line["digest"].as_str(), Some(previous.as_str()), "{line}");
    }
    let head = site.run(&["history", "verify", "--json"]).with(0).lines();
    assert_eq!(
        (head[0]["digest"].as_str(), head[0]["entries"].as_u64()),
        (Some(previous.as_str()), Some(lines.len() as u64))
    );
    // To a file, once; and of a span.
    let told = site.run(&["history", "export", "--out", "all.jsonl"]).with(0).stdout;
    assert_eq!(told, format!("{} entries written to all.jsonl\n", lines.len()));
    assert_eq!(std::fs::read_to_string(site.path().join("all.jsonl")).unwrap().lines().count(), lines.len());
    site.run(&["history", "export", "--out", "all.jsonl"]).with(1);
    assert!(site.run(&["history", "export", "--until", "2020-01-01"]).with(0).stdout.is_empty());
    let cef = site.run(&["history", "export", "--format", "cef"]).with(0).stdout;
    assert_eq!(cef.lines().count(), lines.len());
    assert!(
        cef.lines().all(|line| line.starts_with("CEF:0|Waystation|waystation|") && line.contains(" dvchost=dmz-1 "))
    );
}

#[test]
fn a_tail_that_was_cut_off_shows_by_heads_kept_elsewhere_a21() {
    let site = with_heads();
    site.run(&["sync"]).with(0);
    let catalog = site.data().join("catalog");
    let kept = site.path().join("kept");
    copy(&catalog, &kept);
    site.vendors.publish_elastic("9.0.0", Change::of(1)).unwrap();
    site.run(&["sync"]).with(0);
    let heads = std::fs::read_to_string(site.path().join("heads")).unwrap();
    assert_eq!(heads.lines().count(), 2, "{heads}");
    let whole = site.run(&["history", "verify", "--head", "heads"]).with(0).stdout;
    assert!(whole.contains("2 heads kept elsewhere are its own"), "{whole}");
    // An older catalog is whole in itself.
    copy(&kept, &catalog);
    let by_itself = site.run(&["history", "verify"]).with(1).stderr;
    assert!(by_itself.contains(" is missing: "), "the head file of the configuration is looked at: {by_itself}");
    let cut = site.run(&["history", "verify", "--head", "heads"]).with(1).stderr;
    assert!(cut.contains(" is missing: heads, line 2 knows it, and the history ends at entry "), "{cut}");
    let json = site.run(&["history", "verify", "--head", "heads", "--json"]).with(1).lines();
    assert_eq!(json[0]["whole"], false);
    let last = heads.lines().last().unwrap().split(' ').collect::<Vec<_>>();
    let expected = format!("{}:{}", last[1], last[2]);
    site.run(&["history", "verify", "--expect", &expected]).with(1);
    // The next act says so by itself, and what it adds does not cover it.
    let noticed = site.run(&["sync"]).with(3).stderr;
    assert!(noticed.contains("history_broken"), "{noticed}");
    assert_eq!(std::fs::read_to_string(site.path().join("heads")).unwrap(), heads, "nothing covers what is missing");
    site.run(&["history", "verify", "--head", "heads"]).with(1);
    // The operator has seen it.
    std::fs::rename(site.path().join("heads"), site.path().join("heads.seen")).unwrap();
    let unknown = site.run(&["history", "verify"]).with(0).stdout;
    assert!(unknown.contains("is not there"), "{unknown}");
    site.run(&["sync"]).with(0);
    site.run(&["history", "verify"]).with(0);
}

#[test]
fn a_history_that_was_written_anew_shows_by_heads_kept_elsewhere_a21() {
    let site = with_heads();
    site.run(&["sync"]).with(0);
    site.run(&["release", "reject", "1", "--reason", "it is served"]).with(1);
    let path = site.data().join("catalog/catalog.sqlite3");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let entries: Vec<Entry> =
        runtime.block_on(async { SqlCatalog::open(&path).await.unwrap().history(1, 1000).await.unwrap() });
    // All digests from the third entry on computed anew.
    std::fs::remove_dir_all(site.data().join("catalog")).unwrap();
    runtime.block_on(async {
        let forged = SqlCatalog::open(&path).await.unwrap();
        let history = entries.iter().map(|entry| NewEntry {
            at: entry.at,
            actor: entry.actor.clone(),
            kind: entry.kind,
            subject: if entry.seq == 3 { "forged".to_owned() } else { entry.subject.clone() },
            data: serde_json::from_str(&entry.data).unwrap(),
        });
        forged.apply(Batch { history: history.collect(), ..Batch::default() }).await.unwrap();
    });
    site.run(&["history", "verify"]).with(1);
    let forged = site.run(&["history", "verify", "--head", "heads"]).with(1).stderr;
    assert!(forged.contains("is not the one that heads, line 1 knows"), "{forged}");
    let first = format!("1:{}", entries[0].digest);
    site.run(&["history", "verify", "--expect", &first]).with(0);
}

#[test]
fn heads_that_say_nothing_prove_nothing() {
    let site = with_heads();
    site.run(&["sync"]).with(0);
    let digest = Digest::of(b"x");
    let heads = std::fs::read_to_string(site.path().join("heads")).unwrap();
    for (text, words) in [
        (String::new(), "holds no head of site dmz-1"),
        (heads.replace("dmz-1", "dmz-2"), "holds no head of site dmz-1"),
        (heads.replace(' ', "-"), "holds no head of site dmz-1"),
        (format!("{heads}2026-01-01T00:00:00Z 1 {digest} dmz-1\n"), "entry 1 is not the one that other, line 2 knows"),
        (
            format!("{heads}{}", heads.replace(heads.split(' ').nth(2).unwrap(), &digest.to_string())),
            "with different digests",
        ),
    ] {
        std::fs::write(site.path().join("other"), text).unwrap();
        let ended = site.run(&["history", "verify", "--head", "other"]).with(1);
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
    // As a log server writes them, half-written ones and others' in between.
    let logged = format!("half\nMar 1 host waystation[7]: {heads}2026-01-01T00:00:00Z 1 {digest} dmz-2\nhalf 3 abc");
    std::fs::write(site.path().join("other"), logged).unwrap();
    site.run(&["history", "verify", "--head", "other"]).with(0);
    site.run(&["history", "verify", "--head", "nowhere"]).with(1);
    site.run(&["history", "verify", "--expect", "7"]).with(2);
}

#[test]
fn rings_and_status_are_told_as_they_were() {
    let site = Site::builder().defender().build();
    site.run(&["sync"]).with(0);
    let then = site.run(&["history", "list", "--json", "--limit", "1"]).with(0).lines()[0]["at"].as_i64().unwrap();
    let now = site.run(&["ring", "show", "broad", "--json"]).with(0).lines();
    assert_eq!(now[0]["feeds"].as_array().unwrap().len(), 2);
    std::thread::yield_now();
    site.vendors.publish_elastic("9.0.0", Change::of(1)).unwrap();
    // Times are told to the second; a moment is as exact as it is asked for.
    let at = model::Timestamp::from_micros(then + 1);
    let micros = format!("{}.{:06}Z", at.to_string().trim_end_matches('Z'), at.as_micros().rem_euclid(1_000_000));
    site.run(&["sync"]).with(0);
    let later = site.run(&["ring", "show", "broad", "--json"]).with(0).lines();
    assert!(later[0]["generation"].as_u64() > now[0]["generation"].as_u64());
    let past = site.run(&["ring", "show", "broad", "--at", &micros, "--json"]).with(0).lines();
    assert_eq!((&past[0]["generation"], &past[0]["feeds"]), (&now[0]["generation"], &now[0]["feeds"]));
    let shown = site.run(&["ring", "show", "broad", "--at", &micros]).with(0).stdout;
    assert!(shown.contains("ring broad at ") && shown.contains("as entry "), "{shown}");
    assert_eq!(site.run(&["ring", "list", "--json"]).with(0).lines().len(), 1);
    assert_eq!(
        site.run(&["ring", "list", "--at", &micros, "--json"]).with(0).lines()[0]["generation"],
        now[0]["generation"]
    );
    let status = site.run(&["status", "--at", &micros]).with(0).stdout;
    for part in ["at 20", "ring broad", "elastic/9.0.0", "vendor-signed", "held"] {
        assert!(status.contains(part), "{part}:\n{status}");
    }
    let json = site.run(&["status", "--at", &micros, "--json"]).with(0).lines();
    assert_eq!((json[0]["feeds"].as_array().unwrap().len(), json[0]["releases"].as_array().unwrap().len()), (2, 2));
    for (verb, words) in [
        (&["status", "--at", "400d ago"][..], "before the first entry"),
        (&["ring", "show", "broad", "--at", "2020-01-01"], "before the first entry"),
        (&["status", "--at", "9999-01-01"], "ahead"),
    ] {
        let ended = site.run(verb).with(2);
        assert!(ended.stderr.contains(words), "{}", ended.stderr);
    }
    site.run(&["ring", "show", "canary"]).with(2);
}

#[test]
fn another_configuration_is_noticed_whenever_something_acts() {
    let site = Site::named("");
    site.run(&["sync"]).with(0);
    site.run(&["sync"]).with(0);
    with_environment(&site, &["sync"], &[("WAYSTATION__LIMITS__RETRIES", "1")]).with(0);
    site.run(&["status"]).with(0);
    site.run(&["gc"]).with(0);
    let told = site.run(&["history", "list", "--kind", "config-change", "--json"]).with(0).lines();
    let changes: Vec<String> = told.iter().map(|entry| entry["data"]["changes"].to_string()).collect();
    assert_eq!(changes, ["[]", "[\"limits.retries: 0 \u{2192} 1\"]", "[\"limits.retries: 1 \u{2192} 0\"]"]);
    assert_eq!(told[2]["data"]["noticed"], "start of gc");
    for entry in told {
        let settings = entry["data"]["settings"].as_str().unwrap().to_owned();
        assert_eq!(entry["data"]["digest"].as_str(), Some(Digest::of(settings.as_bytes()).to_string().as_str()));
    }
}
