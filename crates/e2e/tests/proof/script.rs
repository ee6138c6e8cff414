//! A tree made the way Microsoft's script makes it, taken in with `--from`.

use e2e::whole::serves_what_the_vendor_shows;
use e2e::{Site, closed_address, get, until};
use std::time::Duration;
use vendor_sim::{DefenderChange, DefenderFeed, DefenderTarget};

use crate::shell::{all_of_defender, saw, sh, vendor};

/// The steps of the vendor's downloader in our own words: ask what is new, keep the old pair in `_back`, fetch to a
/// temporary name, ask again, move, write the companion.
pub(crate) const STEPS: &str = r#"
set -eu
tree=$PWD/tree
version_in() { sed -n "s:.*<$2[^>]*>\([^<]*\)</$2>.*:\1:p" "$1"; }
for platform in linux mac; do
    case $platform in linux) link=2144709 ;; mac) link=2120136 ;; esac
    for track in production preview; do
        for arch in x86_64 arm64; do
            url="$BASE?linkid=$link"
            if [ $arch = arm64 ]; then url="$url&arch=arm64"; fi
            if [ $track = preview ]; then url="$url&engRing=3&sigRing=1"; fi
            here=$tree/$platform/$track/arch_$arch
            back=$tree/$platform/${track}_back/arch_$arch
            mkdir -p "$here" "$back"
            if [ -f "$here/manifest.json" ]; then
                curl -sSL -o temp.txt "$url&action=info"
                if [ "$(version_in temp.txt engine)" = "$(jq -r .EngineVersion "$here/manifest.json")" ] &&
                    [ "$(version_in temp.txt signatures)" = "$(jq -r .DefinitionVersion "$here/manifest.json")" ]; then
                    continue
                fi
            fi
            if [ -f "$here/updates.zip" ] && [ -f "$here/manifest.json" ]; then
                cp -f "$here/updates.zip" "$here/manifest.json" "$back/"
            fi
            curl -sSL -o "$here/updates.zip_temp" "$url"
            curl -sSL -o "$here/manifest.xml" "$url&action=info"
            mv "$here/updates.zip_temp" "$here/updates.zip"
            jq -n --arg e "$(version_in "$here/manifest.xml" engine)" --arg d "$(version_in "$here/manifest.xml" signatures)" \
                '{EngineVersion: $e, DefinitionVersion: $d}' >"$here/manifest.json"
            rm "$here/manifest.xml"
        done
    done
done
"#;

#[test]
fn a_tree_made_by_the_steps_of_microsofts_script_is_taken_in_and_served() {
    let vendor = vendor();
    let nowhere = format!("http://{}/fwlink/", closed_address());
    let site = Site::new(&[all_of_defender(&nowhere)]);
    let folder = tempfile::tempdir().unwrap();
    let script = format!("BASE={}\n{STEPS}", vendor.defender_url());
    let tree = folder.path().join("tree");

    let mut serve = None;
    for round in ["first", "second"] {
        sh(folder.path(), &script);
        vendor.reset_counters();
        let taken = site.sync(&["--from", tree.to_str().unwrap()]).expect(0);
        assert_eq!(taken.outcomes(), ["published"; 8], "{round}: {}", taken.text());
        assert_eq!(vendor.requests().requests, 0, "no network is touched");
        let serve = serve.get_or_insert_with(|| site.start("serve"));
        until("the tree is served", Duration::from_secs(60), || {
            serves_what_the_vendor_shows(serve.content, &vendor, &[], &DefenderFeed::ALL).then_some(())
        });
        vendor.publish_defender(DefenderTarget::All, DefenderChange::default()).unwrap();
    }
    let serve = serve.unwrap();
    let back = tree.join("linux/production_back/arch_x86_64/manifest.json");
    let served = get(serve.content, "/linux/production_back/arch_x86_64/manifest.json").unwrap();
    assert_eq!(served.body, std::fs::read(back).unwrap(), "the release before is in _back, as in the tree");
    serve.finish();
    saw("a tree of 8 feeds, made twice, published twice from the folder with no request made, _back as in the tree");
}
