//! One poll.

use std::sync::Arc;

use model::{Checked, Digest, Reason, RoutePath};
use outbound::{Outbound, Request};
use trust::KeyRing;
use url::Url;
use vendors::elastic::{ElasticSettings, NamedArtifact, Opened};

use super::assumptions::{Asking, Assumptions, CloudFeatures};
use super::policy::{Policy, Snapshot};
use super::response::Document;
use super::share::takes;
use super::store::{Applied, Identifier, RESPONSE, Record, Store, place};
use crate::defender::ClockRef;
use crate::disk::StateError;
use crate::fetch::{Dial, Fail, Trouble, drain, to_file};
use settings::elastic::Channel;
use settings::elastic::System;

/// Faults that versions of the real one have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quirks {
    /// None.
    Mended,
    /// A tag with a dash in it is refused (endpoint-dev#12382; which version mended it is not public).
    Dash,
}

/// The endpoint, and all that it needs of the world.
#[derive(Debug)]
pub struct Endpoint {
    /// Its system.
    pub os: System,
    /// Its version, such as `9.0.0`.
    pub version: String,
    /// The day that it was built, `YYYY-MM-DD`, for its document.
    pub built: Option<String>,
    /// Its host's name, for its document.
    pub host: String,
    /// Its policy.
    pub policy: Policy,
    /// Keys beside the policy's own; the built-in one where both are silent.
    pub keys: Option<KeyRing>,
    /// What is chosen where the vendor says nothing.
    pub assumptions: Assumptions,
    /// Faults that it has.
    pub quirks: Quirks,
    /// Its state.
    pub store: Store,
    /// Makes who asks.
    pub dial: Arc<dyn Dial>,
    /// The time.
    pub clock: ClockRef,
}

/// How a poll ended that did not fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// What is applied is what the mirror has.
    Current {
        /// Its version.
        version: String,
    },
    /// Something else is applied now.
    Applied {
        /// The version before.
        from: Option<String>,
        /// The version now.
        to: String,
        /// How many artifacts were fetched.
        fetched: usize,
        /// How many were there already.
        kept: usize,
        /// Bytes fetched, the manifest's among them.
        bytes: u64,
    },
}

/// What a poll did.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The URL of the manifest.
    pub url: String,
    /// What came of it.
    pub result: Result<Outcome, Fail>,
    /// What is worth telling.
    pub notes: Vec<String>,
    /// The policy response.
    pub document: Document,
}

/// What a poll found on the way.
struct Way<'w> {
    http: &'w dyn Outbound,
    base: &'w str,
    notes: &'w mut Vec<String>,
    bytes: u64,
}

/// Which manifest is wanted.
struct Wanted {
    path: String,
    manifest_type: &'static str,
}

impl Endpoint {
    /// Asks for the manifest, takes what is new of it and applies it, all or nothing; then writes the policy response.
    /// What fails is told in the report, and what is applied stays.
    ///
    /// # Errors
    /// [`StateError`] when the state cannot be read or written; what is applied then is whole.
    pub async fn poll(&self) -> Result<Report, StateError> {
        let clock = self.clock.0.as_ref();
        let _lock = self.store.lock(clock)?;
        let mut record = self.store.begin(clock)?;
        record.polled = Some(clock.now());
        let mut notes = self.policy.warnings.clone();
        let wanted = self.wanted(&mut notes);
        let url = match &wanted {
            Ok(wanted) => format!("{}{}", self.policy.base_url, wanted.path),
            Err(_) => self.policy.base_url.clone(),
        };
        let result = match wanted {
            Ok(wanted) => match self.take(&url, &wanted, &mut notes).await {
                Ok(outcome) => Ok(outcome),
                Err(Trouble::Update(fail)) => Err(fail),
                Err(Trouble::State(error @ StateError::Stopped(_))) => return Err(error),
                Err(Trouble::State(error)) => Err(Fail::from(&error)),
            },
            Err(fail) => Err(fail),
        };
        if result.is_ok() {
            record.current = record.polled;
        }
        record.fail = result.as_ref().err().cloned();
        self.store.note(&record)?;
        let document = self.document(&record)?;
        self.store.disk.write(RESPONSE, &document)?;
        Ok(Report { url, result, notes, document })
    }

    fn document(&self, record: &Record) -> Result<Document, StateError> {
        // Artifacts of another system are none that this one could use.
        let applied = self.store.applied()?.filter(|applied| applied.system.is_none_or(|system| system == self.os));
        Ok(Document::of(self, applied.as_ref(), record))
    }

