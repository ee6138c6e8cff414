//! Defend policies in Kibana: listed, read, changed behind their own lock.

use outbound::Verb;
use serde::Serialize;
use serde_json::{Map, Value};
use settings::elastic::{PolicyError, Wanted, change, look, strip};
use settings::{Change, Finding};

use crate::access::{Access, AccessError, Said};
use model::shown;

/// The most bytes of one answer: policies carry artifact lists and certificates.
const CAP: u64 = 32 << 20;
/// Policies on one page of the list; more than a page may have is refused.
const PER_PAGE: u64 = 100;
/// The most pages of the list.
const PAGES: u64 = 200;
/// How often a write is tried again on a policy that Fleet itself changed meanwhile.
const AGAIN: usize = 3;
/// How many members that may only be read are left out, one after the other.
const LEFT_OUT: usize = 16;

/// Kibana.
#[derive(Clone)]
pub struct Kibana {
    access: Access,
}

/// A policy in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What its endpoints are set to: system and base URL, where one is set.
    pub base_urls: Vec<(String, String)>,
}

/// What would be changed.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The policy's name.
    pub name: String,
    /// What would be changed.
    pub changes: Vec<Change>,
    /// What else in the policy keeps a mirror from working, once it is changed.
    pub findings: Vec<Finding>,
    item: Value,
    changed: Value,
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// There was nothing to change.
    Nothing,
    /// It was written, and reads back so.
    Written,
}

/// Why a policy could not be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum KibanaError {
    /// There was no usable answer.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The answer to a write did not come.
    #[error("whether the policy was written is not known: {0}; run it again without --apply to see how it stands")]
    Unknown(AccessError),
    /// The policy is not what is meant.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// 400.
    #[error("Kibana does not take the policy (400): {0}; nothing was written")]
    Invalid(String),
    /// 401.
    #[error(
        "Kibana does not know the key (401): {0}; it may be expired, revoked, or one of another cluster: make a new one \
         under Stack Management > API keys"
    )]
    Unauthorized(String),
    /// 403, where nothing was to be written.
    #[error(
        "Kibana does not let the key read policies (403): {0}; the key needs 'Elastic Defend Policy Management: Read', \
         or All to change one"
    )]
    Unreadable(String),
    /// 403 to a write.
    #[error(
        "Kibana refuses the change (403): {0}; the key needs 'Elastic Defend Policy Management: All', and versions that \
         guard artifact settings take a change of them from a superuser alone: apply with such a key, or hand the \
         difference to one"
    )]
    Forbidden(String),
    /// 404.
    #[error(
        "Kibana has no such policy (404): {0}; --list shows those of this space (another one: /s/SPACE in the URL)"
    )]
    Missing(String),
    /// 409.
    #[error("somebody changed the policy meanwhile (409): {0}; nothing was written: look at the difference again")]
    Conflict(String),
    /// Another status to a write.
    #[error(
        "Kibana answered the write with {status}: {message}; whether the policy was written is not known: run it again \
         without --apply to see how it stands"
    )]
    Unsure {
        /// Which.
        status: u16,
        /// In its words.
        message: String,
    },
    /// Another status.
    #[error("Kibana answered {status}: {message}; nothing was written")]
    Status {
        /// Which.
        status: u16,
        /// In its words.
        message: String,
    },
    /// It is not laid out as documented.
    #[error("Kibana's answer has no {0}: this is not what its API is documented to answer")]
    Shape(&'static str),
    /// It was written, and could not be read after that.
    #[error(
        "Kibana took the change and said so; that it reads back so could not be seen: {0}; run it again without --apply \
         to see how it stands"
    )]
    Unread(String),
    /// What was written does not read back.
    #[error("Kibana took the policy and did not keep {0}: look at it in Kibana")]
    NotKept(String),
}

impl Kibana {
    /// Kibana behind this way.
    pub fn new(access: Access) -> Self {
        Self { access }
    }

    /// Every policy of Elastic Defend in this space.
    ///
    /// # Errors
    /// [`KibanaError`] when the list cannot be read whole.
    pub async fn list(&self) -> Result<Vec<Listed>, KibanaError> {
        let mut listed = Vec::new();
        let mut seen = 0;
        for page in 1..=PAGES {
            let path = format!("/api/fleet/package_policies?perPage={PER_PAGE}&page={page}");
            let said = ok(self.access.ask(Verb::Get, &path, None, CAP).await?)?;
            let items = said.value.get("items").and_then(Value::as_array).ok_or(KibanaError::Shape("array 'items'"))?;
            let total = said.value.get("total").and_then(Value::as_u64).ok_or(KibanaError::Shape("number 'total'"))?;
            listed.extend(items.iter().filter_map(listed_of));
            seen += items.len() as u64;
            if items.is_empty() || seen >= total {
                return Ok(listed);
            }
        }
        Err(KibanaError::Shape("end of its pages"))
    }

