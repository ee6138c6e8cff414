//! Elastic's manifests, and JSON as such.

use model::Digest;
use serde_json::{Value, json};

use super::Book;
use crate::elastic::held_artifacts;
use crate::wrap::zip_of_one;

const MANIFEST: &[&str] = &["manifest_json"];
const JSON: &[&str] = &["manifest_json", "strict_json"];

/// Paths that no artifact may have, by family; the feed's and route's parsers meet them too.
pub(super) const PATHS: [(&str, &[&str]); 8] = [
    ("c01-climbing", &["../../etc/cron.d/x", "/../etc/passwd", "/a/../b", "/downloads/..", "/..."]),
    ("c02-absolute", &["https://evil.test/x", "http:evil", "file:///etc/passwd"]),
    ("c03-authority", &["//evil.test/x", "///x", "/\\evil.test"]),
    ("c04-host-swap", &["@evil.test/x", ".evil.test/x", ":8443/x", ""]),
    ("c05-spelling", &["/%2e%2e/x", "/%252e/x", "/%c0%ae", "/..;/x", "/./x", "/a//b", "/a/", "/a?q", "/a#f"]),
    ("c06-windows", &["/a\\b", "/C:/x", "/CON", "/a/nul.txt", "/a./b", "/a /b", "/a:b", "/com1"]),
    ("c07-invisible", &["/a\0b", "/a\r\nb", "/a\tb", "/a\u{7f}b", "/a\u{202e}b", "/a\u{200b}b", "/a%00", "/%0d%0a"]),
    (
        "c10-places",
        &[
            "/rings/broad/x",
            "/Waystation/x",
            "/linux/production/arch_x86_64/updates.zip",
            "/downloads/endpoint/manifest/artifacts-9.0.0.zip",
            "/downloads/endpoint/Manifest/x",
        ],
    ),
];

pub(super) fn write(book: &mut Book) {
    honest(book);
    for (family, paths) in PATHS {
        book.family(MANIFEST, family, paths.iter().map(|path| one(&with("relative_url", json!(path)))));
    }
    book.family(
        MANIFEST,
        "c08-long",
        [format!("/{}", "a".repeat(300)), "/a".repeat(40), "/abcdefg".repeat(140)]
            .map(|path| one(&with("relative_url", json!(path)))),
    );
    numbers_and_digests(book);
    shapes(book);
    words(book);
}

/// An entry as Elastic writes it.
fn entry(url: &str, encoded: &[u8], decoded: &[u8]) -> Value {
    json!({
        "relative_url": url,
        "compression_algorithm": if encoded == decoded { "none" } else { "zlib" },
        "encryption_algorithm": "none",
        "decoded_size": decoded.len(), "decoded_sha256": Digest::of(decoded).to_string(),
        "encoded_size": encoded.len(), "encoded_sha256": Digest::of(encoded).to_string(),
    })
}

fn manifest(artifacts: &Value) -> String {
    json!({ "manifest_version": "1.0.1049", "schema_version": "v1", "artifacts": artifacts }).to_string()
}

fn good() -> Value {
    entry("/downloads/endpoint/a/1", b"x", b"x")
}

fn with(key: &str, value: Value) -> Value {
    let mut entry = good();
    if let Value::Object(members) = &mut entry {
        members.insert(key.to_owned(), value);
    }
    entry
}

fn one(entry: &Value) -> String {
    manifest(&json!({ "endpoint-a-v1": entry }))
}

/// The one manifest that each kind of artifact is in.
pub(super) fn whole() -> String {
    let [nothing, plain, packed, packed_nothing] = held_artifacts() else { return String::new() };
    manifest(&json!({
        "a-v1": entry("/d/plain", plain, plain), "b-v1": entry("/d/packed", packed, b"x"),
        "c-v1": entry("/d/nothing", nothing, nothing), "d-v1": entry("/d/packed-nothing", packed_nothing, b""),
        "e-v1": entry("/d/plain", plain, plain),
    }))
}

fn honest(book: &mut Book) {
    book.honest(JSON, "whole", whole());
    book.honest(&["elastic_session"], "honest", zip_of_one("manifest.json", whole().as_bytes()));
    book.family(MANIFEST, "empty-set", [manifest(&json!({}))]);
    let unpacked = |decoded: &[u8]| entry("/d/a", held_artifacts().get(2).copied().unwrap_or_default(), decoded);
    book.family(MANIFEST, "c34-decoded", [one(&unpacked(b"y")), one(&unpacked(b"xx")), one(&unpacked(b""))]);
    book.family(MANIFEST, "wanting", [one(&entry("/d/a", b"nobody has this", b"nobody has this"))]);
    let pair = |a: Value, b: Value| manifest(&json!({ "a-v1": a, "b-v1": b }));
    book.family(
        MANIFEST,
        "one-path-two-contents",
        [
            pair(entry("/d/x", b"x", b"x"), entry("/d/x", b"", b"")),
            pair(entry("/d/x", b"x", b"x"), entry("/d/X", b"x", b"x")),
            pair(entry("/d/x", b"x", b"x"), entry("/d/x/y", b"x", b"x")),
            pair(entry("/d/x", b"x", b"x"), entry("/d/y", b"x", b"x")),
            pair(unpacked(b"x"), unpacked(b"y")),
        ],
    );
}

