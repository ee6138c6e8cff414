//! Every cap and deadline.

use super::Kind::{Duration, Number, Rate, Size};
use super::{Section, Shape, key};

pub(super) const LIMITS: Section = Section {
    name: "limits",
    shape: Shape::Table,
    doc: "Every cap and deadline. The defaults suit most sites; reason codes name the key to raise where one may.",
    keys: &[
        key("connect_timeout", Duration(1), "\"15s\"", "For name, connection and TLS towards a vendor.").or("\"15s\""),
        key("head_timeout", Duration(1), "\"60s\"", "From a request to the end of its answer's head.").or("\"60s\""),
        key("pause_timeout", Duration(1), "\"60s\"", "The longest pause within a body.").or("\"60s\""),
        key(
            "minimum_rate",
            Rate,
            "\"1KiB/s\"",
            "A transfer slower than this over half a minute is given up; the next attempt resumes it.",
        )
        .or("\"1KiB/s\""),
        key("attempt_deadline", Duration(1), "\"6h\"", "For one whole attempt at a file.").or("\"6h\""),
        key("redirects", Number(0, 32), "8", "Redirects followed for one request.").or("8"),
        key("manifest_bytes", Size, "\"64MiB\"", "The largest manifest or version information.").or("\"64MiB\""),
        key("artifact_bytes", Size, "\"1GiB\"", "The largest artifact.").or("\"1GiB\""),
        key("archive_bytes", Size, "\"2GiB\"", "The largest Defender archive.").or("\"2GiB\""),
        key("artifacts", Number(1, 1_000_000), "10000", "The most artifacts of one manifest.").or("10000"),
        key(
            "disk_reserve",
            Size,
            "\"1GiB\"",
            "Left free on the disk; a download that would not leave it is not begun.",
        )
        .or("\"1GiB\""),
        key("retries", Number(0, 100), "4", "Attempts after the first, within one run.").or("4"),
        key("retry_base", Duration(1), "\"1s\"", "The pause before the first retry; it doubles from one to the next.")
            .or("\"1s\""),
        key("feed_deadline", Duration(1), "\"8h\"", "For one feed in one run.").or("\"8h\""),
        key(
            "shrink_to_percent",
            Number(0, 100),
            "50",
            "A release with fewer artifacts, or fewer bytes of them, than this share of the one before is quarantined.",
        )
        .or("50"),
        key(
            "grow_to_percent",
            Number(100, 1_000_000),
            "400",
            "A release with more bytes than this share of the one before is quarantined.",
        )
        .or("400"),
        key(
            "version_leap",
            Number(1, 1_000_000_000),
            "10000",
            "A version in which one number runs further ahead than this is quarantined.",
        )
        .or("10000"),
        key(
            "serve_connections",
            Number(1, 1_000_000),
            "10000",
            "Connections of endpoints at once, over all listeners.",
        )
        .or("10000"),
        key(
            "serve_connections_per_client",
            Number(1, 1_000_000),
            "5000",
            "Connections at once from one client's address, an IPv6 /64 counting as one. At the cap the client's own longest idle connection makes room. Behind `trusted_proxies` only PROXY protocol tells whose a connection is.",
        )
        .or("5000"),
        key("serve_head_bytes", Size, "\"16KiB\"", "The longest head of an endpoint's request, 1KiB to 1MiB.").or("\"16KiB\""),
        key("serve_head_timeout", Duration(1), "\"10s\"", "For the head of an endpoint's request.").or("\"10s\""),
        key("serve_idle_timeout", Duration(1), "\"75s\"", "How long a connection may lie idle between requests.")
            .or("\"75s\""),
        key("serve_stall_timeout", Duration(1), "\"60s\"", "How long an endpoint may take no bytes of an answer.")
            .or("\"60s\""),
        key(
            "serve_minimum_rate",
            Rate,
            "\"100B/s\"",
            "An endpoint that takes its answer more slowly than this in the long run is cut off; \"0B/s\" for no such rule.",
        )
        .or("\"100B/s\""),
        key(
            "drain_timeout",
            Duration(0),
            "\"30s\"",
            "How long answers under way may go on after the program was asked to stop.",
        )
        .or("\"30s\""),
        key(
            "scrub",
            Duration(0),
            "\"30d\"",
            "Within how long `run`, or `sync` where there is none, reads every blob held again, to find bytes that changed on the disk; \"0s\" for never.",
        )
        .or("\"30d\""),
        key("scrub_rate", Rate, "\"8MiB/s\"", "The most bytes a second that reading blobs again takes.").or("\"8MiB/s\""),
    ],
};
