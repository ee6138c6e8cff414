//! What can be wrong with an endpoint: one table of codes.

use model::Level;
use serde::Serialize;

macro_rules! faults {
    ($($name:ident $code:literal $level:ident $what:literal $remedy:literal;)*) => {
        /// What is wrong with an endpoint.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Fault {
            $(
                #[doc = $what]
                $name,
            )*
        }

        impl Fault {
            /// Every fault, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable code.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// How bad it is.
            pub const fn level(self) -> Level {
                match self { $(Self::$name => Level::$level,)* }
            }

            /// What it means.
            pub const fn what(self) -> &'static str {
                match self { $(Self::$name => $what,)* }
            }

            /// What to do.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$name => $remedy,)* }
            }
        }
    };
}

faults! {
    SeveralReports "several_reports" Fail
        "The file holds values that contradict each other: reports of several endpoints, or of several moments. The last of each counts."
        "Save one report a file, of one endpoint: `>` and not `>>`.";
    CloudFallback "cloud_fallback" Fail
        "Offline updates are on, and the definitions came from Microsoft's cloud: past rings and holds, without a word."
        "Find out why the mirror failed it (`mdatp connectivity test` there, `waystation doctor URL` here), then set offlineDefinitionUpdateFallbackToCloud to false.";
    OtherSource "other_source" Fail
        "The definitions came from another mirror than the one that is configured."
        "`mdatp definitions update` on the endpoint; if it stays so, look at what manages its settings.";
    OtherRing "other_ring" Warn
        "The definitions came from another ring or track of the mirror than the one that is configured."
        "So it is after a change of settings until the next update: `mdatp definitions update` on the endpoint.";
    NotOffline "not_offline" Fail
        "Offline updates are not on: the endpoint asks Microsoft's cloud."
        "Deliver the settings (`waystation configure defender`), and look at the file with --check.";
    NoAddress "no_address" Fail
        "Offline updates are on, and no address is configured."
        "Set antivirusEngine.offlineDefinitionUpdateUrl.";
    NotManaged "not_managed" Warn
        "The mirror's address was set by hand: no policy holds it."
        "Deliver it as managed settings; what is set by hand is lost with the machine.";
    WrongAddress "wrong_address" Fail
        "The configured address goes on into arch_…, has no scheme, has two slashes in a row, or does not end with platform and track."
        "End it with …/linux/production/, with https:// in front.";
    WrongMirror "wrong_mirror" Fail
        "The configured address is not below an address of this mirror (--url, --also-at)."
        "Point it at the mirror; where it is another name or port of this same mirror, name that with --also-at.";
    UnknownRing "unknown_ring" Fail
        "The configured address names a ring that the mirror does not serve."
        "`waystation ring list` names the rings; deliver the address that `waystation configure defender` prints.";
    Unserved "unserved" Fail
        "The configured address names a platform or track that the mirror does not serve there, or the release before where there is none: the endpoint gets 404."
        "Point it at what is served (`waystation configure defender`), or follow that platform and track ([defender] platforms, tracks).";
    NoDefinitions "no_definitions" Fail
        "Its report names no definitions: it has none, or the report is none of definitions."
        "`mdatp definitions update` on the endpoint; collect `mdatp health --details definitions`, or all of `mdatp health`.";
    OnBack "on_back" Warn
        "The configured address is that of the release before (_back)."
        "Good for a rollback by hand; point it at …/production/ again after it.";
    RejectedDefinitions "rejected_definitions" Fail
        "Its definitions are those of a release that was rejected or gone back from here."
        "`mdatp definitions update` on the endpoint takes it back to what its ring offers; if it stays so, look at where its definitions come from.";
    EngineDrift "engine_drift" Warn
        "The definitions are those of the ring, and the engine is not: it may have been refused while definitions went on."
        "On the endpoint look at engine_load_status; since 101.26062.0005 an engine whose signature fails is not loaded, without another alarm.";
    EngineDown "engine_down" Warn
        "The engine is not loaded. In passive and on-demand mode that is so except during scans."
        "Where real_time is meant, look at `mdatp health` and the agent's log.";
    UpdateFailed "update_failed" Warn
        "The agent says why its last update failed."
        "Its own words stand beside; `mdatp connectivity test` shows whether the mirror is reached.";
    OutOfDate "out_of_date" Warn
        "The agent itself calls its definitions something else than up to date."
        "`mdatp definitions update` on the endpoint, and read what it says.";
    NotAutomatic "not_automatic" Warn
        "Nothing is updated on a timer: automatic updates are off, or the engine is passive or on demand."
        "Set enforcementLevel real_time and automaticDefinitionUpdateEnabled true, or run `mdatp definitions update` from cron.";
    FallbackAllowed "fallback_allowed" Fine
        "It may fall back to the cloud when the mirror fails."
        "Set offlineDefinitionUpdateFallbackToCloud to false where rings decide.";
    SignatureOff "signature_off" Warn
        "Definitions are loaded without their signature being verified."
        "Set features.offlineDefinitionUpdateVerifySig to enabled, or update the agent to 101.26062.0005.";
    Unlicensed "unlicensed" Warn
        "The agent has no license."
        "Onboard it.";
}
