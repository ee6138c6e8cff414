//! Figures as people read them.

use std::time::Duration;

/// Several measurements of one thing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn add(&mut self, time: Duration) {
        self.0.push(time);
        self.0.sort_unstable();
    }

    pub(crate) fn median(&self) -> Duration {
        self.0.get(self.0.len() / 2).copied().unwrap_or_default()
    }

    /// Median, and the least and the most behind it.
    pub(crate) fn text(&self) -> String {
        let seconds = |time: Option<&Duration>| time.copied().unwrap_or_default().as_secs_f64();
        let (least, most) = (seconds(self.0.first()), seconds(self.0.last()));
        format!("{:.3} s ({least:.3} to {most:.3})", self.median().as_secs_f64())
    }

    /// How many times longer this takes than another.
    pub(crate) fn times(&self, other: &Self) -> f64 {
        self.median().as_secs_f64() / other.median().as_secs_f64().max(f64::EPSILON)
    }
}

/// A row of a table.
pub(crate) fn row(cells: &[String]) {
    println!("| {} |", cells.join(" | "));
}

/// The first row of a table and the line below it.
pub(crate) fn head(cells: &[&str]) {
    println!("\n| {} |\n|{}", cells.join(" | "), "---|".repeat(cells.len()));
}

/// One goal, as it was met or not.
pub(crate) fn goal(what: &str, seen: f64, met: bool) -> bool {
    println!("- {what}: {seen:.2}: {}", if met { "met" } else { "MISSED" });
    met
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one() {
        let mut times = Times::default();
        [30, 10, 20].into_iter().for_each(|ms| times.add(Duration::from_millis(ms)));
        assert_eq!(times.text(), "0.020 s (0.010 to 0.030)");
        assert!((times.times(&times) - 1.0).abs() < 1e-9);
    }
}
