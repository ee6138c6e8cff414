//! Proxy mode: a fleet at a cold proxy, and the vendor page's recipes beside ours, section by section.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use e2e::whole::{manifest_path, read_manifest};
use e2e::{Answer, Daemon, Site, closed_address, get, get_with, until};
use model::Digest;
use tempfile::TempDir;
use vendor_sim::{Change, ElasticSettings, Fault, FaultRule, Kind, Pattern, Settings, Simulator};

use crate::shell::{Ends, saw, sh, try_sh};

const PATIENCE: Duration = Duration::from_secs(60);
const VERSION: &str = "9.0.0";
/// How many endpoints ask at once.
const ENDPOINTS: usize = 1000;
/// How many of the manifest's artifacts each of them takes.
const TAKEN: usize = 3;

/// Somebody else's server; it ends with this.
struct Peer {
    address: SocketAddr,
    _ends: Ends,
    _folder: TempDir,
}

/// A folder that servers under another user can read.
fn open_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// The page's lines against the dash in nginx's tags.
const MAP: &str = "map $sent_http_etag $elastic_etag {\n    \"~(.*)-(.*)\" \"$1$2\";\n  }\n";

/// nginx with these lines, and these in its server, as the page has them.
fn nginx_with(lines: &str, server: &str) -> Peer {
    let (folder, address) = (open_folder(), closed_address());
    let configuration = format!(
        "daemon off;\npid nginx.pid;\nerror_log stderr crit;\nuser root;\nevents {{}}\nhttp {{\n  access_log off;\n  \
         client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;\n  \
         {lines}  server {{\n    listen {address};\n    {server}\n  }}\n}}\n"
    );
    fs::write(folder.path().join("nginx.conf"), configuration).unwrap();
    let mut command = Command::new("nginx");
    command.arg("-p").arg(folder.path()).args(["-c", "nginx.conf", "-e", "stderr"]);
    started(command, address, folder)
}

/// Apache that passes requests on, as the page has it.
fn apache_proxy(url: &str) -> Peer {
    apache_with(&["proxy", "proxy_http"], &format!("ProxyPass / {url}/\nProxyPassReverse / {url}/\n"))
}

/// Apache that serves a folder, as the page has it.
fn apache_files(folder: &Path) -> Peer {
    let folder = folder.display();
    let lines = format!(
        "TypesConfig /etc/mime.types\nDocumentRoot {folder}\n<Directory {folder}>\n  Require all granted\n\
         </Directory>\nFileETag MTime\n"
    );
    apache_with(&["mime"], &lines)
}

/// Apache with these modules and lines beside what every one needs.
fn apache_with(modules: &[&str], lines: &str) -> Peer {
    let (folder, address) = (open_folder(), closed_address());
    let modules: String = [&["mpm_event", "authz_core"], modules]
        .concat()
        .iter()
        .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
        .collect();
    let configuration = format!(
        "ServerRoot {folder}\nServerName localhost\nListen {address}\nPidFile {folder}/pid\nErrorLog {folder}/log\n\
         {modules}User www-data\nGroup www-data\n{lines}",
        folder = folder.path().display(),
    );
    fs::write(folder.path().join("httpd.conf"), configuration).unwrap();
    let mut command = Command::new("apache2");
    command.arg("-f").arg(folder.path().join("httpd.conf")).arg("-DFOREGROUND");
    started(command, address, folder)
}

