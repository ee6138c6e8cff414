//! What is told: one subject, one text, one JSON form.

use std::fmt::Write as _;

use model::{Level, Timestamp};
use serde_json::{Value, json};

use crate::Alarm;
use crate::text::{self, span};

/// The version of the JSON form; it counts up when a member changes its meaning or goes.
const FORM: u32 = 1;

/// What is told of one alarm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// What is told of it.
    pub kind: ItemKind,
    /// The alarm, as it stands.
    pub alarm: Alarm,
}

/// What is told of an alarm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ItemKind {
    /// It began.
    Raised,
    /// It became a failure.
    Worse,
    /// It became a warning again.
    Better,
    /// It has a reason that it did not have before.
    Changed,
    /// It still stands.
    Reminder,
    /// It ended.
    Recovered,
    /// It began and ended, and nobody was told in between.
    Passed,
}

impl ItemKind {
    /// The word in every form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Worse => "worse",
            Self::Better => "better",
            Self::Changed => "changed",
            Self::Reminder => "reminder",
            Self::Recovered => "recovered",
            Self::Passed => "passed",
        }
    }

    fn is_over(self) -> bool {
        matches!(self, Self::Recovered | Self::Passed)
    }
}

/// What kind of message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageKind {
    /// Of one alarm.
    One(ItemKind),
    /// Of several at once.
    Digest,
    /// To see whether it arrives.
    Test,
}

impl MessageKind {
    /// The word in every form.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::One(kind) => kind.as_str(),
            Self::Digest => "digest",
            Self::Test => "test",
        }
    }
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    site: Option<String>,
    at: Timestamp,
    items: Vec<Item>,
}

impl Message {
    /// A message about these; without any it is a test.
    pub fn new(site: Option<&str>, at: Timestamp, items: Vec<Item>) -> Self {
        Self { site: site.map(|site| text::line(site, 64)), at, items }
    }

    /// When it was made.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// Which site it comes from.
    pub fn site(&self) -> Option<&str> {
        self.site.as_deref()
    }

    /// What it tells.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// What kind it is.
    pub fn kind(&self) -> MessageKind {
        match self.items.as_slice() {
            [] => MessageKind::Test,
            [one] => MessageKind::One(one.kind),
            _ => MessageKind::Digest,
        }
    }

    /// How bad it is: fine when it tells only of recoveries, or of nothing. What passed before anybody was told is as
    /// bad as it was at its worst: nobody has heard of it yet.
    pub fn level(&self) -> Level {
        self.items.iter().map(Item::level).max().unwrap_or_default()
    }

    /// The reason code, where it tells of one reason alone.
    pub fn reason(&self) -> Option<&'static str> {
        let first = self.items.first()?.alarm.reason;
        self.items.iter().all(|item| item.alarm.reason == first).then(|| first.code())
    }

    /// What this very message is told apart by: the same when it is sent again.
    pub fn id(&self) -> String {
        let number = self.items.first().map_or(0, |item| item.alarm.number);
        format!("{}-{number}-{}", self.at.as_micros(), self.items.len())
    }

    /// One line.
    pub fn subject(&self) -> String {
        let site = self.site.as_deref().map_or_else(String::new, |site| format!(" {site}"));
        let what = match self.items.as_slice() {
            [] => "test: alarms arrive this way".to_owned(),
            [one] => one.head(),
            several => digest_head(several),
        };
        format!("[waystation{site}] {what}")
    }

    /// Lines for people, without the subject.
    pub fn body(&self) -> String {
        let mut text = String::new();
        match self.items.as_slice() {
            [] => text.push_str(
                "This is a test, made by `waystation alarm test`. Nothing is wrong, and nothing is to be done.\n",
            ),
            [one] => one.write(&mut text, self.at),
            several => {
                for item in several {
                    let _ = writeln!(text, "== {}", item.head());
                    item.write(&mut text, self.at);
                    text.push('\n');
                }
            }
        }
        let _ = write!(text, "\nTold at {} by waystation", self.at);
        if let Some(site) = &self.site {
            let _ = write!(text, " at site {site}");
        }
        text.push_str(".\n");
        text
    }

    /// The form for programs. Members may be added; none changes its meaning within one `form`.
    pub fn json(&self) -> Value {
        json!({
            "form": FORM,
            "id": self.id(),
            "kind": self.kind().as_str(),
            "level": self.level().as_str(),
            "site": self.site,
            "at": self.at.to_string(),
            "subject": self.subject(),
            // What chat programs show.
            "text": format!("{}\n{}", self.subject(), self.body()),
            "alarms": self.items.iter().map(Item::json).collect::<Vec<_>>(),
        })
    }
}

