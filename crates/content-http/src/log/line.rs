//! One line of the access log, in each of its forms, put together by hand: no formatter runs for a poll.

use std::io::Write as _;
use std::net::IpAddr;

use crate::LogForm;

/// The longest path or user agent in a line.
pub(crate) const MAX_TEXT: usize = 256;

/// What stands for a version that was not told.
pub(crate) const NO_VERSION: u8 = u8::MAX;

/// What one line says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'a> {
    pub(crate) client: IpAddr,
    /// Who the client named itself as; empty where nobody asked.
    pub(crate) name: &'a str,
    pub(crate) method: &'static str,
    /// The minor version of HTTP/1 that was asked with; [`NO_VERSION`] where none can be told.
    pub(crate) minor: u8,
    pub(crate) status: u16,
    pub(crate) bytes: u64,
    pub(crate) millis: u64,
    pub(crate) aborted: bool,
    pub(crate) path: &'a [u8],
    pub(crate) user_agent: &'a [u8],
}

/// The second of a line as its form writes it; made once a second.
#[derive(Debug, Default)]
pub(crate) struct Stamp {
    /// RFC 3339.
    pub(crate) plain: String,
    /// `06/Nov/1994:08:49:37 +0000`.
    pub(crate) common: String,
}

impl Stamp {
    /// From a moment in RFC 3339 and as an HTTP date.
    pub(crate) fn new(plain: String, http_date: &str) -> Self {
        let part = |from: usize, to: usize| http_date.get(from..to).unwrap_or_default();
        let common = format!("{}/{}/{}:{} +0000", part(5, 7), part(8, 11), part(12, 16), part(17, 25));
        Self { plain, common }
    }
}

impl Line<'_> {
    /// Appends it, its end included.
    pub(crate) fn write(&self, out: &mut Vec<u8>, form: LogForm, stamp: &Stamp) {
        match form {
            LogForm::Text => self.text(out, stamp),
            LogForm::Json => self.json(out, stamp),
            LogForm::Common => self.common(out, stamp),
        }
    }

    fn text(&self, out: &mut Vec<u8>, stamp: &Stamp) {
        out.extend_from_slice(stamp.plain.as_bytes());
        out.push(b' ');
        address(out, self.client);
        out.push(b' ');
        word(out, self.name);
        out.push(b' ');
        out.extend_from_slice(self.method.as_bytes());
        out.push(b' ');
        number(out, u64::from(self.status));
        out.push(b' ');
        number(out, self.bytes);
        out.push(b' ');
        number(out, self.millis);
        out.extend_from_slice(if self.aborted { b"ms aborted \"" } else { b"ms whole \"" });
        escaped(out, self.path, b"\\x");
        out.extend_from_slice(b"\" \"");
        escaped(out, self.user_agent, b"\\x");
        out.extend_from_slice(b"\"\n");
    }

    /// One object a line. A byte that is no printable ASCII stands as `\xNN` in the text itself, as in the other forms.
    fn json(&self, out: &mut Vec<u8>, stamp: &Stamp) {
        out.extend_from_slice(b"{\"time\":\"");
        out.extend_from_slice(stamp.plain.as_bytes());
        out.extend_from_slice(b"\",\"client\":\"");
        address(out, self.client);
        if !self.name.is_empty() {
            out.extend_from_slice(b"\",\"name\":\"");
            out.extend_from_slice(self.name.as_bytes());
        }
        out.extend_from_slice(b"\",\"method\":\"");
        out.extend_from_slice(self.method.as_bytes());
        out.extend_from_slice(b"\",\"path\":\"");
        escaped(out, self.path, b"\\\\x");
        out.extend_from_slice(b"\",\"status\":");
        number(out, u64::from(self.status));
        out.extend_from_slice(b",\"bytes\":");
        number(out, self.bytes);
        out.extend_from_slice(b",\"millis\":");
        number(out, self.millis);
        out.extend_from_slice(if self.aborted { b",\"whole\":false" } else { b",\"whole\":true" });
        out.extend_from_slice(b",\"user_agent\":\"");
        escaped(out, self.user_agent, b"\\\\x");
        out.extend_from_slice(b"\"}\n");
    }

    /// `host ident name [time] "request" status bytes`, as web servers have written it since the first.
    fn common(&self, out: &mut Vec<u8>, stamp: &Stamp) {
        address(out, self.client);
        out.extend_from_slice(b" - ");
        word(out, self.name);
        out.extend_from_slice(b" [");
        out.extend_from_slice(stamp.common.as_bytes());
        out.extend_from_slice(b"] \"");
        out.extend_from_slice(self.method.as_bytes());
        if !self.path.is_empty() {
            out.push(b' ');
            escaped(out, self.path, b"\\x");
            out.extend_from_slice(match self.minor {
                0 => b" HTTP/1.0",
                1 => b" HTTP/1.1",
                _ => b"",
            });
        }
        out.extend_from_slice(b"\" ");
        number(out, u64::from(self.status));
        out.push(b' ');
        if self.bytes == 0 {
            out.push(b'-')
        } else {
            number(out, self.bytes)
        }
        out.push(b'\n');
    }
}

/// A word that is never empty in the line.
fn word(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(if text.is_empty() { b"-" } else { text.as_bytes() });
}

