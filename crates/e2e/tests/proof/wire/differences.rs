//! Where servers answer differently, and the checked-in list that says why.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};

/// The list, as it is checked in.
const LIST: &str = include_str!("differences.toml");

/// One thing that two servers did differently with one request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Difference {
    pub(crate) peer: &'static str,
    /// What differs: `status` (with what became of the connection), `connection`, or one part of an answer.
    pub(crate) facet: &'static str,
    pub(crate) ours: String,
    pub(crate) theirs: String,
}

/// Why a class of differences is as it should be.
#[derive(Debug)]
struct Rule {
    name: String,
    peers: Vec<String>,
    facet: String,
    /// The request has one of these marks; `a+b` has both, `!a` has not.
    marks: Vec<String>,
    ours: Vec<String>,
    theirs: Vec<String>,
    met: AtomicU64,
}

/// All rules.
#[derive(Debug)]
pub(crate) struct Rules(Vec<Rule>);

impl Rules {
    pub(crate) fn read() -> Self {
        let list: toml::Table = LIST.parse().unwrap();
        let rules: Vec<Rule> = list["rule"].as_array().unwrap().iter().map(Rule::read).collect();
        let names: BTreeSet<&str> = rules.iter().map(|rule| rule.name.as_str()).collect();
        assert_eq!(names.len(), rules.len(), "two rules of one name");
        Self(rules)
    }

    /// Whether a rule explains it; the first that does is counted.
    pub(crate) fn explain(&self, difference: &Difference, marks: &BTreeSet<String>) -> bool {
        let rule = self.0.iter().find(|rule| rule.explains(difference, marks));
        rule.is_some_and(|rule| rule.met.fetch_add(1, Ordering::Relaxed) < u64::MAX)
    }

    /// The rules that explained nothing.
    pub(crate) fn unused(&self) -> Vec<&str> {
        self.0.iter().filter(|rule| rule.met.load(Ordering::Relaxed) == 0).map(|rule| rule.name.as_str()).collect()
    }

    /// How many rules there are, and how many differences they explained.
    pub(crate) fn count(&self) -> (usize, u64) {
        (self.0.len(), self.0.iter().map(|rule| rule.met.load(Ordering::Relaxed)).sum())
    }
}

impl Rule {
    fn read(value: &toml::Value) -> Self {
        let table = value.as_table().unwrap();
        let text = |key: &str| table[key].as_str().unwrap_or_else(|| panic!("{key} in {table:?}")).to_owned();
        let list = |key: &str| -> Vec<String> {
            table[key].as_array().unwrap().iter().map(|one| one.as_str().unwrap().to_owned()).collect()
        };
        assert!(!text("why").is_empty() && !text("clause").is_empty(), "{table:?}");
        let known = ["name", "peers", "facet", "marks", "ours", "theirs", "why", "clause"];
        assert!(table.keys().all(|key| known.contains(&key.as_str())), "{table:?}");
        Self {
            name: text("name"),
            peers: list("peers"),
            facet: text("facet"),
            marks: list("marks"),
            ours: list("ours"),
            theirs: list("theirs"),
            met: AtomicU64::new(0),
        }
    }

    fn explains(&self, difference: &Difference, marks: &BTreeSet<String>) -> bool {
        self.facet == difference.facet
            && self.peers.iter().any(|peer| peer == difference.peer)
            && self.marks.iter().any(|wanted| marked(wanted, marks))
            && self.ours.iter().any(|pattern| fits(pattern, &difference.ours))
            && self.theirs.iter().any(|pattern| fits(pattern, &difference.theirs))
    }
}

fn marked(wanted: &str, marks: &BTreeSet<String>) -> bool {
    wanted.split('+').all(|one| match one.strip_prefix('!') {
        Some(absent) => !marks.contains(absent),
        None => one == "any" || marks.contains(one),
    })
}

/// Whether a text is what a pattern says; one `*` stands for anything.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, end)) => text.len() >= start.len() + end.len() && text.starts_with(start) && text.ends_with(end),
    }
}

/// Unexplained differences by class, each with a request that shows it.
#[derive(Debug, Default)]
pub(crate) struct Unexplained(BTreeMap<(Difference, Vec<String>), (u64, String)>);

impl Unexplained {
    pub(crate) fn add(&mut self, difference: Difference, marks: &BTreeSet<String>, request: String) {
        self.0.entry((difference, marks.iter().cloned().collect())).or_insert((0, request)).0 += 1;
    }

    pub(crate) fn merge(&mut self, other: Self) {
        for (key, (count, request)) in other.0 {
            self.0.entry(key).or_insert((0, request)).0 += count;
        }
    }

    /// One line for each class; none when all is explained.
    pub(crate) fn lines(&self) -> Vec<String> {
        let line = |(key, (count, request)): (&(Difference, Vec<String>), &(u64, String))| {
            let Difference { peer, facet, ours, theirs } = &key.0;
            format!("{count} × {facet}: ours {ours}, {peer} {theirs}; {:?}; {request}", key.1)
        };
        self.0.iter().map(line).collect()
    }
}

#[test]
fn a_star_stands_for_anything() {
    assert!(fits("400 *", "400 closed") && fits("* kept", "200 kept") && fits("a", "a") && fits("*", ""));
    assert!(!fits("400 *", "404 closed") && !fits("ab*ba", "aba") && !fits("a", "b"));
}
