//! The files beside the configuration that listeners use: looked at every few seconds, taken over when they changed.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::credentials::Credentials;
use crate::stats::{CertificateFacts, Counters, Trouble};
use crate::tls::Certificate;
use crate::watch::Chain;

/// One such file, or what belongs together.
#[derive(Clone)]
pub(crate) enum Kept {
    Certificate(Arc<Certificate>),
    Credentials(Arc<Credentials>),
}

impl Kept {
    fn path(&self) -> &Path {
        match self {
            Self::Certificate(certificate) => certificate.path(),
            Self::Credentials(credentials) => credentials.path(),
        }
    }

    fn look(&self) -> Result<bool, crate::SourceError> {
        Ok(match self {
            Self::Certificate(certificate) => certificate.look()?,
            Self::Credentials(credentials) => credentials.look()?,
        })
    }

    fn facts(&self) -> CertificateFacts {
        match self {
            Self::Certificate(certificate) => certificate.facts(),
            Self::Credentials(credentials) => credentials.facts(),
        }
    }
}

/// Those of all listeners, for whoever looks after them.
#[derive(Default)]
pub(crate) struct KeptFiles {
    all: Mutex<Vec<Kept>>,
}

impl KeptFiles {
    pub(crate) fn replace(&self, all: Vec<Kept>) {
        *self.all.lock().unwrap_or_else(PoisonError::into_inner) = all;
    }

    fn all(&self) -> Vec<Kept> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What is known of each.
    pub(crate) fn facts(&self) -> Vec<CertificateFacts> {
        self.all().iter().map(Kept::facts).collect()
    }

    /// Looks at each.
    pub(crate) fn look(&self, counters: &Counters) {
        for kept in self.all() {
            let path = kept.path().display();
            match kept.look() {
                Ok(false) => {}
                Ok(true) => tracing::info!(%path, "took over a changed certificate or credentials"),
                Err(error) => {
                    counters.trouble(Trouble::TlsRefused);
                    let error = Chain(&error);
                    tracing::error!(%path, %error, "a changed certificate or credentials cannot be used; the old ones are kept");
                }
            }
        }
    }
}
