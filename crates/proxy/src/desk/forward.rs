//! Paths that no manifest names, and second paths of manifests that are served.
//!
//! A file is fetched by itself, looked at, and only then becomes part of the release of what is forwarded: one that does
//! not come, or is not what it may be, changes nothing for the others.

use std::sync::atomic::Ordering;

use mirror::Engine;
use model::{Digest, Exchange, Held, Note, Reason, RoutePath, Vendor, error_chain};
use vendors::Target;
use vendors::elastic::{ElasticSettings, SignatureMode, forwarded_feed, is_forwarded};

use super::Desk;
use super::confirm::Word;
use super::fly::landing_of;
use super::second::is_routed;
use crate::Landing;
use crate::forwarded::{change_forwarded, publish_forwarded};
use crate::state::ForwardedFile;

/// A file that may be forwarded.
pub(super) struct Candidate {
    pub(super) file: ForwardedFile,
}

/// Why a path is not forwarded.
pub(super) struct Refused {
    pub(super) landing: Landing,
    pub(super) why: Note,
}

impl From<Note> for Refused {
    fn from(why: Note) -> Self {
        let landing = match why.reason {
            Reason::NotFound => Landing::Absent,
            Reason::Refused => Landing::Declined,
            _ => Landing::Failed,
        };
        Self { landing, why }
    }
}

impl Refused {
    fn for_now(reason: Reason, detail: &str) -> Self {
        Self { landing: Landing::Failed, why: Note { reason, detail: detail.to_owned() } }
    }
}

impl Desk {
    /// Fetches a path that no manifest names, once it is known that none does.
    pub(super) async fn forward(&self, path: &RoutePath) -> Landing {
        let Some(engine) = self.engine() else { return Landing::Failed };
        if is_routed(&engine, path).await == Some(true) {
            return Landing::Held;
        }
        let asked = engine.ports().clock.monotonic();
        for mut progress in self.flights.of_feeds() {
            let _ = progress.wait_for(Option::is_some).await;
        }
        match self.word_of(&engine, path, asked).await {
            Word::Unnamed => match self.take(&engine, path, |_| true).await {
                Ok(landing) => landing,
                Err(refused) => self.refuse(&engine, path, refused),
            },
            Word::Served => Landing::Held,
            Word::Past => {
                let detail =
                    "a release names it, written so or in other letters, that is served no longer or at another path";
                let why = Note { reason: Reason::NotFound, detail: detail.to_owned() };
                self.refuse(&engine, path, why.into())
            }
            Word::Withheld(why) => self.refuse(&engine, path, Refused::for_now(Reason::NotNow, &why)),
        }
    }

    /// Fetches a second path of a manifest that is served: the bytes there must be the very same.
    pub(super) async fn copy(&self, engine: &Engine, path: &RoutePath) -> Result<Landing, Refused> {
        self.take(engine, path, |found| found.file.is_copy).await
    }

    async fn take(&self, engine: &Engine, path: &RoutePath, may: fn(&Candidate) -> bool) -> Result<Landing, Refused> {
        let found = self.fetch_alone(engine, path).await?;
        if !may(&found) {
            let detail = "a manifest is asked for here that is served at another path, and other bytes lie here";
            return Err(Refused::for_now(Reason::PathUnknown, detail));
        }
        let _turn = self.forwarding.lock().await;
        // What is forwarded may have ended while this came.
        if !self.may_forward(&found.file) {
            return Err(Refused::for_now(Reason::NotNow, "nothing is forwarded any more"));
        }
        // A manifest that was read meanwhile counts no less.
        if self.is_contradicted(&found.file) || self.publish(engine, found.file).await != Landing::Held {
            return Ok(Landing::Failed);
        }
        let forwarded = self.book.forwarded();
        if forwarded.iter().any(|file| file.route == *path && self.is_contradicted(file)) {
            self.let_go(engine, std::slice::from_ref(path)).await;
            return Ok(Landing::Failed);
        }
        Ok(Landing::Held)
    }

