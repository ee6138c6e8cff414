//! A vendor's hosts.

use std::sync::Arc;

use async_trait::async_trait;
use blob_store::{BlobStore, Expected, Verification};
use bytes::BytesMut;
use model::{Digest, Held, Reason};
use outbound::{Outbound, Request};
use url::Url;
use vendors::{Answer, Ask, FetchedItem, Source, SourceKind, Target, Validator, Want};

use crate::gate::PATIENCE;
use crate::hold::{Attempt, count_redirects};
use crate::retry::Jitter;
use crate::{HostGate, Meter, Origin, OriginError, Reading, RetryPolicy};

/// Where a vendor's hosts are and how hard they are tried.
#[derive(Clone, Debug)]
pub struct VendorSettings {
    /// What targets are appended to.
    pub base: Url,
    /// Hosts that redirects may lead to beside the base's own.
    pub redirect_hosts: Vec<String>,
    /// When a failed request is tried again.
    pub retry: RetryPolicy,
    /// Bytes that stay free on the disk.
    pub reserve: u64,
}

/// A vendor's hosts.
pub struct VendorOrigin {
    settings: VendorSettings,
    outbound: Arc<dyn Outbound>,
    blobs: Arc<dyn BlobStore>,
    gate: Arc<HostGate>,
    jitter: Jitter,
}

impl VendorOrigin {
    /// An origin that shares `gate` with every other origin of the run.
    pub fn new(
        settings: VendorSettings,
        outbound: Arc<dyn Outbound>,
        blobs: Arc<dyn BlobStore>,
        gate: Arc<HostGate>,
        rng: rand::rngs::StdRng,
    ) -> Self {
        Self { settings, outbound, blobs, gate, jitter: Jitter::new(rng) }
    }

    /// The base's path and the target's are joined as text: a target is made of a vendor module's constants and
    /// proven routes, so nothing in it can reach the base's host.
    fn url(&self, target: &Target) -> Result<Url, OriginError> {
        let base = &self.settings.base;
        let text = match target.0.strip_prefix('?') {
            Some(query) => format!("{}?{query}", base.as_str().trim_end_matches('?')),
            None => format!("{}{}", base.as_str().trim_end_matches('/'), target.0),
        };
        let url = Url::parse(&text).ok().filter(|url| url.host() == base.host() && url.scheme() == base.scheme());
        url.ok_or_else(|| OriginError::new(Reason::BadPath, format!("{text} is no URL of {base}")))
    }

    fn host(&self) -> String {
        let base = &self.settings.base;
        format!("{}:{}", base.host_str().unwrap_or_default(), base.port_or_known_default().unwrap_or_default())
    }

    fn request(&self, target: &Target) -> Result<Request, OriginError> {
        let mut request = Request::get(self.url(target)?);
        request.redirect_hosts.clone_from(&self.settings.redirect_hosts);
        Ok(request)
    }

    /// Waits for the next try, or gives the failure back when trying again does not help.
    async fn pause(&self, next: &mut u32, error: OriginError) -> Result<(), OriginError> {
        let (retry, draw) = (&self.settings.retry, self.jitter.draw());
        let pause = match error.retry_after {
            None => retry.pause(*next, &error, draw),
            Some(ask) => {
                let noted = self.gate.send_away(&self.host(), ask).await;
                let away = noted.map_err(|cause| OriginError::new(cause.reason(), model::error_chain(&cause)))?;
                // The gate sits out what is left of a short wait.
                (away <= PATIENCE).then(|| retry.pause_after_wait(*next, draw)).flatten()
            }
        };
        let Some(pause) = pause else { return Err(error) };
        tracing::info!(reason = error.reason.code(), detail = %error.detail, attempt = *next, "trying again");
        tokio::time::sleep(pause).await;
        *next += 1;
        Ok(())
    }

    async fn read_once(&self, ask: &Ask, meter: &dyn Meter) -> Result<Reading, OriginError> {
        let mut request = self.request(&ask.target)?;
        if let Some(unless) = &ask.unless {
            request.if_none_match.clone_from(&unless.etag);
            request.if_modified_since.clone_from(&unless.last_modified);
        }
        let url = request.url.clone();
        meter.request();
        let answer = self.outbound.get(request).await;
        let exchange = match &answer {
            Ok(response) => Some(&response.exchange),
            Err(error) => error.exchange.as_deref(),
        };
        count_redirects(exchange, meter);
        let mut response = answer?;
        if response.status == 304 {
            return Ok(Reading::NotModified(Box::new(response.exchange)));
        }
        let mut body = BytesMut::new();
        while let Some(chunk) = response.body.chunk().await? {
            meter.received(chunk.len() as u64);
            if (body.len() + chunk.len()) as u64 > ask.cap {
                let detail = format!("{url}: more than the cap of {} bytes", ask.cap);
                return Err(OriginError::new(Reason::TooLarge, detail));
            }
            body.extend_from_slice(&chunk);
        }
        let validator = Validator { etag: response.etag.filter(says_something), last_modified: response.last_modified };
        Ok(Reading::Answered(Answer { body: body.freeze(), exchange: Some(response.exchange) }, validator))
    }

    async fn fetch(&self, want: &Want, target: &Target, meter: &dyn Meter) -> Result<FetchedItem, OriginError> {
        let request = self.request(target)?;
        let mut next = 2;
        loop {
            let place = self.gate.enter(&self.host()).await?;
            let attempt = Attempt {
                outbound: self.outbound.as_ref(),
                blobs: self.blobs.as_ref(),
                request: request.clone(),
                want,
                reserve: self.settings.reserve,
                meter,
            };
            let result = attempt.run().await;
            drop(place);
            match result {
                Ok(item) => return Ok(item),
                Err(error) => self.pause(&mut next, error).await?,
            }
        }
    }
}

