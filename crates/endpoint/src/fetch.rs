//! One file over HTTP, into memory or into a file of ours.

use std::fmt;
use std::sync::Arc;

use model::{Digest, Hasher, Note, Reason};
use outbound::{Body, Outbound, OutboundError, Request};
use serde::{Deserialize, Serialize};
use url::Url;

use crate::disk::{Growing, StateError};

/// Who asks mirrors, and who asks the vendor's own hosts.
#[derive(Clone)]
pub struct Clients {
    /// Towards the mirror that the settings name.
    pub mirror: Arc<dyn Outbound>,
    /// Towards the vendor's cloud.
    pub cloud: Arc<dyn Outbound>,
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").finish_non_exhaustive()
    }
}

/// Makes those who ask, as the settings have it at the time. What stands between here and the cloud is no business of a
/// mirror that is asked straight, so each is made for itself.
pub trait Dial: Send + Sync + fmt::Debug {
    /// Who asks a mirror: `base` is the address that the settings name, `proxy` what they say of one.
    ///
    /// # Errors
    /// The proxy, where it stands before mirrors, or a certificate cannot be used.
    fn mirror(&self, base: &Url, proxy: Option<&str>) -> Result<Arc<dyn Outbound>, Fail>;

    /// Who asks the vendor's cloud.
    ///
    /// # Errors
    /// The proxy or a certificate cannot be used.
    fn cloud(&self, proxy: Option<&str>) -> Result<Arc<dyn Outbound>, Fail>;
}

impl Dial for Clients {
    fn mirror(&self, _: &Url, _: Option<&str>) -> Result<Arc<dyn Outbound>, Fail> {
        Ok(Arc::clone(&self.mirror))
    }

    fn cloud(&self, _: Option<&str>) -> Result<Arc<dyn Outbound>, Fail> {
        Ok(Arc::clone(&self.cloud))
    }
}

/// Why an update did not happen. The codes are those of the product, and one of an endpoint's own:
/// `settings_refused`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fail {
    /// The stable code.
    pub code: String,
    /// On what, in words.
    pub detail: String,
}

impl Fail {
    /// With a code of the product.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { code: reason.code().to_owned(), detail: detail.into() }
    }

    /// The settings make no update possible.
    pub(crate) fn settings(detail: impl Into<String>) -> Self {
        Self { code: "settings_refused".to_owned(), detail: detail.into() }
    }
}

impl fmt::Display for Fail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl From<Note> for Fail {
    fn from(note: Note) -> Self {
        Self::new(note.reason, note.detail)
    }
}

impl From<OutboundError> for Fail {
    fn from(error: OutboundError) -> Self {
        Self::new(error.reason, error.to_string())
    }
}

impl From<&StateError> for Fail {
    fn from(error: &StateError) -> Self {
        Self::new(error.reason(), model::error_chain(error))
    }
}

/// Either the update failed, or this machine did.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// What came is no good, or did not come: the old set stands, and the failure is told.
    Update(Fail),
    /// The state could not be written.
    State(StateError),
}

impl From<Fail> for Trouble {
    fn from(fail: Fail) -> Self {
        Self::Update(fail)
    }
}

impl From<OutboundError> for Trouble {
    fn from(error: OutboundError) -> Self {
        Self::Update(error.into())
    }
}

impl From<StateError> for Trouble {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

/// What makes a request conditional, as it was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Validator {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) etag: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last_modified: Option<String>,
}

impl Validator {
    /// A request that is answered with 304 where nothing changed.
    pub(crate) fn unless(self, url: Url) -> Request {
        Request { if_none_match: self.etag, if_modified_since: self.last_modified, ..Request::get(url) }
    }
}

/// A small document whole.
pub(crate) async fn to_memory(http: &dyn Outbound, request: Request, cap: u64) -> Result<Vec<u8>, Fail> {
    let url = request.url.clone();
    let answer = http.get(request).await?;
    if answer.status != 200 {
        return Err(Fail::new(Reason::UnexpectedStatus, format!("{url}: {} to a plain request", answer.status)));
    }
    drain(answer.body, &url, cap).await
}

/// The rest of a body, at most `cap` bytes.
pub(crate) async fn drain(mut body: Box<dyn Body>, url: &Url, cap: u64) -> Result<Vec<u8>, Fail> {
    let mut bytes = Vec::new();
    while let Some(chunk) = body.chunk().await? {
        if (bytes.len() + chunk.len()) as u64 > cap {
            return Err(too_large(url, cap));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

/// A body into a file; its digest and size.
pub(crate) async fn to_file(
    mut body: Box<dyn Body>,
    file: &mut Growing<'_>,
    url: &Url,
    cap: u64,
) -> Result<(Digest, u64), Trouble> {
    let mut hasher = Hasher::new();
    while let Some(chunk) = body.chunk().await? {
        hasher.update(&chunk);
        if hasher.bytes() > cap {
            return Err(too_large(url, cap).into());
        }
        file.write(&chunk)?;
    }
    let size = hasher.bytes();
    Ok((hasher.finish(), size))
}

fn too_large(url: &Url, cap: u64) -> Fail {
    Fail::new(Reason::TooLarge, format!("{url}: more than {cap} bytes"))
}
