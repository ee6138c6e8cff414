//! The configuration and the files that it names: who may write them, and who may read secrets.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use config::Config;
use model::Timestamp;
use platform::fs::read_named;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};
use webpki::{BorrowedCertRevocationList, CertRevocationList};

use crate::Check;
use crate::certificate::Certificate;
use crate::finding::Finding;

/// The most bytes of a certificate or key that are read.
const LARGEST: u64 = 1 << 20;
/// The most bytes of revocation lists that are read: as many as a listener takes.
const LARGEST_LISTS: u64 = 8 << 20;

/// What a file is to an attacker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Whoever writes it decides what happens.
    Settings,
    /// Whoever reads it is us.
    Secret,
}

/// Judges every file that the configuration names.
pub(crate) fn look(config: &Config, now: Timestamp) -> Vec<Finding> {
    let mut files: Vec<(PathBuf, Kind)> = Vec::new();
    if config.file.exists() {
        // Passwords may stand in it, and then it is as secret as they are.
        let text = fs::read_to_string(&config.file).unwrap_or_default();
        let kind = if holds_secret(&text) { Kind::Secret } else { Kind::Settings };
        files.push((config.file.clone(), kind));
    }
    files.extend(config.origin.ca_file.iter().map(|path| (path.clone(), Kind::Settings)));
    files.extend(
        config.elastic.iter().flat_map(|one| one.public_keys.iter().map(|path| (path.clone(), Kind::Settings))),
    );
    for tls in config.serve.iter().filter_map(|serve| serve.tls.as_ref()) {
        files.push((tls.key.clone(), Kind::Secret));
        files.push((tls.certificate.clone(), Kind::Settings));
        files.extend(tls.client_ca.iter().chain(&tls.client_crl).map(|path| (path.clone(), Kind::Settings)));
    }
    files.extend(config.serve.iter().filter_map(|serve| serve.credentials.clone()).map(|path| (path, Kind::Settings)));
    files.extend(named_secrets(config));
    // Listeners may share a file, and what is the certificate of one may be the key of another: it is a secret then.
    let secret: BTreeSet<PathBuf> =
        files.iter().filter(|(_, kind)| *kind == Kind::Secret).map(|(path, _)| path.clone()).collect();
    let mut once = BTreeSet::new();
    files.retain(|(path, _)| once.insert(path.clone()));
    let judged = files.into_iter().filter_map(|(path, kind)| {
        let kind = if secret.contains(&path) { Kind::Secret } else { kind };
        judge(&path, kind)
    });
    let tls = config.serve.iter().filter_map(|serve| serve.tls.as_ref());
    let people: BTreeSet<_> =
        tls.clone().filter_map(|tls| tls.client_ca.as_ref().zip(tls.client_crl.as_ref())).collect();
    let strangers = people.into_iter().filter_map(|(authorities, lists)| nobody(authorities, lists));
    let pairs: BTreeSet<_> = tls.clone().map(|tls| (&tls.certificate, &tls.key)).collect();
    let shown: BTreeSet<_> = tls.map(|tls| &tls.certificate).collect();
    let pairs = pairs.into_iter().filter_map(|(certificate, key)| mismatch(certificate, key));
    let shown = shown.into_iter().filter_map(|certificate| not_now(certificate, now));
    judged.chain(pairs).chain(shown).chain(strangers).chain(log_folder(config)).collect()
}

const MISSING: &str =
    "Put the file where the configuration names it, or mend the key: the program does not start without it.";
const NO_PAIR: &str = "Name the key that the certificate was made for: the program does not start with another.";
const NO_LIST: &str = "Put the lists of these authorities into the file, or name the authorities whose lists these are: without a list \
    of its authority no certificate of a client is taken.";
const NO_FOLDER: &str = "Make the folder for whoever runs the program (`LogsDirectory=waystation` in the systemd unit makes \
    /var/log/waystation): the program does not start without it.";

fn chain(certificate: &Path) -> Option<Vec<CertificateDer<'static>>> {
    CertificateDer::pem_slice_iter(&read_named(certificate, LARGEST).ok()?).collect::<Result<_, _>>().ok()
}

