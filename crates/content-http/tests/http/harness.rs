//! A server on a source in memory, a clock that the test moves, and a client that reads answers strictly.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use content_http::{ContentServer, Loaded, ServeLimits, Settings, Source, SourceError};
use model::{Clock, Digest, Generation, RingName, Route, ServedFeed, Timestamp, VendorVersion};

/// Sun, 06 Nov 1994 08:49:37 GMT and a bit.
pub const START: i64 = 784_111_777_250_000;
/// When everything was published.
pub const SINCE: i64 = 784_000_000_700_000;

pub struct TestClock(AtomicI64);

impl TestClock {
    pub fn at_start() -> Self {
        Self(AtomicI64::new(START))
    }

    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.load(Ordering::SeqCst) - START).unwrap())
    }
}

/// Blobs are files, so that a test can cut them; generations are in memory.
pub struct TestSource {
    folder: tempfile::TempDir,
    rings: Mutex<HashMap<RingName, Generation>>,
    pub unreadable: Mutex<bool>,
    /// The system has no descriptor left for a blob.
    pub short: Mutex<bool>,
    /// While somebody holds it, large files are not read to be proven.
    pub reading: Mutex<()>,
    opened: AtomicUsize,
    asked: AtomicUsize,
    read: AtomicUsize,
}

impl TestSource {
    pub fn blob_path(&self, digest: &Digest) -> PathBuf {
        self.folder.path().join(digest.to_string())
    }

    /// How often a blob was opened, or should have been.
    pub fn opened(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }

    /// How often one was for a client.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// How often a large file was opened to be read in the background.
    pub fn read(&self) -> usize {
        self.read.load(Ordering::SeqCst)
    }

    /// Takes the blob with these bytes away.
    pub fn lose(&self, bytes: &[u8]) {
        std::fs::remove_file(self.blob_path(&Digest::of(bytes))).unwrap();
    }

    /// Puts it back.
    pub fn restore(&self, bytes: &[u8]) {
        std::fs::write(self.blob_path(&Digest::of(bytes)), bytes).unwrap();
    }

    pub fn forget(&self, name: &str) {
        self.rings.lock().unwrap().remove(&ring(name));
    }

    pub fn set(&self, generation: Generation) {
        self.rings.lock().unwrap().insert(generation.ring.clone(), generation);
    }
}

impl Source for TestSource {
    fn rings(&self) -> Result<Vec<RingName>, SourceError> {
        Ok(self.rings.lock().unwrap().keys().cloned().collect())
    }

    fn pointer_digest(&self, ring: &RingName) -> Result<Option<Digest>, SourceError> {
        Ok(self.rings.lock().unwrap().get(ring).map(|generation| Digest::of(&generation.encode())))
    }

    fn load(&self, ring: &RingName) -> Result<Option<Loaded>, SourceError> {
        if *self.unreadable.lock().unwrap() {
            return Err("the generation file is damaged".into());
        }
        Ok(self
            .rings
            .lock()
            .unwrap()
            .get(ring)
            .map(|generation| Loaded { generation: generation.clone(), digest: Digest::of(&generation.encode()) }))
    }

    fn open(&self, digest: &Digest, size: u64) -> Result<File, SourceError> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        let thread = std::thread::current();
        if !matches!(thread.name(), Some("content-watch" | "content-proof")) {
            self.asked.fetch_add(1, Ordering::SeqCst);
        }
        if *self.short.lock().unwrap() {
            const EMFILE: i32 = 24;
            return Err(std::io::Error::from_raw_os_error(EMFILE).into());
        }
        let reads = thread.name() == Some("content-proof");
        let _turn = reads.then(|| {
            self.read.fetch_add(1, Ordering::SeqCst);
            self.reading.lock()
        });
        let file = File::open(self.blob_path(digest))?;
        if file.metadata()?.len() == size { Ok(file) } else { Err("has another size".into()) }
    }
}

/// A running server and what stands behind it.
pub struct Site {
    pub server: ContentServer,
    pub source: Arc<TestSource>,
    pub clock: Arc<TestClock>,
}

pub fn ring(name: &str) -> RingName {
    name.parse().unwrap()
}

pub fn source() -> Arc<TestSource> {
    Arc::new(TestSource {
        folder: tempfile::tempdir().unwrap(),
        rings: Mutex::default(),
        unreadable: Mutex::new(false),
        short: Mutex::new(false),
        reading: Mutex::default(),
        opened: AtomicUsize::new(0),
        asked: AtomicUsize::new(0),
        read: AtomicUsize::new(0),
    })
}

