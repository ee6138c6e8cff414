//! Everything that settings are checked for: one table of codes, what each does to endpoints, and the mend.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::text::shown;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Worth knowing.
    Note,
    /// Works, and yet costs something or rests on what the vendor does not publish.
    Warn,
    /// Endpoints do not do what these settings mean.
    Error,
}

impl Level {
    /// The word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! checks {
    ($($name:ident $code:literal $level:ident $what:literal $effect:literal $mend:literal;)*) => {
        /// What settings are checked for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Check {
            $(
                #[doc = $what]
                $name,
            )*
        }

        impl Check {
            /// Every check, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable code.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// How bad it is.
            pub const fn level(self) -> Level {
                match self { $(Self::$name => Level::$level,)* }
            }

            /// What is found.
            pub const fn what(self) -> &'static str {
                match self { $(Self::$name => $what,)* }
            }

            /// What it does to the endpoint.
            pub const fn effect(self) -> &'static str {
                match self { $(Self::$name => $effect,)* }
            }

            /// What to write instead.
            pub const fn mend(self) -> &'static str {
                match self { $(Self::$name => $mend,)* }
            }
        }
    };
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Check {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

checks! {
    Unreadable "unreadable" Error
        "The file is not JSON, or not a property list."
        "Microsoft says that invalid JSON breaks the configuration; most likely none of its settings hold then."
        "Mend the place that the finding names; `jq . FILE` or `plutil -lint FILE` check again.";
    NotSettings "not_settings" Error
        "The file holds something else than settings: no object at its top, or no payload of Defender's in a profile."
        "The agent finds none of the settings that are meant."
        "Start from what `waystation configure defender` prints, or name the file that holds com.microsoft.wdav.";
    ByteOrderMark "byte_order_mark" Warn
        "The file begins with a byte order mark."
        "Whether the agent reads past it is not published; strict JSON readers refuse it."
        "Save the file as UTF-8 without a byte order mark.";
    DuplicateKey "duplicate_key" Warn
        "A key stands twice in one object."
        "One of the two counts, and which is not published; Microsoft's own sample file has such keys."
        "Keep one of them.";
    RoundedNumber "rounded_number" Warn
        "A number has more digits than readers of JSON keep."
        "What the agent reads is not published; --merge would have to round it, and refuses."
        "Write it with fewer digits, or take the key out.";
    SectionNoObject "section_no_object" Error
        "Something else than an object stands where a section is meant."
        "Every setting of the section keeps its default; --merge has no place to write to, and refuses."
        "Write the section as { \"key\": value }, or take it out.";
    SecondPayload "second_payload" Error
        "The profile has another payload of com.microsoft.wdav."
        "Which of two values counts is not defined; it may switch off what the first one sets. Only the first is looked at, and merged into."
        "Put the settings into one payload, in one profile.";
    FallbackMisspelt "fallback_misspelt" Error
        "The fallback key is misspelt as Microsoft's older samples have it: offlineDefintionUpdateFallbackToCloud."
        "The value is not known to be read, so the default holds: true on macOS (schema 101.25102), unpublished on Linux. An endpoint that was told never to ask the cloud may ask it, silently."
        "Spell it offlineDefinitionUpdateFallbackToCloud, with an i after the n of Defin.";
    FallbackTwice "fallback_twice" Note
        "The misspelt fallback key stands beside the right one: offlineDefintionUpdateFallbackToCloud."
        "The right one counts; the misspelt one is not known to be read."
        "Take the misspelt one out.";
    MisspeltKey "misspelt_key" Error
        "A key or section is nearly one that is known."
        "The agent is not known to tell: it passes over the key, and its default holds."
        "Spell it as the finding says.";
    WrongSection "wrong_section" Error
        "A key stands in another section than the one that it is read from."
        "The key is passed over and its default holds. offlineDefinitionUpdate stood in features until agent 101.24012.0001 and stands in antivirusEngine since 101.24022.0001: in features it leaves offline updates disabled."
        "Move it into the section that the finding names.";
    WrongType "wrong_type" Error
        "A value has another type than its key takes: a string for a boolean, a boolean for enabled, a number in quotes."
        "What the agent makes of it is not published; a value that cannot be read leaves the default."
        "Write true or false without quotes, numbers without quotes, and \"enabled\" or \"disabled\" with them, as the finding says.";
    WrongWord "wrong_word" Error
        "A value is none of the words that its key takes."
        "What the agent makes of it is not published; a value that cannot be read leaves the default."
        "Use one of the words that the finding names; they are lower case.";
    OutOfBounds "out_of_bounds" Error
        "A number is outside of what Microsoft's schema takes."
        "The schema refuses it; what the agent does is not published."
        "Choose a number within the bounds: definitionUpdatesInterval 60 to 86400 seconds, definitionUpdateDue 1 to 30 days.";
    IntervalOften "interval_often" Note
        "Endpoints ask more often than once an hour."
        "Microsoft publishes every three to four hours: most of these questions bring nothing, to every endpoint's and the mirror's cost."
        "3600 seconds and more lose nothing; the agent's own default is 28800.";
    Passive "passive" Error
        "Offline updates are set, and the enforcement level is passive, on_demand, or on Linux not set (passive by default since 101.23062.0001)."
        "Nothing is pulled on a timer: definitions come before a scan or by `mdatp definitions update` alone, and age meanwhile."
        "Set antivirusEngine.enforcementLevel to real_time; or run `mdatp definitions update` from cron, or set scheduledScan.checkForDefinitionsUpdate (Linux 101.26032.0000 and newer), and accept this finding with --allow passive.";
    AutomaticOff "automatic_off" Error
        "cloudService.automaticDefinitionUpdateEnabled is false."
        "The agent updates by `mdatp definitions update` alone."
        "Set it to true.";
    OfflineOff "offline_off" Error
        "A mirror's address is set, and offlineDefinitionUpdate is not enabled (disabled by default)."
        "The address is passed over: the endpoint asks Microsoft's cloud."
        "Set antivirusEngine.offlineDefinitionUpdate to \"enabled\".";
    UrlMissing "url_missing" Error
        "offlineDefinitionUpdate is enabled and there is no offlineDefinitionUpdateUrl."
        "The endpoint has no mirror to ask."
        "Set antivirusEngine.offlineDefinitionUpdateUrl to the ring's address, as `waystation configure defender` prints it.";
    UrlNoScheme "url_no_scheme" Error
        "The mirror's address has no scheme, as the samples of 2025 and of the macOS page have it."
        "What the agent makes of it is not published; the samples since 2026 have http:// or https://."
        "Write https:// in front of it.";
    UrlScheme "url_scheme" Error
        "The mirror's address has a scheme other than http and https."
        "Microsoft names HTTP, HTTPS and folders; file, ftp and smb are not documented."
        "Mount the share and give its absolute path, or give an http address.";
    UrlUnreadable "url_unreadable" Error
        "The mirror's address is neither a URL nor an absolute path."
        "The agent finds no mirror."
        "Write it as https://host:port/linux/production/ or /mnt/mirror/linux/production.";
    UrlArch "url_arch" Error
        "The mirror's address goes on into arch_x86_64 or arch_arm64, or to a file."
        "The agent appends arch_…/updates.zip itself and asks for a path that is not there."
        "End it with the track: …/linux/production/.";
    UrlTrack "url_track" Error
        "The mirror's address does not end with platform and track."
        "The agent appends arch_…/updates.zip and finds nothing at the mirror's root."
        "Append linux/production/ (or mac/…, …/preview/).";
    UrlFolder "url_folder" Warn
        "The mirror's address is a folder whose path does not end with platform and track."
        "What is mounted there decides: where arch_… does not lie in it, or is the other system's, the endpoint finds no definitions of its own."
        "Look on an endpoint: the folder must hold arch_x86_64 or arch_arm64. Where it holds linux and mac, append linux/production/ (or mac/…, …/preview/).";
    UrlSlashes "url_slashes" Error
        "The mirror's address has two slashes in a row."
        "A web server may take that for another path; this mirror answers 404."
        "Write one slash.";
    UrlPlatform "url_platform" Error
        "The mirror's address is that of the other platform."
        "The archive holds the other system's engine, which does not load."
        "Linux takes …/linux/…, macOS takes …/mac/….";
    UrlBack "url_back" Warn
        "The mirror's address is that of the release before (_back)."
        "The endpoint stays one release behind for as long as this stands."
        "Good for a rollback by hand; go back to …/production/ after it. `waystation release admit` of the release before rolls back without touching endpoints.";
    UrlRing "url_ring" Warn
        "The mirror's address is not the one that was asked for with --url and --ring."
        "The endpoint takes another ring's releases, or another mirror's."
        "Set the address that the finding names.";
    UrlVendor "url_vendor" Error
        "The mirror's address is one of Microsoft's own."
        "The endpoint asks the vendor's cloud for a mirror's layout."
        "Give the mirror's address, or set offlineDefinitionUpdate to \"disabled\".";
    UrlCredentials "url_credentials" Error
        "The mirror's address holds a user or a password."
        "Whether the agent sends it is not published, and `mdatp health` shows it to every user."
        "Leave it out; let the mirror allow networks.";
    UrlQuery "url_query" Error
        "The mirror's address holds a query or a fragment."
        "The agent appends paths: they would end up behind it."
        "Leave it out.";
    UrlPlain "url_plain" Warn
        "The mirror's address is plain HTTP."
        "Whoever stands between can hold content back or swap it. Elastic's manifests are signed; Defender's archives are not, only the engine in them is, and only agents from 101.26062.0005 always check it."
        "Give an https address whose CA endpoints trust.";
    UrlLoopback "url_loopback" Warn
        "The mirror's address is localhost or 0.0.0.0, as the macOS page's sample server has it."
        "On every endpoint it means that endpoint itself."
        "Give the name that endpoints reach the mirror by.";
    ExampleLeft "example_left" Error
        "A value of a published sample was left in."
        "The endpoint asks a host or proxy that does not exist; a sample proxy makes every update fail."
        "Put your own value there, or take the key out.";
    FallbackOn "fallback_on" Warn
        "offlineDefinitionUpdateFallbackToCloud is true."
        "When the mirror fails, endpoints take the vendor's newest from the cloud, past rings, holds and rollbacks, and say so only in definitions_update_source_uri."
        "Set it to false where rings decide, and let alarms watch the mirror; `waystation validate defender --health` finds endpoints that fell back.";
    FallbackUnset "fallback_unset" Warn
        "offlineDefinitionUpdateFallbackToCloud is not set."
        "The default holds: true on macOS (schema 101.25102); on Linux it is not published."
        "Set it, to false or to true.";
    VerifySigOff "verify_sig_off" Error
        "features.offlineDefinitionUpdateVerifySig is disabled, as Microsoft's own sample configuration has it."
        "Agents before 101.26062.0005, and macOS, load what a mirror or whoever stands between serves without verifying it."
        "Set it to \"enabled\".";
    VerifySigUnset "verify_sig_unset" Note
        "features.offlineDefinitionUpdateVerifySig is not set, and the agent reads it."
        "The default is enabled on macOS; on Linux it is not published."
        "Set it to \"enabled\".";
    VerifySigDeprecated "verify_sig_deprecated" Note
        "features.offlineDefinitionUpdateVerifySig is set, and Linux agents from 101.26062.0005 do not read it."
        "It has no effect there: the engine's signature is always verified. Older agents read it."
        "Take it out once no older agent is left; --agent VERSION says which agent is meant.";
    AgentTooOld "agent_too_old" Error
        "The agent named with --agent is older than offline updates."
        "It passes over the settings and asks the cloud."
        "Update to 101.24022.0001 (Linux), 101.25012.0003 (macOS), or newer.";
    ProxySet "proxy_set" Note
        "cloudService.proxy is set."
        "Whether the agent asks the mirror through it is not published; a proxy that cannot reach the mirror makes updates fail."
        "Try `mdatp definitions update` on one endpoint, or let the proxy reach the mirror.";
    ProxyUnreadable "proxy_unreadable" Error
        "cloudService.proxy is not of the form http://host:port/."
        "What the agent makes of it is not published; a proxy that cannot be used makes updates fail."
        "Write http://host:port/, or take the key out where no proxy is meant.";
    ChannelUnmirrored "channel_unmirrored" Warn
        "Elastic: no channel is set, or one that takes candidates."
        "From 8.18 on hosts may ask for candidate manifests, whose address is not published and which a mirror may not hold."
        "Set channel to stable.";
    CloudFeatures "cloud_features" Warn
        "Elastic: allow_cloud_features is set without artifacts-update."
        "Most likely it stops updates from a mirror too (not published)."
        "Add artifacts-update to it.";
    ManifestPinned "manifest_pinned" Warn
        "Elastic: manifest_relative_url is set."
        "Endpoints ask for exactly this path, without their version in it: a 404 where nothing lies there, and after an upgrade they take another version's manifest."
        "Take it out.";
    ArtifactProxy "artifact_proxy" Warn
        "Elastic: artifacts.global.proxy_url is set."
        "The mirror is asked through this proxy, which has to reach it."
        "Take it out, or set artifacts.global.proxy_disable to true.";
    ManifestDated "manifest_dated" Warn
        "Elastic: the policy is pinned to a date (global_manifest_version)."
        "Hosts ask for a dated manifest, whose address is not published; a mirror without it answers 404 and hosts turn degraded."
        "Set it to latest, or mirror the dated feed ([elastic] dated, dated_templates).";
    ForeignKey "foreign_key" Warn
        "Elastic: artifacts.global.public_key is set."
        "Endpoints take manifests signed with that key alone; what a mirror passes on from Elastic is signed with Elastic's."
        "Take it out, unless you sign manifests yourself.";
    CaOutOfDate "ca_out_of_date" Error
        "Elastic: every certificate of --ca-file has expired, or is not valid yet."
        "Endpoints that trust nothing else refuse the mirror's certificate, and get nothing."
        "Give the CA that issued the certificate which the mirror shows now.";
    CaIsNone "ca_is_none" Warn
        "Elastic: no certificate of --ca-file is a CA's (CA:TRUE); it is a server's own, most likely."
        "Whether Endpoint takes it is not published; if it does, it ends with the server's next certificate."
        "Give the CA that issued the server's certificate.";
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// What was found; its code is stable.
    pub check: Check,
    /// Where: a JSON pointer (RFC 6901), or a dotted setting; empty for the whole.
    pub at: String,
    /// What stands there, and what is meant. Control characters are escaped.
    pub seen: String,
    /// What it does to the endpoint.
    pub effect: &'static str,
    /// What to write instead.
    pub mend: &'static str,
}

impl Finding {
    pub(crate) fn new(check: Check, at: impl Into<String>, seen: impl AsRef<str>) -> Self {
        Self {
            level: check.level(),
            check,
            at: shown(&at.into()),
            seen: shown(seen.as_ref()),
            effect: check.effect(),
            mend: check.mend(),
        }
    }

    /// With a level that depends on what else is known.
    pub(crate) fn at_level(self, level: Level) -> Self {
        Self { level, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_texts_whole() {
        let mut codes: Vec<&str> = Check::ALL.iter().map(|check| check.code()).collect();
        codes.sort_unstable();
        assert!(codes.is_sorted_by(|a, b| a < b));
        for check in Check::ALL {
            for text in [check.what(), check.effect(), check.mend()] {
                assert!(text.ends_with('.'), "{check}: {text}");
            }
        }
    }

    #[test]
    fn the_page_lists_every_check() {
        let page = include_str!("../../../docs/configure-endpoints.md");
        let row = |check: &Check| format!("| `{check}` | {} | {} | {} |", check.level(), check.what(), check.effect());
        let missing: Vec<String> = Check::ALL.iter().map(row).filter(|row| !page.contains(row)).collect();
        assert!(missing.is_empty(), "docs/configure-endpoints.md lacks these rows:\n{}\n", missing.join("\n"));
    }
}
