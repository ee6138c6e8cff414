//! Reading releases a page at a time, so that nobody has to hold all of them.

use crate::{ReleaseFilter, ReleaseRecord};

/// How many releases are read at a time.
pub(crate) const PAGE: usize = 100;

/// Where a visit of releases stands. It goes by their numbers, so that what is recorded meanwhile moves nothing.
#[derive(Debug)]
pub(crate) struct Paging {
    /// The newest number that may come next.
    pub(crate) newest: u64,
    /// How many may still come.
    left: usize,
}

impl Paging {
    pub(crate) fn of(filter: &ReleaseFilter) -> Self {
        Self { newest: u64::MAX, left: filter.most() }
    }

    /// How many the next page may hold; none when it is over.
    pub(crate) fn size(&self) -> Option<usize> {
        (self.left > 0).then(|| self.left.min(PAGE))
    }

    /// Goes on behind a page of so many, whose last number is given; whether anything may follow.
    pub(crate) fn turn_to(&mut self, count: usize, last: Option<u64>) -> bool {
        match last.and_then(|last| last.checked_sub(1)) {
            Some(newest) if count >= PAGE => {
                self.newest = newest;
                self.left = self.left.saturating_sub(count);
            }
            _ => self.left = 0,
        }
        self.left > 0
    }

    /// Goes on behind a page that was read for [`Self::size`].
    pub(crate) fn turn(&mut self, page: &[ReleaseRecord]) {
        self.turn_to(page.len(), page.last().map(|last| last.number));
    }
}

impl ReleaseFilter {
    /// How many it lets through at most.
    pub(crate) fn most(&self) -> usize {
        if self.limit == 0 { usize::MAX } else { self.limit }
    }
}
