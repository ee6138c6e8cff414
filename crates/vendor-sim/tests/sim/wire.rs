//! What is wrong below HTTP: scripts, bad lines.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use vendor_sim::{Act, Fault, FaultRule, Kind, Manner, RawHost, Relay, Script, named_faults};

use crate::client::{ask, ask_briefly, get, small, start};

const PATH: &str = "/downloads/endpoint/manifest/artifacts-9.0.0.zip";

/// What a connection brings for these bytes, and how it ends; silence of half a second is an end.
fn heard(address: SocketAddr, said: &[u8]) -> (Vec<u8>, Option<ErrorKind>) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    stream.write_all(said).unwrap();
    let mut bytes = Vec::new();
    let end = stream.read_to_end(&mut bytes).err().map(|error| error.kind());
    (bytes, end)
}

#[test]
fn a_raw_host_says_exactly_what_it_is_told() {
    let scripts = vec![
        Script::answer(b"HTTP/1.1 200 OK\r\n\r\n\xff\0".to_vec()),
        Script::new().then(Act::Send(b"a".as_slice().into())).then(Act::HalfClose),
        Script::new().then(Act::ReadHead).then(Act::Send(b"b".as_slice().into())).then(Act::Reset),
        Script::new().then(Act::Drip(b"cd".as_slice().into(), Duration::from_millis(1))).then(Act::Hold),
    ];
    let host = RawHost::start(scripts).unwrap();
    let ask = b"GET / HTTP/1.1\r\n\r\n";
    assert_eq!(heard(host.address(), ask), (b"HTTP/1.1 200 OK\r\n\r\n\xff\0".to_vec(), None));
    assert_eq!(heard(host.address(), b""), (b"a".to_vec(), None));
    let (bytes, end) = heard(host.address(), ask);
    assert!(bytes.len() <= 1 && end == Some(ErrorKind::ConnectionReset), "{bytes:?} {end:?}");
    assert_eq!(heard(host.address(), b""), (b"cd".to_vec(), Some(ErrorKind::WouldBlock)));
    assert_eq!(heard(host.address(), b""), (b"cd".to_vec(), Some(ErrorKind::WouldBlock)), "the last again");
    assert_eq!(host.seen()[0], ask);
}

#[test]
fn scripts_strike_in_place_of_an_answer() {
    let simulator = start(small());
    for (name, _, fault) in named_faults().filter(|(_, _, fault)| matches!(fault, Fault::Script(_))) {
        simulator.clear_faults();
        let id = simulator.inject(FaultRule::always(Kind::Manifest, fault));
        let answer = ask_briefly(simulator.address(), "GET", PATH, &[]);
        assert_eq!(simulator.hits(id), 1, "{name}");
        assert_eq!(simulator.log().last().unwrap().status, 0, "{name}: {}", answer.head);
    }
    simulator.clear_faults();
    simulator.inject(FaultRule::always(Kind::Manifest, r"raw:HTTP/1.1 299 Odd\r\nX: \x41\r\n\r\n".parse().unwrap()));
    let answer = get(&simulator, PATH);
    assert_eq!((answer.status, answer.header("X")), (299, Some("A")));
}

#[test]
fn a_good_line_carries_everything_and_a_bad_one_breaks() {
    let simulator = start(small());
    let whole = get(&simulator, PATH).body;
    let line = Relay::start(simulator.address(), Manner::default()).unwrap();
    let through = |line: &Relay| ask(line.address(), "GET", PATH, &["Connection: close"]);
    assert_eq!(through(&line).body, whole);
    assert!(line.carried() > whole.len() as u64 && line.connections() == 1);

    line.set_manner(Manner { reset_after: Some(600), ..Manner::default() });
    let cut = through(&line);
    assert!(cut.body.len() < whole.len() && cut.error == Some(ErrorKind::ConnectionReset), "{:?}", cut.error);
    line.set_manner(Manner { refused_percent: 100, ..Manner::default() });
    assert_eq!(heard(line.address(), b"").1, Some(ErrorKind::ConnectionReset));
    line.set_manner(Manner { silent: true, ..Manner::default() });
    assert_eq!(heard(line.address(), b"GET / HTTP/1.1\r\n\r\n"), (Vec::new(), Some(ErrorKind::WouldBlock)));
    let (up, down) = (Duration::from_millis(1), Duration::from_secs(3600));
    line.set_manner(Manner { flap: Some((up, down)), ..Manner::default() });
    assert_eq!(heard(line.address(), b"").1, Some(ErrorKind::ConnectionReset), "it is down");
    line.set_manner(Manner { flap: Some((down, down)), ..Manner::default() });
    assert_eq!(through(&line).body, whole, "it is up");
    let slow = Manner {
        lost_percent: 50,
        again: Duration::from_millis(1),
        bytes_per_second: Some(1 << 20),
        ..Manner::default()
    };
    line.set_manner(slow);
    assert_eq!(through(&line).body, whole);
}
