//! Smuggling, alone and behind proxies: whatever one client sends, nobody gets another's answer.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use e2e::{Daemon, Site};
use model::Digest;
use vendor_sim::{DefenderSettings, ElasticSettings, Settings, Simulator};

use super::crowd::metric;
use super::fronts::{Front, before};
use super::raw::{PATIENCE, exchange, is_gone, read_all, shown};
use super::vectors::{METHODS, VECTORS};
use crate::shell::saw;

const VERSION: &str = "9.0.0";
/// What one client sends before it is given up on: longer ones wait for what never comes.
const ATTACKER_WAITS: Duration = Duration::from_millis(20);

/// A mirror with files that tell whose answer somebody got.
struct House {
    serve: Daemon,
    site: Site,
    files: Vec<(String, Digest)>,
    _vendor: Simulator,
}

fn house() -> House {
    let elastic = ElasticSettings {
        versions: vec![VERSION.to_owned()],
        artifacts: 16,
        artifact_size: 2_000,
        ..ElasticSettings::default()
    };
    let defender = DefenderSettings { feeds: Vec::new(), ..DefenderSettings::default() };
    let vendor = Simulator::start(Settings { elastic, defender, ..Settings::lately() }).unwrap();
    // The access log tells what reached us.
    let log = "[access_log]\npath = \"access.log\"\n".to_owned();
    let site = Site::new(&[e2e::elastic(&vendor.elastic_url(), &[VERSION]), log]);
    site.sync(&[]).expect(0);
    let serve = site.start("serve");
    let release = vendor.elastic_release(VERSION).unwrap();
    let files = release.artifacts.iter().map(|one| (one.relative_url.clone(), one.body.digest())).collect();
    House { serve, site, files, _vendor: vendor }
}

/// A good client's request through a front, on a connection of its own; what it got, unless that is its own.
fn another(front: SocketAddr, (path, digest): &(String, Digest)) -> Option<String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    let mut stream = TcpStream::connect_timeout(&front, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut read = Vec::new();
    if let Err(error) = stream.read_to_end(&mut read) {
        return Some(error.to_string());
    }
    let said = read_all(&read, &[]);
    let own = match &said.answers[..] {
        [answer] => said.broken.is_none() && answer.status == 200 && Digest::of(&answer.body) == *digest,
        _ => false,
    };
    (!own).then(|| shown(&read))
}

fn good(front: SocketAddr, file: &(String, Digest), after: &str) {
    if let Some(got) = another(front, file) {
        panic!("after {after}, a good client got another's answer: {got}");
    }
}

/// Sends a vector through a front and leaves the connection open meanwhile; how many answers came in all.
fn attack(front: &Front, bytes: &[u8], files: &[(String, Digest)], name: &str) -> usize {
    let mut stream = TcpStream::connect_timeout(&front.peer.address, PATIENCE).unwrap();
    // A front may wait for what never comes; nothing hangs on how long it is given.
    stream.set_read_timeout(Some(ATTACKER_WAITS)).unwrap();
    if let Err(error) = stream.write_all(bytes) {
        assert!(is_gone(error.kind()), "{error}");
    }
    let mut read = vec![0; 64 * 1024];
    let first = stream.read(&mut read).unwrap_or(0);
    read.truncate(first);
    files.iter().take(3).for_each(|file| good(front.peer.address, file, name));
    let _ = stream.shutdown(Shutdown::Write);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // Being reset is an end as well.
    let _ = stream.read_to_end(&mut read);
    files.iter().skip(3).take(2).for_each(|file| good(front.peer.address, file, name));
    let text = String::from_utf8_lossy(&read);
    text.matches("HTTP/1.1 ").count()
}

