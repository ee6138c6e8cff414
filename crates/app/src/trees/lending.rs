//! What the store lost and a ring's folder still has.
//!
//! A publication leaves out what is not held, and `_back` goes on to an older release: what a folder still has whole goes
//! back into the store first. Its digest proves it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use blob_store::Expected;
use mirror::{Engine, EngineError};
use model::{Digest, Route, RoutePath};
use platform::fs::Folder;
use tokio::io::AsyncReadExt as _;

/// How much of a file is read at once.
const READ: usize = 256 << 10;

/// Gives the store what the engine's ring serves and it holds no longer, as far as the ring's folder `root` has it; how
/// many files.
pub(super) async fn given_back(root: &Path, engine: &Engine) -> Result<usize, EngineError> {
    let current = engine.ports().rings.current(&engine.settings().ring).await?;
    match current {
        Some(current) => given(root, &current.generation.routes, engine).await,
        None => Ok(0),
    }
}

/// The same for what these routes name.
pub(super) async fn given(
    root: &Path,
    routes: &BTreeMap<RoutePath, Route>,
    engine: &Engine,
) -> Result<usize, EngineError> {
    let (ports, Ok(root)) = (engine.ports(), Folder::open(root)) else { return Ok(0) };
    let digests: Vec<Digest> = routes.values().map(|route| route.digest).collect();
    let held = ports.blobs.find_all(&digests).await?;
    let mut given = 0;
    for ((path, route), _) in routes.iter().zip(held).filter(|(_, held)| held.is_none()) {
        let opened = root.open_regular(path.as_str().trim_start_matches('/')).ok();
        if let Some((file, _)) = opened.filter(|(_, size)| *size == route.size) {
            given += usize::from(lent(file, route, engine).await.is_some());
        }
    }
    Ok(given)
}

/// It is a help: what it fails for, the next publication meets again and tells.
async fn lent(file: File, route: &Route, engine: &Engine) -> Option<()> {
    let mut file = tokio::fs::File::from_std(file);
    let mut writer = engine.ports().blobs.begin(None).await.ok()?;
    loop {
        let mut chunk = vec![0; READ];
        match file.read(&mut chunk).await.ok()? {
            0 => break,
            read => chunk.truncate(read),
        }
        writer.write(chunk.into()).await.ok()?;
    }
    let expected = Expected { digest: Some(route.digest), size: Some(route.size) };
    writer.finish(expected).await.ok().map(drop)
}
