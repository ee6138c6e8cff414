//! Requests through a proxy that resolves the names.

use std::sync::{Arc, Mutex};

use model::{Reason, TlsAnchor};
use outbound::{
    ClientError, ClientSettings, HttpClient, Outbound as _, OutboundError, ProxySettings, Request, Response, Secret,
};
use tokio::io::{AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use super::server::{Act, Server, collect, ok, read_head, send, settings};
use super::tls::{Ca, ca, serve, trusting};

/// A proxy that tunnels each CONNECT to one port of this machine, whatever name was asked for.
struct Tunnel {
    port: u16,
    heads: Arc<Mutex<Vec<String>>>,
}

async fn tunnel_to(target: u16) -> Tunnel {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let seen = Arc::clone(&seen);
            tokio::spawn(async move {
                let head = read_head(&mut client).await;
                seen.lock().unwrap().push(head);
                client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await.unwrap();
                let mut upstream = TcpStream::connect(("127.0.0.1", target)).await.unwrap();
                let _ = copy_bidirectional(&mut client, &mut upstream).await;
            });
        }
    });
    Tunnel { port, heads }
}

fn through(base: ClientSettings, port: u16) -> ClientSettings {
    let proxy = ProxySettings {
        url: Url::parse(&format!("http://in%40url@127.0.0.1:{port}")).unwrap(),
        user: None,
        password: Some(Secret::new("pa:ss")),
    };
    // The proxy's own address needs no name in the configuration's list.
    ClientSettings { proxy: Some(proxy), named_hosts: Vec::new(), ..base }
}

async fn ask(settings: ClientSettings, url: &str) -> Result<Response, OutboundError> {
    HttpClient::new(settings).unwrap().get(Request::get(Url::parse(url).unwrap())).await
}

fn https(ca: &Ca, port: u16) -> ClientSettings {
    through(trusting(ca), port)
}

#[tokio::test]
async fn the_proxy_resolves_names_and_gets_credentials_u49() {
    let ca = ca();
    let server = serve(&ca, &["nonexistent.invalid"], |_| {}).await;
    let proxy = tunnel_to(server.port).await;
    // No resolver knows this name: an answer proves that none was asked.
    let mut response = ask(https(&ca, proxy.port), "https://nonexistent.invalid/x").await.unwrap();
    assert_eq!(collect(&mut response).await.unwrap(), b"hello");
    assert_eq!(response.exchange.anchor, TlsAnchor::CaFile);
    assert_eq!(response.exchange.proxy, Some(format!("http://127.0.0.1:{}", proxy.port)));
    let heads = proxy.heads.lock().unwrap().clone();
    assert!(heads[0].starts_with("CONNECT nonexistent.invalid:443 HTTP/1.1\r\n"), "{heads:?}");
    assert!(heads[0].to_ascii_lowercase().contains("proxy-authorization: basic "), "{heads:?}");
    assert!(heads[0].contains("aW5AdXJsOnBhOnNz"), "in@url:pa:ss {heads:?}");
    let inner = server.heads.lock().unwrap().clone();
    assert!(!inner[0].to_ascii_lowercase().contains("authorization"), "u14: {inner:?}");
    assert!(!HttpClient::new(https(&ca, proxy.port)).unwrap().checks_addresses());
}

#[tokio::test]
async fn plain_http_goes_in_absolute_form_u49() {
    let proxy = Server::start(vec![ok("hello")]).await;
    let mut response = ask(through(settings(), proxy.port), "http://nonexistent.invalid/x").await.unwrap();
    assert_eq!(collect(&mut response).await.unwrap(), b"hello");
    let head = proxy.heads()[0].clone();
    assert!(head.starts_with("GET http://nonexistent.invalid/x HTTP/1.1\r\n"), "{head}");
    assert!(head.to_ascii_lowercase().contains("proxy-authorization: basic "), "{head}");
}

#[tokio::test]
async fn proxies_that_refuse_are_named_without_credentials_u14_u49() {
    let ca = ca();
    for act in [
        send("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"),
        send("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"),
        send("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"),
        send("HTTP/1.1 302 Found\r\nLocation: http://portal.test/\r\n\r\n"),
        send("<html>nonsense</html>\r\n\r\n"),
        send(""),
        Act::Reset,
        Act::SendAndReset(Vec::new()),
    ] {
        let proxy = Server::start(vec![act]).await;
        let error = ask(https(&ca, proxy.port), "https://nonexistent.invalid/").await.err().unwrap();
        assert_eq!(error.reason, Reason::ProxyFailed, "{error}");
        let named = format!("the proxy http://127.0.0.1:{}", proxy.port);
        assert!(error.detail.contains(&named), "{error}");
        let everything = format!("{error:?} {:?}", https(&ca, proxy.port).proxy);
        assert!(!everything.contains("pa:ss") && !everything.contains("in%40url"), "{everything}");
    }
}

