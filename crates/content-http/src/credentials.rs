//! Who may ask: names and the digests of their secrets, from a file that is read again when it changes.
//!
//! A secret is a long random text, so its SHA-256 is as hard to turn back as it is to guess, and costs a request less
//! than a microsecond; a slow hash for weak passwords would let anyone who can connect spend this machine's time.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use model::Digest;

use crate::stats::{CertificateFacts, FileKind};

/// The longest file that is read.
const MAX_FILE: u64 = 1024 * 1024;
/// The most names: every one is looked at for every request, so that time tells nothing.
const MAX_NAMES: usize = 1000;
/// The longest name.
const MAX_NAME: usize = 64;
/// How many of the names that are gone are told.
const MOST_TOLD: usize = 20;

/// Why a file of credentials cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// It cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// Anyone on this machine could have written it.
    #[error("{path} can be written by anyone; take that right away")]
    Loose {
        /// Which.
        path: PathBuf,
    },
    /// It is longer than any that holds what can be used.
    #[error("{path} is larger than {MAX_FILE} bytes, the most that is read; take out what is not needed")]
    TooLong {
        /// Which.
        path: PathBuf,
    },
    /// A line is none.
    #[error(
        "{path}, line {line}: not 'name:' and the SHA-256 of its secret in 64 hexadecimal digits with nothing behind them; \
         a name is 1 to 64 letters, digits, '.', '-', '_' or '@'"
    )]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
    },
    /// A name, or a secret, stands twice.
    #[error("{path}, line {line}: {what} stands in line {first} already; each name has one secret of its own")]
    Twice {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What of it.
        what: &'static str,
        /// Where it stands as well.
        first: usize,
    },
    /// Nobody stands in it, or too many do.
    #[error("{path} names {count} credentials; 1 to {MAX_NAMES} can be used")]
    Count {
        /// Which.
        path: PathBuf,
        /// How many.
        count: usize,
    },
}

/// One who may ask.
#[derive(Debug)]
struct Known {
    name: Arc<str>,
    secret: Digest,
}

/// Those who may ask at one listener.
#[derive(Debug)]
pub(crate) struct Credentials {
    path: PathBuf,
    known: ArcSwap<Vec<Known>>,
    seen: Mutex<Seen>,
}

#[derive(Debug)]
struct Seen {
    digest: Digest,
    refused: Option<String>,
}

impl Credentials {
    pub(crate) fn load(path: &Path) -> Result<Self, CredentialsError> {
        let text = read(path)?;
        let known = parse(path, &text)?;
        let seen = Mutex::new(Seen { digest: Digest::of(text.as_bytes()), refused: None });
        Ok(Self { path: path.to_owned(), known: ArcSwap::from_pointee(known), seen })
    }

    /// The name behind an `Authorization` header; none for one that lets nobody in.
    pub(crate) fn name(&self, authorization: &[u8]) -> Option<Arc<str>> {
        let (scheme, rest) = split_once(authorization, b' ')?;
        let token = rest.trim_ascii();
        if scheme.eq_ignore_ascii_case(b"bearer") {
            return self.holder(None, &Digest::of(token));
        }
        if !scheme.eq_ignore_ascii_case(b"basic") {
            return None;
        }
        let pair = base64(token)?;
        let (name, secret) = split_once(&pair, b':')?;
        self.holder(Some(name), &Digest::of(secret))
    }

    /// Whose secret has this digest. Every line is compared to its last byte, whatever was found before.
    fn holder(&self, name: Option<&[u8]>, secret: &Digest) -> Option<Arc<str>> {
        let known = self.known.load();
        let mut found = None;
        for one in known.iter() {
            let mut differs = 0;
            for (ours, theirs) in one.secret.as_bytes().iter().zip(secret.as_bytes()) {
                differs |= std::hint::black_box(ours ^ theirs);
            }
            let named = name.is_none_or(|name| name == one.name.as_bytes());
            if differs == 0 && named {
                found = Some(Arc::clone(&one.name));
            }
        }
        found
    }

    /// Takes a changed file over if it can be used; the old one stays in use otherwise. Whether it was.
    pub(crate) fn look(&self) -> Result<bool, CredentialsError> {
        let text = read(&self.path);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let digest = match &text {
            Ok(text) => Digest::of(text.as_bytes()),
            Err(error) => Digest::of(error.to_string().as_bytes()),
        };
        if seen.digest == digest {
            return Ok(false);
        }
        seen.digest = digest;
        match text.and_then(|text| parse(&self.path, &text)) {
            Ok(known) => {
                warn_of_gone(&self.path, &self.known.load(), &known);
                self.known.store(Arc::new(known));
                seen.refused = None;
                Ok(true)
            }
            Err(error) => {
                seen.refused = Some(model::error_chain(&error));
                Err(error)
            }
        }
    }

