//! What a book keeps, and for whom.

use mirror::Learned as _;

use super::*;
use crate::state::ForwardedFile;

fn feed(text: &str) -> FeedId {
    text.parse().unwrap()
}

fn book(dir: &Path) -> Book {
    Book::new(dir, Keeping { forwarded_bytes: 100, ..Keeping::default() })
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

#[test]
fn what_is_learned_is_known_to_other_processes_and_capped() {
    let dir = tempfile::tempdir().unwrap();
    let (one, other) = (book(dir.path()), book(dir.path()));
    assert_eq!(other.feeds(), Some(Vec::new()));
    assert!(one.learn(&feed("elastic/9.0.0"), Why::Asked, at(1), 2).unwrap());
    assert!(!one.learn(&feed("elastic/9.0.0"), Why::Asked, at(1), 2).unwrap());
    assert!(other.learn(&feed("elastic/9.0.1"), Why::Operator, at(2), 2).unwrap());
    assert!(matches!(one.learn(&feed("elastic/9.0.2"), Why::Asked, at(3), 2), Err(BookError::Full { .. })));
    for book in [&one, &other] {
        assert_eq!(book.feeds(), Some(vec![feed("elastic/9.0.0"), feed("elastic/9.0.1")]));
    }
    assert!(one.forget(&feed("elastic/9.0.0")).unwrap() && !other.forget(&feed("elastic/9.0.0")).unwrap());
    assert_eq!(other.feeds(), Some(vec![feed("elastic/9.0.1")]));
}

#[test]
fn what_the_configuration_names_by_now_takes_no_room_whatever_it_was_learned_for() {
    let dir = tempfile::tempdir().unwrap();
    let book = book(dir.path());
    book.learn(&feed("elastic/8.19.1"), Why::Operator, at(1), 2).unwrap();
    book.learn(&feed("elastic/9.0.0"), Why::Asked, at(1), 2).unwrap();
    assert!(book.is_full(2).unwrap());
    let line = crate::Pattern { name: "8.19.*".to_owned(), line: "8.19".to_owned() };
    let named = Named { feeds: vec![feed("elastic/9.0.0")], patterns: vec![line] };
    book.keep(Keeping { named, ..Keeping::default() });
    assert!(!book.is_full(1).unwrap());
    assert!(book.learn(&feed("elastic/9.1.2/candidate"), Why::Operator, at(2), 1).unwrap());
    assert!(book.learn(&feed("elastic/8.19.2"), Why::Operator, at(2), 1).unwrap());
    let learned = book.learn(&feed("elastic/9.1.3"), Why::Operator, at(2), 1);
    assert!(matches!(learned, Err(BookError::Full { learned: 1, .. })), "{learned:?}");
}

#[test]
fn what_is_tried_is_followed_meanwhile_and_not_written_down() {
    let dir = tempfile::tempdir().unwrap();
    let book = book(dir.path());
    let (one, two) = (book.try_out(&feed("elastic/9.0.0"), None), book.try_out(&feed("elastic/9.0.0"), None));
    drop(one);
    assert_eq!(book.feeds(), Some(vec![feed("elastic/9.0.0")]));
    drop(two);
    assert_eq!(book.feeds(), Some(Vec::new()));
    assert!(!dir.path().join(FOLDER).exists());
}

fn terms(most: usize) -> Option<Terms> {
    Some(Terms { why: Why::Asked, most, at: at(7) })
}

#[test]
fn of_all_that_are_tried_at_once_as_many_are_followed_as_there_is_room_for_i2() {
    let dir = tempfile::tempdir().unwrap();
    let book = book(dir.path());
    let (first, second) = (feed("elastic/9.0.0"), feed("elastic/9.1.0"));
    let (one, two) = (book.try_out(&first, terms(1)), book.try_out(&second, terms(1)));
    assert_eq!(book.offered(&first), Ok(()));
    let refused = book.offered(&second).unwrap_err();
    assert_eq!(refused.reason, model::Reason::LearnedFull, "{refused:?}");
    assert_eq!((one.was_learned(), two.was_learned()), (true, false));
    assert_eq!(book.offered(&first), Ok(()), "it is followed by now");
    drop((one, two));
    assert_eq!(book.feeds(), Some(vec![first]));
    assert_eq!(book.offered(&feed("elastic/9.2.0")), Ok(()), "nobody tries it: the configuration names it");
}

#[test]
fn a_book_that_supposes_goes_on_from_what_is_known_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let book = book(dir.path());
    book.learn(&feed("elastic/9.0.0"), Why::Operator, at(1), 2).unwrap();
    let supposing = Book::supposing(dir.path(), Keeping::default());
    assert!(supposing.learn(&feed("elastic/9.1.0"), Why::Asked, at(2), 2).unwrap());
    assert!(matches!(supposing.learn(&feed("elastic/9.2.0"), Why::Asked, at(2), 2), Err(BookError::Full { .. })));
    assert_eq!(supposing.feeds(), Some(vec![feed("elastic/9.0.0"), feed("elastic/9.1.0")]));
    assert_eq!(book.feeds(), Some(vec![feed("elastic/9.0.0")]));
    let empty = dir.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    Book::supposing(&empty, Keeping::default()).learn(&feed("elastic/9.1.0"), Why::Asked, at(2), 2).unwrap();
    assert!(!empty.join(FOLDER).exists());
}