    /// Which manifest the policy asks for.
    fn wanted(&self, notes: &mut Vec<String>) -> Result<Wanted, Fail> {
        if !self.policy.allows_updates && self.assumptions.cloud_features == CloudFeatures::Obeyed {
            return Err(Fail::settings("allow_cloud_features leaves artifacts-update out"));
        }
        let stable = |path: String| Wanted { path, manifest_type: "stable" };
        // That the override wins over a pinned day is likely, and not published.
        if let Some(path) = &self.policy.manifest_relative_url {
            return Ok(stable(path.clone()));
        }
        let full = |template: &str| template.replace("{version}", &self.version);
        if let Snapshot::Date(date) = &self.policy.snapshot {
            let template = self.assumptions.dated_path.as_ref().ok_or_else(|| {
                let detail =
                    format!("the vendor does not publish where the manifest of {date} lies; assume dated-path=…");
                Fail::new(Reason::PathUnknown, detail)
            })?;
            return Ok(stable(full(template).replace("{date}", date)));
        }
        if self.policy.channel == Channel::Rapid {
            match &self.assumptions.candidate_path {
                Some(template) => return Ok(Wanted { path: full(template), manifest_type: "candidate" }),
                None => notes.push(
                    "channel is rapid, and where candidates lie is not published: the stable one is asked for"
                        .to_owned(),
                ),
            }
        }
        Ok(stable(full(&ElasticSettings::default().manifest_template)))
    }

    async fn take(&self, text: &str, wanted: &Wanted, notes: &mut Vec<String>) -> Result<Outcome, Trouble> {
        let url = parse(text)?;
        let route: RoutePath = wanted.path.parse().map_err(|error| {
            Fail::settings(format!("the manifest's path '{}' is none: {error}", wanted.path.escape_default()))
        })?;
        let http = self.dial.mirror(&url, self.policy.proxy.as_deref())?;
        let applied = self.store.applied()?;
        let known = applied.as_ref().filter(|applied| applied.url == text && self.is_of(applied, wanted));
        let mut request = Request::get(url.clone());
        if self.assumptions.asking == Asking::Conditional {
            request.if_none_match = known.map(|applied| applied.etag.clone());
        }
        let response = http.get(request).await?;
        let current = |applied: &Applied| Outcome::Current { version: applied.version.clone() };
        if response.status == 304
            && let Some(applied) = known
        {
            return Ok(current(applied));
        }
        let etag = self.etag(response.etag.as_deref(), text)?;
        if let Some(applied) = known.filter(|applied| applied.etag == etag) {
            return Ok(current(applied));
        }
        let settings = self.settings()?;
        let zip = drain(response.body, &url, settings.manifest_cap).await?;
        let opened = vendors::elastic::open(&zip, &route, &settings).map_err(Fail::from)?;
        notes.extend(opened.notes.iter().map(|note| format!("{}: {}", note.reason, note.detail)));
        let from = applied.map(|applied| applied.version);
        let mut way = Way { http: http.as_ref(), base: &self.policy.base_url, notes, bytes: zip.len() as u64 };
        let (fetched, kept, identifiers) = self.artifacts(&opened, &mut way).await?;
        let bytes = way.bytes;
        let to = opened.version.version.to_string();
        self.store.apply(&Applied {
            version: to.clone(),
            url: text.to_owned(),
            etag,
            snapshot: self.policy.snapshot.as_str().to_owned(),
            manifest_type: wanted.manifest_type.to_owned(),
            system: Some(self.os),
            key: if let Checked::VendorSigned(key) = opened.checked { Some(key) } else { None },
            at: self.clock.0.now(),
            identifiers,
        })?;
        Ok(Outcome::Applied { from, to, fetched, kept, bytes })
    }

    /// Whether what is applied answers the same question: then its tag stands for it. Another system takes other
    /// artifacts of the same manifest.
    fn is_of(&self, applied: &Applied, wanted: &Wanted) -> bool {
        applied.system == Some(self.os)
            && applied.snapshot == self.policy.snapshot.as_str()
            && applied.manifest_type == wanted.manifest_type
    }

