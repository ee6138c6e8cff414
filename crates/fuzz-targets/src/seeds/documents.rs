//! Defender's documents, zlib streams, keys, dates, the configuration.

use std::io::Write as _;

use super::Book;
use crate::elastic::held_artifacts;

const INFO: &str = r#"<?xml version="1.0" encoding="utf-8"?><versions><engine>1.1.26080.3</engine><platform>4.18.26080.4</platform><signatures date="2026-10-04 03:12:45Z">1.459.553.0</signatures></versions>"#;
const COMPANION: &str = "{\n  \"EngineVersion\": \"1.1.26080.3\",\n  \"DefinitionVersion\": \"1.459.553.0\"\n}\n";

pub(super) fn write(book: &mut Book) {
    info(book);
    companion(book);
    artifacts(book);
    keys(book);
    dates(book);
    configuration(book);
}

fn info(book: &mut Book) {
    let to = &["defender_info"];
    book.honest(to, "info", INFO);
    let from = |url: &str| format!("{INFO}\0https://definitionupdates.microsoft.com/x/updates.zip{url}");
    book.family(
        to,
        "url",
        [
            "?packageVersion=1.459.553.0&engineVersion=1.1.26080.3&osType=Linux",
            "?packageVersion=1.459.553.1",
            "?engineversion=%31.1.26080.3",
            "?osType=Mac",
            "?osType=windows#x",
            "?ostype=%",
            "?a=b&packageversion",
            "?x=?packageVersion=1",
            "#?packageVersion=1",
            "?packageVersion=\u{1b}[2J%00%ff",
        ]
        .map(from),
    );
    let laughs =
        "<!DOCTYPE versions [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;\">]><versions><engine>&b;</engine></versions>";
    book.family(
        to,
        "c35-entities",
        [
            laughs,
            "<!DOCTYPE versions SYSTEM 'file:///etc/passwd'><versions/>",
            "<versions><engine>&engine;</engine></versions>",
        ],
    );
    let engine = |text: &str| INFO.replace("<engine>1.1.26080.3</engine>", text);
    book.family(
        to,
        "c35-shapes",
        [
            "",
            "<engine/>",
            "<engine>1.1.26080</engine>",
            "<engine>$(id)</engine>",
            "<engine><b>1.1.26080.3</b></engine>",
            "<engine>1.1.<!-- c -->26080.3</engine>",
            "<engine><![CDATA[1.1.26080.3]]></engine>",
            "<engine>1.1.26080.3</engine><engine>1.1.26080.4</engine>",
            "<engine>00.01.1.1</engine>",
            "<engine>&#49;.1.1.1</engine>",
        ]
        .map(engine),
    );
    book.family(to, "c35-deep", ["<a>".repeat(1_000), format!("<versions{}>", " a=''".repeat(50))]);
    book.family(to, "c17-text", [&b"\xef\xbb\xbf<versions/>"[..], b"\xff\xfe<\0v\0", b"<html>Sign in</html>", b""]);
    book.family(
        to,
        "date",
        ["", "yesterday", "9999-12-31T23:59:59Z", "2026-13-40 03:12:45Z", "-009999-01-02T00:00:00Z"]
            .map(|date| INFO.replace("2026-10-04 03:12:45Z", date)),
    );
}

