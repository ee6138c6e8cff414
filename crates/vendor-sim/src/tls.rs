//! Hosts behind TLS, with every certificate that should be refused and every way to break a record.

mod authority;
mod front;
mod lying_key;

pub use authority::{CertificateFault, Identity, IdentityError};
pub use front::{TlsFault, TlsFront};
