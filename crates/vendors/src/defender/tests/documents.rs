use crate::defender::{companion, info};

const ONE_LINE: &str = r#"<?xml version="1.0" encoding="utf-8"?><versions><engine>1.1.26080.3</engine><platform>4.18.26080.4</platform><signatures date="2026-10-04 03:12:45Z">1.459.553.0</signatures></versions>"#;

#[track_caller]
fn reads(xml: &str) -> Option<String> {
    let info = info::parse(xml.as_bytes()).unwrap_or_else(|error| panic!("{error}: {xml}"));
    assert_eq!(info.version.to_string(), "1.459.553.0 (engine 1.1.26080.3)");
    info.time.map(|time| time.to_string())
}

#[test]
fn infos_in_every_honest_form_u55() {
    assert_eq!(reads(ONE_LINE).unwrap(), "2026-10-04T03:12:45Z");
    let swapped = "\u{feff}\n<versions kind='x'>\r\n  <signatures other='1' date='2026-10-04T03:12:45Z'>\r\n    1.459.553.0\r\n  </signatures>\r\n  <engine arch=\"x64\">\t1.1.26080.3 </engine>\r\n  <new><engine>9.9.9.9</engine></new>\r\n</versions>\r\n";
    assert_eq!(reads(swapped).unwrap(), "2026-10-04T03:12:45Z");
    let commented =
        "<versions><engine>1.1.<!-- c -->26080.3</engine><signatures><![CDATA[1.459.553.0]]></signatures></versions>";
    assert_eq!(reads(commented), None);
    let namespaced =
        "<versions xmlns='urn:x'><engine>1.1.26080.3</engine><signatures>1.459.553.0</signatures></versions>";
    assert_eq!(reads(namespaced), None);
}

#[test]
fn dates_that_are_odd_are_none_u54() {
    for date in ["", "yesterday", "2026-13-40 03:12:45Z", "2026-10-04", "1.459.553.0", "04/10/2026 03:12"] {
        assert_eq!(reads(&ONE_LINE.replace("2026-10-04 03:12:45Z", date)), None, "{date}");
    }
    assert_eq!(reads(&ONE_LINE.replace("2026-10-04", "1970-01-01")).unwrap(), "1970-01-01T03:12:45Z");
}

#[track_caller]
fn no_info(xml: &[u8], expected: &str) {
    let error = info::parse(xml).unwrap_err();
    assert!(error.contains(expected), "{error:?} for {:?}", String::from_utf8_lossy(&xml[..xml.len().min(80)]));
}

#[test]
fn documents_that_are_no_info_c35() {
    no_info(b"", "empty");
    no_info(b" \r\n", "empty");
    no_info(b"\xff\xfe<\0v\0", "UTF-8");
    no_info(b"<!doctype html><html><body>Sign in</body></html>", "well-formed");
    no_info(b"<html><engine>1.1.1.1</engine><signatures>1.1.1.1</signatures></html>", "root");
    no_info(b"{\"engine\": \"1.1.26080.3\"}", "well-formed");
    for cut in 1..ONE_LINE.len() {
        assert!(info::parse(&ONE_LINE.as_bytes()[..cut]).is_err(), "{cut}");
    }
}

#[test]
fn entities_and_document_types_c35() {
    let laughs = "<!DOCTYPE versions [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;\">]><versions><engine>&b;</engine><signatures>1.1.1.1</signatures></versions>";
    no_info(laughs.as_bytes(), "well-formed");
    no_info(b"<!DOCTYPE versions SYSTEM 'file:///etc/passwd'><versions/>", "well-formed");
    no_info(ONE_LINE.replace("1.1.26080.3", "&engine;").as_bytes(), "well-formed");
}

