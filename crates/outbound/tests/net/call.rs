//! Calls of an API: every status is an answer, redirects are not followed, and answers have a cap.

use model::Reason;
use outbound::{Call, Caller as _, ClientSettings, HttpClient, OutboundError, Reply, Secret, Verb};

use super::server::{Act, SHORT, Server, limits, ok, send, settings};

const CAP: u64 = 1024;

async fn call(settings: ClientSettings, call: Call) -> Result<Reply, OutboundError> {
    HttpClient::new(settings).unwrap().call(call).await
}

#[tokio::test]
async fn a_put_brings_its_headers_and_its_body() {
    let server = Server::start(vec![ok("{\"item\":1}")]).await;
    let put = Call::new(Verb::Put, server.url("/api/x"), CAP)
        .with_header("authorization", Secret::new("ApiKey hunter2"))
        .with_header("kbn-xsrf", Secret::new("waystation"))
        .with_json(b"{}".to_vec());
    assert!(!format!("{put:?}").contains("hunter2"));
    let reply = call(settings(), put).await.unwrap();
    assert_eq!((reply.status, &reply.body[..]), (200, &b"{\"item\":1}"[..]));
    let head = server.heads().concat().to_ascii_lowercase();
    for part in ["put /api/x http/1.1", "authorization: apikey hunter2", "kbn-xsrf: waystation", "content-length: 2"] {
        assert!(head.contains(part), "{head}");
    }
}

#[tokio::test]
async fn every_status_is_an_answer_and_a_redirect_is_not_followed_a12() {
    let elsewhere = Server::start(vec![ok("")]).await;
    let away = format!("HTTP/1.1 302 Away\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", elsewhere.url("/"));
    let conflict = "HTTP/1.1 409 Conflict\r\nContent-Length: 4\r\n\r\nbusy";
    let server = Server::start(vec![send(&away), send(conflict)]).await;
    assert_eq!(call(settings(), Call::new(Verb::Get, server.url("/"), CAP)).await.unwrap().status, 302);
    let reply = call(settings(), Call::new(Verb::Get, server.url("/"), CAP)).await.unwrap();
    assert_eq!((reply.status, &reply.body[..]), (409, &b"busy"[..]));
    assert!(elsewhere.heads().is_empty());
}

#[tokio::test]
async fn an_answer_has_an_end_and_a_cap_u04() {
    let endless = Act::Forever(b"HTTP/1.1 200 OK\r\n\r\n".to_vec(), vec![b'x'; 512]);
    let server = Server::start(vec![endless]).await;
    let error = call(settings(), Call::new(Verb::Get, server.url("/"), CAP)).await.unwrap_err();
    assert_eq!(error.reason, Reason::TooLarge);
    let server = Server::start(vec![Act::SendAndHold(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx".to_vec())]).await;
    let short = ClientSettings { limits: limits(|limits| limits.pause = SHORT), ..settings() };
    let error = call(short, Call::new(Verb::Get, server.url("/"), CAP)).await.unwrap_err();
    assert_eq!(error.reason, Reason::Timeout);
}

#[tokio::test]
async fn hosts_are_guarded_u19_a12() {
    let server = Server::start(vec![ok("")]).await;
    let unnamed = ClientSettings { named_hosts: Vec::new(), ..settings() };
    let error = call(unnamed, Call::new(Verb::Get, server.url("/"), CAP)).await.unwrap_err();
    assert_eq!(error.reason, Reason::AddressRefused);
    let plain = ClientSettings { allow_plain_http: false, ..settings() };
    let error = call(plain, Call::new(Verb::Get, server.url("/"), CAP)).await.unwrap_err();
    assert_eq!(error.reason, Reason::PlainHttpRefused);
    assert!(server.heads().is_empty());
}