    /// What would be changed in a policy. Changes nothing.
    ///
    /// # Errors
    /// [`KibanaError`] when the policy cannot be read, or is not Elastic Defend's.
    pub async fn plan(&self, id: &str, wanted: &Wanted) -> Result<Planned, KibanaError> {
        let item = self.read(id).await?;
        let (changed, changes) = change(&item, wanted)?;
        let name = item.get("name").and_then(Value::as_str).unwrap_or_default();
        let findings = look(&changed, &wanted.systems);
        Ok(Planned { name: shown(name, 200), changes, findings, item, changed })
    }

    /// Writes what was planned, behind the lock that the policy had when it was read.
    ///
    /// # Errors
    /// [`KibanaError`], which says whether anything was written.
    pub async fn apply(&self, id: &str, wanted: &Wanted, planned: Planned) -> Result<Applied, KibanaError> {
        if planned.changes.is_empty() {
            return Ok(Applied::Nothing);
        }
        let Planned { mut item, mut changed, .. } = planned;
        for _ in 0..AGAIN {
            let said = self.put(id, &changed).await?;
            if said.status != 409 {
                written(said)?;
                return self.confirm(id, wanted).await;
            }
            let now = self.read(id).await?;
            if by_people(&now) != by_people(&item) {
                return Err(KibanaError::Conflict(said.message()));
            }
            // Fleet alone changed it, as it does in the background: the same change fits.
            changed = change(&now, wanted)?.0;
            item = now;
        }
        Err(KibanaError::Conflict(format!("Fleet kept changing it; tried {AGAIN} times")))
    }

    async fn read(&self, id: &str) -> Result<Value, KibanaError> {
        let said = ok(self.access.ask(Verb::Get, &path(id), None, CAP).await?)?;
        match said.value {
            Value::Object(mut members) => members.shift_remove("item").ok_or(KibanaError::Shape("object 'item'")),
            _ => Err(KibanaError::Shape("object 'item'")),
        }
    }

    /// Writes; members that Kibana says may not be written are left out one after the other.
    async fn put(&self, id: &str, changed: &Value) -> Result<Said, KibanaError> {
        let mut left_out = Vec::new();
        loop {
            let body = strip(changed, &left_out);
            let said = self.access.ask(Verb::Put, &path(id), Some(&body), CAP).await.map_err(KibanaError::Unknown)?;
            let unknown = if said.status == 400 { unknown_member(&said.message(), &body) } else { None };
            match unknown {
                Some(name) if left_out.len() < LEFT_OUT => left_out.push(name),
                _ => return Ok(said),
            }
        }
    }

    async fn confirm(&self, id: &str, wanted: &Wanted) -> Result<Applied, KibanaError> {
        let item = self.read(id).await.map_err(|error| KibanaError::Unread(unread(&error)))?;
        let (_, left) = change(&item, wanted)?;
        match left.first() {
            None => Ok(Applied::Written),
            Some(change) => Err(KibanaError::NotKept(shown(&change.at, 200))),
        }
    }
}

fn path(id: &str) -> String {
    let escaped: String = id
        .bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect();
    format!("/api/fleet/package_policies/{escaped}")
}

fn ok(said: Said) -> Result<Said, KibanaError> {
    let message = said.message();
    Err(match said.status {
        200..=299 => return Ok(said),
        400 => KibanaError::Invalid(message),
        401 => KibanaError::Unauthorized(message),
        403 => KibanaError::Unreadable(message),
        404 => KibanaError::Missing(message),
        409 => KibanaError::Conflict(message),
        status => KibanaError::Status { status, message },
    })
}

/// The answer to a write: an error of a server's own may come before or after it wrote.
fn written(said: Said) -> Result<(), KibanaError> {
    let (status, message) = (said.status, said.message());
    match ok(said) {
        Ok(_) => Ok(()),
        Err(KibanaError::Unreadable(_)) => Err(KibanaError::Forbidden(message)),
        Err(KibanaError::Status { .. }) => Err(KibanaError::Unsure { status, message }),
        Err(error) => Err(error),
    }
}

