//! curl and wget, straight at the mirror.

use e2e::Site;
use e2e::whole::defender_folder;
use vendor_sim::DefenderFeed;

use crate::shell::{all_of_defender, digest_of, saw, sh, vendor};

#[test]
fn heads_ranges_conditions_and_resumed_downloads_of_curl_and_wget() {
    let vendor = vendor();
    let site = Site::new(&[all_of_defender(&vendor.defender_url())]);
    site.sync(&[]).expect(0);
    let serve = site.start("serve");
    let feed = DefenderFeed::ALL[0];
    let url = format!("http://{}{}/updates.zip", serve.content, defender_folder(feed, ""));
    let archive = vendor.defender_release(feed).unwrap().archive.clone();
    let (whole, digest) = (archive.len(), archive.digest().to_string());
    let folder = tempfile::tempdir().unwrap();
    let run = |lines: &str| sh(folder.path(), &format!("URL={url}\n{lines}"));

    let head = run("curl -sSfI $URL").to_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains(&format!("content-length: {whole}\r\n")), "{head}");
    let etag = head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().trim().to_owned();
    assert!(etag.len() == 34 && etag.starts_with('"') && digest.starts_with(etag.trim_matches('"')), "{etag}");

    let code =
        |arguments: &str| run(&format!("curl -sS -o part -w '%{{http_code}} %{{size_download}}' {arguments} $URL"));
    let tag = format!("'{etag}'");
    assert_eq!(code(&format!("-H 'If-None-Match: '{tag}")), "304 0");
    assert_eq!(code("-r 10-19"), "206 10");
    assert_eq!(code(&format!("-r 10-19 -H 'If-Range: '{tag}")), "206 10");
    assert_eq!(code("-r 10-19 -H 'If-Range: \"another\"'"), format!("200 {whole}"));
    assert_eq!(code("-r -1"), "206 1");
    assert!(code(&format!("-r {whole}-")).starts_with("416 "));

    let half = whole / 2;
    for (program, resume) in [("curl", "curl -sSf -C - -o half $URL"), ("wget", "wget -q -c -O half $URL")] {
        run(&format!("curl -sSf -o half $URL && truncate -s {half} half && {resume}"));
        assert_eq!(digest_of(&folder.path().join("half")), digest, "{program}");
    }
    run("wget -q -c -O half $URL");
    assert_eq!(digest_of(&folder.path().join("half")), digest, "resuming what is whole changes nothing");
    serve.finish();
    saw(&format!("200, 206, 304, 416, If-Range both ways, {whole} bytes resumed from half by curl and wget"));
}
