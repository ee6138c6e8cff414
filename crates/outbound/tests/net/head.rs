//! Heads over the wire.

use model::{Reason, TlsAnchor};
use outbound::{HttpClient, Outbound as _, RangeAsk, Request, RetryAfter};

use super::server::{Act, NOW, SHORT, Server, collect, get, limits, ok, refused, send, settings};

#[tokio::test]
async fn an_answer_brings_body_validators_and_a_record() {
    let server = Server::start(vec![send(
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"a\"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
         Server: x\x1b[31m\r\nSet-Cookie: a=b\r\n\r\nhello",
    )])
    .await;
    // A control character in a header is not HTTP at all.
    let error = refused(settings(), server.url("/x")).await;
    assert_eq!(error.reason, Reason::BadResponse);

    let server = Server::start(vec![send(&format!(
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag: \"a\"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
         Server: x\u{9b}31m{}\r\nSet-Cookie: a=b\r\n\r\nhello",
        "y".repeat(300)
    ))])
    .await;
    let mut response = get(settings(), server.url("/x?q=1#part")).await.unwrap();
    assert_eq!(collect(&mut response).await.unwrap(), b"hello");
    assert_eq!((response.status, response.length, response.etag.as_deref()), (200, Some(5), Some("\"a\"")));
    assert_eq!(response.last_modified.as_deref(), Some("Sun, 06 Nov 1994 08:49:37 GMT"));
    let exchange = &response.exchange;
    assert_eq!(exchange.urls, [server.url("/x?q=1").to_string()]);
    assert_eq!((exchange.status, exchange.anchor, &exchange.proxy, exchange.at), (200, TlsAnchor::None, &None, NOW));
    let names: Vec<&str> = exchange.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["etag", "last-modified", "content-length", "server"]);
    let server_value = &exchange.headers[3].1;
    assert!(server_value.len() <= 256 && server_value.starts_with("x\\u{9b}31m"), "{server_value}");
}

#[tokio::test]
async fn a_request_says_no_more_than_it_must_u23_u31() {
    let server = Server::start(vec![ok("x")]).await;
    let client = HttpClient::new(settings()).unwrap();
    client.get(Request::get(server.url("/a?b=c"))).await.unwrap();
    let head = server.heads()[0].to_ascii_lowercase();
    assert!(head.starts_with("get /a?b=c http/1.1\r\n"), "{head}");
    assert!(head.contains("accept-encoding: identity\r\n") && head.contains("user-agent: waystation/"), "{head}");
    for absent in ["cookie", "referer", "authorization", "range", "if-"] {
        assert!(!head.contains(&format!("\r\n{absent}")), "{head}");
    }
}

#[tokio::test]
async fn conditions_and_ranges_go_out_verbatim_u42_u36() {
    let part = "HTTP/1.1 206 Partial\r\nContent-Range: bytes 3-4/5\r\nContent-Length: 2\r\n\r\nlo";
    let server = Server::start(vec![send("HTTP/1.1 304 Not Modified\r\nETag: W/\"a\"\r\n\r\n"), send(part)]).await;
    let client = HttpClient::new(settings()).unwrap();
    let request = Request {
        if_none_match: Some("W/\"a\"".into()),
        if_modified_since: Some("Sun, 06 Nov 1994 08:49:37 GMT".into()),
        ..Request::get(server.url("/"))
    };
    let mut unchanged = client.get(request).await.unwrap();
    assert_eq!((unchanged.status, unchanged.length), (304, None));
    assert_eq!(collect(&mut unchanged).await.unwrap(), b"");
    let range = Some(RangeAsk { from: 3, if_range: Some("\"a\"".into()) });
    let mut response = client.get(Request { range, ..Request::get(server.url("/")) }).await.unwrap();
    assert_eq!((response.status, response.content_range.unwrap().total), (206, Some(5)));
    assert_eq!(collect(&mut response).await.unwrap(), b"lo");
    let heads = server.heads();
    assert!(heads[0].contains("if-none-match: W/\"a\"\r\n") && !heads[0].contains("if-modified-since"), "{}", heads[0]);
    assert!(heads[1].contains("range: bytes=3-\r\n") && heads[1].contains("if-range: \"a\"\r\n"), "{}", heads[1]);
}

#[tokio::test]
async fn statuses_keep_their_record_u09_u12_u14_u15() {
    for (line, reason) in [
        ("204 No Content", Reason::UnexpectedStatus),
        ("203 Other\r\nContent-Length: 0", Reason::UnexpectedStatus),
        ("304 Not Modified", Reason::UnexpectedNotModified),
        ("404 Not Found\r\nContent-Length: 0", Reason::NotFound),
        ("401 No\r\nContent-Length: 0", Reason::Refused),
        ("407 Proxy\r\nContent-Length: 0", Reason::ProxyFailed),
        ("429 Later\r\nRetry-After: 7\r\nContent-Length: 0", Reason::RateLimited),
        ("500 Broken\r\nContent-Length: 0", Reason::ServerError),
    ] {
        let server = Server::start(vec![send(&format!("HTTP/1.1 {line}\r\n\r\n"))]).await;
        let error = refused(settings(), server.url("/x")).await;
        assert_eq!(error.reason, reason, "{line}: {error}");
        assert_eq!(error.exchange.unwrap().status.to_string(), line[..3]);
        let expected = line.starts_with("429").then_some(RetryAfter::In(std::time::Duration::from_secs(7)));
        assert_eq!(error.retry_after, expected);
    }
}

