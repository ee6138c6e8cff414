//! nginx in front, as the vendor page sets it up.

use std::process::{Command, Stdio};
use std::time::Duration;

use e2e::whole::{manifest_path, serves_what_the_vendor_shows};
use e2e::{Site, closed_address, get, until};
use vendor_sim::DefenderFeed;

use crate::shell::{Ends, VERSIONS, everything, saw, sh, vendor};

#[test]
fn the_pages_nginx_in_front_keeps_tags_conditions_and_ranges() {
    let vendor = vendor();
    let site = Site::new(&everything(&vendor));
    site.sync(&[]).expect(0);
    let serve = site.start("serve");

    let front = closed_address();
    let folder = tempfile::tempdir().unwrap();
    let configuration = format!(
        "daemon off;\npid nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n  access_log off;\n  \
         client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;\n  \
         server {{\n    listen {front};\n    location / {{\n      proxy_pass http://{};\n    }}\n  }}\n}}\n",
        serve.content
    );
    std::fs::write(folder.path().join("nginx.conf"), configuration).unwrap();
    let mut nginx = Command::new("nginx");
    nginx.arg("-p").arg(folder.path()).args(["-c", "nginx.conf", "-e", "stderr"]);
    let _nginx = Ends(quiet(&mut nginx).spawn().unwrap());
    until("nginx serves", Duration::from_secs(30), || get(front, "/").ok());

    let url = format!("http://{front}{}", manifest_path(VERSIONS[0]));
    let run = |lines: &str| sh(folder.path(), &format!("URL={url}\n{lines}"));
    let etag = run("curl -sSfI $URL | tr -d '\\r' | sed -n 's/^[Ee][Tt]ag: //p'");
    let direct = get(serve.content, &manifest_path(VERSIONS[0])).unwrap();
    assert_eq!(Some(etag.trim()), direct.header("etag"), "the tag comes through as it is");
    let code =
        |arguments: &str| run(&format!("curl -sS -o part -w '%{{http_code}} %{{size_download}}' {arguments} $URL"));
    assert_eq!(code(&format!("-H 'If-None-Match: {}'", etag.trim())), "304 0");
    assert_eq!(code("-r 0-9"), "206 10");
    assert_eq!(code(&format!("-r 0-9 -H 'If-Range: {}'", etag.trim())), "206 10");
    assert_eq!(code("-r 0-9 -H 'If-Range: \"another\"'"), format!("200 {}", direct.body.len()));
    assert!(serves_what_the_vendor_shows(front, &vendor, &VERSIONS, &DefenderFeed::ALL[..2]));
    saw("tag unchanged, 304 round trip, ranges, If-Range; 5 versions and 2 feeds walked whole through nginx");
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}
