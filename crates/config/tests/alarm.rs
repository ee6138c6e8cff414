//! `[alarm]`: what is taken, what is refused, and what is never shown.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;
use std::time::Duration;

use config::{AlarmBy, Config, ConfigError, HostPort, MailTls, SyslogAddress};
use model::{Level, Reason};

const BASE: &str = "data_dir = \"/d\"\n";

fn parse_in(folder: &Path, text: &str) -> Result<Config, ConfigError> {
    Config::parse(&format!("{BASE}{text}"), &folder.join("waystation.toml"), &[])
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    parse_in(Path::new("/etc/waystation"), text)
}

fn files() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("token", "Bearer hunter2\n"),
        ("token2", "Bearer hunter3\n"),
        ("password", "hunter2\n"),
        ("url", "https://hooks.internal/T0/hunter2\n"),
        ("broken", "not a url\n"),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

const EVERYTHING: &str = "
[alarm]
quiet = [\"22:00-06:00\", \"sat,sun 00:00-24:00\"]
quiet_zone = \"Europe/Berlin\"
quiet_except = \"none\"
remind = \"6h\"
[[alarm.command]]
name = \"pager\"
argv = [\"/bin/page\", \"-t\", \"a\", \"-t\", \"\"]
level = \"fail\"
reasons = [\"disk_full\", \"not_checked\"]
quiet = false
timeout = \"5s\"
[[alarm.webhook]]
url_file = \"url\"
header = \"Authorization\"
header_file = \"token\"
[[alarm.syslog]]
[[alarm.syslog]]
address = \"tls://[2001:db8::1]:6514\"
facility = \"local3\"
[[alarm.email]]
relay = \"smtp.internal:587\"
user = \"waystation\"
password_file = \"password\"
from = \"waystation@example.com\"
to = [\"ops@example.com\", \"second.line+way@example.com\"]
[alarm.heartbeat]
url_file = \"url\"
every = \"30s\"
method = \"post\"
";

#[test]
fn every_way_is_read() {
    let folder = files();
    let config = parse_in(folder.path(), EVERYTHING).unwrap();
    let alarm = &config.alarm;
    assert_eq!(alarm.quiet.len(), 2);
    assert_eq!((alarm.quiet_zone.to_string().as_str(), alarm.quiet_except_fail), ("Europe/Berlin", false));
    let names: Vec<&str> = alarm.ways.iter().map(|way| way.name.as_str()).collect();
    assert_eq!(names, ["pager", "webhook", "syslog-1", "syslog-2", "email"]);
    let [pager, webhook, local, remote, email] = alarm.ways.as_slice() else { panic!("five ways") };
    assert_eq!((pager.level, pager.quiet, pager.timeout), (Level::Fail, false, Duration::from_secs(5)));
    assert_eq!(pager.reasons, [Reason::DiskFull, Reason::NotChecked]);
    assert_eq!(pager.by, AlarmBy::Command { argv: ["/bin/page", "-t", "a", "-t", ""].map(str::to_owned).to_vec() });
    let AlarmBy::Webhook { url, header: Some((name, value)) } = &webhook.by else { panic!("a webhook") };
    assert_eq!(url.expose().as_str(), "https://hooks.internal/T0/hunter2");
    assert_eq!((name.as_str(), value.expose()), ("Authorization", "Bearer hunter2"));
    assert_eq!(local.by, AlarmBy::Syslog { address: SyslogAddress::Unix("/dev/log".into()), facility: 3 });
    let host = HostPort { host: "2001:db8::1".to_owned(), port: 6514 };
    assert_eq!(host.to_string(), "[2001:db8::1]:6514");
    assert_eq!(remote.by, AlarmBy::Syslog { address: SyslogAddress::Tls(host), facility: 19 });
    let AlarmBy::Email(email) = &email.by else { panic!("mail") };
    assert_eq!((email.tls, email.to.len(), email.relay.port), (MailTls::StartTls, 2, 587));
    let heartbeat = alarm.heartbeat.as_ref().unwrap();
    assert_eq!((heartbeat.every, heartbeat.post), (Duration::from_secs(30), true));
}

#[test]
fn secrets_are_shown_nowhere_and_their_change_is_told_i13() {
    let folder = files();
    let config = parse_in(folder.path(), EVERYTHING).unwrap();
    let shown = format!("{config:?}{}{:?}", config.canonical(), config.alarm);
    assert!(!shown.contains("hunter2"), "{shown}");
    let other = EVERYTHING.replace("header_file = \"token\"", "header_file = \"token2\"");
    let lines = config.diff(&parse_in(folder.path(), &other).unwrap());
    assert!(lines.iter().any(|line| line == "alarm.webhook webhook header: changed"), "{lines:?}");
    assert!(!lines.concat().contains("hunter"), "{lines:?}");
}

#[test]
fn without_a_word_nobody_is_told() {
    let alarm = parse("").unwrap().alarm;
    assert!(alarm.ways.is_empty() && alarm.heartbeat.is_none() && alarm.quiet.is_empty());
    assert_eq!((alarm.failures, alarm.remind), (2, Duration::from_secs(86_400)));
}

#[test]
fn mistakes_are_named_s36() {
    let folder = files();
    for (text, part) in [
        ("[alarm]\nquiet = [\"22-6\"]", "alarm.quiet: item 1 '22-6' is no span of hours"),
        ("[alarm]\nquiet_zone = \"Berlin\"", "alarm.quiet_zone: 'Berlin' is no time zone's name"),
        ("[alarm]\ncertificate_warn = \"1d\"", "alarm.certificate_warn: is shorter than"),
        ("[alarm]\nfailures = 0", "alarm.failures: 0 is not between 1 and 100"),
        ("[alarm.command]\nargv = [\"/a\"]", "it may stand several times and is written [[alarm.command]]"),
        ("[[alarm.command]]", "alarm.command.argv: is missing"),
        ("[[alarm.command]]\nargv = []", "alarm.command.argv: is"),
        ("[[alarm.command]]\nargv = \"/a b\"", "alarm.command.argv: is not a list of texts"),
        ("[[alarm.command]]\nargv = [\"page\"]", "'page' is not a program's path from '/' on"),
        ("[[alarm.command]]\nargv = [\"/a\"]\nname = \"A b\"", "'A b' is not 1 to 32 lower-case letters"),
        ("[[alarm.command]]\nargv = [\"/a\"]\nreasons = [\"disc_full\"]", "'disc_full' is no reason code"),
        (
            "[[alarm.command]]\nargv = [\"/a\"]\nname = \"syslog\"\n[[alarm.syslog]]",
            "'syslog' is the name of another way",
        ),
        ("[[alarm.syslog]]\nname = \"heartbeat\"", "'heartbeat' is the name of another way"),
        ("[[alarm.webhook]]", "alarm.webhook.url: is missing"),
        ("[[alarm.webhook]]\nurl = \"ftp://a/\"", "is a URL of scheme 'ftp'"),
        ("[[alarm.webhook]]\nurl = \"https://u:hunter2@a/\"", "holds a user or password"),
        ("[[alarm.webhook]]\nurl = \"https://a/\"\nurl_file = \"url\"", "stands beside url_file"),
        ("[[alarm.webhook]]\nurl_file = \"broken\"", "holds no http or https URL"),
        ("[[alarm.webhook]]\nurl_file = \"absent\"", "alarm.webhook.url_file"),
        ("[[alarm.webhook]]\nurl = \"https://a/\"\nheader = \"X-Token\"", "needs header_file beside it"),
        ("[[alarm.webhook]]\nurl = \"https://a/\"\nheader_file = \"token\"", "needs header beside it"),
        (
            "[[alarm.webhook]]\nurl = \"https://a/\"\nheader = \"A b\"\nheader_file = \"token\"",
            "is no header that can be set",
        ),
        ("[[alarm.webhook]]\nurl = \"http://a/\"\nheader = \"A\"\nheader_file = \"token\"", "the URL is plain http"),
        ("[[alarm.syslog]]\naddress = \"logs:514\"", "'logs:514' is no address"),
        ("[[alarm.syslog]]\naddress = \"udp://logs:0\"", "'udp://logs:0' is no address"),
        ("[[alarm.syslog]]\nfacility = \"local9\"", "'local9' is none of"),
        ("[[alarm.email]]\nrelay = \"smtp\"\nfrom = \"a@b\"\nto = [\"c@d\"]", "'smtp' is no host and port"),
        ("[[alarm.email]]\nrelay = \"smtp:25\"\nfrom = \"a b@c\"\nto = [\"c@d\"]", "'a b@c' is no mail address"),
        ("[[alarm.email]]\nrelay = \"smtp:25\"\nfrom = \"a@b\"\nto = [\"c@d\\r\\nBcc: e@f\"]", "is no mail address"),
        ("[[alarm.email]]\nrelay = \"smtp:25\"\nfrom = \"a@b\"\nto = []", "alarm.email.to"),
        (
            "[[alarm.email]]\nrelay = \"smtp:25\"\nfrom = \"a@b\"\nto = [\"c@d\"]\ntls = \"off\"\nuser = \"u\"\npassword_file = \"password\"",
            "since tls is off",
        ),
        ("[alarm.heartbeat]\nevery = \"1m\"", "alarm.heartbeat.url: is missing"),
        ("[alarm.heartbeat]\nurl = \"https://a/\"\nevery = \"1ms\"", "below 1s"),
    ] {
        let told = parse_in(folder.path(), text).map(|_| "TAKEN".to_owned()).unwrap_or_else(|error| error.to_string());
        assert!(told.contains(part), "{text}\n  should say: {part}\n  says: {told}");
        assert!(!told.contains("hunter2"), "{told}");
    }
}
