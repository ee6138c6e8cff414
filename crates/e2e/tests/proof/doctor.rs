//! The doctor against our mirror, and against nginx and Apache as the vendor page sets them up.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use e2e::{Site, closed_address, get, until};
use serde_json::Value;
use tempfile::TempDir;
use vendor_sim::{DefenderChange, DefenderTarget, ElasticTarget, Simulator};

use crate::shell::{Ends, everything, saw, vendor};

const VERSION: &str = "9.0.0";
const FEED: &str = "linux/production/x86_64";

/// Runs the doctor; tells its whole report, and answers what it found above ok: level and check.
fn examined(site: &Site, name: &str, address: SocketAddr) -> Vec<String> {
    let url = format!("http://{address}");
    let arguments = ["-q", "doctor", &url, "--elastic", VERSION, "--defender", FEED];
    let page = site.act(&arguments).text();
    page.lines().filter(|line| !line.trim().is_empty()).for_each(|line| saw(&format!("{name}: {line}")));
    let report = site.act(&[&arguments[..], &["--json"]].concat());
    let report: Value = report.lines().remove(0);
    let findings = report["findings"].as_array().unwrap().clone();
    let mut found: Vec<String> = findings
        .iter()
        .filter(|finding| finding["level"] != "ok")
        .map(|finding| format!("{} {}", finding["level"].as_str().unwrap(), finding["check"].as_str().unwrap()))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// What the vendor page's commands left an hour ago: the files of both vendors, readable by all.
fn copied(vendor: &Simulator, folder: &Path) {
    vendor.write_elastic_tree(folder, VERSION.parse::<ElasticTarget>().unwrap()).unwrap();
    vendor.write_defender_tree(folder).unwrap();
    // As a download leaves them: one after the other, and none of this very second. Apache makes tags of times alone,
    // and marks those of files as weak that were written less than a second ago.
    aged(folder, &mut 3600);
}

/// Sets files back by so many seconds, each by one more.
fn aged(folder: &Path, by: &mut u64) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            aged(&entry.path(), by);
        } else {
            *by += 1;
            let file = std::fs::File::options().write(true).open(entry.path()).unwrap();
            let written = file.metadata().unwrap().modified().unwrap();
            file.set_modified(written - Duration::from_secs(*by)).unwrap();
        }
    }
}

/// A site that knows the vendor's key, so that signatures verify.
fn site(vendor: &Simulator) -> Site {
    let mut sections = everything(vendor);
    sections.insert(1, "public_keys = [\"key.pem\"]\n".to_owned());
    let site = Site::new(&sections);
    std::fs::write(site.folder().join("key.pem"), vendor.public_key_pem().unwrap()).unwrap();
    site
}

fn open_to_all(path: &Path) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// What the vendor page's servers are tried with.
struct Sample {
    site: Site,
    folder: TempDir,
    content: PathBuf,
    address: SocketAddr,
}

impl Sample {
    fn new() -> Self {
        let vendor = vendor();
        let folder = tempfile::tempdir().unwrap();
        open_to_all(folder.path());
        let content = folder.path().join("static");
        copied(&vendor, &content);
        Self { site: site(&vendor), folder, content, address: closed_address() }
    }
}

#[test]
fn our_mirror_has_no_finding_above_ok() {
    let vendor = vendor();
    let site = site(&vendor);
    site.sync(&[]).expect(0);
    vendor.publish_defender(DefenderTarget::All, DefenderChange::default()).unwrap();
    site.sync(&[]).expect(0);
    let serve = site.start("serve");
    assert_eq!(examined(&site, "waystation", serve.content), Vec::<String>::new());
}

#[test]
fn the_pages_nginx_cannot_take_its_own_tags_back() {
    let Sample { site, folder, content, address } = Sample::new();
    // The page's server, with what a process of a test needs around it.
    let configuration = format!(
        "daemon off;\npid nginx.pid;\nerror_log stderr;\nevents {{}}\nhttp {{\n  access_log off;\n  \
         client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;\n  \
         map $sent_http_etag $elastic_etag {{\n    \"~(.*)-(.*)\" \"$1$2\";\n  }}\n  \
         server {{\n    listen {address};\n    root {};\n    location / {{\n      \
         add_header ETag \"$elastic_etag\";\n    }}\n  }}\n}}\n",
        content.display()
    );
    std::fs::write(folder.path().join("nginx.conf"), configuration).unwrap();
    let mut nginx = Command::new("nginx");
    nginx.arg("-p").arg(folder.path()).args(["-c", "nginx.conf", "-e", "stderr"]);
    let _nginx = Ends(quiet(&mut nginx).spawn().unwrap());
    until("nginx serves", Duration::from_secs(30), || get(address, "/").ok());
    // Folders are 403 or move; the tag that is shown is not the one that is compared.
    assert_eq!(examined(&site, "nginx", address), ["warn base", "warn round_trip"]);
}

#[test]
fn the_pages_apache_lists_its_folders() {
    let Sample { site, folder, content, address } = Sample::new();
    // The image's own configuration where it matters here, and the page's line behind it.
    let modules: String = ["mpm_event", "authz_core", "mime", "autoindex", "dir"]
        .iter()
        .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
        .collect();
    let configuration = format!(
        "ServerRoot {folder}\nServerName localhost\nListen {address}\nPidFile {folder}/pid\nErrorLog {folder}/log\n\
         {modules}User www-data\nGroup www-data\nTypesConfig /etc/mime.types\nDocumentRoot {content}\n\
         <Directory {content}>\n  Options Indexes FollowSymLinks\n  AllowOverride None\n  Require all granted\n\
         </Directory>\nDirectoryIndex index.html\nFileETag MTime\n",
        folder = folder.path().display(),
        content = content.display()
    );
    std::fs::write(folder.path().join("httpd.conf"), configuration).unwrap();
    let mut apache = Command::new("apache2");
    apache.arg("-f").arg(folder.path().join("httpd.conf")).arg("-DFOREGROUND");
    let _apache = Ends(quiet(&mut apache).spawn().unwrap());
    until("Apache serves", Duration::from_secs(30), || get(address, "/").ok());
    // The tag comes back as it should, but for a client that drops its quotes.
    assert_eq!(examined(&site, "apache", address), ["warn base", "warn if_none_match_list", "warn listing"]);
}

fn quiet(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}
