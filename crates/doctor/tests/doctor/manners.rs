//! Mirrors that hold the right bytes and speak HTTP wrongly; each must be found, and nothing else.

use Check::*;
use Level::{Fail, Warn};
use doctor::{Check, Level};

use crate::content::{DEFENDER, ELASTIC, examination, expect, files, run};
use crate::mirror::{Mirror, Wrong};

/// A mirror that is wrong in one way, and what is to be found.
async fn check(wrong: Wrong, expected: &[(Check, Level)]) {
    let mirror = Mirror::start(files(), &[wrong], None).await;
    expect(&run(&examination(&mirror.url(), &[ELASTIC, DEFENDER])).await, expected);
}

macro_rules! faults {
    ($($name:ident: $wrong:ident => [$($check:ident $level:ident),*];)*) => {$(
        #[tokio::test]
        async fn $name() {
            check(Wrong::$wrong, &[$(($check, $level)),*]).await;
        }
    )*};
}

#[tokio::test]
async fn a_mirror_that_is_right_has_no_trouble() {
    let mirror = Mirror::start(files(), &[], None).await;
    let report = run(&examination(&mirror.url(), &[ELASTIC, DEFENDER])).await;
    expect(&report, &[]);
    assert_eq!(report.level, Level::Ok);
    assert_eq!(report.feeds.len(), 2);
    assert!(report.feeds.iter().all(|feed| feed.vendor_version.is_some() && feed.files >= 2));
    assert!(report.feeds[0].checked.as_ref().unwrap().starts_with("vendor-signed"));
    for check in [RoundTrip, NotModified, IfNoneMatchList, Head, Ranges, IfRange, Coding, Base, Back, CompanionAgrees] {
        assert!(report.findings.iter().any(|finding| finding.check == check), "{check} was not looked at");
    }
}

faults! {
    a_tag_with_a_hyphen_v27: EtagHyphen => [EtagHyphen Warn, EtagHyphen Fail];
    a_weak_tag_v27: EtagWeak => [EtagForm Warn];
    a_tag_without_quotes_v27: EtagUnquoted => [EtagForm Warn];
    no_tag_v27: EtagMissing => [EtagMissing Warn, EtagMissing Fail];
    a_tag_that_is_another_each_time_v27: EtagUnstable => [Update Warn, EtagStable Warn, RoundTrip Warn, IfRange Warn];
    one_tag_for_all_files_v27: EtagShared => [EtagShared Fail];
    a_tag_that_the_release_before_has_too_v27: EtagOfBack => [EtagShared Fail];
    a_tag_that_does_not_come_back_as_304_v27: NoRoundTrip => [RoundTrip Warn];
    a_304_whatever_is_asked_v15: Always304 => [NotModified Fail];
    a_list_of_tags_is_not_understood_v15: OnlyPlainTags => [IfNoneMatchList Warn];
    head_is_refused: HeadRefused => [Base Warn, Update Warn, Head Warn, DoubleSlash Warn];
    head_says_another_length: HeadLength => [Head Warn];
    ranges_are_ignored_v14: RangesIgnored => [Ranges Warn];
    a_part_of_other_bytes_v14: RangeBytes => [RangeBytes Fail];
    a_part_from_elsewhere_v14: RangePlace => [RangeBytes Fail];
    a_part_behind_the_end_v14: BehindTheEnd => [RangeUnsatisfiable Warn];
    if_range_is_ignored_v15: IfRangeIgnored => [IfRange Fail];
    bytes_are_compressed_for_who_can_unpack_v29: Gzip => [Coding Fail];
    bytes_are_compressed_unasked_v29: GzipUnasked => [Coding Fail];
    files_are_redirected: Redirect => [Redirect Fail];
    a_body_has_no_length: Chunked => [Length Warn];
    a_body_is_cut_u02: CutBody => [ArtifactCut Fail];
    a_cache_answers_with_old_bytes: Stale => [Caching Warn];
    a_manifest_may_be_cached_for_a_year: Immutable => [Caching Warn];
    bases_are_404: NoBases => [Base Warn];
    folders_are_listed_v30: Listing => [Listing Warn];
    a_connection_takes_one_request: OneRequest => [KeepAlive Warn];
    http_1_0_is_refused_v19: NotOld => [Http10 Warn];
    a_doubled_slash_is_404: OneSlash => [DoubleSlash Warn];
    the_server_clock_is_off_by_an_hour_u54: DateOff => [Date Warn];
    a_companion_is_older_than_its_archive: CompanionOld => [CompanionAgrees Warn];
    who_comes_is_asked_of_everybody_v34: AsksWhoComes => [Status Fail];
    nobody_is_let_in_from_here_v33: LetsNobodyIn => [Status Fail];
    every_connection_is_closed_without_an_answer_v33: SaysNothing => [Status Fail];
    something_else_than_http_listens_v19: NotHttp => [Base Warn, Status Fail];
}

#[tokio::test]
async fn nobody_listens() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    expect(&run(&examination(&format!("http://{closed}"), &[ELASTIC])).await, &[(Reached, Fail)]);
}

#[tokio::test]
async fn a_mirror_that_says_nothing_ends_the_look_in_time_u25() {
    let mirror = Mirror::start(files(), &[Wrong::Silent], None).await;
    let mut examination = examination(&mirror.url(), &[ELASTIC]);
    examination.deadline = std::time::Duration::from_millis(300);
    let report = run(&examination).await;
    assert!(report.findings.iter().any(|finding| finding.check == Deadline && finding.level == Fail));
}