fn companion(book: &mut Book) {
    let to = &["defender_companion"];
    book.honest(to, "jq", COMPANION);
    let shell = COMPANION.replace('\n', "\r\n");
    let utf16 = |text: &str| [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let mut odd: Vec<u8> = utf16(&shell);
    odd.pop();
    book.family(
        to,
        "c17-text",
        [format!("\u{feff}{shell}").into_bytes(), utf16(&shell), odd, vec![0xff, 0xfe, 0, 0xd8]],
    );
    book.family(to, "c12-twice", [COMPANION.replace('{', "{\"EngineVersion\":\"1.1.1.1\",")]);
    book.family(
        to,
        "c18-shapes",
        [
            "null",
            "[]",
            "[\"1.1.1.1\",\"1.1.1.2\"]",
            "",
            "{\"EngineVersion\":\"\",\"DefinitionVersion\":\"\"}",
            "{\"EngineVersion\":1,\"DefinitionVersion\":\"1.1.1.1\"}",
            "{\"EngineVersion\":\"1.1.1.1\"}",
            "{\"EngineVersion\":\" 1.1.1.1 \",\"DefinitionVersion\":\"\\u0031.1.1.1\",\"x\":[{}]}",
            "{\"EngineVersion\":\"\\u001b[2J\",\"DefinitionVersion\":\"1.1.1.1\"}",
        ],
    );
    book.family(to, "c13-nested", ["[".repeat(4_000), format!("{{\"x\":{}", "[".repeat(4_000))]);
}

fn zlib(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(level));
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

fn artifacts(book: &mut Book) {
    let to = &["elastic_artifact"];
    book.honest(to, "rules", zlib(&b"rules and models and rules and models ".repeat(20), 9));
    book.honest(to, "stored", zlib(b"as it is", 0));
    book.family(to, "held", held_artifacts());
    let stream = zlib(b"rules", 6);
    book.family(
        to,
        "c34-around",
        [
            [&stream[..], b"\0"].concat(),
            [&stream[..], &stream].concat(),
            [b"\0", &stream[..]].concat(),
            stream.get(..stream.len() - 4).unwrap_or_default().to_vec(),
            stream.get(2..).unwrap_or_default().to_vec(),
        ],
    );
    book.family(to, "c34-bomb", [zlib(&vec![0; 1 << 20], 9)]);
    book.family(
        to,
        "c34-header",
        [&b"\x1f\x8b\x08\0\0\0\0\0\0\x03"[..], b"\x78\xbb\0\0\0\x01", b"\x08\x1d", b"\x78\x9c"],
    );
}

/// A SubjectPublicKeyInfo of an RSA key whose modulus is this byte over and over.
fn key(bytes: usize, filled: u8) -> Vec<u8> {
    let tagged = |tag: u8, body: &[u8]| {
        let length = u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes();
        let length = match body.len() {
            0..0x80 => length.get(1..).unwrap_or_default().to_vec(),
            0x80..0x100 => [&[0x81], length.get(1..).unwrap_or_default()].concat(),
            _ => [&[0x82], &length[..]].concat(),
        };
        [&[tag], &length[..], body].concat()
    };
    let modulus = tagged(2, &[&[0][..], &vec![filled; bytes]].concat());
    let numbers = tagged(0x30, &[&modulus[..], &[2, 3, 1, 0, 1]].concat());
    let algorithm = [0x30, 13, 6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1, 5, 0];
    tagged(0x30, &[&algorithm[..], &tagged(3, &[&[0][..], &numbers].concat())].concat())
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digit =
        |group: u32, at: u32| DIGITS.get((group >> (18 - 6 * at) & 63) as usize).map_or('=', |byte| char::from(*byte));
    bytes.chunks(3).fold(String::new(), |mut text, chunk| {
        let group = (0..3).fold(0, |group, at| group << 8 | u32::from(chunk.get(at).copied().unwrap_or(0)));
        text.extend((0..4).map(|at| if at as usize <= chunk.len() { digit(group, at) } else { '=' }));
        text
    })
}

fn pem(label: &str, bytes: &[u8]) -> String {
    let text = base64(bytes);
    let lines: Vec<&str> = (0..text.len()).step_by(64).filter_map(|at| text.get(at..text.len().min(at + 64))).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

fn keys(book: &mut Book) {
    let to = &["pem_keys"];
    let good = pem("PUBLIC KEY", &key(256, 0xc3));
    book.honest(to, "key", &good);
    book.family(
        to,
        "several",
        [
            format!("one\n{good}other\n{}", pem("PUBLIC KEY", &key(512, 0xd5))),
            format!("{good}{good}"),
            format!("\u{feff}{}", good.replace('\n', "\r\n")),
        ],
    );
    book.family(
        to,
        "c33-sizes",
        [(128, 0xc3), (255, 0xc3), (1024, 0xc3), (1025, 0xc3), (256, 0xc2), (256, 0x03)]
            .map(|(bytes, filled)| pem("PUBLIC KEY", &key(bytes, filled))),
    );
    book.family(
        to,
        "c33-label",
        ["CERTIFICATE", "RSA PUBLIC KEY", "PRIVATE KEY", "X\u{1b}[2J"].map(|label| pem(label, &key(256, 0xc3))),
    );
    let longer: Vec<u8> = [key(256, 0xc3), vec![0]].concat();
    book.family(to, "c33-der", [pem("PUBLIC KEY", &longer), pem("PUBLIC KEY", b""), pem("PUBLIC KEY", &[0x30, 0x80])]);
    book.family(
        to,
        "c33-damaged",
        [good.replace("-----END", "-----BEGIN"), good.replace('A', "!"), good.replace("END PUBLIC", "END PRIVATE")],
    );
}

fn dates(book: &mut Book) {
    book.honest(&["http_date"], "fixdate", "Sun, 06 Nov 1994 08:49:37 GMT");
    book.family(
        &["http_date"],
        "u16-odd",
        [
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "sun, 6 nov 1994 8:49:37 GMT",
            "Sat, 31 Dec 9999 23:59:60 GMT",
            "Fri, 01 Jan 0000 00:00:00 GMT",
            "Fri, 01 Jan -001 00:00:00 GMT",
            "Sun, 06 Nov 19940 08:49:37 GMT",
            "2026-10-04T03:12:45.123456Z",
            "2026-10-04 03:12:45+01:00",
            "-009999-01-02T00:00:00Z",
            "9999-12-30T22:00:00Z",
        ],
    );
    let times = [0, -1, i64::MAX, i64::MIN, 253_402_300_799_999_999, -62_167_219_200_000_001, 784_111_777_000_000];
    book.family(&["http_date"], "s28-ends-of-time", times.map(i64::to_le_bytes));
}

fn configuration(book: &mut Book) {
    let to = &["configuration"];
    let small = "data_dir = \"/var/lib/waystation\"\n[site]\nname = \"dmz-1\"\n[elastic]\nversions = [\"9.0.0\"]\n";
    book.honest(to, "small", small);
    // The template is larger than an input may be, by its comments.
    let template: Vec<&str> =
        config::template().lines().filter(|line| !line.starts_with("# ") || line.contains(" = ")).collect();
    let live: Vec<String> = template.iter().map(|line| line.trim_start_matches("# ").to_owned()).collect();
    for (name, lines) in [("template", template.join("\n")), ("every-key", live.join("\n"))] {
        book.family(to, name, [lines.chars().take(super::LARGEST - 100).collect::<String>()]);
    }
    book.family(
        to,
        "forms",
        [small.replace('\n', "\r\n"), format!("\u{feff}{small}"), format!("{small}{small}"), String::new()],
    );
    let section = |text: &str| format!("{small}{text}\n");
    book.family(
        to,
        "sections",
        [
            "[defender]\nplatforms = [\"linux\", \"mac\"]",
            "[[ring]]\nname = \"canary\"\n[[ring]]\nname = \"broad\"\nafter = \"canary\"\nsoak = \"24h\"",
            "[[ring]]\nname = \"a\"\nafter = \"b\"\n[[ring]]\nname = \"b\"\nafter = \"a\"",
            "[freshness]\npreset = \"stig-7d\"",
            "[[serve]]\naddress = \"0.0.0.0:8080\"\nallow = [\"10.0.0.0/8\"]",
            "[origin]\nproxy = \"http://user:secret@proxy:3128\"",
            "[retention]\ndays = 35\nbytes = \"50GB\"",
            "[retention]\nbytes = \"99999999999999999999GB\"",
            "[origin]\nproxy_password_file = \"/dev/zero\"",
        ]
        .map(section),
    );
    book.family(
        to,
        "c36-words",
        [
            "[site2]",
            "[site]\nnmae = 1",
            "\"\\u001b[2J\" = 1",
            "[\"\\u202e\"]\nx = 1",
            "[elastic2]\nversions = [\"\\u001b[2J\"]",
            "[admin]\naddress = \"\\u0007\"",
            "x = 2026-99-99",
            "x = \"\u{1b}\"",
            "x = [[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]",
        ]
        .map(section),
    );
    book.family(to, "c13-nested", [format!("x = {}", "[".repeat(2_000)), format!("x{} = 1", ".y".repeat(2_000))]);
}
