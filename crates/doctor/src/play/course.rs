//! One feed, walked as its vendor's own session says.
//!
//! A mirror is to a session what a folder copied by hand is: the vendor's layout, read path by path.

mod sample;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use model::{Attestation, FeedId, Held, Note, Provenance, Reason, RoutePath, Vendor};
use trust::{Decision, Proposal};
use vendors::{Answer, Ask, Event, FetchedItem, Inspection, Memory, Session, Source, SourceKind, Step, Want, registry};

use crate::Check;
use crate::finding::{FeedSeen, Finding};
use crate::play::facts::{Facts, Played, Role};
use crate::play::fetch::{Declared, PLAIN, Wanted};
use crate::play::spool::Spool;
use crate::play::{Depth, Scene, tags};
use crate::wire::{self, Keep};

/// Which release of a feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// The one that is served.
    Current,
    /// The one before, which lies beside it.
    Back,
}

/// Files fetched at once.
const AT_ONCE: usize = 4;
/// Steps after which a session is taken to have no end.
const STEPS: usize = 32;
/// Stands in for a companion that is missing or broken, so that the archive is looked into all the same.
const STAND_IN: &[u8] = br#"{"EngineVersion":"0.0.0.0","DefinitionVersion":"0.0.0.0"}"#;

/// One walk.
pub(crate) struct Course<'a> {
    scene: &'a Scene<'a>,
    feed: &'a FeedId,
    view: View,
    played: Played,
    /// The companion is made up.
    stand_in: bool,
}

/// What ends a walk early; what is to be said of it was said.
struct Stop;

impl<'a> Course<'a> {
    pub(crate) fn new(scene: &'a Scene<'a>, feed: &'a FeedId, view: View) -> Self {
        let seen = FeedSeen {
            feed: feed.clone(),
            vendor_version: None,
            back: None,
            checked: None,
            files: 0,
            bytes: 0,
            given: Vec::new(),
        };
        let played = Played { feed: feed.clone(), seen, version: None, files: Vec::new(), findings: Vec::new() };
        Self { scene, feed, view, played, stand_in: false }
    }

    /// Walks the feed to its end.
    pub(crate) async fn run(&mut self) -> Played {
        // The end is in what was played; how it came about matters to nobody.
        let _ = self.walk().await;
        if self.stand_in {
            self.played.version = None;
        }
        self.played.seen.vendor_version = self.played.version.as_ref().map(ToString::to_string);
        let changing = self.played.files.iter().filter(|facts| facts.role.changes());
        let given = changing.filter_map(|facts| Some((facts.route.clone(), facts.digest?)));
        self.played.seen.given = given.collect();
        self.played.findings.extend(self.played.files.iter().flat_map(tags::form));
        self.played.clone()
    }

    /// Walks the release before, if there is one.
    pub(crate) async fn run_if_there(mut self) -> Option<Played> {
        let archive = format!("/{}/updates.zip", self.base()?);
        let there = self.scene.client.ask(&wire::Ask::head(&archive), Keep::Nothing).await;
        match there {
            Ok(got) if got.head.status == 404 => {
                let asked = "HEAD";
                self.played.findings.push(Finding::ok(Check::Back, &archive, asked, "no earlier release is served"));
                Some(self.played)
            }
            _ => Some(self.run().await),
        }
    }

    /// Where a Defender feed lies, without slashes around it.
    fn base(&self) -> Option<String> {
        let parts: Vec<&str> = self.feed.segments().collect();
        let [platform, track, arch] = parts.as_slice() else { return None };
        let suffix = if self.view == View::Back { "_back" } else { "" };
        Some(format!("{platform}/{track}{suffix}/arch_{arch}"))
    }

    async fn walk(&mut self) -> Result<(), Stop> {
        let spool = Spool::default();
        loop {
            let module = registry(self.feed.vendor());
            let settings = &self.scene.examination.settings;
            let mut session = module.session(self.feed, settings, SourceKind::Folder, Memory::default());
            match self.converse(session.as_mut(), &spool).await? {
                // A broken companion says nothing about the archive beside it.
                Some(note) if note.reason == Reason::BadCompanion && !self.stand_in => {
                    self.tell(&note, Finding::fail);
                    self.stand_in = true;
                    self.played.files.clear();
                }
                Some(note) => {
                    self.tell(&note, Finding::fail);
                    return Ok(());
                }
                None => return Ok(()),
            }
        }
    }

    /// Goes on until the session ends; a note when it refuses what is served.
    async fn converse(&mut self, session: &mut dyn Session, spool: &Spool) -> Result<Option<Note>, Stop> {
        let mut event = Event::Start;
        for _ in 0..STEPS {
            let step = session.next(event);
            if let Some(offered) = session.offered() {
                self.played.version = Some(offered.vendor_version);
            }
            event = match step {
                Step::Ask(ask) => Event::Answered(Answer { body: self.document(&ask).await?, exchange: None }),
                Step::Fetch(wants) => Event::Fetched(self.files(wants, spool).await?),
                Step::Inspect(jobs) => Event::Inspected(self.inspect(jobs, spool).await?),
                Step::Propose(proposal) => {
                    self.propose(*proposal);
                    return Ok(None);
                }
                Step::Refuse(refusal) => return Ok(Some(refusal.note)),
                Step::Unchanged => return Ok(None),
            };
        }
        Err(self.stop(Check::Manifest, self.feed.as_str(), "to come to an end", "it goes on and on"))
    }

