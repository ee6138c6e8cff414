//! How the demo speaks.

use std::fmt::Display;
use std::time::Duration;

use super::text::wrapped;
use crate::out::Out;
use crate::show;

/// Lines are no longer than this.
const WIDTH: usize = 100;
/// Time to read a chapter before the next one begins.
const BETWEEN_CHAPTERS: Duration = Duration::from_millis(450);
/// Time to read a line.
const BETWEEN_LINES: Duration = Duration::from_millis(60);

/// How the demo looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Look {
    /// For a person at a terminal: bars, and time to read.
    Lively {
        /// Whether colours are wanted.
        colours: bool,
    },
    /// For a pipe or a log: plain lines, at once.
    Plain,
}

/// Prints, and counts what did not hold.
pub(super) struct Story {
    look: Look,
    chapters: usize,
    /// Whether a chapter has just begun.
    fresh: bool,
    checked: usize,
    wrong: usize,
    out: Out,
}

impl Story {
    pub(super) fn new(look: Look) -> Self {
        Self::to(look, Out::stdout())
    }

    fn to(look: Look, out: Out) -> Self {
        Self { look, chapters: 0, fresh: false, checked: 0, wrong: 0, out }
    }

    /// How many claims were checked.
    pub(super) fn checked(&self) -> usize {
        self.checked
    }

    /// How many claims did not hold.
    pub(super) fn wrong(&self) -> usize {
        self.wrong
    }

    pub(super) fn title(&mut self, title: &str, below: &str) {
        let title = self.painted(BOLD, title);
        self.line(&title);
        self.paragraph("", below);
    }

    /// Begins a chapter, once the one before could be read.
    pub(super) async fn chapter(&mut self, title: &str) {
        if self.chapters > 0 {
            self.rest(BETWEEN_CHAPTERS).await;
        }
        self.chapters += 1;
        let head = self.painted(BOLD_CYAN, &format!("{}  {title}", self.chapters));
        self.line("");
        self.line(&head);
        self.fresh = true;
    }

    /// Something that was just checked: what holds, or what does not.
    pub(super) async fn claim(&mut self, checked: Result<impl Display, impl Display>) {
        self.checked += 1;
        let (mark, text) = match checked {
            Ok(text) => (self.good_mark(), text.to_string()),
            Err(text) => {
                self.wrong += 1;
                (self.bad_mark(), text.to_string())
            }
        };
        let mut lines = wrapped(&show::clean(&text), WIDTH - 5).into_iter();
        let lead = if self.look == Look::Plain { "  " } else { "   " };
        self.line(&format!("{lead}{mark} {}", lines.next().unwrap_or_default()));
        for more in lines {
            self.line(&format!("     {more}"));
        }
        self.rest(BETWEEN_LINES).await;
    }

    /// Something that holds or does not, said in the same words either way.
    pub(super) async fn holds(&mut self, holds: bool, text: impl Display) {
        self.claim(if holds { Ok(text.to_string()) } else { Err(format!("not so: {text}")) }).await;
    }

    /// Something said, not claimed.
    pub(super) fn note(&mut self, text: &str) {
        self.paragraph("     ", text);
    }

    /// A row of a table, as it is.
    pub(super) fn row(&mut self, text: &str) {
        self.line(&format!("     {}", show::clean(text.trim_end())));
    }

    /// A row that stands out.
    pub(super) fn head(&mut self, text: &str) {
        let text = self.painted(DIM, text.trim_end());
        self.line(&format!("     {text}"));
    }

    /// What happens on the other side: a vendor publishes, a line breaks.
    pub(super) fn event(&mut self, text: &str) {
        let mark = if self.look == Look::Plain { "*" } else { "●" };
        let mark = self.painted(YELLOW, mark);
        if !self.fresh {
            self.gap();
        }
        for (number, part) in wrapped(text, WIDTH - 5).into_iter().enumerate() {
            let lead = if number == 0 { mark.as_str() } else { " " };
            self.line(&format!("   {lead} {part}"));
        }
    }

    /// A command to copy.
    pub(super) fn command(&mut self, text: &str) {
        let text = self.painted(CYAN, text);
        self.line(&format!("     {text}"));
    }

    pub(super) fn gap(&mut self) {
        self.line("");
    }

    fn paragraph(&mut self, lead: &str, text: &str) {
        for part in wrapped(text, WIDTH - lead.len()) {
            let part = self.painted(DIM, &part);
            self.line(&format!("{lead}{part}"));
        }
    }

    async fn rest(&self, time: Duration) {
        if self.look != Look::Plain {
            tokio::time::sleep(time).await;
        }
    }

    fn good_mark(&self) -> String {
        if self.look == Look::Plain { "ok".to_owned() } else { self.painted(GREEN, "✓") }
    }

    fn bad_mark(&self) -> String {
        if self.look == Look::Plain { "WRONG".to_owned() } else { self.painted(RED, "✗ WRONG") }
    }

    fn painted(&self, code: &str, text: &str) -> String {
        match self.look {
            Look::Lively { colours: true } => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
            Look::Lively { colours: false } | Look::Plain => text.to_owned(),
        }
    }

    /// Out at once: lines are read while they come. An audience that cannot be reached takes nothing from the
    /// demo, whose exit code still tells how it went.
    fn line(&mut self, text: &str) {
        self.fresh = false;
        let _ = self.out.text(&format!("{text}\n")).and_then(|()| self.out.flush());
    }
}

const BOLD: &str = "1";
const DIM: &str = "2";
const GREEN: &str = "32";
const RED: &str = "1;31";
const YELLOW: &str = "33";
const CYAN: &str = "36";
const BOLD_CYAN: &str = "1;36";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::Page;

    #[tokio::test]
    async fn what_does_not_hold_is_marked_and_counted() {
        let page = Page::default();
        let mut story = Story::to(Look::Plain, Out::to(page.clone()));
        story.holds(true, "it is so").await;
        story.holds(false, "it is so").await;
        story.claim(Err::<String, _>("a\u{1b}[2Jb")).await;
        assert_eq!((story.checked(), story.wrong()), (3, 2));
        let text = page.text();
        assert_eq!(text, "  ok it is so\n  WRONG not so: it is so\n  WRONG a\\u{1b}[2Jb\n");
    }
}
