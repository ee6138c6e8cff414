//! Deadlines, caps, start and end.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use content_http::{Bind, ContentServer, Drained, Listener, Policy, Settings, StartError, Trouble};

use crate::harness::{Client, Site, noise, ring, source, until};

#[test]
fn idle_connections_end_and_busy_ones_stay() {
    let site = Site::with(&[("/a", b"A")]);
    let mut idle = site.connect();
    idle.get("/a", "");
    idle.answer().unwrap();
    site.clock.advance(Duration::from_secs(74));
    let mut busy = site.connect();
    busy.get("/a", "");
    busy.answer().unwrap();
    site.clock.advance(Duration::from_secs(2));
    assert!(idle.is_closed());
    busy.get("/a", "");
    assert_eq!(busy.answer().unwrap().status, 200);
}

#[test]
fn a_head_that_trickles_in_is_not_waited_for_v08() {
    let site = Site::with(&[("/a", b"A")]);
    let mut silent = site.connect();
    let mut slow = site.connect();
    slow.get("/a", "");
    slow.answer().unwrap();
    slow.send("GET /a HT");
    let seen = site.server.stats().connections_open;
    assert_eq!(seen, 2);
    site.clock.advance(Duration::from_secs(10));
    // More bytes do not give more time.
    slow.send("TP/1.1\r\n");
    site.get("/a", "");
    site.clock.advance(Duration::from_secs(80));
    assert!(slow.is_closed() && silent.is_closed());
    until(|| site.server.stats().connections_open == 0);
    assert!(site.server.stats().trouble(Trouble::HeadTimeout) >= 1);
}

#[test]
fn the_cap_takes_from_the_idle_v12() {
    let site = Site::empty(|settings| settings.limits.connections = 4);
    site.publish("broad", &[("/a", b"A")]);
    let mut idle: Vec<Client<_>> = (0..4)
        .map(|_| {
            let mut client = site.connect();
            client.get("/a", "");
            client.answer().unwrap();
            client
        })
        .collect();
    for _ in 0..8 {
        assert_eq!(site.get("/a", "").status, 200);
    }
    assert!(site.server.stats().trouble(Trouble::Evicted) >= 1);
    idle.iter().for_each(|client| client.stream.set_nonblocking(true).unwrap());
    until(|| idle.iter_mut().any(Client::is_closed));
}

#[test]
fn the_silent_make_room_before_the_idle_v12() {
    let site = Site::empty(|settings| settings.limits.connections = 4);
    site.publish("broad", &[("/a", b"A")]);
    let asks = |client: &mut Client<_>| {
        client.get("/a", "");
        client.answer().unwrap().status
    };
    let mut idle = site.connect();
    assert_eq!(asks(&mut idle), 200);
    let mut silent: Vec<Client<_>> = (0..2).map(|_| site.connect()).collect();
    let mut dawdling = site.connect();
    dawdling.send("GET /a HT");
    until(|| site.server.stats().connections_open == 4);
    // Also the server's clock goes on.
    site.clock.advance(Duration::from_secs(4));
    assert_eq!(asks(&mut idle), 200);
    let newcomer = || {
        let mut newcomer = site.connect();
        assert_eq!(asks(&mut newcomer), 200);
        newcomer
    };
    let mut newcomers = vec![newcomer(), newcomer()];
    assert!(silent.iter_mut().all(Client::is_closed));
    assert_eq!(asks(&mut idle), 200, "who asked before stays");
    site.clock.advance(Duration::from_secs(1));
    assert!(newcomers.iter_mut().all(|newcomer| asks(newcomer) == 200));
    newcomers.extend([newcomer(), newcomer(), newcomer()]);
    assert!(idle.is_closed(), "then the idle go");
    let stats = site.server.stats();
    assert_eq!((stats.trouble(Trouble::Evicted), stats.trouble(Trouble::Refused)), (5, 0));
    drop(dawdling);
}