/// Why a policy that was written could not be read, without words on what was written.
fn unread(error: &KibanaError) -> String {
    match error {
        KibanaError::Status { status, message } | KibanaError::Unsure { status, message } => {
            format!("Kibana answered {status}: {message}")
        }
        KibanaError::Unreadable(message) => format!("Kibana does not let the key read policies (403): {message}"),
        KibanaError::Unauthorized(message) => format!("Kibana does not know the key any more (401): {message}"),
        KibanaError::Missing(message) => format!("Kibana has no such policy any more (404): {message}"),
        KibanaError::Invalid(message) => format!("Kibana answered 400: {message}"),
        KibanaError::Conflict(message) => format!("Kibana answered 409: {message}"),
        other => model::error_chain(other),
    }
}

/// The member at the top that a message calls unknown, where there is one in the body that this change can do without.
fn unknown_member(message: &str, body: &Value) -> Option<String> {
    const NEEDED: [&str; 8] =
        ["name", "namespace", "package", "inputs", "policy_id", "policy_ids", "enabled", "version"];
    let (_, rest) = message.split_once("[request body.")?;
    let (name, rest) = rest.split_once(']')?;
    let unknown = rest.starts_with(": definition for this key is missing");
    (unknown && !NEEDED.contains(&name) && body.get(name).is_some()).then(|| name.to_owned())
}

/// A policy without what Fleet changes by itself: revisions, times, and the list of user artifacts.
fn by_people(item: &Value) -> Value {
    const ITS_OWN: [&str; 4] = ["version", "revision", "updated_at", "updated_by"];
    let mut item = item.clone();
    if let Value::Object(members) = &mut item {
        members.retain(|name, _| !ITS_OWN.contains(&name.as_str()));
    }
    for input in item.get_mut("inputs").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(config) = input.get_mut("config").and_then(Value::as_object_mut) {
            config.shift_remove("artifact_manifest");
        }
    }
    item
}

fn listed_of(item: &Value) -> Option<Listed> {
    let text = |pointer: &str| item.pointer(pointer).and_then(Value::as_str);
    if text("/package/name") != Some("endpoint") {
        return None;
    }
    let none = Map::new();
    let settings = item.get("inputs").and_then(Value::as_array).into_iter().flatten();
    let settings = settings.filter_map(|input| input.pointer("/config/policy/value")?.as_object()).next();
    let base = |(system, value): (&String, &Value)| {
        let url = value.pointer("/advanced/artifacts/global/base_url")?.as_str()?;
        Some((shown(system, 32), shown(url, 200)))
    };
    Some(Listed {
        id: shown(text("/id")?, 200),
        name: shown(text("/name").unwrap_or_default(), 200),
        base_urls: settings.unwrap_or(&none).iter().filter_map(base).collect(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_members_that_the_change_can_do_without_are_left_out() {
        let body = json!({"elasticsearch": {}, "inputs": [], "spaceIds": []});
        let message = |name: &str| format!("[request body.{name}]: definition for this key is missing");
        assert_eq!(unknown_member(&message("spaceIds"), &body).as_deref(), Some("spaceIds"));
        for name in ["inputs", "absent", "inputs.0.compiled_input", ""] {
            assert_eq!(unknown_member(&message(name), &body), None, "{name}");
        }
        assert_eq!(unknown_member("[request body.spaceIds]: expected value of type [array]", &body), None);
    }

    #[test]
    fn what_is_not_known_of_a_write_is_not_said_to_be() {
        let said = |status| Said { status, value: json!({"message": "no"}) };
        let read = ok(said(403)).unwrap_err().to_string();
        assert!(read.contains("read policies (403)") && !read.contains("refuses the change"), "{read}");
        let refused = written(said(403)).unwrap_err().to_string();
        assert!(refused.contains("refuses the change (403)"), "{refused}");
        let broken = written(said(500)).unwrap_err().to_string();
        assert!(broken.contains("whether the policy was written is not known"), "{broken}");
        assert!(ok(said(500)).unwrap_err().to_string().contains("nothing was written"));
        assert!(written(said(200)).is_ok());
        for status in [400, 401, 403, 404, 409, 502] {
            let told = KibanaError::Unread(unread(&ok(said(status)).unwrap_err())).to_string();
            assert!(told.contains("took the change") && !told.contains("nothing was written"), "{told}");
            assert!(told.contains(&status.to_string()), "{told}");
        }
    }

    #[test]
    fn ids_are_one_segment_of_a_path_a09() {
        assert_eq!(path("a/../b?c#d e"), "/api/fleet/package_policies/a%2F..%2Fb%3Fc%23d%20e");
    }
}
