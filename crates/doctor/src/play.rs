//! Plays each vendor's client against a mirror.
//!
//! [`examine`] connects, looks at TLS, knocks at the bases, then walks each feed as an endpoint does: the vendor's
//! own session says what to ask next, so nothing of a vendor's format is read here a second time. A few files of
//! each feed are then asked for in every way that HTTP has.

mod agree;
mod bases;
mod course;
mod discover;
mod facts;
mod fetch;
mod manners;
mod once;
mod ranges;
mod spool;
mod tags;
mod updates;
mod vouch;

use std::sync::Arc;
use std::time::Duration;

use model::{Clock, FeedId, Vendor};
use tokio::time::Instant;
use url::Url;

use crate::finding::{Finding, Level};
use crate::tls::{CaFileError, Roots};
use crate::wire::{Client, Place, TurnedAway, Waits, Way};
use crate::{Check, Report, Watch};
use course::{Course, View};
pub(crate) use vouch::anchor_words;

/// How much is fetched whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Everything that a manifest names.
    Whole,
    /// Manifests, companions and a few artifacts; of the others the head alone.
    Quick,
}

/// What to examine, and with what.
#[derive(Clone)]
pub struct Examination {
    /// The base URL that endpoints are given.
    pub url: Url,
    /// The feeds that it should hold; those that it can be seen to hold, where none are named.
    pub feeds: Vec<FeedId>,
    /// What vendors' modules need to know: keys, templates, caps.
    pub settings: vendors::Settings,
    /// Roots beside the public ones and the system's, as PEM.
    pub ca_pem: Option<Vec<u8>>,
    /// How much is fetched whole.
    pub depth: Depth,
    /// For everything together.
    pub deadline: Duration,
    /// The time, for certificates and for the server's Date.
    pub clock: Arc<dyn Clock>,
}

/// Why nothing can be examined.
#[derive(Debug, thiserror::Error)]
pub enum ExamineError {
    /// The URL cannot be a mirror's.
    #[error("{0} is no mirror's URL: it must be http:// or https:// with a host")]
    Url(String),
    /// The CA file is of no use.
    #[error("the CA file cannot be used")]
    CaFile(#[source] CaFileError),
}

/// What every part of an examination works with.
pub(crate) struct Scene<'a> {
    pub(crate) client: Client,
    /// Known where TLS is spoken.
    pub(crate) roots: Option<Roots>,
    pub(crate) examination: &'a Examination,
    pub(crate) watch: &'a dyn Watch,
}

const CONNECT: Duration = Duration::from_secs(10);
const HEAD: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_secs(30);
/// What to do where every answer is 403.
const NOT_LET_IN: &str = "Examine it from an address that may ask (Waystation's `allow`, nginx and Apache `allow`, a firewall in \
    front), or let this one in. If every address may, it is file modes or an SELinux label: see the server's error log.";
/// What to do where nothing is ever answered.
const NOT_ANSWERED: &str = "Examine it from an address that may ask (Waystation's `allow`), or let this one in. A listener that \
    wants a PROXY header (`proxy_protocol`) of this address is examined through the balancer in front of it.";

/// Examines a mirror. It asks with GET and HEAD alone, and stores nothing but in a temporary folder of its own.
///
/// # Errors
/// [`ExamineError`] when there is nothing that could be examined; what is wrong with a mirror is a finding.
pub async fn examine(examination: &Examination, watch: &dyn Watch) -> Result<Report, ExamineError> {
    let bad = || ExamineError::Url(shown(&examination.url));
    let place = Place::of(&examination.url).ok_or_else(bad)?;
    // The system's roots are many: they are read only where they decide something.
    let needed = place.tls || examination.ca_pem.is_some();
    let roots = needed.then(|| Roots::load(examination.ca_pem.as_deref())).transpose().map_err(ExamineError::CaFile)?;
    let began = Instant::now();
    let end = began.checked_add(examination.deadline).unwrap_or(began);
    let waits = Waits { connect: CONNECT, head: HEAD, pause: PAUSE, end };
    let mut report = Report::new(shown(&examination.url), examination.clock.now());
    let scene = Scene { client: Client::new(place, Way::Direct, waits), roots, examination, watch };
    if scene.reach(&mut report).await {
        scene.look(&mut report).await;
        if let Some(how) = scene.client.turned_away() {
            report.findings.retain(|found| is_of_the_way(found.check));
            report.add(turned_away(&report.subject, how));
        }
    }
    if Instant::now() >= end {
        let given = format!("{} s", examination.deadline.as_secs());
        report.add(Finding::fail(Check::Deadline, report.subject.clone().as_str(), given, "the time was over"));
    }
    Ok(report.sorted())
}