fn started(mut command: Command, address: SocketAddr, folder: TempDir) -> Peer {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let ends = Ends(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")));
    until("the other server listens", PATIENCE, || get(address, "/").ok());
    Peer { address, _ends: ends, _folder: folder }
}

fn vendor() -> Simulator {
    let elastic = ElasticSettings { artifacts: 12, artifact_size: 16 * 1024, ..ElasticSettings::default() };
    Simulator::start(Settings { elastic, ..Settings::lately() }).unwrap()
}

fn proxy(vendor: &Simulator, lines: &str) -> (Site, Daemon) {
    let site = Site::new(&[format!("[elastic]\norigin = \"{}\"\nmode = \"proxy\"\n{lines}", vendor.elastic_url())]);
    let run = site.start("run");
    (site, run)
}

#[test]
fn a_thousand_endpoints_at_a_cold_proxy_are_one_request_each_to_the_vendor_v36() {
    let vendor = vendor();
    let (_site, run) = proxy(&vendor, "revalidate = \"1h\"\nwait = \"5m\"\n");
    let mirror = run.content;
    let endpoints: Vec<_> = (0..ENDPOINTS)
        .map(|number| {
            let endpoint = move || {
                let manifest = get(mirror, &manifest_path(VERSION)).unwrap();
                assert_eq!(manifest.status, 200);
                let manifest = read_manifest(&manifest.body);
                let artifacts: Vec<_> = manifest["artifacts"].as_object().unwrap().values().collect();
                for turn in 0..TAKEN {
                    let artifact = &artifacts[(number + turn * 5) % artifacts.len()];
                    let answer = get(mirror, artifact["relative_url"].as_str().unwrap()).unwrap();
                    assert_eq!(Digest::of(&answer.body).to_string(), artifact["encoded_sha256"].as_str().unwrap());
                }
            };
            std::thread::Builder::new().stack_size(256 * 1024).spawn(endpoint).unwrap()
        })
        .collect();
    endpoints.into_iter().for_each(|endpoint| endpoint.join().unwrap());
    let seen = vendor.requests();
    let twice: Vec<_> = seen.by_target.iter().filter(|(_, count)| **count != 1).collect();
    assert!(twice.is_empty(), "{twice:?}");
    assert_eq!(seen.requests, 13, "{:?}", seen.by_target);
    saw(&format!(
        "{ENDPOINTS} endpoints, {} requests of theirs, {} to the vendor: one for the manifest and one for each of 12 artifacts",
        ENDPOINTS * (1 + TAKEN),
        seen.requests
    ));
    run.finish();
}

/// The servers of the page's first half, which pass requests on, beside ours.
struct Proxies {
    vendor: Simulator,
    ours: SocketAddr,
    nginx: Peer,
    apache: Peer,
    run: Daemon,
    _site: Site,
}

impl Proxies {
    fn start() -> Self {
        let vendor = vendor();
        let (site, run) = proxy(&vendor, "revalidate = \"1s\"\n");
        let url = vendor.elastic_url();
        let nginx = nginx_with("", &format!("location / {{\n      proxy_pass {url};\n    }}"));
        let apache = apache_proxy(&url);
        Self { vendor, ours: run.content, nginx, apache, run, _site: site }
    }

    /// What each of the three answers: ours, nginx, Apache.
    fn ask(&self, path: &str) -> [Answer; 3] {
        [self.ours, self.nginx.address, self.apache.address].map(|address| get(address, path).unwrap())
    }

    /// The status that each answers to the tag that it gave.
    fn own_tag(&self, path: &str) -> [u16; 3] {
        [self.ours, self.nginx.address, self.apache.address].map(|address| own_tag(address, path).0)
    }
}

/// The status and the size of the answer to the tag that a server gave itself.
fn own_tag(address: SocketAddr, path: &str) -> (u16, usize) {
    let tag = get(address, path).unwrap().header("etag").unwrap_or_default().to_owned();
    let answer = get_with(address, path, &[("If-None-Match", &tag)]).unwrap();
    (answer.status, answer.body.len())
}

fn statuses(answers: &[Answer; 3]) -> [u16; 3] {
    answers.each_ref().map(|answer| answer.status)
}

#[test]
fn the_pages_proxies_beside_ours_section_by_section() {
    let proxies = Proxies::start();
    let path = manifest_path(VERSION);
    assert_eq!(statuses(&proxies.ask(&path)), [200; 3]);
    saw(&format!("304 to the own tag (ours, nginx, Apache): {:?}", proxies.own_tag(&path)));
    assert_eq!(proxies.own_tag(&path)[0], 304);

    proxies.vendor.publish_elastic(VERSION, Change::of(2)).unwrap();
    let newest = proxies.vendor.elastic_release(VERSION).unwrap();
    until("ours follows the vendor", PATIENCE, || {
        (get(proxies.ours, &path).ok()?.body == newest.manifest[..]).then_some(())
    });
    saw("a newer manifest: all three serve it, ours after its set is whole");

    let absent = proxies.ask(&manifest_path("7.0.0"));
    assert_eq!(statuses(&absent), [404; 3]);
    let bodies = absent.each_ref().map(|answer| answer.body.len());
    saw(&format!("404 at the vendor: {:?}, bodies of {bodies:?} bytes", statuses(&absent)));
    assert_eq!(bodies[0], 0);

    // An artifact whose bytes went wrong on the way.
    let before = get(proxies.ours, &path).unwrap();
    proxies.vendor.publish_elastic(VERSION, Change::of(1)).unwrap();
    let spoiled = proxies.vendor.elastic_release(VERSION).unwrap().artifacts[0].clone();
    proxies.vendor.inject(FaultRule::always(Pattern::Target(spoiled.relative_url.clone()), Fault::OtherBytes));
    until("it is refused", PATIENCE, || {
        let metrics = String::from_utf8(get(proxies.run.admin, "/metrics").ok()?.body).ok()?;
        metrics.contains("reason=\"hash_mismatch\"").then_some(())
    });
    let answers = proxies.ask(&spoiled.relative_url);
    let passed_on =
        answers.each_ref().map(|answer| answer.status == 200 && Digest::of(&answer.body) != spoiled.encoded_sha256);
    saw(&format!("a corrupt artifact is passed on (ours, nginx, Apache): {passed_on:?}"));
    assert_eq!(passed_on, [false, true, true]);
    assert_eq!(answers[0].status, 503, "what a refused manifest names comes in by no other way");
    assert_eq!(get(proxies.ours, &path).unwrap().body, before.body, "the last good manifest is served on");
    proxies.vendor.clear_faults();

    // The vendor publishes between manifest and artifacts, and takes the old ones away.
    proxies.vendor.inject(FaultRule::once(Pattern::Kind(Kind::Manifest), Fault::ReplacedMeanwhile));
    let torn = get(proxies.nginx.address, &path).unwrap();
    let manifest = read_manifest(&torn.body);
    let gone = manifest["artifacts"].as_object().unwrap().values().filter(|artifact| {
        get(proxies.nginx.address, artifact["relative_url"].as_str().unwrap()).unwrap().status != 200
    });
    let gone = gone.count();
    saw(&format!("artifacts that nginx no longer has of the manifest that it served a moment ago: {gone}"));
    assert!(gone > 0);
    let ours = read_manifest(&get(proxies.ours, &path).unwrap().body);
    for artifact in ours["artifacts"].as_object().unwrap().values() {
        let answer = get(proxies.ours, artifact["relative_url"].as_str().unwrap()).unwrap();
        assert_eq!(Digest::of(&answer.body).to_string(), artifact["encoded_sha256"].as_str().unwrap());
    }
    saw("ours serves every artifact of the manifest that it serves");

    // The vendor closes every connection without a word.
    proxies.vendor.inject(FaultRule::always(Pattern::Any, Fault::Refuse));
    let aged = until("ours tells the age of what it serves", PATIENCE, || {
        get(proxies.ours, &path).ok().filter(|answer| answer.header("age").is_some())
    });
    let down = proxies.ask(&path);
    saw(&format!(
        "the vendor is down: {:?}; ours is {} seconds old",
        statuses(&down),
        aged.header("age").unwrap_or_default()
    ));
    assert_eq!(down[0].status, 200);
    assert!(down[1..].iter().all(|answer| matches!(answer.status, 502..=504)), "{:?}", statuses(&down));
}

/// What a poll with the tag of its own gets, and what becomes of the tag when the same file is copied again.
fn tags_of_the_pages_file_servers(tree: &Path, servers: [SocketAddr; 3]) {
    let path = manifest_path(VERSION);
    // As a copy leaves it: whole, and of another time than the one before.
    let copied = |ago: &str| sh(tree, &format!("touch -d '{ago} ago' {}", path.trim_start_matches('/')));
    let tags = || servers.map(|address| get(address, &path).unwrap().header("etag").unwrap_or_default().to_owned());
    copied("3 hours");
    let size = get(servers[0], &path).unwrap().body.len();
    let polled = servers.map(|address| own_tag(address, &path));
    saw(&format!("a poll with the own tag, and the bytes that it gets (ours, nginx, Apache): {polled:?}"));
    assert_eq!(polled, [(304, 0), (200, size), (304, 0)]);
    let before = tags();
    copied("2 hours");
    let after = tags();
    let moved = [0, 1, 2].map(|at| before[at] != after[at]);
    saw(&format!("the same file copied again has another tag (ours, nginx, Apache): {moved:?}"));
    assert_eq!(moved, [false, true, true]);
}

#[test]
fn the_pages_file_servers_and_script_beside_ours_section_by_section() {
    let vendor = vendor();
    let url = vendor.elastic_url();
    let tree = open_folder();
    let script = |version: &str| {
        format!(
            "export ENDPOINT_VERSION={version} && wget -q -P downloads/endpoint/manifest {url}/downloads/endpoint/manifest/artifacts-$ENDPOINT_VERSION.zip && zcat -q downloads/endpoint/manifest/artifacts-$ENDPOINT_VERSION.zip | jq -r '.artifacts | to_entries[] | .value.relative_url' | xargs -I@ curl -s \"{url}@\" --create-dirs -o \".@\""
        )
    };
    sh(tree.path(), &script(VERSION));
    let root = tree.path().display();
    let page = format!("root {root};\n    location / {{\n      add_header ETag \"$elastic_etag\";\n    }}");
    let nginx = nginx_with(MAP, &page);
    let apache = apache_files(tree.path());
    let site = Site::new(&[e2e::elastic(&url, &[VERSION])]);
    site.sync(&[]).expect(0);
    let serve = site.start("serve");
    let path = manifest_path(VERSION);
    tags_of_the_pages_file_servers(tree.path(), [serve.content, nginx.address, apache.address]);

    vendor.publish_elastic(VERSION, Change::of(2)).unwrap();
    let newest = vendor.elastic_release(VERSION).unwrap();
    try_sh(tree.path(), &script(VERSION));
    site.sync(&[]).expect(0);
    assert_ne!(get(nginx.address, &path).unwrap().body, newest.manifest[..], "wget kept the old one and wrote .zip.1");
    until("ours serves the newer", PATIENCE, || {
        (get(serve.content, &path).ok()?.body == newest.manifest[..]).then_some(())
    });
    saw("the script's second run leaves the old manifest in place; ours serves the newer");

    let lost = newest.artifacts[1].relative_url.clone();
    vendor.inject(FaultRule::always(Pattern::Target(lost.clone()), Fault::Status(404)));
    sh(tree.path(), "rm -r downloads");
    let ended = try_sh(tree.path(), &script(VERSION));
    let kept = get(nginx.address, &lost).unwrap();
    saw(&format!(
        "a 404 at the vendor: the script ends with {}, and {} bytes of error page are served as the artifact",
        ended.status,
        kept.body.len()
    ));
    assert_eq!(kept.status, 200);
    assert_ne!(Digest::of(&kept.body), newest.artifacts[1].encoded_sha256);
    assert_eq!(Digest::of(&get(serve.content, &lost).unwrap().body), newest.artifacts[1].encoded_sha256);
    vendor.clear_faults();

    vendor.inject(FaultRule::always(Pattern::Target(lost.clone()), Fault::OtherBytes));
    sh(tree.path(), "rm -r downloads");
    let ended = try_sh(tree.path(), &script(VERSION));
    let kept = get(nginx.address, &lost).unwrap();
    saw(&format!("a corrupt artifact: the script ends with {}, and it is served", ended.status));
    assert!(ended.status.success() && Digest::of(&kept.body) != newest.artifacts[1].encoded_sha256);
}
