//! One client with one connection: a manifest and all that it names; a companion, and its archive in two parts.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::RwLock;
use std::sync::atomic::{AtomicU64, Ordering};

use e2e::whole::{defender_folder, manifest_path, read_manifest};
use model::Digest;

use super::{Done, FEED, Shown, VERSION};
use crate::wire::raw::PATIENCE;

/// Something that must not happen.
type Wrong = String;

pub(super) struct Walker<'a> {
    address: SocketAddr,
    stream: BufReader<TcpStream>,
    shown: &'a RwLock<Shown>,
    done: &'a Done,
    /// Cut downloads at another place each time.
    turn: u64,
}

struct Answer {
    status: u16,
    tag: String,
    range: String,
    body: Vec<u8>,
}

fn open(address: SocketAddr) -> BufReader<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    BufReader::with_capacity(16 * 1024, stream)
}

impl<'a> Walker<'a> {
    pub(super) fn new(address: SocketAddr, shown: &'a RwLock<Shown>, done: &'a Done) -> Self {
        Self { address, stream: open(address), shown, done, turn: 0 }
    }

    /// Everything once.
    pub(super) fn walk(&mut self) -> Result<(), Wrong> {
        self.turn += 1;
        self.elastic()?;
        self.defender()?;
        count(&self.done.walks, 1);
        Ok(())
    }

    fn elastic(&mut self) -> Result<(), Wrong> {
        let manifest = self.whole(&manifest_path(VERSION))?;
        let known = self.shown.read().unwrap().manifests.contains(&Digest::of(&manifest.body));
        check(known, || "a manifest that was never published".to_owned())?;
        let manifest = read_manifest(&manifest.body);
        for (name, artifact) in manifest["artifacts"].as_object().unwrap() {
            let path = artifact["relative_url"].as_str().unwrap();
            let answer = self.whole(path)?;
            let digest = Digest::of(&answer.body).to_string();
            check(artifact["encoded_sha256"] == digest.as_str(), || {
                format!("{name}: other bytes than its manifest says")
            })?;
        }
        Ok(())
    }

    fn defender(&mut self) -> Result<(), Wrong> {
        let folder = defender_folder(FEED, "");
        let before = self.whole(&format!("{folder}/manifest.json"))?.body;
        let archive = Digest::of(&self.archive(&format!("{folder}/updates.zip"))?);
        let after = self.whole(&format!("{folder}/manifest.json"))?.body;
        let shown = self.shown.read().unwrap();
        if before == after {
            let companion = String::from_utf8(before).map_err(|_| "a companion that is no text")?;
            // The archive may have been begun under the release before and ended under this one only as a whole.
            let pair = shown.pairs.contains(&(companion.clone(), archive));
            return check(pair, || format!("an archive that is not the one of its companion {companion}"));
        }
        count(&self.done.torn, 1);
        check(shown.pairs.iter().any(|(_, digest)| *digest == archive), || {
            "an archive that was never published".to_owned()
        })
    }

    /// The archive in two parts, as a client does whose first connection broke.
    fn archive(&mut self, path: &str) -> Result<Vec<u8>, Wrong> {
        let cut = 1 + (self.turn * 104_729) % (super::ARCHIVE - 2);
        let mut first = self.ask(path, &format!("Range: bytes=0-{}\r\n", cut - 1))?;
        check(first.status == 206 && first.body.len() as u64 == cut, || format!("the first part: {}", first.status))?;
        // The rest over a new connection, now and then.
        if self.turn.is_multiple_of(3) {
            self.stream = open(self.address);
        }
        let tag = &first.tag;
        let rest = self.ask(path, &format!("Range: bytes={cut}-\r\nIf-Range: {tag}\r\n"))?;
        match rest.status {
            206 => {
                count(&self.done.resumed, 1);
                check(rest.tag == *tag, || "a rest of another release".to_owned())?;
                let begins = rest.range.starts_with(&format!("bytes {cut}-"));
                check(begins, || format!("a rest that is {}", rest.range))?;
                first.body.extend_from_slice(&rest.body);
                Ok(first.body)
            }
            200 => {
                count(&self.done.begun_again, 1);
                check(rest.tag != *tag, || "begun again for the same release".to_owned())?;
                Ok(rest.body)
            }
            other => Err(format!("a rest was answered {other}")),
        }
    }

    fn whole(&mut self, path: &str) -> Result<Answer, Wrong> {
        let answer = self.ask(path, "")?;
        check(answer.status == 200, || format!("{path}: {}", answer.status))?;
        Ok(answer)
    }

    fn ask(&mut self, path: &str, fields: &str) -> Result<Answer, Wrong> {
        let failed = |what: &str, error: std::io::Error| format!("{path}: {what}: {error}");
        let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n{fields}\r\n");
        self.stream.get_mut().write_all(request.as_bytes()).map_err(|error| failed("asking", error))?;
        let mut answer = Answer { status: 0, tag: String::new(), range: String::new(), body: Vec::new() };
        let (mut length, mut line) = (None, String::new());
        loop {
            line.clear();
            let read = self.stream.read_line(&mut line).map_err(|error| failed("reading the head", error))?;
            check(read > 0, || format!("{path}: closed in the head"))?;
            let text = line.trim_end();
            if text.is_empty() {
                break;
            }
            if let Some(rest) = text.strip_prefix("HTTP/1.1 ") {
                answer.status = rest.get(..3).and_then(|status| status.parse().ok()).unwrap_or(0);
            }
            let Some((name, value)) = text.split_once(": ") else { continue };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse::<usize>().ok(),
                "etag" => value.clone_into(&mut answer.tag),
                "content-range" => value.clone_into(&mut answer.range),
                _ => {}
            }
        }
        answer.body = vec![0; length.ok_or_else(|| format!("{path}: no length"))?];
        self.stream.read_exact(&mut answer.body).map_err(|error| failed("reading the body", error))?;
        count(&self.done.answers, 1);
        count(&self.done.bytes, answer.body.len() as u64);
        Ok(answer)
    }
}

fn check(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Wrong> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}
