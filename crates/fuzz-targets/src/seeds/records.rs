//! Generation files and the catalog's records.

use catalog::{Actor, Batch, Catalog as _, Entry, EntryKind, FeedRecord, MemoryCatalog, NewEntry};
use futures_util::FutureExt as _;
use model::{
    Attestation, Checked, Digest, FeedId, Generation, ItemKind, Note, Provenance, Reason, Release, ReleaseId,
    ReleaseItem, RingName, Route, RoutePath, ServedFeed, Timestamp, Trust, VendorVersion, Verdict,
};
use serde_json::json;

use super::Book;

const AT: Timestamp = Timestamp::from_micros(1_790_000_000_000_000);

pub(super) fn write(book: &mut Book) {
    generations(book);
    pointers(book);
    sightings(book);
    history(book);
}

fn feed() -> FeedId {
    "elastic/9.0.0".parse().expect("a feed's name")
}

fn release() -> Release {
    let item = |path: &str, bytes: &[u8], kind| ReleaseItem {
        route: path.parse().expect("a route"),
        digest: Digest::of(bytes),
        size: bytes.len() as u64,
        kind,
    };
    let items = vec![item("/a", b"x", ItemKind::Artifact), item("/m", b"manifest", ItemKind::Manifest)];
    Release {
        id: ReleaseId::of(&feed(), &items),
        feed: feed(),
        vendor_version: VendorVersion::plain("1.0.1049".parse().expect("a version")),
        vendor_time: Some(AT),
        items,
        bases: vec!["/linux/production".parse().expect("a route")],
        verdict: Verdict {
            reasons: Vec::new(),
            notes: vec![Note { reason: Reason::SignatureMissing, detail: "the zip holds no manifest.sig".to_owned() }],
            trust: Trust { checked: Checked::VendorSigned("0".repeat(16)), attested_by: Attestation::CaFileTls },
        },
        provenance: Provenance { folder: Some("/mnt/usb".to_owned()), ..Provenance::default() },
        held_since: AT,
    }
}

fn pointers(book: &mut Book) {
    let (to, digest) = (&["ring_pointer"], Digest::of(b"x"));
    book.honest(to, "whole", format!("12 {digest}\n"));
    let numbers = ["0", "012", "+1", "-1", "4611686018427387904", "9223372036854775807", "18446744073709551615", "1e3"];
    book.family(to, "s41-numbers", numbers.map(|number| format!("{number} {digest}\n")));
    book.family(to, "s41-ends", [format!("12 {digest}"), format!("12 {digest}\n\n"), format!("12\t{digest}\r\n")]);
}

fn sightings(book: &mut Book) {
    let to = &["sightings"];
    let path = "/downloads/a.zip".parse().expect("a route");
    let seen = proxy::Seen { ring: RingName::broad(), path, count: 2, first: AT, last: AT };
    let line = serde_json::to_string(&seen).expect("records are written as JSON");
    let late = serde_json::to_string(&proxy::Seen { last: Timestamp::from_micros(i64::MAX), ..seen });
    book.honest(to, "lines", format!("{line}\n{line}\n"));
    let long = format!("/downloads/{}", "a".repeat(300));
    let lines = [
        line.replace("/downloads/a.zip", "/../../etc/passwd"),
        line.replace("/downloads/a.zip", &long),
        late.expect("records are written as JSON"),
        line.replace("\"count\":2", "\"count\":0"),
        line.replace("\"count\":2", "\"count\":18446744073709551616"),
        line.replace("\"ring\":\"broad\"", "\"ring\":\"../broad\""),
        line.replace('{', "{\"count\":1,"),
        format!("{line}\r\n\n{line}\0"),
        "[".repeat(4000),
    ];
    book.family(to, "s20-planted", lines);
}

