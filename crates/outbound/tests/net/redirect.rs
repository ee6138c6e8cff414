//! Redirects over the wire.

use model::Reason;
use outbound::{HttpClient, Outbound as _, Request};

use super::server::{Act, Server, collect, ok, refused, send, settings};

fn to(location: &str) -> Act {
    send(&format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nSet-Cookie: id=1\r\nContent-Length: 0\r\n\r\n"))
}

#[tokio::test]
async fn relative_and_absolute_hops_are_followed_and_recorded() {
    let last = Server::start(vec![ok("hello")]).await;
    let acts = vec![to("/second?linkid=1#part"), to("third"), to(last.url("/end").as_str())];
    let first = Server::start(acts).await;
    let client = HttpClient::new(settings()).unwrap();
    let mut response = client.get(Request::get(first.url("/a/first"))).await.unwrap();
    assert_eq!(collect(&mut response).await.unwrap(), b"hello");
    let expected = [first.url("/a/first"), first.url("/second?linkid=1"), first.url("/third"), last.url("/end")];
    assert_eq!(response.exchange.urls, expected.map(String::from));
    for head in first.heads().iter().chain(&last.heads()) {
        let head = head.to_ascii_lowercase();
        assert!(
            !head.contains("cookie") && !head.contains("referer") && !head.contains("authorization"),
            "u23: {head}"
        );
    }
}

#[tokio::test]
async fn every_status_that_redirects() {
    for status in [301, 302, 303, 307, 308] {
        let act = send(&format!("HTTP/1.1 {status} Go\r\nLocation: /next\r\nContent-Length: 0\r\n\r\n"));
        let server = Server::start(vec![act, ok("x")]).await;
        let client = HttpClient::new(settings()).unwrap();
        assert_eq!(client.get(Request::get(server.url("/"))).await.unwrap().exchange.urls.len(), 2, "{status}");
    }
}

#[tokio::test]
async fn circles_and_chains_end_u17() {
    let server = Server::start(vec![to("/b"), to("/a")]).await;
    let error = refused(settings(), server.url("/a")).await;
    assert_eq!(error.reason, Reason::RedirectLimit);
    assert_eq!(error.exchange.unwrap().urls.len(), 2);
    let server = Server::start((0..100).map(|n| to(&format!("/{n}"))).collect()).await;
    assert_eq!(refused(settings(), server.url("/a")).await.reason, Reason::RedirectLimit);
    assert_eq!(server.heads().len(), 9);
}

#[tokio::test]
async fn forbidden_targets_are_never_asked_u19_u21_u22_u23() {
    let bystander = Server::start(vec![ok("x")]).await;
    let port = bystander.port;
    for location in [
        format!("http://localhost:{port}/"),
        format!("http://user:secret@127.0.0.1:{port}/"),
        "file:///etc/passwd".to_owned(),
        "gopher://127.0.0.1/".to_owned(),
        "http://evil.test/".to_owned(),
        "http://10.0.0.1/".to_owned(),
    ] {
        let server = Server::start(vec![to(&location)]).await;
        let error = refused(settings(), server.url("/")).await;
        assert_eq!(error.reason, Reason::RedirectRefused, "{location}");
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
    assert!(bystander.heads().is_empty());
}

#[tokio::test]
async fn an_allowed_host_still_needs_a_public_address_u19() {
    let bystander = Server::start(vec![ok("x")]).await;
    let hosts: Vec<String> =
        ["localhost", "*.localhost", "127.0.0.2", "::1", "169.254.169.254"].map(String::from).into();
    for location in [
        format!("http://localhost:{}/", bystander.port),
        "http://a.localhost/".to_owned(),
        "http://2130706434/".to_owned(),
        "http://0x7f.2/".to_owned(),
        "http://[::1]/".to_owned(),
        "http://169.254.169.254/latest/meta-data".to_owned(),
    ] {
        let server = Server::start(vec![to(&location)]).await;
        let client = HttpClient::new(settings()).unwrap();
        let request = Request { redirect_hosts: hosts.clone(), ..Request::get(server.url("/")) };
        let error = client.get(request).await.err().unwrap();
        assert_eq!(error.reason, Reason::AddressRefused, "{location}");
    }
    assert!(bystander.heads().is_empty());
}
