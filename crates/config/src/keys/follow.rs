//! What is followed, and how its vendors are reached.

use super::Kind::{Duration, Flag, Number, Path, Paths, Rate, Secret, Size, Texts, Url, Word, Words};
use super::{Key, Section, Shape, key};

const STRICTNESS: &[&str] = &["off", "warn", "require"];

pub(super) const ORIGIN: Section = Section {
    name: "origin",
    shape: Shape::Table,
    doc: "How vendors are reached.",
    keys: &[
        key(
            "proxy",
            Url,
            "\"http://user@proxy.example:3128\"",
            "The HTTP proxy that requests go through, by CONNECT. Names are then resolved by the proxy alone.",
        ),
        key(
            "proxy_password_file",
            Path,
            "\"proxy-password\"",
            "A file with the proxy user's password; a line end behind it is dropped.",
        ),
        key(
            "proxy_password",
            Secret,
            "\"…\"",
            "The proxy user's password itself. Prefer proxy_password_file, or the environment.",
        ),
        key(
            "no_proxy",
            Texts,
            "[\"mirror.internal\"]",
            "Hosts reached without the proxy: names (and all below them), addresses or ranges.",
        )
        .or("[]"),
        key(
            "ca_file",
            Path,
            "\"/etc/ssl/corporate.pem\"",
            "Certificate authorities beside the system's, as PEM. What came through them is recorded as such.",
        ),
        key("connections_per_host", Number(1, 256), "32", "Requests in flight to one host.").or("32"),
        key(
            "rate_limit",
            Rate,
            "\"50MB/s\"",
            "The most bytes a second, over all fetches together; without it, no limit.",
        ),
        key("allow_plain_http", Flag, "false", "Whether origins may be plain http. For tests and internal origins.")
            .or("false"),
    ],
};

pub(super) const ELASTIC: Section = Section {
    name: "elastic",
    shape: Shape::Table,
    doc: "What is followed of Elastic Defend's global artifacts. Leave the section out to follow nothing.",
    keys: &[
        key("origin", Url, "\"https://artifacts.security.elastic.co\"", "The base URL of the artifacts.")
            .or("\"https://artifacts.security.elastic.co\""),
        key("versions", Texts, "[\"9.0.0\", \"8.18.3\"]", "The versions of Elastic Defend in the fleet, patch level included. A pattern such as \"8.19.*\" takes every patch level that endpoints ask for or the vendor turns out to have.").set(),
        key(
            "dated",
            Texts,
            "[\"8.18.3@2026-01-15\"]",
            "Manifests of a day, as <version>@<date>; they are never let go. The vendor does not document their path: it is looked for at dated_templates, or learned from what endpoints ask for, and until then the feed fails with reason dated_path_unknown.",
        ),
        key(
            "dated_templates",
            Texts,
            "[\"/downloads/endpoint/manifest/artifacts-{version}-{date}.zip\"]",
            "Paths that a dated manifest is looked for at, in this order, with {version} and {date} in them. The first that the vendor answers with a manifest is remembered.",
        )
        .or("[]"),
        key(
            "track_templates",
            Texts,
            "[\"/downloads/endpoint/manifest/{track}/artifacts-{version}.zip\"]",
            "Paths that the manifest of a track such as candidate is looked for at, with {version} and {track} in them. The vendor does not document them.",
        )
        .or("[]"),
        key("mode", Word(&["mirror", "proxy"]), "\"mirror\"", "mirror fetches ahead of the endpoints. proxy also fetches what they ask for and is not held; it needs `waystation run`.")
            .or("\"mirror\""),
        key("auto_learn", Flag, "true", "Whether a manifest that endpoints asked for, and that the vendor has, is followed from then on. In proxy mode it always is.")
            .or("false"),
        key("learned_feeds", Number(1, 1000), "32", "The most feeds that are followed because endpoints asked for them, or the operator said so. What a pattern in versions stands for does not count. When one more is asked for, status and an alarm say so (reason learned_full).").or("32"),
        key("probe", Duration(60_000), "\"1d\"", "How often the vendor is asked for versions that a pattern stands for, and for paths of dated manifests that are not known.")
            .or("\"1d\""),
        key("revalidate", Duration(1000), "\"5m\"", "In proxy mode: how often the vendor is asked whether a manifest has changed, however many endpoints ask. A path that no known manifest names has all manifests asked for at once, every 5 seconds at the most.")
            .or("\"5m\""),
        key("wait", Duration(0), "\"20s\"", "In proxy mode: how long an endpoint's request waits for what is being fetched; then it is answered 503 with Retry-After while the fetch goes on.")
            .or("\"20s\""),
        key(
            "unknown_paths",
            Word(&["forward", "refuse"]),
            "\"refuse\"",
            "In proxy mode: what becomes of a path below /downloads/ that no manifest names, once the manifests were read anew: forward (fetched whole, kept, and served with nothing but the transport's word, as the header Waystation-Trust says) or refuse (404).",
        )
        .or("\"forward\""),
        key("forwarded_bytes", Size, "\"1GiB\"", "The most bytes that forwarded paths take together.").or("\"1GiB\""),
        key(
            "pass_headers",
            Words(&["cache-control", "content-language", "content-type", "last-modified"]),
            "[\"content-type\"]",
            "In proxy mode: the vendor's headers that endpoints get: cache-control (for artifacts alone; a cache in front then keeps for so long what was denied meanwhile), content-language, content-type, last-modified. The ETag is always ours.",
        )
        .or("[\"content-type\", \"last-modified\"]"),
        key(
            "signature",
            Word(STRICTNESS),
            "\"warn\"",
            "How a manifest's signature is taken: off (not checked), warn (checked, a failure is noted), require (a failure refuses the release).",
        )
        .or("\"warn\""),
        key("public_keys", Paths, "[\"elastic-2027.pem\"]", "PEM files of public keys beside the built-in one.").or("[]"),
        key("schedule", Duration(1000), "\"1h\"", "How often the vendor is asked.").or("\"1h\""),
    ],
};

