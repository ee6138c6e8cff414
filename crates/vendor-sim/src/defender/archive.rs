//! `updates.zip`: the members that the product's packages are known to have.

use super::{DefenderFeed, DefenderRelease};
use crate::content::{Body, Member, Seeded, archive, number_of, zeros};
use crate::fault::ArchiveFault;

/// Up to this size members are deflated and held; above it they are stored and computed.
const HELD: u64 = 4 << 20;

/// What an archive is made from.
pub(super) struct Recipe<'a> {
    pub(super) seed: u64,
    pub(super) feed: DefenderFeed,
    pub(super) engine: &'a str,
    pub(super) base: u64,
    pub(super) delta: String,
    pub(super) size: u64,
}

impl Recipe<'_> {
    /// Engine and bases stay from release to release, only the deltas follow the version: as the vendor's do.
    pub(super) fn members(&self) -> Vec<Member> {
        let engine = format!("{}/{}", self.feed, self.engine);
        let base = self.base.to_string();
        let percent = |n: u64| self.size * n / 100;
        vec![
            self.member("libmpengine.so", &engine, percent(40)),
            self.member("libmpengine.so.sig", &engine, 256),
            self.member("mpavbase.vdm", &base, percent(30)),
            self.member("mpavdlta.vdm", &format!("{}/{}", self.feed, self.delta), percent(5)),
            self.member("mpasbase.vdm", &base, percent(20)),
            self.member("mpasdlta.vdm", &format!("{}/{}", self.feed, self.delta), percent(5)),
        ]
    }

    fn member(&self, name: &str, version: &str, len: u64) -> Member {
        let data = Seeded { seed: number_of(&format!("{}/{name}/{version}", self.seed)), len };
        if self.size > HELD { Member::computed(name, data) } else { Member::deflated(name, &data.to_vec()) }
    }
}

/// The release's archive with a fault in it.
pub(crate) fn faulty_archive(release: &DefenderRelease, fault: &ArchiveFault) -> Body {
    let mut members = release.members.clone();
    match fault {
        ArchiveFault::Crc => members.iter_mut().take(1).for_each(|member| member.crc_error = 1),
        ArchiveFault::NoEngine => members.retain(|member| !member.name.starts_with("libmpengine")),
        ArchiveFault::Encrypted => members.iter_mut().take(1).for_each(|member| member.flags = 1),
        ArchiveFault::Duplicate => members.extend(release.members.first().cloned()),
        ArchiveFault::Traversal => members.push(Member::stored("../../etc/cron.d/x", b"x".to_vec())),
        ArchiveFault::Bomb => members.push(zeros("mpbomb.vdm", 1024)),
        ArchiveFault::Empty => members.clear(),
        ArchiveFault::Stacked | ArchiveFault::TrailingBytes => {}
    }
    match fault {
        ArchiveFault::TrailingBytes => archive(&members).followed_by(b"trailing"),
        ArchiveFault::Stacked => {
            let first = archive(&[Member::stored("libmpengine.so", b"another".to_vec())]).to_vec();
            Body::held([first, archive(&members).to_vec()].concat())
        }
        _ => archive(&members),
    }
}
