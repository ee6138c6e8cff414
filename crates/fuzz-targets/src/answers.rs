//! What vendors' hosts answer: heads, waits, redirects; and where templates of addresses lead.

use std::time::Duration;

use model::{FeedId, RoutePath, Timestamp, Vendor, parse_http_date};
use outbound::fuzzing::{self, Taken};
use outbound::{RangeAsk, Request};
use url::Url;
use vendors::{Event, Memory, Settings, SourceKind, Step};

use crate::fit_to_show;

const NOW: Timestamp = Timestamp::from_micros(784_111_777_000_000);
const DAY: Duration = Duration::from_secs(86_400);

/// A line with a status and what was asked (`206 from=10`, `304 if`), then fields, one a line: a head is taken only
/// if it can be framed and understood in one way, and what it says is what was asked for.
pub fn answer_head(bytes: &[u8]) {
    let mut lines = bytes.split(|byte| *byte == b'\n');
    let first = String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let mut words = first.split(' ');
    let status = words.next().and_then(|word| word.parse().ok()).unwrap_or(200);
    let from = words.clone().find_map(|word| word.strip_prefix("from=")?.parse::<u64>().ok());
    let conditional = words.any(|word| word == "if");
    let fields: Vec<(&[u8], &[u8])> = lines.take(64).filter_map(field).collect();
    let mut request = Request::get(home());
    request.if_none_match = conditional.then(|| "\"a\"".to_owned());
    request.range = from.map(|from| RangeAsk { from, if_range: None });
    match fuzzing::answer(&request, status, &fields, NOW) {
        Taken::Answer(length, part) => {
            framed(&fields, length, status);
            match (status, part) {
                (200, None) => {}
                (304, None) => assert!(conditional && length.is_none()),
                (206, Some(part)) => {
                    assert_eq!(Some(part.first), from);
                    assert!(part.first <= part.last && part.total.is_none_or(|total| part.last < total));
                    assert!(length.is_none_or(|length| part.first.checked_add(length) == part.last.checked_add(1)));
                }
                other => panic!("taken: {other:?}"),
            }
        }
        Taken::Redirect(to) => {
            assert!(matches!(status, 301 | 302 | 303 | 307 | 308) && all(&fields, "location").len() == 1);
            redirected(&to);
        }
        Taken::Refused { detail, wait, .. } => {
            fit_to_show(&detail);
            assert!(wait.is_none_or(|wait| wait <= DAY), "{wait:?}");
        }
    }
}

fn home() -> Url {
    Url::parse("https://first.test/a/b").expect("a URL")
}

fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    Some((line.get(..colon)?, line.get(colon + 1..)?.trim_ascii()))
}

/// The values of a field, of those that an HTTP library lets through.
fn all<'a>(fields: &[(&'a [u8], &'a [u8])], name: &str) -> Vec<&'a [u8]> {
    let clean = |value: &&[u8]| value.iter().all(|byte| *byte == b'\t' || (*byte >= 0x20 && *byte != 0x7f));
    let named = fields.iter().filter(|(one, _)| one.eq_ignore_ascii_case(name.as_bytes()));
    named.map(|(_, value)| *value).filter(clean).collect()
}

fn framed(fields: &[(&[u8], &[u8])], length: Option<u64>, status: u16) {
    let (lengths, codings) = (all(fields, "content-length"), all(fields, "transfer-encoding"));
    assert!(lengths.len() + codings.len() <= 1, "framed in two ways");
    assert!(codings.iter().all(|coding| coding.eq_ignore_ascii_case(b"chunked")));
    let said = lengths.first().map(|text| std::str::from_utf8(text).unwrap_or_default());
    assert!(said.is_none_or(|said| said.bytes().all(|byte| byte.is_ascii_digit())), "a length that is no number");
    let expected = said.filter(|_| status != 304).map(|said| said.parse::<u64>());
    assert_eq!(length.map(Ok), expected, "another length than was said");
    let plain = all(fields, "content-encoding").iter().all(|coding| coding.eq_ignore_ascii_case(b"identity"));
    assert!(plain || status == 304, "encoded");
}

/// Any text as a place that a redirect leads to: it is followed to hosts of the list alone, over https alone.
pub fn redirect_location(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        redirected(text);
    }
}

fn redirected(to: &str) {
    match fuzzing::redirect(&home(), to, &["cdn.test".to_owned(), "*.wide.test".to_owned()]) {
        Ok(url) => {
            let host = url.host_str().unwrap_or_default().trim_end_matches('.').to_owned();
            assert!(matches!(host.as_str(), "first.test" | "cdn.test") || host.ends_with(".wide.test"), "{url}");
            assert_eq!((url.scheme(), url.username(), url.password(), url.fragment()), ("https", "", None, None));
        }
        Err(why) => fit_to_show(&why),
    }
}

/// Any bytes as a Retry-After: seconds or a date, and never more than a day.
pub fn retry_after(bytes: &[u8]) {
    let fields: [(&[u8], &[u8]); 1] = [(b"retry-after", bytes)];
    let Taken::Refused { wait, .. } = fuzzing::answer(&Request::get(home()), 429, &fields, NOW) else {
        panic!("429 was taken for an answer")
    };
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.bytes().all(|b| matches!(b, b'\t' | 0x20..=0x7e)));
    let text = text.map(str::trim).filter(|text| !text.is_empty());
    let expected = text.and_then(|text| {
        let seconds = text.bytes().all(|byte| byte.is_ascii_digit());
        if seconds {
            // More digits than a day has are more than a day.
            let digits = text.trim_start_matches('0');
            let seconds = if digits.len() > 9 { u64::MAX } else { digits.parse().unwrap_or(0) };
            return Some(Duration::from_secs(seconds).min(DAY));
        }
        parse_http_date(text).map(|at| at.min(NOW.after(DAY)).since(NOW))
    });
    assert_eq!(wait, expected, "{text:?}");
}

/// Lines as the templates of a configuration: each feed has a plain path or none, and words say why.
pub fn url_template(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let mut lines = text.split('\n').map(str::to_owned);
    let mut settings = Settings::default();
    if let Some(first) = lines.next() {
        settings.elastic.manifest_template = first;
    }
    let rest: Vec<String> = lines.take(4).collect();
    settings.elastic.dated_templates.clone_from(&rest);
    settings.elastic.track_templates = rest;
    let module = vendors::registry(Vendor::Elastic);
    for feed in [
        "elastic/9.0.0",
        "elastic/9.0.0/candidate",
        "elastic/8.18.3@2026-01-15",
        "elastic/9.0.0-beta1/candidate@2026-01-15",
    ] {
        let feed: FeedId = feed.parse().expect("a feed's name");
        match module.configured(&feed, &settings) {
            Ok(()) => {
                let mut session = module.session(&feed, &settings, SourceKind::Vendor, Memory::default());
                let Step::Ask(ask) = session.next(Event::Start) else { panic!("{feed} asks for nothing") };
                assert!(ask.target.0.parse::<RoutePath>().is_ok(), "{feed}: {:?}", ask.target.0);
            }
            Err(why) => fit_to_show(&why),
        }
    }
}
