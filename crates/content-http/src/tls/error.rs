//! What can be wrong with the files of a TLS listener, in words that name file and remedy.

use std::path::{Path, PathBuf};

use model::Timestamp;
use rustls::{Error, InconsistentKeys};

/// Why certificate, key or client authorities cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}, its {key}")]
    Read {
        /// Which.
        path: PathBuf,
        /// The key that names it.
        key: &'static str,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// A file is longer than anything that belongs there.
    #[error("{path} is larger than {most} bytes, the most that is read; split off what is not needed in it")]
    TooLong {
        /// Which.
        path: PathBuf,
        /// How many bytes are read.
        most: u64,
    },
    /// A file holds no usable PEM block of the kind that belongs there.
    #[error("{path} holds no usable {what} in PEM form{instead}")]
    Pem {
        /// Which.
        path: PathBuf,
        /// What should be in it.
        what: &'static str,
        /// What was seen in it instead, with what to do, to follow such a sentence.
        instead: &'static str,
    },
    /// A key that a passphrase protects.
    #[error(
        "{path} is protected by a passphrase, which nobody is there to type; write it without, for its owner alone: \
         openssl pkey -in {path} -out plain.key"
    )]
    Encrypted {
        /// Which.
        path: PathBuf,
    },
    /// A file is in DER, the binary form.
    #[error("{path} is in DER form; write it as PEM: openssl {command} -inform DER -in {path} -out new.pem")]
    Der {
        /// Which.
        path: PathBuf,
        /// What of openssl reads it.
        command: &'static str,
    },
    /// A file ends within the line that begins or ends a PEM block.
    #[error("{path} was cut off: it ends in the middle of a PEM block; write it whole, beside it, and rename it")]
    Cut {
        /// Which.
        path: PathBuf,
    },
    /// The key is another certificate's.
    #[error("{key} is not the key of {certificate}")]
    Mismatch {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's.
        key: PathBuf,
    },
    /// The key is that of a certificate further down in the file.
    #[error(
        "{key} is the key of a later certificate in {certificate}: the server's own stands first, then whose issued it"
    )]
    Order {
        /// The certificates' file.
        certificate: PathBuf,
        /// The key's.
        key: PathBuf,
    },
    /// An RSA key that is too short for anybody to believe in.
    #[error("the RSA key of {certificate} has {bits} bits, and 2048 are the fewest that are used; make a new key")]
    Short {
        /// The certificate's file.
        certificate: PathBuf,
        /// How many.
        bits: usize,
    },
    /// An X.509 certificate of version 1, which has no names that clients look at.
    #[error(
        "{certificate} is a certificate of version 1; make one with extensions (subjectAltName), which are version 3"
    )]
    Version {
        /// The certificate's file.
        certificate: PathBuf,
    },
    /// A certificate or list that holds was to be replaced by one that does not.
    #[error("{path} holds from {from} until {until}{whose}, which is not now; the one in use does, and is kept")]
    NotNow {
        /// The file of the certificate or the list.
        path: PathBuf,
        /// When the new one begins.
        from: Timestamp,
        /// When the new one ends.
        until: Timestamp,
        /// Whose it is where that is to be said, to follow such a sentence.
        whose: String,
    },
    /// Lists of our authorities were to be replaced by those of others alone.
    #[error(
        "{path} holds no list of an authority in {client_ca}, but of {whose}: no client would be let in; the one in use is kept"
    )]
    Strangers {
        /// The file of the lists.
        path: PathBuf,
        /// That of the authorities.
        client_ca: PathBuf,
        /// Whose lists these are.
        whose: String,
    },
    /// A list in the name of one of our authorities was to take the place of one that the authority signed.
    #[error(
        "{path} holds a list in the name of {whose} that no authority of that name in {client_ca} signed: nobody of whom it speaks would be let in; the one in use is kept"
    )]
    Unsigned {
        /// The file of the lists.
        path: PathBuf,
        /// That of the authorities.
        client_ca: PathBuf,
        /// In whose name it is.
        whose: String,
    },
    /// Certificate and key are of a kind that is not supported.
    #[error("certificate {certificate} and its key {key} cannot be used together")]
    Pair {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's.
        key: PathBuf,
        /// What is wrong.
        #[source]
        source: Error,
    },
    /// The client authorities or their revocation lists cannot be used.
    #[error("client authorities in {path}, or their revocation lists, cannot be used")]
    ClientCa {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: rustls::server::VerifierBuilderError,
    },
}

impl TlsError {
    /// The file in which something is wrong; none where it lies between two.
    pub(super) fn file(&self) -> Option<&Path> {
        match self {
            Self::Read { path, .. } | Self::TooLong { path, .. } | Self::Pem { path, .. } => Some(path),
            Self::Cut { path } | Self::Encrypted { path } | Self::Der { path, .. } => Some(path),
            Self::NotNow { path, .. } | Self::Strangers { path, .. } | Self::Unsigned { path, .. } => Some(path),
            Self::Version { certificate } | Self::Short { certificate, .. } | Self::Order { certificate, .. } => {
                Some(certificate)
            }
            Self::Mismatch { .. } | Self::Pair { .. } | Self::ClientCa { .. } => None,
        }
    }

    /// Why a file holds none of what belongs there.
    pub(super) fn no_pem(bytes: &[u8], path: &Path, what: &'static str) -> Self {
        const SEQUENCE_OF_SOME_LENGTH: [&[u8]; 3] = [&[0x30, 0x81], &[0x30, 0x82], &[0x30, 0x83]];
        let (path, holds) = (path.to_owned(), |mark: &[u8]| bytes.windows(mark.len()).any(|part| part == mark));
        if SEQUENCE_OF_SOME_LENGTH.iter().any(|mark| bytes.starts_with(mark)) {
            let command = match what {
                "private key" => "pkey",
                "revocation list" => "crl",
                _ => "x509",
            };
            return Self::Der { path, command };
        }
        if what == "private key" && (holds(b"ENCRYPTED PRIVATE KEY") || holds(b"Proc-Type: 4,ENCRYPTED")) {
            return Self::Encrypted { path };
        }
        let instead = if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
            ": it is written in UTF-16, as Windows does; save it as ASCII or UTF-8"
        } else if holds(b"BEGIN TRUSTED CERTIFICATE") {
            ": a TRUSTED CERTIFICATE is openssl's own form; write it anew with openssl x509 -in old.pem -out new.pem"
        } else {
            ""
        };
        Self::Pem { path, what, instead }
    }

    /// Why rustls does not take this pair.
    pub(super) fn of_pair(paths: &super::pair::Paths, leaf: Option<&[u8]>, source: Error) -> Self {
        const FEWEST_BITS: usize = 2048;
        let (certificate, key) = (paths.certificate.clone(), paths.key.clone());
        if let Some(bits) = leaf.and_then(crate::expiry::rsa_bits).filter(|bits| *bits < FEWEST_BITS) {
            return Self::Short { certificate, bits };
        }
        match source {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Self::Mismatch { certificate, key },
            _ if leaf.is_some_and(crate::expiry::is_version_1) => Self::Version { certificate },
            source => Self::Pair { certificate, key, source },
        }
    }
}
