//! One update: asked for by hand or by the timer, it is the same.

use std::sync::Arc;

use model::{Clock, VendorVersion};
use trust::KeyRing;
use url::Url;
use vendors::defender::DefenderSettings;

use super::agent::{Agent, Assumptions};
use super::managed::Managed;
use super::plan::{Plan, Site};
use super::source::{Fetched, Got, Known};
use super::store::{ARCHIVE, Installed, Record, Store};
use crate::disk::StateError;
use crate::fetch::{Dial, Fail, Trouble};

/// The endpoint, and all that it needs of the world.
#[derive(Debug)]
pub struct Endpoint {
    /// The agent that is played.
    pub agent: Agent,
    /// What is chosen where the vendor says nothing.
    pub assumptions: Assumptions,
    /// Its sets.
    pub store: Store,
    /// Makes who asks.
    pub dial: Arc<dyn Dial>,
    /// The forwarding link without its arguments.
    pub cloud: Url,
    /// Hosts that the cloud may redirect to.
    pub cloud_hosts: Vec<String>,
    /// Caps, links, and what archives are expected to hold.
    pub vendor: DefenderSettings,
    /// Keys for the engine's signature; without any it is not looked at, and that is told.
    pub engine_keys: Option<KeyRing>,
    /// The time.
    pub clock: ClockRef,
}

/// A clock that can be shown.
#[derive(Clone)]
pub struct ClockRef(pub Arc<dyn Clock>);

impl std::fmt::Debug for ClockRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Clock")
    }
}

/// How an attempt ended that did not fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The set in use is what the source has.
    Current(Option<VendorVersion>),
    /// Another set is in use now.
    Updated {
        /// The versions before; none if there was no set, or nothing said them.
        from: Option<VendorVersion>,
        /// The versions now.
        to: Option<VendorVersion>,
        /// Bytes of the archive.
        bytes: u64,
    },
}

/// One place asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Which, as health shows it.
    pub source: String,
    /// What came of it.
    pub result: Result<Outcome, Fail>,
}

/// What an update did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The places asked, in order; the last one decides.
    pub attempts: Vec<Attempt>,
    /// What is worth telling of what was taken.
    pub notes: Vec<String>,
}

impl Report {
    /// Whether the definitions are what a source has.
    pub fn is_good(&self) -> bool {
        self.attempts.last().is_some_and(|attempt| attempt.result.is_ok())
    }

    /// Whether the cloud was asked because the mirror failed.
    pub fn fell_back(&self) -> bool {
        self.attempts.len() > 1
    }
}

impl Endpoint {
    /// Brings the definitions up to date as the settings say. What fails is told in the report, and the set in use stays.
    ///
    /// # Errors
    /// [`StateError`] when the state cannot be read or written; whatever set is in use then is whole.
    pub async fn update(&self, managed: &Managed) -> Result<Report, StateError> {
        let _lock = self.store.lock(self.clock.0.as_ref())?;
        self.store.tidy()?;
        let plan = Plan::of(managed, &self.agent, &self.assumptions, &self.cloud);
        let mut record = self.store.record()?;
        record.tried = Some(self.clock.0.now());
        let mut report = Report { attempts: Vec::new(), notes: Vec::new() };
        let first = match &plan.first {
            Ok(site) => self.attempt(site, managed, &mut record, &mut report).await?,
            Err(fail) => {
                let source = managed.url.value.as_deref().map(settings::shown_url).unwrap_or_default();
                report.attempts.push(Attempt { source, result: Err(fail.clone()) });
                false
            }
        };
        if let Some(cloud) = plan.fallback.as_ref().filter(|_| !first) {
            self.attempt(cloud, managed, &mut record, &mut report).await?;
        }
        report.notes.extend(self.aged(managed, &report)?);
        let last = report.attempts.last();
        record.fail = last.and_then(|attempt| attempt.result.as_ref().err().cloned());
        self.store.note(&record)?;
        Ok(report)
    }

