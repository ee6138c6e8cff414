//! The two rules that a dated manifest has to keep, and the one of its form.
//!
//! Source: elastic/kibana, `validate_endpoint_package_policy` and `controlled_artifact_rollout.ts` (the first rule and
//! the limits); elastic/endpoint-package, the knowledge base on outdated protection artifacts (the second).

use jiff::ToSpan as _;
use jiff::civil::Date;

/// No dated manifest is older than this.
const FIRST: Date = jiff::civil::date(2023, 10, 1);
/// How far back dated manifests reach.
const MONTHS: i32 = 18;
/// The first version that can be pinned to a date.
const SINCE: (u32, u32) = (8, 11);

/// What was found about one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Which, in a few words.
    pub name: &'static str,
    /// What speaks against the date; none if it keeps the rule.
    pub broken: Option<String>,
}

/// Applies the rules of a date that a version's endpoints are to be pinned to.
pub fn check_date(version: (u32, u32), built: Date, date: Date, today: Date) -> Vec<Rule> {
    vec![
        Rule { name: "the version can be pinned to a date", broken: too_old_a_version(version) },
        Rule { name: "the date is within 18 months and before today", broken: out_of_reach(date, today) },
        Rule { name: "the date is later than the day the endpoint was built", broken: before_the_build(built, date) },
    ]
}

fn too_old_a_version((major, minor): (u32, u32)) -> Option<String> {
    ((major, minor) < SINCE).then(|| format!("{major}.{minor} cannot be pinned to a date; 8.11 and later can"))
}

/// Why nobody has a manifest of this version for this date, now or at any time; none where somebody may: one that is too old
/// to be offered may lie in a folder.
pub fn never_offered(version: (u32, u32), date: Date, today: Date) -> Option<String> {
    let too_early = || (date < FIRST).then(|| format!("the vendor has manifests of no day before {FIRST}"));
    too_old_a_version(version).or_else(|| not_yet(date, today)).or_else(too_early)
}

fn not_yet(date: Date, today: Date) -> Option<String> {
    let last = today.saturating_sub(1.day());
    (date > last).then(|| format!("{date} has to be before today, {last} at the latest"))
}

fn out_of_reach(date: Date, today: Date) -> Option<String> {
    let first = today.saturating_sub(MONTHS.months()).saturating_add(1.day()).max(FIRST);
    let gone =
        || (date < first).then(|| format!("{date} is longer ago than the vendor keeps: {first} is the earliest"));
    not_yet(date, today).or_else(gone)
}

fn before_the_build(built: Date, date: Date) -> Option<String> {
    (date <= built).then(|| {
        format!("{date} is not later than the build of {built}: the vendor has no manifest of a day before the version was built, and answers 404")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(version: (u32, u32), built: &str, date: &str, broken: &[bool]) {
        let day = |text: &str| text.parse::<Date>().unwrap();
        let rules = check_date(version, day(built), day(date), day("2026-11-22"));
        let found: Vec<bool> = rules.iter().map(|rule| rule.broken.is_some()).collect();
        assert_eq!(found, broken, "{version:?} {built} {date}: {rules:?}");
    }

    #[test]
    fn each_rule_alone() {
        check((8, 18), "2026-01-10", "2026-01-15", &[false, false, false]);
        check((8, 10), "2026-01-10", "2026-01-15", &[true, false, false]);
        check((8, 18), "2026-01-15", "2026-01-15", &[false, false, true]);
        check((8, 18), "2026-02-01", "2026-01-15", &[false, false, true]);
        check((8, 18), "2024-01-01", "2025-05-22", &[false, true, false]);
        check((8, 18), "2024-01-01", "2025-05-23", &[false, false, false]);
        check((8, 18), "2024-01-01", "2026-11-21", &[false, false, false]);
        check((8, 18), "2024-01-01", "2026-11-22", &[false, true, false]);
        check((9, 0), "2027-01-01", "2023-09-30", &[false, true, true]);
    }

    #[test]
    fn what_the_vendor_keeps_no_longer_may_be_had_elsewhere_and_a_day_to_come_nowhere() {
        let today: Date = "2026-11-22".parse().unwrap();
        let never = |version, date: &str| never_offered(version, date.parse().unwrap(), today).is_some();
        assert!(never((8, 18), "2030-01-01") && never((8, 18), "2026-11-22") && never((8, 10), "2026-01-15"));
        assert!(never((8, 18), "2023-09-30"));
        assert!(!never((8, 18), "2026-11-21") && !never((8, 18), "2023-10-01"));
    }
}
