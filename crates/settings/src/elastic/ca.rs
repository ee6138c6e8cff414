//! The CA that vouches for the mirror, as a setting and for each system's own store.

use model::Timestamp;

use super::System;
use crate::{Check, Finding};

/// The most bytes of a file of CAs: a policy carries it for each system.
const LARGEST: usize = 64 << 10;
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Certificates as PEM, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaFile(String);

/// What is known of one certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaCertificate {
    /// Whose it is.
    pub name: String,
    /// From when it is valid.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Whether it may issue others; none where it is of a version that does not say.
    pub is_ca: Option<bool>,
}

impl CaCertificate {
    /// What keeps endpoints from trusting a mirror by these certificates. One that is good is enough.
    pub fn look(all: &[Self], now: Timestamp) -> Vec<Finding> {
        let mut found = Vec::new();
        let out_of_date = |one: &Self| now < one.from || now >= one.until;
        let tell = |check, told: &dyn Fn(&Self) -> String| {
            let seen: Vec<String> = all.iter().map(told).collect();
            Finding::new(check, "ca_cert", seen.join("; "))
        };
        if all.iter().all(out_of_date) {
            found.push(tell(Check::CaOutOfDate, &|one| format!("{}: {} to {}", one.name, one.from, one.until)));
        }
        if all.iter().all(|one| one.is_ca == Some(false)) {
            found.push(tell(Check::CaIsNone, &|one| one.name.clone()));
        }
        found
    }
}

/// Why a file is no file of CAs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CaError {
    /// It holds a private key, which would go to every endpoint.
    #[error("it holds a private key: it must never leave its server; give a file with certificates alone")]
    Key,
    /// It holds no certificate.
    #[error("it holds no certificate: PEM with {BEGIN} is meant (DER: `openssl x509 -inform der -in FILE`)")]
    Empty,
    /// A certificate in it is broken.
    #[error("certificate {0} in it is broken: it has no end, or other characters than base64")]
    Broken(usize),
    /// It is too large for a policy.
    #[error("it has more than {LARGEST} bytes: give the CA alone, not a whole store")]
    TooLarge,
}

impl CaFile {
    /// Takes the certificates out of a file; comments around them stay behind.
    ///
    /// # Errors
    /// [`CaError`] when endpoints should not be given it.
    pub fn read(text: &str) -> Result<Self, CaError> {
        if text.len() > LARGEST {
            return Err(CaError::TooLarge);
        }
        if text.contains("PRIVATE KEY") {
            return Err(CaError::Key);
        }
        let mut pem = String::new();
        let mut count = 0;
        for piece in text.split(BEGIN).skip(1) {
            count += 1;
            let (body, _) = piece.split_once(END).ok_or(CaError::Broken(count))?;
            let lines: Vec<&str> = body.split_whitespace().collect();
            let base64 = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '/' | '=');
            if lines.is_empty() || !lines.iter().all(|line| line.chars().all(base64)) {
                return Err(CaError::Broken(count));
            }
            pem.push_str(&format!("{BEGIN}\n{}\n{END}\n", lines.join("\n")));
        }
        if count == 0 { Err(CaError::Empty) } else { Ok(Self(pem)) }
    }

    /// The certificates, as a setting takes them.
    pub fn pem(&self) -> &str {
        &self.0
    }

    /// How a system's own store is made to trust them; `file` is their file on the endpoint.
    pub fn install(system: System, file: &str) -> Vec<String> {
        let lines: &[&str] = match system {
            System::Linux => &[
                "# Debian, Ubuntu",
                "sudo install -m 0644 {file} /usr/local/share/ca-certificates/waystation-mirror.crt",
                "sudo update-ca-certificates",
                "# Red Hat, Fedora, Amazon Linux",
                "sudo install -m 0644 {file} /etc/pki/ca-trust/source/anchors/waystation-mirror.pem",
                "sudo update-ca-trust extract",
                "# SUSE",
                "sudo install -m 0644 {file} /etc/pki/trust/anchors/waystation-mirror.pem",
                "sudo update-ca-certificates",
            ],
            System::Mac => &[
                "sudo security add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain {file}",
                "# managed: a configuration profile with a payload of type com.apple.security.pem",
            ],
            System::Windows => &[
                "Import-Certificate -FilePath {file} -CertStoreLocation Cert:\\LocalMachine\\Root",
                "# without PowerShell: certutil -addstore -f Root {file}",
                "# managed: Group Policy, Computer Configuration > Policies > Windows Settings > Security Settings > \
                 Public Key Policies > Trusted Root Certification Authorities",
            ],
        };
        lines.iter().map(|line| line.replace("{file}", file)).collect()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_ca_that_is_over_and_a_certificate_that_is_no_ca_are_told() {
        let at = Timestamp::from_micros;
        let one = |until: i64, is_ca| CaCertificate { name: "corp".to_owned(), from: at(10), until: at(until), is_ca };
        let look = |all: &[CaCertificate], now| {
            CaCertificate::look(all, at(now)).iter().map(|found| found.check.code()).collect::<Vec<_>>()
        };
        assert_eq!(look(&[one(20, Some(true))], 15), [""; 0]);
        assert_eq!(look(&[one(20, None)], 20), ["ca_out_of_date"]);
        assert_eq!(look(&[one(20, Some(true))], 9), ["ca_out_of_date"]);
        assert_eq!(look(&[one(20, Some(false))], 15), ["ca_is_none"]);
        assert_eq!(look(&[one(20, Some(true)), one(40, Some(false))], 30), [""; 0], "one of them will do");
    }

    #[test]
    fn certificates_alone_go_to_endpoints_i13() {
        let good = format!("subject=corp\r\n{BEGIN}\r\nMIIB\r\nAAA=\r\n{END}\r\n");
        assert_eq!(CaFile::read(&good).unwrap().pem(), format!("{BEGIN}\nMIIB\nAAA=\n{END}\n"));
        let key = format!("{good}-----BEGIN EC PRIVATE KEY-----\nMIIB\n-----END EC PRIVATE KEY-----\n");
        assert_eq!(CaFile::read(&key), Err(CaError::Key));
        assert_eq!(CaFile::read("0\u{82}"), Err(CaError::Empty));
        assert_eq!(CaFile::read(&format!("{BEGIN}\nMI")), Err(CaError::Broken(1)));
        assert_eq!(CaFile::read(&format!("{good}{BEGIN}\n$(id)\n{END}")), Err(CaError::Broken(2)));
        assert_eq!(CaFile::read(&good.repeat(5_000)), Err(CaError::TooLarge));
    }
}
