//! The core by chance.

use proptest::prelude::*;

use super::bench::{HOUR, bench, is};
use super::*;

/// What a reader of all messages knows: what stands, and how bad it is.
#[derive(Default)]
struct Reader(BTreeMap<String, Level>);

impl Reader {
    fn read(&mut self, item: &Item) -> Result<(), TestCaseError> {
        let (key, level) = (item.alarm.key.clone(), item.alarm.level);
        let known = self.0.get(&key).copied();
        let fits = match item.kind {
            ItemKind::Raised => known.is_none(),
            ItemKind::Worse => known < Some(level),
            ItemKind::Better => known > Some(level),
            ItemKind::Changed | ItemKind::Reminder => known == Some(level),
            ItemKind::Recovered => known.is_some(),
            ItemKind::Passed => known.is_none(),
        };
        prop_assert!(fits, "{:?} of {key} at {level}, known as {known:?}", item.kind);
        match item.kind {
            ItemKind::Recovered | ItemKind::Passed => drop(self.0.remove(&key)),
            _ => drop(self.0.insert(key, level)),
        }
        Ok(())
    }
}

#[derive(Clone, Debug)]
struct Step {
    wait: u64,
    /// For each key: gone, warn or fail.
    states: Vec<u8>,
    blind: bool,
    works: bool,
    restart: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let states = prop::collection::vec(0u8..3, 5);
    let wait = prop_oneof![Just(15u64), 15u64..300, 300u64..8000, Just(43_200u64)];
    (wait, states, prop::bool::weighted(0.1), prop::bool::weighted(0.7), prop::bool::weighted(0.1))
        .prop_map(|(wait, states, blind, works, restart)| Step { wait, states, blind, works, restart })
}

proptest! {
    #[test]
    fn no_condition_is_lost_and_each_that_was_told_ends_once_r24(steps in prop::collection::vec(step(), 1..60), quiet in any::<bool>()) {
        let mut bench = bench();
        if quiet {
            bench = bench.quiet("22:00-06:00", true);
            bench.way.quiet = true;
        }
        let mut reader = Reader::default();
        for step in &steps {
            bench.now = bench.now.after(Duration::from_secs(step.wait));
            bench.blind = if step.blind { vec![Source::Status] } else { Vec::new() };
            let states = if step.blind { &[][..] } else { &step.states[..] };
            let conditions: Vec<Condition> = states.iter().enumerate().filter(|(_, state)| **state > 0)
                .map(|(key, state)| is(&key.to_string(), if *state == 1 { Level::Warn } else { Level::Fail })).collect();
            bench.look(&conditions);
            if step.restart {
                bench.ledger = serde_json::from_str(&serde_json::to_string(&bench.ledger).unwrap()).unwrap();
                bench.ledger.meet(vec![bench.way.clone()], &[], bench.now);
            }
            if !step.works {
                if !bench.next().is_empty() {
                    bench.ledger.failed("pager", "down", bench.now);
                }
                continue;
            }
            for round in 0.. {
                prop_assert!(round < 50, "it never ends");
                let items = bench.next();
                if items.is_empty() { break }
                for item in &items { reader.read(item)?; }
                bench.ledger.told("pager", &items, bench.now);
            }
            if !bench.quiet.holds(bench.now) {
                let standing: BTreeMap<String, Level> =
                    bench.ledger.standing().iter().map(|alarm| (alarm.key.clone(), alarm.level)).collect();
                prop_assert_eq!(&reader.0, &standing);
            }
            for condition in &conditions {
                prop_assert!(bench.ledger.alarms[condition.key()].level >= condition.level());
            }
        }
        // All is well for long, and by day.
        bench.blind = Vec::new();
        bench.look_for(2 * HOUR, &[]);
        bench.quiet = Quiet::never();
        loop {
            let items = bench.next();
            if items.is_empty() { break }
            for item in &items { reader.read(item)?; }
            bench.ledger.told("pager", &items, bench.now);
        }
        prop_assert!(reader.0.is_empty() && bench.ledger.standing().is_empty());
        prop_assert_eq!(bench.ledger.dropped(), 0);
        bench.look_for(2 * HOUR, &[]);
        prop_assert!(bench.ledger.alarms.is_empty());
    }
}