#[test]
fn nothing_is_written_that_would_not_read_any_more_s41() {
    let dir = tempfile::tempdir().unwrap();
    let book = book(dir.path());
    assert!(!book.guess(&"x".repeat(4 << 20)).unwrap());
    book.learn(&feed("elastic/9.0.0"), Why::Operator, at(1), 2).unwrap();
    let grown = book.note_probed(&"x".repeat(9 << 20), at(2));
    assert!(matches!(grown, Err(BookError::TooMuch { .. })), "{grown:?}");
    assert_eq!(book.feeds(), Some(vec![feed("elastic/9.0.0")]));
}

#[test]
fn a_damaged_book_says_nothing_instead_of_none_s41() {
    let dir = tempfile::tempdir().unwrap();
    let book = book(dir.path());
    book.learn(&feed("elastic/9.0.0"), Why::Asked, at(1), 2).unwrap();
    std::fs::write(dir.path().join(FOLDER).join(LEARNED), "{\"form\":9}").unwrap();
    assert_eq!(book.feeds(), None);
    assert!(matches!(book.learn(&feed("elastic/9.0.1"), Why::Asked, at(1), 2), Err(BookError::Damaged { .. })));
}

fn forwarded(number: i64) -> ForwardedFile {
    ForwardedFile {
        route: format!("/downloads/{number}").parse().unwrap(),
        digest: Some(model::Digest::of(&[0])),
        size: 40,
        fetched_at: at(number),
        brought: None,
        confirmed_at: None,
        is_copy: false,
        missed: 0,
    }
}

#[test]
fn what_is_served_is_known_anew_before_the_first_change_where_what_was_learned_is_lost_s41() {
    let dir = tempfile::tempdir().unwrap();
    let book = book(dir.path());
    let paths = || book.forwarded().iter().map(|file| file.route.to_string()).collect::<Vec<_>>();
    book.change_forwarded((7, vec![forwarded(1)]), |files| files.push(forwarded(2))).unwrap();
    assert_eq!(
        (paths(), book.state().unwrap().serial),
        (vec!["/downloads/1".to_owned(), "/downloads/2".to_owned()], 8)
    );
    let (path, digest) = ("/downloads/1".parse().unwrap(), model::Digest::of(&[0]));
    assert!(!book.is_copy(&path, &digest));
    book.settle_forwarded(|files| files[0].is_copy = true).unwrap();
    assert!(book.is_copy(&path, &digest) && !book.is_copy(&path, &model::Digest::of(&[1])));
    // From then on the book says what there is: what left is not taken up once more.
    book.change_forwarded((8, vec![forwarded(1)]), |files| files.retain(|file| file.fetched_at == at(2))).unwrap();
    assert_eq!(paths(), ["/downloads/2"]);
}

