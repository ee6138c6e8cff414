//! The configuration as an operator meets it: whole files in, a configuration or clear words out.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;
use std::time::Duration;

use config::{Cidr, Config, ConfigError, Place, Strictness, template};
use model::Vendor;
use proptest::prelude::*;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(text, Path::new("waystation.toml"), &[])
}

fn with_environment(text: &str, pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let pairs: Vec<(String, String)> = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Config::parse(text, Path::new("waystation.toml"), &pairs)
}

fn feeds(config: &Config) -> Vec<String> {
    config.feeds().iter().map(ToString::to_string).collect()
}

/// Every key at once, as far as this version takes it.
const FULL: &str = r#"
data_dir = "/var/lib/waystation"
[site]
name = "dmz-1"
[[serve]]
address = "0.0.0.0:8080"
path_prefix = "/"
tls = { certificate = "…", key = "…", client_ca = "…" }
allow = ["10.0.0.0/8"]
trusted_proxies = ["10.1.2.3"]
[admin]
address = "127.0.0.1:8081"
[origin]
proxy = "http://user@proxy:3128"
no_proxy = ["mirror.internal"]
ca_file = "/etc/ssl/corporate.pem"
connections_per_host = 32
rate_limit = "50MB/s"
allow_plain_http = false
[elastic]
origin = "https://artifacts.security.elastic.co"
versions = ["9.0.0", "8.18.3"]
dated = ["8.18.3@2026-01-15"]
dated_templates = ["/downloads/endpoint/manifest/artifacts-{version}-{date}.zip"]
mode = "mirror"
signature = "warn"
public_keys = []
schedule = "1h"
[defender]
origin = "https://go.microsoft.com/fwlink/"
redirect_hosts = ["definitionupdates.microsoft.com", "*.endpoint.security.microsoft.com"]
platforms = ["linux"]
architectures = ["x86_64", "arm64"]
tracks = ["production"]
expected_members = "warn"
schedule = "4h"
[[ring]]
name = "broad"
[freshness]
preset = "stig-7d"
[retention]
days = 35
bytes = "50GB"
grace = "1d"
"#;

#[test]
fn every_key_is_understood() {
    let config = parse(FULL).unwrap();
    assert_eq!(
        feeds(&config),
        [
            "elastic/9.0.0",
            "elastic/8.18.3",
            "elastic/8.18.3@2026-01-15",
            "defender/linux/production/x86_64",
            "defender/linux/production/arm64",
        ]
    );
    let listener = config.serve.first().unwrap();
    assert_eq!(listener.path_prefix, "");
    assert!(listener.tls.is_some());
    assert_eq!(listener.allow, ["10.0.0.0/8".parse::<Cidr>().unwrap()]);
    let proxy = config.origin.proxy.as_ref().unwrap();
    assert_eq!((proxy.url.as_str(), proxy.user.as_deref()), ("http://proxy:3128/", Some("user")));
    assert_eq!(config.origin.rate_limit, Some(50_000_000));
    assert_eq!(config.elastic.as_ref().unwrap().signature, Strictness::Warn);
    assert_eq!(config.schedule_of(Vendor::Defender), Some(Duration::from_secs(4 * 3600)));
    assert_eq!(config.retention_of(Vendor::Elastic).bytes, 50_000_000_000);
    assert_eq!(config.default_ring().as_str(), "broad");
}

#[test]
fn what_is_left_out_has_the_defaults_shown() {
    let config = parse("[elastic]\nversions = [\"9.0.0\"]\n[defender]\n").unwrap();
    insta::assert_snapshot!("defaults", config.canonical());
    let nothing = parse("data_dir = \"data\"\n").unwrap();
    assert!(nothing.feeds().is_empty(), "a vendor section left out follows nothing");
    assert_eq!(nothing.serve.len(), 1);
    let unnamed = parse("data_dir = \"data\"\n[elastic]\n").unwrap();
    assert!(unnamed.feeds().is_empty(), "what was learned may be all that is followed");
}

#[test]
fn the_template_is_a_configuration_with_the_defaults() {
    insta::assert_snapshot!("template", template());
    let config = parse(template()).unwrap();
    let bare = parse("[elastic]\nversions = [\"9.0.0\", \"8.18.3\"]\n[defender]\n").unwrap();
    assert_eq!(config.canonical(), bare.canonical());
}

