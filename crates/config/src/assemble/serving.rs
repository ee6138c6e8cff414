//! Listeners and rings.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use model::{Cidr, RingName, RoutePath};

use super::scope;
use crate::keys;
use crate::problem::quoted;
use crate::reader::{Reader, Scope};
use crate::types::{AccessLog, Admin, LogForm, Ring, Serve, TlsFiles};

pub(super) fn serve(reader: &Reader<'_>) -> Option<Vec<Serve>> {
    let section = keys::section("serve")?;
    let mut scopes = reader.list(section);
    if scopes.is_empty() && !reader.has("serve") {
        scopes.push(reader.defaults(section));
    }
    let mut listeners: Vec<Serve> = Vec::new();
    let mut whole = true;
    for scope in &scopes {
        match listener(scope) {
            Some(listener) if listeners.iter().any(|other| clash(other.address, listener.address)) => {
                let hint = both_families(&listeners, listener.address);
                scope.wrong("address", format!("{} is taken by another [[serve]]{hint}", listener.address));
                whole = false;
            }
            Some(listener) => listeners.push(listener),
            None => whole = false,
        }
    }
    (whole && !listeners.is_empty()).then_some(listeners)
}

/// Port 0 stands for any free port, and so never clashes.
fn clash(one: SocketAddr, other: SocketAddr) -> bool {
    one.port() != 0
        && one.port() == other.port()
        && (one.ip() == other.ip()
            || takes_both(one)
            || takes_both(other)
            || (one.is_ipv4() == other.is_ipv4() && (one.ip().is_unspecified() || other.ip().is_unspecified())))
}

/// The system hands IPv4 connections to a socket on `[::]`, too.
fn takes_both(address: SocketAddr) -> bool {
    address.is_ipv6() && address.ip().is_unspecified()
}

fn both_families(listeners: &[Serve], newer: SocketAddr) -> &'static str {
    let mixed = |other: &Serve| clash(other.address, newer) && other.address.is_ipv4() != newer.is_ipv4();
    if listeners.iter().any(mixed) { ": [::] takes IPv4 as well, so it does for both" } else { "" }
}

fn listener(scope: &Scope<'_>) -> Option<Serve> {
    let address = scope.get("address");
    let path_prefix = prefix(scope);
    let tls = tls(scope);
    let allow = allow(scope);
    let trusted_proxies = scope.each("trusted_proxies");
    let proxy_protocol = proxy_protocol(scope, trusted_proxies.as_deref());
    let credentials = credentials(scope, tls.as_ref());
    Some(Serve {
        address: address?,
        path_prefix: path_prefix?,
        tls: tls?,
        allow: allow?,
        trusted_proxies: trusted_proxies?,
        proxy_protocol: proxy_protocol?,
        credentials: credentials?,
    })
}

fn prefix(scope: &Scope<'_>) -> Option<String> {
    let given: String = scope.get("path_prefix")?;
    let bare = given.strip_suffix('/').unwrap_or(&given);
    if bare.is_empty() {
        return Some(String::new());
    }
    match bare.parse::<RoutePath>() {
        Ok(path) => Some(path.to_string()),
        Err(_) => {
            scope.wrong(
                "path_prefix",
                format!(
                    "{} is not a plain path from '/' on; write for example path_prefix = \"/mirror\"",
                    quoted(&given)
                ),
            );
            None
        }
    }
}

/// An empty list is what a template without its values leaves: that it lets everyone in would be seen too late.
fn allow(scope: &Scope<'_>) -> Option<Vec<Cidr>> {
    let listed = scope.each("allow")?;
    if listed.is_empty() && scope.has("allow") {
        scope.wrong("allow", "names nobody; list who may ask, or leave the key out to let everyone in");
        return None;
    }
    Some(listed)
}

fn tls(scope: &Scope<'_>) -> Option<Option<TlsFiles>> {
    let Some(files) = scope.inline("tls")? else { return Some(None) };
    let certificate = needed(&files, "certificate");
    let key = needed(&files, "key");
    let client_ca = files.path("client_ca");
    let client_crl = files.path("client_crl");
    let (client_ca, client_crl) = (client_ca?, client_crl?);
    if client_crl.is_some() && client_ca.is_none() {
        files.wrong("client_crl", "revokes certificates that nobody asks for; set client_ca as well");
        return None;
    }
    Some(Some(TlsFiles { certificate: certificate?, key: key?, client_ca, client_crl }))
}

fn proxy_protocol(scope: &Scope<'_>, trusted_proxies: Option<&[Cidr]>) -> Option<bool> {
    let wanted = scope.get("proxy_protocol")?;
    if wanted && trusted_proxies.is_some_and(<[Cidr]>::is_empty) {
        scope.wrong("proxy_protocol", "believes the headers of trusted_proxies alone, and there are none; name them");
        return None;
    }
    Some(wanted)
}

