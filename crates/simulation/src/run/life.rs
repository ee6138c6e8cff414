//! What happens, drawn from the seed.

use std::collections::BTreeSet;
use std::time::Duration;

use mirror::RetentionRule;
use model::{Digest, ReleaseState, Timestamp};
use vendor_sim::{Change, DefenderChange, ElasticTarget, Step};
use vendors::elastic::SignatureMode;

use crate::acts::{Act, Begins, Circumstances, Done};
use crate::draw::Draw;
use crate::fate::{Blow, Plan};
use crate::stores::{BlobDamage, BuildError};
use crate::upstream::{Mischief, Trick};
use crate::violation::{Holds, Violation};
use crate::world::{DAY, Ended, FEEDS, World};

use super::disk::Disk;

/// A year, as jumps go.
const YEAR: i64 = 365 * 86_400 * 1_000_000;
const HOUR: i64 = 3600 * 1_000_000;
/// How many steps out of a thousand rot something that is not served.
const UNSERVED: u64 = 150;

/// Draws what happens next.
pub(super) struct Life {
    draw: Draw,
    /// What came later: the rest of a life is what it was without it.
    beside: Draw,
    /// What the disk does to rings, for the same reason.
    disk: Disk,
    /// So many steps out of a thousand lose bytes that nobody is served, and what is drawn for that.
    unserved: (u64, Draw),
    pub(super) crashes: u64,
}

impl Life {
    pub(super) fn new(draw: Draw) -> Self {
        let beside = draw.clone().fork();
        let disk = Disk::new(beside.clone().fork());
        let mut other = beside.clone().fork().fork();
        let rate = if other.chance(500) { UNSERVED } else { 0 };
        Self { draw, beside, disk, unserved: (rate, other), crashes: 0 }
    }

    /// One thing happens.
    pub(super) async fn step(&mut self, world: &mut World) -> Result<Holds, BuildError> {
        if let Err(violation) = self.disk.wear(world).await? {
            return Ok(Err(violation));
        }
        self.disk.lose(world).await?;
        self.rot_unserved(world).await?;
        match self.draw.below(100) {
            0..=19 => Ok(self.publish(world)),
            20..=24 => Ok(self.reload(world)),
            25..=35 => self.time(world).await,
            36..=38 => self.rot(world).await,
            39..=50 => self.two(world).await,
            _ => self.one(world).await,
        }
    }

    fn publish(&mut self, world: &World) -> Holds {
        let step = |draw: &mut Draw| match draw.below(20) {
            0 => Step::Same,
            1 => Step::Back(1 + draw.below(3)),
            2 => Step::Leap,
            _ => Step::Next,
        };
        let failed = |error: vendor_sim::PublishError| Violation::new("vendor", error.to_string());
        if self.draw.chance(700) {
            // Where all manifests share a path, they change its bytes together.
            let fixed = world.shape.urls == vendor_sim::ArtifactUrls::Fixed;
            let target = match self.draw.below(4) {
                _ if fixed => ElasticTarget::All,
                0 => ElasticTarget::Version("9.0.0".to_owned()),
                1 => ElasticTarget::Version("8.18.3".to_owned()),
                _ => ElasticTarget::All,
            };
            let mut change = Change { changed: self.draw.index(4), step: step(&mut self.draw), ..Change::default() };
            match self.draw.below(20) {
                0 => change.removed = 4,
                1 => change.removed = 1,
                2 | 3 => change.added = 1 + self.draw.index(4),
                4 => change.changed_own = 1,
                _ => {}
            }
            world.fate.tell(format!("------ {target} {change:?}"));
            world.upstream.publish_elastic(&target, &change).map_err(failed)?;
        }
        if self.draw.chance(500) {
            let change = DefenderChange { step: step(&mut self.draw), engine: self.draw.chance(300), size: None };
            world.fate.tell(format!("------ defender {change:?}"));
            world.upstream.publish_defender(&change).map_err(failed)?;
        }
        Ok(())
    }

