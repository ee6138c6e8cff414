//! The same requests to Waystation, nginx and Apache, each serving the same files: what differs is explained in
//! `differences.toml`, and what is explained there happens.
//!
//! Compared are the status, what becomes of the connection (a second request follows at once), the framing, tag and
//! date as the server itself gives them in a plain 200, Content-Range and Accept-Ranges, and of successes the body.
//! The texts of errors are everybody's own.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use e2e::whole::{defender_folder, manifest_path};
use e2e::{Daemon, Site};
use model::{Digest, parse_http_date};
use vendor_sim::{
    Architecture, DefenderFeed, DefenderSettings, ElasticSettings, ElasticTarget, Platform, Settings, Simulator, Track,
};

use super::differences::{Difference, Rules, Unexplained};
use super::peers::{Peer, aged, apache, nginx, open_folder};
use super::raw::{Answer, Framing, exchange, read_all, shown};
use super::requests::{Dice, Request, Validators, make};
use crate::shell::saw;

const SEED: u64 = 5;
const COUNT: usize = 5_000;
/// Larger than what is held in memory for an answer.
const LARGE: u64 = 1_200_000;
const VERSION: &str = "9.0.0";
const FEED: DefenderFeed = DefenderFeed::new(Platform::Linux, Track::Production, Architecture::X86_64);

/// One server, and what it says of each file.
struct Server {
    name: &'static str,
    address: SocketAddr,
    validators: Vec<Validators>,
}

impl Server {
    fn meet(name: &'static str, address: SocketAddr, files: &[&str]) -> Self {
        let validators = files.iter().map(|file| learn(address, file)).collect();
        Self { name, address, validators }
    }
}

fn learn(address: SocketAddr, file: &str) -> Validators {
    let ask = || {
        let plain =
            exchange(address, format!("GET {file} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").as_bytes());
        let answer = read_all(&plain, &[]).answers.into_iter().next();
        answer.filter(|answer| answer.status == 200).unwrap_or_else(|| panic!("{file} is not served"))
    };
    let field =
        |answer: &Answer, name: &str| answer.field(name).unwrap_or_else(|| panic!("{file}: no {name}")).to_owned();
    let answer = ask();
    let date = field(&answer, "last-modified");
    let at = parse_http_date(&date).unwrap();
    let (half_hour, second) = (Duration::from_secs(1800), Duration::from_secs(1));
    // A later date must not lie ahead: then it says nothing, to us and to Apache.
    e2e::until("a time after that of the files", Duration::from_secs(30), || {
        (parse_http_date(&field(&ask(), "date")).unwrap() > at.after(second)).then_some(())
    });
    let (rfc850, asctime) = older_forms(&date);
    Validators {
        etag: field(&answer, "etag"),
        before: at.before(half_hour).http_date(),
        after: at.after(second).http_date(),
        rfc850,
        asctime,
        date,
    }
}

/// The two forms of a date that only old clients send.
fn older_forms(date: &str) -> (String, String) {
    const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
    let words: Vec<&str> = date.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    let [week, day, month, year, time, _] = words[..] else { panic!("{date}") };
    let full = DAYS.iter().find(|full| full.starts_with(week)).unwrap();
    let single = day.trim_start_matches('0');
    (format!("{full}, {day}-{month}-{} {time} GMT", &year[2..]), format!("{week} {month} {single:>2} {time} {year}"))
}

/// What a server did with one request of a connection.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    /// The status; or why there is none.
    status: String,
    kept: bool,
    /// Parts of the answer and what they say.
    facets: Vec<(&'static str, String)>,
}

impl Outcome {
    fn of(answer: Option<&Answer>, kept: bool, of: &Validators) -> Self {
        let Some(answer) = answer else {
            return Self { status: "nothing".to_owned(), kept, facets: Vec::new() };
        };
        let own = |name: &str, expected: &str| match answer.field(name) {
            None => "absent".to_owned(),
            Some(value) if value == expected => "own".to_owned(),
            Some(_) => "another".to_owned(),
        };
        let text = |name: &str| answer.field(name).unwrap_or("absent").to_owned();
        let framing = match answer.framing {
            Framing::None => "none",
            Framing::Length => "length",
            Framing::Chunked => "chunked",
            Framing::Close => "close",
        };
        let body = if (200..300).contains(&answer.status) {
            format!("{} bytes {}", answer.body.len(), Digest::of(&answer.body))
        } else {
            String::new()
        };
        let facets = vec![
            ("framing", framing.to_owned()),
            ("tag", own("etag", &of.etag)),
            ("date", own("last-modified", &of.date)),
            ("content-range", text("content-range")),
            ("accept-ranges", text("accept-ranges")),
            ("content-encoding", text("content-encoding")),
            ("body", body),
        ];
        Self { status: answer.status.to_string(), kept, facets }
    }

    fn connection(&self) -> &'static str {
        if self.kept { "kept" } else { "closed" }
    }

    fn differences(&self, theirs: &Self, peer: &'static str) -> Vec<Difference> {
        let difference = |facet, ours: &str, theirs: &str| Difference {
            peer,
            facet,
            ours: ours.to_owned(),
            theirs: theirs.to_owned(),
        };
        let all = |outcome: &Self| format!("{} {}", outcome.status, outcome.connection());
        if self.status != theirs.status {
            return vec![difference("status", &all(self), &all(theirs))];
        }
        let mut found = Vec::new();
        if self.kept != theirs.kept {
            found.push(difference("connection", &all(self), &all(theirs)));
        }
        let parts = self.facets.iter().zip(&theirs.facets).filter(|(ours, theirs)| ours != theirs);
        found.extend(parts.map(|((facet, ours), (_, theirs))| {
            difference(facet, &format!("{} {ours}", self.status), &format!("{} {theirs}", self.status))
        }));
        found
    }
}

