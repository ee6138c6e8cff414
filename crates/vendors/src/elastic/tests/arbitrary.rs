//! Whatever a manifest is, it ends in a proposal or a refusal.

use proptest::prelude::*;

use super::world::{End, World};

fn ends(end: &End) -> bool {
    matches!(end, End::Proposed(_) | End::Refused(..))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_body(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(ends(&World::of_zip(bytes).run()));
    }

    #[test]
    fn any_manifest(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(ends(&World::of_text(&bytes).run()));
    }

    #[test]
    fn any_url(url in any::<String>()) {
        let world = super::world::with_entry(|entry| _ = entry.insert("relative_url".into(), url.as_str().into()));
        let end = { world }.run();
        prop_assert!(ends(&end));
    }

    #[test]
    fn a_good_zip_with_a_byte_changed_c30(at in any::<prop::sample::Index>(), flip in 1u8..) {
        let mut world = World::plain();
        let at = at.index(world.zip.len());
        world.zip[at] ^= flip;
        prop_assert!(ends(&world.run()));
    }

    #[test]
    fn a_good_manifest_with_a_piece_changed(at in any::<prop::sample::Index>(), piece in "[\\[\\]{}\":,0-9a-z./\\\\-]{0,6}") {
        let text = super::world::manifest(serde_json::json!({ "a": super::world::entry("/d/a", b"x", b"x") })).to_string();
        let (before, after) = text.split_at(at.index(text.len()));
        let world = World::of_text(format!("{before}{piece}{}", after.get(piece.len()..).unwrap_or("")).as_bytes());
        prop_assert!(ends(&world.file("/d/a", b"x").run()));
    }
}
