//! Whether the history that is read is the one that was written: whoever answers from it says so first where it is not,
//! or where nobody can know.

use app::{Against, Vouchers};
use catalog::{Catalog, prove_chain};
use config::Config;
use mirror::SiteFault;
use model::{Level, Reason, Timestamp};
use serde_json::{Value, json};

use super::heads::{self, RESTORE};
use crate::commands::status::folder_fault;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::out::Out;
use crate::show;

/// What is to be said of a history before what it says.
#[derive(Debug)]
pub(crate) struct Doubt {
    broken: Option<Broken>,
    /// That history.head_file, which should vouch for it, cannot be read, or knows it under another name.
    unvouched: Option<SiteFault>,
    /// It cannot be read: whether the history is the one that was told nobody knows.
    unread: bool,
    /// A living `run` works by another history than the one that stands here, or saw it broken.
    elsewhere: Option<SiteFault>,
}

/// What speaks against it: its chain is broken, or it is not the one that history.head_file knows.
#[derive(Debug)]
struct Broken {
    entry: Option<u64>,
    failure: Failure,
}

/// Reads the whole history, and compares it with the heads in history.head_file; none where nothing is to be said of it.
///
/// # Errors
/// [`Failure`] when the configuration cannot be read.
pub(crate) async fn doubt(catalog: &dyn Catalog, context: &Context) -> Result<Option<Doubt>, Failure> {
    let (now, config) = (context.clock.now(), context.config()?);
    let mut vouchers = Vouchers::read(&config);
    let broken = match prove_chain(catalog, &mut |entry| vouchers.look(entry)).await {
        Ok(proven) => {
            vouchers.finish(&proven, now).err().map(|against| Broken { entry: None, failure: failed(&against) })
        }
        Err(fault) => {
            let failure = Failure::new(Reason::HistoryBroken.code(), &fault).with_next(RESTORE);
            Some(Broken { entry: Some(fault.seq), failure })
        }
    };
    // What a broken history does not have proves nothing of the names that it had.
    let unvouched = vouchers.fault(now).filter(|fault| broken.is_none() || fault.level == Level::Fail);
    let elsewhere = elsewhere(&config, now).await;
    let is_any = broken.is_some() || unvouched.is_some() || elsewhere.is_some();
    Ok(is_any.then_some(Doubt { broken, unvouched, unread: vouchers.is_unread(), elsewhere }))
}

/// What a living `run` says of the history that stands here: that it was left without its own, or that it saw more of it
/// than is there.
pub(crate) async fn elsewhere(config: &Config, now: Timestamp) -> Option<SiteFault> {
    if let Some(left) = app::left_without(config).await {
        return Some(folder_fault(left.reason, show::clean(&left.in_words()), now));
    }
    let seen = crate::commands::alarm::seen_by_run(config, None, (&[], now));
    seen.into_iter().find(|fault| fault.note.reason == Reason::HistoryBroken)
}

/// Heads a page of what stands here.
pub(crate) fn head(fault: &SiteFault, out: &mut Out) -> Result<(), Failure> {
    out.line(in_words(fault))?;
    out.line("  what follows is of the history that stands here: `waystation run` knows another, or more of it")?;
    out.line("")
}

/// That what stands here is not what a living `run` knows.
pub(crate) fn parted(fault: &SiteFault) -> Failure {
    Failure::usage(in_words(fault)).with_exit(Exit::FAILED).with_next(fault.note.reason.remedy())
}

fn failed(against: &Against) -> Failure {
    match against {
        Against::Heads(fault) => heads::broken(fault),
        former @ Against::Former { .. } => {
            let text = format!("{}: {former}", Reason::HistoryBroken);
            Failure::usage(text).with_exit(Exit::FAILED).with_next(former.remedy())
        }
    }
}

