//! The CA that vouches for the mirror, as a setting and for each system's own store.

use super::System;

/// The most bytes of a file of CAs: a policy carries it for each system.
const LARGEST: usize = 64 << 10;
const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Certificates as PEM, and nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaFile(String);

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
