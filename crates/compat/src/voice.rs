//! Who hears what a run says.

use std::path::Path;
use std::sync::Arc;

use model::{Clock, error_chain};
use platform::fs::FsError;

use crate::derive::real;
use crate::{Log, Settings};

/// What is named as the log where none is wanted, as the script has it.
const NO_LOG: &str = "/dev/null";

/// What a run says to people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said<'t> {
    /// How it goes, as the script prints it.
    Line(&'t str),
    /// What failed: cron is to mail it even where nobody wants the rest.
    Error(&'t str),
}

/// Who hears what a run says: the log in the script's form, and people.
pub(crate) struct Voice<'a> {
    log: Option<Log>,
    /// What is to stand in a log that lies in the shared folder, until that is made.
    waits: Option<Vec<String>>,
    people: &'a mut (dyn FnMut(Said<'_>) + Send),
    /// The log took something badly.
    pub(crate) lost: bool,
}

impl<'a> Voice<'a> {
    pub(crate) fn new(
        settings: &Settings,
        clock: &Arc<dyn Clock>,
        people: &'a mut (dyn FnMut(Said<'_>) + Send),
    ) -> Self {
        let mut voice = Self { log: None, waits: None, people, lost: false };
        if settings.log == Path::new(NO_LOG) {
            return voice;
        }
        let within = || real(&settings.log).starts_with(real(&settings.folder));
        match Log::open(&settings.log, Arc::clone(clock)) {
            Ok(log) => voice.log = Some(log),
            Err(error) if error.is_missing() && within() => voice.waits = Some(Vec::new()),
            Err(error) => voice.refused(&error),
        }
        voice
    }

    /// Opens the log that lies in the shared folder, now that this is there.
    pub(crate) fn settle(&mut self, settings: &Settings, clock: &Arc<dyn Clock>) {
        let Some(waiting) = self.waits.take() else { return };
        match Log::open(&settings.log, Arc::clone(clock)) {
            Ok(log) => {
                self.log = Some(log);
                waiting.iter().for_each(|text| self.note(text));
            }
            Err(error) => self.refused(&error),
        }
    }

    fn refused(&mut self, error: &FsError) {
        self.lost = true;
        let refused = error_chain(error);
        (self.people)(Said::Error(&format!(
            "Error: the log cannot be used, and what is told here is told nowhere else: {refused}"
        )));
    }

    pub(crate) fn say(&mut self, text: &str) {
        (self.people)(Said::Line(text));
        self.note(text);
    }

    pub(crate) fn complain(&mut self, text: &str) {
        (self.people)(Said::Error(text));
        self.note(text);
    }

    pub(crate) fn note(&mut self, text: &str) {
        if let Some(waiting) = &mut self.waits {
            return waiting.push(text.to_owned());
        }
        let Some(log) = &mut self.log else { return };
        if let Err(error) = log.write(text) {
            self.lost = true;
            self.log = None;
            (self.people)(Said::Error(&format!("Error: the log cannot be written: {}", error_chain(&error))));
        }
    }
}
