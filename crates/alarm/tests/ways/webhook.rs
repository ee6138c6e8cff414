//! Addresses that take JSON.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use alarm::{Sink as _, Webhook};
use outbound::{ClientSettings, HttpClient, Secret};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use url::Url;

use crate::bench::{Still, hostile, one, within};

/// Heads and bodies.
type Requests = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A receiver that gives the same answer to each request; none says nothing at all.
struct Receiver {
    url: Url,
    requests: Requests,
}

async fn receiver(answer: Option<&'static str>) -> Receiver {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Url::parse(&format!("http://{}/hooks/hunter2", listener.local_addr().unwrap())).unwrap();
    let requests = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let request = read(&mut stream).await;
            seen.lock().unwrap().push(request);
            match answer {
                Some(answer) => drop(stream.write_all(answer.as_bytes()).await),
                None => std::future::pending::<()>().await,
            }
        }
    });
    Receiver { url, requests }
}

async fn read(stream: &mut TcpStream) -> (String, Vec<u8>) {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(bytes).unwrap().to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next()).unwrap();
    let mut body = vec![0; length.parse().unwrap()];
    stream.read_exact(&mut body).await.unwrap();
    (head, body)
}

fn webhook(receiver: &Receiver) -> Webhook {
    let settings = ClientSettings {
        allow_plain_http: true,
        named_hosts: vec!["127.0.0.1".to_owned()],
        ..ClientSettings::new(Still::new())
    };
    let header = ("Authorization".to_owned(), Secret::new("Bearer hunter3"));
    Webhook::new(Arc::new(HttpClient::new(settings).unwrap()), receiver.url.clone(), Some(header))
}

const NOTHING: &str = "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

fn answer(status: &str) -> Option<&'static str> {
    Some(Box::leak(format!("HTTP/1.1 {status}{NOTHING}").into_boxed_str()))
}

#[tokio::test]
async fn it_gets_json_with_its_header_c36() {
    let receiver = receiver(answer("204 Taken")).await;
    for message in [one(), hostile()] {
        webhook(&receiver).tell(&message).await.unwrap();
        let (head, body) = receiver.requests.lock().unwrap().pop().unwrap();
        assert!(head.starts_with("post /hooks/hunter2 http/1.1\r\n"), "{head}");
        assert!(head.contains("authorization: bearer hunter3") && head.contains("application/json"), "{head}");
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap(), message.json());
    }
}

#[tokio::test]
async fn one_that_refuses_fails_or_sends_elsewhere_is_told_without_secrets_r24_a12_i13() {
    for (status, part) in [
        ("500 No", "answered 500"),
        ("401 No", "answered 401"),
        ("302 There\r\nLocation: http://127.0.0.1:1/", "redirects are not followed"),
    ] {
        let receiver = receiver(answer(status)).await;
        let error = webhook(&receiver).tell(&one()).await.unwrap_err().to_string();
        assert!(error.contains(part) && !error.contains("hunter"), "{error}");
        let peer = format!("127.0.0.1:{}", receiver.url.port().unwrap());
        assert!(error.starts_with(&peer), "{error}");
        assert_eq!(receiver.requests.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn one_that_never_answers_or_is_gone_r24() {
    let silent = receiver(None).await;
    let error = within(webhook(&silent), Duration::from_millis(300)).await.unwrap_err().to_string();
    let peer = format!("127.0.0.1:{}", silent.url.port().unwrap());
    assert!(error.starts_with(&format!("{peer}: nothing came of it")), "{error}");
    let gone = Receiver { url: Url::parse("http://127.0.0.1:1/hunter2").unwrap(), requests: Arc::default() };
    let error = webhook(&gone).tell(&one()).await.unwrap_err().to_string();
    assert!(
        error.starts_with("127.0.0.1:1: ") && error.contains("connect_failed") && !error.contains("hunter"),
        "{error}"
    );
}
