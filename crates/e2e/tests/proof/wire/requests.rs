//! Requests made from a seed: most are legal and say something, some are odd, some are wrong. Each carries the
//! marks of what is special about it, by which differences are explained.

mod headers;
mod targets;

use std::collections::BTreeSet;

/// Random numbers that are the same on every machine.
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(count).unwrap()).unwrap()
    }

    pub(crate) fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// What a server says of a file, to be put into conditions: each server has tags and dates of its own.
#[derive(Clone, Debug)]
pub(crate) struct Validators {
    pub(crate) etag: String,
    /// Last-Modified, half an hour before and a second after it.
    pub(crate) date: String,
    pub(crate) before: String,
    pub(crate) after: String,
    /// The same moment in the two older forms.
    pub(crate) rfc850: String,
    pub(crate) asctime: String,
}

/// One request, but for what each server's own validators are.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Which of the files it is about.
    pub(crate) file: usize,
    pub(crate) is_head: bool,
    /// What is special about it.
    pub(crate) marks: BTreeSet<String>,
    text: Vec<u8>,
}

impl Request {
    /// The bytes for a server with these validators.
    pub(crate) fn bytes(&self, of: &Validators) -> Vec<u8> {
        let Ok(text) = std::str::from_utf8(&self.text) else { return self.text.clone() };
        let bare = of.etag.trim_matches('"');
        [
            ("{etag}", of.etag.as_str()),
            ("{bare}", bare),
            ("{date}", &of.date),
            ("{before}", &of.before),
            ("{after}", &of.after),
            ("{rfc850}", &of.rfc850),
            ("{asctime}", &of.asctime),
        ]
        .iter()
        .fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
        .into_bytes()
    }
}

/// A request while it is made.
struct Draft {
    method: &'static str,
    target: Vec<u8>,
    version: &'static str,
    host: Vec<&'static str>,
    lines: Vec<Vec<u8>>,
    body: Vec<u8>,
    before: &'static [u8],
    marks: BTreeSet<String>,
}

impl Draft {
    fn mark(&mut self, mark: &str) {
        self.marks.insert(mark.to_owned());
    }

    fn line(&mut self, text: impl AsRef<[u8]>) {
        self.lines.push(text.as_ref().to_vec());
    }

    fn finish(self, file: usize) -> Request {
        let mut text = self.before.to_vec();
        text.extend_from_slice(self.method.as_bytes());
        text.push(b' ');
        text.extend_from_slice(&self.target);
        text.extend_from_slice(self.version.as_bytes());
        text.extend_from_slice(b"\r\n");
        for line in self.host.iter().map(|line| line.as_bytes()).chain(self.lines.iter().map(Vec::as_slice)) {
            text.extend_from_slice(line);
            text.extend_from_slice(b"\r\n");
        }
        text.extend_from_slice(b"\r\n");
        text.extend_from_slice(&self.body);
        if self.marks.contains("line-ends:bare-lf") {
            text = String::from_utf8_lossy(&text).replace("\r\n", "\n").into_bytes();
        }
        Request { file, is_head: self.method == "HEAD", marks: self.marks, text }
    }
}

const METHODS: [(&str, &str); 12] = [
    ("POST", "method:other"),
    ("PUT", "method:other"),
    ("DELETE", "method:other"),
    ("PATCH", "method:other"),
    ("OPTIONS", "method:options"),
    ("TRACE", "method:trace"),
    ("CONNECT", "method:connect"),
    ("PROPFIND", "method:unknown"),
    ("PURGE", "method:unknown"),
    ("get", "method:lower-case"),
    ("G@T", "method:no-token"),
    ("", "method:empty"),
];

const VERSIONS: [(&str, &str); 9] = [
    (" HTTP/1.2", "version:1.2"),
    (" HTTP/2.0", "version:2.0"),
    (" HTTP/0.9", "version:0.9"),
    (" HTTP/1.10", "version:no-version"),
    (" http/1.1", "version:lower-case"),
    (" HTTP/1.1 ", "version:space-behind"),
    ("  HTTP/1.1", "version:two-spaces"),
    (" HTTPS/1.1", "version:no-version"),
    ("", "version:none"),
];

const HOSTS: [(&[&str], &str); 6] = [
    (&[], "host:none"),
    (&["Host: h", "Host: h"], "host:twice"),
    (&["Host:"], "host:empty"),
    (&["Host: user@h"], "host:user"),
    (&["Host: h h"], "host:space"),
    (&["Host: [::1]:80"], "host:ipv6"),
];

/// The next request about one of these files.
pub(crate) fn make(dice: &mut Dice, files: &[&str]) -> Request {
    // The last file is large: it is asked for less often.
    let file = if dice.percent(5) { files.len() - 1 } else { dice.below(files.len() - 1) };
    let mut draft = Draft {
        method: if dice.percent(15) { "HEAD" } else { "GET" },
        target: files[file].as_bytes().to_vec(),
        version: " HTTP/1.1",
        host: vec!["Host: h"],
        lines: Vec::new(),
        body: Vec::new(),
        before: b"",
        marks: BTreeSet::new(),
    };
    if draft.method == "HEAD" {
        draft.mark("method:head");
    }
    if dice.percent(12) {
        draft.version = " HTTP/1.0";
        draft.mark("version:1.0");
        if dice.percent(30) {
            draft.host.clear();
        }
    }
    match dice.below(100) {
        0..50 => meaning(dice, &mut draft),
        50..66 => {
            targets::odd(dice, &mut draft);
            if dice.percent(20) {
                meaning(dice, &mut draft);
            }
        }
        66..80 => headers::odd(dice, &mut draft),
        80..88 => headers::framed(dice, &mut draft),
        88..92 => {
            let (method, mark) = *dice.pick(&METHODS);
            draft.method = method;
            draft.mark(mark);
        }
        92..96 => {
            let (version, mark) = *dice.pick(&VERSIONS);
            draft.version = version;
            draft.marks.remove("version:1.0");
            draft.mark(mark);
        }
        _ => {
            let (host, mark) = *dice.pick(&HOSTS);
            draft.host = host.to_vec();
            draft.mark(mark);
        }
    }
    draft.finish(file)
}

/// Conditions, ranges, and what else a client may say.
fn meaning(dice: &mut Dice, draft: &mut Draft) {
    if dice.percent(30) {
        headers::harmless(dice, draft);
    }
    if dice.percent(60) {
        headers::conditions(dice, draft);
    }
    if dice.percent(50) {
        headers::range(dice, draft);
    }
    if dice.percent(15) {
        headers::connection(dice, draft);
    }
}