fn generations(book: &mut Book) {
    let to = &["generation_file"];
    let release = release();
    let mut made = Generation::empty(RingName::broad(), AT);
    made.number = 7;
    let served = ServedFeed {
        release: release.id,
        vendor_version: release.vendor_version.clone(),
        since: AT,
        bases: release.bases.clone(),
        back: Some(release.id),
        denied: vec![release.id],
        remembers: Vec::new(),
    };
    made.feeds.insert(feed(), served);
    for item in &release.items {
        let until = (item.kind == ItemKind::Manifest).then_some(AT);
        let route = Route { digest: item.digest, size: item.size, feed: feed(), since: AT, until };
        made.routes.insert(item.route.clone(), route);
    }
    let file = String::from_utf8(made.encode()).expect("lines of JSON");
    book.honest(to, "file", &file);
    book.family(to, "empty", [Generation::empty(RingName::broad(), AT).encode()]);
    // Without the checksum, which the target adds.
    let (body, _) = file.trim_end().rsplit_once('\n').unwrap_or_default();
    let body = format!("{body}\n");
    let first: RoutePath = "/a".parse().expect("a route");
    let line = body.lines().find(|line| line.contains(&format!("{first}\""))).unwrap_or_default();
    book.family(
        to,
        "s17-body",
        [
            body.clone(),
            body.replace("\"routes\":2", "\"routes\":3"),
            body.replace("\"routes\":2", "\"routes\":99999999999"),
            body.replace("\"routes\":2", "\"routes\":3") + line + "\n",
            body.replace("\"waystation_generation\":1", "\"waystation_generation\":2"),
            body.replace("\"/a\"", "\"/../a\""),
            body.replace("\"/a\"", "\"\\u002fa\""),
            body.replace('{', "{\"unknown\":1,"),
            body.replace(':', ": "),
            body.replace('\n', "\r\n"),
            body.replace("\"size\":1", "\"size\":-1"),
            format!("{body}\n"),
            body.lines().rev().collect::<Vec<_>>().join("\n"),
        ],
    );
}

fn history(book: &mut Book) {
    let to = &["history"];
    let entry = |kind, subject: &str, data| NewEntry {
        at: AT,
        actor: Actor::new(1000, 42, "sync"),
        kind,
        subject: subject.to_owned(),
        data,
    };
    let new = vec![
        entry(EntryKind::Check, "elastic/9.0.0", json!({ "status": 304 })),
        entry(EntryKind::Verdict, "\u{1b}[2J$(id)", json!({ "z": [1.5, null], "a": { "y": 1, "b": "\u{202e}" } })),
        entry(EntryKind::PublicationDone, "", json!("plain")),
    ];
    let store = MemoryCatalog::new();
    let applied = store.apply(Batch { history: new, ..Batch::default() }).now_or_never();
    applied.expect("memory answers at once").expect("entries alone cannot be refused");
    let entries = store.history(1, 9).now_or_never().expect("memory answers at once").expect("is there");
    let line = |entry: &Entry| serde_json::to_string(entry).expect("records are written as JSON");
    let lines: Vec<String> = entries.iter().map(line).collect();
    let chain = lines.join("\n");
    book.honest(to, "chain", &chain);
    let mut swapped = lines.clone();
    swapped.swap(0, 1);
    book.family(
        to,
        "tampered",
        [
            swapped.join("\n"),
            lines.get(1..).unwrap_or_default().join("\n"),
            format!("{chain}\n{chain}"),
            chain.replace("304", "200"),
            chain.replace("\"seq\":2", "\"seq\":18446744073709551615"),
            chain.replace("\"seq\":3", "\"seq\":1"),
        ],
    );
    let records = [
        serde_json::to_string(&FeedRecord::new(feed(), AT)),
        serde_json::to_string(&release()),
        serde_json::to_string(&catalog::Publication {
            ring: RingName::broad(),
            number: u64::MAX,
            digest: Digest::of(b""),
            opened_at: AT,
            closed_at: None,
        }),
    ];
    let records: Vec<String> = records.into_iter().map(|record| record.expect("records are written as JSON")).collect();
    book.family(to, "record", &records);
    book.family(
        to,
        "c12-record-twice",
        records.iter().map(|record| record.replacen('{', "{\"feed\":\"elastic/9.0.0\",", 1)),
    );
}
