//! What lies beyond the index: a client may wait for it, and routes may carry what another server says of them.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use content_http::{After, Beyond, Face, Instead};
use model::{Digest, FeedId, RingName, RoutePath, Timestamp};
use tokio::sync::watch;

use crate::harness::{Site, until};

/// Answers by the name of the path, and remembers what was asked.
struct Desk {
    asked: Mutex<Vec<String>>,
    landed: watch::Sender<Option<After>>,
    confirmed: Arc<AtomicI64>,
    polled: Arc<AtomicBool>,
}

impl Desk {
    fn new() -> Arc<Self> {
        let (asked, landed) = (Mutex::default(), watch::Sender::new(None));
        Arc::new(Self { asked, landed, confirmed: Arc::default(), polled: Arc::default() })
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Beyond for Desk {
    fn absent(&self, ring: &RingName, path: &RoutePath, _: Timestamp) -> Instead {
        self.asked.lock().unwrap().push(format!("{ring} {path}"));
        if path.as_str().contains("wait") {
            let mut landed = self.landed.subscribe();
            return Instead::Wait(Box::pin(async move { landed.wait_for(Option::is_some).await.unwrap().unwrap() }));
        }
        match path.as_str() {
            "/later" => Instead::Later,
            "/never" => Instead::NotFound,
            _ => Instead::AsEver,
        }
    }

    fn face(&self, _: &FeedId, path: &RoutePath, _: &Digest) -> Option<Face> {
        (path.as_str() == "/faced").then(|| Face {
            content_type: Some("application/x-vendor".to_owned()),
            content_language: Some("en".to_owned()),
            cache_control: Some("max-age=60".to_owned()),
            trust: Some("transport-only"),
            last_modified: Some("Sun, 06 Nov 1994 08:49:37 GMT".to_owned()),
            confirmed: Some(Arc::clone(&self.confirmed)),
            asked: Some(Arc::clone(&self.polled)),
        })
    }
}

#[test]
fn only_what_nothing_is_served_at_is_asked_about() {
    let desk = Desk::new();
    let site = Site::beyond(Arc::clone(&desk) as Arc<dyn Beyond>);
    assert_eq!(site.get("/never", "").status, 404, "also where nothing is published yet");
    assert_eq!(site.get("/ever", "").status, 503);
    site.publish("broad", &[("/a", b"A")]);
    for (path, status) in [("/a", 200), ("/", 200), ("/never", 404), ("/ever", 404), ("/later", 503), ("/%61", 404)] {
        let answer = site.get(path, "");
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.header("Retry-After"), (status == 503).then_some("30"), "{path}");
    }
    assert_eq!(site.get("/rings/broad/never", "").status, 404);
    assert_eq!(site.get("/rings/unknown/never", "").status, 404);
    let asked = desk.asked();
    let expected = ["broad /never", "broad /ever", "broad /never", "broad /ever", "broad /later", "broad /never"];
    assert_eq!(asked, expected);
}

#[test]
fn who_waits_gets_what_is_published_meanwhile() {
    let desk = Desk::new();
    let site = Site::beyond(Arc::clone(&desk) as Arc<dyn Beyond>);
    site.publish("broad", &[("/a", b"A")]);
    std::thread::scope(|scope| {
        let waiting: Vec<_> = (0..5).map(|_| scope.spawn(|| site.get("/wait", ""))).collect();
        until(|| desk.asked().len() == 5);
        assert_eq!(site.get("/a", "").body, b"A", "nobody else waits");
        site.publish("broad", &[("/a", b"A"), ("/wait", b"worth it")]);
        desk.landed.send_replace(Some(After::Look));
        for one in waiting {
            let answer = one.join().unwrap();
            assert_eq!((answer.status, answer.body.as_slice()), (200, b"worth it".as_slice()));
        }
    });
}

#[test]
fn who_waited_in_vain_is_told_so() {
    for (after, status) in [(After::NotFound, 404), (After::Later, 503)] {
        let desk = Desk::new();
        let site = Site::beyond(Arc::clone(&desk) as Arc<dyn Beyond>);
        site.publish("broad", &[("/a", b"A")]);
        desk.landed.send_replace(Some(after));
        assert_eq!(site.get("/wait", "").status, status);
        assert_eq!(desk.asked().len(), 1, "nobody is asked twice for one request");
    }
}

#[test]
fn a_route_shows_its_face_and_its_age_and_no_date_is_compared_with_another_kind() {
    let desk = Desk::new();
    let site = Site::beyond(Arc::clone(&desk) as Arc<dyn Beyond>);
    site.publish("broad", &[("/faced", b"A"), ("/plain", b"B")]);
    let was_polled = || desk.polled.swap(false, Ordering::Relaxed);
    assert!(site.get("/plain", "").status == 200 && !was_polled());
    let answer = site.get("/faced", "");
    assert!(was_polled());
    assert_eq!(answer.header("Content-Type"), Some("application/x-vendor"));
    assert_eq!(answer.header("Content-Language"), Some("en"));
    assert_eq!(
        (answer.header("Cache-Control"), answer.header("Waystation-Trust")),
        (Some("max-age=60"), Some("transport-only"))
    );
    let plain = site.get("/plain", "");
    assert_eq!((plain.header("Cache-Control"), plain.header("Waystation-Trust")), (Some("no-cache"), None));
    assert_eq!(answer.header("Last-Modified"), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
    assert_eq!(answer.header("ETag"), Some(Digest::of(b"A").etag().to_string().as_str()), "the tag is ours");
    assert_eq!(answer.header("Age"), None);
    let since = |date: &str| site.get("/faced", &format!("If-Modified-Since: {date}\r\n")).status;
    assert_eq!(since("Sun, 06 Nov 1994 08:49:37 GMT"), 304, "the very date that was given");
    assert_eq!(since("Thu, 01 Jan 1970 00:00:01 GMT"), 200, "another date is compared with ours");
    desk.confirmed.store(1, Ordering::Relaxed);
    let age = |path: &str, more: &str| site.get(path, more).header("Age").map(|age| age.parse::<u64>().unwrap());
    assert!(age("/faced", "").unwrap() > 1_000_000);
    let tag = format!("If-None-Match: {}\r\n", Digest::of(b"A").etag());
    was_polled();
    assert!(age("/faced", &tag).is_some() && was_polled(), "a 304 as well");
    assert_eq!(age("/plain", ""), None);
}
