use std::collections::BTreeSet;
use std::io::Cursor;

use vendor_sim::{DefenderChange, DefenderFeed, DefenderTarget, Settings, Simulator, Step};

use crate::client::{Answer, ask, get, small, start};

/// Follows the chain as a right client does.
fn follow(simulator: &Simulator, target: &str) -> (Vec<String>, Answer) {
    let mut hops = vec![target.to_owned()];
    loop {
        let answer = get(simulator, hops.last().unwrap());
        if answer.status != 302 {
            return (hops, answer);
        }
        hops.push(answer.location_path());
        assert!(hops.len() < 10);
    }
}

fn archive_of(simulator: &Simulator, feed: DefenderFeed) -> (Vec<String>, Answer) {
    follow(simulator, &format!("/fwlink/?{}", feed.query()))
}

fn info_of(simulator: &Simulator, feed: DefenderFeed) -> (String, String) {
    let (hops, answer) = follow(simulator, &format!("/fwlink/?{}&action=info", feed.query()));
    assert_eq!((hops.len(), answer.status), (2, 200));
    let text = String::from_utf8(answer.body).unwrap();
    let document = roxmltree::Document::parse(&text).unwrap();
    let child = |name: &str| document.root_element().children().find(|node| node.has_tag_name(name)).unwrap();
    assert!(child("signatures").attribute("date").unwrap().ends_with('Z'));
    (child("engine").text().unwrap().to_owned(), child("signatures").text().unwrap().to_owned())
}

#[test]
fn every_feed_has_its_chain_its_info_and_its_archive() {
    let simulator = start(small());
    let (mut engines, mut bytes) = (BTreeSet::new(), BTreeSet::new());
    for feed in DefenderFeed::ALL {
        let (engine, definitions) = info_of(&simulator, feed);
        let (hops, answer) = archive_of(&simulator, feed);
        assert_eq!((hops.len(), answer.status), (3, 200));
        assert!(hops[1].starts_with("/packages?ostype="), "{}", hops[1]);
        assert!(hops[2].starts_with("/packages/content/"), "{}", hops[2]);
        assert!(hops[2].contains(&format!("packageVersion={definitions}&")) && hops[2].ends_with(&engine));
        let zip = zip::ZipArchive::new(Cursor::new(&answer.body)).unwrap();
        let names: Vec<_> = zip.file_names().map(|name| name.unwrap().into_owned()).collect();
        let known =
            ["libmpengine.so", "libmpengine.so.sig", "mpavbase.vdm", "mpavdlta.vdm", "mpasbase.vdm", "mpasdlta.vdm"];
        assert_eq!(names, known);
        engines.insert((feed.platform, feed.track, engine));
        bytes.insert(answer.body);
    }
    assert_eq!((engines.len(), bytes.len()), (4, 8), "engines differ by platform and track, archives all");
}

#[test]
fn the_first_location_is_absolute_and_the_second_relative() {
    let simulator = start(small());
    let first = get(&simulator, "/fwlink/?linkid=2144709&arch=arm64");
    let location = first.header("Location").unwrap();
    assert_eq!(location, format!("http://{}/packages?ostype=linux&arch=arm64", simulator.address()));
    let second = get(&simulator, &first.location_path());
    assert!(second.header("Location").unwrap().starts_with("/packages/content/"));
    let head = ask(simulator.address(), "HEAD", "/fwlink/?linkid=2144709", &[]);
    assert_eq!((head.status, head.body.len()), (302, 0));
}

#[test]
fn content_without_its_query_is_404_and_the_order_of_arguments_does_not_matter() {
    let simulator = start(small());
    let target = simulator.defender_release(DefenderFeed::ALL[0]).unwrap().content_target.clone();
    let (path, query) = target.split_once('?').unwrap();
    let head = ask(simulator.address(), "HEAD", &target, &[]);
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert!(head.header("Content-Length").is_some());
    assert_eq!(get(&simulator, path).status, 404);
    assert_eq!(get(&simulator, &target.replace("1.459.", "1.460.")).status, 404);
    let turned: Vec<_> = query.split('&').rev().collect();
    assert_eq!(get(&simulator, &format!("{path}?{}", turned.join("&"))).status, 200);
    for unknown in [
        "/fwlink/",
        "/fwlink/?linkid=1",
        "/fwlink/?linkid=2144709&arch=mips",
        "/packages",
        "/fwlink/?linkid=2144709&engRing=4",
    ] {
        assert_eq!(get(&simulator, unknown).status, 404, "{unknown}");
    }
    assert_eq!(follow(&simulator, "/packages/?ostype=mac").1.status, 200, "the geo hosts' form");
}

#[test]
fn a_publication_moves_the_chain_and_keeps_the_old_address() {
    let simulator = start(small());
    let feed: DefenderFeed = "linux/production/x86_64".parse().unwrap();
    let other: DefenderFeed = "mac/production/x86_64".parse().unwrap();
    let (hops, before) = archive_of(&simulator, feed);
    simulator.publish_defender(feed, DefenderChange::default()).unwrap();
    assert_eq!(info_of(&simulator, feed).1, "1.459.554.0");
    assert_eq!(info_of(&simulator, other).1, "1.459.553.0");
    let (_, after) = archive_of(&simulator, feed);
    assert_ne!(before.body, after.body);
    assert_eq!(get(&simulator, &hops[2]).body, before.body);
    for (step, version) in [(Step::Same, 554), (Step::Back(3), 551), (Step::Leap, 999_999), (Step::To(7), 7)] {
        let earlier = archive_of(&simulator, feed).1;
        simulator.publish_defender(feed, DefenderChange::step(step)).unwrap();
        assert_eq!(info_of(&simulator, feed).1, format!("1.459.{version}.0"));
        let now = archive_of(&simulator, feed).1;
        assert_ne!(now.body, earlier.body);
        assert_ne!(now.header("ETag"), earlier.header("ETag"));
    }
    simulator
        .publish_defender(DefenderTarget::All, DefenderChange { engine: true, ..DefenderChange::size(2048) })
        .unwrap();
    assert_eq!(info_of(&simulator, other).0, "1.1.25100.4");
    assert!(archive_of(&simulator, other).1.body.len() < 4096);
    assert!(simulator.retire_defender(feed));
    assert_eq!((archive_of(&simulator, feed).1.status, archive_of(&simulator, other).1.status), (404, 200));
}

#[test]
fn large_archives_are_computed() {
    let mut settings = Settings::default();
    settings.defender.archive_size = 6_000_000;
    settings.defender.feeds.truncate(1);
    settings.elastic.artifacts = 1;
    let simulator = start(settings);
    let release = simulator.defender_release(DefenderFeed::ALL[0]).unwrap();
    let answer = get(&simulator, &release.content_target);
    assert!(answer.body.len() > 5_900_000);
    assert_eq!(model::Digest::of(&answer.body), release.archive.digest());
    let mut zip = zip::ZipArchive::new(Cursor::new(&answer.body)).unwrap();
    for index in 0..zip.len() {
        std::io::copy(&mut zip.by_index(index).unwrap(), &mut std::io::sink()).unwrap();
    }
}
