//! The zip around a manifest.

use model::Reason;
use serde_json::json;

use super::world::{World, manifest, zip_of};

#[test]
fn something_else_in_its_place_u08_u09() {
    for body in [
        &b""[..],
        b"<!doctype html><title>Sign in</title>",
        b"{\"manifest_version\":\"1.0.1\",\"artifacts\":{}}",
        b"\x1f\x8b\x08\x00",
        b"PK",
        b"\x1b[2Jgone",
    ] {
        let detail = World::of_zip(body.to_vec()).run().refused(Reason::NotManifest);
        assert!(detail.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{detail}");
    }
    let other = World::of_zip(zip_of(&[("readme.txt", b"hello"), ("dir/manifest.json", b"{}")])).run();
    assert!(other.refused(Reason::NotManifest).contains("no manifest.json"));
}

#[test]
fn entries_are_looked_up_by_name_and_others_tolerated() {
    let text = manifest(json!({})).to_string();
    let zip = zip_of(&[("other.json", b"{}"), ("manifest.sig", b"x"), ("manifest.json", text.as_bytes())]);
    assert_eq!(World::of_zip(zip).run().release().items.len(), 1);
}

#[test]
fn two_views_are_refused_c24() {
    let text = manifest(json!({})).to_string();
    let a = zip_of(&[("manifest.json", text.as_bytes())]);
    let b = zip_of(&[("manifest.json", text.replace("1049", "1050").as_bytes())]);
    World::of_zip([a.clone(), b].concat()).run().refused(Reason::BadZip);
    World::of_zip([&a[..], b"x"].concat()).run().refused(Reason::BadZip);
    World::of_zip([b"x", &a[..]].concat()).run().refused(Reason::NotManifest);
}

#[test]
fn folders_have_no_business_here_c25() {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer.add_directory("a/", zip::write::SimpleFileOptions::default()).unwrap();
    let zip = writer.finish().unwrap().into_inner();
    World::of_zip(zip).run().refused(Reason::BadZip);
}

#[test]
fn cut_anywhere_it_is_refused_c29() {
    let zip = World::plain().zip;
    for length in 0..zip.len() {
        let end = World::of_zip(zip[..length].to_vec()).run();
        assert!(
            matches!(end, super::world::End::Refused(Reason::NotManifest | Reason::BadZip, _)),
            "{length}: {end:?}"
        );
    }
}

#[test]
fn a_manifest_that_unpacks_beyond_its_cap_is_refused_c20_c21() {
    let white = format!("{}{}", " ".repeat(1 << 20), manifest(json!({})));
    let zip = zip_of(&[("manifest.json", white.as_bytes())]);
    World::of_zip(zip.clone())
        .settings(|settings| settings.manifest_cap = 1 << 20)
        .run()
        .refused(Reason::MemberDamaged);
    // A thousand to one is no manifest, whatever it would unpack to.
    World::of_zip(zip).run().refused(Reason::MemberDamaged);
}
