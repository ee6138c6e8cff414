//! Makes the vectors.

use std::collections::BTreeMap;

use serde_json::json;
use vendor_sim::{Fault, ManifestFault, bad_paths};

use crate::documents::{changed, coded, compressed, manifest, replaced};
use crate::files;

/// Files by path: `<attack>/<vector>/<file>`.
#[derive(Default)]
pub(crate) struct Book {
    files: BTreeMap<String, Vec<u8>>,
}

impl Book {
    /// A vector of one input that ends for this reason.
    pub(crate) fn add(&mut self, path: &str, file: &str, bytes: impl Into<Vec<u8>>, reason: &str) {
        self.file(&format!("{path}/{file}"), bytes);
        self.file(&format!("{path}/expected"), format!("{reason}\n"));
    }

    pub(crate) fn file(&mut self, path: &str, bytes: impl Into<Vec<u8>>) {
        assert!(self.files.insert(path.to_owned(), bytes.into()).is_none(), "{path} twice");
    }

    /// A manifest that is refused as such.
    fn json(&mut self, path: &str, bytes: impl Into<Vec<u8>>) {
        self.add(path, "manifest.json", bytes, "bad_manifest");
    }
}

/// All of them.
pub(crate) fn all() -> BTreeMap<String, Vec<u8>> {
    let mut book = Book::default();
    paths(&mut book);
    keys_and_depth(&mut book);
    numbers_and_digests(&mut book);
    texts(&mut book);
    members(&mut book);
    history(&mut book);
    artifacts(&mut book);
    files::add(&mut book);
    book.files
}

/// C01 to C10, C41.
fn paths(book: &mut Book) {
    let attack = |id: &str| match id {
        "C01" => "path-traversal",
        "C02" => "absolute-url",
        "C03" => "other-authority",
        "C04" => "host-swap",
        "C05" => "second-spelling",
        "C06" => "windows-name",
        "C07" => "hidden-character",
        "C08" => "oversized-path",
        "C41" => "names-itself",
        _ => "place-of-others",
    };
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (id, fault) in bad_paths() {
        let Fault::Manifest(ManifestFault::BadPath(path)) = fault else { panic!("{id}") };
        if path.len() > 32 << 10 {
            continue;
        }
        let count = counts.entry(attack(id)).or_default();
        *count += 1;
        let place = format!("{}/{count:02}", attack(id));
        book.add(&place, "manifest.json", changed(|entry| entry["relative_url"] = path.as_ref().into()), "bad_path");
    }
}

/// C12, C13, C14.
fn keys_and_depth(book: &mut Book) {
    for (name, from, to) in [
        ("document", "\"schema_version\": \"v1\"", "\"schema_version\": \"v1\",\n  \"schema_version\": \"v1\""),
        ("artifacts", "\"artifacts\": {", "\"artifacts\": {},\n  \"artifacts\": {"),
        ("escaped", "\"manifest_version\"", "\"manifest\\u005fversion\": \"1.0.11\",\n  \"manifest_version\""),
        ("entry", "\"relative_url\"", "\"relative_url\": \"/downloads/b\",\n      \"relative_url\""),
        ("digest", "\"encoded_sha256\"", "\"encoded_sha256\": \"\",\n      \"encoded_sha256\""),
    ] {
        book.json(&format!("duplicate-key/{name}"), replaced(from, to));
    }
    for (name, deep) in
        [("arrays", "[".repeat(200)), ("objects", "{\"a\":".repeat(200)), ("thousands", "[".repeat(10_000))]
    {
        book.json(&format!("deep-nesting/{name}"), replaced("\"v1\"", &deep));
    }
}

/// C15, C16, C38, C42.
fn numbers_and_digests(book: &mut Book) {
    for (name, size) in [
        ("negative", "-1"),
        ("fraction", "1.5"),
        ("whole-fraction", "1.0"),
        ("exponent", "1e400"),
        ("beyond-2-53", "9007199254740993"),
        ("beyond-2-64", "18446744073709551616"),
        ("text", "\"1\""),
        ("nan", "NaN"),
        ("null", "null"),
        ("hex", "0x1"),
    ] {
        book.json(
            &format!("wrong-number/{name}"),
            replaced("\"encoded_size\": 1", &format!("\"encoded_size\": {size}")),
        );
    }
    let good = model::Digest::of(b"x").to_string();
    for (name, digest) in [
        ("short", json!(good[1..])),
        ("long", json!(format!("{good}0"))),
        ("upper-case", json!(good.to_uppercase())),
        ("not-hex", json!(format!("g{}", &good[1..]))),
        ("spaces", json!(format!(" {good}"))),
        ("sha1", json!("11f6ad8ec52a2984abaafd7c3b516503785c2072")),
        ("prefixed", json!(format!("sha256:{good}"))),
        ("null", json!(null)),
        ("number", json!(1)),
    ] {
        book.json(&format!("wrong-digest/{name}"), changed(|entry| entry["encoded_sha256"] = digest));
    }
    let empty = model::Digest::of(b"").to_string();
    book.json("empty-artifact/digest-of-something", changed(|entry| entry["encoded_size"] = 0.into()));
    book.json("empty-artifact/size-of-something", changed(|entry| entry["encoded_sha256"] = empty.into()));
    book.add(
        "oversized/declared-size",
        "manifest.json",
        changed(|entry| entry["encoded_size"] = (1_u64 << 50).into()),
        "too_large",
    );
}