#[test]
fn the_nearest_limit_of_freshness_counts() {
    let policy = parse(
        r#"
        [freshness]
        preset = "3-7d"
        lag = { warn = "1h", fail = "2h" }
        [elastic]
        versions = ["9.0.0", "8.18.3"]
        [elastic.freshness]
        age = { warn = "30d", fail = "60d" }
        [defender]
        architectures = ["x86_64"]
        [defender.freshness]
        preset = "1d"
        [[freshness.feed]]
        match = "elastic/8.*"
        check = { warn = "2h", fail = "3h" }
        [[freshness.feed]]
        match = "elastic/*"
        preset = "1d"
        [[freshness.ring]]
        name = "broad"
        lag = { warn = "5m", fail = "10m" }
        "#,
    )
    .unwrap()
    .freshness;
    let hours = |bound: model::Bound| (bound.warn.as_secs() / 3600, bound.fail.as_secs() / 3600);
    let limits = |feed: &str| {
        let limits = policy.of(&feed.parse().unwrap());
        [limits.check, limits.age, limits.lag].map(hours)
    };
    assert_eq!(limits("elastic/8.18.3"), [(2, 3), (30 * 24, 60 * 24), (1, 2)], "its own, the vendor's, the common");
    assert_eq!(limits("elastic/9.0.0"), [(12, 24), (72, 168), (6, 12)], "a nearer preset hides what is behind it");
    assert_eq!(limits("defender/linux/production/x86_64"), [(12, 24), (18, 24), (6, 12)]);
    let lag = policy.lag(&"elastic/9.0.0".parse().unwrap(), &"broad".parse().unwrap());
    assert_eq!(lag.fail, Duration::from_secs(600), "the ring's comes before all others");
}

/// Each commented key of the template, uncommented alone, is a configuration or is refused for what stands beside it.
#[test]
fn the_template_s_comments_can_be_uncommented() {
    let lines: Vec<&str> = template().lines().collect();
    let mut tried = 0;
    for (index, line) in lines.iter().enumerate() {
        let Some(key) = line.strip_prefix("# ").filter(|rest| {
            rest.split_once(" = ").is_some_and(|(name, _)| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))
        }) else {
            continue;
        };
        // Keys of a commented section need its header; the next test covers them.
        let header =
            lines.iter().take(index).rev().find(|line| line.trim_start_matches("# ").starts_with('[')).unwrap_or(&"");
        if header.starts_with("# [") {
            continue;
        }
        let mut text: Vec<&str> = lines.clone();
        text[index] = key;
        tried += 1;
        if let Err(error) = parse(&text.join("\n")) {
            let words = error.to_string();
            let expected = ["dated_templates", "proxy-password", "without origin.proxy", "cross a plain line"];
            assert!(expected.iter().any(|word| words.contains(word)), "{key}: {words}");
        }
    }
    assert!(tried > 50, "{tried}");
}

#[test]
fn a_vendor_s_own_retention_overrides_key_by_key() {
    let config = parse("[retention]\ndays = 10\n[defender]\n[defender.retention]\nbytes = \"1GB\"\n").unwrap();
    let own = config.retention_of(Vendor::Defender);
    assert_eq!((own.age, own.bytes), (Duration::from_secs(864_000), 1_000_000_000));
    assert_eq!(config.retention_of(Vendor::Elastic), config.retention);
}

#[test]
fn relative_paths_start_at_the_file_s_folder() {
    let config = Config::parse("data_dir = \"data\"\n", Path::new("/srv/w/waystation.toml"), &[]).unwrap();
    assert_eq!(config.data_dir, Path::new("/srv/w/data"));
    let absolute = Config::parse("data_dir = \"/data\"\n", Path::new("/srv/w/waystation.toml"), &[]).unwrap();
    assert_eq!(absolute.data_dir, Path::new("/data"));
}