#[test]
fn a_list_that_does_not_read_begins_anew_with_what_is_gathered_and_is_told_once_s41() {
    let dir = tempfile::tempdir().unwrap();
    let (book, spool) = (book(dir.path()), dir.path().join("spool"));
    let settings = vendors::elastic::ElasticSettings::default();
    let path: model::RoutePath = "/downloads/endpoint/manifest/artifacts-9.1.0.zip".parse().unwrap();
    let gather = || crate::collect(&book, &spool, &settings, at(9));
    std::fs::create_dir(dir.path().join(FOLDER)).unwrap();
    std::fs::write(dir.path().join(FOLDER).join(WANTED), "{").unwrap();
    gather().unwrap();
    assert!(book.wanted().is_err(), "nothing came: it is left as it is");
    let seen = crate::Seen { ring: model::RingName::broad(), path: path.clone(), count: 1, first: at(8), last: at(8) };
    crate::Spool::new(spool.clone()).make().unwrap();
    crate::Spool::new(spool.clone()).put(&[seen]).unwrap();
    let Err(BookError::Anew { aside, .. }) = gather() else { panic!("it is told") };
    assert_eq!(std::fs::read(&aside).unwrap(), b"{", "it may be a newer version's");
    assert_eq!(book.wanted().unwrap().entries()[0].path, path);
    gather().unwrap();
}

#[test]
fn what_cannot_be_read_now_is_left_as_it_is_s41() {
    let dir = tempfile::tempdir().unwrap();
    let (book, spool) = (book(dir.path()), dir.path().join("spool"));
    let list = dir.path().join(FOLDER).join(WANTED);
    std::fs::create_dir_all(&list).unwrap();
    let path = "/downloads/endpoint/manifest/artifacts-9.1.0.zip".parse().unwrap();
    let seen = crate::Seen { ring: model::RingName::broad(), path, count: 1, first: at(8), last: at(8) };
    crate::Spool::new(spool.clone()).make().unwrap();
    crate::Spool::new(spool.clone()).put(&[seen]).unwrap();
    let gather = || crate::collect(&book, &spool, &vendors::elastic::ElasticSettings::default(), at(9));
    assert!(matches!(gather(), Err(BookError::Folder(_))) && list.is_dir());
    std::fs::remove_dir(&list).unwrap();
    gather().unwrap();
    assert_eq!(book.wanted().unwrap().entries().len(), 1, "what was gathered waited for that");

    let unreadable = || std::fs::File::options().write(true).open(&list).unwrap();
    assert!(matches!(book.whole(WANTED, unreadable()), Err(BookError::Read { .. })));
    std::fs::write(&list, [0xff]).unwrap();
    assert!(matches!(book.wanted(), Err(BookError::Damaged { .. })));
}

#[test]
fn forwarded_paths_stay_below_their_bytes_i6() {
    let dir = tempfile::tempdir().unwrap();
    let book = book(dir.path());
    for number in 0..5 {
        let file = forwarded(number);
        book.change_forwarded((0, Vec::new()), |files| files.push(file)).unwrap();
    }
    let left: Vec<String> = book.forwarded().iter().map(|file| file.route.to_string()).collect();
    assert_eq!(left, ["/downloads/3", "/downloads/4"]);
    assert_eq!(book.state().unwrap().serial, 5);
    assert_eq!(book.feeds(), Some(vec![feed("elastic/forwarded")]));
    // Whatever was forgotten of how far was counted.
    book.change_forwarded((9, Vec::new()), |_| ()).unwrap();
    assert_eq!(book.state().unwrap().serial, 10);
}

#[test]
fn a_clock_that_was_ahead_keeps_no_pattern_from_being_asked_for_s28() {
    let dir = tempfile::tempdir().unwrap();
    let (book, every) = (book(dir.path()), std::time::Duration::from_secs(60));
    assert!(book.is_probe_due("9.2.*", at(1), every));
    book.note_probed("9.2.*", at(1000)).unwrap();
    assert!(!book.is_probe_due("9.2.*", at(1000), every) && book.is_probe_due("9.2.*", at(1), every));
    book.note_probed("9.2.*", at(1)).unwrap();
    assert!(!book.is_probe_due("9.2.*", at(60), every) && book.is_probe_due("9.2.*", at(61), every));
}
