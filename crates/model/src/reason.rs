//! Reason codes: why something did not happen, in words that stay.
//!
//! Every refusal, failure and weakening carries one of these. The code is stable, is what logs, metrics and
//! `--json` show, and stands in `docs/reason-codes.md` with what the operator can do.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Whose fault it is; decides whom an alarm addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The vendor, or the network towards it.
    Vendor,
    /// The endpoint or client.
    Endpoint,
    /// A setting, a file or a machine in the operator's care.
    Operator,
    /// A defect of this program.
    Ours,
}

/// Whether trying again helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retry {
    /// Not before something else changes.
    Never,
    /// At the next scheduled run.
    Later,
    /// At once, within the run's budget.
    Now,
}

macro_rules! reasons {
    ($($name:ident $code:literal $fault:ident $retry:ident $meaning:literal $remedy:literal;)*) => {
        /// Why something did not happen, or is weaker than it could be.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Reason {
            $(
                #[doc = $meaning]
                #[allow(rustdoc::broken_intra_doc_links, reason = "brackets name sections of the configuration")]
                #[serde(rename = $code)]
                $name,
            )*
        }

        impl Reason {
            /// Every reason, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The stable code.
            pub const fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)* }
            }

            /// Whose fault it is.
            pub const fn fault(self) -> Fault {
                match self { $(Self::$name => Fault::$fault,)* }
            }

            /// Whether trying again helps.
            pub const fn retry(self) -> Retry {
                match self { $(Self::$name => Retry::$retry,)* }
            }

            /// What it means.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$name => $meaning,)* }
            }

            /// What the operator can do.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$name => $remedy,)* }
            }
        }
    };
}