    /// The configuration changes and is read again.
    fn reload(&mut self, world: &mut World) -> Holds {
        let draw = &mut self.draw;
        match draw.below(5) {
            0 => {
                let feeds: Vec<_> = FEEDS.iter().filter(|_| draw.chance(700)).filter_map(|f| f.parse().ok()).collect();
                if !feeds.is_empty() {
                    world.reload(|settings| settings.feeds = feeds);
                }
            }
            1 => {
                let grace = [Duration::from_secs(3600), DAY, DAY * 2].get(draw.index(3)).copied().unwrap_or(DAY);
                world.reload(|settings| settings.grace = mirror::Graces::same(grace));
            }
            2 => {
                let age = DAY * (1 + u32::try_from(draw.below(8)).unwrap_or(0));
                let bytes = if draw.chance(300) { 4096 } else { 1 << 30 };
                world.reload(|settings| {
                    settings.keep_elastic = RetentionRule { age, bytes };
                    settings.keep_defender = RetentionRule { age, bytes };
                });
            }
            3 => {
                let mode = if draw.chance(500) { SignatureMode::Require } else { SignatureMode::Warn };
                world.reload(|settings| settings.vendors.elastic.signature = mode);
            }
            _ => world.reload(|settings| settings.feeds = FEEDS.iter().filter_map(|feed| feed.parse().ok()).collect()),
        }
        let feeds = world.settings.feeds.len();
        world.fate.tell(format!(
            "------ reload: {feeds} feeds, grace {:?}, keep {:?}, signature {}",
            world.settings.grace.elastic, world.settings.keep_elastic, world.settings.vendors.elastic.signature
        ));
        Ok(())
    }

    /// Time passes, or the clock jumps (S28).
    async fn time(&mut self, world: &World) -> Result<Holds, BuildError> {
        let draw = &mut self.draw;
        if draw.chance(750) {
            let most = [600, 7200, 86_400, 3 * 86_400].get(draw.index(4)).copied().unwrap_or(600);
            let time = Duration::from_secs(1 + draw.below(most));
            match self.beside.chance(500) {
                true => world.lives(time).await?,
                false => world.clock.pass(time),
            }
        } else {
            match draw.below(6) {
                0 => world.clock.jump(HOUR),
                1 => world.clock.jump(-HOUR),
                2 => world.clock.jump(YEAR),
                3 => world.clock.jump(-YEAR),
                4 => world.clock.jump_to(Timestamp::from_micros(1)),
                _ => world.clock.jump_to(Timestamp::from_micros(4_291_747_200_000_000)),
            }
        }
        world.fate.tell(format!("------ it is {}", world.clock.wall()));
        Ok(Ok(()))
    }

    /// The disk changes or loses a blob that is held and that nobody is served yet, or any more (S16, S18): in every other
    /// life, now and then.
    async fn rot_unserved(&mut self, world: &World) -> Result<(), BuildError> {
        if self.unserved.0 == 0 || !self.unserved.1.chance(self.unserved.0) {
            return Ok(());
        }
        let Ok(current) = world.oracle.current() else { return Ok(()) };
        let served: BTreeSet<Digest> =
            current.iter().flat_map(|current| current.generation.routes.values()).map(|route| route.digest).collect();
        let mut loose = world.stores.all_blobs().await?;
        loose.retain(|digest| !served.contains(digest));
        loose.sort_unstable();
        let Some(digest) = self.unserved.1.pick(&loose).copied() else { return Ok(()) };
        world.oracle.rotted(digest);
        let damage = match self.unserved.1.below(4) {
            0 => BlobDamage::Lost,
            1 => BlobDamage::Other,
            _ => BlobDamage::Turned,
        };
        world.stores.damage(digest, damage).await?;
        world.fate.tell(format!("------ blob {}, which is not served: {damage:?}", digest.short()));
        Ok(())
    }

