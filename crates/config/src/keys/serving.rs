//! Where things are kept, and what endpoints and operators reach.

use super::Kind::{Address, Duration, Flag, Number, Path, Ranges, Size, Table, Text, Word};
use super::{Key, Section, Shape, key};

pub(super) const TOP: Section = Section {
    name: "",
    shape: Shape::Table,
    doc: "Relative paths in this file start at the folder that holds it.",
    keys: &[
        key(
            "data_dir",
            Path,
            "\"/var/lib/waystation\"",
            "The folder that everything is kept in. Give it a disk of its own where you can.",
        )
        .or("\"/var/lib/waystation\"")
        .set(),
        key(
            "spool_dir",
            Path,
            "\"/var/spool/waystation\"",
            "The folder where the content side leaves word of what endpoints asked for and is not held, for `waystation run` to gather; by default spool in data_dir. A `waystation serve` of another user needs one that both may write; without one its word is dropped and counted.",
        ),
        key(
            "data_group",
            Text,
            "\"waystation\"",
            "A group, by name or number, whose members may write the data folder, and are believed: a Kubernetes volume with fsGroup needs it. Without it a folder that a group can write is refused.",
        ),
    ],
};

pub(super) const SITE: Section = Section {
    name: "site",
    shape: Shape::Table,
    doc: "This installation.",
    keys: &[key(
        "name",
        Text,
        "\"dmz-1\"",
        "What people call it; shown in status and reports. 1 to 64 letters, digits, '.', '-' or '_', starting with a letter or digit.",
    )],
};

pub(super) const SERVE: Section = Section {
    name: "serve",
    shape: Shape::List,
    doc: "What endpoints reach. Several may stand side by side, plain and TLS; with none, one with these defaults.",
    keys: &[
        key("address", Address, "\"0.0.0.0:8080\"", "The address and port to listen on.").or("\"0.0.0.0:8080\"").set(),
        key("path_prefix", Text, "\"/\"", "What stands before every route, for a mirror below a path.").or("\"/\""),
        key(
            "tls",
            Table(TLS),
            "{ certificate = \"tls/server.pem\", key = \"tls/server.key\" }",
            "Speak TLS with these PEM files. New files are taken up without dropping a connection.",
        ),
        key(
            "allow",
            Ranges,
            "[\"10.0.0.0/8\"]",
            "The only clients let in, as addresses or ranges; without it, everyone. An empty list is refused.",
        ),
        key(
            "trusted_proxies",
            Ranges,
            "[\"10.1.2.3\"]",
            "Proxies in front of this listener, whose word on a client's address (X-Forwarded-For, Forwarded) is taken.",
        ),
        key(
            "proxy_protocol",
            Flag,
            "true",
            "Each connection from `trusted_proxies` begins with a PROXY header, version 1 or 2, that names the client; one without it is closed. Others connect without it.",
        )
        .or("false"),
        key(
            "credentials",
            Path,
            "\"/etc/waystation/credentials\"",
            "Let only those in who name themselves as this file says (Basic or Bearer). It is read again when it changes.",
        ),
        key(
            "credentials_without_tls",
            Flag,
            "true",
            "Take credentials on a listener that speaks plain HTTP: only behind a proxy that ends TLS.",
        )
        .or("false"),
    ],
};

/// The forms of the access log.
pub(crate) const LOG_FORMS: [&str; 3] = ["text", "json", "common"];

pub(super) const ACCESS_LOG: Section = Section {
    name: "access_log",
    shape: Shape::Hidden,
    doc: "A line for each answer of any listener in [[serve]]; without this section none is written.",
    keys: &[
        key("path", Path, "\"/var/log/waystation/access.log\"", "The file; \"-\" for standard output."),
        key(
            "form",
            Word(&LOG_FORMS),
            "\"text\"",
            "text: Waystation's own; json: an object a line; common: the Common Log Format.",
        )
        .or("\"text\""),
        key(
            "rotate_bytes",
            Size,
            "\"100MB\"",
            "Begin a new file when the present one is about this large, 64KiB at least; \"0B\" to leave that to logrotate or the like.",
        )
        .or("\"100MB\""),
        key("keep", Number(0, 1000), "5", "How many earlier files are kept, as .1, .2 and so on.").or("5"),
    ],
};

const TLS: &[Key] = &[
    key("certificate", Path, "\"tls/server.pem\"", "The certificate and its chain."),
    key("key", Path, "\"tls/server.key\"", "The certificate's private key."),
    key(
        "client_ca",
        Path,
        "\"tls/clients.pem\"",
        "The authority that clients' certificates must come from; without it none is asked for.",
    ),
    key(
        "client_crl",
        Path,
        "\"tls/clients.crl.pem\"",
        "That authority's revocation lists. Whom they revoke is refused, and so is everyone whose authority has no list in it, or one that has ended.",
    ),
];

pub(super) const ADMIN: Section = Section {
    name: "admin",
    shape: Shape::Table,
    doc: "What operators reach: health, metrics, status.",
    keys: &[
        key("address", Address, "\"127.0.0.1:8081\"", "The address and port to listen on.").or("\"127.0.0.1:8081\"")
    ],
};

pub(super) const RING: Section = Section {
    name: "ring",
    shape: Shape::HiddenList,
    doc: "The named views that groups of endpoints are served; with none, one ring named broad. This version takes one.",
    keys: &[
        key("name", Text, "\"broad\"", "Its name: 1 to 32 lower-case letters, digits or '-', starting with a letter."),
        key("after", Text, "\"canary\"", "The ring before it in the chain. Not in this version, which has one ring."),
        key(
            "soak",
            Duration(0),
            "\"24h\"",
            "How long a release stays in the ring before it. Not in this version, which has one ring.",
        ),
    ],
};

pub(super) const RETENTION: Section = Section {
    name: "retention",
    shape: Shape::Table,
    doc: "What is kept. The oldest releases go first, never what is served, pinned, dated or in grace.",
    keys: &[
        key("days", Number(1, 3650), "35", "Releases older than this many days go.").or("35"),
        key("bytes", Size, "\"50GB\"", "The oldest releases of a vendor go until what is kept of it is no larger than this.").or("\"50GB\""),
        key(
            "grace",
            Duration(0),
            "\"1d\"",
            "How long the artifacts of a superseded release stay served, so that an endpoint which has read its manifest can finish.",
        )
        .or("\"1d\""),
    ],
};
