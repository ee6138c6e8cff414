//! Who hears what a run says.

use model::error_chain;

use crate::Log;

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
    pub(crate) log: Option<Log>,
    pub(crate) people: &'a mut (dyn FnMut(Said<'_>) + Send),
    /// The log took something badly.
    pub(crate) lost: bool,
}

impl Voice<'_> {
    pub(crate) fn say(&mut self, text: &str) {
        (self.people)(Said::Line(text));
        self.note(text);
    }

    pub(crate) fn complain(&mut self, text: &str) {
        (self.people)(Said::Error(text));
        self.note(text);
    }

    pub(crate) fn note(&mut self, text: &str) {
        let Some(log) = &mut self.log else { return };
        if let Err(error) = log.write(text) {
            self.lost = true;
            self.log = None;
            (self.people)(Said::Error(&format!("Error: the log cannot be written: {}", error_chain(&error))));
        }
    }
}
