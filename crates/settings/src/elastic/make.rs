//! What endpoints are to have, in every form that somebody may want to paste.

use serde_json::{Map, Value, json};

use super::{CaFile, Channel, System};
use crate::mirror_url::MirrorUrl;

/// What a policy's endpoints are to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The ring's address.
    pub mirror: MirrorUrl,
    /// For which systems.
    pub systems: Vec<System>,
    /// Which manifests hosts ask for; none leaves it as it is.
    pub channel: Option<Channel>,
    /// How often they ask, in seconds; none leaves it as it is.
    pub interval: Option<u64>,
    /// The CA of the mirror's certificate.
    pub ca: Option<CaFile>,
    /// Whether the mirror is asked without any proxy.
    pub past_proxies: bool,
}

impl Wanted {
    /// Each setting below `advanced` of a system: name and value.
    pub fn keys(&self) -> Vec<(&'static str, Value)> {
        let mut keys = vec![("artifacts.global.base_url", Value::from(self.mirror.text()))];
        if let Some(channel) = self.channel {
            keys.push(("artifacts.global.channel", Value::from(channel.as_str())));
        }
        if let Some(interval) = self.interval {
            // The policy's advanced settings are texts, as the page's form sends them.
            keys.push(("artifacts.global.interval", Value::from(interval.to_string())));
        }
        if let Some(ca) = &self.ca {
            keys.push(("artifacts.global.ca_cert", Value::from(ca.pem())));
        }
        if self.past_proxies {
            keys.push(("artifacts.global.proxy_disable", Value::from("true")));
        }
        keys
    }

    /// One setting a line, as the policy's page takes them.
    pub fn lines(&self) -> Vec<(String, String)> {
        let each = |system: &System| {
            let keys = self.keys().into_iter();
            let text = |value: Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            keys.map(|(name, value)| (format!("{}.advanced.{name}", system.as_str()), text(value))).collect::<Vec<_>>()
        };
        self.systems.iter().flat_map(each).collect()
    }

    /// As they stand in a policy: objects in each other.
    pub fn nested(&self) -> Value {
        let mut top = Map::new();
        for system in &self.systems {
            let mut settings = Value::Object(Map::new());
            for (name, value) in self.keys() {
                put(&mut settings, &format!("advanced.{name}"), value);
            }
            top.insert(system.as_str().to_owned(), settings);
        }
        Value::Object(top)
    }

    /// A script of curl and jq that puts them into a policy over Fleet's API.
    pub fn script(&self, kibana: &str, policy: &str) -> String {
        format!(
            r#"#!/bin/sh
# Points an Elastic Defend policy at the mirror. Needs curl and jq, and a file kibana-headers (mode 0600) that holds
#   Authorization: ApiKey <the key, base64>
# Without --apply the new settings are only shown. `waystation configure elastic --kibana` does the same, and explains.
set -eu
kibana={kibana}
policy={policy}
settings={settings}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

curl --fail-with-body --silent --show-error --header @kibana-headers --header 'kbn-xsrf: waystation' \
  --output "$work/before.json" "$kibana/api/fleet/package_policies/$policy"
jq --argjson settings "$settings" '.item
  | if .package.name == "endpoint" then . else error("not a policy of Elastic Defend") end
  | del(.id, .revision, .created_at, .created_by, .updated_at, .updated_by)
  | (.inputs[] | select(.type == "endpoint") | .config.policy.value) |= . * $settings' \
  "$work/before.json" > "$work/after.json"

if [ "${{1:-}}" = --apply ]; then
  # "version" is the lock: 409 means that somebody else was faster; run it again.
  curl --fail-with-body --silent --show-error --header @kibana-headers --header 'kbn-xsrf: waystation' \
    --header 'Content-Type: application/json' --request PUT --data-binary "@$work/after.json" \
    "$kibana/api/fleet/package_policies/$policy"
else
  jq '.inputs[] | select(.type == "endpoint") | .config.policy.value
    | {{windows: .windows.advanced, mac: .mac.advanced, linux: .linux.advanced}}' "$work/after.json"
fi
"#,
            kibana = quoted(kibana.trim_end_matches('/')),
            policy = quoted(policy),
            settings = quoted(&self.nested().to_string()),
        )
    }

    /// A part of Terraform's resource for Defend policies.
    pub fn terraform(&self) -> String {
        let lines = self.lines().into_iter().map(|(name, value)| format!("    {} = {}\n", json!(name), hcl(&value)));
        format!("  advanced_settings = {{\n{}  }}\n", lines.collect::<String>())
    }
}

/// Puts a value at dotted steps, making objects on the way.
fn put(top: &mut Value, steps: &str, value: Value) {
    let mut here = top;
    for step in steps.split('.') {
        if !here.is_object() {
            *here = Value::Object(Map::new());
        }
        let Value::Object(members) = here else { return };
        here = members.entry(step).or_insert(Value::Null);
    }
    *here = value;
}

/// A word for a shell, whatever is in it.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

/// A string of Terraform's language.
fn hcl(text: &str) -> String {
    json!(text).to_string().replace("${", "$${").replace("%{", "%%{")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::mirror_url::OverPlainHttp;

    fn wanted() -> Wanted {
        Wanted {
            mirror: MirrorUrl::parse("https://mirror.example:8443/rings/canary/", OverPlainHttp::Refused).unwrap(),
            systems: System::ALL.to_vec(),
            channel: Some(Channel::Stable),
            interval: None,
            ca: None,
            past_proxies: false,
        }
    }

    #[test]
    fn lines_and_objects_say_the_same() {
        let wanted = Wanted { systems: vec![System::Mac], interval: Some(3600), past_proxies: true, ..wanted() };
        assert_eq!(
            wanted.lines().iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>(),
            [
                "mac.advanced.artifacts.global.base_url=https://mirror.example:8443/rings/canary",
                "mac.advanced.artifacts.global.channel=stable",
                "mac.advanced.artifacts.global.interval=3600",
                "mac.advanced.artifacts.global.proxy_disable=true",
            ]
        );
        assert_eq!(
            wanted.nested(),
            json!({"mac": {"advanced": {"artifacts": {"global": {
                "base_url": "https://mirror.example:8443/rings/canary", "channel": "stable",
                "interval": "3600", "proxy_disable": "true"}}}}})
        );
    }

    #[test]
    fn nothing_leaves_its_quotes() {
        let script = wanted().script("https://kibana.example/x'y/", "a'; rm -rf ~; '");
        assert!(script.contains("kibana='https://kibana.example/x'\\''y'\n"), "{script}");
        assert!(script.contains("policy='a'\\''; rm -rf ~; '\\'''\n"), "{script}");
        assert_eq!(hcl("a\"${x}%{y}"), "\"a\\\"$${x}%%{y}\"");
    }
}
