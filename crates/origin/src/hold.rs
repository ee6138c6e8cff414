//! One attempt to hold a file: streamed into the store, resumed where that is sound.

use blob_store::{BlobStore, BlobWriter, Expected, PartialKey, StoreError};
use model::{Digest, Exchange, Reason};
use outbound::{ContentRange, Outbound, RangeAsk, Request, Response};
use vendors::{FetchedItem, Want};

use crate::{Meter, OriginError};

/// Files below this are fetched whole rather than resumed: the bookkeeping would cost more.
const WORTH_RESUMING: u64 = 1 << 20;

pub(crate) struct Attempt<'a> {
    pub(crate) outbound: &'a dyn Outbound,
    pub(crate) blobs: &'a dyn BlobStore,
    pub(crate) request: Request,
    pub(crate) want: &'a Want,
    pub(crate) reserve: u64,
    pub(crate) meter: &'a dyn Meter,
}

/// A request that was redirected is as many requests as it has URLs.
pub(crate) fn count_redirects(exchange: Option<&Exchange>, meter: &dyn Meter) {
    for _ in exchange.iter().flat_map(|exchange| exchange.urls.iter().skip(1)) {
        meter.request();
    }
}

/// What an answer's head says about the body.
struct Head {
    status: u16,
    etag: Option<String>,
    length: Option<u64>,
    content_range: Option<ContentRange>,
}

impl Head {
    fn of(response: &Response) -> Self {
        let Response { status, etag, length, content_range, .. } = response;
        Self { status: *status, etag: etag.clone(), length: *length, content_range: *content_range }
    }
}

impl Attempt<'_> {
    pub(crate) async fn run(self) -> Result<FetchedItem, OriginError> {
        let what = self.request.url.to_string();
        let store = |error| OriginError::store(&error, &what);
        let mut writer = self.blobs.begin(self.resume_key()).await.map_err(store)?;
        let part = self.part(writer.written(), writer.tag());
        if self.want.size.is_some() {
            // Nobody is asked for what has no room.
            self.make_room(None, writer.written(), &what).await?;
        }
        self.meter.request();
        let response = match self.outbound.get(Request { range: part, ..self.request.clone() }).await {
            Ok(response) => {
                count_redirects(Some(&response.exchange), self.meter);
                response
            }
            Err(error) => {
                count_redirects(error.exchange.as_deref(), self.meter);
                if error.reason == Reason::BadRange {
                    // There is no such part: what is here is not the beginning of what is there.
                    writer.restart("").await.map_err(store)?;
                }
                return Err(error.into());
            }
        };
        let head = Head::of(&response);
        let resumed = self.settle_start(&head, writer.as_mut(), &what).await?;
        self.make_room(head.length, writer.written(), &what).await?;
        let exchange = response.exchange.clone();
        self.stream(response, writer.as_mut(), &what).await?;
        let expected = Expected { digest: self.want.digest, size: self.want.size };
        let held = writer.finish(expected).await.map_err(|error| match error {
            // Nothing was kept of either part, so that the next try begins at the first byte.
            StoreError::Mismatch { .. } if resumed => {
                let detail = format!("{what}: what was resumed does not make the file that is declared");
                OriginError::new(Reason::BadRange, detail)
            }
            error => OriginError::store(&error, &what),
        })?;
        tracing::debug!(url = %what, digest = %held.digest(), bytes = held.size(), resumed, "held");
        Ok(FetchedItem { held, exchange: Some(exchange) })
    }

    fn resume_key(&self) -> Option<PartialKey> {
        let large = self.want.size.is_none_or(|size| size >= WORTH_RESUMING);
        let digest = self.want.digest.map(|digest| digest.to_string()).unwrap_or_default();
        large.then(|| PartialKey(Digest::of(format!("{} {digest}", self.request.url).as_bytes())))
    }

    /// The rest of what is there, if it can be bound to the first part: by the declared digest of the whole or
    /// by a strong ETag.
    fn part(&self, written: u64, tag: &str) -> Option<RangeAsk> {
        let strong = tag.starts_with('"').then(|| tag.to_owned());
        let whole = self.want.size.is_some_and(|size| written >= size);
        let sound = written > 0 && !whole && (strong.is_some() || self.want.digest.is_some());
        sound.then_some(RangeAsk { from: written, if_range: strong })
    }

    /// Decides whether the answer goes on where the writer stands; otherwise the writer begins anew.
    async fn settle_start(
        &self,
        response: &Head,
        writer: &mut dyn BlobWriter,
        what: &str,
    ) -> Result<bool, OriginError> {
        if response.status == 206 {
            let fits = response.content_range.is_some_and(|range| {
                let total = range.total.is_none_or(|total| {
                    total == range.last.saturating_add(1) && self.want.size.is_none_or(|size| size == total)
                });
                range.first == writer.written() && total
            });
            // A strong tag that the answer does not repeat may belong to another file.
            let same = !writer.tag().starts_with('"') || response.etag.as_deref() == Some(writer.tag());
            if fits && same {
                return Ok(true);
            }
            writer.restart("").await.map_err(|error| OriginError::store(&error, what))?;
            return Err(OriginError::new(Reason::BadRange, format!("{what}: the part sent is not the part asked for")));
        }
        let tag = response.etag.as_deref().filter(|tag| tag.starts_with('"') && tag.len() <= 256).unwrap_or_default();
        if writer.written() > 0 || (writer.tag() != tag) {
            writer.restart(tag).await.map_err(|error| OriginError::store(&error, what))?;
        }
        Ok(false)
    }

    /// Refuses before the first byte what cannot fit: the declared size, the cap, the disk less its reserve.
    async fn make_room(&self, length: Option<u64>, have: u64, what: &str) -> Result<(), OriginError> {
        let announced = length.map(|rest| rest.saturating_add(have));
        if let (Some(size), Some(announced)) = (self.want.size, announced)
            && size != announced
        {
            let detail = format!("{what}: {announced} bytes are announced, the manifest says {size}");
            return Err(OriginError::new(Reason::SizeMismatch, detail));
        }
        if announced.is_some_and(|size| size > self.want.cap) {
            return Err(self.too_large(what));
        }
        let free = self.blobs.free_bytes().await.map_err(|error| OriginError::store(&error, what))?;
        let rest = announced.or(self.want.size).unwrap_or(0).saturating_sub(have);
        match free {
            Some(free) if free < rest.saturating_add(self.reserve) => Err(OriginError::new(
                Reason::DiskFull,
                format!("{what}: {rest} bytes are to come and {} are kept in reserve, {free} are free", self.reserve),
            )),
            _ => Ok(()),
        }
    }

    async fn stream(&self, mut response: Response, writer: &mut dyn BlobWriter, what: &str) -> Result<(), OriginError> {
        let limit = self.want.size.unwrap_or(self.want.cap).min(self.want.cap);
        while let Some(chunk) = response.body.chunk().await? {
            self.meter.received(chunk.len() as u64);
            if writer.written().saturating_add(chunk.len() as u64) > limit {
                // Not the beginning of anything that is wanted.
                writer.restart("").await.map_err(|error| OriginError::store(&error, what))?;
                return Err(self.too_large(what));
            }
            writer.write(chunk).await.map_err(|error| OriginError::store(&error, what))?;
        }
        Ok(())
    }

    fn too_large(&self, what: &str) -> OriginError {
        match self.want.size {
            Some(size) => {
                OriginError::new(Reason::SizeMismatch, format!("{what}: more than the declared {size} bytes"))
            }
            None => OriginError::new(Reason::TooLarge, format!("{what}: more than the cap of {} bytes", self.want.cap)),
        }
    }
}
