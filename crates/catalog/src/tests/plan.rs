//! The database finds what is asked for by its indexes, without reading the rest or sorting it.

use model::ReleaseState;
use sqlx::{AssertSqlSafe, Row};

use super::{file, sql};
use crate::ReleaseFilter;
use crate::conformance::sample::feed;
use crate::sql::{raw, releases_query};

#[tokio::test]
async fn releases_are_found_by_index_in_order() {
    let (folder, _catalog) = sql().await;
    let mut connection = raw(&file(&folder)).await;
    let any = ReleaseFilter::default;
    let (one_feed, state) = (Some(feed("elastic/9.0.0")), Some(ReleaseState::Quarantined));
    let version = Some("1.0.7".parse().unwrap());
    for (filter, index) in [
        (any(), "sqlite_autoindex_releases_2 (number<?)"),
        (ReleaseFilter { feed: one_feed.clone(), ..any() }, "releases_by_feed (feed=? AND number<?)"),
        (ReleaseFilter { state, ..any() }, "releases_by_state (state=? AND number<?)"),
        (
            ReleaseFilter { feed: one_feed.clone(), state, ..any() },
            "releases_by_feed_and_state (feed=? AND state=? AND number<?)",
        ),
        (
            ReleaseFilter { feed: one_feed, state, version, ..any() },
            "releases_by_version (feed=? AND version=? AND state=? AND number<?)",
        ),
    ] {
        let (text, words) = releases_query(&filter);
        let query = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {text}"))).bind(1_i64).bind(1_i64);
        let rows = words.into_iter().fold(query, |query, word| query.bind(word)).fetch_all(&mut connection).await;
        let plan: Vec<String> = rows.unwrap().iter().map(|row| row.get("detail")).collect();
        assert_eq!(plan, [format!("SEARCH releases USING INDEX {index}")]);
    }
}

#[tokio::test]
async fn entries_of_a_kind_are_found_by_index() {
    let (folder, _catalog) = sql().await;
    let mut connection = raw(&file(&folder)).await;
    let query = "SELECT MAX(seq) FROM history WHERE kind = $1 AND seq <= $2 GROUP BY subject";
    let rows = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {query}"))).bind("check").bind(9_i64);
    let rows = rows.fetch_all(&mut connection).await.unwrap();
    let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
    assert_eq!(plan, ["SEARCH history USING COVERING INDEX history_by_kind_and_subject (kind=?)"]);
}
