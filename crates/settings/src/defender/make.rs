//! What a ring's endpoints are to have, put into a file.

use model::{Digest, Version};
use serde_json::Value;

use super::keys::{AUTOMATIC, CLOUD, ENFORCEMENT, ENGINE, FALLBACK, FEATURES, INTERVAL, OFFLINE, URL, VERIFY_SIG};
use super::{Platform, Track};
use crate::document::{Change, DOMAIN, Document, DocumentError, Format};
use crate::mirror_url::MirrorUrl;
use crate::plist;

/// What an endpoint does when the mirror fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// It keeps what it has.
    Never,
    /// It asks Microsoft's cloud.
    Cloud,
}

/// What a ring's endpoints are to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Their system.
    pub platform: Platform,
    /// The flavour of definitions.
    pub track: Track,
    /// The ring's address.
    pub mirror: MirrorUrl,
    /// How often they ask, in seconds.
    pub interval: u64,
    /// What they do when the mirror fails.
    pub fallback: Fallback,
    /// The enforcement level, where it is to be set: it decides more than updates.
    pub enforcement: Option<String>,
    /// The oldest agent among them, where it is known.
    pub agent: Option<Version>,
}

/// A file with what is wanted in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Merged {
    /// The file.
    pub document: Document,
    /// What had to be changed in it.
    pub changes: Vec<Change>,
}

impl Wanted {
    /// The address as the agent takes it: up to, and not including, the folder of its architecture.
    pub fn url(&self) -> String {
        format!("{}/{}/{}/", self.mirror.text(), self.platform.as_str(), self.track.as_str())
    }

    /// Every key that is set: section, name, value.
    pub fn keys(&self) -> Vec<(&'static str, &'static str, Value)> {
        let mut keys = vec![(CLOUD, AUTOMATIC, Value::Bool(true)), (CLOUD, INTERVAL, Value::from(self.interval))];
        if let Some(level) = &self.enforcement {
            keys.push((ENGINE, ENFORCEMENT, Value::from(level.as_str())));
        }
        keys.push((self.platform.offline_section(self.agent.as_ref()), OFFLINE, Value::from("enabled")));
        keys.push((ENGINE, URL, Value::from(self.url())));
        keys.push((ENGINE, FALLBACK, Value::Bool(self.fallback == Fallback::Cloud)));
        // Where it is not known whether the agent reads it, it does no harm and may do good.
        if self.platform.reads_verify_sig(self.agent.as_ref()) != Some(false) {
            keys.push((FEATURES, VERIFY_SIG, Value::from("enabled")));
        }
        keys
    }

    /// Puts what is wanted into a file; everything else stays as it is and where it is.
    ///
    /// # Errors
    /// [`DocumentError`] when the file has no place for it, or could not be written again without loss.
    pub fn merge(&self, mut document: Document) -> Result<Merged, DocumentError> {
        let mut changes = Vec::new();
        for (section, name, value) in self.keys() {
            changes.extend(document.set(section, name, value)?);
        }
        Ok(Merged { document, changes })
    }

    /// A file of its own.
    ///
    /// # Errors
    /// None in practice: an empty file has room for everything.
    pub fn fresh(&self, format: Format) -> Result<Merged, DocumentError> {
        self.merge(match format {
            Format::Json => Document::empty(),
            Format::Plist => Document::empty_plist(),
            Format::Profile => Document::of_profile(self.profile())?,
        })
    }