    /// Reads a document: a manifest, or a companion.
    async fn document(&mut self, ask: &Ask) -> Result<Bytes, Stop> {
        let role = if self.feed.vendor() == Vendor::Elastic { Role::Manifest } else { Role::Companion };
        if self.stand_in && role == Role::Companion {
            return Ok(Bytes::from_static(STAND_IN));
        }
        let declared = Declared { digest: None, size: None, cap: ask.cap };
        let wanted = Wanted { route: self.route(&ask.target.0), role, declared };
        let mut findings = Vec::new();
        let read = self.read(&wanted, &mut findings).await;
        self.played.findings.append(&mut findings);
        match read {
            Some((facts, body)) => {
                self.count(body.len() as u64);
                self.played.files.push(facts);
                Ok(body)
            }
            None if role == Role::Companion => {
                self.stand_in = true;
                Ok(Bytes::from_static(STAND_IN))
            }
            None => Err(Stop),
        }
    }

    async fn read(&self, wanted: &Wanted, findings: &mut Vec<Finding>) -> Option<(Facts, Bytes)> {
        let (mut connection, head) = self.scene.open(wanted, findings).await?;
        let mut body = Vec::new();
        loop {
            match connection.next().await {
                Ok(None) => break,
                Ok(Some(piece)) if body.len() as u64 + piece.len() as u64 > wanted.declared.cap => {
                    let came = format!("more than {} bytes", wanted.declared.cap);
                    findings.push(Finding::fail(Check::Manifest, &wanted.route, PLAIN, came));
                    return None;
                }
                Ok(Some(piece)) => body.extend_from_slice(&piece),
                Err(error) => {
                    let came = model::error_chain(&error);
                    findings.push(Finding::fail(Check::ArtifactCut, &wanted.route, PLAIN, came));
                    return None;
                }
            }
        }
        self.scene.client.give_back(connection);
        let mut edges = crate::play::facts::Edges::default();
        edges.take(&body);
        let facts = Facts {
            route: wanted.route.clone(),
            role: wanted.role,
            head,
            size: body.len() as u64,
            digest: Some(model::Digest::of(&body)),
            first: edges.first,
            last: edges.last,
        };
        Some((facts, Bytes::from(body)))
    }

    /// Fetches what a session wants; all of it, before anything that is wrong ends the walk.
    async fn files(&mut self, wants: Vec<Want>, spool: &Spool) -> Result<Vec<FetchedItem>, Stop> {
        let total = wants.iter().filter_map(|want| want.size).fold(0, u64::saturating_add);
        let (quick, here) = (self.scene.examination.depth == Depth::Quick, self.feed.as_str());
        let outside = |want: &Want| matches!(want.source, Source::Target(_));
        if quick && wants.iter().any(outside) {
            return self.sample(&wants, spool).await;
        }
        spool.fits(total).await.map_err(|why| self.stop(Check::Spool, here, "room to look at it whole", why))?;
        let scene = self.scene;
        let jobs: Vec<_> = wants.into_iter().map(|want| (self.wanted(&want), want)).collect();
        let work = stream::iter(jobs).map(|(wanted, want)| async move {
            match want.source {
                Source::Bytes(bytes) => (Some(hold(bytes, spool).await), None, Vec::new()),
                Source::Target(_) => {
                    let (came, findings) = scene.fetch(&wanted, spool).await;
                    let (facts, held) = came.unzip();
                    (held.map(Ok), facts, findings)
                }
            }
        });
        let came: Vec<_> = work.buffered(AT_ONCE).collect().await;
        let (all, mut items, mut failed) = (came.len(), Vec::new(), 0usize);
        for (held, facts, findings) in came {
            self.played.findings.extend(findings);
            if let Some(facts) = facts {
                self.count(facts.size);
                self.played.files.push(facts);
            }
            match held {
                Some(Ok(held)) => items.push(FetchedItem { held, exchange: None }),
                Some(Err(why)) => return Err(self.stop(Check::Spool, here, "to store it for a look", why)),
                None => failed += 1,
            }
        }
        if failed == 0 {
            return Ok(items);
        }
        // Of a single file all was said.
        if all == 1 {
            return Err(Stop);
        }
        let came = format!("{failed} of {all} could not be compared; what the others unpack to was not looked at");
        Err(self.stop(Check::Artifacts, here, "everything that the feed names", came))
    }

