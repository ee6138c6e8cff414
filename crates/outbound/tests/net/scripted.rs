//! The script plays by the network's rules.

use std::sync::Arc;

use model::{Reason, TlsAnchor};
use outbound::{Outbound as _, RangeAsk, Request, ScriptedAnswer, ScriptedClient};
use url::Url;

use super::server::{FixedClock, collect};

fn request(url: &str) -> Request {
    Request::get(Url::parse(url).unwrap())
}

#[tokio::test]
async fn answers_come_in_order_and_the_last_stays() {
    let client = ScriptedClient::new(Arc::new(FixedClock));
    client
        .answer("https://a.test", ScriptedAnswer::failure(Reason::Timeout, "too slow"))
        .answer("https://a.test/", ScriptedAnswer::redirect("/b"))
        .answer(
            "https://a.test/b",
            ScriptedAnswer::ok("hello").header("etag", "\"a\"").vouched_by(TlsAnchor::SystemRoot),
        );
    assert_eq!(client.get(request("https://a.test/")).await.err().unwrap().reason, Reason::Timeout);
    for _ in 0..2 {
        let mut response = client.get(request("https://a.test/")).await.unwrap();
        assert_eq!(collect(&mut response).await.unwrap(), b"hello");
        assert_eq!((response.etag.as_deref(), response.exchange.anchor), (Some("\"a\""), TlsAnchor::SystemRoot));
    }
    client.replace("https://a.test/", ScriptedAnswer::status(404));
    assert_eq!(client.get(request("https://a.test/")).await.err().unwrap().reason, Reason::NotFound);
    assert_eq!(client.get(request("https://unknown.test/")).await.err().unwrap().reason, Reason::ConnectFailed);
    assert_eq!((client.requests().len(), client.asked().len()), (5, 7));
}

#[tokio::test]
async fn broken_bodies_and_parts_u02_u36() {
    let client = ScriptedClient::new(Arc::new(FixedClock));
    let cut = ScriptedAnswer::status(200).header("content-length", "10").chunk("hello");
    client.answer("https://a.test/cut", cut.clone());
    client.answer("https://a.test/reset", cut.then_fails(Reason::ShortBody, "reset"));
    client.answer("https://a.test/long", ScriptedAnswer::status(200).header("content-length", "2").chunk("hello"));
    client.answer("https://a.test/part", ScriptedAnswer::part(b"hello", 3));
    for (path, reason) in [("cut", Reason::ShortBody), ("reset", Reason::ShortBody), ("long", Reason::BadResponse)] {
        let mut response = client.get(request(&format!("https://a.test/{path}"))).await.unwrap();
        assert_eq!(collect(&mut response).await.unwrap_err().reason, reason, "{path}");
    }
    assert_eq!(client.get(request("https://a.test/part")).await.err().unwrap().reason, Reason::BadRange);
    let ranged = Request { range: Some(RangeAsk { from: 3, if_range: None }), ..request("https://a.test/part") };
    let mut response = client.get(ranged).await.unwrap();
    assert_eq!(collect(&mut response).await.unwrap(), b"lo");
}

#[tokio::test]
async fn redirects_obey_the_same_rules_u22() {
    let client = ScriptedClient::new(Arc::new(FixedClock));
    client.answer("https://a.test/", ScriptedAnswer::redirect("https://b.test/"));
    client.answer("https://b.test/", ScriptedAnswer::ok("x"));
    assert_eq!(client.get(request("https://a.test/")).await.err().unwrap().reason, Reason::RedirectRefused);
    let allowed = Request { redirect_hosts: vec!["b.test".into()], ..request("https://a.test/") };
    assert_eq!(client.get(allowed).await.unwrap().status, 200);
}
