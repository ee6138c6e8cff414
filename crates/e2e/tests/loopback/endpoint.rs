//! The reference endpoints of the real binary, towards a mirror of the real binary.

mod behind;
mod defender;
mod elastic;
mod swarm;
mod tree;

use std::path::{Path, PathBuf};

use e2e::{Finished, Site};

/// An endpoint's own folder within a site's.
pub(crate) struct Endpoint<'s> {
    site: &'s Site,
    verb: &'static str,
    state: PathBuf,
    more: Vec<String>,
}

impl<'s> Endpoint<'s> {
    /// `endpoint <verb>` with these arguments each time.
    pub(crate) fn new(site: &'s Site, verb: &'static str, more: &[String]) -> Self {
        Self { site, verb, state: site.folder().join(format!("endpoint-{verb}")), more: more.to_vec() }
    }

    /// Runs one of its verbs to its end.
    pub(crate) fn act(&self, verb: &[&str]) -> Finished {
        let more: Vec<&str> = self.more.iter().map(String::as_str).collect();
        self.bare(&[verb, &more].concat())
    }

    /// The same without the arguments.
    pub(crate) fn bare(&self, verb: &[&str]) -> Finished {
        let (first, rest) = verb.split_first().unwrap();
        let state = self.state.to_str().unwrap();
        self.site.act(&[&["endpoint", self.verb, first, "--state", state], rest].concat())
    }
}

/// Writes a file below the site's folder.
pub(crate) fn write(site: &Site, name: &str, text: &str) -> String {
    let path = site.folder().join(name);
    std::fs::write(&path, text).unwrap();
    shown(&path)
}

fn shown(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}
