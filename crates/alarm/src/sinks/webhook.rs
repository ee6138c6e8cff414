//! Tells by an HTTP POST of JSON.

use std::sync::Arc;

use async_trait::async_trait;
use outbound::{Push, Pusher, Secret};
use url::Url;

use crate::{Message, Sink, SinkError};

/// An address that takes JSON. Any status from 200 to 299 means that it was told; nothing of the answer's body is read
/// or shown.
#[derive(Clone)]
pub struct Webhook {
    pusher: Arc<dyn Pusher>,
    url: Url,
    header: Option<(String, Secret)>,
}

impl Webhook {
    /// A webhook, with a header to send along.
    pub fn new(pusher: Arc<dyn Pusher>, url: Url, header: Option<(String, Secret)>) -> Self {
        Self { pusher, url, header }
    }
}

#[async_trait]
impl Sink for Webhook {
    fn peer(&self) -> Option<String> {
        Some(crate::text::peer(&self.url))
    }

    async fn tell(&self, message: &Message) -> Result<(), SinkError> {
        let json = serde_json::to_vec(&message.json()).map_err(|error| SinkError::of("cannot write JSON", &error))?;
        let mut push = Push::json(self.url.clone(), json);
        if let Some((name, value)) = &self.header {
            push = push.with_header(name, value.clone());
        }
        let host = crate::text::peer(&self.url);
        match self.pusher.push(push).await {
            Ok(status) if (200..300).contains(&status) => Ok(()),
            Ok(status) if (300..400).contains(&status) => {
                Err(SinkError::new(format!("{host} answered {status}: redirects are not followed")))
            }
            Ok(status) => Err(SinkError::new(format!("{host} answered {status}"))),
            Err(error) => Err(SinkError::new(format!("{host}: {} ({})", error.detail, error.reason.code()))),
        }
    }
}
