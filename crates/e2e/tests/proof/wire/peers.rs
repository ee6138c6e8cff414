//! The same files behind Waystation, nginx and Apache.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use e2e::{closed_address, get, until};
use tempfile::TempDir;

use crate::shell::Ends;

/// Somebody else's server; it ends with this.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    _ends: Ends,
    _folder: TempDir,
}

/// A folder that servers under another user can read.
pub(crate) fn open_folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// Makes every file below a folder older: Apache calls the tag of a file weak in the first second of its life.
pub(crate) fn aged(folder: &Path, by: Duration) {
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            aged(&entry.path(), by);
        } else {
            let file = fs::File::options().write(true).open(entry.path()).unwrap();
            let written = file.metadata().unwrap().modified().unwrap();
            file.set_modified(written - by).unwrap();
        }
    }
}

/// nginx over a tree, with its own defaults.
pub(crate) fn nginx(tree: &Path) -> Peer {
    nginx_with(&format!("root {};", tree.display()))
}

pub(super) fn nginx_with(server: &str) -> Peer {
    let (folder, address) = (open_folder(), closed_address());
    // One worker, so that all clients share its connections to what is behind it.
    let configuration = format!(
        "daemon off;\npid nginx.pid;\nerror_log stderr crit;\nuser root;\nworker_processes 1;\nevents {{}}\nhttp {{\n  \
         access_log off;\n  include /etc/nginx/mime.types;\n  \
         client_body_temp_path b; proxy_temp_path p; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;\n  \
         server {{\n    listen {address};\n    {server}\n  }}\n}}\n"
    );
    fs::write(folder.path().join("nginx.conf"), configuration).unwrap();
    let mut command = Command::new("nginx");
    command.arg("-p").arg(folder.path()).args(["-c", "nginx.conf", "-e", "stderr"]);
    started(command, address, folder)
}

/// Apache over a tree, with its own defaults.
pub(crate) fn apache(tree: &Path) -> Peer {
    let tree = tree.display();
    apache_with(
        &["mime", "dir"],
        &format!(
            "TypesConfig /etc/mime.types\nDocumentRoot {tree}\n<Directory {tree}>\n  Options FollowSymLinks\n  \
             AllowOverride None\n  Require all granted\n</Directory>\n"
        ),
    )
}

/// Apache with one process, so that all clients share its connections to what is behind it.
pub(super) fn apache_with(modules: &[&str], server: &str) -> Peer {
    let (folder, address) = (open_folder(), closed_address());
    let modules: String = ["mpm_event", "authz_core"]
        .iter()
        .chain(modules)
        .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
        .collect();
    let configuration = format!(
        "ServerRoot {folder}\nServerName localhost\nListen {address}\nPidFile {folder}/pid\nErrorLog {folder}/log\n\
         {modules}User www-data\nGroup www-data\nServerLimit 1\nStartServers 1\nMaxRequestWorkers 25\n{server}",
        folder = folder.path().display(),
    );
    fs::write(folder.path().join("httpd.conf"), configuration).unwrap();
    let mut command = Command::new("apache2");
    command.arg("-f").arg(folder.path().join("httpd.conf")).arg("-DFOREGROUND");
    started(command, address, folder)
}

pub(super) fn started(mut command: Command, address: SocketAddr, folder: TempDir) -> Peer {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(folder.path().join("stderr")).unwrap());
    let mut ends = Ends(command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")));
    until("the other server listens", Duration::from_secs(30), || {
        if let Some(status) = ends.0.try_wait().unwrap() {
            let said = fs::read_to_string(folder.path().join("stderr")).unwrap();
            panic!("{command:?} ended with {status}: {said}");
        }
        get(address, "/").ok()
    });
    Peer { address, _ends: ends, _folder: folder }
}
