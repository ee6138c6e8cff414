//! What every catalog must do, as tests that each implementation runs.
//!
//! [`conformance_suite!`](crate::conformance_suite) makes one test of each; each wants a catalog that holds
//! nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod blobs;
mod history;
mod letting_go;
mod look_back;
mod publications;
mod releases;
pub(crate) mod sample;
mod visits;
mod writers;

pub use blobs::{
    a_failed_removal_ends_the_sweep, a_large_sweep_counts_every_blob, a_sweep_keeps_what_is_in_use_s26,
    reservations_end_with_their_holder, reservations_wait_for_a_sweep_s26,
};
pub use history::{
    an_empty_history_is_whole, data_is_recorded_as_canonical_text, history_is_numbered_and_chained,
    history_is_read_in_pages, the_writing_of_an_actor_and_a_subject_is_kept,
};
pub use letting_go::{
    old_entries_go_behind_an_anchor, what_is_not_as_meant_is_not_let_go, what_was_let_go_takes_only_what_is_over,
};
pub use look_back::{
    a_sound_catalog_is_found_sound, entries_are_found_by_filter, entries_on_a_release_carry_its_number,
    the_last_entry_on_each_subject_is_found, time_is_counted_from_entry_to_entry_s28,
};
pub use publications::{
    a_batch_is_all_or_nothing, a_feed_is_as_last_recorded, a_host_wait_is_as_last_recorded, feeds_come_in_name_order,
    publications_are_open_until_closed,
};
pub use releases::{
    a_known_release_only_changes_its_state, a_release_is_its_content, an_unknown_release_has_no_state,
    releases_are_filtered, releases_are_found_by_number_or_prefix, releases_are_numbered_from_one,
    states_say_since_when,
};
pub use visits::{a_visit_lets_writers_through, releases_are_visited_page_by_page, releases_of_one_version_are_found};
pub use writers::{concurrent_writers_lose_nothing, release_numbers_are_given_once};

/// Makes one test of each thing that a catalog must do. `$fresh` gives a future of a pair: something that is
/// kept until the test ends, and a catalog that holds nothing.
#[macro_export]
macro_rules! conformance_suite {
    ($fresh:expr) => {
        $crate::conformance_suite!(@alone $fresh;
            a_failed_removal_ends_the_sweep
            a_large_sweep_counts_every_blob
            a_sweep_keeps_what_is_in_use_s26
            reservations_end_with_their_holder
            an_empty_history_is_whole
            data_is_recorded_as_canonical_text
            history_is_numbered_and_chained
            history_is_read_in_pages
            the_writing_of_an_actor_and_a_subject_is_kept
            entries_are_found_by_filter
            entries_on_a_release_carry_its_number
            the_last_entry_on_each_subject_is_found
            time_is_counted_from_entry_to_entry_s28
            a_sound_catalog_is_found_sound
            old_entries_go_behind_an_anchor
            what_is_not_as_meant_is_not_let_go
            what_was_let_go_takes_only_what_is_over
            a_batch_is_all_or_nothing
            a_feed_is_as_last_recorded
            feeds_come_in_name_order
            publications_are_open_until_closed
            a_host_wait_is_as_last_recorded
            a_known_release_only_changes_its_state
            a_release_is_its_content
            an_unknown_release_has_no_state
            releases_are_filtered
            releases_are_found_by_number_or_prefix
            releases_are_numbered_from_one
            releases_are_visited_page_by_page
            releases_of_one_version_are_found
            states_say_since_when
        );
        $crate::conformance_suite!(@shared $fresh;
            a_visit_lets_writers_through
            concurrent_writers_lose_nothing
            release_numbers_are_given_once
            reservations_wait_for_a_sweep_s26
        );
    };
    (@alone $fresh:expr; $($name:ident)*) => { $(
        #[tokio::test]
        async fn $name() {
            let (_kept, catalog) = $fresh.await;
            $crate::conformance::$name(&catalog).await;
        }
    )* };
    (@shared $fresh:expr; $($name:ident)*) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let (_kept, catalog) = $fresh.await;
            let catalog = ::std::sync::Arc::new(catalog);
            $crate::conformance::$name(catalog.clone(), catalog).await;
        }
    )* };
}
