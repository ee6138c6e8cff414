//! What is made of files that belong together: kept in use until they changed into something else that can be used.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arc_swap::ArcSwap;
use model::{Digest, Timestamp};

use super::error::TlsError;
use super::listed;
use super::pem::Named;
use crate::identity::Identity;

/// What files are made into.
pub(crate) trait Made: Sized {
    /// Which files.
    type Paths: Clone + PartialEq;

    /// The files, in their order.
    fn files(paths: &Self::Paths) -> Vec<Named<'_>>;

    /// Makes it of their bytes.
    fn make(paths: &Self::Paths, files: &[Bytes]) -> Result<Self, TlsError>;

    /// Whether it may take the place of an older one now.
    fn may_follow(&self, older: &Self, paths: &Self::Paths, now: Timestamp) -> Result<(), TlsError>;

    /// Tells the log what is strange about it beside the one before.
    fn warn_beside(&self, older: &Self, paths: &Self::Paths);
}

/// What stands, or stood, in a file.
pub(crate) type Bytes = Arc<[u8]>;

/// What there is to tell of files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// These changed and are in use now.
    TakenOver(Vec<PathBuf>),
    /// These could not be used, and are again as they are in use.
    WellAgain(Vec<PathBuf>),
    /// They changed and cannot be used.
    Refused(String),
}

/// What is in use of files that belong together.
pub(crate) struct Part<T: Made> {
    paths: T::Paths,
    made: ArcSwap<T>,
    seen: Mutex<Seen>,
}

struct Seen {
    /// The files as they stood before they were read last; none where a change since may not show in that.
    stood: Option<Vec<Option<Identity>>>,
    /// What was read last.
    digest: Digest,
    /// The files as they are in use.
    used: Vec<Bytes>,
    refused: Option<Refused>,
    /// The last news, and how many there were.
    news: (u64, Option<News>),
}

/// What stands in the files now and is not taken over.
struct Refused {
    /// The file that it is told of.
    path: Option<PathBuf>,
    why: String,
    /// Whether time alone may change that.
    in_time: bool,
}

impl<T: Made> Part<T> {
    /// What the files hold now. Where that cannot be used, or may not take the place of what `known` ones have of the same
    /// file, what these have of it stays in use.
    fn load(paths: &T::Paths, known: &[Arc<Self>], now: Timestamp) -> Result<Self, TlsError> {
        let in_use = |path: &Path| known.iter().find_map(|part| part.in_use(path));
        let make = |files: Vec<Bytes>| T::make(paths, &files).map(|made| (made, files));
        let stands_back = |made: &T, part: &Self| {
            let error = made.may_follow(&part.made(), paths, now).err()?;
            error.file().is_some_and(|path| part.in_use(path).is_some()).then_some(error)
        };
        let follows = |(made, files): (T, Vec<Bytes>)| {
            let error = known.iter().find_map(|part| stands_back(&made, part));
            error.map_or(Ok((made, files)), Err)
        };
        let (made, used) = read::<T>(paths).and_then(make).and_then(follows).or_else(|error| {
            let one = |file: &Named<'_>| in_use(file.path).map_or_else(|| file.read(), Ok);
            let files = T::files(paths).iter().map(one).collect::<Result<_, _>>();
            files.and_then(make).map_err(|_| error)
        })?;
        let seen = Mutex::new(Seen { stood: None, digest: one(&used), used, refused: None, news: (0, None) });
        Ok(Self { paths: paths.clone(), made: ArcSwap::from_pointee(made), seen })
    }

    /// Whether it may take the place of what is made of other files.
    pub(super) fn may_follow(&self, older: &Self, now: Timestamp) -> Result<(), TlsError> {
        self.made().may_follow(&older.made(), &self.paths, now)
    }

    /// Tells the log what is strange about it beside what is made of other files.
    pub(super) fn warn_beside(&self, older: &Self) {
        self.made().warn_beside(&older.made(), &self.paths);
    }