    /// The disk changes or loses a blob that is served (S16, S18).
    async fn rot(&mut self, world: &World) -> Result<Holds, BuildError> {
        let current = match world.oracle.current() {
            Ok(current) => current,
            Err(violation) => return Ok(Err(violation)),
        };
        let digests: Vec<_> =
            current.iter().flat_map(|current| current.generation.routes.values()).map(|route| route.digest).collect();
        let Some(digest) = self.draw.pick(&digests).copied() else { return Ok(Ok(())) };
        world.oracle.rotted(digest);
        let damage = if self.draw.chance(500) { BlobDamage::Lost } else { BlobDamage::Other };
        world.stores.damage(digest, damage).await?;
        world.fate.tell(format!("------ blob {} rots", digest.short()));
        Ok(Ok(()))
    }

    /// How operations and answers go from here on.
    fn weather(&mut self, world: &World) -> Circumstances {
        let draw = &mut self.draw;
        let blow = *draw.pick(&Blow::ALL).unwrap_or(&Blow::CrashBefore);
        let plan = match draw.below(10) {
            0..=3 => Plan::Calm,
            4..=6 => Plan::At(1 + draw.below(120), blow),
            7 => Plan::From(1 + draw.below(120)),
            _ => Plan::Storm { struck: 1 + draw.below(30), crash: draw.below(600) },
        };
        let unsigned_is_fine = world.settings.vendors.elastic.signature != SignatureMode::Require;
        let (rate, only) = match draw.below(10) {
            0..=5 => (0, None),
            6..=8 => (20 + draw.below(150), None),
            _ => (1000, Some(self.always())),
        };
        world.fate.plan(plan);
        world.fate.tell(format!("------ {plan:?}, answers {rate} {only:?}"));
        world.upstream.set_mischief(Mischief { rate, only: only.clone(), unsigned_is_fine });
        let (tricks, publications) = world.upstream.counts();
        Circumstances { tricks, publications, struck: world.fate.struck(), always: only, shared: false }
    }

    fn always(&mut self) -> Trick {
        let all = [
            Trick::Refused,
            Trick::Status(404),
            Trick::Status(500),
            Trick::Html,
            Trick::Short,
            Trick::NotModified,
            Trick::Wait(7200),
        ];
        self.draw.pick(&all).cloned().unwrap_or(Trick::Refused)
    }

    fn fair(world: &World, before: Circumstances) -> Circumstances {
        world.fate.plan(Plan::Calm);
        world.upstream.set_mischief(Mischief::default());
        let (tricks, publications) = world.upstream.counts();
        Circumstances {
            tricks: tricks - before.tricks,
            publications: publications - before.publications,
            struck: world.fate.struck() - before.struck,
            ..before
        }
    }

    /// One act, in whatever weather.
    async fn one(&mut self, world: &mut World) -> Result<Holds, BuildError> {
        let act = self.draw_act(world).await?;
        let before = self.weather(world);
        world.fate.tell(format!("------ {act:?}"));
        let begins = self.begins();
        let doing = act.clone();
        let ended = world.act(|engine| doing.perform_after(begins, engine)).await;
        let how = Self::fair(world, before);
        let held = match &ended {
            Ended::Crashed => Ok(()),
            Ended::Done(Err(error)) => {
                world.fate.tell(format!("       {error}"));
                Ok(())
            }
            Ended::Done(Ok(done)) => match world.judge(&act, done, &how).await {
                Ok(()) => world.settled(&act, &how).await,
                held => held,
            },
        };
        self.after(world, &[matches!(ended, Ended::Crashed)]).await?;
        Ok(held.and_then(|()| world.oracle.look_at_all()))
    }

