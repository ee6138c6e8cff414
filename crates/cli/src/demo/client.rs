//! Looks at single answers of the mirror: the program's own client, pointed at it.

use std::sync::Arc;

use outbound::{Outbound, Request};
use url::Url;

/// More than any file of the demo has.
const CAP: usize = 64 << 20;

/// An HTTP client and the mirror's base URL.
pub(super) struct Client {
    http: Arc<dyn Outbound>,
    base: Url,
}

/// What the mirror answered.
pub(super) struct Got {
    pub(super) status: u16,
    pub(super) etag: String,
    pub(super) body: Vec<u8>,
}

impl Client {
    pub(super) fn new(http: Arc<dyn Outbound>, base: Url) -> Self {
        Self { http, base }
    }

    /// The base URL, without a slash at its end.
    pub(super) fn base(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// One GET, conditional when there is an ETag; every answer must carry one, as Elastic's endpoints demand.
    pub(super) async fn get(&self, path: &str, unless: Option<&str>) -> Result<Got, String> {
        let url = self.base.join(path).map_err(|error| format!("{path}: {error}"))?;
        let request = Request { if_none_match: unless.map(str::to_owned), ..Request::get(url) };
        let mut response = self.http.get(request).await.map_err(|error| error.to_string())?;
        let etag = response.etag.take().ok_or_else(|| format!("{path}: the answer has no ETag"))?;
        let mut body = Vec::new();
        while let Some(chunk) = response.body.chunk().await.map_err(|error| error.to_string())? {
            if body.len() + chunk.len() > CAP {
                return Err(format!("{path}: the body does not end"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Got { status: response.status, etag, body })
    }

    /// A whole file.
    pub(super) async fn file(&self, path: &str) -> Result<Got, String> {
        let got = self.get(path, None).await?;
        if got.status == 200 { Ok(got) } else { Err(format!("{path}: {} and not 200", got.status)) }
    }

    /// Asks whether there is anything new, as endpoints do all day: 304 and not a byte.
    pub(super) async fn nothing_new(&self, path: &str) -> Result<(), String> {
        let etag = self.file(path).await?.etag;
        let got = self.get(path, Some(&etag)).await?;
        let quiet = got.status == 304 && got.body.is_empty();
        if quiet { Ok(()) } else { Err(format!("{path}: {} and {} bytes, not 304", got.status, got.body.len())) }
    }
}
