//! Getting an archive, and the versions that it holds, from one place.
//!
//! An archive does not say which definitions it holds; what stands beside it does. So that the two belong together:
//! a mirror is asked for the archive, then for `manifest.json`, then whether the archive is still the same; a folder
//! and the cloud are asked for the versions before and after.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use model::{Digest, Hasher, Reason, VendorVersion};
use outbound::{Outbound, Request};
use platform::fs::Folder;
use url::Url;

use super::agent::Asking;
use super::plan::Site;
use super::store::{ARCHIVE, Answer, Installed, Record};
use super::update::Endpoint;
use crate::disk::Growing;
use crate::fetch::{Fail, Trouble, Validator, to_file, to_memory};

/// The most bytes of a document beside an archive.
const DOCUMENT: u64 = 64 << 10;
/// How often it is begun anew when the archive changed under way.
const TRIES: usize = 3;

/// What a place gave.
#[derive(Debug)]
pub(super) enum Got {
    /// What is in use already; and what the answer was tagged with.
    Same,
    /// An archive, which lies in the state's download folder.
    Archive(Box<Fetched>),
}

/// An archive that came.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) version: Option<VendorVersion>,
    pub(super) answer: Option<Answer>,
    pub(super) notes: Vec<String>,
}

/// What is known before a place is asked.
pub(super) struct Known<'k> {
    pub(super) current: Option<&'k Installed>,
    pub(super) record: &'k Record,
}

impl Site {
    /// As health shows it.
    pub(super) fn shown(&self, endpoint: &Endpoint) -> String {
        match self {
            Self::Mirror { written, .. } | Self::Folder { written, .. } => written.clone(),
            Self::Cloud { base } => endpoint.upstream(base).map_or_else(|_| base.to_string(), |(url, _)| url.into()),
        }
    }
}

impl Endpoint {
    /// What a place has; `proxy` is what the settings say of one.
    pub(super) async fn get(&self, site: &Site, proxy: Option<&str>, known: &Known<'_>) -> Result<Got, Trouble> {
        for _ in 0..TRIES {
            let got = match site {
                Site::Mirror { base, .. } => {
                    self.ask_mirror(base, self.dial.mirror(base, proxy)?.as_ref(), known).await?
                }
                Site::Folder { path, .. } => self.read_folder(path)?,
                Site::Cloud { base } => self.ask_cloud(base, self.dial.cloud(proxy)?.as_ref(), known).await?,
            };
            if let Some(got) = got {
                return Ok(got);
            }
        }
        let detail = format!("the archive changed under each of {TRIES} downloads");
        Err(Fail::new(Reason::VersionsDisagree, detail).into())
    }

    async fn ask_mirror(&self, base: &Url, http: &dyn Outbound, known: &Known<'_>) -> Result<Option<Got>, Trouble> {
        let join = |name: &str| {
            let url = base.join(&format!("{}/{name}", self.agent.folder()));
            url.map_err(|error| Fail::settings(format!("nothing can be appended to {base}: {error}")))
        };
        let (archive, companion) = (join("updates.zip")?, join("manifest.json")?);
        let response = http.get(self.validator(&archive, known).unless(archive.clone())).await?;
        if response.status == 304 {
            return Ok(Some(Got::Same));
        }
        if response.status != 200 {
            let detail = format!("{archive}: {} to a request for all of it", response.status);
            return Err(Fail::new(Reason::UnexpectedStatus, detail).into());
        }
        let validator = Validator { etag: response.etag.clone(), last_modified: response.last_modified.clone() };
        let mut file = self.store.disk.create(ARCHIVE)?;
        let (digest, size) = to_file(response.body, &mut file, &archive, self.cap()).await?;
        file.finish()?;
        let mut notes = Vec::new();
        let version = match to_memory(http, Request::get(companion.clone()), DOCUMENT).await {
            Ok(bytes) => companion_of(&bytes, companion.as_str(), &mut notes),
            Err(fail) => {
                notes.push(format!("which versions the archive holds is not known: {fail}"));
                None
            }
        };
        if version.is_some() && !is_still(http, &archive, &validator).await? {
            return Ok(None);
        }
        let answer = Answer { url: archive.into(), validator, archive: digest };
        Ok(Some(Got::Archive(Box::new(Fetched { digest, size, version, answer: Some(answer), notes }))))
    }

    /// What the archive in use was tagged with, if it came from this URL.
    fn validator(&self, url: &Url, known: &Known<'_>) -> Validator {
        let in_use = known.current.map(|current| current.archive);
        let fits = |answer: &&Answer| answer.url == url.as_str() && Some(answer.archive) == in_use;
        match known.record.answer.as_ref().filter(fits) {
            Some(answer) if self.assumptions.asking == Asking::Conditional => answer.validator.clone(),
            _ => Validator::default(),
        }
    }

    /// The folder of this agent's archive. Once opened it stays the one that it is, whatever is swapped into its place.
    pub(super) fn open_folder(&self, path: &Path) -> Result<(Folder, PathBuf), Fail> {
        let wanted = path.join(self.agent.folder());
        let real = std::fs::canonicalize(&wanted).map_err(|error| not_there(&wanted, &error))?;
        let folder = Folder::open(&real).map_err(|error| not_there(&wanted, &error))?;
        Ok((folder, wanted))
    }

