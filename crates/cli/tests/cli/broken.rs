//! A history that is not what was written: told first by whoever answers from it.

use std::time::Duration;

use catalog::{Anchor, Batch, Catalog as _, Entry, EntryKind, NewEntry, Prune, SqlCatalog};
use model::{Clock as _, Timestamp};
use serde_json::json;

use crate::site::{Ended, Site, command};

const DAY: Duration = Duration::from_secs(86_400);

fn within<T>(site: &Site, work: impl AsyncFnOnce(SqlCatalog) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let path = site.data().join("catalog/catalog.sqlite3");
    runtime.block_on(async { work(SqlCatalog::open(&path).await.unwrap()).await })
}

fn entries(site: &Site) -> Vec<Entry> {
    within(site, async |catalog| catalog.history(1, 1000).await.unwrap())
}

fn again(entry: &Entry) -> NewEntry {
    NewEntry {
        at: entry.at,
        actor: entry.actor.clone(),
        kind: entry.kind,
        subject: entry.subject.clone(),
        data: serde_json::from_str(&entry.data).unwrap(),
    }
}

/// Lets the front go, and says of it what `told` says; nothing where it says nothing.
async fn cut(catalog: &SqlCatalog, seq: u64, told: Option<NewEntry>) {
    let last = catalog.history(seq, 1).await.unwrap().remove(0);
    let through = Anchor { seq, digest: last.digest };
    let history = told.map(|told| {
        let mut told = NewEntry { kind: EntryKind::Pruned, subject: "history".to_owned(), ..told };
        told.data["through"] = json!(through);
        told
    });
    let prune = Prune { through, releases: Vec::new(), publications_until: Timestamp::from_micros(0) };
    let history = history.into_iter().collect();
    catalog.apply(Batch { history, prune: Some(prune), ..Batch::default() }).await.unwrap();
}

/// Puts another history in place: `before` entries of nothing, then `entries`, then what is said of those before.
fn forge(site: &Site, before: usize, entries: Vec<NewEntry>, said: serde_json::Value) {
    std::fs::remove_dir_all(site.data().join("catalog")).unwrap();
    within(site, async |catalog| {
        let filler = NewEntry { subject: "x".to_owned(), data: json!({}), ..entries[0].clone() };
        let told = NewEntry { data: said, ..entries.last().unwrap().clone() };
        let history = std::iter::repeat_n(filler, before).chain(entries).collect();
        catalog.apply(Batch { history, ..Batch::default() }).await.unwrap();
        cut(&catalog, before as u64, Some(told)).await;
    });
}

#[test]
fn whoever_answers_from_a_broken_history_says_so_first_a21() {
    let site = Site::named("");
    site.run(&["sync"]).with(0);
    within(&site, async |catalog| cut(&catalog, 2, None).await);
    let says = "history_broken: the history is not whole at entry 1: it is missing, though later entries are there";
    for page in [&["history", "list"][..], &["status", "--at", "0s ago"], &["ring", "show", "broad", "--at", "0s ago"]]
    {
        let ended = site.run(page).with(1);
        assert!(ended.stdout.starts_with(says), "{page:?}: {}", ended.stdout);
        assert!(ended.stderr.contains(says), "{page:?}: {}", ended.stderr);
        assert!(ended.stdout.lines().count() > 4, "what it says now is told: {}", ended.stdout);
    }
    for lines in
        [&["history", "list", "--json"][..], &["history", "export"], &["ring", "list", "--at", "0s ago", "--json"]]
    {
        let ended = site.run(lines).with(1);
        assert!(!ended.lines().is_empty() && ended.stderr.contains(says), "{lines:?}: {}", ended.stderr);
    }
    let json = site.run(&["status", "--at", "0s ago", "--json"]).with(1).lines();
    assert_eq!((&json[0]["history"]["whole"], &json[0]["history"]["entry"]), (&json!(false), &json!(1)));
    let exported = site.run(&["history", "export", "--out", "evidence.jsonl"]).with(1);
    assert!(exported.stdout.contains("entries written to") && exported.stderr.contains(says), "{exported:?}");
    assert!(std::fs::read_to_string(site.path().join("evidence.jsonl")).unwrap().lines().count() > 2);
}

