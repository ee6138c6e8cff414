//! A data folder that is not there, or holds no catalog: whether it is known that one was, or nothing tells.

use alarm::Life;
use app::{Kept, LeftWithout};
use catalog::KeptHeads;
use config::Config;
use mirror::SiteFault;
use model::{Level, Note, Reason, Timestamp, error_chain};

use crate::failure::{Exit, Failure};
use crate::show;

/// What is done where one is to be put back.
const PUT_BACK: &str = "mount it again, put it back, or correct data_dir";

/// What something outside of the data folder knows of a history that is not there.
enum Witness {
    /// It knows of one, and what to do where the site is to begin anew all the same.
    Knows(String, &'static str),
    /// Whether it knows of one cannot be known.
    Unclear(String),
    /// It knows of others' histories: the site is new, or had another name.
    Others(String),
}

/// Refuses to take a catalog that is gone for one that never was. Where nothing tells the two apart that is a fault to be
/// shown: nothing is well about a site that keeps nothing. `left` is what a living `run` says that lost its folder.
///
/// # Errors
/// [`Failure`] naming what says that there was one, or what keeps that from being known.
pub(super) fn gone(config: &Config, left: Option<&LeftWithout>, now: Timestamp) -> Result<Option<SiteFault>, Failure> {
    let Some(lacks) = lacking(config) else { return Ok(None) };
    let heads = by_heads(config);
    let others = match heads {
        Some(Witness::Others(text)) => format!("; {text}"),
        Some(witness) => return Err(refused("status", &lacks, &witness)),
        None => String::new(),
    };
    if let Some(witness) = by_trees(config).or_else(|| left.map(by_run)).or_else(|| by_life(config)) {
        return Err(refused("status", &lacks, &witness));
    }
    // What a ring serves that no history knows is told as that, on the page.
    if serves(config) {
        return Ok(None);
    }
    let detail = format!(
        "{lacks}: nothing was ever fetched here, or what was is gone (a volume that is not mounted, another data_dir); \
         nothing that is left tells which{others}"
    );
    Ok(Some(folder_fault(Reason::FolderGone, detail, now)))
}

/// That the data folder is not what it seems, as status shows it.
pub(crate) fn folder_fault(reason: Reason, detail: String, since: Timestamp) -> SiteFault {
    SiteFault {
        subject: "the data folder".to_owned(),
        key: "data_folder".to_owned(),
        since,
        level: Level::Fail,
        note: Note { reason, detail },
    }
}

/// Refuses to begin anew where something outside the data folder knows of a history that is not there, or where that
/// cannot be known: what was rejected or rolled back would be served again, and all would look well. A site that begins
/// beside others' heads is told of them.
///
/// # Errors
/// [`Failure`] naming what knows of it, or what keeps that from being known.
pub(crate) async fn not_anew(config: &Config, verb: &str) -> Result<(), Failure> {
    // Rings that lost their catalog are what a new one is made from.
    let Some(lacks) = lacking(config).filter(|_| !serves(config)) else { return Ok(()) };
    let heads = by_heads(config);
    let others = match heads {
        Some(Witness::Others(text)) => Some(text),
        Some(witness) => return Err(refused(verb, &lacks, &witness)),
        None => None,
    };
    let left = app::left_without(config).await;
    if let Some(witness) = by_trees(config).or_else(|| left.as_ref().map(by_run)) {
        return Err(refused(verb, &lacks, &witness));
    }
    if let Some(others) = others {
        tracing::warn!(lacks, others, "a history is begun");
    }
    Ok(())
}

/// Refuses to work on what stands in the data folder's place while a living `run` leaves it alone: what that one serves
/// would be gone back from, and two histories would go on from one.
///
/// # Errors
/// [`Failure`] with the words of that `run`.
pub(crate) async fn not_left_alone(config: &Config, verb: &str) -> Result<(), Failure> {
    let Some(left) = app::left_without(config).await else { return Ok(()) };
    let text = format!("{verb}: {}: {}", left.reason, left.in_words());
    let next = "put the right data folder back; or restart `waystation run`, which works on what stands there then, and ask again";
    Err(Failure::usage(text).with_exit(Exit::FAILED).with_next(next))
}

fn refused(verb: &str, lacks: &str, witness: &Witness) -> Failure {
    let (text, next) = match witness {
        Witness::Knows(what, anew) => (
            format!("{verb}: {lacks}, and there was: {what}"),
            format!("{PUT_BACK}; where this site is to begin anew, {anew} first"),
        ),
        Witness::Unclear(why) | Witness::Others(why) => (
            format!("{verb}: {lacks}, and whether there was cannot be known: {why}"),
            format!(
                "make that file readable for this user; or {PUT_BACK}; where this site is to begin anew, move it away first"
            ),
        ),
    };
    Failure::usage(text).with_exit(Exit::FAILED).with_next(next)
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

/// What history.head_file knows; none where it is not there, or was never written to.
fn by_heads(config: &Config) -> Option<Witness> {
    let mut heads = KeptHeads::default();
    let site = config.site.name.as_deref().unwrap_or(app::NO_SITE);
    let path = config.history.head_file.as_ref()?;
    let named = format!("{} (history.head_file)", show::clean(&path.display().to_string()));
    let move_away = "move that file away";
    match app::read_kept(path, site, &mut heads) {
        Ok(Kept::Nobody) => None,
        Ok(Kept::Begun) => Some(Witness::Knows(format!("{named} holds the beginning of a head"), move_away)),
        Ok(Kept::Site) => {
            let (seq, whence) = heads.newest()?;
            let whence = show::clean(&whence);
            Some(Witness::Knows(format!("{whence} (history.head_file), knows entry {seq} of its history"), move_away))
        }
        Ok(Kept::Others(others)) => {
            let others = show::clean(&others.in_words());
            let text = format!(
                "{named} holds heads of {others}, and none of {site}: where this site had one of these names before, its \
                 history is not here"
            );
            Some(Witness::Others(text))
        }
        Err(error) => Some(Witness::Unclear(format!("{named}: {}", error_chain(&error)))),
    }
}

fn by_trees(config: &Config) -> Option<Witness> {
    let folder = config.tree.folder.as_ref()?.join(config.default_ring().as_str());
    // A folder without its mark is somebody else's, or was never filled.
    let is_marked = folder.join(".waystation-tree").is_file();
    let text = || format!("{} (tree.folder) was made from it", folder.display());
    is_marked.then(|| {
        Witness::Knows(text(), "name another tree.folder, or, if no other installation keeps that one, move it away")
    })
}

fn by_run(left: &LeftWithout) -> Witness {
    let text = format!("`waystation run` at {} (admin.address) lives, and says {}", left.address, left.reason);
    Witness::Knows(text, "end that `waystation run`")
}

fn by_life(config: &Config) -> Option<Witness> {
    let life = Life::read(&config.data_dir)?;
    let text = format!("`waystation run` (process {}) looked after it until {}", life.pid, life.at);
    Some(Witness::Knows(text, "move what is left of that folder away"))
}
