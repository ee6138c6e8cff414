//! Health reports, policy responses, managed settings.

use super::Book;

const HEALTH: &str = "automatic_definition_update_enabled         : true [managed]\n\
    definitions_updated                         : Oct 04, 2026 at 06:05:09 AM\n\
    definitions_updated_minutes_ago             : 2\n\
    definitions_version                         : \"1.459.553.0\"\n\
    definitions_status                          : \"up_to_date\"\n\
    definitions_update_source_uri               : \"http://mirror.example:8000/linux/production/\"\n\
    definitions_update_fail_reason              : \"\"\n\
    offline_definition_url_configured           : \"http://mirror.example:8000/linux/production/\" [managed]\n\
    offline_definition_update                   : \"enabled\" [managed]\n\
    offline_definition_update_fallback_to_cloud : false[managed]\n";
const HEALTH_JSON: &str = r#"{"$type":"getHealthAllResult","appVersion":"101.26062.0007","automaticDefinitionUpdateEnabled":{"displayValue":true,"isManaged":false,"value":true},"definitionsStatus":{"$type":"upToDate"},"definitionsUpdated":"1791093909000","definitionsUpdatedMinutesAgo":2,"definitionsVersion":"1.459.553.0","engineVersion":"1.1.26080.3","healthIssues":[],"licensed":true}"#;
const RESPONSE: &str = r#"{"@timestamp":"2026-10-04T18:38:15.717Z","agent":{"id":"4c9c9cb3","version":"9.0.0","build":{"original":"version: 9.0.0, compiled: Fri Apr 1 06:00:00 2026, branch: main"}},"host":{"hostname":"h","os":{"type":"windows"}},"Endpoint":{"policy":{"applied":{"actions":[{"name":"download_global_artifacts","status":"success","message":"Global artifacts are available for use"}],"artifacts":{"global":{"version":"1.0.99","snapshot":"latest","update_age":0,"channel":"stable","manifest_type":"stable"}}}}}}"#;
const MANAGED: &str = r#"{
  "edr": {"tags": []},
  "cloudService": {"automaticDefinitionUpdateEnabled": true, "definitionUpdatesInterval": 7200},
  "antivirusEngine": {"enforcementLevel": "real_time", "offlineDefinitionUpdate": "enabled",
    "offlineDefinitionUpdateUrl": "https://mirror.example/linux/production/", "offlineDefinitionUpdateFallbackToCloud": false}
}
"#;
const PROFILE: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n<plist version=\"1.0\"><dict><key>PayloadContent</key><array><dict><key>PayloadType</key><string>com.microsoft.wdav</string><key>antivirusEngine</key><dict><key>enforcementLevel</key><string>passive</string></dict></dict></array></dict></plist>\n";

pub(super) fn write(book: &mut Book) {
    health(book);
    responses(book);
    managed(book);
}

fn health(book: &mut Book) {
    let to = &["health_report"];
    book.honest(to, "text", HEALTH);
    book.honest(to, "json", HEALTH_JSON);
    book.family(
        to,
        "c16-numbers",
        [
            "definitions_updated_minutes_ago : NaN\n",
            "definitions_updated_minutes_ago : 18446744073709551615\n",
            "definitions_updated_minutes_ago : -1\n",
            "{\"definitionsUpdated\":\"9223372036854775807\",\"definitionsUpdatedMinutesAgo\":1e300}",
            "{\"definitionsUpdated\":-1}",
        ],
    );
    book.family(
        to,
        "c18-shapes",
        [
            "",
            "[]",
            "{}",
            "{\"a\":null}",
            "{\"a\":{\"value\":{\"value\":1}}}",
            "{\"a\":{\"$type\":1}}",
            "{\"a\":1}{\"b\":2}",
            "x : 1\n{\"a\":1}",
        ],
    );
    book.family(to, "c36-hidden", ["definitions_update_fail_reason : \"\u{1b}[2J\u{202e}\"\n", "\u{1b}[2J : 1\n"]);
    book.family(to, "c13-nested", ["{\"a\":".repeat(500), "[".repeat(4_000)]);
    book.family(
        to,
        "addresses",
        [
            "offline_definition_url_configured : \"//\"\n",
            "definitions_update_source_uri : \"https://[::1\"\noffline_definition_update : \"enabled\"\n",
        ],
    );
}