    fn read_folder(&self, path: &Path) -> Result<Option<Got>, Trouble> {
        let (folder, wanted) = self.open_folder(path)?;
        let beside = |notes: &mut Vec<String>| {
            let mut bytes = Vec::new();
            match folder.open_regular("manifest.json").map(|(file, _)| file.take(DOCUMENT).read_to_end(&mut bytes)) {
                Ok(Ok(_)) => companion_of(&bytes, &wanted.join("manifest.json").display().to_string(), notes),
                Ok(Err(error)) => {
                    notes.push(format!("manifest.json cannot be read: {error}"));
                    None
                }
                Err(error) => {
                    notes.push(format!("which versions the archive holds is not known: {error}"));
                    None
                }
            }
        };
        let mut notes = Vec::new();
        let before = beside(&mut notes);
        let archive = open_archive(&folder, &wanted)?;
        let mut file = self.store.disk.create(ARCHIVE)?;
        let name = wanted.join("updates.zip");
        let (digest, size) = copy(archive, &mut file, self.cap(), &name)?;
        file.finish()?;
        if beside(&mut Vec::new()) != before {
            return Ok(None);
        }
        Ok(Some(Got::Archive(Box::new(Fetched { digest, size, version: before, answer: None, notes }))))
    }

    async fn ask_cloud(&self, base: &Url, http: &dyn Outbound, known: &Known<'_>) -> Result<Option<Got>, Trouble> {
        let (archive, info) = self.upstream(base)?;
        let asked = |url: &Url| Request { redirect_hosts: self.cloud_hosts.clone(), ..Request::get(url.clone()) };
        let before = info_of(&to_memory(http, asked(&info), DOCUMENT).await?, &info)?;
        let same =
            |current: &&Installed| current.version.as_ref() == Some(&before) && current.source == archive.as_str();
        if known.current.filter(same).is_some() {
            return Ok(Some(Got::Same));
        }
        let response = http.get(asked(&archive)).await?;
        let mut file = self.store.disk.create(ARCHIVE)?;
        let (digest, size) = to_file(response.body, &mut file, &archive, self.cap()).await?;
        file.finish()?;
        if info_of(&to_memory(http, asked(&info), DOCUMENT).await?, &info)? != before {
            return Ok(None);
        }
        let version = Some(before);
        Ok(Some(Got::Archive(Box::new(Fetched { digest, size, version, answer: None, notes: Vec::new() }))))
    }

    /// The archive's link and the versions' link.
    pub(super) fn upstream(&self, base: &Url) -> Result<(Url, Url), Fail> {
        let feed = self.agent.feed().ok_or_else(|| Fail::settings("no feed is for this agent"))?;
        let pair = vendors::defender::upstream(&feed, &self.vendor).map_err(Fail::settings)?;
        let join = |target: &vendors::Target| {
            base.join(&target.0).map_err(|error| Fail::settings(format!("nothing can be appended to {base}: {error}")))
        };
        Ok((join(&pair.archive)?, join(&pair.info)?))
    }

    fn cap(&self) -> u64 {
        self.vendor.archive_cap
    }
}

/// The archive in a folder: a plain file that has bytes. Nothing else would be one, and a pipe would hold its reader.
pub(super) fn open_archive(folder: &Folder, wanted: &Path) -> Result<File, Fail> {
    match folder.open_regular("updates.zip") {
        Ok((_, 0)) => Err(Fail::new(Reason::NotInFolder, format!("{} is empty", wanted.join("updates.zip").display()))),
        Ok((archive, _)) => Ok(archive),
        Err(error) => Err(not_there(wanted, &error)),
    }
}

fn not_there(what: &Path, error: &dyn std::error::Error) -> Fail {
    Fail::new(Reason::NotInFolder, format!("{}: {}", what.display(), model::error_chain(error)))
}

/// Whether the archive is the one that was fetched; without tags nobody can say, and it is believed.
async fn is_still(http: &dyn Outbound, archive: &Url, validator: &Validator) -> Result<bool, Trouble> {
    if *validator == Validator::default() {
        return Ok(true);
    }
    let request = Request { head_only: true, ..validator.clone().unless(archive.clone()) };
    let response = http.get(request).await?;
    let tags = Validator { etag: response.etag, last_modified: response.last_modified };
    Ok(response.status == 304 || tags == *validator)
}

/// What stands beside an archive is the mirror's, not the vendor's: an agent is not known to read it. It is taken where
/// it can be read.
fn companion_of(bytes: &[u8], place: &str, notes: &mut Vec<String>) -> Option<VendorVersion> {
    match vendors::defender::companion(bytes) {
        Ok(version) => Some(version),
        Err(what) => {
            notes.push(format!("which versions the archive holds is not known: {place} {what}"));
            None
        }
    }
}

fn info_of(bytes: &[u8], url: &Url) -> Result<VendorVersion, Fail> {
    vendors::defender::info(bytes).map_err(|what| Fail::new(Reason::BadInfo, format!("{url} {what}")))
}

fn copy(mut from: File, to: &mut Growing<'_>, cap: u64, name: &Path) -> Result<(Digest, u64), Trouble> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        let read = from.read(&mut buffer);
        let read = read.map_err(|error| Fail::new(Reason::NotInFolder, format!("{}: {error}", name.display())))?;
        let chunk = buffer.get(..read).unwrap_or_default();
        if chunk.is_empty() {
            let size = hasher.bytes();
            return Ok((hasher.finish(), size));
        }
        hasher.update(chunk);
        if hasher.bytes() > cap {
            return Err(Fail::new(Reason::TooLarge, format!("{}: more than {cap} bytes", name.display())).into());
        }
        to.write(chunk)?;
    }
}
