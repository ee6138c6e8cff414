//! What is told, word for word.

use std::time::Duration;

use alarm::{Condition, Event, Message, Source};
use model::{Level, Reason};

use crate::bench::{condition, hostile, message, one, start};

#[test]
fn one_alarm_as_text_and_json() {
    let message = one();
    insta::assert_snapshot!("one", format!("{}\n\n{}", message.subject(), message.body()));
    insta::assert_snapshot!("one_json", serde_json::to_string_pretty(&message.json()).unwrap());
}

#[test]
fn several_are_one_message() {
    let mut conditions: Vec<Condition> = ["a", "b", "c"].map(|key| condition(key, key, "gone")).to_vec();
    conditions[1] = conditions[1].clone().at_level(Level::Fail);
    let since = start().before(Duration::from_secs(7200));
    let down = Condition::new(Source::Process, "was_down", Reason::WasDown, since).on("waystation run");
    let event = Event { condition: down.because("process 7 was last seen").at_level(Level::Fail), until: start() };
    let message = message(None, conditions, vec![event]);
    insta::assert_snapshot!("several", format!("{}\n\n{}", message.subject(), message.body()));
}

#[test]
fn what_passed_untold_is_as_bad_as_it_was_i9() {
    let since = start().before(Duration::from_secs(60));
    let down = Condition::new(Source::Process, "was_down", Reason::WasDown, since).on("waystation run");
    let event = Event { condition: down.at_level(Level::Fail), until: start() };
    let message = message(None, Vec::new(), vec![event]);
    let json = message.json();
    assert_eq!((&json["kind"], &json["level"]), (&"passed".into(), &"fail".into()));
    assert_eq!((message.level(), &json["alarms"][0]["level"]), (Level::Fail, &"fail".into()));
}

#[test]
fn a_test_says_that_nothing_is_wrong() {
    let message = Message::new(Some("dmz-1"), start(), Vec::new());
    insta::assert_snapshot!("test", format!("{}\n\n{}", message.subject(), message.body()));
}

#[test]
fn every_reason_says_what_to_do_i9() {
    for reason in Reason::ALL {
        let condition = Condition::new(Source::Status, reason.code(), *reason, start()).on("x");
        let text = message(None, vec![condition], vec![]).body();
        assert!(text.contains(reason.code()) && text.contains(reason.remedy()), "{text}");
    }
}

#[test]
fn nothing_to_act_on_in_any_form_c36() {
    let message = hostile();
    assert!(!message.subject().contains(char::is_control));
    let lines = message.body().lines().count();
    assert_eq!(lines, one().body().lines().count(), "{}", message.body());
    assert!(message.body().chars().all(|c| c == '\n' || !c.is_control()));
    assert!(!message.body().contains('\u{202e}'));
}