reasons! {
    DnsFailed "dns_failed" Vendor Now
        "The host's name could not be resolved."
        "Check the resolver of this machine, or set origin.proxy so that the proxy resolves names.";
    ConnectFailed "connect_failed" Vendor Now
        "No connection to the host could be made."
        "Check firewall and routing to the named host and port.";
    TlsFailed "tls_failed" Vendor Later
        "The TLS handshake failed or the certificate was refused."
        "If a corporate proxy intercepts TLS, put its CA into origin.ca_file; otherwise check this machine's clock and the host's certificate.";
    ProxyFailed "proxy_failed" Operator Later
        "The proxy refused the connection, asked for credentials or dropped the tunnel."
        "Check origin.proxy and origin.proxy_password_file, and that the proxy lets the named host through.";
    Timeout "timeout" Vendor Now
        "The host did not answer within the time given for connecting or for the head of an answer."
        "Usually passes; if it stays, check the network or raise the deadline in [limits].";
    Stalled "stalled" Vendor Now
        "The transfer fell below the minimum rate."
        "Check the line; on a very slow one lower limits.minimum_rate.";
    Deadline "deadline" Vendor Later
        "The transfer was still running at its deadline."
        "The next run resumes it; on a slow line raise the deadline in [limits].";
    NotFound "not_found" Vendor Later
        "The vendor answers 404 or 410."
        "Check the version's spelling; a date's with `waystation feed check-date`. If the vendor retired it, remove it from the configuration. What is held stays.";
    ArtifactMissing "artifact_missing" Vendor Later
        "The vendor offers a manifest and answers 404 or 410 for a file that it names: the set is not whole."
        "Nothing to do here: the vendor has not published all of it, or took it back in part. The next check tries again; what is held is served on.";
    Refused "refused" Vendor Later
        "The vendor answers 401, 403 or 451."
        "Something between here and the vendor blocks the request; see the URL chain in the record.";
    RateLimited "rate_limited" Vendor Later
        "The vendor asked to come back later (429, or 503 with Retry-After)."
        "Nothing to do: no request goes out before the time it named. If it recurs, sync less often.";
    ServerError "server_error" Vendor Now
        "The vendor answers 5xx."
        "Usually passes; if it stays, look at the vendor's status page.";
    UnexpectedStatus "unexpected_status" Vendor Later
        "The answer's status has no meaning here: only 200, 206 and 304 do."
        "Something between here and the vendor answers in its place; see the URL chain in the record.";
    UnexpectedNotModified "unexpected_not_modified" Vendor Later
        "304 was answered to a request that was not conditional, or with nothing held."
        "A cache between here and the vendor is broken; see the headers in the record.";
    BadResponse "bad_response" Vendor Now
        "The answer's head or framing breaks HTTP, or passes a cap."
        "Something between here and the vendor is broken; see the record.";
    EncodedBody "encoded_body" Vendor Later
        "The body came with a content coding that was not asked for."
        "A proxy re-encodes answers; exempt the vendor's hosts from it.";
    ShortBody "short_body" Vendor Now
        "The body ended before its announced length."
        "Usually passes; the next attempt resumes.";
    TooLarge "too_large" Vendor Later
        "The body is larger than declared or than the cap."
        "If the vendor's files have really grown, raise the cap in [limits].";
    BadRange "bad_range" Vendor Now
        "A partial answer does not fit the part that was asked for."
        "Nothing to do: the whole file is fetched instead.";
    RedirectRefused "redirect_refused" Vendor Later
        "A redirect led to a host, scheme or form of URL that is not allowed."
        "If the vendor really moved there, add the host to the vendor's redirect_hosts.";
    RedirectLimit "redirect_limit" Vendor Later
        "The chain of redirects is too long."
        "Something between here and the vendor loops; see the URL chain in the record.";
    AddressRefused "address_refused" Vendor Later
        "A host's name or URL leads to a private, loopback or link-local address."
        "If that is an internal origin, name its host in the configuration.";
    PathUnknown "path_unknown" Operator Never
        "The vendor does not publish where such a feed lies, and no setting says it."
        "Leave dated and candidate feeds out, or set a path template if you know where the vendor keeps them.";
    DatedPathUnknown "dated_path_unknown" Operator Later
        "Nobody knows yet where the vendor keeps dated manifests of this kind."
        "Let one endpoint that is pinned to a date that the vendor has ask this mirror: `waystation run` asks the vendor there, and remembers the path once that answered with a manifest. Or set elastic.dated_templates if you know it.";
    LearnedFull "learned_full" Operator Later
        "Endpoints ask for it and the vendor has it, but no more feeds are learned: elastic.learned_feeds are already."
        "`waystation feed list` shows what is followed and what for: let go of what nobody needs (`waystation feed forget`), raise elastic.learned_feeds, or name a version in elastic.versions and one of a day in elastic.dated.";
    PlainHttpRefused "plain_http_refused" Operator Never
        "The URL is plain http."
        "Use https, or set origin.allow_plain_http = true for an internal origin.";
    NotManifest "not_manifest" Vendor Later
        "The bytes offered as a manifest are something else, such as an error page."
        "A captive portal or proxy answers in the vendor's place; open the URL from this machine.";
    BadZip "bad_zip" Vendor Later
        "The archive is not a zip that every reader reads alike."
        "Try again later; if it stays, keep the bytes and ask the vendor.";
    MemberDamaged "member_damaged" Vendor Later
        "A member of the archive fails its checksum, passes a cap or cannot be unpacked."
        "Try again later; if it stays, keep the bytes and ask the vendor.";
    BadManifest "bad_manifest" Vendor Later
        "The manifest breaks its format: duplicate keys, wrong types, missing members, caps."
        "Try again later; if it stays, this program may be too old for the vendor's format.";
    BadPath "bad_path" Vendor Never
        "The manifest names a path that is not canonical or not the vendor's to give."
        "Nothing was written. Report it to the vendor: this is how an attack would look.";
    HashMismatch "hash_mismatch" Vendor Later
        "The bytes do not have the SHA-256 that the manifest names."
        "Try again later; a proxy that alters or caches answers is the usual cause.";
    SizeMismatch "size_mismatch" Vendor Later
        "The bytes do not have the size that the manifest names."
        "Try again later; a proxy that alters or caches answers is the usual cause.";
    DecodedMismatch "decoded_mismatch" Vendor Later
        "The artifact decodes to other bytes than the manifest names, or not at all."
        "Try again later; if it stays, ask the vendor.";
    DecodedUnchecked "decoded_unchecked" Vendor Never
        "The manifest names no decoded size and hash, or a compression or encryption that is not known here; only the encoded pair was checked."
        "Nothing to do: the bytes on the wire were checked.";
    UnknownSchema "unknown_schema" Vendor Never
        "The manifest names a schema version that is not known here; what is known of it was checked."
        "Nothing to do now; look for a newer version of this program.";
    SignatureMissing "signature_missing" Vendor Later
        "The manifest carries no signature."
        "With elastic.signature = \"require\" nothing unsigned is taken; \"warn\" takes it and says so.";
    SignatureUnverified "signature_unverified" Vendor Later
        "No known key verifies the manifest's signature."
        "If the vendor changed its key, add it to elastic.public_keys; \"warn\" takes the manifest and says so.";
    BadInfo "bad_info" Vendor Later
        "The vendor's version information is missing, empty or not well-formed."
        "Try again later; a captive portal or proxy is the usual cause.";
    VersionsDisagree "versions_disagree" Vendor Now
        "The version information before and after the download, or the version in the final URL, differ."
        "The vendor published in between; the next attempt takes the newer one.";
    UnexpectedMembers "unexpected_members" Vendor Later
        "The archive lacks members that such an archive has had so far."
        "With defender.expected_members = \"require\" it is refused; \"warn\" takes it and says so, unless nothing in it is as expected; \"off\" refuses only an archive without files.";
    BadCompanion "bad_companion" Operator Never
        "The manifest.json beside an archive in a folder is missing, empty or not well-formed."
        "Run the vendor's script again where the folder was made; its own failures leave such files.";
    VersionRegression "version_regression" Vendor Never
        "The vendor offers an older version than was held before."
        "Look at the vendor's announcements; then `release admit` it to follow the vendor back, or `release reject` it.";
    SameVersionOtherBytes "same_version_other_bytes" Vendor Never
        "The vendor offers other bytes under a version that is already held."
        "Compare with `release diff`; then `release admit` or `release reject` it.";
    VersionLeap "version_leap" Vendor Never
        "The version leaps further ahead than vendors do, which would shut out what follows."
        "Look at the vendor's announcements; then `release admit` or `release reject` it.";
    SetShrank "set_shrank" Vendor Never
        "The release has far fewer artifacts, or far fewer bytes of them, than the one before it."
        "Compare with `release diff`; then `release admit` or `release reject` it.";
    SetGrew "set_grew" Vendor Never
        "The release is far larger than the one before it."
        "Compare with `release diff`; then `release admit` or `release reject` it.";
    RejectedBefore "rejected_before" Operator Never
        "The operator rejected this very release."
        "`release admit` it if that was a mistake.";
    PathConflict "path_conflict" Vendor Never
        "Another feed already serves other bytes under one of the release's paths."
        "`release admit` it to let its bytes take the path, or `release reject` it.";
    NotInFolder "not_in_folder" Operator Never
        "The folder holds no such feed, or lacks a file that its manifest names."
        "Check that the copy is complete and that the folder given is the root of the tree.";
    UnsafeFile "unsafe_file" Operator Never
        "A file is a link, a device, or owned or writable by somebody who should not."
        "Mend its owner (chown) or mode (chmod go-w) and look who changed it: its bytes are left where they are. Take a link or device away.";
    Locked "locked" Operator Later
        "Another process holds the lock that this needs: another fetch run, or a publication that does not end."
        "Wait for it, or let `sync --wait` do so; the message names who holds it where that is known. See why that process does not end.";
    DiskFull "disk_full" Operator Later
        "The disk has not the room that the download and the reserve need."
        "Free or add space, or lower [retention]; `gc --plan` shows what would go.";
    StoreFailed "store_failed" Operator Later
        "The data folder could not be read or written."
        "See the error for path and cause; check disk, mount and permissions.";
    BlobDamaged "blob_damaged" Operator Now
        "Stored bytes changed under us."
        "They were set aside and are fetched again; check the disk.";
    DiskLow "disk_low" Operator Later
        "The free space nears the reserve, below which nothing is fetched."
        "Free or add space, or lower [retention]; `gc --plan` shows what would go.";
    FolderGone "folder_gone" Operator Later
        "The data folder, or the catalog in it, is not where it was: renamed, removed, replaced or unmounted, or it never was there."
        "Put it back, or mount it again: `waystation run` goes on by itself. Nothing is written into what stands in its place; what is in memory is served on. A site that has only begun runs `waystation sync`.";
    AnotherHistory "another_history" Operator Later
        "Another history stands where the data folder, or the catalog in it, was: begun anew there, another site's, or an older copy of its own that lacks, or may lack, what an operator said since."
        "Put the right one back: `waystation run` goes on by itself. Or restart `waystation run` to work on the one that stands there, and say again what it lacks: what was rejected since is not in it. Until then what was served is served on, as far as it is held.";
    BlobMissing "blob_missing" Operator Now
        "Bytes that a release needs are not held."
        "Run `waystation sync`: what the vendor still offers is fetched again. If bytes go missing by themselves, check the disk and who else cleans the data folder.";
    PointerDamaged "pointer_damaged" Operator Now
        "A ring's `current` is gone, damaged or names no whole generation; the newest whole generation is served."
        "It is written again by the next sync, or by `waystation run` within a minute; check the disk.";
    GenerationDamaged "generation_damaged" Operator Never
        "A ring's generation file is damaged."
        "Where it is the one that `current` names, the newest whole one is served, or nothing where none is whole, until the next `waystation sync`, or `waystation run`, makes the ring anew as it was published last. Older ones are removed by `waystation gc`. Check the disk.";
    CatalogDisagrees "catalog_disagrees" Operator Later
        "The catalog does not say of a release what its ring serves."
        "Run `waystation sync`: it records what is served. If a backup of one part only was restored, restore the other part, too.";
    RejectedServed "rejected_served" Operator Now
        "A ring serves a release that the operator rolled back from: the word was recorded, and did not reach the ring."
        "Run `waystation sync`, or let `waystation run` carry it out within a minute; if what was gone back to is no longer held, admit another release.";
    RingLost "ring_lost" Operator Now
        "A ring's generations are gone, or older than the one that was published last: files were lost, or an older copy was put in their place."
        "Run `waystation sync`, or leave it to `waystation run`: the ring is made anew as it was published last, from what is held. Find out who removed it.";
    HistoryBroken "history_broken" Operator Never
        "The history is not the one that was written: entries were edited, removed or moved, or heads kept elsewhere know another one."
        "Keep a copy of the catalog and compare it with a backup: this is how tampering looks, and how a failing disk does.";
    CatalogFailed "catalog_failed" Operator Later
        "The catalog could not be read or written."
        "See the error; check disk space and permissions of the catalog folder.";
    NotChecked "not_checked" Operator Later
        "The vendor was not asked with success for longer than [freshness] lets pass."
        "See why the last checks failed (`status`), and whether `waystation run` is running.";
    VendorSilent "vendor_silent" Vendor Later
        "The vendor was asked in time and offers nothing newer, for longer than [freshness] lets pass."
        "Compare with the vendor's announcements from another network: if there is newer content, something in between answers from a cache.";
    ContentOld "content_old" Operator Later
        "What is held is older than [freshness] lets pass, and the vendor offers newer."
        "See why the newer release was not taken (`status`): quarantined, failed or held.";
    RingBehind "ring_behind" Operator Later
        "A ring serves an older release than was admitted, beyond its soak."
        "See what holds it back with `status`; then publish it, or extend the soak.";
    ClockJumped "clock_jumped" Operator Later
        "A time on record lies ahead of this machine's clock, so that an age cannot be told: the clock was ahead then, or is behind now."
        "Compare this machine's clock with another and see that it is synchronised. Where the time of a check lies ahead, the next check in order ends this; where that at which a release was first offered does, the vendor's next release.";
    DateNotBelieved "date_not_believed" Vendor Later
        "The vendor's date for its content is absurd: before 2010, or after the content was offered here."
        "Check this machine's clock; if it is right, the date is the vendor's mistake, and the age counts from when the content was first offered.";
    GenerationRefused "generation_refused" Operator Later
        "The newest generation of a ring is not served because something about it is not whole; the one before is."
        "See the detail for path and cause; `release verify --all` finds and mends what changed, `sync` fetches it again.";
    RingWentBack "ring_went_back" Operator Later
        "A ring's files are older than what is served: an older copy of the data folder, such as a backup, was put in its place. What was served is served on, as far as it is held."
        "Nothing is damaged. Put the newer data folder back, or run `waystation sync`: what it publishes is served, for it is newer than both. Where the older copy itself is to be served, restart the service.";
    RoutesBroken "routes_broken" Operator Later
        "Some paths answer 503 because their bytes cannot be opened or read."
        "They heal once the bytes are back: see the log for what was damaged, check disk and mount, then `sync`.";
    WatcherStalled "watcher_stalled" Ours Later
        "The content side no longer looks for new generations, certificates and healed blobs; what it serves is served on."
        "Check whether the data folder's disk hangs; restart the service, and report it with the log if it recurs.";
    CertificateExpiring "certificate_expiring" Operator Later
        "The certificate that endpoints are shown, an authority of clients' certificates or its revocation list ends soon, or has ended; or that certificate has not begun."
        "Renew it and put the new files in the old ones' place: they are taken up without a restart. Where it has not begun, check this machine's clock, and put the one before back until then.";
    CertificateRefused "certificate_refused" Operator Later
        "A changed certificate, key, client authority, revocation list or file of credentials cannot be used, and the one before is still in use; or no revocation list is of any client authority, and nobody is let in."
        "The detail says which file and what is wrong with it; put it right, and it is taken up without a restart.";
    EndpointsSilent "endpoints_silent" Endpoint Later
        "No endpoint has asked for content for longer than alarm.endpoints_silent_after."
        "Check the way from the fleet to this machine: firewall, DNS, the endpoints' base URL, the certificate.";
    ScheduleStalled "schedule_stalled" Ours Later
        "A vendor's schedule no longer turns: it was not asked although its time came, or a run does not end."
        "Check whether the disk hangs or another process holds the fetch lock; restart the service, and report it with the log if it recurs.";
    ClockStepped "clock_stepped" Operator Never
        "This machine's clock went forward or back by more than a minute while the program ran, or the machine slept."
        "See that the clock is synchronised (`timedatectl`); nothing was let go of or taken for fresh because of it.";
    WasDown "was_down" Operator Never
        "The process ended without a clean end, or was not running for long: nothing was fetched, watched or told meanwhile."
        "See the system's log for why: a crash, a lack of memory, a power cut. An external watch on [alarm.heartbeat] tells it at once.";
    AlarmFailed "alarm_failed" Operator Later
        "Alarms cannot be told in one of the ways configured; what it missed is told once it works again."
        "See the detail; try it with `alarm test --to NAME`.";
    AccessLogLost "access_log_lost" Operator Later
        "Lines of the access log are lost: who asked for what is not on record for that time. Serving goes on."
        "Check the disk and the folder of access_log.path, or who reads its pipe; the log says why. What was lost does not come back.";
    LearnedUnread "learned_unread" Operator Later
        "The list of what endpoints ask for, or what was learned from it, cannot be read: what is configured is fetched and what is served goes on; what was learned is not renewed, and nothing more is learned."
        "See the detail for the file and the cause: put a copy of it back, or go on with the version that wrote it.";
    HeadFailed "head_failed" Operator Later
        "A head of the history cannot be told to the file or the syslog of [history], so that entries cut off would not show."
        "See the detail for where and why; the newest head is told once it works again.";
    AlarmStateFailed "alarm_state_failed" Operator Later
        "What was told to whom cannot be read or kept, so that a restart may tell it again."
        "See the error for path and cause; check disk, mount and permissions of the folder alarms in the data folder.";
    TreeBehind "tree_behind" Operator Later
        "The plain folder of a ring cannot be brought up to what the ring serves: who reads the folder gets what was published before."
        "See the detail for path and cause: disk space, mount, permissions, or something of somebody else's in the way. Once that is mended, `waystation tree rebuild` brings all of it there at once.";
    TreeRefused "tree_refused" Operator Never
        "The plain folder of a ring is not used: something stands in it that this program did not write, or another installation keeps it."
        "Name an empty folder in tree.folder, or empty this one. If it is this installation's and its records were lost, `waystation tree rebuild` takes it over.";
    NotNow "not_now" Operator Never
        "An act does not fit how the release stands: its bytes were let go, it is served already, or it waits for nothing."
        "See `release show`: the message says what to do instead.";
    NoSuchRelease "no_such_release" Operator Never
        "No release, or more than one, goes by the number or the digits that were given."
        "See `release list` for numbers and ids.";
    NotFollowed "not_followed" Operator Never
        "A feed that was named is not followed, or none is."
        "Correct the name, or add the feed to the configuration.";
    NoPast "no_past" Operator Never
        "The history does not reach to the moment that was asked for."
        "Ask for a moment between the first entry that is kept and now; [history] keep says how long entries are kept.";
    Interrupted "interrupted" Operator Later
        "The run was stopped before this was done."
        "Run it again: what was already fetched is not fetched twice.";
    Internal "internal" Ours Later
        "A defect of this program."
        "Please report it with the log around it.";
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Reason {
    /// Reads a code back.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|reason| reason.code() == code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn codes_are_unique_and_read_back() {
        let codes: BTreeSet<&str> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        assert_eq!(codes.len(), Reason::ALL.len());
        for reason in Reason::ALL {
            assert_eq!(Reason::from_code(reason.code()), Some(*reason));
            assert!(reason.meaning().ends_with('.') && reason.remedy().ends_with('.'), "{reason}");
        }
    }
}
