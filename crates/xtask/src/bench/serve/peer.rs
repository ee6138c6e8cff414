//! The servers that are measured: ours, and nginx and Apache as the vendor page configures them and tuned.

use std::fmt::Write as _;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use super::cpu;
use crate::bench::site::Site;

/// A server that can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    /// Ours: `serve` with access log, limits and deadlines on.
    Waystation,
    /// nginx with the vendor page's configuration for a file server.
    NginxDoc,
    /// nginx as one who knows it would set it up: open_file_cache, sendfile, no log.
    NginxTuned,
    /// Apache with the vendor page's configuration for a file server.
    ApacheDoc,
}

/// The core that servers run on; clients have another.
const SERVER_CORE: &str = "0";
/// Where Debian keeps Apache's modules.
const MODULES: &str = "/usr/lib/apache2/modules";

impl Peer {
    pub(super) const ALL: [Self; 4] = [Self::Waystation, Self::NginxTuned, Self::NginxDoc, Self::ApacheDoc];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Waystation => "waystation",
            Self::NginxDoc => "nginx-doc",
            Self::NginxTuned => "nginx-tuned",
            Self::ApacheDoc => "httpd-doc",
        }
    }

    /// The program and the Debian package that brings it.
    const fn program(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Waystation => None,
            Self::NginxDoc | Self::NginxTuned => Some(("nginx", "nginx-light")),
            Self::ApacheDoc => Some(("apache2", "apache2")),
        }
    }

    /// Whether it writes a line for each request while it is measured.
    pub(super) const fn logs(self) -> bool {
        !matches!(self, Self::NginxTuned)
    }

    /// Whether a poll that finds nothing new gets a 304 from it, as it must from ours; the page's nginx has no tag of its
    /// own, and Apache changes its tags.
    pub(super) const fn revalidates(self) -> bool {
        matches!(self, Self::Waystation | Self::NginxTuned)
    }

    /// Its version, or the package that is missing.
    pub(super) fn version(self) -> Result<String, String> {
        let Some((program, package)) = self.program() else { return Ok(env!("CARGO_PKG_VERSION").to_owned()) };
        let asked = Command::new(find(program)).arg("-v").output();
        let answer = asked.map_err(|_| format!("{program} is not installed: apt-get install {package}"))?;
        let text = [answer.stdout, answer.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let word = text.split_whitespace().find(|word| word.contains('/')).unwrap_or("?").to_owned();
        Ok(word)
    }
}

/// What servers are set up with.
pub(super) struct Stage<'a> {
    pub(super) site: &'a Site<'a>,
    /// The same files as a tree.
    pub(super) tree: &'a Path,
    /// Certificate and key, both PEM, where TLS is measured.
    pub(super) tls: Option<(&'a Path, &'a Path)>,
}

/// A running server; it ends with this.
pub(super) struct Running {
    child: Child,
    pub(super) address: String,
}

impl Running {
    pub(super) fn start(peer: Peer, stage: &Stage<'_>) -> Result<Self> {
        let port = free_port()?;
        let address = format!("127.0.0.1:{port}");
        let folder = stage.site.path();
        let mut command = Command::new("taskset");
        command.args(["-c", SERVER_CORE]);
        match peer {
            Peer::Waystation => {
                ours(stage, port)?;
                let serve = stage.site.command("serve");
                command.arg(serve.get_program()).args(serve.get_args()).current_dir(folder);
                command.args(["--config", "serve.toml"]).env_remove("WAYSTATION_CONFIG");
            }
            Peer::NginxDoc | Peer::NginxTuned => {
                let config = folder.join("nginx.conf");
                fs::write(&config, nginx(peer, stage, port)?)?;
                command.arg(find("nginx")).args(["-e", "stderr", "-p"]).arg(folder).arg("-c").arg(config);
            }
            Peer::ApacheDoc => {
                let config = folder.join("httpd.conf");
                fs::write(&config, apache(stage, port)?)?;
                command.arg(find("apache2")).arg("-f").arg(config).arg("-DFOREGROUND");
            }
        }
        let log = fs::File::create(folder.join(format!("{}.stderr", peer.name())))?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().context("starting it")?;
        let mut running = Self { child, address };
        running.wait().with_context(|| {
            let said = fs::read_to_string(folder.join(format!("{}.stderr", peer.name()))).unwrap_or_default();
            format!("{} does not listen: {said}", peer.name())
        })?;
        Ok(running)
    }

    /// Until it accepts connections.
    fn wait(&mut self) -> Result<()> {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(20) {
            if TcpStream::connect(&self.address).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("it ended with {status}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("not within 20 s")
    }

    /// CPU time of all its processes and threads since they began.
    pub(super) fn cpu(&self) -> Result<Duration> {
        cpu::time(self.child.id())
    }

    /// Its process.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Memory of all its processes that is theirs alone, in bytes.
    pub(super) fn memory(&self) -> Result<u64> {
        cpu::memory(self.child.id())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(family) = cpu::family(self.child.id()) {
            for pid in family {
                let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
                // It may have ended already.
                let _ = pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::KILL));
            }
        }
        let _ = self.child.wait();
    }
}

