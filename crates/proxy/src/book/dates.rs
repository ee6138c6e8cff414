//! The dates that were told of paths: where one stood still while the bytes changed, it is not told again, by whichever
//! process.

use std::collections::BTreeMap;

use model::{Digest, RoutePath, Timestamp};
use platform::fs::Mode;
use platform::lock::FileLock;
use serde::{Deserialize, Serialize};

use super::{Book, BookError, LOCK};

const DATES: &str = "dates.json";

/// What was told of a path last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Told {
    /// Of which bytes.
    pub(crate) digest: Digest,
    /// Whether their own date was told.
    pub(crate) dated: bool,
    /// The latest date that was ever told there.
    pub(crate) latest: Option<Timestamp>,
}

pub(crate) type AllTold = BTreeMap<RoutePath, Told>;

/// As it is written down.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Dates {
    /// Counts up when what is written here changes its form.
    form: u32,
    told: Vec<(RoutePath, Told)>,
}

impl Book {
    /// What was told of paths.
    ///
    /// # Errors
    /// [`BookError`] when that cannot be read.
    pub(crate) fn told(&self) -> Result<AllTold, BookError> {
        let Some(text) = self.text(DATES)? else { return Ok(AllTold::new()) };
        let dates: Option<Dates> = serde_json::from_str(&text).ok();
        let dates = dates.filter(|dates| dates.form <= 1).ok_or_else(|| self.damaged(DATES))?;
        Ok(dates.told.into_iter().collect())
    }

    /// Keeps what was told of paths.
    ///
    /// # Errors
    /// [`BookError`] when that cannot be written.
    pub(crate) fn keep_told(&self, told: &AllTold) -> Result<(), BookError> {
        let folder = self.folder()?;
        let _lock = FileLock::acquire_blocking_in(&folder, LOCK)?;
        let told = told.iter().map(|(path, told)| (path.clone(), told.clone())).collect();
        let text = serde_json::to_string(&Dates { form: 1, told })?;
        Ok(folder.write_atomic(DATES, text.as_bytes(), Mode::PRIVATE_FILE)?)
    }
}
