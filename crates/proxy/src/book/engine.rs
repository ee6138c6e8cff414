//! The book as the engine takes it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Mutex;

use mirror::Learned;
use model::{Digest, Exchange, FeedId, Note, RoutePath};

use super::{Book, lock};

/// Where what was learned cannot be read: that is told once, until it can, however many books a process opens.
static TOLD: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

impl Learned for Book {
    fn feeds(&self) -> Option<Vec<FeedId>> {
        let state = match self.state() {
            Ok(state) => {
                lock(&TOLD).remove(&self.data);
                state
            }
            Err(error) => {
                if lock(&TOLD).insert(self.data.clone()) {
                    tracing::error!(error = %model::error_chain(&error), "what was learned cannot be read");
                }
                return None;
            }
        };
        let mut feeds: Vec<FeedId> = state.feeds.iter().map(|known| known.feed.clone()).collect();
        if !state.forwarded.is_empty() {
            feeds.extend(vendors::elastic::forwarded_feed());
        }
        for feed in self.trying().keys() {
            if !feeds.contains(feed) {
                feeds.push(feed.clone());
            }
        }
        Some(feeds)
    }

    fn furnish(&self, settings: &mut vendors::Settings) {
        // What cannot be read was told when the feeds were asked for.
        if let Ok(state) = self.state() {
            state.furnish(settings, self.keeping().forwarded_bytes);
        }
        for form in lock(&self.ring).forms.iter() {
            let elastic = &mut settings.elastic;
            let is_dated = form.contains("{date}");
            let templates = if is_dated { &mut elastic.dated_templates } else { &mut elastic.track_templates };
            if !templates.contains(form) {
                templates.push(form.clone());
            }
        }
    }

    fn covered(&self) -> Vec<FeedId> {
        lock(&self.ring).covered.clone()
    }

    fn offered(&self, feed: &FeedId) -> Result<(), Note> {
        self.settle(feed)
    }

    fn named(&self, feed: &FeedId, files: &[(RoutePath, Digest)]) {
        self.note_named(feed, files);
    }

    fn came(&self, files: &[(Digest, &Exchange)]) {
        let noted = if self.keeping().heads { self.note_heads(files) } else { Ok(()) };
        if let Err(error) = noted {
            let error = model::error_chain(&error);
            tracing::warn!(error, "what came with the vendor's files could not be kept; it is not passed on");
        }
    }

    fn is_proven(&self, place: &str) -> bool {
        self.state().is_ok_and(|state| state.proven.iter().any(|known| known == place))
    }

    fn proved(&self, place: &str) {
        if self.is_proven(place) {
            return;
        }
        if self.state().is_err() {
            // That was told, and it is known where it is served.
            return;
        }
        match self.change(|state| state.prove(place)) {
            Ok(_) => tracing::info!(place, "the vendor keeps such manifests here; remembered"),
            Err(error) => {
                tracing::error!(error = %model::error_chain(&error), "where a manifest lies could not be remembered");
            }
        }
    }
}
