//! The folders that people make by hand, for `sync --from`.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use crate::content::Body;
use crate::elastic::ElasticTarget;
use crate::simulator::Simulator;

impl Simulator {
    /// Writes what the vendor page's one-liner makes of a version's manifest: `downloads/…` with every path as the
    /// manifest names it.
    pub fn write_elastic_tree(&self, folder: &Path, target: impl Into<ElasticTarget>) -> io::Result<()> {
        let target = target.into();
        let missing = || io::Error::new(io::ErrorKind::NotFound, format!("there is no simulated manifest '{target}'"));
        let release = self.elastic_release(target.clone()).ok_or_else(missing)?;
        write(folder, &release.path, &Body::held(release.manifest.clone()))?;
        release.artifacts.iter().try_for_each(|artifact| write(folder, &artifact.relative_url, &artifact.body))
    }

    /// Writes what Microsoft's script makes: `<platform>/<track>/arch_<arch>/updates.zip` and `manifest.json`, and
    /// the empty `_back` folders of its first run.
    pub fn write_defender_tree(&self, folder: &Path) -> io::Result<()> {
        for release in self.defender_feeds().into_iter().filter_map(|feed| self.defender_release(feed)) {
            let feed = release.feed;
            let place = format!("{}/{}/arch_{}", feed.platform, feed.track, feed.architecture);
            write(folder, &format!("{place}/updates.zip"), &release.archive)?;
            let companion = format!(
                "{{\n  \"EngineVersion\": \"{}\",\n  \"DefinitionVersion\": \"{}\"\n}}\n",
                release.engine, release.definitions,
            );
            write(folder, &format!("{place}/manifest.json"), &Body::held(companion))?;
            let back = format!("{}/{}_back/arch_{}", feed.platform, feed.track, feed.architecture);
            fs::create_dir_all(folder.join(back))?;
        }
        Ok(())
    }
}

fn write(folder: &Path, path: &str, body: &Body) -> io::Result<()> {
    let path = folder.join(path.trim_start_matches('/'));
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut file = fs::File::create(&path)?;
    let mut result = Ok(());
    body.for_each(|bytes| {
        if result.is_ok() {
            result = file.write_all(bytes);
        }
    });
    result
}
