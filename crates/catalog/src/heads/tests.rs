//! What heads kept elsewhere show, and what they do not.

use serde_json::json;

use super::*;
use crate::{Actor, Batch, Catalog, EntryKind, MemoryCatalog, NewEntry, Prune, prove_chain};

const DAY: Duration = Duration::from_secs(86_400);

fn now() -> Timestamp {
    Timestamp::from_micros(1_800_000_000_000_000)
}

fn new(at: Timestamp, kind: EntryKind, data: serde_json::Value) -> NewEntry {
    NewEntry { at, actor: Actor::new(0, 1, "test"), kind, subject: "x".to_owned(), data }
}

/// Nine entries, of which those up to the sixth were let go, as the last one says; each happened at `at`, and the
/// last that went is said to have happened at `said`.
async fn pruned(at: Timestamp, said: Timestamp) -> (MemoryCatalog, Vec<Entry>) {
    let catalog = MemoryCatalog::new();
    let history = vec![new(at, EntryKind::Check, json!({})); 9];
    catalog.apply(Batch { history, ..Batch::default() }).await.unwrap();
    let known = catalog.history(1, 9).await.unwrap();
    let through = Anchor { seq: 6, digest: known[5].digest };
    let told = json!({ "through": through, "at": said, "keep_seconds": 400 * 86_400 });
    let prune = Prune { through, releases: Vec::new(), publications_until: at };
    let history = vec![new(now(), EntryKind::Pruned, told)];
    catalog.apply(Batch { history, prune: Some(prune), ..Batch::default() }).await.unwrap();
    (catalog, known)
}

async fn compared(catalog: &MemoryCatalog, lines: &str, at: Timestamp) -> Result<Compared, HeadsFault> {
    let mut heads = KeptHeads::default();
    heads.read(&mut lines.as_bytes(), "heads", "dmz-1").unwrap();
    let proven = prove_chain(catalog, &mut |entry| heads.look(entry)).await.unwrap();
    heads.finish(&proven, at)
}

fn line(at: Timestamp, entry: &Entry) -> String {
    format!("{at} {} {} dmz-1\n", entry.seq, entry.digest)
}

#[tokio::test]
async fn a_chain_that_goes_on_from_the_newest_head_must_have_let_it_go_by_right_a21() {
    let (old, young) = (now().before(500 * DAY), now().before(DAY));
    // As it should be: what went was old, and so was the head of it.
    let (right, known) = pruned(old, old).await;
    let newest = line(old, &known[5]);
    assert_eq!(compared(&right, &newest, now()).await, Ok(Compared { same: 0, let_go: 1 }));
    // Forged: all before the newest head is gone, and is said to be old.
    for said in [old, young] {
        let (forged, known) = pruned(young, said).await;
        let newest = line(young, &known[5]);
        let young = HeadsFault::Young { seq: 6, whence: "heads, line 1".to_owned(), begins: 6 };
        assert_eq!(compared(&forged, &newest, now()).await, Err(young.clone()), "{said}");
        // That time passes makes it no better: what the line says is how old it was.
        assert_eq!(compared(&forged, &newest, now().after(30 * DAY)).await, Err(young), "{said}");
    }
    // Without a time nothing is shown.
    let (digest, mut typed) = (known[5].digest, KeptHeads::default());
    typed.expect(6, digest, "--expect").unwrap();
    let proven = prove_chain(&right, &mut |entry| typed.look(entry)).await.unwrap();
    let undated = typed.finish(&proven, now()).unwrap_err();
    assert_eq!(undated, HeadsFault::Undated { seq: 6, whence: "--expect".to_owned() });
    // A newer one that is there says that it is the same history.
    typed.expect(9, known[8].digest, "--expect").unwrap();
    assert_eq!(typed.finish(&proven, now()), Ok(Compared { same: 1, let_go: 1 }));
}

#[tokio::test]
async fn every_head_counts_and_not_the_newest_alone_a21() {
    let (old, young) = (now().before(500 * DAY), now().before(DAY));
    let (forged, known) = pruned(young, old).await;
    let newest = line(now(), &known[8]);
    assert_eq!(compared(&forged, &newest, now()).await, Ok(Compared { same: 1, let_go: 0 }));
    let both = line(young, &known[1]) + &newest;
    let fault = compared(&forged, &both, now()).await.unwrap_err();
    assert_eq!(fault, HeadsFault::Young { seq: 2, whence: "heads, line 1".to_owned(), begins: 6 });
    let other = Entry { digest: Digest::of(b"another"), ..known[7].clone() };
    let fault = compared(&forged, &(line(now(), &other) + &newest), now()).await.unwrap_err();
    assert_eq!(fault, HeadsFault::Anew { seq: 8, whence: "heads, line 1".to_owned() });
}

#[test]
fn a_line_without_an_end_fills_no_memory_c36() {
    let digest = Digest::of(b"x");
    let head = format!("9 {digest} dmz-1\n");
    let text = format!("{}{head}{head}short\n{}", "x ".repeat(1 << 20), "y".repeat(1 << 20));
    let mut reader = io::BufReader::new(text.as_bytes());
    let (mut line, mut heads, mut longest) = (Vec::new(), 0, 0);
    while next_line(&mut reader, &mut line).unwrap() {
        longest = longest.max(line.capacity());
        heads += usize::from(head_in(&line, "dmz-1") == Some((9, digest, None)));
    }
    assert!(heads == 2 && longest <= 8 * LONGEST, "{heads} heads, {longest} bytes");
}
