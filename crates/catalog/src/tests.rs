//! Both implementations through the suite, and what only one of them has.

mod chain;
mod damage;
mod file;
mod layout;
mod plan;

use std::path::PathBuf;

use tempfile::TempDir;

use crate::{MemoryCatalog, SqlCatalog};

fn file(folder: &TempDir) -> PathBuf {
    folder.path().join("catalog").join("catalog.sqlite3")
}

async fn sql() -> (TempDir, SqlCatalog) {
    let folder = TempDir::new().unwrap();
    let catalog = SqlCatalog::open(&file(&folder)).await.unwrap();
    (folder, catalog)
}

mod in_a_database {
    crate::conformance_suite!(super::sql());
}

mod in_memory {
    crate::conformance_suite!(async { ((), super::MemoryCatalog::new()) });
}

/// Two catalogs that know nothing of each other but the file, as two processes do.
mod in_two_processes {
    use std::sync::Arc;

    use super::{SqlCatalog, file, sql};
    use crate::conformance;

    macro_rules! shared {
        ($($name:ident)*) => { $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let (folder, one) = sql().await;
                let other = SqlCatalog::open(&file(&folder)).await.unwrap();
                conformance::$name(Arc::new(one), Arc::new(other)).await;
            }
        )* };
    }
    shared!(a_visit_lets_writers_through concurrent_writers_lose_nothing release_numbers_are_given_once reservations_wait_for_a_sweep_s26);
}