    /// The tag that a manifest must come with: without one the real one takes nothing new.
    fn etag(&self, etag: Option<&str>, url: &str) -> Result<String, Fail> {
        let etag = etag.ok_or_else(|| {
            let detail = format!("{url}: the answer has no ETag, and without one endpoints take nothing new");
            Fail::new(Reason::BadResponse, detail)
        })?;
        if self.quirks == Quirks::Dash && etag.contains('-') {
            let detail =
                format!("{url}: endpoints with bug 12382 refuse the ETag {} for its dash", etag.escape_default());
            return Err(Fail::new(Reason::BadResponse, detail));
        }
        Ok(etag.to_owned())
    }

    fn settings(&self) -> Result<ElasticSettings, Fail> {
        let keys = match (&self.policy.public_key, &self.keys) {
            (Some(pem), keys) => {
                let ring = keys.clone().unwrap_or_default();
                ring.with_pem(pem).map_err(|error| Fail::settings(format!("artifacts.global.public_key: {error}")))?
            }
            (None, Some(keys)) => keys.clone(),
            (None, None) => KeyRing::built_in(),
        };
        Ok(ElasticSettings {
            signature: self.assumptions.signature,
            keys: Arc::new(keys),
            ..ElasticSettings::default()
        })
    }

    /// Every artifact of this system, held and proven; how many were fetched, and how many were there.
    async fn artifacts(&self, opened: &Opened, way: &mut Way<'_>) -> Result<(usize, usize, Vec<Identifier>), Trouble> {
        let (mut fetched, mut kept, mut identifiers) = (0, 0, Vec::new());
        for artifact in opened.artifacts.iter().filter(|artifact| takes(self.os, &artifact.name)) {
            if self.store.holds(artifact.digest, artifact.size)? {
                kept += 1;
            } else {
                self.artifact(artifact, way).await?;
                fetched += 1;
            }
            self.unpacks(artifact)?;
            identifiers.push(Identifier {
                name: artifact.name.clone(),
                sha256: artifact.decoded_digest(),
                encoded: artifact.digest,
                size: artifact.size,
            });
        }
        Ok((fetched, kept, identifiers))
    }

    async fn artifact(&self, artifact: &NamedArtifact, way: &mut Way<'_>) -> Result<(), Trouble> {
        let url = parse(&format!("{}{}", way.base, artifact.route))?;
        let response = way.http.get(Request::get(url.clone())).await?;
        let name = place(artifact.digest);
        let mut file = self.store.disk.create(&name)?;
        let came = to_file(response.body, &mut file, &url, artifact.size).await;
        let right = match came {
            Ok(came) => {
                file.finish()?;
                compare(artifact, came)
            }
            // More than the manifest says is as wrong as less.
            Err(Trouble::Update(fail)) => Err(fail),
            Err(state) => return Err(state),
        };
        if let Err(fail) = right {
            self.store.disk.remove(&name)?;
            return Err(fail.into());
        }
        way.bytes += artifact.size;
        if artifact.inspection().is_none() {
            way.notes.push(format!("{}: what it unpacks to is not checked", artifact.name));
        }
        Ok(())
    }

    /// Whether it unpacks to what the manifest says.
    fn unpacks(&self, artifact: &NamedArtifact) -> Result<(), Trouble> {
        let Some(inspection) = artifact.inspection() else { return Ok(()) };
        let gone = || Fail::new(Reason::StoreFailed, format!("{} is gone", artifact.name));
        let (mut file, _) = self.store.disk.open_file(&place(artifact.digest))?.ok_or_else(gone)?;
        match inspection.inspect(&mut file) {
            Ok(_) => Ok(()),
            Err(note) => Err(rejected(artifact, note.reason, &note.detail).into()),
        }
    }
}

fn compare(artifact: &NamedArtifact, (digest, size): (Digest, u64)) -> Result<(), Fail> {
    if size != artifact.size {
        let detail = format!("{size} bytes came, the manifest says {}", artifact.size);
        return Err(rejected(artifact, Reason::SizeMismatch, &detail));
    }
    if digest != artifact.digest {
        return Err(rejected(artifact, Reason::HashMismatch, &format!("it came with digest {digest}")));
    }
    Ok(())
}

/// The vendor's words (for its other artifacts), and what was wrong.
fn rejected(artifact: &NamedArtifact, reason: Reason, what: &str) -> Fail {
    let name = &artifact.name;
    Fail::new(reason, format!("All artifacts are being rejected because {name} is invalid ({what})"))
}

fn parse(text: &str) -> Result<Url, Fail> {
    Url::parse(text).map_err(|error| Fail::settings(format!("'{}' is no URL: {error}", text.escape_default())))
}
