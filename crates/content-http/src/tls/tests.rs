//! What is told and what is taken over of certificates and lists that end apart from one another, or prove nothing.

use std::path::PathBuf;

use model::Timestamp;
use rcgen::{CertificateParams, CertificateRevocationListParams, DnType, Issuer, KeyPair, SerialNumber};

use super::*;
use crate::away::tests::Heard;
use crate::stats::CertificateFacts;

/// From the first day of one year to that of another.
type Years = (i32, i32);

struct Files(tempfile::TempDir);

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

/// An authority of this name, with a key of its own.
fn authority(name: &str, years: Years) -> Authority {
    again(name, years, KeyPair::generate().unwrap())
}

fn again(name: &str, years: Years, key: KeyPair) -> Authority {
    let mut params = of_years(Vec::new(), years);
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let pem = params.self_signed(&key).unwrap().pem();
    Authority { issuer: Issuer::new(params, key), pem }
}

fn of_years(names: Vec<String>, (from, until): Years) -> CertificateParams {
    let mut params = CertificateParams::new(names).unwrap();
    (params.not_before, params.not_after) = (rcgen::date_time_ymd(from, 1, 1), rcgen::date_time_ymd(until, 1, 1));
    params
}

impl Authority {
    fn list(&self, (from, until): Years) -> String {
        let list = CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(from, 1, 1),
            next_update: rcgen::date_time_ymd(until, 1, 1),
            crl_number: SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        list.signed_by(&self.issuer).unwrap().pem().unwrap()
    }
}

impl Files {
    /// A server's certificate of `issuer` behind which this stands.
    fn new(issuer: &Authority, years: Years, behind: &str) -> Self {
        let files = Self(tempfile::tempdir().unwrap());
        let key = KeyPair::generate().unwrap();
        let leaf = of_years(vec!["mirror".to_owned()], years).signed_by(&key, &issuer.issuer).unwrap().pem();
        files.write("tls.key", &key.serialize_pem());
        files.write("tls.crt", &(leaf.clone() + behind));
        files.write("leaf", &leaf);
        files
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.at(name), text).unwrap();
    }

    fn load(&self) -> Certificate {
        let at = |name: &str| Some(self.at(name)).filter(|path| path.exists());
        let (certificate, key) = (self.at("tls.crt"), self.at("tls.key"));
        let settings = TlsSettings { certificate, key, client_ca: at("ca.crt"), client_crl: at("clients.crl") };
        Certificate::load(&settings, &Shelf::default(), year(2025)).unwrap()
    }
}

fn year(year: i32) -> Timestamp {
    Timestamp::parse(&format!("{year}-01-02T00:00:00Z")).unwrap()
}

/// The year in which what is shown of a file ends, and whose it is.
fn shown(facts: &[CertificateFacts], kind: FileKind) -> (String, String) {
    let facts = facts.iter().find(|facts| facts.kind == kind).unwrap();
    let end = facts.not_after.unwrap().to_string();
    (end.get(..4).unwrap().to_owned(), facts.whose.clone().unwrap_or_default())
}

fn is(one: &(String, String), end: &str, whose: &str) {
    assert!(one.0 == end && one.1.contains(whose) && one.1.is_empty() == whose.is_empty(), "{one:?}");
}

#[test]
fn what_ended_behind_a_certificate_hides_no_end_of_its_own_v23() {
    let (issuer, cross) = (authority("Issuing", (2000, 2040)), authority("Cross", (2000, 2024)));
    let certificate = Files::new(&issuer, (2020, 2030), &(issuer.pem.clone() + &cross.pem)).load();
    let at = |moment: i32| shown(&certificate.facts(([127, 0, 0, 1], 1).into(), year(moment)), FileKind::Certificate);
    is(&at(2023), "2024", "Cross");
    is(&at(2025), "2030", "");
    is(&at(2031), "2030", "");
    let next =
        |moment| shown(&certificate.first_after(([127, 0, 0, 1], 1).into(), year(moment)), FileKind::Certificate);
    is(&next(2023), "2024", "Cross");
    is(&next(2029), "2030", "");
    is(&next(2031), "2040", "Issuing");
    // Nothing else stands for who issued it.
    let ended = again("Issuing", (2000, 2024), KeyPair::generate().unwrap());
    let certificate = Files::new(&ended, (2020, 2030), &ended.pem).load();
    let facts = certificate.facts(([127, 0, 0, 1], 1).into(), year(2025));
    is(&shown(&facts, FileKind::Certificate), "2024", "Issuing");
}