#[tokio::test]
async fn proxies_that_answer_in_the_hosts_place_u49() {
    let ca = ca();
    let portal =
        Server::start(vec![send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>Log in</html>")]).await;
    let error = ask(https(&ca, portal.port), "https://nonexistent.invalid/").await.err().unwrap();
    assert!(matches!(error.reason, Reason::TlsFailed | Reason::ProxyFailed), "{} {error}", error.reason);
    let dropped = Server::start(vec![send("HTTP/1.1 200 OK\r\n\r\n")]).await;
    let error = ask(https(&ca, dropped.port), "https://nonexistent.invalid/").await.err().unwrap();
    assert_eq!(error.reason, Reason::ProxyFailed, "{error}");
    let asking = Server::start(vec![send("HTTP/1.1 407 No\r\nContent-Length: 0\r\n\r\n")]).await;
    let error = ask(through(settings(), asking.port), "http://nonexistent.invalid/").await.err().unwrap();
    assert_eq!(error.reason, Reason::ProxyFailed);
    assert!(error.detail.contains(&format!("the proxy http://127.0.0.1:{} asks for", asking.port)), "{error}");
}

#[tokio::test]
async fn a_proxy_that_is_not_there_u49() {
    let port = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    for (base, url) in [(settings(), "http://nonexistent.invalid/"), (trusting(&ca()), "https://nonexistent.invalid/")]
    {
        let error = ask(through(base, port), url).await.err().unwrap();
        assert_eq!(error.reason, Reason::ProxyFailed, "{error}");
    }
}

#[tokio::test]
async fn literals_are_checked_behind_a_proxy_too_u19() {
    let proxy = Server::start(vec![ok("x")]).await;
    for url in ["http://169.254.169.254/", "http://2130706433/", "http://localhost/", "http://[fd00::1]/"] {
        let error = ask(through(settings(), proxy.port), url).await.err().unwrap();
        assert_eq!(error.reason, Reason::AddressRefused, "{url}");
    }
    assert!(proxy.heads().is_empty());
}

#[tokio::test]
async fn hosts_without_proxy_are_asked_directly_and_guarded_u49() {
    let (proxy, server) = (Server::start(vec![ok("proxy")]).await, Server::start(vec![ok("direct")]).await);
    let mut direct = through(settings(), proxy.port);
    direct.no_proxy = vec!["127.0.0.0/8".into()];
    let error = ask(direct.clone(), server.url("/").as_str()).await.err().unwrap();
    assert_eq!(error.reason, Reason::AddressRefused);
    direct.named_hosts = vec!["127.0.0.1".into()];
    let mut response = ask(direct, server.url("/").as_str()).await.unwrap();
    assert_eq!((collect(&mut response).await.unwrap(), response.exchange.proxy), (b"direct".to_vec(), None));
    assert!(proxy.heads().is_empty());
}

#[test]
fn settings_that_cannot_work_are_named() {
    for url in ["socks5://127.0.0.1:1080", "http://127.0.0.1:3128/path", "ftp://127.0.0.1", "http://127.0.0.1/?x"] {
        let proxy = ProxySettings { url: Url::parse(url).unwrap(), user: None, password: None };
        let bad = ClientSettings { proxy: Some(proxy), ..settings() };
        assert!(matches!(HttpClient::new(bad), Err(ClientError::Proxy { .. })), "{url}");
    }
    let mut bad = through(settings(), 1);
    bad.no_proxy = vec!["10.0.0.0/99".into()];
    assert!(matches!(HttpClient::new(bad), Err(ClientError::NoProxy { .. })));
    let zero = ClientSettings { rate_limit: Some(0), ..settings() };
    assert!(matches!(HttpClient::new(zero), Err(ClientError::Setting { .. })));
    let agent = ClientSettings { user_agent: "a\r\nb".into(), ..settings() };
    assert!(matches!(HttpClient::new(agent), Err(ClientError::Setting { .. })));
}
