//! Slow, greedy and odd clients of the admin listener.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, missing_docs)]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use admin_http::{AdminServer, Limits, StatusSource};
use async_trait::async_trait;
use mirror::Status;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

/// Long enough never to be met in a test.
const LONG: Duration = Duration::from_secs(300);
/// Met at once.
const SHORT: Duration = Duration::from_millis(100);

fn patient() -> Limits {
    Limits { head: LONG, answer: LONG, catalog: LONG, age: LONG, ending: LONG, ..Limits::default() }
}

/// A status that is told only when the test lets it be.
struct Gate {
    entered: Semaphore,
    leave: Semaphore,
    inside: AtomicUsize,
    most: AtomicUsize,
}

fn gate() -> Arc<Gate> {
    let (inside, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    Arc::new(Gate { entered: Semaphore::new(0), leave: Semaphore::new(0), inside, most })
}

impl Gate {
    async fn wait_for_one(&self) {
        self.entered.acquire().await.unwrap().forget();
    }
}

#[async_trait]
impl StatusSource for Gate {
    async fn status(&self) -> Result<Status, String> {
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(inside, Ordering::SeqCst);
        self.entered.add_permits(1);
        self.leave.acquire().await.unwrap().forget();
        self.inside.fetch_sub(1, Ordering::SeqCst);
        Err("the gate opened".to_owned())
    }
}

struct Running {
    address: SocketAddr,
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn run(limits: Limits, gate: &Arc<Gate>) -> Running {
    let status: Arc<dyn StatusSource> = Arc::<Gate>::clone(gate);
    let server = AdminServer::bind("127.0.0.1:0".parse().unwrap(), None, Some(status)).await.unwrap();
    let address = server.address();
    let (end, ended) = oneshot::channel();
    let task = tokio::spawn(server.with_limits(limits).run(async move { drop(ended.await) }));
    Running { address, end, task }
}

impl Running {
    async fn send(&self, bytes: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(bytes.as_bytes()).await.unwrap();
        stream
    }
}

/// All that comes until the server closes.
async fn rest(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    // A reset is an end too.
    let _ = stream.read_to_end(&mut text).await;
    String::from_utf8(text).unwrap()
}

/// One answer on a connection that stays.
async fn answer(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    while !text.ends_with(b"alive\n") {
        let mut chunk = [0; 1024];
        let read = stream.read(&mut chunk).await.unwrap();
        assert!(read > 0, "closed too early");
        text.extend_from_slice(&chunk[..read]);
    }
    String::from_utf8(text).unwrap()
}

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n";
const LAST_HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
const STATUS: &str = "GET /api/v1/status HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

#[tokio::test]
async fn a_slow_head_is_closed_at_its_deadline_v08_v09() {
    let server = run(Limits { head: SHORT, ..patient() }, &gate()).await;
    let silent = server.send("").await;
    let partial = server.send("GET /healthz HTTP/1.1\r\nHo").await;
    assert!(rest(server.send(LAST_HEALTH).await).await.ends_with("alive\n"), "others are not kept waiting");
    for stream in [silent, partial] {
        assert!(!rest(stream).await.contains("200 OK"));
    }
}

#[tokio::test]
async fn metrics_do_not_wait_for_a_catalog_that_hangs_i9() {
    let server = run(Limits { catalog: SHORT, ..patient() }, &gate()).await;
    let asked = server.send("GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
    let told = rest(asked).await;
    assert!(told.starts_with("HTTP/1.1 200 OK") && told.contains("catalog_readable 0"), "{told}");
}

#[tokio::test]
async fn bytes_that_trickle_give_no_more_time_v09() {
    let server = run(Limits { head: SHORT, ..patient() }, &gate()).await;
    let mut stream = server.send("GET /healthz HTTP/1.1\r\n").await;
    // One header line after the other, for as long as the server takes them; it is the one to end this.
    let mut beat = tokio::time::interval(Duration::from_millis(10));
    while stream.write_all(b"A: b\r\n").await.is_ok() {
        beat.tick().await;
    }
}

#[tokio::test]
async fn an_idle_connection_is_closed_v09() {
    let server = run(Limits { head: SHORT, ..patient() }, &gate()).await;
    let mut stream = server.send(HEALTH).await;
    answer(&mut stream).await;
    assert_eq!(rest(stream).await, "");
}

#[tokio::test]
async fn a_busy_connection_is_closed_when_it_is_old_v12() {
    let server = run(Limits { age: SHORT, ..patient() }, &gate()).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let mut answers = 0;
    while stream.write_all(HEALTH.as_bytes()).await.is_ok() {
        let mut chunk = [0; 1024];
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => break,
            Ok(_) => answers += 1,
        }
    }
    assert!(answers > 0);
    assert!(rest(server.send(LAST_HEALTH).await).await.ends_with("alive\n"));
}

#[tokio::test]
async fn a_reader_that_stops_does_not_keep_its_place_v10() {
    let server = run(Limits { connections: 1, age: SHORT, ending: SHORT, ..patient() }, &gate()).await;
    // Asks and asks and never reads, until the server takes no more.
    let mut deaf = TcpStream::connect(server.address).await.unwrap();
    let deaf = tokio::spawn(async move { while deaf.write_all(HEALTH.repeat(100).as_bytes()).await.is_ok() {} });
    assert!(rest(server.send(LAST_HEALTH).await).await.ends_with("alive\n"));
    deaf.await.unwrap();
}

#[tokio::test]
async fn connections_beyond_the_cap_wait_in_the_backlog_v12() {
    let gate = gate();
    let server = run(Limits { connections: 2, ..patient() }, &gate).await;
    let clients: Vec<_> = {
        let mut clients = Vec::new();
        for _ in 0..8 {
            clients.push(server.send(STATUS).await);
        }
        clients
    };
    for _ in 0..8 {
        gate.wait_for_one().await;
        assert!(gate.inside.load(Ordering::SeqCst) <= 2);
        gate.leave.add_permits(1);
    }
    for client in clients {
        assert!(rest(client).await.starts_with("HTTP/1.1 503"));
    }
    assert!(gate.most.load(Ordering::SeqCst) <= 2);
}

#[tokio::test]
async fn an_answer_that_cannot_be_made_in_time_is_a_503() {
    let server = run(Limits { answer: SHORT, ..patient() }, &gate()).await;
    let text = rest(server.send(STATUS).await).await;
    assert!(text.starts_with("HTTP/1.1 503") && text.contains("no answer in time"), "{text}");
}

#[tokio::test]
async fn bodies_and_long_heads_are_refused() {
    let server = run(patient(), &gate()).await;
    let body = "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n";
    assert!(rest(server.send(body).await).await.starts_with("HTTP/1.1 413"));
    // A body of unknown length is not refused for what it might be; it is not read.
    let chunked =
        "GET /healthz HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nffffffff\r\n";
    assert!(rest(server.send(chunked).await).await.ends_with("alive\n"));
    let long = format!("GET /healthz HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n", "a".repeat(40_000));
    assert!(rest(server.send(&long).await).await.starts_with("HTTP/1.1 431"));
    let many = format!("GET /healthz HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(100));
    assert!(rest(server.send(&many).await).await.starts_with("HTTP/1.1 431"));
}

#[tokio::test]
async fn at_the_end_answers_in_progress_are_finished_and_idle_connections_closed_s39() {
    let gate = gate();
    let Running { address, end, task } = run(patient(), &gate).await;
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(HEALTH.as_bytes()).await.unwrap();
    answer(&mut idle).await;
    let mut busy = TcpStream::connect(address).await.unwrap();
    busy.write_all(STATUS.as_bytes()).await.unwrap();
    gate.wait_for_one().await;
    end.send(()).unwrap();
    assert_eq!(rest(idle).await, "");
    assert!(TcpStream::connect(address).await.is_err());
    gate.leave.add_permits(1);
    assert!(rest(busy).await.contains("the catalog cannot be read"));
    task.await.unwrap();
}

#[tokio::test]
async fn the_end_does_not_wait_for_ever_s39() {
    let gate = gate();
    let Running { address, end, task } = run(Limits { ending: SHORT, ..patient() }, &gate).await;
    let mut busy = TcpStream::connect(address).await.unwrap();
    busy.write_all(STATUS.as_bytes()).await.unwrap();
    gate.wait_for_one().await;
    end.send(()).unwrap();
    task.await.unwrap();
    assert_eq!(rest(busy).await, "");
}
