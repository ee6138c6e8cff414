//! What goes out: told once, nowhere else, and with nothing of its secrets in what is shown.

use model::Reason;
use outbound::{ClientSettings, HttpClient, OutboundError, Push, Pusher as _, Secret};
use url::Url;

use super::server::{Act, SHORT, Server, limits, ok, send, settings};

async fn push(settings: ClientSettings, push: Push) -> Result<u16, OutboundError> {
    HttpClient::new(settings).unwrap().push(push).await
}

#[tokio::test]
async fn json_goes_out_with_its_header() {
    let server = Server::start(vec![ok("taken")]).await;
    let told = Push::json(server.url("/hook?t=1"), b"{}".to_vec()).with_header("X-Token", Secret::new("hunter2"));
    assert_eq!(push(settings(), told).await.unwrap(), 200);
    let head = server.heads().concat().to_ascii_lowercase();
    for part in ["post /hook?t=1 http/1.1", "x-token: hunter2", "content-type: application/json", "content-length: 2"] {
        assert!(head.contains(part), "{head}");
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed_a12() {
    let elsewhere = Server::start(vec![ok("")]).await;
    let text = format!("HTTP/1.1 307 Over There\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", elsewhere.url("/"));
    let server = Server::start(vec![send(&text)]).await;
    assert_eq!(push(settings(), Push::post(server.url("/"))).await.unwrap(), 307);
    assert!(elsewhere.heads().is_empty());
}

#[tokio::test]
async fn only_hosts_that_are_named_have_private_addresses_a12_u19() {
    let server = Server::start(vec![ok("")]).await;
    let unnamed = ClientSettings { named_hosts: Vec::new(), ..settings() };
    let refused = push(unnamed, Push::get(server.url("/"))).await.unwrap_err();
    assert_eq!(refused.reason, Reason::AddressRefused);
    assert!(server.heads().is_empty());
    let plain = ClientSettings { allow_plain_http: false, ..settings() };
    assert_eq!(push(plain, Push::get(server.url("/"))).await.unwrap_err().reason, Reason::PlainHttpRefused);
}

#[tokio::test]
async fn nothing_of_a_path_is_shown_i13() {
    let server = Server::start(vec![Act::Mute]).await;
    let short = ClientSettings { limits: limits(|limits| limits.head = SHORT), ..settings() };
    let error = push(short, Push::get(server.url("/T0/hunter2?key=hunter2"))).await.unwrap_err();
    assert_eq!(error.reason, Reason::Timeout);
    assert!(!format!("{error}{error:?}").contains("hunter2"), "{error:?}");
    let gone = Push::get(Url::parse("http://127.0.0.1:1/hunter2").unwrap());
    let error = push(settings(), gone.clone()).await.unwrap_err();
    assert_eq!(error.reason, Reason::ConnectFailed);
    assert!(!format!("{error}{error:?}").contains("hunter2"), "{error:?}");
    let secret = gone.with_header("A", Secret::new("hunter3"));
    assert!(!format!("{secret:?}").contains("hunter"), "{secret:?}");
}
