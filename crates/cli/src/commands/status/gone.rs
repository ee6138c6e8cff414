//! A data folder that is not there though something says that it was: nothing is well about that.

use config::Config;

use crate::commands::history::Heads;
use crate::failure::{Exit, Failure};
use crate::show;

/// Refuses to take a catalog that is gone for one that never was.
///
/// # Errors
/// [`Failure`] naming what says that there was one.
pub(super) fn gone(config: &Config) -> Result<(), Failure> {
    let catalog = config.data_dir.join("catalog/catalog.sqlite3");
    if !matches!(catalog.try_exists(), Ok(false)) {
        return Ok(());
    }
    let Some(witness) = by_heads(config).or_else(|| by_trees(config)) else { return Ok(()) };
    let data = show::clean(&config.data_dir.display().to_string());
    let what = if matches!(config.data_dir.try_exists(), Ok(false)) { "no data folder" } else { "no catalog in" };
    let text = format!("status: there is {what} {data}, and there was: {witness}");
    let next = "mount it again, put it back, or correct data_dir; a site that is to begin anew begins without that file or folder";
    Err(Failure::usage(text).with_exit(Exit::FAILED).with_next(next))
}

fn by_heads(config: &Config) -> Option<String> {
    let mut heads = Heads::default();
    let site = config.site.name.as_deref().unwrap_or(app::NO_SITE);
    heads.read(config.history.head_file.as_ref()?, site).ok()?;
    let (seq, whence) = heads.newest()?;
    Some(format!("{whence} (history.head_file), knows entry {seq} of its history"))
}

fn by_trees(config: &Config) -> Option<String> {
    let folder = config.tree.folder.as_ref()?.join(config.default_ring().as_str());
    folder.is_dir().then(|| format!("{} (tree.folder) was made from it", folder.display()))
}
