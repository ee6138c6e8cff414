//! Documents, validators, and hosts that want to be left alone.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use model::Reason;
use origin::{HostGate, Origin as _, Reading};
use outbound::ScriptedAnswer;
use vendors::{Ask, Target, Validator};

use crate::setup::{BASE, Setup, URL};

fn ask(unless: Option<Validator>) -> Ask {
    Ask { target: Target("/file".to_owned()), cap: 1000, unless }
}

async fn read(setup: &Setup, ask: &Ask) -> Result<Reading, Reason> {
    setup.origin().await.read(ask, &setup.count).await.map_err(|error| error.reason)
}

#[tokio::test]
async fn a_document_comes_with_what_makes_the_next_request_conditional() {
    let setup = Setup::new();
    let dated = "Sun, 06 Nov 1994 08:49:37 GMT";
    setup.client.answer(URL, ScriptedAnswer::ok("text").header("etag", "\"a\"").header("last-modified", dated));
    setup.client.answer(URL, ScriptedAnswer::status(304));
    let Ok(Reading::Answered(answer, validator)) = read(&setup, &ask(None)).await else { panic!("no document") };
    assert_eq!((&answer.body[..], validator.etag.as_deref()), (&b"text"[..], Some("\"a\"")));
    assert_eq!(validator.last_modified.as_deref(), Some(dated));
    assert!(matches!(read(&setup, &ask(Some(validator))).await, Ok(Reading::NotModified(_))));
    let asked = setup.client.requests();
    assert_eq!((asked[0].if_none_match.as_deref(), asked[1].if_none_match.as_deref()), (None, Some("\"a\"")));
}

#[tokio::test]
async fn tags_that_say_nothing_are_no_validators_u45() {
    for tag in ["\"\"", "W/\"\"", "bare", "\"open", "W/"] {
        let setup = Setup::new();
        setup.client.answer(URL, ScriptedAnswer::ok("text").header("etag", tag));
        let Ok(Reading::Answered(_, validator)) = read(&setup, &ask(None)).await else { panic!("no document") };
        assert_eq!(validator.etag, None, "{tag}");
    }
}

#[tokio::test]
async fn documents_have_a_cap_u26() {
    let setup = Setup::new();
    setup.client.answer(URL, ScriptedAnswer::status(200).chunk(vec![b'x'; 700]).chunk(vec![b'x'; 301]));
    assert_eq!(read(&setup, &ask(None)).await.unwrap_err(), Reason::TooLarge);
    setup.client.replace(URL, ScriptedAnswer::status(200).chunk(vec![b'x'; 700]).chunk(vec![b'x'; 300]));
    assert!(read(&setup, &ask(None)).await.is_ok());
}

#[tokio::test]
async fn what_passes_is_tried_again_and_what_does_not_is_not_u10_u11_u14() {
    for (answer, requests) in [
        (ScriptedAnswer::status(500), 3),
        (ScriptedAnswer::failure(Reason::ConnectFailed, "x"), 3),
        (ScriptedAnswer::failure(Reason::Timeout, "x"), 3),
        (ScriptedAnswer::status(401), 1),
        (ScriptedAnswer::status(404), 1),
        (ScriptedAnswer::failure(Reason::TlsFailed, "x"), 1),
        (ScriptedAnswer::status(429), 1),
    ] {
        let setup = Setup::new();
        setup.client.answer(URL, answer.clone());
        assert!(read(&setup, &ask(None)).await.is_err());
        assert_eq!(setup.client.requests().len(), requests, "{answer:?}");
        assert_eq!(setup.count.requests.load(Ordering::SeqCst), requests as u64);
    }
}

#[tokio::test]
async fn a_host_that_sends_us_away_is_left_alone_by_every_later_run_u15_u16() {
    let setup = Setup::new();
    setup.client.answer(URL, ScriptedAnswer::status(429).header("retry-after", "3600"));
    assert_eq!(read(&setup, &ask(None)).await.unwrap_err(), Reason::RateLimited);
    setup.client.replace(URL, ScriptedAnswer::ok("text"));
    for seconds in [0, 1000, 3579] {
        setup.clock.set(seconds);
        assert_eq!(read(&setup, &ask(None)).await.unwrap_err(), Reason::RateLimited);
        let size = setup.origin().await.size(&Target("/file".to_owned())).await;
        assert_eq!(size.unwrap_err().reason, Reason::RateLimited);
    }
    assert_eq!(setup.client.requests().len(), 1);
    setup.clock.set(3600);
    assert!(read(&setup, &ask(None)).await.is_ok());
}

/// A look opens one on a catalog that it cannot write.
#[tokio::test]
async fn a_gate_that_is_opened_leaves_waits_that_are_over_u16() {
    let setup = Setup::new();
    setup.client.answer(URL, ScriptedAnswer::status(503).header("retry-after", "3600"));
    assert_eq!(read(&setup, &ask(None)).await.unwrap_err(), Reason::RateLimited);
    let noted = setup.catalog.host_waits().await.unwrap();
    setup.clock.set(100_000);
    let gate = HostGate::open(4, Arc::clone(&setup.catalog), setup.clock.clone()).await;
    assert!(gate.is_ok() && noted.len() == 1);
    assert_eq!(setup.catalog.host_waits().await.unwrap(), noted);
}

#[tokio::test]
async fn a_wait_ends_after_a_day_and_a_clock_set_back_voids_it_u16_s28() {
    let setup = Setup::new();
    setup.clock.set(1_000_000);
    setup.client.answer(URL, ScriptedAnswer::status(503).header("retry-after", "99999999999999999999"));
    assert_eq!(read(&setup, &ask(None)).await.unwrap_err(), Reason::RateLimited);
    setup.client.replace(URL, ScriptedAnswer::ok("text"));
    setup.clock.set(1_000_000 + 86_300);
    assert_eq!(read(&setup, &ask(None)).await.unwrap_err(), Reason::RateLimited);
    setup.clock.set(1_000_000 + 86_401);
    assert!(read(&setup, &ask(None)).await.is_ok());
    setup.clock.set(0);
    assert!(read(&setup, &ask(None)).await.is_ok(), "further ahead than any wait that is granted");
    setup.clock.set(1_000_000 + 86_300);
    assert!(read(&setup, &ask(None)).await.is_ok(), "what was over and void does not come back");
    assert_eq!(setup.catalog.host_waits().await.unwrap().len(), 1);
}

#[tokio::test]
async fn targets_cannot_reach_the_base() {
    let setup = Setup::new();
    let origin = setup.origin().await;
    for (target, url) in [
        ("/a", "https://vendor.test/a"),
        ("?a=b", "https://vendor.test/?a=b"),
        ("@evil.test/x", ""),
        (".evil.test/x", ""),
        (":1/x", ""),
    ] {
        let found = origin.locate(&Target(target.to_owned()));
        assert!(found == url || found.starts_with(BASE), "{target}: {found}");
        if url.is_empty() {
            assert!(!found.contains("evil"), "{target}: {found}");
        }
    }
}