    /// What is in use of the file at this path, where it is one of these.
    fn in_use(&self, path: &Path) -> Option<Bytes> {
        let at = T::files(&self.paths).iter().position(|file| file.path == path)?;
        self.seen().used.get(at).cloned()
    }

    pub(super) fn paths(&self) -> &T::Paths {
        &self.paths
    }

    pub(super) fn made(&self) -> Arc<T> {
        self.made.load_full()
    }

    /// Takes changed files over if they can be used; the old ones stay in use otherwise. What came of it is among the news.
    pub(super) fn look(&self, now: Timestamp) {
        let mut seen = self.seen();
        let stood: Vec<_> = T::files(&self.paths).iter().map(|file| Identity::at(file.path).ok()).collect();
        let waits = seen.refused.as_ref().is_some_and(|refused| refused.in_time);
        if seen.stood.as_ref() == Some(&stood) && !waits {
            return;
        }
        let files = read::<T>(&self.paths);
        let is_settled = files.is_ok() && stood.iter().all(|one| one.is_some_and(|one| one.is_settled(now)));
        seen.stood = is_settled.then_some(stood);
        let digest = files.as_ref().map_or_else(|error| Digest::of(error.to_string().as_bytes()), |files| one(files));
        let is_known = std::mem::replace(&mut seen.digest, digest) == digest;
        if is_known && !waits {
            return;
        }
        let changed = files.as_ref().map(|files| self.changed(&seen.used, files)).unwrap_or_default();
        if files.is_ok() && changed.is_empty() {
            let path = seen.refused.take().and_then(|refused| refused.path);
            return seen.tell(News::WellAgain(path.into_iter().collect()));
        }
        let older = self.made();
        let taken = files.and_then(|files| {
            let newer = T::make(&self.paths, &files)?;
            newer.may_follow(&older, &self.paths, now)?;
            Ok((newer, files))
        });
        match taken {
            Ok((newer, files)) => {
                newer.warn_beside(&older, &self.paths);
                self.made.store(Arc::new(newer));
                (seen.used, seen.refused) = (files, None);
                seen.tell(News::TakenOver(changed));
            }
            Err(error) => seen.refuse(&error, &changed, is_known),
        }
    }

    /// Those of the files that are other than they were in use.
    fn changed(&self, before: &[Bytes], now: &[Bytes]) -> Vec<PathBuf> {
        let files = T::files(&self.paths).into_iter().zip(now).zip(before);
        files.filter(|((_, now), before)| now != before).map(|((file, _), _)| file.path.to_owned()).collect()
    }

    /// How many news there were.
    pub(super) fn so_far(&self) -> u64 {
        self.seen().news.0
    }

    /// The last news, for whoever was told of so many.
    pub(super) fn news(&self, told: &mut u64) -> Vec<News> {
        let seen = self.seen();
        let (count, last) = &seen.news;
        let is_news = std::mem::replace(told, *count) != *count;
        last.iter().filter(|_| is_news).cloned().collect()
    }

