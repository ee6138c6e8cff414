//! The vendor page's own commands, typed as they stand, with the host replaced.

use e2e::Site;
use e2e::whole::{manifest_path, read_manifest};

use crate::shell::{VERSIONS, digest_of, everything, saw, sh, try_sh, vendor};

/// The page's example script.
const FETCH: &str = r#"export ENDPOINT_VERSION=9.0.0-beta1 && wget -P downloads/endpoint/manifest https://artifacts.security.elastic.co/downloads/endpoint/manifest/artifacts-$ENDPOINT_VERSION.zip && zcat -q downloads/endpoint/manifest/artifacts-$ENDPOINT_VERSION.zip | jq -r '.artifacts | to_entries[] | .value.relative_url' | xargs -I@ curl "https://artifacts.security.elastic.co@" --create-dirs -o ".@""#;
/// The page's check.
const CHECK: &str = "curl -s https://artifacts.security.elastic.co/downloads/endpoint/manifest/artifacts-9.0.0-beta1.zip | zcat -q | jq -r .manifest_version";

#[test]
fn the_pages_pipeline_fetches_everything_and_its_check_tells_the_version() {
    let vendor = vendor();
    let site = Site::new(&everything(&vendor));
    site.sync(&[]).expect(0);
    let serve = site.start("serve");
    let mirror = |line: &str, version: &str| {
        line.replace("https://artifacts.security.elastic.co", &format!("http://{}", serve.content))
            .replace("9.0.0-beta1", version)
    };

    let (mut files, mut bytes) = (0, 0);
    for version in VERSIONS {
        let folder = tempfile::tempdir().unwrap();
        // The pipe ends with xargs, which fails when one curl does; zcat's complaint about an archive is lost in it.
        sh(folder.path(), &mirror(FETCH, version));
        let release = vendor.elastic_release(version).unwrap();
        let archive = std::fs::read(folder.path().join(&manifest_path(version)[1..])).unwrap();
        assert!(archive == release.manifest[..], "{version}: the manifest is the vendor's, byte for byte");
        let manifest = read_manifest(&archive);
        for (name, artifact) in manifest["artifacts"].as_object().unwrap() {
            let path = artifact["relative_url"].as_str().unwrap();
            let fetched = folder.path().join(&path[1..]);
            assert_eq!(digest_of(&fetched), artifact["encoded_sha256"].as_str().unwrap(), "{version}: {name}");
            files += 1;
            bytes += fetched.metadata().unwrap().len();
        }
        let told = String::from_utf8(try_sh(folder.path(), &mirror(CHECK, version)).stdout).unwrap();
        assert_eq!(told.trim(), release.manifest_version, "{version}");
    }
    serve.finish();
    saw(&format!("{} manifests, {files} artifacts, {bytes} bytes: every encoded_sha256 equal", VERSIONS.len()));
}
