//! Names: resolvers that deny, fail, stay silent or mislead.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use model::Reason;
use outbound::{ClientSettings, HttpClient, Names, Outbound as _, Request};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::timeout;
use url::Url;

use super::server::{SHORT, Server, collect, limits, ok, refused, send, settings};

/// What a resolver says to each question, the last again and again.
enum Answer {
    Addresses(Vec<SocketAddr>),
    Error(&'static str),
    Silence,
}

struct Scripted {
    answers: Vec<Answer>,
    asked: Mutex<Vec<String>>,
    next: AtomicUsize,
}

#[async_trait]
impl Names for Scripted {
    async fn look_up(&self, name: &str) -> io::Result<Vec<SocketAddr>> {
        self.asked.lock().unwrap().push(name.to_owned());
        let next = self.next.fetch_add(1, Ordering::SeqCst).min(self.answers.len() - 1);
        match &self.answers[next] {
            Answer::Addresses(addresses) => Ok(addresses.clone()),
            Answer::Error(text) => Err(io::Error::other(*text)),
            Answer::Silence => std::future::pending().await,
        }
    }
}

fn scripted(answers: Vec<Answer>) -> Arc<Scripted> {
    Arc::new(Scripted { answers, asked: Mutex::default(), next: AtomicUsize::new(0) })
}

fn addresses(texts: &[&str]) -> Answer {
    Answer::Addresses(texts.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 0)).collect())
}

/// A client that may reach `many.test` at any address, and no other name.
fn client(names: Arc<Scripted>) -> ClientSettings {
    let limits = limits(|limits| limits.connect = SHORT * 5);
    ClientSettings { named_hosts: vec!["many.test".into()], names, limits, ..settings() }
}

fn at(host: &str, port: u16) -> Url {
    Url::parse(&format!("http://{host}:{port}/x")).unwrap()
}

#[tokio::test]
async fn resolvers_that_bring_nothing_u48() {
    for (answer, reason, words) in [
        (Answer::Error("Name or service not known"), Reason::DnsFailed, "Name or service not known"),
        (Answer::Error("Temporary failure in name resolution"), Reason::DnsFailed, "Temporary failure"),
        (Answer::Error("\u{1b}[2J"), Reason::DnsFailed, "\\u{1b}[2J"),
        (addresses(&[]), Reason::DnsFailed, "no addresses"),
        (Answer::Silence, Reason::Timeout, "no connection within"),
        (addresses(&["169.254.169.254"]), Reason::AddressRefused, "169.254.169.254 (link-local)"),
    ] {
        let names = scripted(vec![answer]);
        let error = refused(client(names.clone()), at("other.test", 80)).await;
        assert_eq!(error.reason, reason, "{error}");
        assert!(error.detail.contains(words), "{error}");
        assert_eq!(*names.asked.lock().unwrap(), ["other.test"], "asked once");
    }
}

#[tokio::test]
async fn one_live_address_behind_a_hundred_dead_ones_is_found_u48() {
    let server = Server::start(vec![ok("alive")]).await;
    let mut texts: Vec<String> = (2..=101).map(|last| format!("127.0.0.{last}")).collect();
    texts.push("127.0.0.1".to_owned());
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let settings = client(scripted(vec![addresses(&texts)]));
    let url = at("many.test", server.port);
    let mut response = HttpClient::new(settings).unwrap().get(Request::get(url)).await.unwrap();
    assert_eq!(collect(&mut response).await.unwrap(), b"alive");
}

/// An address that takes no connection and refuses none: a listener whose queue is full.
async fn black_hole(port: u16) -> (TcpListener, Vec<TcpStream>) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from(([127, 0, 0, 2], port))).unwrap();
    let listener = socket.listen(1).unwrap();
    let mut waiting = Vec::new();
    while let Ok(stream) = timeout(SHORT, TcpStream::connect(listener.local_addr().unwrap())).await {
        waiting.push(stream.unwrap());
        assert!(waiting.len() < 100, "the queue never fills");
    }
    (listener, waiting)
}

#[tokio::test]
async fn addresses_that_swallow_everything_are_passed_by_u48() {
    let server = Server::start(vec![ok("alive")]).await;
    let _hole = black_hole(server.port).await;
    for texts in
        [&["127.0.0.2", "127.0.0.1"][..], &["2001:db8::1", "127.0.0.2", "127.0.0.1"], &["2001:db8::1", "127.0.0.1"]]
    {
        let limits = limits(|limits| limits.connect = SHORT * 20);
        let settings = ClientSettings { limits, ..client(scripted(vec![addresses(texts)])) };
        let url = at("many.test", server.port);
        let mut response = HttpClient::new(settings).unwrap().get(Request::get(url)).await.unwrap();
        assert_eq!(collect(&mut response).await.unwrap(), b"alive", "{texts:?}");
    }
    let alone = refused(client(scripted(vec![addresses(&["127.0.0.2"])])), at("many.test", server.port)).await;
    assert!(matches!(alone.reason, Reason::Timeout | Reason::ConnectFailed), "{alone}");
}

#[tokio::test]
async fn a_name_that_changes_between_check_and_connection_gains_nothing_u20() {
    let inner = Server::start(vec![ok("secret")]).await;
    let names = scripted(vec![addresses(&["127.0.0.1"])]);
    let error = refused(client(names.clone()), at("rebind.test", inner.port)).await;
    assert_eq!(error.reason, Reason::AddressRefused, "{error}");
    // Once public and then private: the second connection asks again, and is refused again.
    let names = scripted(vec![addresses(&["2001:db8::1", "192.0.2.1"]), addresses(&["10.0.0.1", "127.0.0.1"])]);
    let client = HttpClient::new(client(names.clone())).unwrap();
    for _ in 0..2 {
        let error = client.get(Request::get(at("rebind.test", inner.port))).await.err().unwrap();
        assert_eq!(error.reason, Reason::AddressRefused, "{error}");
    }
    assert_eq!(names.asked.lock().unwrap().len(), 2, "one question a connection");
    assert!(inner.heads().is_empty());
}

#[tokio::test]
async fn a_connection_that_stands_is_used_on_whatever_its_name_leads_to_now_u20() {
    let server =
        Server::start(vec![send("HTTP/1.1 302 Found\r\nLocation: http://many.test:9/\r\nContent-Length: 0\r\n\r\n")])
            .await;
    let names = scripted(vec![addresses(&["127.0.0.1"]), addresses(&[])]);
    let error = refused(client(names), at("many.test", server.port)).await;
    assert_eq!(error.reason, Reason::DnsFailed, "the redirect's port is another connection, looked up anew: {error}");
}