    /// Why what stands in this file now is not in use.
    pub(super) fn refused(&self, path: &Path) -> Option<String> {
        let seen = self.seen();
        let files = T::files(&self.paths);
        let told_of = |refused: &&Refused| {
            let path_of = refused.path.as_deref().or(files.first().map(|file| file.path));
            path_of == Some(path)
        };
        seen.refused.as_ref().filter(told_of).map(|refused| refused.why.clone())
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn tell(&mut self, news: News) {
        self.news = (self.news.0.wrapping_add(1), Some(news));
    }

    fn refuse(&mut self, error: &TlsError, changed: &[PathBuf], is_known: bool) {
        let in_time = matches!(error, TlsError::NotNow { .. });
        let path = error.file().map(Path::to_owned).or(changed.first().cloned());
        let mut why = model::error_chain(error);
        let is_named = |one: &&PathBuf| why.contains(&one.display().to_string());
        let wait: Vec<_> = changed.iter().filter(|one| !is_named(one)).cloned().collect();
        if !wait.is_empty() {
            why = format!("{why}; until it is mended {} is not taken over either", listed(&wait));
        }
        if !is_known || !in_time {
            self.tell(News::Refused(why.clone()));
        }
        self.refused = Some(Refused { path, why, in_time });
    }
}

/// The parts that somebody uses.
pub(crate) struct Library<T: Made>(Mutex<Vec<Weak<Part<T>>>>);

impl<T: Made> Default for Library<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Made> Library<T> {
    /// What is in use of these files, or else what they hold now.
    pub(super) fn part(&self, paths: &T::Paths, now: Timestamp) -> Result<Arc<Part<T>>, TlsError> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|part| part.strong_count() > 0);
        let living: Vec<_> = known.iter().filter_map(Weak::upgrade).collect();
        match living.iter().find(|part| part.paths == *paths) {
            Some(part) => Ok(Arc::clone(part)),
            None => {
                let part = Arc::new(Part::load(paths, &living, now)?);
                known.push(Arc::downgrade(&part));
                Ok(part)
            }
        }
    }
}

fn read<T: Made>(paths: &T::Paths) -> Result<Vec<Bytes>, TlsError> {
    T::files(paths).iter().map(Named::read).collect()
}

fn one(files: &[Bytes]) -> Digest {
    let all: Vec<u8> = files.iter().flat_map(|bytes| *Digest::of(bytes).as_bytes()).collect();
    Digest::of(&all)
}