fn address(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(four) => {
            let [a, b, c, d] = four.octets();
            number(out, u64::from(a));
            for part in [b, c, d] {
                out.push(b'.');
                number(out, u64::from(part));
            }
        }
        // Writing to memory has no way to fail.
        IpAddr::V6(six) => drop(write!(out, "{six}")),
    }
}

/// A number in digits.
fn number(out: &mut Vec<u8>, number: u64) {
    let mut digits = [0_u8; 20];
    let (mut rest, mut used) = (number, 0);
    for digit in digits.iter_mut().rev() {
        // A remainder of ten fits a byte.
        *digit = b'0' + (rest % 10) as u8;
        (rest, used) = (rest / 10, used + 1);
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(digits.get(digits.len() - used..).unwrap_or_default());
}

const fn is_plain(byte: u8) -> bool {
    matches!(byte, 0x20..=0x7e) && byte != b'"' && byte != b'\\'
}

/// A text of a client's, cut where it is too long; every byte that is not plain as `mark` and two digits.
fn escaped(out: &mut Vec<u8>, text: &[u8], mark: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let text = text.get(..MAX_TEXT).unwrap_or(text);
    // Without an early end, so that many bytes are looked at at once; nearly every text is plain.
    if text.iter().fold(true, |plain, byte| plain & is_plain(*byte)) {
        out.extend_from_slice(text);
        return;
    }
    for byte in text {
        if is_plain(*byte) {
            out.push(*byte);
            continue;
        }
        out.extend_from_slice(mark);
        for half in [byte >> 4, byte & 15] {
            out.extend(DIGITS.get(usize::from(half)));
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn line<'a>(path: &'a [u8], user_agent: &'a [u8]) -> Line<'a> {
        Line {
            client: "10.0.0.7".parse().unwrap(),
            name: "",
            method: "GET",
            minor: 1,
            status: 200,
            bytes: 12,
            millis: 3,
            aborted: false,
            path,
            user_agent,
        }
    }

    fn written(line: &Line<'_>, form: LogForm) -> String {
        let stamp = Stamp::new("1994-11-06T08:49:37Z".to_owned(), "Sun, 06 Nov 1994 08:49:37 GMT");
        let mut out = Vec::new();
        line.write(&mut out, form, &stamp);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn each_form_as_documented() {
        let named = Line { name: "branch-7", aborted: true, ..line(b"/a", b"agent/1") };
        for (form, expected) in [
            (LogForm::Text, "1994-11-06T08:49:37Z 10.0.0.7 branch-7 GET 200 12 3ms aborted \"/a\" \"agent/1\"\n"),
            (
                LogForm::Json,
                "{\"time\":\"1994-11-06T08:49:37Z\",\"client\":\"10.0.0.7\",\"name\":\"branch-7\",\"method\":\"GET\",\
                 \"path\":\"/a\",\"status\":200,\"bytes\":12,\"millis\":3,\"whole\":false,\"user_agent\":\"agent/1\"}\n",
            ),
            (LogForm::Common, "10.0.0.7 - branch-7 [06/Nov/1994:08:49:37 +0000] \"GET /a HTTP/1.1\" 200 12\n"),
        ] {
            assert_eq!(written(&named, form), expected);
        }
        let refused = Line { method: "-", status: 400, bytes: 0, ..line(b"", b"") };
        assert_eq!(written(&refused, LogForm::Common), "10.0.0.7 - - [06/Nov/1994:08:49:37 +0000] \"-\" 400 -\n");
        let six = Line { client: "2001:db8::1".parse().unwrap(), minor: 0, bytes: u64::MAX, ..line(b"/a", b"") };
        assert_eq!(
            written(&six, LogForm::Common),
            "2001:db8::1 - - [06/Nov/1994:08:49:37 +0000] \"GET /a HTTP/1.0\" 200 18446744073709551615\n"
        );
    }

    #[test]
    fn a_client_cannot_write_lines_of_its_own() {
        let hostile = line(b"/a\" 200\n\x1b[0m\\", b"x\r\ny\xff");
        assert_eq!(
            written(&hostile, LogForm::Text),
            "1994-11-06T08:49:37Z 10.0.0.7 - GET 200 12 3ms whole \"/a\\x22 200\\x0a\\x1b[0m\\x5c\" \"x\\x0d\\x0ay\\xff\"\n"
        );
        let long = line(&[b'a'; 5000], &[b'"'; 5000]);
        assert!(written(&long, LogForm::Text).len() < 100 + MAX_TEXT * 5);
    }

    proptest! {
        #[test]
        fn every_line_is_one_line_in_every_form(path in prop::collection::vec(any::<u8>(), 0..40),
                                                agent in prop::collection::vec(any::<u8>(), 0..40),
                                                bytes: u64) {
            let made = Line { bytes, ..line(&path, &agent) };
            for form in [LogForm::Text, LogForm::Json, LogForm::Common] {
                let text = written(&made, form);
                prop_assert!(text.is_ascii() && text.find('\n') == Some(text.len() - 1), "{}", text);
            }
            let json = written(&made, LogForm::Json);
            // Quotes and backslashes in pairs that JSON knows.
            let mut rest = json.bytes();
            while let Some(byte) = rest.next() {
                prop_assert!(byte != b'\\' || rest.next() == Some(b'\\'));
            }
            prop_assert_eq!(json.matches('"').count(), 28, "{}", json);
            let digits = format!("\"bytes\":{bytes},");
            prop_assert!(json.contains(&digits));
        }
    }
}
