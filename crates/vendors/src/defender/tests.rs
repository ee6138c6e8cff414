mod documents;
mod inspections;
mod layout;
mod runs;

use std::io::{Cursor, Write as _};

use super::*;

fn place(feed: &str) -> Place {
    Place::of(&feed.parse().unwrap()).unwrap()
}

/// An archive with members of these names.
fn archive(names: &[&str]) -> Vec<u8> {
    let mut writer = ::zip::ZipWriter::new(Cursor::new(Vec::new()));
    for name in names {
        let options = ::zip::write::SimpleFileOptions::default();
        match name.strip_suffix('/') {
            Some(folder) => writer.add_directory(folder, options).unwrap(),
            None => {
                writer.start_file(name, options).unwrap();
                writer.write_all(name.repeat(20).as_bytes()).unwrap();
            }
        }
    }
    writer.finish().unwrap().into_inner()
}
