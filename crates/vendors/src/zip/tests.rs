mod builder;
mod honest;
mod hostile;
mod torn;

use std::io::Cursor;

use super::*;

const CAPS: Caps =
    Caps { entries: 100, name_bytes: 64, member_bytes: 1 << 20, total_bytes: 3 << 20, ratio: 100, folders: true };

/// Every member's name and bytes, each proven; a folder has none.
fn contents(archive: &[u8], caps: &Caps) -> Result<Vec<(String, Vec<u8>)>, ZipError> {
    let mut bytes = Cursor::new(archive);
    let mut archive = Archive::open(&mut bytes, caps)?;
    archive.check_all()?;
    let names: Vec<String> = archive.members().iter().map(|member| member.name.clone()).collect();
    names.into_iter().enumerate().map(|(index, name)| Ok((name, archive.read(index, u64::MAX)?))).collect()
}

#[track_caller]
fn refused(archive: &[u8], expected: model::Reason) {
    match contents(archive, &CAPS) {
        Ok(read) => panic!("taken: {:?}", read.iter().map(|(name, _)| name).collect::<Vec<_>>()),
        Err(error) => assert_eq!(error.reason(), expected, "{error}"),
    }
}