pub(super) const DEFENDER: Section = Section {
    name: "defender",
    shape: Shape::Table,
    doc: "What is followed of Microsoft Defender's security intelligence. Leave the section out to follow nothing.",
    keys: &[
        key("origin", Url, "\"https://go.microsoft.com/fwlink/\"", "The URL that the vendor's addresses are made from.")
            .or("\"https://go.microsoft.com/fwlink/\""),
        key(
            "redirect_hosts",
            Texts,
            "[\"definitionupdates.microsoft.com\"]",
            "Hosts that the vendor may redirect to beside its own: names, or '*.' and a suffix.",
        )
        .or("[\"definitionupdates.microsoft.com\", \"*.endpoint.security.microsoft.com\"]"),
        key("platforms", Words(&["linux", "mac"]), "[\"linux\"]", "The platforms of the fleet: linux, mac.").or("[\"linux\"]").set(),
        key("architectures", Words(&["x86_64", "arm64"]), "[\"x86_64\", \"arm64\"]", "The architectures of the fleet: x86_64, arm64.")
            .or("[\"x86_64\", \"arm64\"]")
            .set(),
        key("tracks", Words(&["production", "preview"]), "[\"production\"]", "The vendor's tracks: production, preview.").or("[\"production\"]"),
        key(
            "expected_members",
            Word(STRICTNESS),
            "\"warn\"",
            "How it is taken when an archive lacks members that such archives have had so far: off, warn (noted; refused if it has none of them), require (refused).",
        )
        .or("\"warn\""),
        key("schedule", Duration(1000), "\"4h\"", "How often the vendor is asked.").or("\"4h\""),
    ],
};

/// The keys of `[retention]` again, without defaults: what is left out here is taken from there.
const OWN_RETENTION: &[Key] = &[
    key("days", Number(1, 3650), "35", "Instead of retention.days."),
    key("bytes", Size, "\"20GB\"", "Instead of retention.bytes."),
    key("grace", Duration(0), "\"1d\"", "Instead of retention.grace."),
];

pub(super) const ELASTIC_RETENTION: Section = Section {
    name: "elastic.retention",
    shape: Shape::Hidden,
    doc: "What is kept of Elastic, where it differs from [retention].",
    keys: OWN_RETENTION,
};

pub(super) const DEFENDER_RETENTION: Section = Section {
    name: "defender.retention",
    shape: Shape::Hidden,
    doc: "What is kept of Defender, where it differs from [retention].",
    keys: OWN_RETENTION,
};
