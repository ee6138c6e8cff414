//! What clients of the content side do.

use super::Row;

const NO_HTTP2: &str = "HTTP/2 is not spoken: the handshake offers http/1.1 alone, and its preface is refused";

pub(super) const ROWS: &[Row] = &[
    Row::new("V01", "paths that climb, in more than ten thousand spellings", "404 in one shape; nothing is opened"),
    Row::new("V02", "NUL, CR, LF, controls and bytes beyond ASCII in path, query, header", "400; nothing is reflected"),
    Row::new("V04", "Host missing, twice, empty, with a user, IPv6, another than in the target", "refused or ignored"),
    Row::new(
        "V05",
        "X-Forwarded-For, Forwarded and all their kin",
        "no effect unless the peer is a trusted proxy",
    ),
    Row::new(
        "V06",
        "smuggling: two lengths, length and chunks, codings in disguise, folded lines, bare LF and CR, chunk extensions, upgrades; alone and behind nginx, Apache and haproxy",
        "nobody gets another's answer",
    ),
    Row::new("V07", "a request line of 64 KB, a header of a megabyte, ten thousand headers", "414, 431, 400"),
    Row::new("V08", "heads that trickle in, by the thousand", "closed at their deadline; good clients are served"),
    Row::new("V09", "slow requests to the admin side", "a deadline before anything else"),
    Row::new(
        "V10",
        "readers of a byte a second, by the thousand, and readers that stopped",
        "served as long as bytes move; memory stays flat",
    ),
    Row::new("V11", "ends and resets before, in and behind a request", "descriptors come back")
        .but("a peer that vanishes without a word is not played: the system's own time-outs end it"),
    Row::new("V12", "10,000 idle connections and good clients", "good ones are served; a cap takes from the idle"),
    Row::new("V14", "ranges of every form", "as nginx and Apache have it, or the difference is explained"),
    Row::new("V15", "conditions in every combination, If-Range, dates of three forms and none", "RFC 9110"),
    Row::new("V17", "every other method, and none", "405, 501, 400; nothing is echoed"),
    Row::new("V19", "HTTP/0.9, 1.2, 2, TLS on a plain port, plain on a TLS port, noise", "closed, and counted"),
    Row::new("V20", "floods of HTTP/2", "bounded").without(NO_HTTP2),
    Row::new("V21", "odd pseudo-headers of HTTP/2", "an error of the stream").without(NO_HTTP2),
    Row::new(
        "V22",
        "handshakes in single bytes and records, without or with odd names, old versions, weak suites, noise, goodbyes without end",
        "an alert, and honest clients are served",
    )
    .but("early data is not offered, so it is not replayed"),
    Row::new(
        "V23",
        "a certificate that does not fit its key, has ended, cannot be read or is half written",
        "the old one is kept, and it is told",
    ),
    Row::new("V24", "sslscan and testssl.sh", "TLS 1.2 and 1.3, authenticated encryption alone"),
    Row::new("V25", "1,000 clients over 100 publications", "every client's set is one release; nothing fails"),
    Row::new("V26", "an older manifest's artifacts after a publication", "served until their grace ends"),
    Row::new("V27", "tags", "strong, made from the content alone, taken back with 304"),
    Row::new("V29", "Accept-Encoding of every kind", "no coding is made up, and nothing varies"),
    Row::new("V30", "listings, hidden files, backups", "404, all alike"),
    Row::new("V32", "paths and methods without end", "labels of metrics stay few"),
    Row::new("V33", "who is on no allow list, also mapped and forwarded", "does not come in"),
    Row::new("V34", "authorities of client certificates missing, empty, revoking", "fails closed"),
    Row::new("V35", "greedy clients beside others; many behind one address", "a fair share each; nobody is banned"),
    Row::new("V36", "10,000 endpoints that ask at once", "all are answered"),
    Row::new("V37", "a storm of connections made and dropped", "descriptors and memory come back"),
    Row::new("V38", "a blob cut short while it is sent", "the connection is reset, never a short answer"),
    Row::new("V39", "a blob changed between opening and sending", "found, and never served whole")
        .but("above 1 MiB, one that changed before the start counts as it is until its first reading is through"),
    Row::new("V40", "a port that is taken, an address that is not here", "an error that names it"),
    Row::new("V42", "full load for long", "nothing fails; memory and descriptors stay as they are")
        .but("without a slow disk at the same time; for an hour by `cargo xtask bench soak`"),
    Row::new("V44", "any bytes as a request", "one whole answer or a close, as another parser has it"),
];