#[async_trait]
impl Origin for VendorOrigin {
    fn kind(&self) -> SourceKind {
        SourceKind::Vendor
    }

    fn locate(&self, target: &Target) -> String {
        self.url(target).map(String::from).unwrap_or_default()
    }

    async fn read(&self, ask: &Ask, meter: &dyn Meter) -> Result<Reading, OriginError> {
        let mut next = 2;
        loop {
            let place = self.gate.enter(&self.host()).await?;
            let result = self.read_once(ask, meter).await;
            drop(place);
            match result {
                Ok(reading) => return Ok(reading),
                Err(error) => self.pause(&mut next, error).await?,
            }
        }
    }

    async fn hold(&self, want: &Want, meter: &dyn Meter) -> Result<FetchedItem, OriginError> {
        let target = match &want.source {
            Source::Bytes(bytes) => return hold_bytes(self.blobs.as_ref(), bytes.clone(), want, meter).await,
            Source::Target(target) => target,
        };
        let key = want.digest.unwrap_or_else(|| Digest::of(self.locate(target).as_bytes()));
        let _alone = self.gate.alone(key).await;
        if let Some(item) = held_already(self.blobs.as_ref(), want, meter).await? {
            return Ok(item);
        }
        let item = self.fetch(want, target, meter).await?;
        meter.held(item.held.size(), true);
        meter.proved(item.held.digest());
        Ok(item)
    }

    async fn size(&self, target: &Target) -> Result<Option<u64>, OriginError> {
        let _place = self.gate.enter(&self.host()).await?;
        let request = self.request(target)?;
        let head = self.outbound.get(Request { head_only: true, ..request.clone() }).await;
        let answer = match head {
            Err(error) if error.reason == Reason::UnexpectedStatus => self.outbound.get(request).await,
            answer => answer,
        };
        Ok(answer?.length)
    }
}

/// An empty tag, or one that is no tag at all, would make the next answer 304 whatever the document is.
#[allow(clippy::ptr_arg, reason = "what Option::filter hands over")]
fn says_something(etag: &String) -> bool {
    let opaque = etag.strip_prefix("W/").unwrap_or(etag);
    opaque.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).is_some_and(|text| !text.is_empty())
}

/// Finds a wanted file in the store by its declared digest.
pub(crate) async fn held_already(
    blobs: &dyn BlobStore,
    want: &Want,
    meter: &dyn Meter,
) -> Result<Option<FetchedItem>, OriginError> {
    let Some(digest) = want.digest else { return Ok(None) };
    let what = format!("blob {digest}");
    let found = blobs.find(digest).await.map_err(|error| OriginError::store(&error, &what))?;
    match (found, want.size) {
        (None, _) => Ok(None),
        (Some(held), Some(size)) if held.size() != size => other_size(blobs, held, size).await.map(|()| None),
        (Some(held), _) => {
            meter.held(held.size(), false);
            Ok(Some(FetchedItem { held, exchange: None }))
        }
    }
}

/// A blob has another size than the manifest says: either its file was cut, or the manifest lies.
async fn other_size(blobs: &dyn BlobStore, held: Held, size: u64) -> Result<(), OriginError> {
    let what = format!("blob {}", held.digest());
    let store = |error| OriginError::store(&error, &what);
    match blobs.verify(held.digest()).await.map_err(store)? {
        Verification::Good(held) => Err(OriginError::new(
            Reason::SizeMismatch,
            format!("{what}: it has {} bytes, the manifest says {size}", held.size()),
        )),
        Verification::Absent => Ok(()),
        Verification::Damaged { .. } => {
            tracing::warn!(digest = %held.digest(), "a damaged blob was set aside");
            blobs.set_aside(held.digest()).await.map_err(store)
        }
    }
}

/// Reads a blob again; sets it aside, and says so, where it is not what its name says.
async fn set_aside_if_damaged(blobs: &dyn BlobStore, digest: Digest) -> Result<bool, OriginError> {
    let what = format!("blob {digest}");
    let store = |error| OriginError::store(&error, &what);
    match blobs.verify(digest).await {
        Ok(Verification::Good(_)) => return Ok(false),
        Ok(Verification::Absent) => return Ok(true),
        Ok(Verification::Damaged { .. }) => {}
        Err(error) if error.is_damage() => {}
        Err(error) => return Err(store(error)),
    }
    tracing::warn!(%digest, "a damaged blob was set aside");
    blobs.set_aside(digest).await.map_err(store)?;
    Ok(true)
}

/// Puts bytes that are here into the store.
pub(crate) async fn hold_bytes(
    blobs: &dyn BlobStore,
    bytes: bytes::Bytes,
    want: &Want,
    meter: &dyn Meter,
) -> Result<FetchedItem, OriginError> {
    let store = |error| OriginError::store(&error, "a document");
    let digest = Digest::of(&bytes);
    let known = Want { digest: Some(digest), ..want.clone() };
    // What is held is small, and is written anew from here where it rotted.
    if let Some(item) = held_already(blobs, &known, meter).await?
        && !set_aside_if_damaged(blobs, digest).await?
    {
        meter.proved(digest);
        return Ok(item);
    }
    let mut writer = blobs.begin(None).await.map_err(store)?;
    let size = bytes.len() as u64;
    writer.write(bytes).await.map_err(store)?;
    let held = writer.finish(Expected { digest: known.digest, size: Some(size) }).await.map_err(store)?;
    meter.proved(digest);
    Ok(FetchedItem { held, exchange: None })
}