    /// Two acts in two processes at the same time; a crash of one leaves the other (S23, S26).
    async fn two(&mut self, world: &mut World) -> Result<Holds, BuildError> {
        let (first, second) = (self.draw_act(world).await?, self.draw_act(world).await?);
        let before = self.weather(world);
        world.fate.tell(format!("------ {first:?} beside {second:?}"));
        let acts = (first.clone(), second.clone());
        let (one, a) = world.process();
        let (two, b) = world.process();
        let (first_begins, second_begins) = (self.begins(), self.begins());
        let shown: &World = world;
        let (x, y) = tokio::join!(
            shown.live(&a, first.perform_after(first_begins, one)),
            shown.live(&b, second.perform_after(second_begins, two))
        );
        let how = Circumstances { shared: true, ..Self::fair(world, before) };
        let mut held = Ok(());
        for (act, ended) in [(&acts.0, &x), (&acts.1, &y)] {
            if let Ended::Done(Ok(done)) = ended {
                held = held.and(world.judge(act, done, &how).await);
            }
        }
        self.after(world, &[matches!(x, Ended::Crashed), matches!(y, Ended::Crashed)]).await?;
        Ok(held.and_then(|()| world.oracle.look_at_all()))
    }

    /// What the process does first.
    fn begins(&mut self) -> Begins {
        match self.beside.below(3) {
            0 => Begins::AtOnce,
            1 => Begins::WithConfiguration,
            _ => Begins::WithStart,
        }
    }

    async fn after(&mut self, world: &mut World, crashed: &[bool]) -> Result<(), BuildError> {
        let crashes = crashed.iter().filter(|crashed| **crashed).count();
        self.crashes += crashes as u64;
        if crashes > 0 { world.restart().await } else { Ok(()) }
    }

    async fn draw_act(&mut self, world: &World) -> Result<Act, BuildError> {
        let draw = &mut self.draw;
        Ok(match draw.below(20) {
            0..=9 => Act::Sync(Vec::new()),
            10 => Act::Sync(draw.pick(&world.settings.feeds).cloned().into_iter().collect()),
            11..=13 => match self.release(world, true).await? {
                Some(release) if self.draw.chance(650) => Act::Admit(release),
                Some(release) => Act::Reject(release),
                None => Act::Collect,
            },
            14..=16 => Act::Collect,
            17 => Act::Verify,
            18 => match self.draw.below(3) {
                0 => Act::Plan,
                1 => Act::Status,
                _ => Act::Check,
            },
            _ => self.release(world, false).await?.map_or(Act::Collect, Act::Admit),
        })
    }

    /// A release to act on: one that waits, or any.
    async fn release(&mut self, world: &World, waits: bool) -> Result<Option<String>, BuildError> {
        let all = world.stores.catalog.releases(&Default::default()).await?;
        let mut ids: Vec<String> = all
            .iter()
            .filter(|found| !waits || found.state == ReleaseState::Quarantined)
            .map(|found| found.release.id.to_string())
            .collect();
        if waits {
            let records = world.stores.catalog.feeds().await?;
            let waiting = records
                .iter()
                .filter(|record| matches!(record.outcome, model::Outcome::Quarantined | model::Outcome::Held));
            ids.extend(waiting.filter_map(|record| record.release).map(|id| id.to_string()));
        }
        Ok(self.draw.pick(&ids).cloned())
    }
}

/// Whether a check of the whole store found nothing but what the disk damaged.
pub(super) fn is_sound(world: &World, done: &Done) -> Holds {
    let Done::Checked(report) = done else { return Ok(()) };
    let damaged = |subject: &str| {
        let digest = subject.strip_prefix("blob ").and_then(|digest| digest.parse().ok());
        digest.is_some_and(|digest| world.oracle.is_rotten(&digest))
    };
    match report.faults.iter().find(|fault| !damaged(&fault.subject)) {
        None => Ok(()),
        Some(fault) => Err(Violation::new("fsck", format!("{}: {}: {}", fault.subject, fault.reason, fault.detail))),
    }
}