/// A certificate that endpoints refuse for its time. The program starts with it, and says so.
fn not_now(certificate: &Path, now: Timestamp) -> Option<Finding> {
    let read: Vec<_> = chain(certificate)?.iter().filter_map(|one| Certificate::read(one)).collect();
    let bad = read.iter().find(|one| now < one.not_before || one.not_after <= now)?;
    let came = format!("{} holds from {} to {}, which is not now", bad.subject.words, bad.not_before, bad.not_after);
    Some(Finding::fail(Check::TlsTime, &certificate.display().to_string(), "the certificates in it", came))
}

/// A certificate beside another one's key. What cannot be read is told elsewhere.
fn mismatch(certificate: &Path, key: &Path) -> Option<Finding> {
    let chain = chain(certificate)?;
    let secret = PrivateKeyDer::from_pem_slice(&read_named(key, LARGEST).ok()?).ok()?;
    let made = rustls::sign::CertifiedKey::from_der(chain, secret, &rustls::crypto::aws_lc_rs::default_provider());
    let other = matches!(made, Err(rustls::Error::InconsistentKeys(rustls::InconsistentKeys::KeyMismatch)));
    let came = format!("it is not the key of {}", certificate.display());
    let on = key.display().to_string();
    other.then(|| Finding::fail(Check::Secrets, &on, "the certificate's key", came).with_remedy(NO_PAIR))
}

/// Lists of others than the authorities of clients. What cannot be read is told elsewhere.
fn nobody(authorities: &Path, lists: &Path) -> Option<Finding> {
    let names: Vec<_> = chain(authorities)?.iter().filter_map(|one| Certificate::read(one)).collect();
    let pem = read_named(lists, LARGEST_LISTS).ok()?;
    let all: Vec<_> = CertificateRevocationListDer::pem_slice_iter(&pem).collect::<Result<_, _>>().ok()?;
    let read: Vec<_> = all.iter().filter_map(|der| BorrowedCertRevocationList::from_der(der).ok()).collect();
    let mut issuers = read.into_iter().map(CertRevocationList::from).peekable();
    issuers.peek()?;
    let is_ours = |list: CertRevocationList<'_>| names.iter().any(|name| name.subject.der == list.issuer());
    let (on, of) = (lists.display().to_string(), authorities.display());
    let came = format!("no list in it is of an authority in {of}: no client is let in");
    (!issuers.any(is_ours))
        .then(|| Finding::fail(Check::Secrets, &on, "the lists of the authorities", came).with_remedy(NO_LIST))
}

/// The folder of the access log, which nobody makes.
fn log_folder(config: &Config) -> Option<Finding> {
    let path = config.access_log.as_ref()?.path.as_deref()?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty())?;
    let on = folder.display().to_string();
    let came = "there is no such folder for the access log";
    (!folder.is_dir()).then(|| Finding::fail(Check::Secrets, &on, "a folder", came).with_remedy(NO_FOLDER))
}

/// Keys whose value is a secret itself.
const SECRETS: [&str; 1] = ["proxy_password"];

/// Whether a secret stands in a configuration itself.
fn holds_secret(text: &str) -> bool {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    lines.into_iter().any(|line| {
        let mut places = SECRETS.iter().flat_map(|key| line.match_indices(key).map(|(at, key)| at + key.len()));
        // Behind `proxy_password_file` stands a path.
        places.any(|end| line.get(end..).is_some_and(|rest| rest.trim_start_matches(['"', ' ', '\t']).starts_with('=')))
    })
}

/// Keys that end in `_file` name files with secrets, but for the CA.
fn named_secrets(config: &Config) -> Vec<(PathBuf, Kind)> {
    let text = config.canonical();
    let pairs = text.lines().filter_map(|line| line.split_once(" = "));
    let secret = pairs.filter(|(key, _)| key.ends_with("_file") && !key.ends_with("ca_file"));
    let parent = config.file.parent().unwrap_or(Path::new(""));
    secret.map(|(_, value)| (parent.join(value.trim().trim_matches('"')), Kind::Secret)).collect()
}

