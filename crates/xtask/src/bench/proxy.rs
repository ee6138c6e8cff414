//! What a poll costs a proxy, beside the vendor page's `proxy_pass` and a tuned `proxy_cache`: each server's own CPU
//! time, in turn on one core, the clients on another, every answer checked.

use std::collections::BTreeMap;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use super::programs::Programs;
use super::serve::{Clients, find, time_of};
use super::site::Site;
use super::table::{goal, head, row};
use super::vendor::Vendor;

const POLLED: &str = "/downloads/endpoint/manifest/artifacts-9.0.0.zip";
const SERVER_CORE: &str = "0";
const CLIENT_CORE: &str = "1";
const CONNECTIONS: &str = "64";

/// A proxy that can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Peer {
    /// Ours: `run` in proxy mode, with its access log.
    Waystation,
    /// nginx with the vendor page's configuration for a proxy.
    Page,
    /// nginx as one who knows it would set it up: kept connections, a cache, no log.
    Cache,
}

impl Peer {
    const ALL: [Self; 3] = [Self::Waystation, Self::Page, Self::Cache];

    const fn name(self) -> &'static str {
        match self {
            Self::Waystation => "waystation",
            Self::Page => "nginx proxy_pass, as the page has it",
            Self::Cache => "nginx proxy_cache, tuned",
        }
    }
}

/// The simulated vendor behind TLS, as the vendor is: what a proxy pays for its side of the handshakes counts.
struct Edge {
    /// `host:port` of the TLS side.
    address: String,
    folder: TempDir,
    _edge: Running,
    _vendor: Vendor,
}

impl Edge {
    fn start(programs: &Programs) -> Result<Self> {
        let vendor = Vendor::start(programs, &["--versions", "9.0.0", "--size", "4KB"])?;
        let folder = programs.folder()?;
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned(), "127.0.0.1".to_owned()])?;
        fs::write(folder.path().join("edge.crt"), made.cert.pem())?;
        fs::write(folder.path().join("edge.key"), made.signing_key.serialize_pem())?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let (at, behind) = (folder.path().display(), vendor.elastic.trim_start_matches("http://"));
        let config = format!(
            "{}  access_log off; keepalive_requests 1000000000; ssl_certificate {at}/edge.crt; ssl_certificate_key \
             {at}/edge.key; ssl_session_cache shared:SSL:10m;\n  upstream vendor {{ server {behind}; keepalive 32; }}\n  \
             server {{\n    listen {address} ssl;\n    location / {{\n      proxy_pass http://vendor; proxy_http_version \
             1.1; proxy_set_header Connection \"\";\n    }}\n  }}\n}}\n",
            http(folder.path())
        );
        fs::write(folder.path().join("nginx.conf"), config)?;
        let mut command = Command::new("taskset");
        command.args(["-c", CLIENT_CORE]).arg(find("nginx")).args(["-e", "stderr", "-p"]).arg(folder.path());
        command.arg("-c").arg(folder.path().join("nginx.conf"));
        let edge = Running::start(command, &address, &folder.path().join("stderr"))?;
        Ok(Self { address, folder, _edge: edge, _vendor: vendor })
    }
}

/// A running server; it ends with this.
struct Running {
    child: Child,
    address: String,
}

