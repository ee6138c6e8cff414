//! Who is told what is wrong, and how.

use super::Kind::{Duration, Flag, Number, Path, Texts, Url, Word};
use super::{Key, Kind, Section, Shape, key};

pub(super) const ALARM: Section = Section {
    name: "alarm",
    shape: Shape::Table,
    doc: "When somebody is told what is wrong. Whom to tell, and how, say the sections below; with none of them nobody is told.",
    keys: &[
        key(
            "quiet",
            Texts,
            "[\"22:00-06:00\", \"sat,sun 00:00-24:00\"]",
            "Hours in which nothing is told but what quiet_except names; the rest is told as one message when they end.",
        )
        .or("[]"),
        key("quiet_zone", Kind::Text, "\"Europe/Berlin\"", "The time zone of the quiet hours.").or("\"UTC\""),
        key(
            "quiet_except",
            Word(&["fail", "none"]),
            "\"fail\"",
            "What is told in quiet hours all the same: what fails, or nothing.",
        )
        .or("\"fail\""),
        key("remind", Duration(60_000), "\"1d\"", "How often what still stands is told again.").or("\"1d\""),
        key(
            "settle",
            Duration(0),
            "\"2m\"",
            "How long something must be gone, or be milder, until that is told; longer by itself for what comes and goes.",
        )
        .or("\"2m\""),
        key(
            "failures",
            Number(1, 100),
            "2",
            "How many runs in a row a feed must fail before that is told; sooner where it lasts longer than the vendor's schedule.",
        )
        .or("2"),
        key(
            "endpoints_silent_after",
            Duration(0),
            "\"1d\"",
            "How long no endpoint may ask for content, once one has; 0s for ever.",
        )
        .or("\"1d\""),
        key("certificate_warn", Duration(0), "\"21d\"", "How long before its end a certificate is a warning.")
            .or("\"21d\""),
        key("certificate_fail", Duration(0), "\"7d\"", "How long before its end a certificate is a failure.").or("\"7d\""),
    ],
};

const NAME: Key = key("name", Kind::Text, "\"pager\"", "What it is called in reports; by default its kind.");
const LEVEL: Key = key("level", Word(&["warn", "fail"]), "\"fail\"", "The mildest that it is told.").or("\"warn\"");
const REASONS: Key = key(
    "reasons",
    Texts,
    "[\"not_checked\", \"disk_full\"]",
    "The only reason codes that it is told; without it, all.",
);
const QUIET: Key = key("quiet", Flag, "false", "Whether quiet hours hold for it.").or("true");
const TIMEOUT_SHORT: Key = key("timeout", Duration(100), "\"10s\"", "For one attempt to tell it.").or("\"10s\"");
const TIMEOUT_LONG: Key = key("timeout", Duration(100), "\"30s\"", "For one attempt to tell it.").or("\"30s\"");

pub(super) const COMMAND: Section = Section {
    name: "alarm.command",
    shape: Shape::HiddenList,
    doc: "Told by starting a program: never through a shell, the message as JSON on its standard input and in WAYSTATION_ALARM_… variables.",
    keys: &[
        NAME,
        key(
            "argv",
            Kind::Arguments,
            "[\"/usr/local/bin/page\", \"--team\", \"endpoint\"]",
            "The program, as a path from '/' on, and its arguments.",
        ),
        LEVEL,
        REASONS,
        QUIET,
        TIMEOUT_LONG,
    ],
};

pub(super) const WEBHOOK: Section = Section {
    name: "alarm.webhook",
    shape: Shape::HiddenList,
    doc: "Told by an HTTP POST of JSON, by way of [origin]'s proxy and ca_file. Its host may have any address; redirects are not followed.",
    keys: &[
        NAME,
        key(
            "url",
            Url,
            "\"https://alerts.internal/hooks/waystation\"",
            "Where to. It is shown in the history: put one that holds a secret into url_file.",
        ),
        key("url_file", Path, "\"alarm-url\"", "A file with the URL, where the URL itself is the secret."),
        key("header", Kind::Text, "\"Authorization\"", "A header to send, whose value stands in header_file."),
        key("header_file", Path, "\"alarm-token\"", "A file with the header's value, such as: Bearer and a token."),
        LEVEL,
        REASONS,
        QUIET,
        TIMEOUT_SHORT,
    ],
};

pub(super) const SYSLOG: Section = Section {
    name: "alarm.syslog",
    shape: Shape::HiddenList,
    doc: "Told as syslog messages (RFC 5424).",
    keys: &[
        NAME,
        key(
            "address",
            Kind::Text,
            "\"tcp://logs.internal:601\"",
            "Where to: unix:/dev/log, udp://host:514, tcp://host:601, or tls://host:6514 with the system's roots and origin.ca_file.",
        )
        .or("\"unix:/dev/log\""),
        key("facility", Word(FACILITIES), "\"daemon\"", "Its facility.").or("\"daemon\""),
        LEVEL,
        REASONS,
        QUIET,
        TIMEOUT_SHORT,
    ],
};

/// In the order of their numbers (RFC 5424, table 1), those that programs may use.
pub(crate) const FACILITIES: &[&str] = &[
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
];

pub(super) const EMAIL: Section = Section {
    name: "alarm.email",
    shape: Shape::HiddenList,
    doc: "Told by mail through an SMTP relay.",
    keys: &[
        NAME,
        key("relay", Kind::Text, "\"smtp.internal:587\"", "The relay's host and port."),
        key(
            "tls",
            Word(&["starttls", "tls", "off"]),
            "\"starttls\"",
            "How the line is kept private: starttls or nothing is sent, tls from the first byte, or off. The relay's certificate must lead to the system's roots or to origin.ca_file.",
        )
        .or("\"starttls\""),
        key("user", Kind::Text, "\"waystation\"", "The user that the relay asks for."),
        key("password_file", Path, "\"smtp-password\"", "A file with the user's password."),
        key("from", Kind::Text, "\"waystation@example.com\"", "The sender's address."),
        key("to", Texts, "[\"operators@example.com\"]", "The addresses that it goes to."),
        LEVEL,
        REASONS,
        QUIET,
        TIMEOUT_LONG,
    ],
};

pub(super) const HEARTBEAT: Section = Section {
    name: "alarm.heartbeat",
    shape: Shape::Hidden,
    doc: "A sign of life to somebody outside, who tells when it stops: only while schedules turn and the content side looks.",
    keys: &[
        key(
            "url",
            Url,
            "\"https://watch.internal/ping/waystation\"",
            "Where to. It is shown in the history: put one that holds a secret into url_file.",
        ),
        key("url_file", Path, "\"heartbeat-url\"", "A file with the URL, where the URL itself is the secret."),
        key("every", Duration(1000), "\"1m\"", "How often.").or("\"1m\""),
        key("method", Word(&["get", "post"]), "\"get\"", "How it is sent.").or("\"get\""),
        TIMEOUT_SHORT,
    ],
};