#[test]
fn alone_each_vector_gets_one_refusal_and_the_connection_ends_v06() {
    let house = house();
    let mut sent = 0;
    for (number, vector) in VECTORS.iter().enumerate() {
        for method in METHODS {
            let hidden = format!("/hidden-{number}-{method}");
            let mut bytes = vector.bytes(method, "/visible", &hidden);
            bytes.extend_from_slice(b"a\r\n\r\n");
            let read = exchange(house.serve.content, &bytes);
            let said = read_all(&read, &[method == "HEAD"]);
            let name = format!("{} with {method}", vector.name);
            assert!(said.broken.is_none(), "{name}: {said:?}");
            let statuses: Vec<u16> = said.answers.iter().map(|answer| answer.status).collect();
            // These say nothing of a body that counts, so what follows is a request of its own.
            let plain = matches!(
                vector.name,
                "a second request at once" | "upgrade too early" | "upgrade to h2c" | "CL with an underscore"
            );
            if plain && matches!(method, "GET" | "HEAD") {
                assert_eq!(statuses, [404, 404], "{name}");
            } else {
                assert!(matches!(statuses[..], [400 | 405 | 417 | 501]), "{name}: {statuses:?}");
            }
            sent += 1;
        }
    }
    house.serve.finish();
    let log = std::fs::read_to_string(house.site.folder().join("access.log")).unwrap();
    let reached = log.lines().filter(|line| line.contains("/hidden-")).count();
    assert_eq!(reached, 8, "requests that were sent plainly behind another are answered, no others");
    saw(&format!(
        "{sent} vectors sent to us: each is refused once and its connection ends, but for {reached} that hide nothing"
    ));
}

/// A server that never looks at bodies, so that what stands there is a request to it; it answers with the path.
fn careless() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || answer_heads(stream));
        }
    });
    address
}

fn answer_heads(mut stream: TcpStream) {
    let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        read.extend_from_slice(&buffer[..length]);
        while let Some(end) = read.windows(4).position(|four| four == b"\r\n\r\n") {
            let head: Vec<u8> = read.drain(..end + 4).collect();
            let path = String::from_utf8_lossy(&head).split(' ').nth(1).unwrap_or_default().to_owned();
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{path}", path.len());
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}

/// What is asserted of us is able to fail.
#[test]
fn behind_a_front_a_careless_server_gives_good_clients_what_is_anothers() {
    let paths = ["/one", "/two", "/three"].map(|path| (path.to_owned(), Digest::of(path.as_bytes())));
    let mut caught = 0;
    for front in before(careless()) {
        let vector = VECTORS.iter().find(|vector| vector.name == "CL.0").unwrap();
        for _ in 0..20 {
            let bytes = vector.bytes("POST", "/visible", "/hidden");
            let mut stream = TcpStream::connect_timeout(&front.peer.address, PATIENCE).unwrap();
            stream.write_all(&bytes).unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let _ = stream.read(&mut [0; 1024]);
            caught += paths.iter().filter(|file| another(front.peer.address, file).is_some()).count();
        }
    }
    assert!(caught > 0, "smuggling to a server that never looks at bodies was not found");
    saw(&format!(
        "behind the same fronts, a server that never looks at bodies gave {caught} good clients another's answer"
    ));
}

#[test]
fn behind_nginx_apache_and_haproxy_nobody_gets_anothers_answer_v06() {
    let house = house();
    for front in before(house.serve.content) {
        let (mut answered, mut sent) = (0, 0);
        let before = metric(house.serve.admin, "waystation_http_connections_total");
        for (number, vector) in VECTORS.iter().enumerate() {
            for method in METHODS {
                let name = format!("{} with {method} through {}", vector.name, front.name);
                let bytes = vector.bytes(method, &house.files[15].0, &format!("/hidden-{number}"));
                answered += attack(&front, &bytes, &house.files[number % 8..], &name);
                sent += 1;
            }
        }
        let good = 5 * sent;
        let connections = metric(house.serve.admin, "waystation_http_connections_total") - before;
        assert!(
            connections < good,
            "{}: {connections} connections for {good} good clients share too little",
            front.name
        );
        saw(&format!(
            "{}: {sent} vectors, {answered} answers to them, {good} good clients beside and behind them, all with their own \
             answers over {connections} connections to us",
            front.name,
        ));
    }
    house.serve.finish();
}
