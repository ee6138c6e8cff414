//! Where things are kept, and what endpoints and operators reach.

use super::Kind::{Address, Duration, Number, Path, Ranges, Size, Table, Text};
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
            "The only clients let in, as addresses or ranges; without it, everyone.",
        ),
        key(
            "trusted_proxies",
            Ranges,
            "[\"10.1.2.3\"]",
            "Proxies in front of this listener, whose word on a client's address (X-Forwarded-For) is taken.",
        ),
        key(
            "access_log",
            Path,
            "\"/var/log/waystation/access.log\"",
            "The file that requests to all listeners are logged to; without it, none. Listeners that name one name the same.",
        ),
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