    fn wanted(&self, want: &Want) -> Wanted {
        let role = if self.feed.vendor() == Vendor::Elastic { Role::Artifact } else { Role::Archive };
        let route = match &want.source {
            Source::Target(target) => self.route(&target.0),
            Source::Bytes(_) => String::new(),
        };
        Wanted { route, role, declared: Declared { digest: want.digest, size: want.size, cap: want.cap } }
    }

    /// The path of a target in this view.
    fn route(&self, target: &str) -> String {
        if self.view == View::Current {
            return target.to_owned();
        }
        let route = target.parse::<RoutePath>().ok();
        let back = route.and_then(|route| registry(self.feed.vendor()).back_route(self.feed, &route));
        back.map_or_else(|| target.to_owned(), |route| route.as_str().to_owned())
    }

    async fn inspect(&mut self, jobs: Vec<(Held, Box<dyn Inspection>)>, spool: &Spool) -> Result<Vec<Note>, Stop> {
        self.scene.watch.on(&format!("looking into {} files of {}", jobs.len(), self.feed));
        let (mut notes, mut bad) = (Vec::new(), false);
        for (held, job) in jobs {
            let Some(mut reader) = spool.open(held.digest()).await else {
                return Err(self.stop(Check::Spool, self.feed.as_str(), "to look at it again", "it is gone"));
            };
            let looked = tokio::task::spawn_blocking(move || job.inspect(&mut reader)).await;
            match looked {
                Ok(Ok(more)) => notes.extend(more),
                Ok(Err(note)) => {
                    bad = true;
                    let on = self.route_of(held);
                    let check = check_of(note.reason, Check::ArtifactDecoded);
                    let came = format!("{}: {}", note.reason, note.detail);
                    self.played.findings.push(Finding::fail(check, &on, "what it should hold", came));
                }
                Err(_) => {
                    return Err(self.stop(Check::ArtifactDecoded, self.feed.as_str(), "to look at it", "a defect"));
                }
            }
        }
        if bad { Err(Stop) } else { Ok(notes) }
    }

    fn route_of(&self, held: Held) -> String {
        let file = self.played.files.iter().find(|facts| facts.digest == Some(held.digest()));
        file.map_or_else(|| self.feed.to_string(), |facts| facts.route.clone())
    }

    fn propose(&mut self, proposal: Proposal) {
        let checked = proposal.checked().to_string();
        let now = self.scene.examination.clock.now();
        let context = trust::Context::default();
        let decided = trust::decide(proposal, Attestation::Folder, Provenance::default(), &context, now);
        let release = match decided {
            Decision::Admitted(admitted) => admitted.into_release(),
            Decision::Quarantined(release) | Decision::RejectedBefore(release) => release,
        };
        for note in &release.verdict.notes {
            self.tell(note, Finding::warn);
        }
        let (files, bytes) = (self.played.seen.files, self.played.seen.bytes);
        let came = format!("{files} files, {bytes} bytes, all as they should be ({checked})");
        let asked = "everything that the feed names, whole";
        self.played.findings.push(Finding::ok(Check::Artifacts, self.feed.as_str(), asked, came));
        if self.feed.vendor() == Vendor::Elastic && release.verdict.notes.iter().all(|note| !is_signature(note.reason))
        {
            let came = checked.clone();
            self.played.findings.push(Finding::ok(Check::Signature, self.feed.as_str(), "manifest.sig", came));
        }
        self.played.seen.checked = Some(checked);
    }

    fn tell(&mut self, note: &Note, level: fn(Check, &str, String, String) -> Finding) {
        let check = check_of(note.reason, Check::Manifest);
        let on = match self.played.files.first() {
            Some(facts) if check != Check::Members => facts.route.clone(),
            _ => self.feed.to_string(),
        };
        let came = format!("{}: {}", note.reason, note.detail);
        self.played.findings.push(level(check, &on, "what it holds".to_owned(), came));
    }

    fn count(&mut self, bytes: u64) {
        self.played.seen.files += 1;
        self.played.seen.bytes = self.played.seen.bytes.saturating_add(bytes);
    }

    fn stop(&mut self, check: Check, on: &str, asked: &str, came: impl Into<String>) -> Stop {
        self.played.findings.push(Finding::fail(check, on, asked, came));
        Stop
    }
}

fn is_signature(reason: Reason) -> bool {
    matches!(reason, Reason::SignatureMissing | Reason::SignatureUnverified)
}

fn check_of(reason: Reason, other: Check) -> Check {
    match reason {
        Reason::BadCompanion => Check::Companion,
        Reason::UnexpectedMembers => Check::Members,
        reason if is_signature(reason) => Check::Signature,
        _ => other,
    }
}

async fn hold(bytes: Bytes, spool: &Spool) -> Result<Held, String> {
    let failed = |error: blob_store::StoreError| model::error_chain(&error);
    let mut writer = spool.begin(Some(bytes.len() as u64)).await?;
    writer.write(bytes).await.map_err(failed)?;
    writer.finish(blob_store::Expected::default()).await.map_err(failed)
}