fn judge(path: &Path, kind: Kind) -> Option<Finding> {
    let on = path.display().to_string();
    let asked = "owner and mode";
    let data = match fs::metadata(path) {
        Ok(data) => data,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Some(Finding::fail(Check::Secrets, &on, asked, error.to_string()).with_remedy(MISSING));
        }
        Err(error) => return Some(Finding::fail(Check::Secrets, &on, asked, error.to_string())),
    };
    let (mode, owner) = (data.mode() & 0o777, data.uid());
    let came = format!("uid {owner}, gid {}, mode {mode:04o}", data.gid());
    let stranger = owner != 0 && owner != platform::uid();
    Some(match kind {
        _ if mode & 0o002 != 0 => Finding::fail(Check::Secrets, &on, asked, format!("{came}: everybody may write it")),
        Kind::Secret if mode & 0o007 != 0 => {
            Finding::fail(Check::Secrets, &on, asked, format!("{came}: everybody may read it"))
        }
        _ if stranger => Finding::warn(Check::Secrets, &on, asked, format!("{came}: it belongs to somebody else")),
        _ => Finding::ok(Check::Secrets, &on, asked, came),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::Level;

    /// 2026-09-21: rcgen's certificates hold from 1975 to 4096.
    const NOW: Timestamp = Timestamp::from_micros(1_790_000_000_000_000);

    #[test]
    fn a_certificate_that_has_not_begun_is_found_and_what_two_listeners_share_is_named_once_v23() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let made = rcgen::generate_simple_self_signed(vec!["mirror".to_owned()]).unwrap();
        fs::write(at("one.pem"), made.cert.pem()).unwrap();
        fs::write(at("one.key"), made.signing_key.serialize_pem()).unwrap();
        fs::set_permissions(at("one.key"), fs::Permissions::from_mode(0o600)).unwrap();
        let listener = |port: u16| {
            format!(
                "[[serve]]\naddress = \"127.0.0.1:{port}\"\n\
                tls = {{ certificate = \"one.pem\", key = \"one.key\" }}\n"
            )
        };
        let text = format!("data_dir = \"data\"\n{}{}", listener(1), listener(2));
        let config = Config::parse(&text, &at("waystation.toml"), &[]).unwrap();
        let found = look(&config, NOW);
        assert_eq!(found.iter().filter(|one| one.on[0].ends_with("one.key")).count(), 1, "{found:?}");
        assert!(found.iter().all(|one| one.level == Level::Ok), "{found:?}");
        fs::write(at("all.pem"), made.cert.pem() + &made.signing_key.serialize_pem()).unwrap();
        fs::set_permissions(at("all.pem"), fs::Permissions::from_mode(0o644)).unwrap();
        let first = listener(1).replace("one.pem", "all.pem");
        let text = format!("data_dir = \"data\"\n{first}{}", listener(2).replace("one.key", "all.pem"));
        let shared = Config::parse(&text, &at("waystation.toml"), &[]).unwrap();
        let open = |one: &&Finding| one.on[0].ends_with("all.pem") && one.came.contains("everybody may read it");
        assert_eq!(look(&shared, NOW).iter().filter(open).count(), 1, "a certificate here is a key there");
        let found = look(&config, Timestamp::from_micros(0));
        let early: Vec<_> = found.iter().filter(|one| one.level == Level::Fail).collect();
        assert!(early.len() == 1 && early[0].check == Check::TlsTime, "{found:?}");
        assert!(early[0].came.contains("holds from 1975-01-01T00:00:00Z"), "{found:?}");
    }

    #[test]
    fn a_configuration_that_holds_a_secret_is_one_s22() {
        for (text, holds) in [
            ("[origin]\nproxy_password = \"hunter2\"\n", true),
            ("origin = { proxy = \"http://a\", \"proxy_password\"=\"hunter2\" }", true),
            ("origin.proxy_password=\"hunter2\"", true),
            ("[origin]\nproxy_password_file = \"secret\"\n", false),
            ("[origin]\n# proxy_password = \"hunter2\"\n", false),
            ("", false),
        ] {
            assert_eq!(holds_secret(text), holds, "{text}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("waystation.toml");
        let text = "data_dir = \"data\"\n[origin]\nproxy = \"http://u@proxy:1\"\nproxy_password = \"hunter2\"\n";
        fs::write(&path, text).unwrap();
        let config = Config::parse(text, &path, &[]).unwrap();
        for (mode, level) in [(0o644, Level::Fail), (0o640, Level::Ok)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(look(&config, NOW)[0].level, level, "{mode:o}");
        }
    }

    #[test]
    fn what_would_keep_the_program_from_starting_is_found_v23_v34() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["one", "other"] {
            let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
            fs::write(at(&format!("{name}.pem")), made.cert.pem()).unwrap();
            fs::write(at(&format!("{name}.key")), made.signing_key.serialize_pem()).unwrap();
            fs::set_permissions(at(&format!("{name}.key")), fs::Permissions::from_mode(0o600)).unwrap();
        }
        fs::write(at("who"), "x").unwrap();
        fs::set_permissions(at("who"), fs::Permissions::from_mode(0o666)).unwrap();
        let text = "data_dir = \"data\"\n[[serve]]\ncredentials = \"who\"\n\
            tls = { certificate = \"one.pem\", key = \"other.key\", client_ca = \"one.pem\", client_crl = \"gone.crl\" }\n\
            [access_log]\npath = \"logs/access.log\"\n";
        let config = Config::parse(text, &at("waystation.toml"), &[]).unwrap();
        let found = look(&config, NOW);
        let told = |end: &str| found.iter().filter(|one| one.level == Level::Fail).find(|one| one.on[0].ends_with(end));
        assert!(told("who").is_some_and(|one| one.came.contains("everybody may write it")), "{found:?}");
        for (end, remedy) in [("gone.crl", MISSING), ("other.key", NO_PAIR), ("logs", NO_FOLDER)] {
            assert_eq!(told(end).map(|one| one.remedy), Some(remedy), "{end}: {found:?}");
        }
        let good = text.replace("other.key", "one.key").replace("gone.crl", "one.pem").replace("logs/", "");
        let config = Config::parse(&good, &at("waystation.toml"), &[]).unwrap();
        fs::set_permissions(at("who"), fs::Permissions::from_mode(0o640)).unwrap();
        assert!(look(&config, NOW).iter().all(|one| one.level != Level::Fail));
    }

    #[test]
    fn lists_of_others_than_the_authorities_of_clients_are_found_v34() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let authority = |name: &str| {
            let mut params = rcgen::CertificateParams::default();
            params.distinguished_name.push(rcgen::DnType::CommonName, name);
            params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
            params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign, rcgen::KeyUsagePurpose::CrlSign];
            let key = rcgen::KeyPair::generate().unwrap();
            fs::write(at(&format!("{name}.pem")), params.self_signed(&key).unwrap().pem()).unwrap();
            let list = rcgen::CertificateRevocationListParams {
                this_update: rcgen::date_time_ymd(2020, 1, 1),
                next_update: rcgen::date_time_ymd(3000, 1, 1),
                crl_number: rcgen::SerialNumber::from(1),
                issuing_distribution_point: None,
                revoked_certs: Vec::new(),
                key_identifier_method: rcgen::KeyIdMethod::Sha256,
            };
            list.signed_by(&rcgen::Issuer::new(params, key)).unwrap().pem().unwrap()
        };
        let (ours, theirs) = (authority("ours"), authority("theirs"));
        for (lists, is_found) in [(&theirs, true), (&(theirs.clone() + &ours), false), (&"cut off".to_owned(), false)] {
            fs::write(at("clients.crl"), lists).unwrap();
            assert_eq!(nobody(&at("ours.pem"), &at("clients.crl")).is_some(), is_found, "{lists}");
        }
        fs::write(at("clients.crl"), &theirs).unwrap();
        let text = "data_dir = \"data\"\n[[serve]]\n\
            tls = { certificate = \"a\", key = \"b\", client_ca = \"ours.pem\", client_crl = \"clients.crl\" }\n";
        let config = Config::parse(text, &at("waystation.toml"), &[]).unwrap();
        assert!(look(&config, NOW).iter().any(|one| one.remedy == NO_LIST && one.came.contains("no client is let in")));
    }

    #[test]
    fn files_that_others_may_read_or_write_are_found_s22() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, "x").unwrap();
        for (mode, kind, level) in [
            (0o600, Kind::Secret, Level::Ok),
            (0o640, Kind::Secret, Level::Ok),
            (0o644, Kind::Secret, Level::Fail),
            (0o644, Kind::Settings, Level::Ok),
            (0o666, Kind::Settings, Level::Fail),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(judge(&path, kind).unwrap().level, level, "{mode:o} {kind:?}");
        }
        assert_eq!(judge(&folder.path().join("none"), Kind::Settings).unwrap().level, Level::Fail);
    }
}