fn digest_head(items: &[Item]) -> String {
    let over = items.iter().filter(|item| item.kind.is_over()).count();
    let standing = items.len() - over;
    let failing = items.iter().filter(|item| !item.kind.is_over() && item.alarm.level == Level::Fail).count();
    let alarms = |count: usize| if count == 1 { "1 alarm".to_owned() } else { format!("{count} alarms") };
    let stand = || format!("{} standing, failures among them: {failing}", alarms(standing));
    match (standing, over) {
        (0, over) => format!("{} over", alarms(over)),
        (_, 0) => stand(),
        (_, over) => format!("{}; {over} over", stand()),
    }
}

impl Item {
    /// How bad what is told is now.
    pub(crate) fn level(&self) -> Level {
        if self.kind == ItemKind::Recovered { Level::Fine } else { self.worst_told() }
    }

    /// The alarm's level, which of what passed untold is the worst that it had.
    pub(crate) fn worst_told(&self) -> Level {
        if self.kind == ItemKind::Passed { self.alarm.peak } else { self.alarm.level }
    }

    /// One line: what is told, the code, on what.
    fn head(&self) -> String {
        let alarm = &self.alarm;
        let word = match self.kind {
            ItemKind::Raised => alarm.level.as_str().to_ascii_uppercase(),
            ItemKind::Worse => "FAIL (was a warning)".to_owned(),
            ItemKind::Better => "WARN (was a failure)".to_owned(),
            ItemKind::Changed => format!("{} now", alarm.level.as_str().to_ascii_uppercase()),
            ItemKind::Reminder => format!("{} still", alarm.level.as_str().to_ascii_uppercase()),
            ItemKind::Recovered => "recovered".to_owned(),
            ItemKind::Passed => "passed".to_owned(),
        };
        let on = if alarm.subject.is_empty() { String::new() } else { format!(": {}", alarm.subject) };
        format!("{word} {}{on}", alarm.reason.code())
    }

    fn write(&self, text: &mut String, now: Timestamp) {
        let alarm = &self.alarm;
        let until = alarm.over.unwrap_or(now);
        let lasted = span(until.since(alarm.since));
        let _ = writeln!(text, "Reason:     {}", alarm.reason.code());
        let _ = writeln!(text, "Meaning:    {}", alarm.reason.meaning());
        let _ = writeln!(text, "On:         {}", alarm.subject);
        if !alarm.detail.is_empty() {
            let label = if alarm.is_past() { "It was:     " } else { "Detail:     " };
            let _ = writeln!(text, "{label}{}", alarm.detail);
        }
        match alarm.over {
            None => {
                let _ = writeln!(text, "Since:      {} (for {lasted})", alarm.since);
                if alarm.raised > alarm.since {
                    let _ = writeln!(text, "Seen since: {}", alarm.raised);
                }
                let _ = writeln!(text, "What to do: {}", alarm.reason.remedy());
            }
            Some(over) => {
                let _ = writeln!(text, "From:       {}", alarm.since);
                let _ = writeln!(text, "Until:      {over} ({lasted})");
                if self.kind == ItemKind::Passed {
                    let _ = writeln!(text, "What to do: {}", alarm.reason.remedy());
                }
            }
        }
        let _ = writeln!(text, "Alarm:      {} ({})", alarm.number, alarm.key);
    }

    fn json(&self) -> Value {
        let alarm = &self.alarm;
        json!({
            "kind": self.kind.as_str(),
            "number": alarm.number,
            "key": alarm.key,
            "reason": alarm.reason.code(),
            "level": self.worst_told().as_str(),
            "worst": alarm.peak.as_str(),
            "subject": alarm.subject,
            "detail": alarm.particulars(),
            "meaning": alarm.reason.meaning(),
            "remedy": alarm.reason.remedy(),
            "since": alarm.since.to_string(),
            "raised": alarm.raised.to_string(),
            "until": alarm.over.map(|over| over.to_string()),
        })
    }
}