#[test]
fn status_and_acts_say_that_the_history_is_broken_and_do_their_work_a21() {
    let site = Site::named("");
    site.run(&["sync"]).with(0);
    site.run(&["status"]).with(0);
    within(&site, async |catalog| cut(&catalog, 2, None).await);
    let says = "history_broken: the history is not whole at entry 1";
    let status = site.run(&["status"]).with(4).stdout;
    assert!(status.contains(&format!("\nthe history: {says}")), "{status}");
    let json = site.run(&["status", "--json"]).with(4).lines();
    let fault = &json[0]["faults"][0];
    assert_eq!((&fault["key"], &fault["note"]["reason"]), (&json!("heads/history"), &json!("history_broken")));
    site.vendors.publish_elastic("9.0.0", vendor_sim::Change::of(1)).unwrap();
    let synced = site.run(&["sync"]).with(3);
    assert!(synced.stdout.contains(" published "), "it does its work: {}", synced.stdout);
    assert!(synced.stderr.contains(&format!("waystation: {says}")), "{}", synced.stderr);
    // What failed by itself says both.
    let refused = site.run(&["release", "admit", "77", "--reason", "typo"]).with(1).stderr;
    assert!(refused.contains("77") && refused.contains(says), "{refused}");
}

#[test]
fn the_newest_head_alone_does_not_vouch_for_what_is_gone_before_it_a21() {
    let site = Site::named("");
    site.run(&["sync"]).with(0);
    let known = entries(&site);
    let (newest, now) = (&known[known.len() - 2], platform::SystemClock::default().now());
    let line = |at: Timestamp| format!("{at} {} {} dmz-1\n", newest.seq, newest.digest);
    std::fs::write(site.path().join("heads"), line(now)).unwrap();
    site.run(&["history", "verify", "--head", "heads"]).with(0);
    let said = json!({ "at": now.before(402 * DAY), "keep_seconds": 400 * 86_400 });
    let told = NewEntry { data: said, ..again(&known[0]) };
    within(&site, async |catalog| cut(&catalog, newest.seq, Some(told)).await);
    let young = site.run(&["history", "verify", "--head", "heads"]).with(1).stderr;
    let seq = newest.seq;
    assert!(young.contains(&format!("entry {seq} is missing, and was too young to be let go")), "{young}");
    let typed = format!("{seq}:{}", newest.digest);
    let undated = site.run(&["history", "verify", "--expect", &typed]).with(1).stderr;
    assert!(
        undated.starts_with("waystation: history verify: entry ") && undated.contains("nothing shows"),
        "{undated}"
    );
    // It was told long ago, and went when its time had come.
    std::fs::write(site.path().join("heads"), line(now.before(402 * DAY))).unwrap();
    let right = site.run(&["history", "verify", "--head", "heads"]).with(0).stdout;
    assert!(right.contains("1 head kept elsewhere: of entries that were let go"), "{right}");
}