impl Site {
    /// A site that has published nothing.
    pub fn empty(change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::plain("127.0.0.1:0".parse().unwrap(), ring("broad"));
        settings.workers = NonZeroUsize::new(1);
        settings.limits = ServeLimits::default();
        change(&mut settings);
        let (source, clock) = (source(), Arc::new(TestClock(AtomicI64::new(START))));
        let server = ContentServer::start(settings, source.clone(), clock.clone()).unwrap();
        Self { server, source, clock }
    }

    /// A site that has published nothing, with somebody who knows of what lies beyond.
    pub fn beyond(beyond: Arc<dyn content_http::Beyond>) -> Self {
        let mut settings = Settings::plain("127.0.0.1:0".parse().unwrap(), ring("broad"));
        settings.workers = NonZeroUsize::new(1);
        let (source, clock) = (source(), Arc::new(TestClock(AtomicI64::new(START))));
        let server = ContentServer::start_with(settings, source.clone(), clock.clone(), Some(beyond)).unwrap();
        Self { server, source, clock }
    }

    /// The same data folder under a new process.
    pub fn restarted(&self) -> Self {
        let mut settings = Settings::plain("127.0.0.1:0".parse().unwrap(), ring("broad"));
        settings.workers = NonZeroUsize::new(1);
        let (source, clock) = (self.source.clone(), self.clock.clone());
        let server = ContentServer::start(settings, source.clone(), clock.clone()).unwrap();
        Self { server, source, clock }
    }

    /// A site whose default ring serves these files.
    pub fn with(files: &[(&str, &[u8])]) -> Self {
        let site = Self::empty(|_| {});
        site.publish("broad", files);
        site
    }

    pub fn address(&self) -> SocketAddr {
        self.server.local_addresses()[0]
    }

    /// The ring's next generation with these files, not yet there.
    pub fn next(&self, name: &str, files: &[(&str, &[u8])]) -> Generation {
        let before = self.source.rings.lock().unwrap().get(&ring(name)).map_or(0, |generation| generation.number);
        let feed: model::FeedId = "defender/linux/production/x86_64".parse().unwrap();
        let since = Timestamp::from_micros(SINCE);
        let mut generation = Generation::empty(ring(name), Timestamp::from_micros(START));
        generation.number = before + 1;
        for (path, bytes) in files {
            let digest = Digest::of(bytes);
            std::fs::write(self.source.blob_path(&digest), bytes).unwrap();
            let route = Route { digest, size: bytes.len() as u64, feed: feed.clone(), since, until: None };
            generation.routes.insert(path.parse().unwrap(), route);
        }
        let served = ServedFeed {
            release: model::ReleaseId::of(&feed, &[]),
            vendor_version: VendorVersion::plain("1.0".parse().unwrap()),
            since,
            bases: vec!["/linux/production".parse().unwrap(), "/linux/production/arch_x86_64".parse().unwrap()],
            back: None,
            denied: Vec::new(),
            remembers: Vec::new(),
        };
        generation.feeds = BTreeMap::from([(feed, served)]);
        generation
    }

    /// Publishes these files and waits until they are served.
    pub fn publish(&self, name: &str, files: &[(&str, &[u8])]) {
        let generation = self.next(name, files);
        let number = generation.number;
        self.source.set(generation);
        self.server.nudge();
        until(|| self.generation(name) == Some(number));
    }

    pub fn generation(&self, name: &str) -> Option<u64> {
        self.server.stats().rings.iter().find(|stats| stats.ring == ring(name)).and_then(|stats| stats.generation)
    }

    pub fn connect(&self) -> Client<TcpStream> {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
        Client::new(stream)
    }

    /// One request on a connection of its own.
    pub fn get(&self, path: &str, headers: &str) -> Answer {
        let mut client = self.connect();
        client.get(path, headers);
        client.answer().unwrap()
    }

    /// Everything that the server says to these bytes until it closes.
    pub fn raw(&self, bytes: &[u8]) -> Vec<u8> {
        let mut client = self.connect();
        // The server may close while we still send.
        let _ = client.stream.write_all(bytes);
        let _ = client.stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = client.stream.read_to_end(&mut answer);
        answer
    }
}