impl Doubt {
    /// For a page that reads no history: that a living `run` knows another one than the one that stands here.
    pub(crate) async fn of_run(config: &Config, now: Timestamp) -> Option<Self> {
        let elsewhere = Some(elsewhere(config, now).await?);
        Some(Self { broken: None, unvouched: None, unread: false, elsewhere })
    }

    /// Heads a page. What is a warning is in the log.
    pub(crate) fn write(&self, out: &mut Out) -> Result<(), Failure> {
        if let Some(Broken { failure, .. }) = &self.broken {
            out.line(failure.text())?;
            out.line("  what follows is what the history says now: nothing shows that it is what happened")?;
        }
        // What is broken by itself says enough.
        let elsewhere = self.elsewhere.as_ref().filter(|_| self.broken.is_none());
        if let Some(fault) = elsewhere {
            head(fault, out)?;
        }
        let unvouched = self.unvouched.as_ref().filter(|fault| fault.level == Level::Fail);
        if let Some(fault) = unvouched {
            out.line(in_words(fault))?;
            out.line("  what follows is what the history says now: nothing outside of it vouches for that")?;
        }
        if self.broken.is_some() || unvouched.is_some() { out.line("") } else { Ok(()) }
    }

    /// What is wrong with it by itself, as status shows it at `since`, which asks a living `run` for all that it sees.
    pub(crate) fn faults(&self, since: Timestamp) -> impl Iterator<Item = SiteFault> {
        let broken = self.broken.as_ref().map(|broken| app::history_broken(since, broken.detail().to_owned()));
        broken.into_iter().chain(self.unvouched.clone())
    }

    /// As a member of an object.
    pub(crate) fn json(doubt: Option<&Self>) -> Value {
        match doubt {
            None => json!({ "whole": true }),
            Some(Self { broken: Some(broken), .. }) => json!({
                "whole": false, "reason": Reason::HistoryBroken.code(), "entry": broken.entry,
                "what": broken.failure.text(),
            }),
            // The chain holds; it is not the one that a living `run` knows.
            Some(Self { elsewhere: Some(fault), .. }) => json!({
                "whole": null, "reason": fault.note.reason.code(), "entry": null, "what": in_words(fault),
            }),
            // The chain holds; whether it is the one that was told nobody may know.
            Some(Self { unvouched, unread, .. }) => json!({
                "whole": (!unread).then_some(true), "reason": Reason::HeadFailed.code(), "entry": null,
                "what": unvouched.as_ref().map(in_words),
            }),
        }
    }

    /// How a command ends that has told what the history says. What is a warning is in the log, and fails nothing.
    pub(crate) fn end(doubt: Option<Self>) -> Result<(), Failure> {
        let Some(Self { broken, unvouched, elsewhere, .. }) = doubt else { return Ok(()) };
        if let Some(Broken { failure, .. }) = broken {
            return Err(match &unvouched {
                Some(fault) => failure.and(&unread(fault)),
                None => failure,
            });
        }
        if let Some(fault) = elsewhere {
            return Err(parted(&fault));
        }
        match unvouched {
            Some(fault) if fault.level == Level::Fail => Err(unread(&fault)),
            Some(fault) => {
                tracing::warn!(reason = fault.note.reason.code(), detail = fault.note.detail, "history.head_file");
                Ok(())
            }
            None => Ok(()),
        }
    }
}

impl Broken {
    /// What speaks against it, without the code.
    fn detail(&self) -> &str {
        let text = self.failure.text();
        text.strip_prefix(Reason::HistoryBroken.code()).and_then(|text| text.strip_prefix(": ")).unwrap_or(text)
    }
}

pub(super) fn in_words(fault: &SiteFault) -> String {
    format!("{}: {}: {}", fault.note.reason, fault.subject, fault.note.detail)
}

fn unread(fault: &SiteFault) -> Failure {
    let next = "make it readable, or move it away: telling begins anew then, with the history as it is";
    Failure::usage(in_words(fault)).with_exit(Exit::FAILED).with_next(next)
}
