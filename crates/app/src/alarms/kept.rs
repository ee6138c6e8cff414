//! What was told before this process began.

use alarm::{Condition, Event, Ledger, Shelf, Source};
use model::{Level, Reason, Timestamp};

/// The ledger to go on from, and what is to be told where it could not be read.
pub(super) fn read(shelf: &Shelf, now: Timestamp) -> (Ledger, Option<Event>) {
    let error = match shelf.read() {
        Ok(ledger) => return (ledger.unwrap_or_default(), None),
        Err(error) => error,
    };
    let salvage = shelf.salvage(&error);
    tracing::error!(what = salvage.told, "the state of alarms cannot be used");
    let condition = Condition::new(Source::Process, "alarm_state_lost", Reason::AlarmStateFailed, now);
    let condition = condition.on("the state of alarms").because(&salvage.told).at_level(Level::Warn);
    (salvage.ledger, Some(Event { condition, until: now }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_cannot_be_read_is_told_and_not_written_over_s41() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(folder.path());
        let now = Timestamp::from_micros(1_800_000_000_000_000);
        assert_eq!(read(&shelf, now), (Ledger::default(), None));
        alarm::Life::prepare(folder.path()).unwrap();
        shelf.keep(&Ledger::default()).unwrap();
        assert_eq!(read(&shelf, now), (Ledger::default(), None));
        std::fs::write(shelf.path(), "{\"form\":9,\"ledger\":{\"next\":41}}").unwrap();
        let (_, event) = read(&shelf, now);
        let event = event.unwrap();
        assert!(event.condition.detail().contains("newer version"), "{event:?}");
        assert!(event.condition.detail().contains("alarms up to number 41"), "{event:?}");
        assert!(!shelf.path().exists());
    }
}