pub(in crate::bench) fn find(program: &str) -> String {
    let sbin = format!("/usr/sbin/{program}");
    if Path::new(&sbin).exists() { sbin } else { program.to_owned() }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The product's defaults, with the access log on.
fn ours(stage: &Stage<'_>, port: u16) -> Result<()> {
    let mut text = format!(
        "data_dir = \"data\"\n[elastic]\nversions = [\"9.0.0\"]\n[admin]\naddress = \"127.0.0.1:0\"\n[[serve]]\naddress = \
         \"127.0.0.1:{port}\"\n"
    );
    if let Some((certificate, key)) = stage.tls {
        writeln!(text, "tls = {{ certificate = {certificate:?}, key = {key:?} }}")?;
    }
    text.push_str("[access_log]\npath = \"access.log\"\n");
    Ok(fs::write(stage.site.path().join("serve.toml"), text)?)
}

/// The vendor page's `map` and `server` blocks letter for letter but for port and root, in the `http` block that
/// nginx ships; or a tuned one.
fn nginx(peer: Peer, stage: &Stage<'_>, port: u16) -> Result<String> {
    let (folder, root) = (text(stage.site.path())?, text(stage.tree)?);
    let (ssl, certificate) = match stage.tls {
        None => ("", String::new()),
        Some((certificate, key)) => {
            let pair = format!("ssl_certificate {}; ssl_certificate_key {};", text(certificate)?, text(key)?);
            (" ssl", format!("{pair} ssl_protocols TLSv1.2 TLSv1.3; ssl_session_cache shared:SSL:10m;"))
        }
    };
    let head = format!(
        "daemon off; user root; worker_processes 1; worker_rlimit_nofile 20000; pid {folder}/nginx.pid;\nevents {{ worker_connections \
         15000; }}\nhttp {{\n  include /etc/nginx/mime.types; default_type application/octet-stream;\n  \
         client_body_temp_path {folder}/n1; proxy_temp_path {folder}/n2; fastcgi_temp_path {folder}/n3; \
         uwsgi_temp_path {folder}/n4; scgi_temp_path {folder}/n5;\n"
    );
    // What the image that the page starts has in its own http block.
    let shipped = format!("  access_log {folder}/nginx.log; sendfile on; keepalive_timeout 65;\n");
    let tuned = "  access_log off; sendfile on; sendfile_max_chunk 1m; tcp_nopush on; keepalive_timeout 75; \
                 keepalive_requests 1000000000; open_file_cache max=10000 inactive=60s; open_file_cache_valid 10s; \
                 open_file_cache_min_uses 1;\n";
    let map = "  map $sent_http_etag $elastic_etag {\n    \"~(.*)-(.*)\" \"$1$2\";\n  }\n";
    Ok(match peer {
        Peer::NginxDoc => format!(
            "{head}{shipped}{map}  server {{\n    listen 127.0.0.1:{port}{ssl}; {certificate}\n    root {root};\n    location / \
             {{\n      add_header ETag \"$elastic_etag\";\n    }}\n  }}\n}}\n"
        ),
        _ => format!(
            "{head}{tuned}  server {{\n    listen 127.0.0.1:{port}{ssl} reuseport; {certificate}\n    root {root};\n  \
             }}\n}}\n"
        ),
    })
}

/// The configuration that the `httpd` image ships, as far as files are concerned, and the vendor page's two lines.
fn apache(stage: &Stage<'_>, port: u16) -> Result<String> {
    let (folder, root) = (text(stage.site.path())?, text(stage.tree)?);
    let mut modules = String::new();
    for module in ["mpm_event", "authz_core", "authz_host", "mime", "dir", "env", "setenvif", "reqtimeout"] {
        writeln!(modules, "LoadModule {module}_module {MODULES}/mod_{module}.so")?;
    }
    let mut tls = String::new();
    if let Some((certificate, key)) = stage.tls {
        let (certificate, key) = (text(certificate)?, text(key)?);
        writeln!(modules, "LoadModule ssl_module {MODULES}/mod_ssl.so")?;
        writeln!(modules, "LoadModule socache_shmcb_module {MODULES}/mod_socache_shmcb.so")?;
        write!(tls, "SSLEngine on\nSSLCertificateFile {certificate}\nSSLCertificateKeyFile {key}\n")?;
        writeln!(tls, "SSLSessionCache shmcb:{folder}/ssl(512000)")?;
    }
    Ok(format!(
        "ServerRoot {folder}\nServerName localhost\nListen 127.0.0.1:{port}\n{modules}User www-data\nGroup www-data\nPidFile \
         {folder}/httpd.pid\nErrorLog {folder}/httpd.error\nLogFormat \"%h %l %u %t \\\"%r\\\" %>s %b\" common\nCustomLog \
         {folder}/httpd.log common\nTypesConfig /etc/mime.types\nDocumentRoot {root}\n<Directory {root}>\n  Options \
         Indexes FollowSymLinks\n  AllowOverride None\n  Require all granted\n</Directory>\n{tls}# set compatible etag \
         format\nFileETag MTime\n"
    ))
}

fn text(path: &Path) -> Result<&str> {
    let text = path.to_str().context("a path that is no text")?;
    ensure!(!text.contains([' ', '"', ';']), "a path that a configuration cannot name: {text}");
    Ok(text)
}