/// Changes a byte where it stands, so that the file's times tell of it.
pub fn flip(path: &std::path::Path, at: u64) {
    use std::os::unix::fs::{FileExt, MetadataExt};
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let times = || file.metadata().map(|found| (found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec()));
    let before = times().unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    byte[0] ^= 1;
    // The system's clock for files ticks every few milliseconds.
    until(|| {
        file.write_all_at(&byte, at).unwrap();
        times().unwrap() != before
    });
}

/// Waits for a condition that another thread brings about.
pub fn until(mut condition: impl FnMut() -> bool) {
    for _ in 0..4000 {
        if condition() {
            return;
        }
        std::thread::park_timeout(Duration::from_millis(5));
    }
    panic!("the condition did not come about in time");
}

/// One answer, read strictly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Bytes of the head.
    pub head: usize,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

pub struct Client<S> {
    pub stream: S,
    buffer: Vec<u8>,
    head_only: Vec<bool>,
}

impl<S: Read + Write> Client<S> {
    pub fn new(stream: S) -> Self {
        Self { stream, buffer: Vec::new(), head_only: Vec::new() }
    }

    pub fn send(&mut self, bytes: &str) {
        self.stream.write_all(bytes.as_bytes()).unwrap();
    }

    pub fn get(&mut self, path: &str, headers: &str) {
        self.send(&format!("GET {path} HTTP/1.1\r\nHost: mirror\r\n{headers}\r\n"));
    }

    pub fn head(&mut self, path: &str) {
        self.head_only.push(true);
        self.send(&format!("HEAD {path} HTTP/1.1\r\nHost: mirror\r\n\r\n"));
    }

    fn more(&mut self) -> std::io::Result<bool> {
        let mut chunk = [0; 65536];
        let read = self.stream.read(&mut chunk)?;
        self.buffer.extend_from_slice(&chunk[..read]);
        Ok(read > 0)
    }

    /// The next answer; none when the server closes first.
    pub fn answer(&mut self) -> std::io::Result<Answer> {
        let short = || std::io::Error::from(std::io::ErrorKind::UnexpectedEof);
        let end = loop {
            if let Some(at) = self.buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if !self.more()? {
                return Err(short());
            }
        };
        let (status, headers) = parse_head(&self.buffer[..end]);
        let length = headers.iter().find(|(name, _)| name == "Content-Length").map(|(_, value)| value.parse().unwrap());
        let head_only = !self.head_only.is_empty() && self.head_only.remove(0);
        let length: usize = if status == 304 || head_only { 0 } else { length.unwrap() };
        while self.buffer.len() < end + length {
            if !self.more()? {
                return Err(short());
            }
        }
        let body = self.buffer[end..end + length].to_vec();
        self.buffer.drain(..end + length);
        Ok(Answer { status, headers, body, head: end })
    }

    /// Whether the server closed and said nothing more.
    pub fn is_closed(&mut self) -> bool {
        use std::io::ErrorKind::{TimedOut, WouldBlock};
        self.buffer.is_empty()
            && match self.stream.read(&mut [0; 1]) {
                Ok(read) => read == 0,
                Err(error) => !matches!(error.kind(), TimedOut | WouldBlock),
            }
    }
}

/// Reads a head and insists on what every answer must have.
pub fn parse_head(head: &[u8]) -> (u16, Vec<(String, String)>) {
    let text = std::str::from_utf8(head).unwrap();
    let mut lines = text.strip_suffix("\r\n\r\n").unwrap().split("\r\n");
    let line = lines.next().unwrap();
    let (version, rest) = line.split_once(' ').unwrap();
    assert_eq!(version, "HTTP/1.1", "{text}");
    let status: u16 = rest.split(' ').next().unwrap().parse().unwrap();
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap())
        .collect();
    for name in ["Date", if status == 304 { "ETag" } else { "Content-Length" }] {
        assert_eq!(headers.iter().filter(|(known, _)| known == name).count(), 1, "{name} in {text}");
    }
    (status, headers)
}

/// Every answer in `bytes`, which must be nothing but whole answers to GET requests.
pub fn parse_all(mut bytes: &[u8]) -> Vec<Answer> {
    let mut answers = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a whole head") + 4;
        let (status, headers) = parse_head(&bytes[..end]);
        let length = headers.iter().find(|(name, _)| name == "Content-Length").map_or(0, |(_, v)| v.parse().unwrap());
        let body = bytes[end..end + length].to_vec();
        bytes = &bytes[end + length..];
        answers.push(Answer { status, headers, body, head: end });
    }
    answers
}

/// Bytes that differ everywhere.
pub fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}
