//! Everything that runs during a demo.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use admin_http::{AdminServer, Serving, StatusSource};
use app::Purpose;
use async_trait::async_trait;
use config::Config;
use content_http::{ContentServer, DataFolder, Settings, Stats};
use mirror::{Engine, Status};
use model::Clock;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use trust::KeyRing;
use url::Url;
use vendor_sim::Simulator;

use super::DemoError;
use super::client::Client;
use super::fleet::{Fleet, Mirror};
use super::setup::{Addresses, Folder, vendors};

/// A port of loopback that the system chooses.
const ANY: &str = "127.0.0.1:0";
/// How long downloads may go on at the end.
const DRAIN: Duration = Duration::from_secs(2);

/// Simulated vendors, a mirror of them, and the endpoints' client.
pub(super) struct World {
    pub(super) vendors: Simulator,
    pub(super) engine: Engine,
    pub(super) content: Arc<ContentServer>,
    /// Looks at single answers.
    pub(super) client: Client,
    pub(super) fleet: Fleet,
    /// The keys that endpoints check signatures with.
    pub(super) keys: KeyRing,
    pub(super) config_file: PathBuf,
    pub(super) admin_url: String,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) folder: Folder,
    admin: Admin,
}

impl World {
    pub(super) async fn start(keep: Option<&Path>, clock: Arc<dyn Clock>) -> Result<Self, DemoError> {
        let folder = Folder::make(keep)?;
        let vendors = Simulator::start(vendors())?;
        let key = vendors.public_key_pem()?;
        folder.write("vendor-key.pem", &key)?;
        let mut addresses = Addresses {
            elastic: vendors.elastic_url(),
            defender: vendors.defender_url(),
            content: ANY.to_owned(),
            admin: ANY.to_owned(),
        };
        let file = folder.write("waystation.toml", &addresses.configuration())?;
        // The environment is left out: a person's own settings are not meant for the demo.
        let config = Config::load(Some(&file), &[])?;
        let engine = app::engine(&config, "demo", Purpose::Act, Arc::clone(&clock)).await?;
        let content = Arc::new(content(&config, Arc::clone(&clock))?);
        let nudged = Arc::clone(&content);
        let engine = engine.with_nudge(move || nudged.nudge());
        let admin = Admin::start(&config, &content, &engine).await?;
        // Now that the ports are known, the file says them: the other commands work beside the demo with it.
        addresses.content = content.local_addresses().first().map_or_else(|| ANY.to_owned(), ToString::to_string);
        addresses.admin.clone_from(&admin.address);
        let config_file = folder.write("waystation.toml", &addresses.configuration())?;
        let base = Url::parse(&format!("http://{}/", addresses.content))?;
        let client = Client::new(app::client(&config, Arc::clone(&clock))?, base);
        let keys = KeyRing::empty().with_pem(&key)?;
        let mirror = Mirror {
            base: client.base().to_owned(),
            keys: keys.clone(),
            cloud: Url::parse(&vendors.defender_url())?,
            clock: Arc::clone(&clock),
        };
        Ok(Self {
            fleet: Fleet::new(mirror, &folder.path().join("endpoints")).map_err(DemoError::Endpoint)?,
            client,
            keys,
            admin_url: format!("http://{}", addresses.admin),
            vendors,
            engine,
            content,
            config_file,
            clock,
            folder,
            admin,
        })
    }

    /// Ends everything; a temporary folder goes with the rest.
    pub(super) async fn end(self) {
        let Self { admin, content, engine, folder, .. } = self;
        drop(admin.end);
        content.drain(DRAIN).await;
        // A task that panicked has shown that already.
        let _ = admin.task.await;
        drop(engine);
        folder.end().await;
    }
}

fn content(config: &Config, clock: Arc<dyn Clock>) -> Result<ContentServer, DemoError> {
    let source = DataFolder::open(&config.data_dir)?;
    let address = config.serve.first().map_or(([127, 0, 0, 1], 0).into(), |serve| serve.address);
    let mut settings = Settings::plain(address, config.default_ring());
    settings.rings = config.rings().iter().map(|ring| ring.name.clone()).collect();
    Ok(ContentServer::start(settings, Arc::new(source), clock)?)
}

/// The admin listener.
struct Admin {
    address: String,
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Admin {
    async fn start(config: &Config, content: &Arc<ContentServer>, engine: &Engine) -> Result<Self, DemoError> {
        let facts = Arc::new(Facts { content: Arc::clone(content), engine: engine.clone() });
        let serving: Arc<dyn Serving> = Arc::<Facts>::clone(&facts);
        let server = AdminServer::bind(config.admin.address, Some(serving), Some(facts)).await?;
        let address = server.address().to_string();
        let (end, ended) = oneshot::channel();
        let task = tokio::spawn(server.run(async move { drop(ended.await) }));
        Ok(Self { address, end, task })
    }
}

struct Facts {
    content: Arc<ContentServer>,
    engine: Engine,
}

impl Serving for Facts {
    fn stats(&self) -> Stats {
        self.content.stats()
    }

    fn is_ready(&self) -> bool {
        self.content.is_ready()
    }
}

#[async_trait]
impl StatusSource for Facts {
    async fn status(&self) -> Result<Status, String> {
        self.engine.status().await.map_err(|error| error.to_string())
    }
}
