//! The public route: what endpoints get of a mirror, asked for as they would.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use config::{Config, Serve};
use doctor::{Depth, Examination, Report};
use model::{FeedId, RingName};
use settings::{MirrorUrl, OverPlainHttp};

use crate::console;
use crate::context::Context;
use crate::failure::Failure;

/// For everything together.
const DEADLINE: Duration = Duration::from_secs(3600);

/// How the mirror is reached.
#[derive(Debug, Args)]
pub(crate) struct Route {
    /// The mirror's address, as endpoints reach it; else the first plain listener, on this machine
    #[arg(long, value_name = "URL")]
    pub(super) url: Option<String>,
    /// Roots beside the public ones and the system's, as PEM; else origin.ca_file
    #[arg(long, value_name = "FILE")]
    pub(super) ca_file: Option<PathBuf>,
    /// Manifests and a few artifacts alone; of the others the length
    #[arg(long)]
    pub(super) quick: bool,
    /// Nothing is asked of the mirror
    #[arg(long, conflicts_with_all = ["url", "quick", "ca_file"])]
    pub(super) no_walk: bool,
    /// Nothing is asked of the vendor: for sites that take folders
    #[arg(long)]
    pub(super) no_vendor: bool,
}

impl Route {
    /// Where the mirror is; none where that is not said.
    pub(super) fn address(&self, config: Option<&Config>) -> Result<Option<MirrorUrl>, Failure> {
        let text = match (&self.url, config) {
            (Some(url), _) => url.clone(),
            (None, Some(config)) => match config.serve.iter().find_map(here) {
                Some(url) => url,
                None => return Ok(None),
            },
            (None, None) => return Ok(None),
        };
        let url = MirrorUrl::parse(&text, OverPlainHttp::Accepted);
        url.map(Some).map_err(|error| Failure::usage(error.to_string()))
    }

    /// Asks a ring for feeds.
    pub(super) async fn walk(&self, walk: Walk<'_>, context: &Context) -> Result<Report, Failure> {
        let settings = settings(walk.config).await?;
        self.walk_by(walk, settings, context).await
    }

    /// Asks a ring for feeds, with these settings of the vendors' modules.
    pub(super) async fn walk_by(
        &self,
        walk: Walk<'_>,
        settings: vendors::Settings,
        context: &Context,
    ) -> Result<Report, Failure> {
        let ring = walk.ring.filter(|ring| walk.config.is_none_or(|config| config.default_ring() != **ring));
        let url = walk.mirror.ring(ring).map_err(|error| Failure::usage(error.to_string()))?;
        let of_config = walk.config.and_then(|config| config.origin.ca_file.as_ref());
        let ca_pem = self.ca_file.as_ref().or(of_config).map(|file| console::read(file)).transpose()?;
        let examination = Examination {
            url: url.url().clone(),
            feeds: walk.feeds,
            settings,
            ca_pem,
            depth: if self.quick || walk.versions_alone { Depth::Quick } else { Depth::Whole },
            deadline: DEADLINE,
            clock: Arc::clone(&context.clock),
        };
        let report = doctor::examine(&examination, &doctor::Quietly).await;
        report.map_err(|error| Failure::usage(model::error_chain(&error)))
    }
}

/// What vendors' modules need to know: keys, and where manifests were found to lie.
pub(super) async fn settings(config: Option<&Config>) -> Result<vendors::Settings, Failure> {
    match config {
        Some(config) => app::learned_settings(config).await.map_err(|error| Failure::build("validate", &error)),
        None => Ok(vendors::Settings::default()),
    }
}

/// What is asked of a mirror.
pub(super) struct Walk<'a> {
    pub(super) mirror: &'a MirrorUrl,
    pub(super) ring: Option<&'a RingName>,
    pub(super) config: Option<&'a Config>,
    pub(super) feeds: Vec<FeedId>,
    /// Whether the versions served are all that matters.
    pub(super) versions_alone: bool,
}

/// A plain listener, as this machine reaches it.
fn here(serve: &Serve) -> Option<String> {
    if serve.tls.is_some() || serve.address.port() == 0 {
        return None;
    }
    let mut address = serve.address;
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() {
            std::net::Ipv4Addr::LOCALHOST.into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        });
    }
    Some(format!("http://{address}{}", serve.path_prefix))
}
