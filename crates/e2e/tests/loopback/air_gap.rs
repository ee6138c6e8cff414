//! There and back across an air gap: what the closed side wants goes out as a list, and comes back in as a folder.

use std::net::SocketAddr;
use std::time::Duration;

use e2e::whole::{manifest_path, read_manifest};
use e2e::{Site, closed_address, get, until};
use vendor_sim::{ElasticSettings, Settings, Simulator};

const PATIENCE: Duration = Duration::from_secs(60);
const DATED: &str = "/downloads/endpoint/manifest/artifacts-8.18.3-2026-01-15.zip";
const CANDIDATE: &str = "/downloads/endpoint/manifest/candidate/artifacts-9.0.0.zip";

fn vendor() -> Simulator {
    let versions = ["8.18.3", "9.0.0", "9.1.2"].map(str::to_owned).to_vec();
    let elastic = ElasticSettings { versions, artifacts: 12, artifact_size: 8 * 1024, ..ElasticSettings::default() };
    Simulator::start(Settings { elastic, ..Settings::lately() }).unwrap()
}

fn walk(mirror: SocketAddr, path: &str) {
    let manifest = get(mirror, path).unwrap();
    assert_eq!(manifest.status, 200, "{path}");
    for artifact in read_manifest(&manifest.body)["artifacts"].as_object().unwrap().values() {
        let answer = get(mirror, artifact["relative_url"].as_str().unwrap()).unwrap();
        assert_eq!(model::Digest::of(&answer.body).to_string(), artifact["encoded_sha256"].as_str().unwrap());
    }
}

#[test]
fn what_the_closed_side_wants_comes_back_in_whatever_form_its_paths_have() {
    let vendor = vendor();
    let nowhere = format!("[elastic]\norigin = \"http://{}\"\nversions = [\"9.1.2\"]\n", closed_address());
    let closed = Site::new(&[nowhere]);
    let first = tempfile::tempdir().unwrap();
    vendor.write_elastic_tree(first.path(), "9.1.2").unwrap();
    closed.sync(&["--from", first.path().to_str().unwrap()]).expect(0);
    let run = closed.start("run");
    for path in [DATED, CANDIDATE, &manifest_path("9.0.0")] {
        assert_eq!(get(run.content, path).unwrap().status, 404);
    }
    until("what was asked for is wanted", PATIENCE, || {
        (closed.act(&["feed", "wanted", "--json"]).expect(0).lines().len() == 3).then_some(())
    });
    closed.act(&["feed", "wanted", "--export", "wanted.json"]).expect(0);
    run.finish();

    let connected = Site::new(&[]);
    let share = connected.folder().join("share");
    std::fs::create_dir(&share).unwrap();
    let elastic = e2e::elastic(vendor.elastic_url().as_str(), &["9.1.2"]);
    connected.configure(&[elastic, format!("[tree]\nfolder = {:?}\n", share.to_str().unwrap())]);
    connected.sync(&["--wanted", closed.folder().join("wanted.json").to_str().unwrap()]).expect(0);
    connected.sync(&[]).expect(0);

    let carried = share.join("broad");
    let carried = carried.to_str().unwrap();
    for feed in ["8.18.3@2026-01-15", "9.0.0/candidate", "8.18.3@2026-03-03"] {
        closed.act(&["feed", "learn", feed]).expect(0);
    }
    let told = closed.act(&["sync", "--from", carried]).expect(0).text();
    assert!(told.contains("followed, and not in the folder: elastic/8.18.3@2026-03-03; "), "{told}");
    assert!(
        told.contains("in the folder, and not followed: elastic/9.0.0; `waystation feed learn elastic/9.0.0`"),
        "{told}"
    );
    let again = closed.sync(&["elastic/8.18.3@2026-01-15", "elastic/9.0.0/candidate", "--from", carried]).expect(0);
    assert_eq!(again.outcomes(), ["current", "current"], "{}", again.text());
    let lacking = closed.sync(&["elastic/8.18.3@2026-03-03", "--from", carried]).expect(1).lines();
    assert_eq!(lacking[0]["reason"], "not_in_folder", "there is no vendor to ask where it lies: {lacking:?}");
    let serve = closed.start("serve");
    for path in [DATED, CANDIDATE, &manifest_path("9.1.2")] {
        walk(serve.content, path);
    }
    serve.finish();
    let whole = closed.sync(&["--from", carried]).expect(0).lines();
    assert_eq!(whole.last().unwrap()["folder"]["lacks"][0], "elastic/8.18.3@2026-03-03", "{whole:?}");
}