#[test]
fn the_end_of_each_authoritys_list_is_told_with_its_name_v34() {
    let (one, other, past) =
        (authority("One", (2000, 2040)), authority("Other", (2000, 2040)), authority("Past", (2000, 2022)));
    let files = Files::new(&one, (2020, 2030), "");
    files.write("ca.crt", &[&*one.pem, &other.pem, &past.pem].concat());
    files.write("clients.crl", &[past.list((2020, 2023)), one.list((2020, 2026)), other.list((2020, 2028))].concat());
    let certificate = files.load();
    let at = |moment: i32| shown(&certificate.facts(([127, 0, 0, 1], 1).into(), year(moment)), FileKind::ClientCrl);
    is(&at(2025), "2026", "One");
    is(&at(2027), "2026", "One");
    is(&at(2029), "2028", "Other");
    let next = certificate.first_after(([127, 0, 0, 1], 1).into(), year(2027));
    is(&shown(&next, FileKind::ClientCrl), "2028", "Other");
    let facts = certificate.facts(([127, 0, 0, 1], 1).into(), year(2025));
    is(&shown(&facts, FileKind::ClientCa), "2040", "O");
}

#[test]
fn a_chain_whose_issuer_has_ended_takes_no_place_of_one_that_holds_v23() {
    let key = KeyPair::generate().unwrap().serialize_pem();
    let made = |years| again("Issuing", years, KeyPair::from_pem(&key).unwrap());
    let (holds, ended, cross) = (made((2000, 2040)), made((2000, 2024)), authority("Cross", (2000, 2024)));
    let files = Files::new(&holds, (2020, 2030), &holds.pem);
    let leaf = std::fs::read_to_string(files.at("leaf")).unwrap();
    let certificate = files.load();
    files.write("tls.crt", &(leaf.clone() + &ended.pem));
    let news = certificate.look(year(2025));
    assert!(matches!(&news[..], [News::Refused(why)] if why.contains("who issued the first")), "{news:?}");
    // Another one stands for that name, and what ended further up is no harm.
    files.write("tls.crt", &[&*leaf, &ended.pem, &holds.pem, &cross.pem].concat());
    let news = certificate.look(year(2025));
    assert!(matches!(&news[..], [News::TakenOver(_)]), "{news:?}");
}

#[test]
fn a_list_that_no_authority_signed_takes_no_place_of_one_that_proves_v34() {
    let ours = authority("Fleet Root", (2000, 2040));
    let impostor = authority("Fleet Root", (2000, 2040));
    let files = Files::new(&ours, (2020, 2030), "");
    files.write("ca.crt", &ours.pem);
    files.write("clients.crl", &ours.list((2020, 2030)));
    let certificate = files.load();
    let shut_out = |certificate: &Certificate| {
        let facts = certificate.facts(([127, 0, 0, 1], 1).into(), year(2025));
        facts.iter().find_map(|facts| facts.nobody.clone())
    };
    assert_eq!(shut_out(&certificate), None);
    files.write("clients.crl", &impostor.list((2020, 2031)));
    let news = certificate.look(year(2025));
    assert!(matches!(&news[..], [News::Refused(why)] if why.contains("no authority of that name")), "{news:?}");
    // Nor does another key of the authority's name, beside which the list in use proves nothing.
    files.write("clients.crl", &ours.list((2020, 2030)));
    files.write("ca.crt", &impostor.pem);
    let news = certificate.look(year(2025));
    assert!(matches!(&news[..], [News::Refused(why)] if why.contains("no authority of that name")), "{news:?}");
    assert_eq!(shut_out(&certificate), None);
    // Both at once are another authority, and a start has nothing else.
    files.write("clients.crl", &impostor.list((2020, 2030)));
    let news = certificate.look(year(2025));
    assert!(matches!(&news[..], [News::TakenOver(_)]), "{news:?}");
    files.write("ca.crt", &ours.pem);
    let heard = Heard::default();
    let started = tracing::subscriber::with_default(heard.clone(), || files.load());
    assert!(shut_out(&started).is_some_and(|why| why.contains("was not signed")), "{}", heard.text());
    assert!(heard.text().contains("was not signed by an authority of that name"), "{}", heard.text());
}

#[test]
fn an_issuer_below_an_authority_whose_list_is_gone_is_named_v34() {
    let (root, issuing, other) =
        (authority("Root", (2000, 2040)), authority("Issuing", (2000, 2040)), authority("Stranger", (2000, 2040)));
    let files = Files::new(&root, (2020, 2030), "");
    files.write("ca.crt", &root.pem);
    files.write("clients.crl", &(root.list((2020, 2030)) + &issuing.list((2020, 2030))));
    let certificate = files.load();
    files.write("clients.crl", &(root.list((2020, 2030)) + &other.list((2020, 2030))));
    let heard = Heard::default();
    let news = tracing::subscriber::with_default(heard.clone(), || certificate.look(year(2025)));
    assert!(matches!(&news[..], [News::TakenOver(_)]), "{news:?}");
    let told = heard.text();
    assert!(told.contains("have no list any more") && told.contains("Issuing") && !told.contains("Root"), "{told}");
}
