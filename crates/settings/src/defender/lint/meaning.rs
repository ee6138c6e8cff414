//! What settings that are well-formed mean for updates.

use serde_json::{Map, Value};

use super::Context;
use super::address;
use crate::check::{Check, Finding};
use crate::defender::Platform;
use crate::defender::keys::{
    AUTOMATIC, CLOUD, ENFORCEMENT, ENGINE, FALLBACK, FALLBACK_TYPO, FEATURES, INTERVAL, OFFLINE, PROXY, URL, VERIFY_SIG,
};
use crate::json::step;
use crate::text::shown_url;

/// An hour, in seconds.
const HOUR: u64 = 3600;

struct View<'a> {
    sections: &'a Map<String, Value>,
    at: &'a str,
}

impl<'a> View<'a> {
    fn get(&self, section: &str, name: &str) -> Option<&'a Value> {
        self.sections.get(section)?.get(name)
    }

    fn text(&self, section: &str, name: &str) -> Option<&'a str> {
        self.get(section, name)?.as_str()
    }

    fn place(&self, section: &str, name: &str) -> String {
        step(&step(self.at, section), name)
    }
}

/// Adds what the values together do. A value of the wrong type was told already and counts as absent.
pub(super) fn look(sections: &Map<String, Value>, at: &str, context: &Context, findings: &mut Vec<Finding>) {
    let view = View { sections, at };
    let url = view.text(ENGINE, URL);
    let section = context.platform.offline_section(context.agent.as_ref());
    let offline = view.text(section, OFFLINE) == Some("enabled");
    source(&view, url, offline, context, findings);
    if offline {
        timing(&view, context, findings);
        fallback(&view, context, findings);
    }
    signature(&view, offline, context, findings);
    if let Some(proxy) = view.text(CLOUD, PROXY) {
        let check = if super::super::proxy(proxy).is_some() { Check::ProxySet } else { Check::ProxyUnreadable };
        findings.push(Finding::new(check, view.place(CLOUD, PROXY), format!("\"{}\"", shown_url(proxy))));
    }
}

fn source(view: &View<'_>, url: Option<&str>, offline: bool, context: &Context, findings: &mut Vec<Finding>) {
    let section = context.platform.offline_section(context.agent.as_ref());
    let toggle = view.get(section, OFFLINE);
    let is_off = toggle.is_none() || view.text(section, OFFLINE) == Some("disabled");
    // Where an address is meant, settings without one are as wrong as those with another.
    let is_meant = offline || context.url.is_some();
    if is_off && (url.is_some() || context.url.is_some()) {
        let seen = toggle.map_or_else(|| "not set".to_owned(), Value::to_string);
        findings.push(Finding::new(Check::OfflineOff, view.place(section, OFFLINE), seen));
    }
    match url {
        None if is_meant && view.get(ENGINE, URL).is_none() => {
            findings.push(Finding::new(Check::UrlMissing, view.place(ENGINE, URL), "not set"));
        }
        None => {}
        Some(url) => {
            findings.extend(address::look(url, &view.place(ENGINE, URL), context));
        }
    }
}

fn timing(view: &View<'_>, context: &Context, findings: &mut Vec<Finding>) {
    let level = view.text(ENGINE, ENFORCEMENT);
    let by_default = view.get(ENGINE, ENFORCEMENT).is_none() && context.platform == Platform::Linux;
    if by_default || matches!(level, Some("passive" | "on_demand")) {
        let before_scans = view.get("scheduledScan", "checkForDefinitionsUpdate") == Some(&Value::Bool(true));
        let seen = level.unwrap_or("not set");
        let seen = if before_scans { format!("{seen}; updates come before scheduled scans") } else { seen.to_owned() };
        if context.platform == Platform::Mac {
            // The Linux page has the condition; the macOS page has none.
            let seen = format!("{seen}; the macOS page does not make updates depend on it");
            let finding = Finding::new(Check::Passive, view.place(ENGINE, ENFORCEMENT), seen);
            findings.push(finding.at_level(crate::Level::Note));
        } else {
            let finding = Finding::new(Check::Passive, view.place(ENGINE, ENFORCEMENT), seen);
            findings.push(if before_scans { finding.at_level(crate::Level::Warn) } else { finding });
        }
    }
    if view.get(CLOUD, AUTOMATIC) == Some(&Value::Bool(false)) {
        findings.push(Finding::new(Check::AutomaticOff, view.place(CLOUD, AUTOMATIC), "false"));
    }
    if let Some(seconds) = view.get(CLOUD, INTERVAL).and_then(Value::as_u64)
        && (60..HOUR).contains(&seconds)
    {
        findings.push(Finding::new(Check::IntervalOften, view.place(CLOUD, INTERVAL), format!("{seconds} seconds")));
    }
}

fn fallback(view: &View<'_>, context: &Context, findings: &mut Vec<Finding>) {
    match view.get(ENGINE, FALLBACK) {
        Some(Value::Bool(true)) => {
            findings.push(Finding::new(Check::FallbackOn, view.place(ENGINE, FALLBACK), "true"));
        }
        // The misspelt key was told already, with what it does.
        None if view.get(ENGINE, FALLBACK_TYPO).is_none() => {
            let default = if context.platform == Platform::Mac { "true" } else { "not published" };
            let seen = format!("not set; the default is {default}");
            findings.push(Finding::new(Check::FallbackUnset, view.place(ENGINE, FALLBACK), seen));
        }
        _ => {}
    }
}

fn signature(view: &View<'_>, offline: bool, context: &Context, findings: &mut Vec<Finding>) {
    let place = view.place(FEATURES, VERIFY_SIG);
    let reads = context.platform.reads_verify_sig(context.agent.as_ref());
    match (view.text(FEATURES, VERIFY_SIG), reads) {
        (Some(set), Some(false)) => findings.push(Finding::new(Check::VerifySigDeprecated, place, set)),
        (Some("disabled"), _) => findings.push(Finding::new(Check::VerifySigOff, place, "disabled")),
        (Some(set), None) => findings.push(Finding::new(Check::VerifySigDeprecated, place, set)),
        (None, Some(true)) if offline && view.get(FEATURES, VERIFY_SIG).is_none() => {
            findings.push(Finding::new(Check::VerifySigUnset, place, "not set"));
        }
        _ => {}
    }
}
