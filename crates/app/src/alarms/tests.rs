//! Vendor, mirror, endpoint and process stopped one after another, on a clock that only the test moves.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use alarm::{Book, Message, Quiet, Way};
use config::Config;
use content_http::ContentServer;
use mirror::{Engine, Silent, SyncRequest};
use model::{Clock, Level, Timestamp, Vendor};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use vendor_sim::{Settings, Simulator};

use super::vitals::Vitals;
use super::{Lookout, Sights, damping, rules_of};
use crate::build::{Purpose, engine};
use crate::listen::Inherited;
use crate::pulse::{Pulse, Turn};
use crate::scheduler::{Parts, Timetable, supervise};

const HOUR: Duration = Duration::from_secs(3600);
const MINUTE: Duration = Duration::from_secs(60);
const QUARTER: Duration = Duration::from_secs(15);

struct Moved(Mutex<(Timestamp, Duration)>);

impl Clock for Moved {
    fn now(&self) -> Timestamp {
        self.0.lock().unwrap().0
    }

    fn monotonic(&self) -> Duration {
        self.0.lock().unwrap().1
    }
}

struct Bench {
    folder: tempfile::TempDir,
    config: Config,
    clock: Arc<Moved>,
    start: Timestamp,
    content: Arc<ContentServer>,
    engine: Arc<Engine>,
    pulse: Arc<Pulse>,
    book: Arc<Book>,
    lookout: Option<Lookout>,
    /// When, and what.
    told: Vec<String>,
    bodies: Vec<String>,
}