#[test]
fn no_value_forges_a_line_of_the_effective_settings_c36() {
    for (key, value) in [
        ("data_dir", r"/var/lib\nsite.name = other"),
        ("data_dir", r"/var\t/lib"),
        ("origin.ca_file", r"/etc/\u001b[2J"),
        ("elastic.public_keys", r"a\u0085b"),
        ("site.name", r"a\nb"),
        ("origin.no_proxy", r"a\rb"),
    ] {
        let value = if key.ends_with('s') || key.ends_with("no_proxy") {
            format!("[\"{value}\"]")
        } else {
            format!("\"{value}\"")
        };
        let rest = if key.starts_with("data_dir") { "" } else { "data_dir = \"/d\"\n" };
        let name = if key.starts_with("site") { "" } else { "site.name = \"a\"\n" };
        let error = parse(&format!("{rest}{name}{key} = {value}\n")).unwrap_err().to_string();
        assert!(!error.contains(|c: char| c.is_control() && c != '\n'), "{error:?}");
        assert!(error.contains(key) && error.contains("control character"), "{error}");
    }
}

#[test]
fn paths_of_secrets_are_told_fit_to_show_c36() {
    for name in [r"\u001b[2J", r"a\nb", r"a\u202eb", r"a\tb", &"x".repeat(100_000)] {
        let text = format!("data_dir = \"/d\"\nsite.name = \"a\"\norigin.proxy_password_file = \"{name}\"\n");
        let error = parse(&text).unwrap_err().to_string();
        assert!(!error.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'), "{error:?}");
        assert!(error.contains("cannot be read") && error.len() < 1_000, "{error}");
    }
}

#[test]
fn carriage_returns_and_a_byte_order_mark_are_fine_s36() {
    let dos = format!("\u{feff}{}", FULL.replace('\n', "\r\n"));
    assert_eq!(parse(&dos).unwrap().digest(), parse(FULL).unwrap().digest());
    let broken = dos.replace("\"1h\"", "\"1 hour\"");
    let line = FULL.lines().position(|line| line == "schedule = \"1h\"").unwrap() + 1;
    assert_eq!(parse(&broken).unwrap_err().problems()[0].place, Place::Line(line));
}

#[test]
fn mistakes_are_named_with_their_place_s36() {
    let mut shown = String::new();
    for (name, text) in MISTAKES {
        let words = match parse(text) {
            Ok(_) => "TAKEN".to_owned(),
            Err(error) => error.to_string(),
        };
        shown.push_str(&format!("# {name}\n{words}\n\n"));
    }
    assert!(!shown.contains("TAKEN"), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
    insta::assert_snapshot!("mistakes", shown);
}

const MISTAKES: &[(&str, &str)] = &[
    ("empty file", ""),
    ("comments alone", "# data_dir = \"x\"\n"),
    ("cut in a text", "data_dir = \"/var/lib/way"),
    ("cut in a header", "data_dir = \"x\"\n[elast"),
    ("cut in a list", "[elastic]\nversions = [\"9.0.0\","),
    ("duplicate key", "[elastic]\nversions = [\"9.0.0\"]\nversions = [\"9.0.1\"]\n"),
    ("duplicate section", "[origin]\n[origin]\n"),
    ("unknown key, near", "[elastic]\nversions = [\"9.0.0\"]\nshedule = \"1h\"\n"),
    ("unknown key, far", "[elastic]\nversions = [\"9.0.0\"]\nxyzzy = 1\n"),
    ("unknown section", "[elastik]\nversions = [\"9.0.0\"]\n"),
    ("key of another section", "[elastic]\nversions = [\"9.0.0\"]\npreset = \"1d\"\n"),
    ("key of the top in a section", "[site]\ndata_dir = \"/data\"\n"),
    ("unknown key in an inline table", "[[serve]]\ntls = { cert = \"a\", key = \"b\" }\n"),
    ("key with hostile characters", "\"a\\u001b[31m\\u202e\" = 1\n"),
    ("reserved sections", "[bundle]\n[approval]\n[catalog]\n[blobs]\n"),
    ("tree in the data folder", "data_dir = \"/d\"\n[tree]\nfolder = \"/d/tree\"\n"),
    ("tree around the data folder", "data_dir = \"/d/data\"\n[tree]\nfolder = \"/d\"\nfiles = \"move\"\n"),
    ("section written as a key", "elastic = \"9.0.0\"\n"),
    ("list section written once", "[serve]\naddress = \"0.0.0.0:80\"\n"),
    ("list section of numbers", "serve = [1]\n"),
    ("a number for a duration", "[elastic]\nversions = [\"9.0.0\"]\nschedule = 3600\n"),
    ("a duration in words", "[elastic]\nversions = [\"9.0.0\"]\nschedule = \"1 hour\"\n"),
    ("a duration of nothing", "[elastic]\nversions = [\"9.0.0\"]\nschedule = \"0s\"\n"),
    ("a duration of ages", "[elastic]\nversions = [\"9.0.0\"]\nschedule = \"9999d\"\n"),
    ("a size without a unit", "[retention]\nbytes = 50\n"),
    ("a size with a fraction", "[retention]\nbytes = \"1.5GB\"\n"),
    ("a rate that is a size", "[origin]\nrate_limit = \"50MB\"\n"),
    ("a rate of nothing", "[origin]\nrate_limit = \"0MB/s\"\n"),
    ("a number in quotes", "[retention]\ndays = \"35\"\n"),
    ("a number out of bounds", "[retention]\ndays = 0\n[origin]\nconnections_per_host = 1000\n"),
    ("a number below zero", "[retention]\ndays = -1\n"),
    ("a number too large", "[retention]\ndays = 99999999999999999999\n"),
    ("a fraction", "[retention]\ndays = 1.5\n"),
    ("a flag in quotes", "[origin]\nallow_plain_http = \"yes\"\n"),
    ("a text for a list", "[elastic]\nversions = \"9.0.0\"\n"),
    ("a list with other things", "[elastic]\nversions = [\"9.0.0\",\n 9]\n"),
    ("a word that is none", "[elastic]\nversions = [\"9.0.0\"]\nsignature = \"yes\"\n"),
    ("a version twice", "[elastic]\nversions = [\"9.0.0\", \"9.0.0\"]\n"),
    (
        "a list with each mistake",
        "[elastic]\nversions = [\"9.0.0\", \"9.0.0\", \"../../x\", \"\", \"8.18.3\", \"9.0.0\"]\n[defender]\nplatforms = [\"linux\", \"windows\"]\n",
    ),
    (
        "versions that are none",
        "[elastic]\nversions = [\"9\", \"9.0.0/candidate\", \"9.0.0@2026-01-15\", \"v9.0.0\", \"../9.0.0\", \"9.0.0\\n\"]\n",
    ),
    (
        "bad dates",
        "[elastic]\ndated = [\"8.18.3@2026-02-30\", \"8.18.3\"]\ndated_templates = [\"/{version}/{date}.zip\"]\n",
    ),
    (
        "bad templates",
        "[elastic]\nversions = [\"9.0.0\"]\ndated_templates = [\"/{version}.zip\", \"../{version}-{date}\"]\n",
    ),
    ("a mode that is none", "[elastic]\nmode = \"cache\"\nversions = [\"8.*\"]\nwait = \"soon\"\n"),
    ("a URL that is none", "[elastic]\nversions = [\"9.0.0\"]\norigin = \"artifacts.security.elastic.co\"\n"),
    ("a URL of another scheme", "[elastic]\nversions = [\"9.0.0\"]\norigin = \"file:///mirror\"\n"),
    ("plain http", "[elastic]\nversions = [\"9.0.0\"]\norigin = \"http://mirror.internal\"\n"),
    ("a URL with a password", "[elastic]\nversions = [\"9.0.0\"]\norigin = \"https://u:hunter2@mirror.internal\"\n"),
    ("a proxy with a password", "[origin]\nproxy = \"http://u:hunter2@proxy:3128\"\n"),
    ("a proxy of another kind", "[origin]\nproxy = \"socks5://u:hunter2@proxy:1080\"\n"),
    ("a password without a user", "[origin]\nproxy = \"http://proxy:3128\"\nproxy_password = \"hunter2\"\n"),
    ("a password without a proxy", "[origin]\nproxy_password = \"hunter2\"\n"),
    ("a password that is a number", "[origin]\nproxy = \"http://u@proxy:3128\"\nproxy_password = 5\n"),
    (
        "a password file that is missing",
        "[origin]\nproxy = \"http://u@proxy:3128\"\nproxy_password_file = \"no-such-file\"\n",
    ),
    ("platforms that are none", "[defender]\nplatforms = [\"windows\"]\ntracks = []\narchitectures = [\"amd64\"]\n"),
    ("redirect hosts that are none", "[defender]\nredirect_hosts = [\"*.com\", \"https://x.example\", \"a..b\"]\n"),
    ("an address without a port", "[[serve]]\naddress = \"localhost:8080\"\n[admin]\naddress = \"127.0.0.1\"\n"),
    ("one address twice", "[[serve]]\naddress = \"0.0.0.0:8080\"\n[[serve]]\naddress = \"127.0.0.1:8080\"\n"),
    ("both families on one port", "[[serve]]\naddress = \"0.0.0.0:8090\"\n[[serve]]\naddress = \"[::]:8090\"\n"),
    ("a way that takes IPv4 as well", "[[serve]]\naddress = \"[::]:8081\"\n[admin]\naddress = \"127.0.0.1:8081\"\n"),
    ("credentials in plain, and none", "[[serve]]\ncredentials_without_tls = true\n"),
    ("keys that belong elsewhere", "[admin]\ntls = {}\n[[serve]]\naccess_log = \"-\"\n"),
    ("operators and endpoints on one address", "[admin]\naddress = \"127.0.0.1:8080\"\n"),
    ("access logs that are none", "[access_log]\nform = \"xml\"\nrotate_bytes = 1.5\n"),
    ("a size without a unit", "[access_log]\npath = \"-\"\nrotate_bytes = \"10\"\n[retention]\nbytes = \"50\"\n"),
    ("a log that would rotate away", "[access_log]\npath = \"-\"\nrotate_bytes = \"1B\"\n"),
    ("credentials on a plain line", "[[serve]]\ncredentials = \"who\"\n"),
    ("a PROXY header from nobody", "[[serve]]\nproxy_protocol = true\n"),
    (
        "revocation without an authority",
        "[[serve]]\ntls = { certificate = \"a.pem\", key = \"a.key\", client_crl = \"c.pem\" }\n",
    ),
    ("a head that is too short", "[limits]\nserve_head_bytes = \"10B\"\n"),
    ("half of tls", "[[serve]]\ntls = { certificate = \"a.pem\" }\n"),
    ("ranges that are none", "[[serve]]\nallow = [\"10.0.0.1/8\", \"10.0.0.0/33\", \"lan\"]\n"),
    ("a list of who may ask that names nobody", "[[serve]]\nallow = []\n"),
    ("a prefix that is none", "[[serve]]\npath_prefix = \"mirror/../x\"\n"),
    ("two rings", "[[ring]]\nname = \"canary\"\n[[ring]]\nname = \"broad\"\nafter = \"canary\"\nsoak = \"24h\"\n"),
    ("soak on the only ring", "[[ring]]\nname = \"broad\"\nsoak = \"24h\"\nafter = \"canary\"\n"),
    ("ring names that are none", "[[ring]]\nname = \"Broad ring\"\n"),
    ("a device's name for a ring", "[[ring]]\nname = \"con\"\n"),
    ("a ring without a name", "[[ring]]\n"),
    ("site names that are none", "[site]\nname = \"a/b\"\n"),
    ("half a limit of freshness", "[freshness]\ncheck = { warn = \"1d\" }\n"),
    ("a limit of freshness the wrong way round", "[freshness]\nage = { warn = \"2d\", fail = \"1d\" }\n"),
    (
        "checks that warn before the next run",
        "[elastic]\nversions = [\"9.0.0\"]\nschedule = \"3d\"\n[defender]\n[defender.freshness]\ncheck = { warn = \"1h\", fail = \"2h\" }\n",
    ),
    (
        "checks of one feed and of a preset that warn before the next run",
        "[elastic]\nversions = [\"9.0.0\", \"8.18.3\"]\nschedule = \"12h\"\n[freshness]\npreset = \"1d\"\n[[freshness.feed]]\nmatch = \"elastic/8.*\"\ncheck = { warn = \"1h\", fail = \"2h\" }\n",
    ),
    ("limits that are none", "[freshness]\ncheck = \"1d\"\nlag = { warn = 3, failure = \"1d\" }\npreset = \"2d\"\n"),
    (
        "limits for nothing",
        "[elastic]\nversions = [\"9.0.0\"]\n[[freshness.feed]]\nmatch = \"elastic/8.*\"\npreset = \"1d\"\n[[freshness.feed]]\n[[freshness.ring]]\nname = \"canary\"\nlag = { warn = \"1h\", fail = \"2h\" }\n[[freshness.ring]]\nname = \"broad\"\n",
    ),
    (
        "limits of one ring twice",
        "[[freshness.ring]]\nname = \"broad\"\nlag = { warn = \"1h\", fail = \"2h\" }\n[[freshness.ring]]\nname = \"broad\"\nlag = { warn = \"1h\", fail = \"2h\" }\n",
    ),
    ("limits of feeds that stand once", "[freshness.feed]\nmatch = \"*\"\n"),
    (
        "several at once",
        "data_dri = \"x\"\n[elastic]\nversions = [\"nine\"]\nschedule = \"often\"\n[retention]\ndays = \"many\"\n[limits]\nretries = 1000\nretry_base = 1\n",
    ),
];

#[test]
fn more_mistakes_than_a_person_reads_are_counted_s36() {
    let text: String = (0..50).map(|number| format!("stranger{number} = 1\n")).collect();
    let error = parse(&text).unwrap_err();
    assert_eq!(error.problems().len(), 20);
    assert!(error.to_string().ends_with("waystation.toml: and 30 more mistakes"), "{error}");
}

#[test]
fn the_environment_overrides_plain_keys() {
    let config = with_environment(
        "[elastic]\nversions = [\"9.0.0\"]\n",
        &[
            ("WAYSTATION__DATA_DIR", "/data"),
            ("WAYSTATION__ELASTIC__VERSIONS", "9.1.0, 9.2.0"),
            ("WAYSTATION__ELASTIC__RETENTION__DAYS", "7"),
            ("WAYSTATION__ORIGIN__ALLOW_PLAIN_HTTP", "true"),
            ("WAYSTATION__ORIGIN__PROXY", "http://u@proxy:3128"),
            ("WAYSTATION__ORIGIN__PROXY_PASSWORD", "hunter2"),
            ("WAYSTATION_CONFIG", "elsewhere.toml"),
            ("PATH", "/bin"),
        ],
    )
    .unwrap();
    assert_eq!(config.data_dir, Path::new("/data"));
    assert_eq!(feeds(&config), ["elastic/9.1.0", "elastic/9.2.0"]);
    assert_eq!(config.retention_of(Vendor::Elastic).age, Duration::from_secs(7 * 86_400));
    assert!(config.origin.allow_plain_http);
    assert_eq!(config.origin.proxy.unwrap().password.unwrap().expose(), "hunter2");
}

#[test]
fn mistakes_in_the_environment_name_the_variable_s36() {
    let error = with_environment(
        "data_dir = \"x\"\n",
        &[
            ("WAYSTATION__ELASTIC__SHEDULE", "1h"),
            ("WAYSTATION__RETENTION__DAYS", "many"),
            ("WAYSTATION__SERVE__ADDRESS", "0.0.0.0:80"),
            ("WAYSTATION__ELASTIC__VERSIONS", "9.0.0,nine"),
        ],
    )
    .unwrap_err();
    insta::assert_snapshot!("environment", error.to_string());
}

#[test]
fn secrets_are_read_from_files_and_shown_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("waystation.toml");
    let text = "[origin]\nproxy = \"http://u@proxy:3128\"\nproxy_password_file = \"secret\"\n";
    std::fs::write(&file, text).unwrap();
    std::fs::write(folder.path().join("secret"), "hunter2\r\n").unwrap();
    let config = Config::load(Some(&file), &[]).unwrap();
    let password = config.origin.proxy.as_ref().unwrap().password.clone().unwrap();
    assert_eq!(password.expose(), "hunter2");
    std::fs::write(folder.path().join("secret"), "hunter3\n").unwrap();
    let newer = Config::load(Some(&file), &[]).unwrap();
    assert_eq!(config.diff(&newer), ["origin.proxy_password: changed"]);
    let shown = format!("{config:?}{:?}{:?}{}{:?}", config.origin, password, config.canonical(), config.diff(&newer));
    assert!(!shown.contains("hunter"), "{shown}");
    for bad in ["", "\n", "two\nlines\n"] {
        std::fs::write(folder.path().join("secret"), bad).unwrap();
        assert!(Config::load(Some(&file), &[]).is_err(), "{bad:?}");
    }
}

#[test]
fn files_that_cannot_be_read_are_said_so_s36() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("latin"), b"data_dir = \"x\"\n# \xe4\n").unwrap();
    std::fs::write(at("utf16"), b"\xff\xfed\0a\0").unwrap();
    std::fs::write(at("large"), vec![b'#'; (1 << 20) + 1]).unwrap();
    std::fs::create_dir(at("folder")).unwrap();
    let words = |name: &str| Config::load(Some(&at(name)), &[]).unwrap_err().to_string();
    assert!(words("latin").contains(":2: holds bytes that are not UTF-8"), "{}", words("latin"));
    assert!(words("utf16").contains("UTF-16"));
    assert!(words("large").contains("larger than 1MiB"));
    assert!(words("folder").contains("not a plain file"));
    assert!(words("missing").contains("cannot be read"));
    assert_eq!(config::find(None, &[("WAYSTATION_CONFIG".into(), "x/y.toml".into())]).unwrap(), Path::new("x/y.toml"));
}

