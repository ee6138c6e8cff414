//! What a manifest says of itself and of each artifact.

use model::{Digest, Reason};
use serde_json::{Value, json};

use super::world::{World, entry, manifest, with_entry, zlib};

const REQUIRED: [&str; 3] = ["relative_url", "encoded_sha256", "encoded_size"];
const OPTIONAL: [&str; 4] = ["decoded_sha256", "decoded_size", "compression_algorithm", "encryption_algorithm"];

fn put(key: &str, value: &Value) -> World {
    with_entry(|entry| _ = entry.insert(key.to_owned(), value.clone()))
}

#[test]
fn required_members_are_required_others_weaken_c18() {
    for key in REQUIRED {
        with_entry(|entry| _ = entry.shift_remove(key)).run().refused(Reason::BadManifest);
    }
    for key in OPTIONAL {
        let end = with_entry(|entry| _ = entry.shift_remove(key)).run();
        assert_eq!(end.notes(), [Reason::DecodedUnchecked], "{key}");
    }
}

#[test]
fn wrong_types_are_refused_c18() {
    for key in REQUIRED.into_iter().chain(OPTIONAL) {
        for value in [json!(null), json!(true), json!([]), json!({}), json!(1.5)] {
            put(key, &value).run().refused(Reason::BadManifest);
        }
    }
    for text in ["[]", "1", "null", "\"x\"", "{}"] {
        World::of_text(text.as_bytes()).run().refused(Reason::BadManifest);
    }
    let with = |key: &str, value: Value| {
        let mut made = manifest(json!({}));
        made[key] = value;
        World::of(&made).run()
    };
    for value in [json!(null), json!([]), json!("x"), json!({ "a": 1 }), json!({ "a": null }), json!({ "a": [] })] {
        with("artifacts", value).refused(Reason::BadManifest);
    }
    for value in [json!(null), json!(1), json!(1.0), json!({})] {
        with("manifest_version", value.clone()).refused(Reason::BadManifest);
        with("schema_version", value).refused(Reason::BadManifest);
    }
}

#[test]
fn unknown_members_and_values_are_taken_c18() {
    let end = with_entry(|entry| {
        entry.insert("future".into(), json!({ "relative_url": "../../x", "md5": null }));
    });
    assert_eq!({ end }.run().notes(), []);
    assert_eq!(put("compression_algorithm", &json!("zstd")).run().notes(), [Reason::DecodedUnchecked]);
    assert_eq!(put("encryption_algorithm", &json!("aes")).run().notes(), [Reason::DecodedUnchecked]);
    let mut newer = manifest(json!({}));
    newer["schema_version"] = json!("v2");
    newer["signed_by"] = json!("x");
    assert_eq!(World::of(&newer).run().notes(), [Reason::UnknownSchema]);
    newer.as_object_mut().unwrap().shift_remove("schema_version");
    assert_eq!(World::of(&newer).run().notes(), [Reason::UnknownSchema]);
}

