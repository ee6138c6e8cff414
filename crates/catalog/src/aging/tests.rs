use proptest::prelude::*;

use super::*;

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;
const YEAR: i64 = 365 * 86_400;
const START: i64 = 1_800_000_000;

/// A history with the truth beside it, in seconds.
#[derive(Debug, Default)]
struct Site {
    truly: i64,
    off: i64,
    /// What the clock showed at each entry, and when that truly was.
    entries: Vec<(i64, i64)>,
}

impl Site {
    fn wall(&self) -> i64 {
        START + self.truly + self.off
    }

    /// Time passes, the clock is moved, and something is written.
    fn goes_on(&mut self, seconds: u64, jump: i64) {
        self.truly += i64::try_from(seconds).unwrap();
        self.off += jump;
        self.entries.push((self.wall(), self.truly));
    }

    fn hourly(&mut self, seconds: u64) {
        for _ in 0..seconds / HOUR {
            self.goes_on(HOUR, 0);
        }
    }

    fn lived(&self, age: u64) -> Option<Lived> {
        let mut walk = Aging::new(Span::of(Duration::from_secs(age)), at(self.wall()));
        let mut back = self.entries.iter().enumerate().rev();
        let _over = back.any(|(index, (wall, _))| walk.back(index as u64, at(*wall)));
        walk.found()
    }

    /// How long each thing that ended had truly stayed; something begins at every entry.
    fn ended(&self, age: u64) -> Vec<i64> {
        let Some(lived) = self.lived(age) else { return Vec::new() };
        let over = |wall: &i64| at(*wall) <= lived.earliest.min(at(self.wall()).before(Duration::from_secs(age)));
        self.entries.iter().filter(|(wall, _)| over(wall)).map(|(_, truly)| self.truly - truly).collect()
    }

    #[track_caller]
    fn ends_nothing_young(&self, age: u64) -> Result<(), TestCaseError> {
        let least = i64::try_from(age - age / 4).unwrap();
        for stayed in self.ended(age) {
            prop_assert!(stayed >= least, "ended after {stayed} of {age} s: {self:?}");
        }
        Ok(())
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * 1_000_000)
}

fn stayed(site: &Site, age: u64) -> i64 {
    site.ended(age).into_iter().min().unwrap_or(-1)
}

#[test]
fn hourly_entries_end_what_is_a_day_old() {
    let mut site = Site::default();
    site.hourly(DAY);
    assert_eq!(site.ended(DAY), [0_i64; 0], "the first entry is 23 hours old");
    site.hourly(10 * DAY);
    let day = i64::try_from(DAY).unwrap();
    assert_eq!(stayed(&site, DAY), day);
    assert_eq!(stayed(&site, 0), 0, "what has no time to stay goes at once");
}

#[test]
fn a_site_that_runs_once_a_day_keeps_a_day_for_four() {
    let mut site = Site::default();
    for _ in 0..40 {
        site.goes_on(DAY, 0);
    }
    assert_eq!(stayed(&site, DAY), 4 * 86_400);
    assert_eq!(stayed(&site, 35 * DAY), 35 * 86_400, "and a month for a month");
}

/// However often one looks, and whatever was written first.
#[test]
fn one_jump_adds_a_quarter_however_often_one_looks_s28() {
    for years in [1, 100] {
        let mut site = Site::default();
        site.hourly(3 * DAY);
        site.goes_on(1, years * YEAR);
        for _ in 0..500 {
            site.goes_on(1, 0);
        }
        let least = i64::try_from(DAY * 3 / 4).unwrap();
        assert!((least..least + 3700).contains(&stayed(&site, DAY)), "{}", stayed(&site, DAY));
    }
}

/// What began while the clock was behind is not ended by setting it right.
#[test]
fn a_clock_that_was_behind_for_a_while_ends_nothing_when_it_is_set_right_s28() {
    let mut site = Site::default();
    site.hourly(3 * DAY);
    site.goes_on(60, -50 * YEAR);
    site.goes_on(60, 0);
    site.goes_on(60, 50 * YEAR);
    assert_eq!(site.ended(DAY), [0_i64; 0]);
    // Setting it right counts as any jump does.
    site.hourly(DAY * 3 / 4 - HOUR);
    assert_eq!(site.ended(DAY), [0_i64; 0]);
    site.hourly(2 * HOUR);
    assert!(stayed(&site, DAY) >= 86_400 * 3 / 4);
}

#[test]
fn what_began_shortly_before_the_first_entry_after_a_step_back_counts_with_it_s28() {
    let mut walk = Aging::new(Span::of(Duration::from_secs(DAY)), at(START + 1000));
    // Newest first: set right, an entry in 1970, one from before.
    let over = [(3, START + 900), (2, 5000), (1, START)].map(|(seq, wall)| walk.back(seq, at(wall)));
    assert_eq!(over, [false; 3]);
    assert!(walk.earliest <= i128::from(at(5000 - 600).as_micros()));
}

#[test]
fn the_ends_of_time_do_not_overflow_s28() {
    let ends = [i64::MIN, i64::MAX, 0, i64::MAX, i64::MIN].map(Timestamp::from_micros);
    for now in ends {
        for age in [Duration::ZERO, Duration::MAX] {
            let mut walk = Aging::new(Span::of(age), now);
            for (seq, at) in ends.into_iter().enumerate() {
                walk.back(seq as u64, at);
            }
            assert_eq!(walk.found().is_some(), age.is_zero());
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(prop_oneof![1..HOUR, HOUR..3 * DAY], 1..60)
}

fn jumps() -> impl Strategy<Value = i64> {
    prop_oneof![-100 * YEAR..100 * YEAR, -172_800..172_800_i64]
}

proptest! {
    /// One jump of any size, wherever it falls.
    #[test]
    fn one_jump_ends_nothing_that_is_under_three_quarters_of_its_age_s28(
        steps in steps(), jump in jumps(), place in any::<prop::sample::Index>(), age in 600..40 * DAY,
    ) {
        let mut site = Site::default();
        let place = place.index(steps.len());
        for (index, step) in steps.into_iter().enumerate() {
            site.goes_on(step, if index == place { jump } else { 0 });
            site.ends_nothing_young(age)?;
        }
    }

    /// A clock that goes to and fro between two times, as often as it likes.
    #[test]
    fn a_clock_thrown_to_and_fro_ends_nothing_that_is_under_three_quarters_of_its_age_s28(
        steps in prop::collection::vec((1..2 * HOUR, any::<bool>()), 1..200), jump in jumps(), age in 600..3 * DAY,
    ) {
        let mut site = Site::default();
        for (step, moved) in steps {
            let to = if moved { jump } else { 0 };
            site.goes_on(step, to - site.off);
            site.ends_nothing_young(age)?;
        }
    }

    /// Whatever happened before: once the clock is left alone, what bears no time ahead of it ends.
    #[test]
    fn a_clock_that_is_left_alone_ends_everything_s28(
        steps in prop::collection::vec((1..3 * DAY, jumps()), 0..20), days in 1..30_u64,
    ) {
        let mut site = Site::default();
        for (step, jump) in steps {
            site.goes_on(step, jump);
        }
        let (before, wall) = (site.entries.len(), site.wall());
        site.hourly((days + 1) * DAY);
        let Some(lived) = site.lived(days * DAY) else { panic!("nothing ends: {site:?}") };
        let stays = site.entries.iter().take(before).filter(|(at, _)| *at <= wall).any(|(wall, _)| at(*wall) > lived.earliest);
        prop_assert!(!stays, "{lived:?} {site:?}");
    }
}
