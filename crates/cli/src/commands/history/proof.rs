//! Whether the history that is read is the one that was written: whoever answers from it says so first where it is not.

use catalog::{Catalog, KeptHeads, prove_chain};
use model::Reason;
use serde_json::{Value, json};

use super::heads::{self, RESTORE};
use crate::context::Context;
use crate::failure::Failure;
use crate::out::Out;

/// What speaks against the history: its chain is broken, or it is not the one that history.head_file knows.
#[derive(Debug)]
pub(crate) struct Doubt {
    entry: Option<u64>,
    failure: Failure,
}

/// Reads the whole history, and compares it with the heads in history.head_file as far as that can be read; none where
/// nothing speaks against it.
///
/// # Errors
/// [`Failure`] when the configuration cannot be read.
pub(crate) async fn doubt(catalog: &dyn Catalog, context: &Context) -> Result<Option<Doubt>, Failure> {
    let config = context.config()?;
    let mut kept = KeptHeads::default();
    if let Some(path) = &config.history.head_file {
        // A file that cannot be read, or holds none of this site, says nothing against the chain.
        let _ = heads::read(&mut kept, path, config.site.name.as_deref().unwrap_or(app::NO_SITE));
    }
    let proven = match prove_chain(catalog, &mut |entry| kept.look(entry)).await {
        Ok(proven) => proven,
        Err(fault) => {
            let failure = Failure::new(Reason::HistoryBroken.code(), &fault).with_next(RESTORE);
            return Ok(Some(Doubt { entry: Some(fault.seq), failure }));
        }
    };
    let compared = kept.finish(&proven, context.clock.now());
    Ok(compared.err().map(|fault| Doubt { entry: None, failure: heads::broken(&fault) }))
}

impl Doubt {
    /// Heads a page.
    pub(crate) fn write(&self, out: &mut Out) -> Result<(), Failure> {
        out.line(self.failure.text())?;
        out.line("  what follows is what the history says now: nothing shows that it is what happened")?;
        out.line("")
    }

    /// What speaks against it, without the code.
    pub(crate) fn detail(&self) -> &str {
        let text = self.failure.text();
        text.strip_prefix(Reason::HistoryBroken.code()).and_then(|text| text.strip_prefix(": ")).unwrap_or(text)
    }

    /// As a member of an object.
    pub(crate) fn json(doubt: Option<&Self>) -> Value {
        match doubt {
            None => json!({ "whole": true }),
            Some(doubt) => json!({
                "whole": false, "reason": Reason::HistoryBroken.code(), "entry": doubt.entry,
                "what": doubt.failure.text(),
            }),
        }
    }

    /// How a command ends that has told what the history says.
    pub(crate) fn end(doubt: Option<Self>) -> Result<(), Failure> {
        doubt.map_or(Ok(()), |doubt| Err(doubt.failure))
    }
}