#[tokio::test]
async fn heads_that_break_http_u27_u28_u29() {
    let many: String = (0..10_000).map(|n| format!("X-{n}: y\r\n")).collect();
    for head in [
        "nonsense\r\n\r\n".to_owned(),
        "HTTP/1.1 2x0 OK\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 5,5\r\n\r\nhello".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\nhello".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nhello".to_owned(),
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nhello".to_owned(),
        format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "y".repeat(1 << 20)),
        format!("HTTP/1.1 200 OK\r\n{many}\r\n"),
        "HTTP/1.1 200 OK\r\nX:".to_owned(),
        String::new(),
    ] {
        let server = Server::start(vec![send(&head)]).await;
        let error = refused(settings(), server.url("/x")).await;
        let shown: String = head.chars().take(80).collect();
        assert!(
            matches!(error.reason, Reason::BadResponse | Reason::ConnectFailed),
            "{shown}: {} {error}",
            error.reason
        );
        assert!(error.detail.len() < 500);
    }
}

#[tokio::test]
async fn an_endless_head_is_cut_u27() {
    let server = Server::start(vec![Act::Forever(b"HTTP/1.1 200 OK\r\nX: ".to_vec(), vec![b'y'; 4096])]).await;
    assert_eq!(refused(settings(), server.url("/x")).await.reason, Reason::BadResponse);
}

#[tokio::test]
async fn encoded_bodies_are_refused_u31_u32() {
    for header in ["Content-Encoding: gzip", "Content-Encoding: br, gzip", "Transfer-Encoding: gzip, chunked"] {
        let server = Server::start(vec![send(&format!("HTTP/1.1 200 OK\r\n{header}\r\n\r\n"))]).await;
        assert_eq!(refused(settings(), server.url("/x")).await.reason, Reason::EncodedBody, "{header}");
    }
}

#[tokio::test]
async fn lost_before_the_head_u01() {
    for act in [Act::Reset, Act::SendAndReset(Vec::new()), Act::SendAndReset(b"HTTP".to_vec())] {
        let server = Server::start(vec![act]).await;
        let error = refused(settings(), server.url("/x")).await;
        assert!(matches!(error.reason, Reason::ConnectFailed | Reason::BadResponse), "{} {error}", error.reason);
        assert_eq!(error.retry(), model::Retry::Now);
    }
}

#[tokio::test]
async fn silence_before_the_head_u25() {
    let mut short = settings();
    short.limits = limits(|limits| limits.head = SHORT);
    for act in [Act::Mute, Act::SendAndHold(b"HTTP/1.1 200 OK\r\n".to_vec())] {
        let server = Server::start(vec![act]).await;
        assert_eq!(refused(short.clone(), server.url("/x")).await.reason, Reason::Timeout);
    }
    short.limits = limits(|limits| limits.total = SHORT);
    let server = Server::start(vec![Act::Mute]).await;
    assert_eq!(refused(short, server.url("/x")).await.reason, Reason::Deadline);
}

#[tokio::test]
async fn nobody_listens() {
    let port = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    let url = url::Url::parse(&format!("http://127.0.0.1:{port}/?q=\"x")).unwrap();
    let error = refused(settings(), url.clone()).await;
    assert_eq!(error.reason, Reason::ConnectFailed);
    assert!(error.detail.contains("refused") && error.url == url.as_str(), "{error}");
}

#[tokio::test]
async fn what_cannot_be_asked() {
    let url = |text: &str| url::Url::parse(text).unwrap();
    let https_alone = outbound::ClientSettings { allow_plain_http: false, ..settings() };
    assert_eq!(refused(https_alone, url("http://127.0.0.1/")).await.reason, Reason::PlainHttpRefused);
    assert_eq!(refused(settings(), url("ftp://127.0.0.1/")).await.reason, Reason::Internal);
    let error = refused(settings(), url("http://user:secret@127.0.0.1/")).await;
    assert!(error.reason == Reason::Internal && !format!("{error:?}").contains("secret"), "{error:?}");
    let client = HttpClient::new(settings()).unwrap();
    let bad = Request { if_none_match: Some("a\r\nX: y".into()), ..Request::get(url("http://127.0.0.1/")) };
    assert_eq!(client.get(bad).await.err().unwrap().reason, Reason::Internal);
}