#[test]
fn a_history_written_anew_behind_other_numbers_is_another_one_a21() {
    let site = Site::named("[history]\nhead_file = \"heads\"\nhead_entries = 1\n");
    site.run(&["sync"]).with(0);
    site.run(&["release", "reject", "1", "--reason", "it is served"]).with(1);
    let heads = std::fs::read_to_string(site.path().join("heads")).unwrap();
    let newest: Vec<&str> = heads.lines().last().unwrap().split(' ').collect();
    let expected = format!("{}:{}", newest[1], newest[2]);
    site.run(&["history", "verify", "--expect", &expected]).with(0);
    let forged: Vec<NewEntry> = entries(&site).iter().map(again).collect();
    let now = platform::SystemClock::default().now();
    for said in [json!({}), json!({ "at": now.before(500 * DAY), "keep_seconds": 400 * 86_400 })] {
        forge(&site, 1000, forged.clone(), said);
        for asked in [
            &["history", "verify"][..],
            &["history", "verify", "--head", "heads"],
            &["history", "verify", "--expect", &expected],
        ] {
            let ended = site.run(asked).with(1);
            assert!(
                ended.stderr.contains("history_broken: entry ") && ended.stderr.contains("is not in the history"),
                "{}",
                ended.stderr
            );
        }
        let listed = site.run(&["history", "list"]).with(1).stdout;
        assert!(listed.starts_with("history_broken: "), "the head file is looked at: {listed}");
        // What acts adds nothing to the file that would cover it.
        let acted = site.run(&["gc"]).with(3).stderr;
        assert!(acted.contains("history_broken"), "{acted}");
        assert_eq!(std::fs::read_to_string(site.path().join("heads")).unwrap(), heads);
    }
}

#[test]
fn nothing_begins_anew_where_heads_know_of_a_history_s42() {
    let site = Site::named("[history]\nhead_file = \"heads\"\nhead_entries = 1\n");
    site.run(&["sync"]).with(0);
    std::fs::rename(site.path().join("data"), site.path().join("away")).unwrap();
    for act in [&["sync"][..], &["gc"], &["run"]] {
        let refused = site.run(act).with(1).stderr;
        assert!(refused.contains("there is no data folder") && refused.contains("knows entry"), "{act:?}: {refused}");
        assert!(!site.path().join("data").exists(), "{act:?}");
    }
    std::fs::rename(site.path().join("heads"), site.path().join("old-heads")).unwrap();
    site.run(&["sync"]).with(0);
}

#[test]
fn a_file_of_heads_that_cannot_be_read_is_said_by_status_a21() {
    let site = Site::named("[history]\nhead_file = \"heads\"\nhead_entries = 1\n");
    site.run(&["sync"]).with(0);
    site.run(&["status"]).with(0);
    std::fs::rename(site.path().join("heads"), site.path().join("kept")).unwrap();
    site.run(&["status"]).with(0);
    std::fs::create_dir(site.path().join("heads")).unwrap();
    let told = site.run(&["status"]).with(4).stdout;
    assert!(told.contains("head_failed") && told.contains("is not known until it can be read"), "{told}");
}

#[test]
fn what_was_let_go_must_have_been_old_enough_a21() {
    let site = Site::named("");
    site.run(&["sync"]).with(0);
    let known = entries(&site);
    let now = platform::SystemClock::default().now();
    let heads = |old: Timestamp| {
        let (young, newest) = (&known[1], known.last().unwrap());
        let line = |at: Timestamp, entry: &Entry| format!("{at} {} {} dmz-1\n", entry.seq, entry.digest);
        std::fs::write(site.path().join("heads"), line(old, young) + &line(now, newest)).unwrap();
    };
    heads(now.before(500 * DAY));
    site.run(&["history", "verify", "--head", "heads"]).with(0);
    let told =
        NewEntry { data: json!({ "at": now.before(450 * DAY), "keep_seconds": 400 * 86_400 }), ..again(&known[0]) };
    within(&site, async |catalog| cut(&catalog, 3, Some(told)).await);
    let fits = site.run(&["history", "verify", "--head", "heads"]).with(0).stdout;
    assert!(fits.contains("1 head kept elsewhere is its own; 1 head of entries that were let go"), "{fits}");
    heads(now.before(100 * DAY));
    let young = site.run(&["history", "verify", "--head", "heads"]).with(1).stderr;
    assert!(young.contains("entry 2 is missing, and was too young to be let go"), "{young}");
}

