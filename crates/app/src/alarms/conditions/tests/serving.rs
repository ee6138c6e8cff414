//! What is wrong with what endpoints are served, and with the files of listeners.

use content_http::{CertificateFacts, FileKind, RingStats, Stats};

use super::*;

pub(super) fn stats(broken: usize, refused: Option<&str>) -> Stats {
    Stats {
        requests: Vec::new(),
        troubles: Vec::new(),
        bytes_sent: 0,
        connections_open: 0,
        connections_most: 0,
        connections_total: 0,
        rings: vec![RingStats {
            ring: RingName::broad(),
            generation: Some(1),
            published: None,
            routes: 9,
            broken,
            refused: refused.map(|why| Note { reason: Reason::GenerationRefused, detail: why.to_owned() }),
        }],
        certificates: Vec::new(),
        since: now(),
    }
}

/// Nothing but these figures is known.
pub(super) fn content_of(stats: &Stats) -> Content<'_> {
    Content { stats, asked: None, stopped_looking: None, lost: None }
}

fn file(kind: FileKind, end: Option<Timestamp>, refused: Option<&str>) -> CertificateFacts {
    let (listener, refused) = (([10, 0, 0, 1], 8443).into(), refused.map(str::to_owned));
    let path = "/c.pem".into();
    CertificateFacts {
        kind,
        listener,
        path,
        not_before: None,
        begins: None,
        not_after: end,
        whose: None,
        refused,
        nobody: None,
    }
}

fn content(stats: &Stats, file: &CertificateFacts, asked: Option<Timestamp>) -> Vec<String> {
    let stats = Stats { certificates: vec![file.clone()], ..stats.clone() };
    seen(&of_content(&Content { asked, ..content_of(&stats) }, now(), &rules()))
}

#[test]
fn lines_that_are_lost_are_a_warning_s32() {
    let stats = stats(0, None);
    let conditions = of_content(&Content { lost: Some((now(), 9)), ..content_of(&stats) }, now(), &rules());
    assert_eq!(seen(&conditions), ["warn access_log_lost access_log"]);
    assert!(conditions[0].detail().starts_with("9 lines were lost since 2026-11-20T12:00:00Z"), "{conditions:?}");
}

#[test]
fn the_content_side_v23() {
    let fine = file(FileKind::Certificate, None, None);
    assert!(content(&stats(0, None), &fine, None).is_empty());
    assert_eq!(
        content(&stats(2, Some("gone")), &fine, None),
        ["fail generation_refused generation_refused/broad", "fail routes_broken routes_broken/broad"]
    );
    for (days, expected) in [(30, None), (20, Some("warn")), (6, Some("fail")), (-1, Some("fail"))] {
        let span = Duration::from_secs(86_400 * u64::try_from(i64::abs(days)).unwrap());
        let end = if days < 0 { now().before(span) } else { now().after(span) };
        let expected: Vec<String> =
            expected.iter().map(|level| format!("{level} certificate_expiring certificate_expiring//c.pem")).collect();
        for kind in [FileKind::Certificate, FileKind::ClientCa, FileKind::ClientCrl] {
            assert_eq!(content(&stats(0, None), &file(kind, Some(end), None), None), expected, "{days}");
        }
    }
    // A list that is made anew each day, for a week.
    let list = |hours: u64| {
        let end = now().after(HOUR * u32::try_from(hours).unwrap());
        let not_before = Some(end.before(24 * 7 * HOUR));
        CertificateFacts { not_before, ..file(FileKind::ClientCrl, Some(end), None) }
    };
    for (hours, expected) in [(144, None), (43, None), (42, Some("warn")), (17, Some("warn")), (16, Some("fail"))] {
        let expected: Vec<String> =
            expected.iter().map(|level| format!("{level} certificate_expiring certificate_expiring//c.pem")).collect();
        assert_eq!(content(&stats(0, None), &list(hours), None), expected, "{hours}");
    }
    let end = Some(now().after(2400 * HOUR));
    for (begins, expected) in [(now(), None), (now().after(HOUR), Some("fail"))] {
        let early = CertificateFacts { begins: Some(begins), ..file(FileKind::Certificate, end, None) };
        let expected: Vec<String> =
            expected.iter().map(|level| format!("{level} certificate_expiring certificate_expiring//c.pem")).collect();
        assert_eq!(content(&stats(0, None), &early, None), expected, "{begins}");
    }
    assert_eq!(
        content(&stats(0, None), &file(FileKind::Certificate, None, Some("no key")), None),
        ["warn certificate_refused certificate_refused//c.pem"]
    );
    let bare = CertificateFacts { nobody: Some("no list".to_owned()), ..file(FileKind::ClientCrl, None, None) };
    assert_eq!(content(&stats(0, None), &bare, None), ["fail certificate_refused certificate_refused//c.pem"]);
}

#[test]
fn endpoints_are_silent_only_after_one_has_asked() {
    let (stats, fine) = (stats(0, None), file(FileKind::Certificate, None, None));
    assert!(content(&stats, &fine, None).is_empty());
    assert!(content(&stats, &fine, Some(now().before(24 * HOUR))).is_empty());
    assert_eq!(content(&stats, &fine, Some(now().before(25 * HOUR))), ["warn endpoints_silent endpoints_silent"]);
}