/// Whether a check is one of name, port and TLS, which come before anything is asked for.
fn is_of_the_way(check: Check) -> bool {
    use Check::{Plain, Reached, TlsChain, TlsName, TlsTime, TlsTrust, TlsVersion};
    matches!(check, Reached | Plain | TlsChain | TlsTrust | TlsName | TlsTime | TlsVersion)
}

/// What is said where whatever was asked for came to the same: nothing is known of bases, files or feeds.
fn turned_away(subject: &str, how: TurnedAway) -> Finding {
    let (came, remedy) = match how {
        TurnedAway::Forbidden => ("403 for every path: this address is not let in, or none is", NOT_LET_IN),
        TurnedAway::Closed => ("every connection was taken and closed without an answer", NOT_ANSWERED),
    };
    Finding::fail(Check::Status, subject, "GET of every path", came).with_remedy(remedy)
}

/// A URL without user, password, query and fragment, any of which may be a secret; of one without a host the scheme
/// alone.
fn shown(url: &Url) -> String {
    if url.cannot_be_a_base() {
        return format!("{}:…", url.scheme());
    }
    let mut shown = url.clone();
    // Both fail only on URLs that cannot have credentials.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_query(None);
    shown.set_fragment(None);
    shown.into()
}

impl Scene<'_> {
    /// Whether there is anything to talk to.
    async fn reach(&self, report: &mut Report) -> bool {
        let place = &self.client.place;
        self.watch.on(&format!("connecting to {}", place.authority));
        let asked = format!("TCP to port {}", place.port);
        let connection = match self.client.connect().await {
            Ok(connection) => connection,
            Err(error) => {
                report.add(Finding::fail(Check::Reached, &place.authority, asked, model::error_chain(&error)));
                return false;
            }
        };
        self.client.give_back(connection);
        report.add(Finding::ok(Check::Reached, &place.authority, asked, "connected"));
        if place.tls {
            report.add_all(vouch::look(self).await);
        } else {
            report.add(Finding::ok(Check::Plain, &place.authority, "the URL", "plain HTTP"));
        }
        true
    }

    async fn look(&self, report: &mut Report) {
        let mut feeds = self.examination.feeds.clone();
        if feeds.is_empty() {
            self.watch.on("looking for Defender's fixed addresses");
            feeds = discover::feeds(self).await;
        }
        if feeds.is_empty() {
            let asked = "Defender's fixed addresses; no Elastic version was named";
            report.add(Finding::fail(Check::Nothing, "/", asked, "none of them answers 200"));
        }
        report.add_all(bases::look(self, &feeds).await);
        let (mut walked, mut files) = (Vec::new(), Vec::new());
        let mut sample = None;
        for feed in &feeds {
            self.watch.on(&format!("walking {feed}"));
            let mut course = Course::new(self, feed, View::Current);
            let played = course.run().await;
            let mut seen = played.seen.clone();
            report.add_all(played.findings.iter().cloned());
            for facts in manners::chosen(&played) {
                report.add_all(manners::look(self, facts).await);
            }
            sample = sample.or_else(|| manners::chosen(&played).into_iter().next().cloned());
            files.extend(played.files.iter().cloned());
            if feed.vendor() == Vendor::Defender {
                let back = Course::new(self, feed, View::Back).run_if_there().await;
                report.add_all(back.iter().flat_map(|back| back.findings.iter().cloned()));
                files.extend(back.iter().flat_map(|back| back.files.iter().cloned()));
                report.add_all(agree::with_back(&played, back.as_ref()));
                seen.back = back.and_then(|back| back.seen.vendor_version);
                walked.push(played);
            }
            report.feeds.push(seen);
        }
        report.add_all(agree::among(&walked));
        report.add_all(tags::shared(&files));
        if let Some(facts) = sample {
            self.watch.on("trying what connections can do");
            report.add_all(once::look(self, &facts).await);
        }
        // Where something is wrong, it was said of what it is: an endpoint would only stumble over it again.
        if self.examination.depth == Depth::Whole && !report.findings.iter().any(|found| found.level == Level::Fail) {
            for feed in &feeds {
                self.watch.on(&format!("updating an endpoint from {feed}"));
                report.add_all(updates::look(self, feed).await);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_url_is_shown_with_its_secrets_i13() {
        for (url, expected) in [
            ("ftp://eve:hunter2@mirror.internal/a", "ftp://mirror.internal/a"),
            ("https://eve:hunter2@mirror.internal:8443/?token=hunter2#hunter2", "https://mirror.internal:8443/"),
            ("foo://eve:hunter2@mirror/", "foo://mirror/"),
            ("mailto:eve:hunter2@mirror", "mailto:…"),
            ("localhost:hunter2", "localhost:…"),
        ] {
            let error = ExamineError::Url(shown(&Url::parse(url).unwrap())).to_string();
            assert!(error.starts_with(&format!("{expected} is no mirror's URL")), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
