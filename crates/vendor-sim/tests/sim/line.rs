use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use vendor_sim::{Kind, Network, Settings, Simulator};

use crate::client::{exchange, get, small, start};

const PATH: &str = "/downloads/endpoint/manifest/artifacts-9.0.0.zip";

/// Requests on one connection; how long they took.
fn timed(simulator: &Simulator, requests: usize) -> (Duration, usize) {
    #[allow(clippy::disallowed_methods, reason = "the line is emulated in real time")]
    let start = Instant::now();
    let last = format!("GET {PATH} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let others = format!("GET {PATH} HTTP/1.1\r\nHost: x\r\n\r\n").repeat(requests - 1);
    let mut stream = TcpStream::connect(simulator.address()).unwrap();
    stream.write_all(others.as_bytes()).unwrap();
    stream.write_all(last.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    (start.elapsed(), bytes.len())
}

#[test]
fn latency_is_paid_per_connection_and_per_request() {
    let network = Network::with_latency(Duration::from_millis(20));
    let simulator = start(Settings { network, ..small() });
    let (took, _) = timed(&simulator, 3);
    assert!(took >= Duration::from_millis(80), "{took:?}");
    simulator.set_network(Network { bytes_per_second: Some(100_000), ..Network::default() });
    let (took, bytes) = timed(&simulator, 2);
    assert!(took >= Duration::from_millis(bytes as u64 * 1000 / 100_000 * 8 / 10), "{took:?} for {bytes}");
}

#[test]
fn counters_and_log_tell_what_was_asked() {
    let simulator = start(small());
    let answer = get(&simulator, PATH);
    get(&simulator, "/nothing?a=b");
    let pipelined =
        format!("GET {PATH} HTTP/1.1\r\nHost: x\r\nX-Mark: 1\r\n\r\nGET /fwlink/?linkid=2144709 HTTP/1.0\r\n\r\n");
    exchange(simulator.address(), pipelined.as_bytes());
    let counters = simulator.requests();
    assert_eq!((counters.requests, counters.connections), (4, 3));
    assert_eq!((counters.status(200), counters.status(404), counters.status(302)), (2, 1, 1));
    assert_eq!((counters.containing("/manifest/"), counters.containing("?a=b")), (2, 1));
    assert_eq!(counters.by_kind[&Kind::Manifest], 2);
    assert_eq!(counters.body_bytes, 2 * answer.body.len() as u64 + 10);
    assert!(counters.bytes_sent > counters.body_bytes && counters.in_flight_peak >= 1);
    let log = simulator.log();
    assert_eq!((log.len(), log[2].header("x-mark"), log[2].method.as_str()), (4, Some("1"), "GET"));
    simulator.reset_counters();
    assert_eq!((simulator.requests().requests, simulator.log().len()), (0, 0));
}

#[test]
fn the_log_forgets_the_oldest() {
    let simulator = start(Settings { log_length: 2, ..small() });
    for n in 0..4 {
        get(&simulator, &format!("/{n}"));
    }
    let targets: Vec<_> = simulator.log().into_iter().map(|entry| entry.target).collect();
    assert_eq!(targets, ["/2", "/3"]);
}

#[test]
fn nonsense_is_answered_with_400_and_costs_nothing() {
    let simulator = start(small());
    assert_eq!(exchange(simulator.address(), b"\x16\x03\x01\x02\x00\r\n\r\n").status, 400);
    let endless = [b"GET / HTTP/1.1\r\nX: ".as_slice(), &[b'x'; 70_000]].concat();
    assert!(matches!(exchange(simulator.address(), &endless).status, 0 | 400), "a reset may overtake the answer");
    assert_eq!(get(&simulator, PATH).status, 200);
}

#[test]
fn a_simulator_that_was_shut_down_is_gone() {
    let simulator = start(small());
    let address = simulator.address();
    let mut open = TcpStream::connect(address).unwrap();
    open.write_all(b"GET").unwrap();
    simulator.shutdown();
    assert!(TcpStream::connect(address).is_err());
    assert!(matches!(open.read(&mut [0; 1]), Ok(0) | Err(_)));
    let again = Settings { address, ..small() };
    assert_eq!(start(again).address(), address, "the port is free again");
    let taken = start(small());
    assert!(Simulator::start(Settings { address: taken.address(), ..small() }).is_err());
}

#[tokio::test]
async fn it_starts_and_stops_inside_a_runtime() {
    let simulator = start(small());
    assert!(simulator.elastic_url().starts_with("http://127.0.0.1:"));
    assert!(simulator.defender_url().ends_with("/fwlink/"));
    drop(simulator);
}