    /// Whether a second path of a manifest may be served, or any other path that no manifest names.
    pub(super) fn may_forward(&self, file: &ForwardedFile) -> bool {
        let rules = self.rules.borrow();
        rules.proxy && (file.is_copy || rules.forwards)
    }

    pub(super) fn refuse(&self, engine: &Engine, path: &RoutePath, refused: Refused) -> Landing {
        let Refused { landing, why } = refused;
        if landing == Landing::Absent {
            // Whoever makes paths up fills no log.
            tracing::debug!(%path, detail = why.detail, "the vendor does not have it");
        } else {
            tracing::warn!(%path, reason = why.reason.code(), detail = why.detail, "not forwarded");
        }
        self.note_path(engine, path, why);
        landing
    }

    /// Fetches one file, and looks whether it may be forwarded at all.
    pub(super) async fn fetch_alone(&self, engine: &Engine, path: &RoutePath) -> Result<Candidate, Refused> {
        let cap = engine.vendor_settings().elastic.forwarded.cap;
        let item = engine.hold_alone(Vendor::Elastic, &Target(path.as_str().to_owned()), cap).await?;
        self.tally(engine, item.held.size());
        if item.exchange.as_ref().is_some_and(is_page) {
            let detail = "a web page came: a sign-in or error page, and nothing that endpoints fetch";
            return Err(Refused::for_now(Reason::BadResponse, detail));
        }
        let held = item.held;
        let is_manifest = engine.look_into(held, |bytes| vendors::elastic::is_manifest(bytes)).await?;
        let is_copy = is_manifest && is_served(engine, &held.digest()).await;
        if is_manifest && !is_copy {
            self.learn_names(engine, path, held).await?;
            let detail = "a manifest lies there, and its path is of no form that is known: what it names cannot be \
                          proven; elastic.dated_templates and elastic.track_templates name forms";
            return Err(Refused::for_now(Reason::PathUnknown, detail));
        }
        let file = ForwardedFile {
            route: path.clone(),
            digest: Some(held.digest()),
            size: held.size(),
            fetched_at: engine.ports().clock.now(),
            brought: item.exchange,
            confirmed_at: None,
            is_copy,
            missed: 0,
        };
        Ok(Candidate { file })
    }

    /// What a manifest names that is not served comes in by no other way.
    async fn learn_names(&self, engine: &Engine, path: &RoutePath, held: Held) -> Result<(), Refused> {
        let settings = ElasticSettings { signature: SignatureMode::Off, ..engine.vendor_settings().elastic };
        if held.size() > settings.manifest_cap {
            return Ok(());
        }
        let bytes = engine.read_held(held, settings.manifest_cap).await?;
        if let Ok(opened) = vendors::elastic::open(&bytes, path, &settings) {
            let named: Vec<_> =
                opened.artifacts.into_iter().map(|artifact| (artifact.route, artifact.digest)).collect();
            let noted = self.book.note_stray(path, &named);
            noted.map_err(|error| Refused::for_now(Reason::StoreFailed, &error_chain(&error)))?;
        }
        Ok(())
    }

    /// Makes a file part of what is forwarded.
    pub(super) async fn publish(&self, engine: &Engine, file: ForwardedFile) -> Landing {
        let path = file.route.clone();
        let added = change_forwarded(engine, &self.book, |files| {
            files.retain(|known| known.route != path);
            files.push(file);
        });
        if let Err(error) = added.await {
            tracing::error!(error = %error_chain(&error), "a path could not be forwarded");
            return Landing::Failed;
        }
        let landing = self.sync_forwarded(engine).await;
        if landing != Landing::Held {
            self.drop_forwarded(engine, std::slice::from_ref(&path)).await;
        }
        landing
    }

    /// Whether a manifest names other bytes where a forwarded file stands.
    pub(super) fn is_contradicted(&self, file: &ForwardedFile) -> bool {
        // What cannot be read was told, and kept from being forwarded, before this was fetched.
        let named = self.book.named_at(&file.route).unwrap_or_default();
        !named.is_empty() && file.digest.is_some_and(|digest| !named.contains(&digest))
    }