fn numbers_and_digests(book: &mut Book) {
    let sizes = ["-1", "1.5", "1.0", "1e400", "9007199254740993", "18446744073709551616", "\"1\"", "NaN", "01", "-0"];
    book.family(
        MANIFEST,
        "c15-size",
        sizes.map(|size| one(&good()).replace("\"encoded_size\":1", &format!("\"encoded_size\":{size}"))),
    );
    let digest = Digest::of(b"x").to_string();
    let digests = [
        digest.chars().skip(1).collect(),
        format!("{digest}0"),
        digest.to_uppercase(),
        format!("sha256:{digest}"),
        "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d".to_owned(),
        String::new(),
    ];
    book.family(MANIFEST, "c16-digest", digests.map(|digest| one(&with("encoded_sha256", json!(digest)))));
    book.family(
        MANIFEST,
        "c38-nothing",
        [one(&with("encoded_size", json!(0))), one(&with("encoded_sha256", json!(Digest::of(b"").to_string())))],
    );
    book.family(MANIFEST, "c42-weaker", [one(&with("encoded_md5", json!("9dd4e461268c8034f5c8564e155c67a6")))]);
}

fn shapes(book: &mut Book) {
    book.family(
        JSON,
        "c12-twice",
        [
            r#"{"manifest_version":"1.0.1","artifacts":{},"manifest_version":"1.0.2"}"#.to_owned(),
            r#"{"a":{"b":[{"c":1,"\u0063":2}]}}"#.to_owned(),
            one(&good()).replace("\"encoded_size\":1", "\"encoded_size\":1,\"encoded_size\":1"),
        ],
    );
    let nested = |depth: usize, open: &str, close: &str| format!("{}1{}", open.repeat(depth), close.repeat(depth));
    book.family(
        JSON,
        "c13-nested",
        [nested(32, "[", "]"), nested(33, "[", "]"), nested(200, "{\"a\":", "}"), "[".repeat(4_000)],
    );
    let many: serde_json::Map<String, Value> =
        (0..30).map(|n| (format!("a{n}"), json!({ "relative_url": format!("/d/{n}") }))).collect();
    book.family(JSON, "c14-many", [manifest(&Value::Object(many)), format!("[{}0]", "0,".repeat(2_000))]);
    let text = one(&good());
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    book.family(
        JSON,
        "c17-text",
        [
            [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            utf16,
            text.replace("endpoint-a-v1", "\\ud800").into_bytes(),
            text.replace("endpoint-a-v1", "ä").into_bytes(),
            b"{\"a\":\"\xc0\xae\"}".to_vec(),
            b"{\"a\":\"\xed\xa0\x80\"}".to_vec(),
        ],
    );
    book.family(JSON, "c20-space", [format!("{}1{}", " ".repeat(3_000), "\n".repeat(3_000))]);
    let values = [json!(null), json!(1), json!([]), json!({ "a": null }), json!("x")];
    book.family(
        MANIFEST,
        "c18-types",
        values.iter().flat_map(|value| {
            [manifest(value), one(&with("relative_url", value.clone())), one(&with("decoded_size", value.clone()))]
        }),
    );
    book.family(MANIFEST, "c18-unknown", [one(&with("future", json!({ "relative_url": "../../x" })))]);
    book.family(
        JSON,
        "numbers",
        ["[0,-0,1e2,1.5,-1,123456789012345678901234567890,0.1e-400]", "1E400", "[1,]", "{}{}"],
    );
}

fn words(book: &mut Book) {
    let version = |text: &str| one(&good()).replace("1.0.1049", text);
    book.family(
        MANIFEST,
        "c36-version",
        ["1.0.$(id)", "1;reboot", "<img src=x onerror=alert(1)>", "{{7*7}}", "1\\u001b[2J", ""].map(version),
    );
    book.family(MANIFEST, "schema", [one(&good()).replace("\"v1\"", "\"v2\""), one(&good()).replace("\"v1\"", "1")]);
    for key in ["compression_algorithm", "encryption_algorithm"] {
        book.family(MANIFEST, key, ["none", "zlib", "zstd", "aes\u{1b}[2J"].map(|word| one(&with(key, json!(word)))));
    }
    book.family(
        MANIFEST,
        "artifact-name",
        ["", "a b", "a\\u202eb", "\\u001b[2J"].map(|name| one(&good()).replace("endpoint-a-v1", name)),
    );
}
