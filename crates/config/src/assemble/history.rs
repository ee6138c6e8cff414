//! `[history]`.

use super::alarm::syslog_address;
use super::scope;
use crate::problem::quoted;
use crate::reader::{Reader, Scope};
use crate::types::{History, SyslogAddress};

pub(super) fn history(reader: &Reader<'_>) -> Option<History> {
    let scope = scope(reader, "history")?;
    let keep = scope.get("keep");
    let head_file = scope.path("head_file");
    let head_syslog = syslog(&scope);
    let head_every = scope.get("head_every");
    let head_entries: Option<u64> = scope.get("head_entries");
    Some(History {
        keep: keep?,
        head_file: head_file?,
        head_syslog: head_syslog?,
        head_every: head_every?,
        head_entries: head_entries?,
    })
}

fn syslog(scope: &Scope<'_>) -> Option<Option<SyslogAddress>> {
    let Some(given) = scope.maybe::<String>("head_syslog")? else { return Some(None) };
    match syslog_address(&given).filter(|address| !matches!(address, SyslogAddress::Tls(_))) {
        Some(address) => Some(Some(address)),
        None => {
            scope.wrong(
                "head_syslog",
                format!(
                    "{} is none of udp://HOST:PORT, tcp://HOST:PORT and unix:/PATH; write for example head_syslog = \"udp://logs.internal:514\"",
                    quoted(&given)
                ),
            );
            None
        }
    }
}
