//! A mirror that can be wrong in many ways.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use model::{Digest, Timestamp};
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::content::{Files, now};

/// One way to be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    EtagHyphen,
    EtagWeak,
    EtagUnquoted,
    EtagMissing,
    EtagUnstable,
    EtagShared,
    EtagOfBack,
    NoRoundTrip,
    Always304,
    OnlyPlainTags,
    HeadRefused,
    HeadLength,
    RangesIgnored,
    RangeBytes,
    RangePlace,
    BehindTheEnd,
    IfRangeIgnored,
    Gzip,
    GzipUnasked,
    Redirect,
    Chunked,
    CutBody,
    Stale,
    Immutable,
    NoBases,
    Listing,
    OneRequest,
    NotOld,
    OneSlash,
    DateOff,
    CompanionOld,
    Silent,
    NotHttp,
    AsksWhoComes,
    LetsNobodyIn,
    SaysNothing,
}

/// A running mirror.
pub(crate) struct Mirror {
    pub(crate) address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Site {
    files: Files,
    wrong: Vec<Wrong>,
    answers: AtomicU64,
}

impl Mirror {
    /// Serves files, wrongly in these ways.
    pub(crate) async fn start(files: Files, wrong: &[Wrong], tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let site = Arc::new(Site { files, wrong: wrong.to_vec(), answers: AtomicU64::new(0) });
        let task = tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let (site, tls) = (Arc::clone(&site), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => site.talk(tcp).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(tcp).await {
                                site.talk(stream).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, task }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

struct Request {
    method: String,
    path: String,
    old: bool,
    fields: Vec<(String, String)>,
}

impl Request {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

struct Answer {
    status: u16,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn plain(status: u16, body: &str) -> Self {
        let fields = vec![("Content-Type".to_owned(), "text/html".to_owned())];
        Self { status, fields, body: body.as_bytes().to_vec() }
    }

    fn set(&mut self, name: &str, value: impl Into<String>) {
        self.fields.push((name.to_owned(), value.into()));
    }
}

impl Site {
    fn is(&self, wrong: Wrong) -> bool {
        self.wrong.contains(&wrong)
    }

    async fn talk(&self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let mut stream = BufReader::new(stream);
        while let Some(request) = read(&mut stream).await {
            if self.is(Wrong::Silent) {
                std::future::pending::<()>().await;
            }
            if self.is(Wrong::SaysNothing) {
                return;
            }
            if self.is(Wrong::NotHttp) {
                let _ = stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n").await;
                return;
            }
            let answer = self.answer(&request);
            let bytes = self.bytes(&request, answer);
            if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
                return;
            }
            if request.old || self.is(Wrong::OneRequest) || self.is(Wrong::CutBody) {
                let _ = stream.shutdown().await;
                return;
            }
        }
    }

    fn answer(&self, request: &Request) -> Answer {
        if self.is(Wrong::AsksWhoComes) {
            return Answer::plain(401, "");
        }
        if self.is(Wrong::LetsNobodyIn) {
            return Answer::plain(403, "");
        }
        if request.old && self.is(Wrong::NotOld) {
            return Answer::plain(505, "");
        }
        if !matches!(request.method.as_str(), "GET" | "HEAD")
            || (request.method == "HEAD" && self.is(Wrong::HeadRefused))
        {
            return Answer::plain(405, "");
        }
        let path = if self.is(Wrong::OneSlash) { request.path.clone() } else { request.path.replace("//", "/") };
        let Some(content) = self.files.get(&path) else { return self.folder(&path) };
        if self.is(Wrong::Redirect) {
            let mut answer = Answer::plain(302, "");
            answer.set("Location", format!("https://elsewhere.example{path}"));
            return answer;
        }
        self.file(request, &path, content)
    }

    fn folder(&self, path: &str) -> Answer {
        let is_folder =
            path == "/" || self.files.keys().any(|file| file.starts_with(&format!("{}/", path.trim_end_matches('/'))));
        match is_folder {
            true if self.is(Wrong::Listing) => {
                Answer::plain(200, "<html><head><title>Index of /linux</title></head></html>")
            }
            true if !self.is(Wrong::NoBases) => Answer::plain(200, "here\n"),
            _ => Answer::plain(404, "no\n"),
        }
    }

    fn tag(&self, path: &str, content: &[u8]) -> Option<String> {
        let digits: String = Digest::of(content).to_string().chars().take(32).collect();
        let count = self.answers.fetch_add(1, Ordering::Relaxed);
        Some(match () {
            () if self.is(Wrong::EtagMissing) => return None,
            () if self.is(Wrong::EtagHyphen) => format!("\"{}-{:x}\"", &digits[..8], content.len()),
            () if self.is(Wrong::EtagShared) => "\"1234567890abcdef\"".to_owned(),
            // Made of the name, and of what both folders have in common of it.
            () if self.is(Wrong::EtagOfBack) && path.ends_with("updates.zip") => {
                let named = Digest::of(path.replace("_back/", "/").as_bytes()).to_string();
                format!("\"{}\"", named.chars().take(32).collect::<String>())
            }
            () if self.is(Wrong::EtagWeak) => format!("W/\"{digits}\""),
            () if self.is(Wrong::EtagUnquoted) => digits,
            () if self.is(Wrong::EtagUnstable) => format!("\"{}{count:08x}\"", &digits[..24]),
            () => format!("\"{digits}\""),
        })
    }

    fn file(&self, request: &Request, path: &str, content: &[u8]) -> Answer {
        let tag = self.tag(path, content);
        let mut answer = Answer { status: 200, fields: Vec::new(), body: content.to_vec() };
        answer.set("Content-Type", "application/octet-stream");
        if let Some(tag) = &tag {
            answer.set("ETag", tag.clone());
        }
        let written =
            if self.is(Wrong::CompanionOld) && path.ends_with("manifest.json") { hours_ago(9) } else { hours_ago(1) };
        answer.set("Last-Modified", written.http_date());
        if self.is(Wrong::Stale) {
            answer.set("Age", "86400");
        }
        answer.set(
            "Cache-Control",
            if self.is(Wrong::Immutable) { "public, max-age=31536000, immutable" } else { "no-cache" },
        );
        if self.same(request, tag.as_deref()) {
            answer.status = 304;
            answer.body.clear();
            return answer;
        }
        let zipped =
            self.is(Wrong::GzipUnasked) || (self.is(Wrong::Gzip) && request.field("accept-encoding").is_some());
        if zipped {
            answer.set("Content-Encoding", "gzip");
            return answer;
        }
        self.part(request, content, tag.as_deref(), answer)
    }

    fn same(&self, request: &Request, tag: Option<&str>) -> bool {
        let (Some(asked), Some(tag)) = (request.field("if-none-match"), tag) else { return false };
        if self.is(Wrong::Always304) {
            return true;
        }
        if self.is(Wrong::NoRoundTrip) {
            return false;
        }
        let bare = |text: &str| text.trim().trim_start_matches("W/").trim_matches('"').to_owned();
        match self.is(Wrong::OnlyPlainTags) {
            true => asked == tag,
            false => asked.trim() == "*" || asked.split(',').any(|one| bare(one) == bare(tag)),
        }
    }

    fn part(&self, request: &Request, content: &[u8], tag: Option<&str>, mut answer: Answer) -> Answer {
        let asked = request.field("range").and_then(|range| range.strip_prefix("bytes="));
        let holds = request.field("if-range").is_none_or(|asked| Some(asked) == tag) || self.is(Wrong::IfRangeIgnored);
        let (Some(asked), true, false) = (asked, holds, self.is(Wrong::RangesIgnored)) else { return answer };
        let (first, last) = asked.split_once('-').unwrap();
        let size = content.len();
        let (first, last) = match (first.parse::<usize>(), last.parse::<usize>()) {
            (Ok(first), Ok(last)) => (first, last.min(size - 1)),
            (Ok(first), Err(_)) => (first, size - 1),
            (Err(_), Ok(suffix)) => (size - suffix, size - 1),
            _ => return answer,
        };
        if first >= size {
            if !self.is(Wrong::BehindTheEnd) {
                answer.status = 416;
                answer.body.clear();
                answer.set("Content-Range", format!("bytes */{size}"));
            }
            return answer;
        }
        answer.status = 206;
        let (from, to) = if self.is(Wrong::RangeBytes) && first > 0 { (first - 1, last - 1) } else { (first, last) };
        answer.body = content[from..=to].to_vec();
        let shift = usize::from(self.is(Wrong::RangePlace));
        answer.set("Content-Range", format!("bytes {}-{}/{size}", first + shift, last + shift));
        answer
    }

    fn bytes(&self, request: &Request, answer: Answer) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} X\r\n", answer.status);
        let date = if self.is(Wrong::DateOff) { hours_ago(1) } else { now() };
        head.push_str(&format!("Date: {}\r\n", date.http_date()));
        for (name, value) in &answer.fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let is_head = request.method == "HEAD";
        let chunked = self.is(Wrong::Chunked) && answer.status == 200 && !request.old;
        let wrong_length = u64::from(is_head && self.is(Wrong::HeadLength) && answer.status == 200);
        match answer.status {
            304 => {}
            _ if chunked => head.push_str("Transfer-Encoding: chunked\r\n"),
            _ => head.push_str(&format!("Content-Length: {}\r\n", answer.body.len() as u64 + wrong_length)),
        }
        if request.old || self.is(Wrong::OneRequest) {
            head.push_str("Connection: close\r\n");
        }
        head.push_str("\r\n");
        let mut bytes = head.into_bytes();
        match () {
            () if is_head || answer.status == 304 => {}
            () if chunked => {
                for piece in answer.body.chunks(700) {
                    bytes.extend(format!("{:x}\r\n", piece.len()).bytes());
                    bytes.extend_from_slice(piece);
                    bytes.extend_from_slice(b"\r\n");
                }
                bytes.extend_from_slice(b"0\r\n\r\n");
            }
            () if self.is(Wrong::CutBody) && self.files.contains_key(&request.path) => {
                bytes.extend_from_slice(&answer.body[..answer.body.len() / 2]);
            }
            () => bytes.extend(answer.body),
        }
        bytes
    }
}

fn hours_ago(hours: u64) -> Timestamp {
    now().before(std::time::Duration::from_secs(hours * 3600))
}

async fn read(stream: &mut BufReader<impl AsyncRead + Unpin>) -> Option<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|count| *count > 0)?;
    let mut words = line.split_whitespace();
    let (method, path, version) = (words.next()?.to_owned(), words.next()?.to_owned(), words.next()?);
    let old = version == "HTTP/1.0";
    let mut fields = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => fields.push((name.to_ascii_lowercase(), value.trim().to_owned())),
            None => return Some(Request { method, path, old, fields }),
        }
    }
}