#[test]
fn keys_twice_at_every_level_c12() {
    let digest = Digest::of(b"model");
    let fields = format!(r#""relative_url":"/d/m","encoded_size":5,"encoded_sha256":"{digest}""#);
    for text in [
        r#"{"manifest_version":"1.0.1","artifacts":{},"manifest_version":"1.0.2"}"#.to_owned(),
        format!(r#"{{"manifest_version":"1.0.1","artifacts":{{"a":{{{fields}}},"a":{{{fields}}}}}}}"#),
        format!(r#"{{"manifest_version":"1.0.1","artifacts":{{"a":{{{fields},"encoded_size":5}}}}}}"#),
        format!(r#"{{"manifest_version":"1.0.1","artifacts":{{"a":{{{fields},"x":{{"y":1,"y":1}}}}}}}}"#),
    ] {
        let detail = World::of_text(text.as_bytes()).run().refused(Reason::BadManifest);
        assert!(detail.contains("twice"), "{detail}");
    }
}

#[test]
fn depth_and_counts_are_capped_c13_c14() {
    for depth in [200, 100_000] {
        let nested =
            format!(r#"{{"manifest_version":"1.0.1","artifacts":{}1{}}}"#, "[".repeat(depth), "]".repeat(depth));
        World::of_text(nested.as_bytes()).run().refused(Reason::BadManifest);
    }
    let entries: serde_json::Map<String, Value> =
        (0..40).map(|n| (format!("a{n}"), entry(&format!("/d/{n}"), b"x", b"x"))).collect();
    let few = |world: World, cap: usize| world.settings(|settings| settings.artifacts = cap);
    let world = || World::of(&manifest(Value::Object(entries.clone()))).file("/d/0", b"x");
    assert_eq!(few(world(), 40).run().release().items.len(), 41);
    few(world(), 39).run().refused(Reason::BadManifest);
}

#[test]
fn sizes_are_whole_numbers_c15() {
    for text in ["-1", "1.5", "5.0", "1e400", "9007199254740993", "18446744073709551616", "\"5\"", "NaN", "05", "-0"] {
        for key in ["encoded_size", "decoded_size"] {
            let made = manifest(json!({ "a": entry("/d/a", b"model", b"model") })).to_string();
            let made = made.replace(&format!("\"{key}\":5"), &format!("\"{key}\":{text}"));
            assert!(made.contains(text), "{made}");
            World::of_text(made.as_bytes()).run().refused(Reason::BadManifest);
        }
    }
}

#[test]
fn digests_have_one_form_c16_c42() {
    let good = Digest::of(b"model").to_string();
    let bad = [
        &good[1..],
        &format!("{good}0"),
        &good.to_uppercase(),
        &format!(" {}", &good[1..]),
        &format!("{}g", &good[1..]),
        &format!("sha256:{good}"),
        "5d41402abc4b2a76b9719d911017c592",
        "aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d",
        "",
    ];
    for text in bad {
        put("encoded_sha256", &json!(text)).run().refused(Reason::BadManifest);
        put("decoded_sha256", &json!(text)).run().refused(Reason::BadManifest);
    }
    // A weaker digest that is right does not help.
    let weak = with_entry(|entry| {
        entry.insert("encoded_sha1".into(), json!("aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"));
        entry.insert("encoded_sha256".into(), json!(Digest::of(b"other").to_string()));
        entry.shift_remove("decoded_sha256");
    });
    { weak }.run().refused(Reason::HashMismatch);
}

#[test]
fn text_is_utf8_and_names_are_ascii_c17() {
    let made = manifest(json!({ "a": entry("/d/a", b"x", b"x") })).to_string();
    let with_bom = [b"\xef\xbb\xbf", made.as_bytes()].concat();
    let utf16: Vec<u8> = made.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for text in
        [with_bom, utf16, made.replace("\"a\"", "\"\\ud800\"").into_bytes(), made.replace('a', "\u{1}").into_bytes()]
    {
        World::of_text(&text).run().refused(Reason::BadManifest);
    }
    for name in ["ä", "", "a b", "a\u{202e}b", "a\u{1b}[2Jb", &"x".repeat(256)] {
        let detail =
            World::of(&manifest(json!({ name: entry("/d/a", b"x", b"x") }))).run().refused(Reason::BadManifest);
        assert!(detail.is_ascii() && !detail.contains('\u{1b}'), "{detail}");
    }
}

#[test]
fn hostile_versions_are_refused_and_shown_escaped_c36() {
    for text in
        ["1.0.$(id)", "1;reboot", "`id`", "<img src=x onerror=alert(1)>", "{{7*7}}", "1\u{1b}[2J", "", "v1", "1 0"]
    {
        let mut made = manifest(json!({}));
        made["manifest_version"] = json!(text);
        let detail = World::of(&made).run().refused(Reason::BadManifest);
        assert!(detail.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{detail}");
    }
}

#[test]
fn nothing_but_no_bytes_has_the_digest_of_no_bytes_c38() {
    let empty = Digest::of(b"").to_string();
    put("encoded_size", &json!(0)).run().refused(Reason::BadManifest);
    put("encoded_sha256", &json!(empty)).run().refused(Reason::BadManifest);
    put("decoded_size", &json!(0)).run().refused(Reason::BadManifest);
    let mut world = World::of(&manifest(json!({ "a": entry("/d/a", b"", b"") }))).file("/d/a", b"");
    assert_eq!(world.run().release().items.len(), 2);
}

#[test]
fn each_pair_counts_u06_u07() {
    let packed = zlib(b"rules rules rules rules");
    let world = |change: fn(&mut Value)| {
        let mut made = entry("/d/a", &packed, b"rules rules rules rules");
        change(&mut made);
        World::of(&manifest(json!({ "a": made }))).file("/d/a", &packed).run()
    };
    world(|_| ()).release();
    world(|entry| entry["encoded_size"] = json!(1)).refused(Reason::TooLarge);
    world(|entry| entry["encoded_size"] = json!(1000)).refused(Reason::SizeMismatch);
    world(|entry| entry["decoded_size"] = json!(22)).refused(Reason::DecodedMismatch);
    world(|entry| entry["decoded_size"] = json!(24)).refused(Reason::DecodedMismatch);
    world(|entry| entry["decoded_sha256"] = json!(Digest::of(b"x").to_string())).refused(Reason::DecodedMismatch);
    world(|entry| entry["encoded_sha256"] = json!(Digest::of(b"x").to_string())).refused(Reason::HashMismatch);
    // Swapped.
    let swapped = |entry: &mut Value| {
        for member in ["sha256", "size"] {
            let (a, b) = (format!("encoded_{member}"), format!("decoded_{member}"));
            let taken = entry[&a].take();
            entry[&a] = entry[&b].take();
            entry[&b] = taken;
        }
    };
    world(swapped).refused(Reason::SizeMismatch);
}

#[test]
fn what_is_not_compressed_has_one_pair_u07() {
    put("decoded_size", &json!(6)).run().refused(Reason::DecodedMismatch);
    put("decoded_sha256", &json!(Digest::of(b"x").to_string())).run().refused(Reason::DecodedMismatch);
}

#[test]
fn two_entries_that_unpack_one_file_differently_cannot_both_be_right_u07() {
    let packed = zlib(b"rules");
    let mut other = entry("/d/a", &packed, b"rules");
    other["decoded_sha256"] = json!(Digest::of(b"RULES").to_string());
    let both = manifest(json!({ "a": entry("/d/a", &packed, b"rules"), "b": other }));
    World::of(&both).file("/d/a", &packed).run().refused(Reason::DecodedMismatch);
}

#[test]
fn one_digest_has_one_size_u06() {
    let mut other = entry("/d/b", b"x", b"x");
    other["encoded_size"] = json!(2);
    other["decoded_size"] = json!(2);
    World::of(&manifest(json!({ "a": entry("/d/a", b"x", b"x"), "b": other }))).run().refused(Reason::BadManifest);
}

#[test]
fn declared_sizes_are_capped_before_anything_is_fetched() {
    let refused = |world: World| {
        let mut world = world;
        world.run().refused(Reason::TooLarge);
        assert_eq!(world.asked.len(), 1);
    };
    refused(put("encoded_size", &json!((2u64 << 30) + 1)));
    refused(put("decoded_size", &json!((2u64 << 30) + 1)));
    refused(World::plain().settings(|settings| settings.artifact_cap = 4));
    refused(World::plain().settings(|settings| settings.total_cap = 10));
}

#[test]
fn as_many_artifacts_as_are_taken_are_read_at_once_c14() {
    let entries: serde_json::Map<String, Value> =
        (0..10_000).map(|n| (format!("a{n}-v1"), entry(&format!("/downloads/{n}"), b"x", b"x"))).collect();
    let mut world = World::of(&manifest(Value::Object(entries))).file("/downloads/0", b"x");
    assert_eq!(world.run().release().items.len(), 10_001);
    assert_eq!(world.asked.len(), 2);
}
