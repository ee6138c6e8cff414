use proptest::prelude::*;

use super::*;

#[track_caller]
fn check_refused(text: impl AsRef<[u8]>, expected: &str) {
    let error = parse(text.as_ref(), &Limits::default()).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn members_keep_their_order_and_unknown_ones_stay() {
    let text = r#"{"b":1,"a":[true,null,-2,1.5,"x"],"c":{"b":{}}}"#;
    assert_eq!(parse(text.as_bytes(), &Limits::default()).unwrap().to_string(), text);
}

#[test]
fn a_key_twice_at_any_level_is_refused_c12() {
    check_refused(r#"{"a":1,"a":1}"#, "the key 'a' is there twice");
    check_refused(r#"{"x":{"a":1,"b":2,"a":3}}"#, "twice");
    check_refused(r#"[[[{"x":[{"a":1,"\u0061":3}]}]]]"#, "twice");
    check_refused("{\"\u{1b}[2J\":1,\"\u{1b}[2J\":1}".replace('\u{1b}', "\\u001b"), "\\u{1b}[2J");
    assert!(parse(br#"{"a":{"a":{"a":1}},"A":2}"#, &Limits::default()).is_ok());
}

#[test]
fn nesting_is_capped_on_a_small_stack_c13() {
    let nested = |depth: usize, open: &str, close: &str| format!("{}1{}", open.repeat(depth), close.repeat(depth));
    assert!(parse(nested(32, "[", "]").as_bytes(), &Limits::default()).is_ok());
    let small = std::thread::Builder::new().stack_size(256 << 10);
    let run = move || {
        for depth in [33, 200, 100_000] {
            check_refused(nested(depth, "[", "]"), "nested deeper than 32");
            check_refused(nested(depth, "{\"a\":", "}"), "nested deeper than 32");
            check_refused("[".repeat(depth), "nested deeper than 32");
        }
    };
    small.spawn(run).unwrap().join().unwrap();
}

#[test]
fn values_are_counted_c14() {
    let many = |count: usize| format!("[{}]", vec!["0"; count].join(","));
    assert!(parse(many(199_999).as_bytes(), &Limits::default()).is_ok());
    check_refused(many(200_000), "more than 200000 values");
    let members: Vec<String> = (0..200_000).map(|index| format!("\"{index}\":{{}}")).collect();
    check_refused(format!("{{{}}}", members.join(",")), "more than 200000 values");
}

#[test]
fn sizes_are_whole_and_exact_in_every_reader_c15() {
    let size_of = |text: &str| parse(text.as_bytes(), &Limits::default()).ok().as_ref().and_then(size);
    for (text, expected) in [
        ("0", Some(0)),
        ("12", Some(12)),
        ("9007199254740991", Some((1 << 53) - 1)),
        ("9007199254740992", None),
        ("9007199254740993", None),
        ("18446744073709551615", None),
        ("18446744073709551616", None),
        ("-1", None),
        ("-0", None),
        ("1.5", None),
        ("1.0", None),
        ("1e2", None),
        ("1e400", None),
        ("01", None),
        ("+1", None),
        ("0x10", None),
        ("\"12\"", None),
        ("NaN", None),
        ("Infinity", None),
        ("null", None),
        ("true", None),
    ] {
        assert_eq!(size_of(text), expected, "{text}");
    }
}

#[test]
fn only_utf8_without_a_mark_c17() {
    check_refused(b"\xef\xbb\xbf{}", "byte order mark");
    check_refused(b"\xff\xfe{\0}\0", "not UTF-8 at byte 0");
    check_refused(b"{\0}\0", "");
    check_refused(b"{\"a\":\"\xc0\xae\"}", "not UTF-8 at byte 6");
    check_refused(b"{\"a\":\"\xed\xa0\x80\"}", "not UTF-8");
    check_refused(br#"{"a":"\ud800"}"#, "");
    check_refused(br#"{"a":"\udc00\ud800"}"#, "");
    check_refused(b"{\"a\":\"\n\"}", "");
}

#[test]
fn lengths_are_capped_c20() {
    let limits = Limits { bytes: 1 << 20, ..Limits::default() };
    let white = format!("{}1", " ".repeat(1 << 20));
    assert_eq!(parse(white.as_bytes(), &limits).unwrap_err().to_string(), "has more than 1048576 bytes");
    check_refused(format!("\"{}\"", "x".repeat((64 << 10) + 1)), "a string of more than 65536 bytes");
    check_refused(format!("{{\"{}\":1}}", "x".repeat((64 << 10) + 1)), "a string of more than 65536 bytes");
}

#[test]
fn nothing_may_follow_or_lack() {
    for text in ["", " ", "{", "{}{}", "{} x", "{},", "[1,]", "{\"a\":1,}", "{a:1}", "{'a':1}", "// c\n{}", "{}\0"] {
        check_refused(text, "");
    }
    assert!(parse(b" \r\n\t{} \n", &Limits::default()).is_ok());
}

proptest! {
    #[test]
    fn any_bytes_end_in_a_value_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        let _ = parse(&bytes, &Limits::default());
    }

    #[test]
    fn json_like_text_ends_in_what_serde_json_reads_or_an_error(text in "[\\[\\]{},:\"a1e. \\\\u-]{0,64}") {
        if let Ok(value) = parse(text.as_bytes(), &Limits::default()) {
            let other: Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(value, other);
        }
    }
}
