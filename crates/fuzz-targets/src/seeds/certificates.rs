//! Certificates that a mirror or a proxy presents, and heads of answers.

use super::Book;

const SEQUENCE: u8 = 0x30;
const UTF8: u8 = 0x0c;
const BMP: u8 = 0x1e;
const UTC: u8 = 0x17;
const GENERALIZED: u8 = 0x18;
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
const ORGANISATION: &[u8] = &[0x55, 0x04, 0x0a];

pub(super) fn write(book: &mut Book) {
    certificates(book);
    heads(book);
}

/// A tag and what it holds.
fn item(tag: u8, held: &[u8]) -> Vec<u8> {
    let length = match u8::try_from(held.len()) {
        Ok(short @ ..0x80) => vec![short],
        Ok(one) => vec![0x81, one],
        Err(_) => [&[0x82][..], &u16::try_from(held.len()).unwrap_or(u16::MAX).to_be_bytes()].concat(),
    };
    [&[tag][..], &length, held].concat()
}

fn name(kind: &[u8], tag: u8, text: &[u8]) -> Vec<u8> {
    let pair = [item(0x06, kind), item(tag, text)].concat();
    item(SEQUENCE, &item(0x31, &item(SEQUENCE, &pair)))
}

/// What a certificate is made of.
struct Made {
    version: Vec<u8>,
    issuer: Vec<u8>,
    subject: Vec<u8>,
    times: [(u8, &'static str); 2],
    extensions: Vec<u8>,
}

impl Made {
    fn honest() -> Self {
        let constraints = [item(0x06, &[0x55, 0x1d, 0x13]), item(0x01, &[0xff]), octets(&[0xff])].concat();
        Self {
            version: item(0xa0, &item(0x02, &[2])),
            issuer: name(COMMON_NAME, UTF8, b"Corp Inspection CA"),
            subject: name(ORGANISATION, UTF8, b"mirror.example"),
            times: [(UTC, "240203000000Z"), (GENERALIZED, "20550607000000Z")],
            extensions: item(0xa3, &item(SEQUENCE, &item(SEQUENCE, &constraints))),
        }
    }

    fn der(&self) -> Vec<u8> {
        let times: Vec<u8> = self.times.iter().flat_map(|(tag, text)| item(*tag, text.as_bytes())).collect();
        let algorithm = item(SEQUENCE, &item(0x06, &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]));
        let key = item(SEQUENCE, &[algorithm.clone(), item(0x03, &[0, 4, 1, 2])].concat());
        let body = [
            self.version.clone(),
            item(0x02, &[1]),
            algorithm.clone(),
            self.issuer.clone(),
            item(SEQUENCE, &times),
            self.subject.clone(),
            key,
            self.extensions.clone(),
        ];
        item(SEQUENCE, &[item(SEQUENCE, &body.concat()), algorithm, item(0x03, &[0, 7])].concat())
    }
}

/// Basic constraints, with this behind the word whether it may issue.
fn octets(said: &[u8]) -> Vec<u8> {
    item(0x04, &item(SEQUENCE, &item(0x01, said)))
}

fn certificates(book: &mut Book) {
    let to = &["certificate"];
    book.honest(to, "whole", Made::honest().der());
    let named = |tag, text: &[u8]| Made { subject: name(COMMON_NAME, tag, text), ..Made::honest() }.der();
    let names = [
        named(UTF8, b"\x1b]0;owned\x07\r\n[2J"),
        named(UTF8, "\u{202e}moc.live\u{200b}".as_bytes()),
        named(UTF8, &[0xff; 40]),
        named(UTF8, &[b'x'; 600]),
        named(BMP, &[0x20, 0x2e, 0xd8, 0x00, 0x00]),
        named(UTF8, b""),
    ];
    book.family(to, "u46-names", names);
    let times = [
        [(UTC, "500101000000Z"), (UTC, "491231235959Z")],
        [(UTC, "241301000000Z"), (UTC, "250230000000Z")],
        [(UTC, "2402030000Z"), (UTC, "240203000000+0100")],
        [(GENERALIZED, "99991231235959Z"), (GENERALIZED, "00000101000000Z")],
        [(GENERALIZED, "20240203000000.5Z"), (GENERALIZED, "-0240203000000Z")],
    ];
    book.family(to, "u46-times", times.map(|times| Made { times, ..Made::honest() }.der()));
    let bare = Made { version: Vec::new(), extensions: Vec::new(), ..Made::honest() };
    let silent = Made { extensions: Vec::new(), ..Made::honest() };
    book.family(to, "u46-versions", [bare.der(), silent.der()]);
    let lengths: [&[u8]; 6] = [
        &[0x30, 0x80, 0x30, 0x00, 0, 0],
        &[0x30, 0x84, 0xff, 0xff, 0xff, 0xff, 0x30],
        &[0x30, 0x88, 0, 0, 0, 0, 0, 0, 0, 2, 0x30, 0],
        &[0x30, 0x81, 0x02, 0x30, 0x00],
        &[0x30],
        &[],
    ];
    book.family(to, "u46-lengths", lengths);
    let nested = (0..200).fold(Vec::new(), |held: Vec<u8>, _| item(SEQUENCE, &held));
    book.family(to, "c17-nested", [nested]);
}

fn heads(book: &mut Book) {
    let to = &["mirror_head"];
    let tagged = "HTTP/1.1 206 Partial Content\r\nETag: \"a\"\r\nContent-Length: 10\r\nConnection: Close\r\n\r\nbody";
    book.honest(to, "part", tagged);
    book.honest(to, "old", "HTTP/1.0 200\nServer: nginx\n\n");
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "a: b\r\n".repeat(129));
    let heads = [
        "HTTP/2 200\r\n\r\n",
        "SSH-2.0-OpenSSH\r\n\r\n",
        "\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 099 \r\n\r\n",
        "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
        "HTTP/1.1 200 \u{1b}[2J\r\nA: \u{1b}[2J\r\n\r\n",
        many.as_str(),
    ];
    book.family(to, "u27-heads", heads);
}
