//! Reading PEM files: whole, or not at all.

use std::io::Read;
use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::TlsError;
use super::part::Bytes;

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// A file that a part is made of.
pub(super) struct Named<'a> {
    /// The key that names it.
    pub(super) key: &'static str,
    pub(super) path: &'a Path,
    /// The most that is read of it.
    pub(super) most: u64,
}

impl Named<'_> {
    /// Reads the whole file, or refuses it: what is cut off in silence would be judged by its beginning. A byte order mark
    /// says nothing, and hides the first block from whoever reads PEM.
    pub(super) fn read(&self) -> Result<Bytes, TlsError> {
        let (path, most) = (self.path, self.most);
        let wrap = |source| TlsError::Read { path: path.to_owned(), key: self.key, source };
        let (file, _) = platform::fs::open_named(path).map_err(wrap)?;
        let mut bytes = Vec::new();
        file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(wrap)?;
        if bytes.len() as u64 > most {
            return Err(TlsError::TooLong { path: path.to_owned(), most });
        }
        Ok(bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes).into())
    }
}

pub(super) fn certificates(pem: &[u8], path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bad = || TlsError::no_pem(pem, path, "certificate");
    whole(pem, path)?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(|_| bad())?;
    if found.is_empty() { Err(bad()) } else { Ok(found) }
}

/// Refuses a file that ends within the line that begins a block: whoever reads PEM takes that for text between blocks.
pub(super) fn whole(pem: &[u8], path: &Path) -> Result<(), TlsError> {
    let is_whole = |line: &[u8]| line.len() > 10 && line.ends_with(b"-----");
    let mut behind = pem.split(|byte| *byte == b'\n').rev().map(<[u8]>::trim_ascii);
    let cut_short = behind.next().is_some_and(|last| last.starts_with(b"-") && !is_whole(last));
    let mut behind = behind.take_while(|line| !line.starts_with(b"-----END"));
    if cut_short || behind.any(|line| line.starts_with(b"-----") && !is_whole(line)) {
        return Err(TlsError::Cut { path: path.to_owned() });
    }
    Ok(())
}