    /// A configuration profile with an empty payload of Defender's.
    fn profile(&self) -> plist::Value {
        let text = |text: &str| plist::Value::Text(text.to_owned());
        let named = |name: &str, value| (name.to_owned(), value);
        let one = || plist::Value::Integer("1".to_owned());
        let common = |kind: &str, id: &str, name: &str| {
            vec![
                named("PayloadDisplayName", text(name)),
                named("PayloadIdentifier", text(id)),
                named("PayloadType", text(kind)),
                named("PayloadUUID", text(&self.uuid(id))),
                named("PayloadVersion", one()),
            ]
        };
        let mut payload = common(DOMAIN, DOMAIN, "Microsoft Defender: where definitions come from");
        payload.push(named("PayloadEnabled", plist::Value::Bool(true)));
        let mut top = common("Configuration", "waystation.com.microsoft.wdav", "Microsoft Defender: mirror");
        top.insert(0, named("PayloadContent", plist::Value::Array(vec![plist::Value::Dict(payload)])));
        top.push(named("PayloadRemovalDisallowed", plist::Value::Bool(true)));
        top.push(named("PayloadScope", text("System")));
        plist::Value::Dict(top)
    }

    /// An identifier made of what it names (RFC 9562, version 8): the same settings give the same profile each time.
    fn uuid(&self, id: &str) -> String {
        let digest = Digest::of(format!("{id}\n{}\n", self.url()).as_bytes()).to_string();
        let part = |from: usize, to: usize| digest.get(from..to).unwrap_or_default().to_ascii_uppercase();
        format!("{}-{}-8{}-A{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::defender::{Context, lint};
    use crate::mirror_url::OverPlainHttp;

    pub(crate) fn wanted(platform: Platform) -> Wanted {
        Wanted {
            platform,
            track: Track::Production,
            mirror: MirrorUrl::parse("https://mirror.corp/rings/canary", OverPlainHttp::Refused).unwrap(),
            interval: 14_400,
            fallback: Fallback::Never,
            enforcement: Some("real_time".to_owned()),
            agent: None,
        }
    }

    #[test]
    fn a_fresh_file_is_what_the_page_says() {
        let merged = wanted(Platform::Linux).fresh(Format::Json).unwrap();
        assert_eq!(
            merged.document.write(),
            r#"{
  "cloudService": {
    "automaticDefinitionUpdateEnabled": true,
    "definitionUpdatesInterval": 14400
  },
  "antivirusEngine": {
    "enforcementLevel": "real_time",
    "offlineDefinitionUpdate": "enabled",
    "offlineDefinitionUpdateUrl": "https://mirror.corp/rings/canary/linux/production/",
    "offlineDefinitionUpdateFallbackToCloud": false
  },
  "features": {
    "offlineDefinitionUpdateVerifySig": "enabled"
  }
}
"#
        );
        assert_eq!(merged.changes.len(), 7);
        let new = Wanted { agent: Some("101.26062.0007".parse().unwrap()), ..wanted(Platform::Linux) };
        assert!(!new.fresh(Format::Json).unwrap().document.write().contains(VERIFY_SIG));
    }

    #[test]
    fn what_is_made_passes_the_linter() {
        for (platform, format) in
            [(Platform::Linux, Format::Json), (Platform::Mac, Format::Plist), (Platform::Mac, Format::Profile)]
        {
            let wanted = wanted(platform);
            let text = wanted.fresh(format).unwrap().document.write();
            let document = Document::read(text.as_bytes()).unwrap();
            assert_eq!(document.format(), format);
            let context = Context { platform, agent: None, url: Some(wanted.url()) };
            let findings = lint(&document, &context);
            assert!(findings.iter().all(|finding| finding.level == crate::Level::Note), "{findings:?}");
            // Merging the same again changes nothing.
            assert_eq!(wanted.merge(document).unwrap().changes, []);
        }
    }

    #[test]
    fn a_profile_has_the_same_identifiers_each_time() {
        let (one, two) = (wanted(Platform::Mac), wanted(Platform::Mac));
        assert_eq!(one.fresh(Format::Profile).unwrap(), two.fresh(Format::Profile).unwrap());
        let uuid = one.uuid("a");
        assert_eq!((uuid.len(), uuid.split('-').count()), (36, 5));
        assert_ne!(uuid, one.uuid("b"));
    }
}
