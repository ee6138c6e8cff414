//! Asks a `run` that lives whether it was left without its data folder. Who looks at what stands in the folder's place
//! sees nothing of that there: its lock, its alarms and its history went away with the folder.
//!
//! # Decided here
//! - The address has a default, so that another site's `run` may listen there, or another program: only one that names the
//!   data folder that is asked about says anything of it.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use admin_http::WHOSE;
use config::Config;
use model::{Digest, Reason};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most that is read of it.
const MOST: u64 = 8 * 1024;
/// The most that is told of it, in characters.
const TOLD: usize = 600;
/// What stands before the words of a process that serves content all the same.
const READY: &str = "ready, but ";

/// What a living `run` says that was left without its data folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftWithout {
    /// Where it was asked.
    pub address: SocketAddr,
    /// The reason code.
    pub reason: Reason,
    /// What it says; from the network, so that it is to be made fit to show.
    pub words: String,
}

impl LeftWithout {
    /// Who says it, in a sentence.
    pub fn who(&self) -> String {
        format!("`waystation run` at {} (admin.address) lives, and was left without its data folder", self.address)
    }

    /// Who says it, and what.
    pub fn in_words(&self) -> String {
        format!("{}: {}", self.who(), self.words)
    }
}

/// What the `run` of this configuration says, if one lives, answers, and was left without its data folder.
pub async fn left_without(config: &Config) -> Option<LeftWithout> {
    let address = reachable(config.admin.address)?;
    let answer = tokio::time::timeout(PATIENCE, ask(address)).await.ok()?.ok()?;
    let (reason, words) = understood(&answer, &folder_digest(&config.data_dir))?;
    Some(LeftWithout { address, reason, words })
}

/// Whose content a process of this configuration serves: the digest of the data folder's path, and the site.
pub(crate) fn whose(config: &Config) -> String {
    let site = config.site.name.as_deref().unwrap_or(crate::NO_SITE);
    format!("{} {site}", folder_digest(&config.data_dir))
}

/// The digest of a data folder's path, as it is without links above it: it is the same whether or not the folder is there.
fn folder_digest(data: &Path) -> Digest {
    let path = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    let above = path.parent().and_then(|above| above.canonicalize().ok());
    let real = above.zip(path.file_name()).map(|(above, name)| above.join(name));
    Digest::of(real.unwrap_or(path).as_os_str().as_bytes())
}

/// Where it can be asked from this machine; none where the system chose the port.
fn reachable(listens: SocketAddr) -> Option<SocketAddr> {
    let host = match listens.ip() {
        any if any.is_unspecified() && any.is_ipv4() => Ipv4Addr::LOCALHOST.into(),
        any if any.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        host => host,
    };
    (listens.port() != 0).then(|| SocketAddr::new(host, listens.port()))
}

async fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(MOST).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// The code and the words of an answer that tells of this folder that it is away.
fn understood(answer: &str, folder: &Digest) -> Option<(Reason, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    let (_, whose) = fields.find(|(name, _)| name.eq_ignore_ascii_case(WHOSE))?;
    if whose.split_whitespace().next() != Some(folder.to_string().as_str()) {
        return None;
    }
    let line = body.lines().next()?;
    let (code, words) = line.strip_prefix(READY).unwrap_or(line).split_once(": ")?;
    let away = [Reason::FolderGone, Reason::AnotherHistory];
    let reason = away.into_iter().find(|reason| reason.code() == code)?;
    Some((reason, words.chars().take(TOLD).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_folder_that_is_away_is_understood_s42() {
        for (body, told) in [
            ("ready\n", None),
            ("endpoints get no content: nothing is published yet\n", None),
            ("disk_full: 3 bytes\n", None),
            ("", None),
            ("folder_gone: the data folder is gone\n", Some((Reason::FolderGone, "the data folder is gone"))),
            ("ready, but folder_gone: the catalog is gone\n", Some((Reason::FolderGone, "the catalog is gone"))),
            ("another_history: it is: left alone", Some((Reason::AnotherHistory, "it is: left alone"))),
        ] {
            let ours = Digest::of(b"/d");
            let answer = format!("HTTP/1.1 503 Service Unavailable\r\nWaystation-Folder: {ours} -\r\n\r\n{body}");
            assert_eq!(understood(&answer, &Digest::of(b"/e")), None, "another site's says nothing of this one");
            assert_eq!(understood(&answer, &ours), told.map(|(reason, words)| (reason, words.to_owned())), "{body}");
        }
        let nobodys = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 9\r\n\r\nfolder_gone: away\n";
        for answer in [nobodys, "folder_gone: no answer of HTTP"] {
            assert_eq!(understood(answer, &Digest::of(b"/d")), None);
        }
        for (listens, asked) in [
            ("0.0.0.0:8081", Some("127.0.0.1:8081")),
            ("[::]:8081", Some("[::1]:8081")),
            ("10.0.0.5:8081", Some("10.0.0.5:8081")),
            ("127.0.0.1:0", None),
        ] {
            assert_eq!(reachable(listens.parse().unwrap()), asked.map(|asked| asked.parse().unwrap()), "{listens}");
        }
    }

    #[test]
    fn a_folder_is_the_same_by_every_way_to_it_and_whether_or_not_it_is_there_s42() {
        let dir = tempfile::tempdir().unwrap();
        let real = dir.path().join("real");
        std::fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, dir.path().join("link")).unwrap();
        let absent = folder_digest(&real.join("data"));
        assert_eq!(folder_digest(&dir.path().join("link/data")), absent);
        assert_ne!(folder_digest(&real.join("other")), absent);
        std::fs::create_dir(real.join("data")).unwrap();
        assert_eq!(folder_digest(&real.join("data")), absent);
    }
}
