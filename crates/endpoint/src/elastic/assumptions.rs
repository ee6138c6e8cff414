//! What is chosen where the vendor says nothing.

use vendors::elastic::SignatureMode;

/// How a manifest that may be applied already is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    /// With the tag of the one applied.
    Conditional,
    /// Plainly; the tag that comes is compared here.
    Plain,
}

/// What `allow_cloud_features` without `artifacts-update` does to a mirror.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloudFeatures {
    /// It stops updates.
    Obeyed,
    /// It is about the vendor's cloud alone.
    Ignored,
}

/// What the vendor does not say, and what is played in its place. None of these is a fact about the vendor's endpoint;
/// `docs/reference-endpoint.md` lists them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assumptions {
    /// Whether it sends `If-None-Match`, or asks plainly and compares.
    pub asking: Asking,
    /// What a manifest is worth that no known key signed. The real one verifies with a key of its own, which may or may
    /// not be the one built in here.
    pub signature: SignatureMode,
    /// Where a dated manifest lies: a path with `{version}` and `{date}`.
    pub dated_path: Option<String>,
    /// Where a candidate's manifest lies: a path with `{version}`.
    pub candidate_path: Option<String>,
    /// `allow_cloud_features`.
    pub cloud_features: CloudFeatures,
}

impl Default for Assumptions {
    fn default() -> Self {
        Self {
            asking: Asking::Conditional,
            signature: SignatureMode::Require,
            dated_path: None,
            candidate_path: None,
            cloud_features: CloudFeatures::Obeyed,
        }
    }
}

/// A text is no assumption.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "'{0}' is no assumption; there are asking=conditional|plain, signature=require|warn|off, \
     dated-path=/PATH/{{version}}-{{date}}.zip, candidate-path=/PATH/{{version}}.zip, cloud-features=obeyed|ignored"
)]
pub struct AssumptionError(String);

impl Assumptions {
    /// Changes one of them, by its text.
    ///
    /// # Errors
    /// The text names none.
    pub fn assume(&mut self, text: &str) -> Result<(), AssumptionError> {
        let unknown = || AssumptionError(text.chars().take(120).collect());
        let (key, value) = text.split_once('=').ok_or_else(unknown)?;
        match (key, value) {
            ("asking", "conditional") => self.asking = Asking::Conditional,
            ("asking", "plain") => self.asking = Asking::Plain,
            ("signature", "require") => self.signature = SignatureMode::Require,
            ("signature", "warn") => self.signature = SignatureMode::Warn,
            ("signature", "off") => self.signature = SignatureMode::Off,
            ("dated-path", path) if path.contains("{version}") && path.contains("{date}") => {
                self.dated_path = Some(path.to_owned());
            }
            ("candidate-path", path) if path.contains("{version}") => self.candidate_path = Some(path.to_owned()),
            ("cloud-features", "obeyed") => self.cloud_features = CloudFeatures::Obeyed,
            ("cloud-features", "ignored") => self.cloud_features = CloudFeatures::Ignored,
            _ => return Err(unknown()),
        }
        Ok(())
    }
}
