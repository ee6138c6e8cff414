//! Microsoft's layout, path for path.

use e2e::Site;
use e2e::whole::{companion, defender_folder};
use vendor_sim::{DefenderChange, DefenderFeed, DefenderTarget};

use crate::shell::{all_of_defender, digest_of, saw, sh, vendor};

#[test]
fn microsofts_layout_is_served_path_for_path_with_the_release_before() {
    let vendor = vendor();
    let site = Site::new(&[all_of_defender(&vendor.defender_url())]);
    let shown = || DefenderFeed::ALL.map(|feed| vendor.defender_release(feed).unwrap());
    site.sync(&[]).expect(0);
    let older = shown();
    vendor.publish_defender(DefenderTarget::All, DefenderChange::default()).unwrap();
    site.sync(&[]).expect(0);
    let serve = site.start("serve");

    let folder = tempfile::tempdir().unwrap();
    let mut paths = 0;
    for (suffix, releases) in [("", shown()), ("_back", older)] {
        for release in releases {
            let place = defender_folder(release.feed, suffix);
            let url = format!("http://{}{place}", serve.content);
            let lines = format!(
                "curl -sSf -O {url}/updates.zip && curl -sSf -O {url}/manifest.json && unzip -tq updates.zip && \
                 curl -sSf {url} && curl -sSf {url}/ && curl -sSfI {url}/updates.zip"
            );
            sh(folder.path(), &lines);
            let archive = folder.path().join("updates.zip");
            assert_eq!(digest_of(&archive), release.archive.digest().to_string(), "{place}");
            // What the vendor's script writes: jq's pretty print of the two fields.
            let written = sh(
                folder.path(),
                &format!(
                    "jq -n --arg e {} --arg d {} '{{EngineVersion: $e, DefinitionVersion: $d}}'",
                    release.engine, release.definitions
                ),
            );
            let served = std::fs::read_to_string(folder.path().join("manifest.json")).unwrap();
            assert_eq!(served, written, "{place}");
            assert_eq!(served, companion(&release));
            paths += 2;
        }
    }
    serve.finish();
    saw(&format!(
        "{paths} paths of 8 feeds and their _back, 16 archives good for unzip -t, companions as jq writes them"
    ));
}