impl Bench {
    async fn new(vendor: &Simulator) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "data_dir = \"data\"\n[site]\nname = \"dmz-1\"\n[[serve]]\naddress = \"127.0.0.1:0\"\n[origin]\nallow_plain_http = true\n\
             [elastic]\norigin = \"{}\"\nversions = [\"9.0.0\"]\n[limits]\ndisk_reserve = \"1MiB\"\nretries = 0\n",
            vendor.elastic_url()
        );
        let config = Config::parse(&text, &folder.path().join("waystation.toml"), &[]).unwrap();
        let start = Settings::default().published.after(24 * HOUR);
        let clock = Arc::new(Moved(Mutex::new((start, Duration::ZERO))));
        let shared: Arc<dyn Clock> = clock.clone();
        crate::prepare_data_folder(&config.data_dir).unwrap();
        let engine = Arc::new(engine(&config, "run", Purpose::Schedule, Arc::clone(&shared)).await.unwrap());
        let beyond = Arc::new(crate::demand::Demand::seeing(&config, Arc::clone(&shared)));
        let current = watch::channel(Some(Arc::clone(&engine))).1;
        let content = crate::content::start(&config, &mut Inherited::take(), Arc::clone(&shared), beyond, current);
        let content = Arc::new(content.unwrap());
        let pulse = Arc::new(Pulse::default());
        let book = Arc::new(Book::new(alarm::Ledger::default(), shared));
        book.set(vec![Way::new("w")], &[], (Quiet::never(), damping(&config)));
        let mut bench = Self {
            folder,
            config,
            clock,
            start,
            content,
            engine,
            pulse,
            book,
            lookout: None,
            told: Vec::new(),
            bodies: Vec::new(),
        };
        bench.begin();
        bench
    }

    /// A process begins to look.
    fn begin(&mut self) {
        let clock: Arc<dyn Clock> = self.clock.clone();
        self.pulse = Arc::new(Pulse::default());
        let sights = Sights {
            engine: watch::channel(Some(Arc::clone(&self.engine))).1,
            content: Arc::clone(&self.content),
            clock: Arc::clone(&clock),
            pulse: Arc::clone(&self.pulse),
            held: Arc::default(),
        };
        let vitals = Arc::new(Vitals::new(clock, Arc::clone(&self.content), Arc::clone(&self.pulse)));
        vitals.set_longest_run(HOUR);
        let lookout = Lookout::new(&self.config.data_dir, sights, Arc::clone(&self.book), vitals);
        *lookout.rules.lock().unwrap() = rules_of(&self.config);
        self.lookout = Some(lookout);
    }

    fn step(&self, forward: Duration) {
        let mut clock = self.clock.0.lock().unwrap();
        *clock = (clock.0.after(forward), clock.1 + forward);
    }

    /// Looks and tells.
    async fn look(&mut self) {
        // The content side looks by real time: it has always just looked.
        let looks = self.content.watched().looks;
        self.content.nudge();
        while self.content.watched().looks == looks {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.lookout.as_mut().unwrap().turn().await;
        loop {
            let (items, at) = self.book.next(&Way::new("w"));
            if items.is_empty() {
                return;
            }
            let message = Message::new(Some("dmz-1"), at, items);
            let minutes = at.since(self.start).as_secs() / 60;
            self.told.push(format!("{:>3} h {:02} min  {}", minutes / 60, minutes % 60, message.subject()));
            self.bodies.push(message.body());
            self.book.told("w", message.items());
        }
    }

    async fn pass(&mut self, span: Duration, step: Duration) {
        let until = self.clock.monotonic() + span;
        while self.clock.monotonic() < until {
            self.step(step);
            self.look().await;
        }
    }

    /// A run of the schedule, and the next one in an hour.
    async fn sync(&mut self) {
        let request = SyncRequest { feeds: self.config.feeds(), wait: true, ..SyncRequest::default() };
        self.engine.sync(&request, Arc::new(Silent)).await.unwrap();
        self.content.nudge();
        self.pulse.note(Vendor::Elastic, Turn::Waits(self.clock.monotonic() + HOUR));
    }

    /// An endpoint asks for content.
    fn ask(&self) {
        let mut stream = TcpStream::connect(self.content.local_addresses()[0]).unwrap();
        let path = "/downloads/endpoint/manifest/artifacts-9.0.0.zip";
        write!(stream, "GET {path} HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_that_stops_is_told_alone_when_it_stops_and_by_its_name_i9() {
    let vendor = Simulator::start(Settings::default()).unwrap();
    let address = vendor.address();
    let mut bench = Bench::new(&vendor).await;
    bench.sync().await;
    while !bench.content.is_ready() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bench.ask();
    bench.pass(10 * MINUTE, QUARTER).await;
    assert!(bench.told.is_empty(), "{:?}", bench.told);

    // The endpoints stop, the mirror goes on.
    for _ in 0..25 {
        bench.sync().await;
        bench.pass(HOUR, 15 * MINUTE).await;
    }
    bench.ask();
    bench.sync().await;
    bench.pass(10 * MINUTE, QUARTER).await;

    // The mirror stops: its schedule's time comes and goes.
    bench.pass(2 * HOUR, MINUTE).await;
    bench.ask();
    bench.sync().await;
    bench.pass(10 * MINUTE, QUARTER).await;

    // The process stops without a word, for three hours.
    bench.lookout.as_mut().unwrap().keep_life().await;
    bench.step(3 * HOUR);
    bench.begin();
    bench.ask();
    bench.sync().await;
    bench.pass(10 * MINUTE, QUARTER).await;

    // The vendor stops.
    vendor.shutdown();
    for _ in 0..3 {
        bench.sync().await;
        bench.pass(15 * MINUTE, QUARTER).await;
    }
    let _back = Simulator::start(Settings { address, ..Settings::default() }).unwrap();
    bench.sync().await;
    bench.pass(10 * MINUTE, QUARTER).await;

    insta::assert_snapshot!("stopped", bench.told.join("\n"));
    for (body, part) in bench.bodies.iter().zip([
        "an endpoint last asked for content at",
        "",
        "its time came, and it was not asked",
        "",
        "did not end as it should",
        "What to do: Check firewall and routing",
    ]) {
        assert!(body.contains(part), "{body}");
    }
    drop(bench.folder);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_set_is_told_and_wakes_nobody_else_s28_i14() {
    let vendor = Simulator::start(Settings::default()).unwrap();
    let mut bench = Bench::new(&vendor).await;
    bench.sync().await;
    while !bench.content.is_ready() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bench.ask();
    bench.pass(MINUTE, QUARTER).await;
    // Two days forward: endpoints are not silent for that.
    bench.clock.0.lock().unwrap().0 = bench.clock.now().after(24 * HOUR + HOUR);
    bench.pass(MINUTE, QUARTER).await;
    let told: Vec<&str> = bench.told.iter().map(|line| &line[14..]).collect();
    assert_eq!(told, ["[waystation dmz-1] passed clock_stepped: this machine's clock"]);
    assert!(bench.bodies[0].contains("forward by 90000 s"), "{}", bench.bodies[0]);
    // Ten days forward: that the vendor was asked long ago by the new clock is no news until its time has come.
    bench.clock.0.lock().unwrap().0 = bench.clock.now().after(240 * HOUR);
    bench.pass(10 * MINUTE, QUARTER).await;
    bench.sync().await;
    bench.pass(10 * MINUTE, QUARTER).await;
    assert!(bench.told.iter().all(|line| !line.contains("not_checked")), "{:?}", bench.told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_in_what_stands_where_the_data_folder_was_s42() {
    let vendor = Simulator::start(Settings::default()).unwrap();
    let mut bench = Bench::new(&vendor).await;
    let (data, away) = (bench.config.data_dir.clone(), bench.folder.path().join("away"));
    alarm::Life::prepare(&data).unwrap();
    bench.sync().await;
    bench.lookout.as_mut().unwrap().keep_life().await;
    let held = Arc::clone(&bench.lookout.as_ref().unwrap().held);
    assert!(held.lock().unwrap().is_some());
    let shelf = alarm::Shelf::new(&data);
    let lookout = bench.lookout.as_ref().unwrap();
    let (place, end) = (lookout.sights.engine.clone(), CancellationToken::new());
    let told: Arc<Mutex<Vec<Option<String>>>> = Arc::default();
    let outcomes = Arc::clone(&told);
    let following = tokio::spawn(shelf.follow(
        Arc::clone(&bench.book),
        (move || super::stands(&place), move |why| outcomes.lock().unwrap().push(why)),
        end.clone(),
    ));
    let began = bench.clock.now();
    std::fs::rename(&data, &away).unwrap();
    std::fs::create_dir(&data).unwrap();
    bench.pass(2 * MINUTE, QUARTER).await;
    bench.lookout.as_mut().unwrap().keep_life().await;
    let subjects: Vec<&str> = bench.told.iter().map(|line| &line[14..]).collect();
    assert_eq!(subjects, ["[waystation dmz-1] FAIL folder_gone: the data folder"]);
    assert_eq!(std::fs::read_dir(&data).unwrap().count(), 0);
    assert!(alarm::Life::hold(&away).unwrap().is_none(), "its lock was never let go");

    // Another begins in its place, and is told of.
    alarm::Life::prepare(&data).unwrap();
    let mut theirs = alarm::Life::hold(&data).unwrap().unwrap();
    theirs.describe("run", bench.clock.now());
    bench.lookout.as_mut().unwrap().keep_life().await;
    bench.look().await;
    assert!(bench.told.last().unwrap().ends_with("FAIL locked: waystation run"), "{:?}", bench.told);
    assert!(bench.bodies.last().unwrap().contains("another one works on "), "{:?}", bench.bodies);
    drop(theirs);

    // The folder comes back: nothing was wrong with the state of alarms, and nobody was down.
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::rename(&away, &data).unwrap();
    bench.lookout.as_mut().unwrap().keep_life().await;
    bench.pass(5 * MINUTE, QUARTER).await;
    let after: Vec<&str> = bench.told.iter().skip(2).map(|line| &line[14..]).collect();
    assert_eq!(after.len(), 2, "{:?}", bench.told);
    assert!(after.iter().all(|line| line.contains("recovered")), "{after:?}");
    let past = |body: &&String| body.contains("It was:     ") && !body.contains("Detail:");
    assert_eq!(bench.bodies.iter().skip(2).filter(past).count(), 2, "{:?}", bench.bodies);
    assert!(told.lock().unwrap().iter().all(Option::is_none), "{:?}", told.lock().unwrap());
    let life = alarm::Life::read(&data).unwrap();
    assert!(life.at > began && life.pid == platform::pid());
    end.cancel();
    following.await.unwrap();
    // A catalog that is another one keeps nobody from writing down who was told.
    std::fs::rename(data.join("catalog"), data.join("away")).unwrap();
    bench.look().await;
    assert!(bench.told.last().unwrap().ends_with("FAIL folder_gone: the catalog"), "{:?}", bench.told);
    assert!(super::stands(&bench.lookout.as_ref().unwrap().sights.engine));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_history_in_the_place_of_ours_is_told_by_its_own_name_s42() {
    let vendor = Simulator::start(Settings::default()).unwrap();
    let mut bench = Bench::new(&vendor).await;
    bench.sync().await;
    bench.look().await;
    let data = bench.config.data_dir.clone();
    std::fs::rename(&data, bench.folder.path().join("away")).unwrap();
    bench.pulse.place().gone(&bench.engine.in_place().unwrap_err());
    bench.look().await;
    assert!(bench.told.last().unwrap().ends_with("FAIL folder_gone: the data folder"), "{:?}", bench.told);
    bench.pulse.place().found(crate::place::Stands::AnotherHistory);
    bench.look().await;
    assert!(bench.told.last().unwrap().ends_with("FAIL now another_history: the data folder"), "{:?}", bench.told);
    let body = bench.bodies.last().unwrap();
    assert!(body.contains("another history stands where the data folder was, and is left alone"), "{body}");
    assert!(body.contains("What to do: Put the right one back"), "{body}");
    assert_eq!(bench.told.len(), 2, "one cause is one alarm: {:?}", bench.told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ring_that_was_lost_and_made_anew_between_two_looks_is_told_i9() {
    let vendor = Simulator::start(Settings::default()).unwrap();
    let mut bench = Bench::new(&vendor).await;
    bench.sync().await;
    bench.look().await;
    std::fs::remove_dir_all(bench.config.data_dir.join("rings")).unwrap();
    bench.engine.mend_ring().await.unwrap();
    bench.look().await;
    assert!(bench.told.iter().any(|line| line.ends_with("passed ring_lost: ring broad")), "{:?}", bench.told);
    let body = &bench.bodies[0];
    assert!(body.contains("no generation of it is there") && body.contains("the ring was made anew"), "{body}");
    let told = bench.told.len();
    bench.pass(MINUTE, QUARTER).await;
    assert_eq!(bench.told.len(), told, "once: {:?}", bench.told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_set_is_one_alarm_either_way_s28_i9() {
    let vendor = Simulator::start(Settings::default()).unwrap();
    for back in [false, true] {
        let mut bench = Bench::new(&vendor).await;
        bench.sync().await;
        bench.pass(MINUTE, QUARTER).await;
        let now = bench.clock.now();
        bench.clock.0.lock().unwrap().0 = if back { now.before(2000 * HOUR) } else { now.after(2000 * HOUR) };
        bench.sync().await;
        bench.pass(10 * MINUTE, QUARTER).await;
        assert_eq!(bench.told.len(), 1, "{:?}", bench.told);
        let (reason, detail) =
            if back { ("clock_jumped", "it went back by 7200") } else { ("clock_stepped", "forward by 7200") };
        assert!(
            bench.told[0].contains(reason) && bench.bodies[0].contains(detail),
            "{:?} {:?}",
            bench.told,
            bench.bodies
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_catalog_that_cannot_be_read_ends_no_other_alarm_i9() {
    let vendor = Simulator::start(Settings::default()).unwrap();
    let mut bench = Bench::new(&vendor).await;
    vendor.shutdown();
    for _ in 0..2 {
        bench.sync().await;
    }
    bench.look().await;
    assert!(bench.told[0].ends_with("connect_failed: elastic/9.0.0"), "{:?}", bench.told);
    let nothing = watch::channel(None).1;
    bench.lookout.as_mut().unwrap().sights.engine = nothing;
    bench.pass(30 * MINUTE, MINUTE).await;
    assert_eq!(bench.told.len(), 2, "{:?}", bench.told);
    assert!(bench.told[1].ends_with("FAIL internal: the catalog"), "{:?}", bench.told);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_holds_the_fetch_lock_is_told_once_a_turn_is_missed_s23_p02() {
    let vendor = Simulator::start(Settings::default()).unwrap();
    let mut bench = Bench::new(&vendor).await;
    bench.sync().await;
    let mut lock = platform::lock::FileLock::try_acquire(&bench.config.data_dir.join("locks/fetch")).unwrap().unwrap();
    lock.describe("sync", bench.clock.now());
    let end = CancellationToken::new();
    let parts = Parts {
        engine: watch::channel(Some(Arc::clone(&bench.engine))).1,
        clock: bench.clock.clone(),
        timetable: watch::channel(Timetable::of(&bench.config)).1,
        hurried: watch::channel(0).1,
        pulse: Arc::clone(&bench.pulse),
    };
    let schedule = tokio::spawn(supervise(parts, Vendor::Elastic, end.clone()));
    let far = 1000 * HOUR;
    let blocked = |bench: &Bench| bench.pulse.stalled(far, far).iter().any(|stalled| stalled.level == Level::Warn);
    while !blocked(&bench) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let every = bench.config.schedule_of(Vendor::Elastic).unwrap();
    bench.pass(every, every / 4).await;
    assert!(bench.told.is_empty(), "its next turn has not come: {:?}", bench.told);
    bench.pass(MINUTE, QUARTER).await;
    assert!(bench.told[0].ends_with("WARN schedule_stalled: elastic"), "{:?}", bench.told);
    let holder = format!("which is held by pid {} (sync), since ", platform::pid());
    assert!(bench.bodies[0].contains(&holder), "{}", bench.bodies[0]);
    drop(lock);
    while blocked(&bench) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    end.cancel();
    schedule.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_cannot_take_place_is_told_with_its_reason_until_one_does_i9() {
    let vendor = Simulator::start(Settings::default()).unwrap();
    let mut bench = Bench::new(&vendor).await;
    bench.sync().await;
    let locks = bench.config.data_dir.join("locks");
    std::fs::remove_dir_all(&locks).unwrap();
    std::fs::write(&locks, "in the way").unwrap();
    let (end, hurry) = (CancellationToken::new(), watch::Sender::new(0));
    let table = watch::Sender::new(Timetable::of(&bench.config));
    let parts = Parts {
        engine: watch::channel(Some(Arc::clone(&bench.engine))).1,
        clock: bench.clock.clone(),
        timetable: table.subscribe(),
        hurried: hurry.subscribe(),
        pulse: Arc::clone(&bench.pulse),
    };
    let schedule = tokio::spawn(supervise(parts, Vendor::Elastic, end.clone()));
    let stalled = |bench: &Bench| !bench.pulse.stalled(bench.clock.monotonic(), HOUR).is_empty();
    while !stalled(&bench) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    bench.pass(MINUTE, QUARTER).await;
    assert_eq!(bench.told.len(), 1, "{:?}", bench.told);
    assert!(bench.told[0].ends_with("FAIL unsafe_file: elastic"), "{:?}", bench.told);
    assert!(
        bench.bodies[0].contains("no run can take place: ") && bench.bodies[0].contains("locks"),
        "{:?}",
        bench.bodies
    );
    assert!(bench.lookout.as_ref().unwrap().vitals.alive().is_err(), "the heartbeat stops");
    // Nobody has to make the folder anew.
    std::fs::remove_file(&locks).unwrap();
    hurry.send_modify(|count| *count += 1);
    while stalled(&bench) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(bench.lookout.as_ref().unwrap().vitals.alive(), Ok(()));
    bench.pass(5 * MINUTE, QUARTER).await;
    assert!(bench.told[1].ends_with("recovered unsafe_file: elastic"), "{:?}", bench.told);
    end.cancel();
    schedule.await.unwrap();
}