impl Running {
    /// Starts a server and waits until it listens.
    fn start(mut command: Command, address: &str, log: &Path) -> Result<Self> {
        let stderr = fs::File::create(log)?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn().context("starting it")?;
        let mut running = Self { child, address: address.to_owned() };
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(20) {
            if TcpStream::connect(&running.address).is_ok() {
                return Ok(running);
            }
            if let Some(status) = running.child.try_wait()? {
                bail!("it ended with {status}: {}", fs::read_to_string(log).unwrap_or_default());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("it does not listen within 20 s")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(family) = super::serve::family_of(self.child.id()) {
            for pid in family {
                let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
                // It may have ended already.
                let _ = pid.map(|pid| rustix::process::kill_process(pid, rustix::process::Signal::KILL));
            }
        }
        let _ = self.child.wait();
    }
}

pub(crate) fn run(programs: &Programs, rounds: usize, seconds: u64) -> Result<bool> {
    let vendor = Edge::start(programs)?;
    let asked = Command::new(find("nginx")).arg("-v").output();
    let nginx = asked.context("nginx is not installed: apt-get install nginx-light")?;
    println!("nginx: {}", String::from_utf8_lossy(&nginx.stderr).trim());
    let mut found: BTreeMap<Peer, Vec<f64>> = BTreeMap::new();
    for _ in 0..rounds {
        for peer in Peer::ALL {
            let cost = once(programs, &vendor, peer, seconds);
            let cost = cost.with_context(|| format!("{} could not be measured", peer.name()))?;
            found.entry(peer).or_default().push(cost);
        }
    }
    println!("\n### a poll through a proxy that holds the manifest, {CONNECTIONS} connections");
    head(&["proxy", "CPU µs per poll, median", "least to most", "against ours"]);
    let median = |peer| found.get(&peer).map_or(f64::NAN, |costs| middle(costs));
    let ours = median(Peer::Waystation);
    for peer in Peer::ALL {
        let costs = found.get(&peer).cloned().unwrap_or_default();
        let (least, most) = costs.iter().fold((f64::MAX, 0.0_f64), |(a, b), cost| (a.min(*cost), b.max(*cost)));
        let cells = [peer.name().to_owned(), format!("{:.2}", median(peer)), format!("{least:.2} to {most:.2}")];
        row(&[&cells[..], &[format!("{:.1}x", median(peer) / ours)]].concat());
    }
    let page = median(Peer::Page) / ours;
    let cache = median(Peer::Cache) / ours;
    let first = goal("at least 20 times cheaper than the page's proxy_pass", page, page >= 20.0);
    let second = goal("at least 1.5 times cheaper than a tuned proxy_cache", cache, cache >= 1.5);
    Ok(first && second)
}

fn middle(costs: &[f64]) -> f64 {
    let mut sorted = costs.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

#[allow(clippy::cast_precision_loss, reason = "figures with three digits")]
fn once(programs: &Programs, vendor: &Edge, peer: Peer, seconds: u64) -> Result<f64> {
    let site = Site::new(programs, "")?;
    let server = start(&site, vendor, peer)?;
    let arguments = ["bench", "generator", "--address", &server.address, "--poll", POLLED, "--work", "poll"];
    let more = ["--connections", CONNECTIONS, "--seconds", &seconds.to_string()];
    let arguments = arguments.iter().chain(&more).map(|word| (*word).to_owned()).collect();
    let mut clients = Clients::start(programs, arguments)?;
    clients.expect("ready")?;
    let before = time_of(server.child.id())?;
    clients.go()?;
    let seen = clients.seen()?;
    let cpu = time_of(server.child.id())?.saturating_sub(before);
    ensure!(seen.errors == 0, "{} of {} answers were wrong: {:?}", seen.errors, seen.requests, seen.error);
    ensure!(seen.not_modified > 0, "no poll was answered 304");
    Ok(cpu.as_secs_f64() * 1e6 / seen.requests.max(1) as f64)
}

fn start(site: &Site<'_>, vendor: &Edge, peer: Peer) -> Result<Running> {
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let mut command = Command::new("taskset");
    command.args(["-c", SERVER_CORE]);
    if peer == Peer::Waystation {
        fs::write(site.path().join("proxy.toml"), ours(vendor, &address))?;
        let run = site.command("run");
        command.arg(run.get_program()).args(run.get_args()).current_dir(site.path());
        command.args(["--config", "proxy.toml"]).env_remove("WAYSTATION_CONFIG");
    } else {
        let config = site.path().join("nginx.conf");
        fs::write(&config, nginx(site.path(), vendor, (peer, &address)))?;
        command.arg(find("nginx")).args(["-e", "stderr", "-p"]).arg(site.path()).arg("-c").arg(config);
    }
    Running::start(command, &address, &site.path().join("stderr"))
}

/// The product's defaults in proxy mode, with the access log on.
fn ours(vendor: &Edge, address: &str) -> String {
    format!(
        "data_dir = \"data\"\n[elastic]\norigin = \"https://{}\"\nmode = \"proxy\"\n[origin]\nca_file = {:?}\n[admin]\n\
         address = \"127.0.0.1:0\"\n[[serve]]\naddress = \"{address}\"\n[access_log]\npath = \"access.log\"\n",
        vendor.address,
        vendor.folder.path().join("edge.crt")
    )
}

/// The vendor page's `server` block letter for letter but for port and vendor, in the `http` block that nginx ships; or a
/// tuned one with a cache.
fn nginx(folder: &Path, vendor: &Edge, (peer, address): (Peer, &str)) -> String {
    let head = http(folder);
    let folder = folder.display();
    if peer == Peer::Page {
        return format!(
            "{head}  access_log {folder}/nginx.log; sendfile on; keepalive_timeout 65;\n  server {{\n    listen \
             {address};\n    location / {{\n      proxy_pass https://{};\n    }}\n  }}\n}}\n",
            vendor.address
        );
    }
    let host = &vendor.address;
    format!(
        "{head}  access_log off; sendfile on; tcp_nopush on; keepalive_timeout 75; keepalive_requests 1000000000;\n  \
         open_file_cache max=10000 inactive=60s; open_file_cache_valid 10s; open_file_cache_min_uses 1;\n  \
         proxy_cache_path {folder}/cache levels=1:2 keys_zone=artifacts:10m inactive=1d use_temp_path=off;\n  upstream \
         vendor {{ server {host}; keepalive 32; }}\n  server {{\n    listen {address} reuseport;\n    location / {{\n      \
         proxy_pass https://vendor; proxy_http_version 1.1; proxy_set_header Connection \"\";\n      proxy_cache artifacts; \
         proxy_cache_valid 200 5m; proxy_cache_lock on; proxy_cache_revalidate on;\n      proxy_cache_use_stale error \
         timeout updating;\n    }}\n  }}\n}}\n"
    )
}

/// What every nginx here begins with, up to its server.
fn http(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "daemon off; user root; worker_processes 1; worker_rlimit_nofile 20000; pid {folder}/nginx.pid;\nevents {{ \
         worker_connections 15000; }}\nhttp {{\n  include /etc/nginx/mime.types; default_type \
         application/octet-stream;\n  client_body_temp_path {folder}/n1; proxy_temp_path {folder}/n2; \
         fastcgi_temp_path {folder}/n3; uwsgi_temp_path {folder}/n4; scgi_temp_path {folder}/n5;\n"
    )
}