#[test]
fn those_who_do_not_say_what_they_want_make_room_when_nobody_is_idle_v12() {
    let big = noise(1, 32 << 20);
    let site = Site::empty(|settings| settings.limits.connections = 2);
    site.publish("broad", &[("/big", &big), ("/a", b"A")]);
    let mut dawdling = site.connect();
    dawdling.send("GET /a HT");
    until(|| site.server.stats().connections_open == 1);
    site.clock.advance(Duration::from_secs(4));
    let mut busy = site.connect();
    busy.get("/big", "");
    busy.stream.read_exact(&mut [0; 1]).unwrap();
    assert_eq!(site.get("/a", "").status, 200);
    assert!(dawdling.is_closed());
}

#[test]
fn at_the_cap_the_busy_are_left_alone_v12() {
    let big = noise(1, 32 << 20);
    let site = Site::empty(|settings| settings.limits.connections = 2);
    site.publish("broad", &[("/big", &big)]);
    let mut busy: Vec<Client<_>> = (0..2)
        .map(|_| {
            let mut client = site.connect();
            client.get("/big", "");
            client.stream.read_exact(&mut [0; 1]).unwrap();
            client
        })
        .collect();
    let mut late = site.connect();
    let _ = late.stream.write_all(b"GET /big HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(late.answer().is_err());
    assert_eq!(site.server.stats().trouble(Trouble::Refused), 1);
    for client in &mut busy {
        let mut left = big.len();
        while left > 0 {
            let read = client.stream.read(&mut vec![0; 1 << 20]).unwrap();
            assert!(read > 0);
            left = left.saturating_sub(read);
        }
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

#[test]
fn a_drain_lets_downloads_end_and_takes_no_more_s39() {
    let big = noise(1, 32 << 20);
    let site = Site::with(&[("/big", &big), ("/a", b"A")]);
    let mut idle = site.connect();
    idle.get("/a", "");
    idle.answer().unwrap();
    let mut client = site.connect();
    client.get("/big", "");
    let mut first = [0; 1];
    client.stream.read_exact(&mut first).unwrap();
    std::thread::scope(|scope| {
        let drained = scope.spawn(|| block_on(site.server.drain(Duration::from_secs(30))));
        assert!(idle.is_closed());
        assert!(!site.server.is_ready());
        let mut got = first.to_vec();
        client.stream.read_to_end(&mut got).unwrap();
        assert!(got.ends_with(&big[big.len() - 1000..]) && got.len() > big.len());
        assert_eq!(drained.join().unwrap(), Drained { cut_off: 0 });
    });
    assert!(std::net::TcpStream::connect(site.address()).is_err());
}

#[test]
fn a_drain_does_not_wait_for_the_silent_s39() {
    let site = Site::with(&[("/a", b"A")]);
    let mut silent = site.connect();
    until(|| site.server.stats().connections_open == 1);
    site.clock.advance(Duration::from_secs(1));
    // The clock stands: only its being silent can end it before the deadline.
    assert_eq!(block_on(site.server.drain(Duration::from_secs(20))), Drained { cut_off: 0 });
    assert!(silent.is_closed());
}

/// Waits until the server has looked at its connections after the clock was moved.
fn pass(site: &Site, time: Duration) {
    let open = site.server.stats().connections_open;
    let mut mark = site.connect();
    until(|| site.server.stats().connections_open == open + 1);
    site.clock.advance(time);
    assert!(mark.is_closed(), "its head is overdue");
    until(|| site.server.stats().connections_open <= open);
}

#[test]
fn who_takes_nothing_makes_room_and_who_takes_a_little_does_not_v10() {
    const STEP: usize = 128 * 1024;
    let big = noise(1, 64 << 20);
    let site = Site::empty(|settings| settings.limits.connections = 3);
    site.publish("broad", &[("/big", &big), ("/a", b"A")]);
    let reader = || {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(16 * 1024).unwrap();
        socket.connect(&site.address().into()).unwrap();
        let mut reader = Client::new(std::net::TcpStream::from(socket));
        reader.stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        reader.get("/big", "");
        reader.stream.read_exact(&mut vec![0; STEP]).unwrap();
        reader
    };
    let (mut slow, mut stuck) = (reader(), reader());
    let mut whole = STEP;
    for _ in 1..=6 {
        pass(&site, Duration::from_secs(25));
        slow.stream.read_exact(&mut vec![0; STEP]).unwrap();
        whole += STEP;
    }
    assert_eq!(site.server.stats().trouble(Trouble::Stalled), 0, "both are there, and there is room for both");
    let busy = reader();
    assert_eq!(site.get("/a", "").status, 200);
    assert_eq!(site.server.stats().trouble(Trouble::Evicted), 1);
    let mut rest = Vec::new();
    assert!(
        stuck.stream.read_to_end(&mut rest).is_err() || rest.len() < big.len() / 2,
        "reset, and not sent to its end"
    );
    drop(busy);
    let mut left = Vec::new();
    slow.stream.take((big.len() - whole) as u64).read_to_end(&mut left).unwrap();
    assert!(left.len() == big.len() - whole, "and the slow one gets all of it");
}

#[test]
fn a_drain_ends_at_its_deadline_s39() {
    let site = Site::with(&[("/big", &noise(1, 64 << 20))]);
    let mut client = site.connect();
    client.get("/big", "");
    client.stream.read_exact(&mut [0; 1]).unwrap();
    assert_eq!(block_on(site.server.drain(Duration::from_millis(50))), Drained { cut_off: 1 });
    let mut rest = Vec::new();
    assert!(client.stream.read_to_end(&mut rest).is_err() || rest.len() < 64 << 20);
    assert_eq!(block_on(site.server.drain(Duration::from_secs(1))), Drained { cut_off: 1 });
}

fn start(listeners: Vec<Listener>, workers: usize) -> Result<ContentServer, StartError> {
    let mut settings = Settings::plain("127.0.0.1:0".parse().unwrap(), ring("broad"));
    settings.listeners = listeners;
    settings.workers = NonZeroUsize::new(workers);
    ContentServer::start(settings, source(), Arc::new(platform::SystemClock::new()))
}

fn asks(address: SocketAddr) -> u16 {
    let mut client = Client::new(std::net::TcpStream::connect(address).unwrap());
    client.get("/", "");
    client.answer().unwrap().status
}

#[test]
fn several_listeners_and_workers_and_a_socket_handed_over() {
    let inherited = TcpListener::bind("127.0.0.1:0").unwrap();
    let handed_over = inherited.local_addr().unwrap();
    let server = start(
        vec![
            Listener { bind: Bind::Address("127.0.0.1:0".parse().unwrap()), policy: Policy::default() },
            Listener { bind: Bind::Inherited(inherited), policy: Policy::default() },
        ],
        3,
    )
    .unwrap();
    assert_eq!(server.local_addresses()[1], handed_over);
    for _ in 0..20 {
        for address in server.local_addresses() {
            assert_eq!(asks(*address), 503);
        }
    }
    assert_eq!(server.stats().answered(503), 40);
    assert_eq!(server.stats().connections_total, 40);
}

#[test]
fn a_busy_port_is_an_error_that_names_it_v40() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = start(vec![Listener { bind: Bind::Address(address), policy: Policy::default() }], 2).unwrap_err();
    let source = std::error::Error::source(&error).unwrap();
    assert!(source.to_string().contains(&address.to_string()), "{source}");
}

#[test]
fn a_second_server_cannot_share_the_port_v40() {
    let first =
        start(vec![Listener { bind: Bind::Address("127.0.0.1:0".parse().unwrap()), policy: Policy::default() }], 2)
            .unwrap();
    let address = first.local_addresses()[0];
    assert!(start(vec![Listener { bind: Bind::Address(address), policy: Policy::default() }], 2).is_err());
}