/// Credentials on a plain line are everybody's, so they take a word that this is meant.
fn credentials(scope: &Scope<'_>, tls: Option<&Option<TlsFiles>>) -> Option<Option<PathBuf>> {
    let (file, plain) = (scope.path("credentials"), scope.get::<bool>("credentials_without_tls"));
    let (file, plain) = (file?, plain?);
    if file.is_none() && plain {
        scope.wrong(
            "credentials_without_tls",
            "lets credentials cross a plain line, and none are asked for; set credentials as well, or leave it out",
        );
        return None;
    }
    if file.is_some() && !plain && tls.is_some_and(Option::is_none) {
        scope.wrong(
            "credentials",
            "would cross a plain line, where anyone can read them; set tls, or credentials_without_tls = true where a proxy in front ends TLS",
        );
        return None;
    }
    Some(file)
}

/// The section `[access_log]`.
pub(super) fn access_log(reader: &Reader<'_>) -> Option<Option<AccessLog>> {
    let scope = scope(reader, "access_log")?;
    if !reader.has("access_log") {
        return Some(None);
    }
    let name: Option<PathBuf> = scope.get("path");
    let form: Option<String> = scope.get("form");
    let rotate_bytes = rotate_bytes(&scope);
    let keep = scope.get::<u64>("keep");
    let path = match name? {
        dash if dash.as_os_str() == "-" => None,
        _ => scope.path("path")?,
    };
    let form = match form?.as_str() {
        "json" => LogForm::Json,
        "common" => LogForm::Common,
        _ => LogForm::Text,
    };
    Some(Some(AccessLog { path, form, rotate_bytes: rotate_bytes?, keep: usize::try_from(keep?).ok()? }))
}

/// Lines come in batches of up to 64 KiB: with smaller files than that nothing would be kept of what was just written.
fn rotate_bytes(scope: &Scope<'_>) -> Option<u64> {
    let bytes = scope.get("rotate_bytes")?;
    if (1..1 << 16).contains(&bytes) {
        scope.wrong("rotate_bytes", "is below 64KiB; write for example rotate_bytes = \"100MB\", or \"0B\" for never");
        return None;
    }
    Some(bytes)
}

/// `limits.serve_head_bytes`: enough for any real request, and no more than a buffer should grow to.
pub(super) fn head_bytes(scope: &Scope<'_>) -> Option<usize> {
    let bytes: u64 = scope.get("serve_head_bytes")?;
    if !(1 << 10..=1 << 20).contains(&bytes) {
        scope.wrong("serve_head_bytes", "is not between 1KiB and 1MiB; write for example serve_head_bytes = \"16KiB\"");
        return None;
    }
    usize::try_from(bytes).ok()
}

fn needed(files: &Scope<'_>, name: &'static str) -> Option<PathBuf> {
    let path = files.path(name)?;
    if path.is_none() {
        // Said by `get`, in the words that it has for every missing key.
        let _ = files.get::<PathBuf>(name);
    }
    path
}

pub(super) fn admin(reader: &Reader<'_>, serve: Option<&[Serve]>) -> Option<Admin> {
    let scope = scope(reader, "admin")?;
    let address = scope.get("address")?;
    if serve.unwrap_or_default().iter().any(|listener| clash(listener.address, address)) {
        scope.wrong("address", format!("{address} is taken by a [[serve]]; operators need a listener of their own"));
        return None;
    }
    Some(Admin { address })
}

/// One ring for now: the chain's checks come with the second.
pub(super) fn rings(reader: &Reader<'_>) -> Option<Vec<Ring>> {
    let scopes = reader.list(keys::section("ring")?);
    if scopes.is_empty() {
        let broken = reader.has("ring");
        return (!broken).then(|| vec![Ring { name: RingName::broad(), after: None, soak: Duration::ZERO }]);
    }
    let mut rings = Vec::new();
    let mut whole = true;
    for (index, scope) in scopes.iter().enumerate() {
        if index > 0 {
            scope.wrong("name", "a second [[ring]] is not in this version; keep one");
            whole = false;
            continue;
        }
        for name in ["after", "soak"] {
            if scope.has(name) {
                scope.wrong(name, "is not in this version, which has one ring; remove it");
                whole = false;
            }
        }
        match ring_name(scope) {
            Some(name) => rings.push(Ring { name, after: None, soak: Duration::ZERO }),
            None => whole = false,
        }
    }
    whole.then_some(rings)
}

fn ring_name(scope: &Scope<'_>) -> Option<RingName> {
    let text: String = scope.get("name")?;
    match text.parse::<RingName>() {
        Ok(name) if !is_device(&text) => Some(name),
        Ok(_) => {
            scope.wrong("name", format!("'{text}' is a device's name on Windows; choose another"));
            None
        }
        Err(error) => {
            scope.wrong(
                "name",
                format!("{} is no ring's name: {error}; write for example name = \"broad\"", quoted(&text)),
            );
            None
        }
    }
}

/// Names that Windows takes for devices, in any folder and with any extension.
pub(super) fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().to_ascii_uppercase();
    let numbered = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    matches!(stem.as_str(), "CON" | "PRN" | "AUX" | "NUL")
        || numbered.is_some_and(|rest| rest.len() == 1 && rest.bytes().all(|b| b.is_ascii_digit()))
}
