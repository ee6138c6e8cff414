//! `sync` against the vendor page's one-liner.

use anyhow::Result;

use super::page;
use super::programs::Programs;
use super::site::Site;
use super::table::{Times, goal, head, row};
use super::vendor::{Asked, Vendor};

const VERSIONS: [&str; 5] = ["8.17.4", "8.18.3", "9.0.0-beta1", "9.0.0", "9.1.2"];

/// One way to do it: its times, and what the vendor was asked in the last round.
#[derive(Default)]
struct Way {
    times: Times,
    asked: Asked,
}

impl Way {
    fn add(&mut self, took: std::time::Duration, vendor: &mut Vendor) -> Result<()> {
        self.times.add(took);
        self.asked = vendor.asked()?;
        Ok(())
    }

    fn row(&self, name: &str, peer: &Self) {
        row(&[
            name.to_owned(),
            self.times.text(),
            self.asked.requests.to_string(),
            self.asked.connections.to_string(),
            self.asked.bytes.to_string(),
            format!("{:.1}x", peer.times.times(&self.times)),
            format!("{:.3}", share(self, peer)),
        ]);
    }
}

#[allow(clippy::cast_precision_loss, reason = "shares of bytes")]
fn share(way: &Way, peer: &Way) -> f64 {
    way.asked.bytes as f64 / peer.asked.bytes.max(1) as f64
}

const COLUMNS: [&str; 7] = ["", "time", "requests", "connections", "bytes on the wire", "faster by", "bytes"];

pub(crate) fn run(programs: &Programs, rounds: usize) -> Result<bool> {
    let mut vendor = Vendor::start(programs, &["--latency", "30ms", "--versions", &VERSIONS.join(",")])?;
    let met = elastic(programs, &mut vendor, rounds)?;
    defender(programs, &mut vendor, rounds)?;
    Ok(met)
}

fn elastic(programs: &Programs, vendor: &mut Vendor, rounds: usize) -> Result<bool> {
    let (mut page, mut first, mut again) = (Way::default(), Way::default(), Way::default());
    let sections = format!("[elastic]\norigin = \"{}\"\nversions = {VERSIONS:?}\n", vendor.elastic);
    for _ in 0..rounds {
        let folder = programs.folder()?;
        vendor.asked()?;
        page.add(page::fetch(folder.path(), &vendor.elastic, &VERSIONS)?, vendor)?;
        let site = Site::new(programs, &sections)?;
        first.add(site.sync()?, vendor)?;
        again.add(site.sync()?, vendor)?;
    }
    println!("{} Elastic versions x 30 artifacts of 64 KB, 80 % shared, 30 ms, {rounds} rounds:", VERSIONS.len());
    head(&COLUMNS);
    page.row("the page's one-liner", &page);
    first.row("first sync", &page);
    again.row("sync, nothing new", &page);
    println!();
    let faster = |way: &Way| page.times.times(&way.times);
    let goals = [
        goal("first sync, 40 times as fast", faster(&first), faster(&first) >= 40.0),
        goal("nothing new, 150 times as fast", faster(&again), faster(&again) >= 150.0),
        goal("bytes, at most 0.40", share(&first, &page), share(&first, &page) <= 0.40),
    ];
    Ok(goals.into_iter().all(|met| met))
}

fn defender(programs: &Programs, vendor: &mut Vendor, rounds: usize) -> Result<()> {
    let (mut first, mut again) = (Way::default(), Way::default());
    let sections = format!(
        "[defender]\norigin = \"{}\"\nplatforms = [\"linux\", \"mac\"]\ntracks = [\"production\", \"preview\"]\n",
        vendor.defender
    );
    for _ in 0..rounds {
        let site = Site::new(programs, &sections)?;
        vendor.asked()?;
        first.add(site.sync()?, vendor)?;
        again.add(site.sync()?, vendor)?;
    }
    println!("\n8 Defender feeds of 64 KB, 30 ms, {rounds} rounds:");
    head(&COLUMNS);
    first.row("first sync", &first);
    again.row("sync, nothing new", &first);
    Ok(())
}
