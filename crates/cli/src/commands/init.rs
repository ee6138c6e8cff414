//! `waystation init`.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Component, Path, PathBuf};

use clap::Args;
use platform::fs::{Mode, create_folder, write_atomic};

use crate::context::Context;
use crate::failure::{Exit, Failure};

const NAME: &str = "waystation.toml";

/// Writes a configuration with every key, its meaning and its default
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  waystation init /etc/waystation

Exit codes:
  0  written
  1  there is a file already (--force replaces it), or it cannot be written
  2  wrong usage")]
pub(crate) struct Init {
    /// A file that ends in .toml, or a folder for waystation.toml, made where it is missing; else what --config
    /// names, else ./waystation.toml
    path: Option<PathBuf>,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

pub(crate) fn run(args: &Init, context: &mut Context) -> Result<Exit, Failure> {
    let named = args.path.clone().or_else(|| context.globals.config.clone());
    let mut path = named.clone().unwrap_or_else(|| PathBuf::from(NAME));
    // What --config names is a file for every other verb, whatever it ends in.
    if path.is_dir() || args.path.as_deref().is_some_and(|path| !names_file(path)) {
        make_folder(&path)?;
        // As a person would write it: without `./` and doubled slashes.
        path = path.components().filter(|part| *part != Component::CurDir).collect();
        path.push(NAME);
    }
    let shown = path.display().to_string();
    if args.force { replace(&path) } else { create(&path) }?;
    let option = if named.is_some() { format!(" --config {shown}") } else { String::new() };
    let out = &mut context.out;
    out.line(format!("wrote {shown}"))?;
    out.line("next:")?;
    out.line("  1. edit it: data_dir, and the versions and platforms of your fleet under [elastic] and [defender]")?;
    out.line(format!("  2. waystation{option} sync --plan   shows what would be fetched"))?;
    out.line(format!("  3. waystation{option} run           fetches on schedule and serves"))?;
    Ok(Exit::DONE)
}

/// Whether a path that may not exist yet is meant as a file: nothing else tells `/etc/waystation` from one.
fn names_file(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(b".toml")
}

/// Whether a path says by its last character that it is a folder.
fn is_spelled_as_folder(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().ends_with(b"/")
}

/// Makes a folder and those above it, where they are missing.
fn make_folder(path: &Path) -> Result<(), Failure> {
    if path.exists() && !path.is_dir() {
        let message = format!("{} is a file; name a folder, or a file that ends in .toml", path.display());
        return Err(Failure::usage(message));
    }
    if let Some(ending) = path.extension().filter(|_| !path.exists() && !is_spelled_as_folder(path)) {
        let (shown, ending) = (path.display(), ending.to_string_lossy());
        return Err(Failure::usage(format!(
            "{shown} ends in .{ending} as a file does: name a file that ends in .toml, or write {shown}/ to have that folder made"
        )));
    }
    let mut missing: Vec<&Path> = path.ancestors().take_while(|path| !path.exists()).collect();
    // A relative path's last ancestor is nothing, which is where we stand.
    missing.retain(|path| !path.as_os_str().is_empty());
    for folder in missing.into_iter().rev() {
        create_folder(folder, Mode::FOLDER)
            .map_err(|error| Failure::new(&format!("cannot make {}", folder.display()), &error))?;
    }
    Ok(())
}

fn create(path: &Path) -> Result<(), Failure> {
    let failed = |error: io::Error| {
        let failure = Failure::new(&format!("cannot write {}", path.display()), &error);
        match error.kind() {
            io::ErrorKind::AlreadyExists => failure.with_next("--force replaces it"),
            _ => failure,
        }
    };
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    file.write_all(config::template().as_bytes()).and_then(|()| file.sync_all()).map_err(|error| {
        // Half a configuration is worse than none.
        let _ = fs::remove_file(path);
        failed(error)
    })
}

fn replace(path: &Path) -> Result<(), Failure> {
    let wrong = || Failure::usage(format!("{} does not name a file", path.display()));
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(wrong)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    write_atomic(parent, name, config::template().as_bytes(), Mode::FILE)
        .map_err(|error| Failure::new(&format!("cannot write {}", path.display()), &error))
}