    /// Tells the log whom another file shuts out.
    pub(crate) fn warn_beside(&self, older: &Self) {
        warn_of_gone(&self.path, &older.known.load(), &self.known.load());
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What is known of its file.
    pub(crate) fn facts(&self, listener: SocketAddr) -> CertificateFacts {
        let (kind, path) = (FileKind::Credentials, self.path.clone());
        let refused = self.seen.lock().unwrap_or_else(PoisonError::into_inner).refused.clone();
        CertificateFacts {
            kind,
            listener,
            path,
            not_before: None,
            begins: None,
            not_after: None,
            refused,
            whose: None,
            nobody: None,
        }
    }
}

/// A file that was cut off at the end of a line cannot be told from a shorter one.
fn warn_of_gone(path: &Path, old: &[Known], new: &[Known]) {
    let stays = |name: &str| new.iter().any(|one| *one.name == *name);
    let gone: Vec<&str> = old.iter().map(|one| one.name.as_ref()).filter(|name| !stays(name)).collect();
    if let Some(most) = gone.get(..MOST_TOLD.min(gone.len())).filter(|most| !most.is_empty()) {
        let (path, names) = (path.display(), most.join(", "));
        let more = gone.len() - most.len();
        tracing::warn!(%path, before = old.len(), after = new.len(), names, more, "names that stood in the file are gone from it, and let nobody in any more; was it written whole?");
    }
}

fn read(path: &Path) -> Result<String, CredentialsError> {
    use std::io::Read as _;
    use std::os::unix::fs::MetadataExt as _;
    const OTHERS_WRITE: u32 = 0o002;
    let wrap = |source| CredentialsError::Read { path: path.to_owned(), source };
    let (file, _) = platform::fs::open_named(path).map_err(wrap)?;
    if file.metadata().map_err(wrap)?.mode() & OTHERS_WRITE != 0 {
        return Err(CredentialsError::Loose { path: path.to_owned() });
    }
    let mut text = String::new();
    file.take(MAX_FILE + 1).read_to_string(&mut text).map_err(wrap)?;
    if text.len() as u64 > MAX_FILE {
        return Err(CredentialsError::TooLong { path: path.to_owned() });
    }
    Ok(text)
}

/// `name:digest` a line; empty lines and those that begin with `#` say nothing, nor does a byte order mark.
fn parse(path: &Path, text: &str) -> Result<Vec<Known>, CredentialsError> {
    let (mut known, mut lines): (Vec<Known>, Vec<usize>) = Default::default();
    for (at, line) in text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate() {
        let (line, number) = (line.trim(), at + 1);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let one = entry(line).ok_or_else(|| CredentialsError::Line { path: path.to_owned(), line: number })?;
        let same = known.iter().position(|other| other.name == one.name || other.secret == one.secret);
        if let Some((other, first)) = same.and_then(|at| known.get(at).zip(lines.get(at))) {
            let what = if other.name == one.name { "the name" } else { "the secret" };
            return Err(CredentialsError::Twice { path: path.to_owned(), line: number, what, first: *first });
        }
        known.push(one);
        lines.push(number);
        if known.len() > MAX_NAMES {
            break;
        }
    }
    if known.is_empty() || known.len() > MAX_NAMES {
        let count = text.lines().filter(|line| line.contains(':')).count();
        return Err(CredentialsError::Count { path: path.to_owned(), count });
    }
    Ok(known)
}

/// Digits may be capitals, as some systems print them.
fn entry(line: &str) -> Option<Known> {
    let (name, digest) = line.split_once(':').filter(|(name, _)| is_name(name))?;
    let secret = digest.trim().to_ascii_lowercase().parse().ok()?;
    Some(Known { name: name.into(), secret })
}

/// Plain enough for every form of the access log.
fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_@".contains(&byte))
}

fn split_once(text: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let index = text.iter().position(|byte| *byte == at)?;
    Some((text.get(..index)?, text.get(index + 1..)?))
}