#[test]
fn a_data_folder_that_is_gone_is_not_well() {
    let site = Site::named("[history]\nhead_file = \"heads\"\nhead_entries = 1\n");
    site.run(&["sync"]).with(0);
    std::fs::rename(site.data(), site.path().join("away")).unwrap();
    let gone = site.run(&["status"]).with(1).stderr;
    assert!(gone.contains("there is no data folder ") && gone.contains("(history.head_file), knows entry "), "{gone}");
    // Without anything that knows of it, it may be a site that never began. Nothing is well about that either.
    std::fs::remove_file(site.path().join("heads")).unwrap();
    let unused = site.run(&["status"]).with(4).stdout;
    assert!(unused.contains("not_checked") && unused.contains("nothing was published yet"), "{unused}");
    for made in ["", "catalog"] {
        std::fs::create_dir_all(site.data().join(made)).unwrap();
        let bare = site.run(&["status"]).with(4).stdout;
        assert!(bare.contains("folder_gone: there is no catalog in "), "{bare}");
        let listed = site.run(&["alarm", "list"]).with(1).stdout;
        assert!(listed.starts_with("unknown\nthere is no catalog in ") && !listed.contains("nobody looks"), "{listed}");
    }
    std::fs::write(site.data().join("catalog/catalog.sqlite3"), "").unwrap();
    let begun = site.run(&["status"]).with(4).stdout;
    assert!(begun.contains("folder_gone: the catalog in ") && begun.contains(" holds nothing: "), "{begun}");
    // What `run` left in it tells that there was one.
    let now = platform::SystemClock::default().now();
    alarm::Life::prepare(&site.data()).unwrap();
    alarm::Life { pid: 7, since: now, at: now, ended: false, asked: None }.keep(&site.data()).unwrap();
    let gone = site.run(&["status"]).with(1).stderr;
    assert!(gone.contains("and there was: `waystation run` (process 7) looked after it until "), "{gone}");
    std::fs::remove_dir_all(site.data()).unwrap();
    let old = std::time::UNIX_EPOCH + Duration::from_secs(1_600_000_000);
    let file = std::fs::File::options().write(true).open(site.path().join("waystation.toml")).unwrap();
    file.set_times(std::fs::FileTimes::new().set_modified(old)).unwrap();
    let stale = site.run(&["status", "--json"]).with(4).lines();
    assert_eq!(
        (&stale[0]["freshness"][0]["level"], &stale[0]["freshness"][0]["reason"]),
        (&json!("fail"), &json!("not_checked"))
    );
}

#[test]
fn a_catalog_that_is_gone_beside_a_ring_is_told_as_that_s42() {
    let site = Site::named("");
    site.run(&["sync"]).with(0);
    std::fs::remove_dir_all(site.data().join("catalog")).unwrap();
    let status = site.run(&["status"]).with(4).stdout;
    assert!(status.contains("catalog_disagrees") && !status.contains("nothing was ever fetched here"), "{status}");
}

#[test]
fn a_path_whose_bytes_are_gone_is_not_well_whatever_the_last_check_said_s16() {
    let site = Site::named("");
    site.run(&["sync"]).with(0);
    let blobs = walk(&site.data().join("blobs"));
    // A byte flips, is noticed, and the vendor cannot be reached.
    let mut bytes = std::fs::read(&blobs[0]).unwrap();
    bytes[0] ^= 1;
    std::fs::remove_file(&blobs[0]).unwrap();
    std::fs::write(&blobs[0], bytes).unwrap();
    site.run(&["release", "verify", "--all"]).with(1);
    let damaged = site.run(&["status"]).with(4).stdout;
    assert!(damaged.contains("ring broad: routes_broken: 1 of ") && damaged.contains("paths answer 503"), "{damaged}");
    let away = [("WAYSTATION__ELASTIC__ORIGIN", "http://127.0.0.1:9")];
    Ended::from(command(site.path(), &["sync"]).envs(away).output().unwrap()).with(1);
    let json = site.run(&["status", "--json"]).with(4).lines();
    let fault = &json[0]["faults"][0];
    assert_eq!((&fault["key"], &fault["level"]), (&json!("routes_broken/broad"), &json!("fail")));
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(walk(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}