/// A file that was cut off exactly between two blocks cannot be told from a shorter one.
pub(super) fn warn_of_fewer(path: &Path, before: usize, after: usize) {
    if after < before {
        let path = path.display();
        tracing::warn!(%path, before, after, "the new file holds fewer certificates or lists; was it written whole?");
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::{pair, people};
    use super::*;
    use crate::TlsSettings;
    use crate::away::tests::Heard;
    use std::time::Duration;

    struct Files {
        folder: tempfile::TempDir,
        authority: rcgen::Issuer<'static, rcgen::KeyPair>,
        authority_pem: String,
    }

    fn files() -> Files {
        let mut authority = rcgen::CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let key = rcgen::KeyPair::generate().unwrap();
        let authority_pem = authority.self_signed(&key).unwrap().pem();
        let authority = rcgen::Issuer::new(authority, key);
        let files = Files { folder: tempfile::tempdir().unwrap(), authority, authority_pem };
        let key = rcgen::KeyPair::generate().unwrap();
        let leaf = rcgen::CertificateParams::new(vec!["mirror".to_owned()]).unwrap();
        let leaf = leaf.signed_by(&key, &files.authority).unwrap().pem();
        files.write("tls.key", &key.serialize_pem());
        files.write("tls.crt", &format!("{leaf}{}", files.authority_pem));
        files.write("ca.crt", &files.authority_pem.repeat(2));
        files.write("clients.crl", &files.list(7));
        files
    }

    impl Files {
        fn write(&self, name: &str, text: &str) {
            std::fs::write(self.folder.path().join(name), text).unwrap();
        }

        fn list(&self, number: u64) -> String {
            let list = rcgen::CertificateRevocationListParams {
                this_update: rcgen::date_time_ymd(2024, 3, 1),
                next_update: rcgen::date_time_ymd(2999, 2, 28),
                crl_number: rcgen::SerialNumber::from(number),
                issuing_distribution_point: None,
                revoked_certs: Vec::new(),
                key_identifier_method: rcgen::KeyIdMethod::Sha256,
            };
            list.signed_by(&self.authority).unwrap().pem().unwrap()
        }

        fn settings(&self) -> TlsSettings {
            let at = |name| self.folder.path().join(name);
            let (client_ca, client_crl) = (Some(at("ca.crt")), Some(at("clients.crl")));
            TlsSettings { certificate: at("tls.crt"), key: at("tls.key"), client_ca, client_crl }
        }
    }

    fn parts(settings: &TlsSettings) -> (Part<pair::Pair>, Part<people::People>) {
        let now = Timestamp::from_micros(0);
        let people = Part::load(&people::Paths::of(settings).unwrap(), &[], now).unwrap();
        (Part::load(&pair::Paths::of(settings), &[], now).unwrap(), people)
    }

    /// So much later that whatever was written before shows.
    fn later(identity: &Path) -> Timestamp {
        let found = std::fs::metadata(identity).unwrap();
        let changed = std::os::unix::fs::MetadataExt::ctime(&found);
        Timestamp::from_micros(changed * 1_000_000).after(Duration::from_secs(60))
    }

    #[test]
    fn fewer_than_before_and_older_than_before_are_told_of_each_file_v23_v34() {
        let files = files();
        let (pair, people) = parts(&files.settings());
        let look = |name: &str, text: &str| {
            files.write(name, text);
            let heard = Heard::default();
            tracing::subscriber::with_default(heard.clone(), || {
                pair.look(Timestamp::from_micros(0));
                people.look(Timestamp::from_micros(0));
            });
            heard.text()
        };
        let leaf =
            std::fs::read_to_string(files.folder.path().join("tls.crt")).unwrap().replace(&files.authority_pem, "");
        for (name, text) in [("tls.crt", leaf.as_str()), ("ca.crt", &files.authority_pem)] {
            let told = look(name, text);
            assert!(told.contains("before=2 after=1") && told.contains(name), "{told}");
        }
        assert_eq!(look("clients.crl", &files.list(8)), "");
        let told = look("clients.crl", &files.list(7));
        assert!(told.contains("a list with a lower number") && told.contains("clients.crl"), "{told}");
        // A file under another path is no less another one.
        files.write("older.crl", &files.list(6));
        let other = files.folder.path().join("older.crl");
        let (_, other) = parts(&TlsSettings { client_crl: Some(other), ..files.settings() });
        let heard = Heard::default();
        tracing::subscriber::with_default(heard.clone(), || other.warn_beside(&people));
        assert!(heard.text().contains("older.crl") && heard.text().contains("a lower number"), "{}", heard.text());
    }

    #[test]
    fn what_was_left_alone_is_not_read_again() {
        let files = files();
        let settings = files.settings();
        let (pair, _) = parts(&settings);
        pair.look(Timestamp::from_micros(0));
        assert_eq!(pair.seen().stood, None, "a write of this moment might not show");
        pair.look(later(&settings.key));
        assert!(pair.seen().stood.is_some());
        let before = pair.seen().digest;
        std::fs::write(&settings.key, "nonsense").unwrap();
        pair.look(later(&settings.key));
        assert!(pair.seen().digest != before && pair.seen().refused.is_some());
        std::fs::remove_file(&settings.key).unwrap();
        pair.look(Timestamp::from_micros(i64::MAX / 2));
        assert_eq!(pair.seen().stood, None, "what could not be read is tried again");
    }

    #[test]
    fn the_same_files_are_kept_once() {
        let files = files();
        let (library, paths) = (Library::<people::People>::default(), people::Paths::of(&files.settings()).unwrap());
        let now = Timestamp::from_micros(0);
        let (one, other) = (library.part(&paths, now).unwrap(), library.part(&paths, now).unwrap());
        assert!(Arc::ptr_eq(&one, &other));
        files.write("clients.crl", &files.list(8));
        one.look(Timestamp::from_micros(0));
        let (mut told, mut too) = (0, 0);
        assert_eq!((one.news(&mut told).len(), other.news(&mut too).len()), (1, 1), "each hears of it");
        assert_eq!(one.news(&mut told), []);
        drop((one, other));
        files.write("clients.crl", "nonsense");
        assert!(library.part(&paths, now).is_err(), "nobody uses the old one any more");
    }
}
