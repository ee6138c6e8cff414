//! A data folder that is not there, or holds no catalog: whether it is known that one was, or nothing tells.

use config::Config;
use mirror::SiteFault;
use model::{Level, Note, Reason, Timestamp};

use alarm::Life;
use catalog::KeptHeads;

use crate::commands::history::read_heads;
use crate::failure::{Exit, Failure};
use crate::show;

/// Refuses to take a catalog that is gone for one that never was. Where nothing tells the two apart that is a fault to be
/// shown: nothing is well about a site that keeps nothing.
///
/// # Errors
/// [`Failure`] naming what says that there was one.
pub(super) fn gone(config: &Config, now: Timestamp) -> Result<Option<SiteFault>, Failure> {
    let Some(lacks) = lacking(config) else { return Ok(None) };
    if let Some(witness) = by_heads(config).or_else(|| by_trees(config)).or_else(|| by_life(config)) {
        let text = format!("status: {lacks}, and there was: {witness}");
        let next = "mount it again, put it back, or correct data_dir; a site that is to begin anew begins without that file or folder";
        return Err(Failure::usage(text).with_exit(Exit::FAILED).with_next(next));
    }
    // What a ring serves that no history knows is told as that, on the page.
    if serves(config) {
        return Ok(None);
    }
    let detail = format!(
        "{lacks}: nothing was ever fetched here, or what was is gone (a volume that is not mounted, another data_dir); \
         nothing that is left tells which"
    );
    Ok(Some(SiteFault {
        subject: "the data folder".to_owned(),
        key: "data_folder".to_owned(),
        since: now,
        level: Level::Fail,
        note: Note { reason: Reason::FolderGone, detail },
    }))
}

/// Refuses to begin anew where something outside the data folder knows of a history that is not there: what was rejected
/// or rolled back would be served again, and all would look well.
///
/// # Errors
/// [`Failure`] naming what knows of it.
pub(crate) fn not_anew(config: &Config, verb: &str) -> Result<(), Failure> {
    // Rings that lost their catalog are what a new one is made from.
    let Some(lacks) = lacking(config).filter(|_| !serves(config)) else { return Ok(()) };
    let Some(witness) = by_heads(config).or_else(|| by_trees(config)) else { return Ok(()) };
    let text = format!("{verb}: {lacks}, and there was: {witness}");
    let next = "mount it again, put it back, or correct data_dir; where this site is to begin anew, move that file or folder away";
    Err(Failure::usage(text).with_exit(Exit::FAILED).with_next(next))
}

/// What is not there, in words; none where a catalog is, or may be.
pub(crate) fn lacking(config: &Config) -> Option<String> {
    let data = &config.data_dir;
    let shown = show::clean(&data.display().to_string());
    if matches!(data.try_exists(), Ok(false)) {
        return Some(format!("there is no data folder {shown}"));
    }
    match std::fs::metadata(data.join("catalog/catalog.sqlite3")) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Some(format!("there is no catalog in {shown}")),
        // Its file is made before the first thing is put into it.
        Ok(file) if file.len() == 0 => Some(format!("the catalog in {shown} holds nothing")),
        _ => None,
    }
}

/// Whether generations of the default ring are there.
fn serves(config: &Config) -> bool {
    let ring = config.data_dir.join("rings").join(config.default_ring().as_str());
    std::fs::read_dir(ring).is_ok_and(|mut names| names.next().is_some())
}

fn by_heads(config: &Config) -> Option<String> {
    let mut heads = KeptHeads::default();
    let site = config.site.name.as_deref().unwrap_or(app::NO_SITE);
    read_heads(&mut heads, config.history.head_file.as_ref()?, site).ok()?;
    let (seq, whence) = heads.newest()?;
    Some(format!("{whence} (history.head_file), knows entry {seq} of its history"))
}

fn by_trees(config: &Config) -> Option<String> {
    let folder = config.tree.folder.as_ref()?.join(config.default_ring().as_str());
    // A folder without its mark is somebody else's, or was never filled.
    folder.join(".waystation-tree").is_file().then(|| format!("{} (tree.folder) was made from it", folder.display()))
}

fn by_life(config: &Config) -> Option<String> {
    let life = Life::read(&config.data_dir)?;
    Some(format!("`waystation run` (process {}) looked after it until {}", life.pid, life.at))
}