    async fn drop_forwarded(&self, engine: &Engine, paths: &[RoutePath]) {
        let dropped = change_forwarded(engine, &self.book, |files| files.retain(|known| !paths.contains(&known.route)));
        if let Err(error) = dropped.await {
            tracing::error!(error = %error_chain(&error), "forwarded paths could not be let go");
        }
    }

    /// Forwards these no longer, from now on.
    pub(super) async fn let_go(&self, engine: &Engine, paths: &[RoutePath]) {
        for path in paths {
            tracing::info!(%path, "forwarded no longer");
        }
        self.drop_forwarded(engine, paths).await;
        self.sync_forwarded(engine).await;
    }

    /// Makes a release of what is forwarded: all of it is held, so that nobody is asked. Bytes that are gone here, and
    /// that the vendor does not give once more, end their path alone: none of the others waits for them.
    async fn sync_forwarded(&self, engine: &Engine) -> Landing {
        match self.sync_forwarded_once(engine).await {
            Landing::Held => Landing::Held,
            _ if self.drop_lost(engine).await => self.sync_forwarded_once(engine).await,
            landing => landing,
        }
    }

    async fn sync_forwarded_once(&self, engine: &Engine) -> Landing {
        let Some(feed) = forwarded_feed() else { return Landing::Failed };
        let Some(_claim) = self.claim(engine, &feed).await else { return Landing::Failed };
        match publish_forwarded(engine, &self.book).await {
            Ok(report) => landing_of(report.as_ref(), true),
            Err(error) => {
                tracing::warn!(error = %error_chain(&error), "what is forwarded could not be published");
                Landing::Failed
            }
        }
    }

    /// Forwards no longer what is not held; whether there was any such.
    async fn drop_lost(&self, engine: &Engine) -> bool {
        let files = self.book.forwarded();
        let digests: Vec<Digest> = files.iter().filter_map(|file| file.digest).collect();
        let Ok(held) = engine.ports().blobs.find_all(&digests).await else { return false };
        let held: Vec<Digest> = held.into_iter().flatten().map(|held| held.digest()).collect();
        let lost = files.into_iter().filter(|file| !file.digest.is_some_and(|digest| held.contains(&digest)));
        let lost: Vec<RoutePath> = lost.map(|file| file.route).collect();
        for path in &lost {
            tracing::warn!(%path, "its bytes are gone, and the vendor gives others or none; forwarded no longer");
        }
        if lost.is_empty() {
            return false;
        }
        self.drop_forwarded(engine, &lost).await;
        true
    }

    /// What was fetched and is forwarded no longer, or never was, leaves the disk before it has the room of what may be
    /// forwarded at all once more.
    fn tally(&self, engine: &Engine, bytes: u64) {
        let most = engine.vendor_settings().elastic.forwarded.cap;
        if self.fetched.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) < most {
            return;
        }
        self.fetched.store(0, Ordering::Relaxed);
        let engine = engine.clone();
        self.runtime.spawn(async move {
            if let Err(error) = engine.collect().await {
                tracing::warn!(error = %error_chain(&error), "what is forwarded no longer could not be collected");
            }
        });
    }
}

/// Whether these bytes are served as what a manifest's feed has.
async fn is_served(engine: &Engine, digest: &Digest) -> bool {
    let current = engine.ports().rings.current(&engine.settings().ring).await;
    current.ok().flatten().is_some_and(|current| {
        let mut routes = current.generation.routes.values();
        routes.any(|route| route.digest == *digest && route.until.is_none() && !is_forwarded(&route.feed))
    })
}

/// Whether an answer says that it is a web page.
fn is_page(exchange: &Exchange) -> bool {
    let mut headers = exchange.headers.iter();
    headers.any(|(name, value)| {
        name.eq_ignore_ascii_case("content-type") && value.trim_start().to_ascii_lowercase().starts_with("text/html")
    })
}