#[test]
fn what_is_wrong_is_told_in_words_fit_to_show_c36() {
    let places =
        [("1.1.26080.3", ""), ("<engine>", "<"), ("date=", ""), ("=\"2026", ""), ("versions>", ""), ("<?xml", "")];
    for (place, before) in places {
        for odd in ["\u{2}", "\u{1b}[2J", "\u{202e}", "\u{7f}", "<a \u{1b}>", "&\u{1b};", "&#27;", "</\u{202e}>"] {
            let Err(error) = info::parse(ONE_LINE.replace(place, &format!("{before}{odd}")).as_bytes()) else {
                continue;
            };
            assert!(error.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{error:?}");
        }
    }
    let error = info::parse(format!("<versions></{}>", "x".repeat(60_000)).as_bytes()).unwrap_err();
    assert!(error.len() < 300, "{} bytes", error.len());
    no_info(&ONE_LINE.as_bytes()[..60], "is not well-formed XML: ");
}

#[test]
fn large_and_deep_documents_c35() {
    let large = ONE_LINE.replace("4.18.26080.4", &"x".repeat(1 << 20));
    no_info(large.as_bytes(), "64 KiB");
    no_info("<a>".repeat(20_000).as_bytes(), "well-formed");
    let attributes: String = (0..4_000).map(|n| format!(" a{n}=''")).collect();
    no_info(format!("<versions{attributes}>").as_bytes(), "well-formed");
}

#[test]
fn versions_that_are_none_u55_c35() {
    for (engine, expected) in [
        ("<engine></engine>", "<engine>"),
        ("<engine/>", "<engine>"),
        ("<engine> \n</engine>", "<engine>"),
        ("<engine>1.1.26080</engine>", "<engine>"),
        ("<engine>1.1.26080.3.4</engine>", "<engine>"),
        ("<engine>1.1.26080.</engine>", "<engine>"),
        ("<engine>1.1.26080.3-rc</engine>", "<engine>"),
        ("<engine>v1.1.26080.3</engine>", "<engine>"),
        ("<engine>$(id)</engine>", "<engine>"),
        ("<engine>1.1. 26080.3</engine>", "<engine>"),
        ("<engine><b>1.1.26080.3</b></engine>", "elements inside"),
        ("<engine>1.1.26080.3<b/></engine>", "elements inside"),
        ("<engine version='1.1.26080.3'/>", "<engine>"),
        ("<Engine>1.1.26080.3</Engine>", "no <engine>"),
        ("", "no <engine>"),
        ("<engine>1.1.26080.3</engine><engine>1.1.26080.4</engine>", "twice"),
    ] {
        no_info(ONE_LINE.replace("<engine>1.1.26080.3</engine>", engine).as_bytes(), expected);
    }
    let swapped = ONE_LINE
        .replace("1.459.553.0", "X")
        .replace("2026-10-04 03:12:45Z", "1.459.553.0")
        .replace('X', "2026-10-04 03:12:45Z");
    no_info(swapped.as_bytes(), "<signatures>");
    no_info(ONE_LINE.replace("1.459.553.0", &"1.".repeat(100)).as_bytes(), "<signatures>");
}

fn utf16(text: &str) -> Vec<u8> {
    [0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect()
}

#[test]
fn companions_of_both_scripts() {
    let jq = "{\n  \"EngineVersion\": \"1.1.26080.3\",\n  \"DefinitionVersion\": \"1.459.553.0\"\n}\n";
    let shell = "{\r\n    \"DefinitionVersion\":  \"1.459.553.0\",\r\n    \"EngineVersion\":  \"1.1.26080.3\"\r\n}\r\n";
    for form in [jq.into(), shell.into(), format!("\u{feff}{shell}").into_bytes(), utf16(shell)] {
        let version = companion::parse(&form).unwrap();
        assert_eq!(version.to_string(), "1.459.553.0 (engine 1.1.26080.3)");
        let written = companion::write(version.engine.as_ref().unwrap(), &version.version);
        assert_eq!(written, jq, "byte for byte as jq writes it");
    }
}

#[test]
fn companions_that_are_none_u55() {
    let good = r#"{"EngineVersion":"1.1.26080.3","DefinitionVersion":"1.459.553.0"}"#;
    for (bad, expected) in [
        (r#"{"EngineVersion":"","DefinitionVersion":""}"#, "download failed"),
        (r#"{"EngineVersion":"1.1.26080.3","DefinitionVersion":" "}"#, "download failed"),
        (r#"{"EngineVersion":"<signatures date=\"x\">","DefinitionVersion":"1.459.553.0"}"#, "four numbers"),
        (r#"{"EngineVersion":"1.1.26080.3"}"#, "JSON"),
        (r#"{"EngineVersion":1,"DefinitionVersion":"1.459.553.0"}"#, "JSON"),
        (
            r#"{"EngineVersion":"1.1.26080.3","EngineVersion":"1.1.26080.4","DefinitionVersion":"1.459.553.0"}"#,
            "duplicate",
        ),
        ("", "JSON"),
        ("null", "JSON"),
        ("[]", "JSON"),
        ("<html>", "JSON"),
    ] {
        let error = companion::parse(bad.as_bytes()).unwrap_err();
        assert!(error.contains(expected), "{error} for {bad}");
    }
    assert!(companion::parse(&utf16(good)[..51]).is_err());
    assert!(companion::parse(&[0xff, 0xfe, 0x00, 0xd8]).is_err());
    assert!(companion::parse(&[b"\xff".as_slice(), good.as_bytes()].concat()).is_err());
    assert!(companion::parse(format!("{good}{}", " ".repeat(1 << 20)).as_bytes()).is_err());
    for cut in 0..good.len() {
        assert!(companion::parse(&good.as_bytes()[..cut]).is_err());
    }
    assert!(companion::parse("[".repeat(60_000).as_bytes()).is_err());
}

proptest::proptest! {
    #[test]
    fn any_bytes_c35(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        let _ = (info::parse(&bytes), companion::parse(&bytes));
    }

    #[test]
    fn any_text_in_any_place_c35(a in "\\PC{0,20}", b in "[<>&;/!?a-c\"' =\\[\\]-]{0,30}") {
        for text in [a, b] {
            let _ = info::parse(ONE_LINE.replace("1.1.26080.3", &text).as_bytes());
            let _ = info::parse(ONE_LINE.replace("<platform>", &text).as_bytes());
        }
    }
}