/// Base64 with or without its padding (RFC 4648, 4); nothing else may stand in it, and no bit may be left over.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let bare = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    if bare.len() != text.len() && !text.len().is_multiple_of(4) {
        return None;
    }
    let mut bytes = Vec::with_capacity(bare.len() / 4 * 3 + 2);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in bare {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        (bits, held) = ((bits << 6) | u32::from(value), held + 6);
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    (held < 6 && bits == 0).then_some(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn credentials(text: &str) -> Result<Credentials, CredentialsError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("who");
        std::fs::write(&path, text).unwrap();
        Credentials::load(&path)
    }

    fn line(name: &str, secret: &str) -> String {
        format!("{name}:{}\n", Digest::of(secret.as_bytes()))
    }

    #[test]
    fn those_who_stand_in_the_file_may_ask() {
        let text = format!("# comment\n\n{}{}", line("a", "secret-a"), line("b@x", "se:cret b"));
        let known = credentials(&text).unwrap();
        let name = |header: &str| known.name(header.as_bytes()).map(|name| name.to_string());
        for (header, expected) in [
            ("Bearer secret-a", Some("a")),
            ("bearer  secret-a ", Some("a")),
            ("Basic YTpzZWNyZXQtYQ==", Some("a")),
            ("BASIC YkB4OnNlOmNyZXQgYg==", Some("b@x")),
            ("Bearer secret-b", None),
            ("Bearer secret-", None),
            ("Bearer ", None),
            ("Bearer", None),
            ("", None),
            ("Basic YjpzZWNyZXQtYQ==", None),
            ("Basic YTpzZWNyZXQtYQ=", None),
            ("Basic secret-a", None),
            ("Digest secret-a", None),
        ] {
            assert_eq!(name(header).as_deref(), expected, "{header}");
        }
    }

    #[test]
    fn a_file_that_says_less_than_it_should_lets_nobody_in() {
        let good = line("a", "x");
        for bad in [
            String::new(),
            "# nobody\n".to_owned(),
            "a\n".to_owned(),
            "a:secret\n".to_owned(),
            good.replace("a:", ":"),
            good.replace("a:", "a b:"),
            format!("{good}{good}"),
            format!("{good}{}", line("b", "x")),
            good.replace('\n', "  -\n"),
            format!("{good}b:{}\n", "0".repeat(63)),
        ] {
            assert!(credentials(&bad).is_err(), "{bad}");
        }
        assert!(credentials(&good).is_ok());
        let shared = credentials(&format!("# who\n{good}{}", line("b", "x"))).unwrap_err().to_string();
        assert!(shared.contains("line 3: the secret stands in line 2 already"), "{shared}");
    }

    #[test]
    fn names_that_go_are_told_v34() {
        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("who"), folder.path().join("other"));
        let all: String = (0..30).map(|at| line(&format!("branch-{at}"), &format!("s{at}"))).collect();
        let told = |tell: &dyn Fn()| {
            let heard = crate::away::tests::Heard::default();
            tracing::subscriber::with_default(heard.clone(), tell);
            heard.text()
        };
        std::fs::write(&path, &all).unwrap();
        let known = Credentials::load(&path).unwrap();
        let look = |text: &str| {
            std::fs::write(&path, text).unwrap();
            told(&|| assert!(known.look().unwrap()))
        };
        assert_eq!(look(&format!("{all}{}", line("more", "x"))), "");
        let shrunk = look(&all.replace(&line("branch-7", "s7"), ""));
        assert!(shrunk.contains("before=31 after=29 names=\"branch-7, more\" more=0"), "{shrunk}");
        std::fs::write(&other, line("branch-0", "s0")).unwrap();
        let moved = told(&|| Credentials::load(&other).unwrap().warn_beside(&known));
        assert!(moved.contains("before=29 after=1") && moved.contains("more=8") && moved.contains("other"), "{moved}");
    }

    #[test]
    fn digits_may_be_as_other_systems_write_them() {
        let (name, digest) = ("a", Digest::of(b"x").to_string().to_uppercase());
        for text in [format!("{name}:{digest}\r\n"), format!("\u{feff}{name}:{digest}"), format!("{name}: {digest} \n")]
        {
            let known = credentials(&text).unwrap();
            assert_eq!(known.name(b"Bearer x").as_deref(), Some("a"), "{text}");
        }
    }

    #[test]
    fn base64_and_nothing_like_it() {
        for (text, bytes) in [
            ("", Some("")),
            ("Zg==", Some("f")),
            ("Zg", Some("f")),
            ("Zm8=", Some("fo")),
            ("Zm9v", Some("foo")),
            ("Zm9vYmFy", Some("foobar")),
            ("Zh==", None),
            ("Z", None),
            ("Zm9v=", None),
            ("Zm8==", None),
            ("Zm-v", None),
            ("Zm 9", None),
        ] {
            assert_eq!(base64(text.as_bytes()).as_deref(), bytes.map(str::as_bytes), "{text}");
        }
    }
}
