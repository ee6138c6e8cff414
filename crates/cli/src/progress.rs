//! Progress on stderr: bars on a terminal, plain lines elsewhere.

use std::collections::HashMap;
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use mirror::{Observer, Progress, Silent};
use model::FeedId;

use crate::context::Context;
use crate::show;

const SIZED: &str = "{prefix} [{bar:24}] {decimal_bytes:>9} of {decimal_total_bytes:<9} {wide_msg}";
const UNSIZED: &str = "{prefix} {spinner} {decimal_bytes:>9} {wide_msg}";
const PLAIN: &str = "{prefix} {wide_msg}";

/// Who watches a run of these feeds.
pub(crate) fn observer(context: &Context, feeds: &[FeedId]) -> Arc<dyn Observer> {
    if context.globals.quiet {
        Arc::new(Silent)
    } else if drawn(context) {
        let width = feeds.iter().map(|feed| feed.as_str().len()).max().unwrap_or(0);
        Arc::new(Bars { all: MultiProgress::new(), width, feeds: Mutex::default() })
    } else {
        Arc::new(Lines)
    }
}

/// One bar over `bytes`, or none where it would not be seen.
pub(crate) fn bar(context: &Context, bytes: u64, what: &'static str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(bytes), ProgressDrawTarget::hidden());
    if !context.globals.quiet && drawn(context) {
        bar.set_draw_target(ProgressDrawTarget::stderr());
        bar.set_prefix(what);
        restyle(&bar, SIZED);
    }
    bar
}

/// Log lines and bars would tear each other apart.
fn drawn(context: &Context) -> bool {
    context.terminal && context.globals.verbose == 0
}

fn restyle(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
}

struct Bars {
    all: MultiProgress,
    width: usize,
    feeds: Mutex<HashMap<FeedId, ProgressBar>>,
}

impl Bars {
    fn with(&self, feed: &FeedId, act: impl FnOnce(&ProgressBar)) {
        let mut feeds = self.feeds.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = feeds.entry(feed.clone()).or_insert_with(|| {
            let bar = self.all.add(ProgressBar::new(0));
            restyle(&bar, UNSIZED);
            bar.set_prefix(format!("{:width$}", feed.as_str(), width = self.width));
            bar
        });
        act(bar);
    }
}

impl Observer for Bars {
    fn on(&self, progress: Progress) {
        match progress {
            Progress::Waiting { holder } => {
                let _ = self.all.println(waiting(&holder));
            }
            Progress::Started(feed) => self.with(&feed, |bar| bar.set_message("asking")),
            Progress::Offered(feed, offered) => self.with(&feed, |bar| {
                bar.set_message(format!("offers {}", offered.vendor_version));
            }),
            Progress::Wanted { feed, files, bytes } => self.with(&feed, |bar| {
                if bytes > 0 {
                    bar.inc_length(bytes);
                    restyle(bar, SIZED);
                }
                bar.set_message(show::count(files, "file"));
            }),
            Progress::Received { feed, bytes } => self.with(&feed, |bar| bar.inc(bytes)),
            Progress::Held { fetched: true, .. } => {}
            // Held already: done without having arrived.
            Progress::Held { feed, bytes, fetched: false } => self.with(&feed, |bar| bar.inc(bytes)),
            Progress::Inspecting { feed, files } => self.with(&feed, |bar| {
                bar.set_message(format!("checking {}", show::count(files, "file")));
            }),
            Progress::Settled(report) => self.with(&report.feed, |bar| {
                restyle(bar, PLAIN);
                bar.finish_with_message(report.outcome.as_str());
            }),
        }
    }
}

fn waiting(holder: &str) -> String {
    show::clean(&format!("waiting for another fetch run: {holder}"))
}

/// What takes time, in plain lines; the report tells the rest.
struct Lines;

impl Observer for Lines {
    fn on(&self, progress: Progress) {
        let line = match progress {
            Progress::Waiting { holder } => waiting(&holder),
            Progress::Wanted { feed, files, bytes } if files > 0 => {
                let size = if bytes > 0 { format!(", {}", show::bytes(bytes)) } else { String::new() };
                format!("{feed}: {}{size} wanted", show::count(files, "file"))
            }
            _ => return,
        };
        // A closed stderr takes nothing from the run.
        let _ = writeln!(io::stderr(), "{line}");
    }
}

#[cfg(test)]
mod tests {
    use model::{Outcome, Reason};

    use super::*;

    #[test]
    fn the_templates_are_sound() {
        for template in [SIZED, UNSIZED, PLAIN] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }

    #[test]
    fn a_bar_counts_what_arrives_and_what_was_held() {
        let all = MultiProgress::with_draw_target(ProgressDrawTarget::hidden());
        let bars = Bars { all, width: 20, feeds: Mutex::default() };
        let feed: FeedId = "elastic/9.0.0".parse().unwrap();
        bars.on(Progress::Started(feed.clone()));
        bars.on(Progress::Wanted { feed: feed.clone(), files: 2, bytes: 30 });
        bars.on(Progress::Received { feed: feed.clone(), bytes: 10 });
        bars.on(Progress::Held { feed: feed.clone(), bytes: 10, fetched: true });
        bars.on(Progress::Held { feed: feed.clone(), bytes: 20, fetched: false });
        bars.with(&feed, |bar| assert_eq!((bar.position(), bar.length()), (30, Some(30))));
        bars.on(Progress::Settled(mirror::FeedReport {
            feed: feed.clone(),
            outcome: Outcome::Failed,
            vendor_version: None,
            release: None,
            bytes_fetched: 10,
            requests: 1,
            reason: Some(Reason::Timeout),
            detail: None,
        }));
        bars.with(&feed, |bar| assert!(bar.is_finished()));
    }
}