#[test]
fn differences_are_named_by_setting() {
    let old = parse("[elastic]\nversions = [\"9.0.0\"]\nschedule = \"60m\"\n").unwrap();
    let same = parse("[elastic]\nschedule = \"1h\"\nversions = [\"9.0.0\"]\n").unwrap();
    assert_eq!(old.digest(), same.digest());
    assert!(old.diff(&same).is_empty());
    let new = parse("[elastic]\nversions = [\"9.0.0\", \"9.1.0\"]\n[site]\nname = \"x\"\n").unwrap();
    assert_eq!(old.diff(&new), ["elastic.versions: [9.0.0] → [9.0.0, 9.1.0]", "site.name: (unset) → x"]);
}

#[test]
fn deep_nesting_is_refused_and_not_followed_s36() {
    let dots = "a.".repeat(100_000);
    for text in [
        format!("{dots}a = 1\n"),
        format!("[{dots}a]\n"),
        format!("\"#\".{dots}a = 1\n"),
        format!("x = {}", "[".repeat(100_000)),
        format!("x = {}", "{a=".repeat(100_000)),
        format!("x = {{ {dots}a = {{ {dots}b = 1 }} }}"),
        format!("{}a = 1\n", "a.".repeat(60)).repeat(1000),
        (0..79).map(|_| format!("{{ {}a = \n", "a.".repeat(1000))).collect::<String>().replacen('{', "x = {", 1),
        format!("x = {}1{}", format!("{{ {}a = ", "a.".repeat(1000)).repeat(79), "}".repeat(79)),
        format!("x = {}1{}", format!("{{ {}a = \n", "a.".repeat(1000)).repeat(79), "}".repeat(79)),
        (0..70).map(|_| format!("x = {{ {}a = \n", "a.".repeat(60))).collect(),
    ] {
        assert!(parse(&text).is_err());
    }
}

proptest! {
    #[test]
    fn no_text_panics_s36(text in "\\PC{0,200}") {
        let _ = parse(&text).map_err(|error| error.to_string());
    }

    #[test]
    fn no_toml_panics_s36(lines in prop::collection::vec("(\\[\\[?[a-z.]{1,10}\\]?\\]|(elastic|serve|ring|data_dir|tls|versions)\\.?[a-z]{0,8} = (1|-1|true|\"[^\"]{0,8}\"|\\[[\"0-9,a]{0,8}\\]|\\{ ?[a-z]{0,3} ?= ?1 ?\\}|[0-9-]{1,12}))", 0..12)) {
        let _ = parse(&lines.join("\n")).map_err(|error| error.to_string());
    }

    #[test]
    fn a_file_cut_anywhere_never_panics_s36(at in 0usize..2000) {
        let cut: String = FULL.chars().take(at).collect();
        let _ = parse(&cut).map_err(|error| error.to_string());
    }

    #[test]
    fn no_variable_panics_s36(name in "[A-Z_]{0,20}", value in "\\PC{0,20}") {
        let _ = with_environment("data_dir = \"x\"\n", &[(&format!("WAYSTATION__{name}"), &value)]);
    }
}