    /// What a source that has nothing newer leaves unsaid: that health calls the definitions out of date all the same.
    fn aged(&self, managed: &Managed, report: &Report) -> Result<Option<String>, StateError> {
        let Some(installed) = self.store.current()?.filter(|_| report.is_good()) else { return Ok(None) };
        let (age, due) = (self.clock.0.now().since(installed.at), managed.due.value);
        let days = |span: std::time::Duration| span.as_secs() / 86_400;
        Ok((age > due).then(|| {
            format!(
                "the source has nothing newer, and these definitions came {} days ago: health calls them out_of_date \
                 from {} days on",
                days(age),
                days(due)
            )
        }))
    }

    /// Asks one place; whether it went well.
    async fn attempt(
        &self,
        site: &Site,
        managed: &Managed,
        record: &mut Record,
        report: &mut Report,
    ) -> Result<bool, StateError> {
        let source = site.shown(self);
        let result = match self.take(site, managed, record, report).await {
            Ok(outcome) => {
                record.succeeded = Some(self.clock.0.now());
                record.source.clone_from(&source);
                Ok(outcome)
            }
            Err(Trouble::Update(fail)) => Err(fail),
            // The disk's failure is an update's failure too; only what ended the process here is not told.
            Err(Trouble::State(error @ StateError::Stopped(_))) => return Err(error),
            Err(Trouble::State(error)) => Err(Fail::from(&error)),
        };
        let good = result.is_ok();
        report.attempts.push(Attempt { source, result });
        Ok(good)
    }

    async fn take(
        &self,
        site: &Site,
        managed: &Managed,
        record: &mut Record,
        report: &mut Report,
    ) -> Result<Outcome, Trouble> {
        let current = self.store.current()?;
        let damaged = self.store.check()?;
        if !damaged.is_empty() {
            let what = damaged.join("; ");
            report.notes.push(format!("the set in use is damaged, and is fetched again whatever it was: {what}"));
        }
        // What is damaged, or was proven for another agent, is nothing to compare with.
        let ours = current.as_ref().filter(|current| damaged.is_empty() && current.kind == self.agent.kind());
        let known = Known { current: ours, record };
        let before = current.as_ref().and_then(|current| current.version.clone());
        let mut fetched = match self.get(site, managed.proxy.value.as_deref(), &known).await? {
            Got::Same => return Ok(Outcome::Current(before)),
            Got::Archive(fetched) => *fetched,
        };
        report.notes.append(&mut fetched.notes);
        let answer = fetched.answer.take();
        if ours.is_some_and(|current| current.archive == fetched.digest) {
            record.answer = answer;
            self.store.disk.remove(ARCHIVE)?;
            return Ok(Outcome::Current(before));
        }
        let (bytes, to) = (fetched.size, fetched.version.clone());
        let source = site.shown(self);
        self.install(fetched, source, managed, &mut report.notes)?;
        record.answer = answer;
        if let (Some(from), Some(to)) = (&before, &to)
            && to.version < from.version
        {
            report.notes.push(format!("the definitions went back from {from} to {to}"));
        }
        Ok(Outcome::Updated { from: before, to, bytes })
    }

    /// Proves what was fetched, unpacks it beside the set in use, and switches.
    fn install(
        &self,
        fetched: Fetched,
        source: String,
        managed: &Managed,
        notes: &mut Vec<String>,
    ) -> Result<(), Trouble> {
        let gone = || Fail::new(model::Reason::StoreFailed, "the downloaded archive is gone");
        let (mut file, _) = self.store.disk.open_file(ARCHIVE)?.ok_or_else(gone)?;
        notes.extend(self.inspect(&mut file)?);
        let wanted = self.agent.always_checks_engine() || managed.verify_signature.value;
        let engine_key = self.engine_key(&mut file, wanted)?;
        if wanted && engine_key.is_none() {
            notes.push("the engine's signature was not checked: no key was given".to_owned());
        }
        let now = self.clock.0.now();
        let mut set = self.store.begin(fetched.digest, now)?;
        let members = match self.unpack(&mut file, &mut set) {
            Ok(members) => members,
            Err(Trouble::Update(fail)) => {
                set.drop_it()?;
                return Err(fail.into());
            }
            Err(state) => return Err(state),
        };
        let Fetched { digest, size, version, .. } = fetched;
        let kind = self.agent.kind();
        let installed = Installed { version, source, at: now, archive: digest, bytes: size, kind, engine_key, members };
        Ok(set.switch(&installed)?)
    }
}