/// C17, C19, C36.
fn texts(book: &mut Book) {
    let good = String::from_utf8(manifest("1.0.10", 1)).unwrap();
    book.json("not-utf8/mark", [b"\xef\xbb\xbf", good.as_bytes()].concat());
    book.json("not-utf8/utf-16", good.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>());
    book.json("not-utf8/lone-byte", [good.as_bytes(), b"\xff"].concat());
    let overlong =
        good.clone().into_bytes().into_iter().flat_map(|byte| if byte == b'0' { vec![0xc0, 0xb0] } else { vec![byte] });
    book.json("not-utf8/overlong", overlong.collect::<Vec<u8>>());
    book.json("not-utf8/lone-surrogate", replaced("artifact-0", "\\ud800"));
    book.json("not-utf8/name-beyond-ascii", replaced("artifact-0", "\u{fc}ber"));
    book.json("not-utf8/name-with-controls", replaced("artifact-0", "a\\u001b[2J"));
    for (name, version) in [
        ("shell", "$(id)"),
        ("backquotes", "`id`"),
        ("semicolon", "1.0;id"),
        ("page", "<img src=x onerror=alert(1)>"),
        ("template", "{{7*7}}"),
        ("terminal", "\u{1b}[2J"),
        ("formula", "=1+1"),
        ("digits-of-another-script", "\u{661}.0"),
        ("empty", ""),
        ("long", &"1".repeat(400)),
    ] {
        book.json(&format!("hostile-version/{name}"), manifest(version, 1));
    }
    book.json("truncated/half-a-document", &good.as_bytes()[..good.len() / 2]);
    book.json("truncated/last-bracket", &good.as_bytes()[..good.len() - 2]);
    book.json("not-a-manifest/page", "<!doctype html><title>Sign in</title>\n");
    book.json("not-a-manifest/nothing", "");
    book.json("not-a-manifest/list", "[]\n");
    book.json("not-a-manifest/two", format!("{good}{good}"));
}

/// C18.
fn members(book: &mut Book) {
    for name in ["relative_url", "encoded_sha256", "encoded_size"] {
        let without = changed(|entry| drop(entry.as_object_mut().unwrap().remove(name)));
        book.json(&format!("missing-member/{name}"), without);
    }
    for (name, from, to) in
        [("version", "\"manifest_version\": \"1.0.10\"", "\"other\": 1"), ("artifacts", "\"artifacts\"", "\"other\"")]
    {
        book.json(&format!("missing-member/{name}"), replaced(from, to));
    }
    for name in
        ["relative_url", "encoded_sha256", "encoded_size", "decoded_sha256", "decoded_size", "compression_algorithm"]
    {
        book.json(&format!("wrong-type/{name}"), changed(|entry| entry[name] = json!({ "a": [1] })));
    }
    for (name, from, to) in [
        ("schema", "\"schema_version\": \"v1\"", "\"schema_version\": 1"),
        ("version-number", "\"manifest_version\": \"1.0.10\"", "\"manifest_version\": 1"),
    ] {
        book.json(&format!("wrong-type/{name}"), replaced(from, to));
    }
}

/// U38, U39, U40, U52: good in itself, and yet not what follows what was held.
fn history(book: &mut Book) {
    for (attack, version, artifacts, reason) in [
        ("version-regression/one-back", "1.0.9", 20, "version_regression"),
        ("version-regression/pre-release", "1.0.10-rc1", 20, "version_regression"),
        ("equivocation/same-version", "1.0.10", 21, "same_version_other_bytes"),
        ("fast-forward/last-number", "1.0.999999", 20, "version_leap"),
        ("fast-forward/first-number", "999999.0.0", 20, "version_leap"),
        ("shrunk/tenth", "1.0.11", 2, "set_shrank"),
        ("shrunk/nothing", "1.0.11", 0, "set_shrank"),
    ] {
        book.file(&format!("{attack}/held.json"), manifest("1.0.10", 20));
        book.add(attack, "manifest.json", manifest(version, artifacts), reason);
    }
}

/// U05, U06, U34, C34: the manifest is good, and what it names is not what comes.
fn artifacts(book: &mut Book) {
    let [plain, deflated, named] = coded();
    for (name, artifact, reason) in [
        ("another-release", b"y".to_vec(), "hash_mismatch"),
        ("longer", b"xx".to_vec(), "size_mismatch"),
        ("nothing", Vec::new(), "size_mismatch"),
    ] {
        let place = format!("mixed-release/{name}");
        book.file(&format!("{place}/artifact"), artifact);
        book.add(&place, "manifest.json", manifest("1.0.10", 1), reason);
    }
    let other = compressed(&deflated, b"plain plain plain plaim");
    let longer = compressed(&deflated, &[&plain[..], b"!"].concat());
    let shorter = compressed(&deflated, &plain[..plain.len() - 1]);
    let uncompressed = compressed(&plain, &plain);
    let trailing = [deflated.clone(), b"more".to_vec()].concat();
    let behind = compressed(&trailing, &plain);
    let cut = deflated[..deflated.len() - 3].to_vec();
    let short = compressed(&cut, &plain);
    for (name, artifact, manifest) in [
        ("other-content", deflated.clone(), other),
        ("longer", deflated.clone(), longer),
        ("shorter", deflated, shorter),
        ("not-compressed", plain, uncompressed),
        ("bytes-behind", trailing, behind),
        ("cut", cut, short),
    ] {
        let place = format!("wrong-decoded/{name}");
        book.file(&format!("{place}/artifact"), artifact);
        book.add(&place, "manifest.json", manifest, "decoded_mismatch");
    }
    assert!(!named.is_empty());
}
