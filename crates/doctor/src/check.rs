//! Everything that is checked: one table of codes, why each matters to endpoints, and what to do.

use std::fmt;

use serde::{Serialize, Serializer};

macro_rules! checks {
    ($($name:ident $code:literal $what:literal $why:literal $remedy:literal;)*) => {
        /// What is checked.
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

            /// What is looked at.
            pub const fn what(self) -> &'static str {
                match self { $(Self::$name => $what,)* }
            }

            /// Why it matters.
            pub const fn why(self) -> &'static str {
                match self { $(Self::$name => $why,)* }
            }

            /// What to do when it is not as it should be.
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$name => $remedy,)* }
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
    Reached "reached"
        "The mirror's name leads to an address and its port takes connections."
        "Endpoints get nothing at all from a mirror that cannot be reached."
        "Check the name, the port, the firewall between here and there, and that the server runs.";
    Deadline "deadline"
        "The examination came to its end in the time given."
        "What was not looked at is not known to be good."
        "Give more time with --deadline, or sample with --quick.";
    TlsChain "tls_chain"
        "The server presents every certificate between its own and a root."
        "Endpoints fetch no missing certificates: without the intermediate they refuse the connection, or trust by luck."
        "Put the intermediates behind the server's certificate in one file: nginx `ssl_certificate fullchain.pem`, Apache `SSLCertificateFile fullchain.pem`, Waystation `tls.certificate`. If the chain is whole, name its root with --ca-file.";
    TlsTrust "tls_trust"
        "A root that is known here vouches for the server."
        "Endpoints that do not know the root refuse the mirror."
        "Give endpoints the CA (Elastic: `advanced.artifacts.global.ca_cert`; Defender: the system's trust store), and this examination with --ca-file.";
    TlsName "tls_name"
        "The certificate is for the name in the URL."
        "Endpoints refuse a certificate for another name."
        "Issue a certificate with this name as a subject alternative name, or give endpoints the name that it has.";
    TlsTime "tls_time"
        "The certificate is valid now and stays so for two weeks."
        "Endpoints refuse a certificate that has ended, or has not begun, all at the same minute."
        "Renew the certificate. If it is valid, check this machine's clock.";
    TlsVersion "tls_version"
        "TLS 1.2 or 1.3 is spoken, and nothing older."
        "Old versions can be broken; an endpoint's own library may not speak only the newest."
        "nginx `ssl_protocols TLSv1.2 TLSv1.3;`, Apache `SSLProtocol -all +TLSv1.2 +TLSv1.3`.";
    Plain "plain"
        "Content comes over TLS, or over plain HTTP."
        "Defender's archives carry no checksum on the way: over plain HTTP whoever stands between may change or hold them back."
        "Serve over TLS where the endpoints' trust allows it.";
    Base "base"
        "The root and Defender's folders answer 200, with and without a slash at their end."
        "The agents' own connectivity tests knock there; what exactly they ask is not published, and a 403 or 404 may read as a broken mirror."
        "Let them answer 200 with a short text: nginx `location = / { return 200 \"ok\"; }` for each, Apache an index.html in each folder.";
    Listing "listing"
        "Folders are not listed."
        "A listing shows whoever asks what is held, and from when."
        "nginx `autoindex off;`, Apache `Options -Indexes`.";
    NotFound "not_found"
        "The feed's own address answers 200."
        "An endpoint of this version or platform finds no update, and keeps what it has without a word."
        "Mirror the version before its agents are rolled out; check path prefix, spelling and file modes (403: others must be able to read).";
    Nothing "nothing"
        "The mirror holds a feed."
        "Without a feed there is nothing to examine."
        "Name what it should hold: --elastic VERSION, --defender PLATFORM/TRACK/ARCH, or --config.";
    Status "status"
        "A file that is there answers 200."
        "Endpoints count any other answer as a failed update."
        "Look into the server's error log for this path; 403 is most often a file mode or an SELinux label, 5xx a broken upstream.";
    Manifest "manifest"
        "The manifest, or the archive, can be read and contradicts itself nowhere."
        "An endpoint that cannot read it rejects the update as a whole."
        "Fetch it again from the vendor, whole; never repack or edit it. An error page saved as a file is the usual cause: use curl --fail.";
    ArtifactMissing "artifact_missing"
        "Everything that a manifest names is served."
        "One missing artifact makes the endpoint reject the whole update."
        "Copy the artifacts first and the manifest last; keep every path as the manifest has it.";
    ArtifactCut "artifact_cut"
        "A file comes to its end."
        "A file cut short fails its digest on every endpoint, at every attempt."
        "Copy it again; look for a full disk, and for a proxy or cache with a size limit (nginx `proxy_max_temp_file_size`, `proxy_read_timeout`).";
    ArtifactSize "artifact_size"
        "A file has the size that its manifest says."
        "It fails on every endpoint."
        "Fetch it again from the vendor; look for an old file under a new manifest.";
    ArtifactDigest "artifact_digest"
        "A file has the digest that its manifest says."
        "Endpoints reject the update as a whole; and somebody or something changed the bytes."
        "Fetch it again from the vendor; look for a cache that mixes versions, and for a damaged disk.";
    ArtifactDecoded "artifact_decoded"
        "A file unpacks to what its manifest says, or an archive is whole and of the expected kind."
        "Endpoints unpack before they load: what does not unpack is not loaded."
        "Fetch it again from the vendor, byte for byte.";
    Artifacts "artifacts"
        "How much was fetched and compared."
        "What was not fetched whole is not known to be good."
        "See what is said of each file, mend that, and examine again; with --quick only a sample is fetched.";
    Update "update"
        "A reference endpoint updates from the mirror, and finds nothing new when it asks again."
        "It does in one go what the vendors' endpoints do, as far as that is published: what it rejects they are likely to reject too."
        "See what it says; `waystation endpoint elastic update` and `waystation endpoint defender update` try it by hand.";
    Signature "signature"
        "The manifest's signature is of a known key."
        "An unverified signature means that the manifest is believed for the way it came by alone."
        "Name the vendor's key in `elastic.public_keys`; if it should verify, treat the manifest as forged until it is explained.";
    Members "members"
        "An archive holds what such archives have held so far, for the right system."
        "The agent may find no engine or no definitions in it."
        "Fetch the archive again; compare it with one from the vendor's own address.";
    EtagMissing "etag_missing"
        "Every answer has an ETag."
        "The vendor's page: without an ETag on the manifest an endpoint never downloads what is new."
        "nginx `etag on;` with the page's map against the hyphen, Apache `FileETag MTime`; do not strip it in proxies (`proxy_hide_header`).";
    EtagHyphen "etag_hyphen"
        "The ETag has no hyphen."
        "Elastic Endpoint rejected tags with a hyphen (endpoint-dev#12382); which version mended it is not public."
        "nginx: the vendor page's `map $sent_http_etag` with `add_header ETag`; Apache `FileETag MTime`; Waystation's tags have none.";
    EtagForm "etag_form"
        "The ETag is strong and quoted."
        "What endpoints make of a weak or unquoted tag is not known; some clients never send it back."
        "Switch off what rewrites the answer on the way (gzip makes tags weak): nginx `gzip off;`, Apache `SetEnv no-gzip 1`.";
    EtagShared "etag_shared"
        "Files of different bytes have different ETags."
        "A tag that says nothing of the bytes is the same after a publication: endpoints and caches are told 304, and keep what they have."
        "Let a server make tags of content or of each file's own time, and keep those times when copying (`rsync -t`, `cp -p`); look for a script, a proxy or an image build that gives every file one tag or one time.";
    EtagStable "etag_stable"
        "The same bytes have the same ETag each time, for GET, HEAD and parts alike."
        "A tag that changes makes every endpoint fetch everything again; behind a load balancer tags of modification times differ from server to server."
        "Make tags of content, or copy files with their times (`rsync -t`, `cp -p`).";
    RoundTrip "round_trip"
        "The ETag sent back as If-None-Match gives 304."
        "Each poll of each endpoint is sent the whole file again; updates still arrive."
        "nginx compares before `add_header` rewrites the tag, so the vendor page's sample cannot do it: let a server make the tag that compares it (Waystation, Apache `FileETag MTime`).";
    NotModified "not_modified"
        "304 comes only for the tag that is current, without a body and with the tag."
        "An endpoint that is told 304 for an old tag never updates."
        "Look for a cache in front that answers by itself; purge it, and let it revalidate (`Cache-Control: no-cache`).";
    IfNoneMatchList "if_none_match_list"
        "If-None-Match is taken as a list, as `*`, weak, and without its quotes."
        "Clients send each of these forms; which one endpoints send is not public. Where it is not understood, the whole file is sent."
        "Nothing is lost but traffic; Waystation takes all of them.";
    Head "head"
        "HEAD is answered as GET is, without the body."
        "Connectivity tests of the agents ask with HEAD; a wrong length or a refusal reads as a broken mirror."
        "Let the server answer HEAD itself: nginx without `limit_except GET`, Apache without `<LimitExcept GET>`; no script in between.";
    Ranges "ranges"
        "A part of a file can be asked for."
        "A download that broke off begins again at byte 0; on thin lines large archives may never end."
        "nginx: no `max_ranges 0`, and for proxied files `proxy_force_ranges on;`; Apache: no `MaxRanges none`.";
    RangeBytes "range_bytes"
        "A part holds the bytes that it says it holds."
        "A resumed download is spliced from wrong bytes and fails its digest."
        "Take the cache or script in between out of the way; it invents parts.";
    RangeUnsatisfiable "range_unsatisfiable"
        "A part behind the end is refused with 416."
        "A client that already holds everything is not told so."
        "Let the web server itself answer ranges.";
    IfRange "if_range"
        "A part is given only while the file is still the same (If-Range)."
        "A download resumed after a new release would be spliced from two releases."
        "Let the web server itself answer If-Range, and take caches and scripts out of the way that answer parts by themselves.";
    Length "length"
        "Every answer says its length exactly."
        "Without a length a cut download looks complete."
        "No scripts, no chunked answers for files: serve them from disk; in nginx proxies `proxy_buffering on;` with HTTP/1.1 upstream that sends Content-Length.";
    Coding "coding"
        "The bytes come as they are, without a content coding."
        "Digests are those of the bytes on the wire; a compressed answer fails them, and its tag becomes weak."
        "nginx `gzip off;` and no `gzip_static`, Apache `SetEnv no-gzip 1`; the same in every proxy on the way.";
    Redirect "redirect"
        "Files are answered where they are asked for, without a redirect."
        "Whether endpoints follow redirects is not published; one that leaves the site defeats the mirror."
        "Serve content on the address that endpoints are given; exempt it from http-to-https redirects.";
    KeepAlive "keep_alive"
        "A connection takes more than one request."
        "Each file costs a connection and a TLS handshake; thousands of endpoints add up."
        "nginx `keepalive_timeout 65;`, Apache `KeepAlive On`.";
    Http10 "http_1_0"
        "HTTP/1.0 is answered, with a length and without chunks."
        "Old proxies on the way speak it."
        "nginx and Apache do by default; take out what refuses it.";
    DoubleSlash "double_slash"
        "A doubled slash at the start of a path is taken as one."
        "A base URL that was entered with a slash at its end makes endpoints ask for `//downloads/…`."
        "nginx `merge_slashes on;`, Apache `MergeSlashes On`; or enter the base URL without the slash.";
    Caching "caching"
        "What changes under its address is not cached for long."
        "A cache on the way keeps endpoints on an old manifest although the mirror has a newer one."
        "`Cache-Control: no-cache` for manifests, `updates.zip` and `manifest.json`: nginx `add_header Cache-Control no-cache;`, Apache `Header set Cache-Control no-cache`; purge the cache.";
    Date "date"
        "The server's Date agrees with this machine's clock."
        "With a wrong clock certificates and ages are misjudged, on one side or the other."
        "Let both be set by NTP or chrony.";
    Companion "companion"
        "A Defender archive has its manifest.json beside it, with two versions."
        "Tools and people read the version there; Microsoft's script skips its update by it."
        "Run the downloader again, to its end; empty versions are what the script leaves when its download failed.";
    CompanionAgrees "companion_agrees"
        "The companion was written with the archive beside it, and no two archives claim one version."
        "An archive under a wrong version is taken for current and never replaced."
        "Fetch archive and companion together; delete the companion so that Microsoft's script fetches both again.";
    Back "back"
        "The release in `_back` is older than the one beside it."
        "Going back by pointing endpoints at `_back` would go forward, or nowhere."
        "Microsoft's script copies to `_back` before it downloads, so a failed download leaves both the same: keep earlier releases elsewhere, or let Waystation serve `_back`.";
    Spool "spool"
        "There is room to look at files whole."
        "What cannot be stored for a moment cannot be compared."
        "Free space, or name another folder with TMPDIR.";

    Host "host"
        "A host that a vendor needs can be reached, through the configured proxy and CA."
        "Without it nothing new comes in."
        "Open host and port in the firewall or proxy as the table has them.";
    Proxy "proxy"
        "The proxy lets the vendors' hosts through."
        "Without it nothing new comes in."
        "Check `origin.proxy` and `origin.proxy_password_file`, and that the proxy allows CONNECT to the host and port.";
    ProxyUnused "proxy_unused"
        "A proxy that the environment names is configured."
        "Waystation reads no HTTPS_PROXY: it would try to reach the vendors directly."
        "Set `origin.proxy` in the configuration (or WAYSTATION__ORIGIN__PROXY).";
    Intercepted "intercepted"
        "TLS to the vendor ends at the vendor."
        "Something on the way opens TLS: what comes through it is never called `from the vendor over public TLS`, and without its CA nothing comes."
        "Put the CA of the intercepting proxy into `origin.ca_file`, or exempt the vendors' hosts from interception.";
    Clock "clock"
        "This machine's clock agrees with the vendors' hosts."
        "Certificates, freshness and retention are judged by it; Waystation never sets it."
        "Start chronyd, systemd-timesyncd or ntpd, and check the time zone is not mistaken for UTC.";
    DiskFree "disk_free"
        "The disk has room for the reserve and for what retention may keep."
        "A download that finds no room is refused, and endpoints stay on what they have."
        "Enlarge the disk, lower `retention.bytes` or `retention.days`, or run `waystation gc`.";
    Inodes "inodes"
        "The file system can take more files."
        "Without inodes no file can be made, however much room there is."
        "Remove other files from this file system, or make it anew with more inodes.";
    FileSystem "file_system"
        "The data folder lies on a local file system that keeps what was flushed."
        "On network and memory file systems a crash may lose what was acknowledged, and locks may not hold."
        "Put `data_dir` on a local disk with ext4 or xfs.";
    DataFolder "data_folder"
        "The data folder is there, ours, and nobody else may write it."
        "Whoever may write it decides what the fleet loads; Waystation refuses to use it."
        "`install -d -o waystation -g waystation -m 0755` the folder, and run as its owner.";
    Secrets "secrets"
        "The configuration, keys and passwords can be changed by their owner alone, and secrets read by nobody else."
        "Who reads the key is the mirror; who writes the configuration decides what is fetched from where."
        "`chmod 0640` and `chgrp waystation` the file (0600 for keys and passwords).";
    OpenFiles "open_files"
        "As many files may be open as `limits.serve_connections` needs."
        "Beyond the limit new connections of endpoints wait or are dropped."
        "`LimitNOFILE=65536` in the systemd unit, or lower `limits.serve_connections`.";
    Port "port"
        "The addresses to listen on are free, or ours."
        "A listener whose address is taken keeps the program from starting."
        "Stop the other program or choose another address; below 1024 give CAP_NET_BIND_SERVICE (`AmbientCapabilities=`) or use a systemd socket.";
    Selinux "selinux"
        "SELinux lets the program use the data folder."
        "Files with a label of another service's are refused although their modes are right."
        "`semanage fcontext -a -t var_lib_t '/var/lib/waystation(/.*)?'` and `restorecon -R` the folder.";
    Memory "memory"
        "The machine has a gigabyte of memory, and some of it free."
        "Too little memory ends programs at the worst moment."
        "Give the machine, or the service's `MemoryMax=`, at least 1 GB.";
    User "user"
        "Who runs the program."
        "As root every mistake is one of the whole machine, and what root may do says nothing about the service's own user."
        "Run as a user of its own: `sudo -u waystation waystation doctor`.";
    Umask "umask"
        "The umask of this process."
        "Waystation sets every mode itself, whatever the umask says."
        "Nothing to do.";
    Systemd "systemd"
        "The service's unit, where systemd runs."
        "What the unit leaves out, the defaults of the system decide."
        "Compare the unit with the one in the operator's guide.";
    Way "way"
        "The programs, hosts and sockets of the sections alarm and history can be reached; nothing is sent."
        "When something breaks nobody is told, or the history's heads are kept nowhere else."
        "Correct the way in the configuration or open host and port in the firewall, then try it: `waystation alarm test`.";
    Locks "locks"
        "Who fetches or publishes now."
        "One fetch run and one publication at a time: another one waits."
        "Nothing to do; a lock is let go when its holder ends, however it ends.";
    Configuration "configuration"
        "The configuration can be read."
        "Without one the vendors' defaults are assumed."
        "`waystation init` writes one.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_texts_whole() {
        let mut codes: Vec<&str> = Check::ALL.iter().map(|check| check.code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), Check::ALL.len());
        for check in Check::ALL {
            assert!(
                check.what().ends_with('.') && check.why().ends_with('.') && check.remedy().ends_with('.'),
                "{check}"
            );
        }
    }

    #[test]
    fn every_check_is_documented() {
        let page = include_str!("../../../docs/doctor.md");
        for check in Check::ALL {
            let row = format!("| `{}` | {} | {} |", check.code(), check.what(), check.remedy());
            assert!(page.contains(&row), "docs/doctor.md lacks this row:\n{row}");
        }
    }
}