fn responses(book: &mut Book) {
    let to = &["policy_response"];
    book.honest(to, "document", RESPONSE);
    let with = |from: &str, to: &str| RESPONSE.replace(from, to);
    book.family(
        to,
        "c16-numbers",
        [
            with("\"update_age\":0", "\"update_age\":18446744073709551615"),
            with("\"update_age\":0", "\"update_age\":-1"),
            with("\"update_age\":0", "\"update_age\":1e300"),
            with("2026-10-04T18:38:15.717Z", "NaN"),
            with("2026-10-04T18:38:15.717Z", "9999-12-31T23:59:59Z"),
            with("2026-10-04T18:38:15.717Z", "-009999-01-02T00:00:00Z"),
        ],
    );
    book.family(
        to,
        "c18-shapes",
        [
            "null".to_owned(),
            "[]".to_owned(),
            with("\"4c9c9cb3\"", "{}"),
            with("{\"name\":\"download_global_artifacts\"", "1,{\"name\":\"download_global_artifacts\""),
            with("\"version\":\"1.0.99\"", "\"version\":\"$(id)\""),
            with("\"version\":\"9.0.0\"", "\"version\":\"9.0.0/../..@2026-01-01\""),
        ],
    );
    book.family(
        to,
        "dates",
        [
            with("\"snapshot\":\"latest\"", "\"snapshot\":\"2026-01-15\""),
            with("Fri Apr 1", "Fri Apr 99"),
            with("Global artifacts are available for use", "x does not match target snapshot: 2026-02-30"),
        ],
    );
    book.family(to, "c36-hidden", [with("\"h\"", "\"\\u001b[2J\\u202e\"")]);
}

fn managed(book: &mut Book) {
    let to = &["managed_settings"];
    book.honest(to, "managed", MANAGED);
    book.honest(to, "profile", PROFILE);
    book.family(to, "c12-twice", ["{\"antivirusEngine\":{},\"antivirusEngine\":{\"a\":1,\"a\":2}}"]);
    book.family(
        to,
        "c16-numbers",
        ["{\"a\":18446744073709551616}", "{\"cloudService\":{\"definitionUpdatesInterval\":1e300}}"],
    );
    book.family(
        to,
        "c18-shapes",
        [
            "",
            "[]",
            "null",
            "{\"antivirusEngine\":[]}",
            "{\"antivirusEngine\":{\"offlineDefinitionUpdateUrl\":{}}}",
            "<plist/>",
        ],
    );
    book.family(
        to,
        "c13-nested",
        [format!("{{\"a\":{}", "[".repeat(4_000)), format!("<plist>{}", "<array>".repeat(1_000))],
    );
    book.family(
        to,
        "c35-entities",
        ["<!DOCTYPE plist [<!ENTITY a \"aaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]><plist><dict><key>&b;</key><string>&b;</string></dict></plist>"],
    );
    book.family(
        to,
        "c17-text",
        [&b"\xef\xbb\xbf{}"[..], b"\xff\xfe{\0}\0", b"bplist00", b"\x30\x82\x01\x00", b"<html>Sign in</html>"],
    );
    book.family(
        to,
        "addresses",
        ["//", "https://", "https://a@b:1/arch_x", "smb://x", "\u{1b}[2J", "https://[::1]:1/linux/production?x#y"]
            .map(|url| MANAGED.replace("https://mirror.example/linux/production/", &url.replace('\u{1b}', "\\u001b"))),
    );
}