/// Sends the requests of one connection, and a plain one behind them that tells whether it was kept.
fn ask(server: &Server, requests: &[Request], probe: &str) -> Vec<Outcome> {
    let mut bytes: Vec<u8> = requests.iter().flat_map(|one| one.bytes(&server.validators[one.file])).collect();
    bytes.extend_from_slice(format!("GET {probe} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").as_bytes());
    let heads: Vec<bool> = requests.iter().map(|one| one.is_head).collect();
    let read = exchange(server.address, &bytes);
    let said = read_all(&read, &heads);
    let outcome = |(at, request): (usize, &Request)| {
        let answer = said.answers.get(at);
        // What follows without being HTTP/1 is an answer, too.
        let kept = said.answers.len() > at + 1 || (said.answers.len() == at + 1 && said.broken.is_some());
        let mut outcome = Outcome::of(answer, kept, &server.validators[request.file]);
        if at >= said.answers.len() && said.broken.is_some() {
            outcome.status = "no HTTP/1".to_owned();
        }
        if said.answers.len() > requests.len() + 1 {
            outcome.status = format!("{} answers", said.answers.len());
        }
        outcome
    };
    requests.iter().enumerate().map(outcome).collect()
}

/// Sends one connection's requests to all, and adds what no rule explains.
fn compare(servers: &[Server; 3], requests: &[Request], probe: &str, rules: &Rules) -> Unexplained {
    let mut unexplained = Unexplained::default();
    let [ours, theirs @ ..] = servers;
    let our_outcomes = ask(ours, requests, probe);
    for peer in theirs {
        let their_outcomes = ask(peer, requests, probe);
        for ((request, ours), theirs) in requests.iter().zip(&our_outcomes).zip(&their_outcomes) {
            for difference in ours.differences(theirs, peer.name) {
                if !rules.explain(&difference, &request.marks) {
                    let bytes = request.bytes(&peer.validators[request.file]);
                    unexplained.add(difference, &request.marks, shown(&bytes));
                }
            }
            // What follows is not asked of a server that has closed.
            if !ours.kept || !theirs.kept {
                break;
            }
        }
    }
    unexplained
}

/// Servers and what keeps them alive.
struct House {
    servers: [Server; 3],
    files: Vec<String>,
    _alive: (Simulator, Site, Daemon, [Peer; 2], tempfile::TempDir),
}

fn house() -> House {
    let elastic = ElasticSettings {
        versions: vec![VERSION.to_owned()],
        artifacts: 3,
        artifact_size: 3_000,
        ..ElasticSettings::default()
    };
    let defender = DefenderSettings { archive_size: LARGE, feeds: vec![FEED], ..DefenderSettings::default() };
    let vendor = Simulator::start(Settings { elastic, defender, ..Settings::lately() }).unwrap();
    let followed = e2e::defender(&vendor.defender_url(), &["linux"], &["production"]);
    let site = Site::new(&[
        e2e::elastic(&vendor.elastic_url(), &[VERSION]),
        format!("{followed}architectures = [\"x86_64\"]\n"),
    ]);
    site.sync(&[]).expect(0);
    let serve = site.start("serve");
    let tree = open_folder();
    vendor.write_elastic_tree(tree.path(), VERSION.parse::<ElasticTarget>().unwrap()).unwrap();
    vendor.write_defender_tree(tree.path()).unwrap();
    aged(tree.path(), Duration::from_secs(7200));
    let release = vendor.elastic_release(VERSION).unwrap();
    let folder = defender_folder(FEED, "");
    let files = vec![
        manifest_path(VERSION),
        release.artifacts[0].relative_url.clone(),
        format!("{folder}/manifest.json"),
        format!("{folder}/updates.zip"),
    ];
    let (nginx, apache) = (nginx(tree.path()), apache(tree.path()));
    let names: Vec<&str> = files.iter().map(String::as_str).collect();
    let servers = [
        Server::meet("waystation", serve.content, &names),
        Server::meet("nginx", nginx.address, &names),
        Server::meet("apache", apache.address, &names),
    ];
    House { servers, files, _alive: (vendor, site, serve, [nginx, apache], tree) }
}

#[test]
fn every_difference_to_nginx_and_apache_is_explained_v04_v06_v14_v15_v17_v19() {
    let house = house();
    let names: Vec<&str> = house.files.iter().map(String::as_str).collect();
    let mut dice = Dice::new(SEED);
    let mut connections: Vec<Vec<Request>> = Vec::new();
    let mut made = 0;
    while made < COUNT {
        // One connection in nine carries two, sent at once.
        let pipelined = if made + 1 < COUNT && dice.percent(11) { 2 } else { 1 };
        connections.push((0..pipelined).map(|_| make(&mut dice, &names)).collect());
        made += pipelined;
    }
    let rules = Rules::read();
    let (next, unexplained) = (AtomicUsize::new(0), Mutex::new(Unexplained::default()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while let Some(requests) = connections.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let found = compare(&house.servers, requests, names[0], &rules);
                    unexplained.lock().unwrap().merge(found);
                }
            });
        }
    });
    let unexplained = unexplained.into_inner().unwrap().lines();
    let (known, explained) = rules.count();
    println!("{} classes are not explained:\n{}", unexplained.len(), unexplained.join("\n"));
    assert!(unexplained.is_empty(), "{} classes of differences are not explained; they stand above", unexplained.len());
    assert_eq!(rules.unused(), Vec::<&str>::new(), "explained, and never seen");
    saw(&format!("{COUNT} requests to three servers: {explained} differences, all explained by {known} rules"));
}
