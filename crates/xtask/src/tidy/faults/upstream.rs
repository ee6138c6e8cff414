//! What vendors and networks do.

use super::Row;

pub(super) const ROWS: &[Row] = &[
    Row::new(
        "U01",
        "reset before the first byte, behind it, half way, at the last",
        "tried again within its budget; no part of a file is visible",
    ),
    Row::new("U02", "a body shorter than its Content-Length", "`short_body`"),
    Row::new(
        "U03",
        "a body that only the end of the connection delimits, cut",
        "found by the declared size and digest",
    ),
    Row::new("U04", "a body longer than declared", "read to one byte beyond, refused"),
    Row::new("U05", "right size, other bytes", "refused, asked for a bounded number of times, not kept"),
    Row::new("U06", "a manifest with a wrong size and a right digest", "the release is refused as inconsistent"),
    Row::new("U07", "encoded and decoded pairs swapped, or one of the four wrong", "each pair is checked by itself"),
    Row::new("U08", "a page with status 200 in place of a manifest or an artifact", "refused for what it is not"),
    Row::new("U09", "200 without a body, and 203, 204, 205, 226", "nothing but 200, 206 and 304 means anything"),
    Row::new("U10", "500, 502, 503, 504 that pass", "tried again with pauses that grow and vary"),
    Row::new("U11", "server errors that stay", "given up within the budget, the feed ages, the next run is planned"),
    Row::new("U12", "404 for a manifest", "a reason of its own; nothing is deleted"),
    Row::new("U13", "404 for one artifact of many", "nothing of that release is published"),
    Row::new("U14", "401, 403, 407", "asked once, and no credential in a log"),
    Row::new("U15", "429 with Retry-After in seconds or as a date", "no request before it, in a new process neither"),
    Row::new("U16", "Retry-After negative, enormous, a word, 40 years away", "ignored or brought down to a day"),
    Row::new("U17", "redirects in a circle or without end", "a limit of hops"),
    Row::new("U18", "a redirect from https to http", "refused"),
    Row::new(
        "U19",
        "a redirect to loopback, metadata, private or mapped addresses in any spelling",
        "refused unless the configuration names the host",
    ),
    Row::new(
        "U20",
        "a name that is public when checked and private when connected to",
        "looked up once; what was checked is what is connected to",
    ),
    Row::new("U21", "a redirect to file, ftp, gopher, data, javascript, unix", "refused"),
    Row::new("U22", "a redirect to a host off the list", "refused"),
    Row::new(
        "U23",
        "a redirect with credentials; headers that could follow to another host",
        "refused; none is ever sent",
    ),
    Row::new("U24", "one byte now and then", "a least rate, and a deadline over all"),
    Row::new(
        "U25",
        "silence after accepting, in the handshake, before the head, between chunks",
        "each wait ends by itself",
    ),
    Row::new("U26", "a body without end", "a cap; the disk never holds more than cap and reserve")
        .but("what is counted is the bytes that were taken in, not the room on a disk"),
    Row::new("U27", "a head of a megabyte, of ten thousand fields, without end", "capped"),
    Row::new("U28", "chunked coding that is broken in each way", "an error, no panic"),
    Row::new("U29", "Content-Length beside chunked, twice, `+5`, `5,5`, ` 5`, `0x5`", "an error"),
    Row::new("U30", "Content-Length 2^63 and 2^64-1", "nothing is allocated on a header's word"),
    Row::new("U31", "gzip that nobody asked for", "identity is asked for; coded bytes are refused"),
    Row::new("U32", "gzip in gzip, bombs, other codings, bytes behind the stream", "refused in bounded memory"),
    Row::new("U33", "Content-Disposition, Link, Refresh, Set-Cookie, digests of ill will", "ignored"),
    Row::new(
        "U34",
        "a manifest replaced between it and its artifacts",
        "the old set is finished or the new one taken, never mixed",
    ),
    Row::new("U36", "a 206 with another offset, another total, an overlap, several parts", "thrown away"),
    Row::new("U37", "200 in answer to a range", "taken as the whole file"),
    Row::new(
        "U38",
        "an older manifest than the one held",
        "quarantine and alarm; the newest stays; the operator may let it in",
    ),
    Row::new("U39", "the same version with other bytes", "quarantine; both digests are told"),
    Row::new("U40", "a version far ahead", "quarantine; the operator's word moves the mark or leaves it"),
    Row::new("U41", "the same answers for ever", "an alarm by age, though every run succeeds"),
    Row::new("U42", "304 that nobody asked for", "an error"),
    Row::new("U44", "neither ETag nor Last-Modified", "compared by digest"),
    Row::new("U45", "ETags weak, empty, unquoted, of 64 KB, the same for other bytes", "never taken for identity"),
    Row::new(
        "U46",
        "certificates that are expired, early, misnamed, unknown, incomplete, weak, for other uses, out of bounds, too long a chain",
        "refused before anything is asked, each in words of its own",
    ),
    Row::new(
        "U47",
        "TLS 1.0 and 1.1 alone, no close_notify, garbage between records",
        "refused, or the length decides",
    ),
    Row::new(
        "U48",
        "DNS that denies, fails, stays silent, is empty, lists dead addresses first",
        "bounded, and it works where one address works",
    ),
    Row::new(
        "U49",
        "a proxy that asks for credentials, fails, answers itself, drops the tunnel; odd lists of exceptions",
        "the reason names the proxy",
    ),
    Row::new("U50", "HTTP/2: GOAWAY, RST_STREAM, zero window, CONTINUATION without end", "a timeout and another try")
        .but("a client that speaks HTTP/1.1 alone has no streams, windows or CONTINUATION to break"),
    Row::new("U52", "a manifest with no artifacts, or with a tenth of them", "quarantine"),
    Row::new("U54", "a Date that is off by a year", "recorded, not used"),
    Row::new(
        "U55",
        "Defender: the info says one version and the archive is another; a release in between",
        "the version is read once and bound to the bytes",
    ),
    Row::new("U57", "one of several vendors down", "the others are published; each feed has its own status"),
    Row::new(
        "U58",
        "a line that comes and goes, loses connections, or carries 64 kbit/s",
        "done, or failed within the deadline; at most twice the bytes",
    )
    .but("the line comes and goes in tens of milliseconds, not every 2 s for 5 minutes; three times the bytes are let pass"),
    Row::new("U59", "the process ends after each artifact", "what is proven is not fetched again"),
    Row::new(
        "U60",
        "random single faults of all the others, one after the other: 150 here, 1,000 in `proof --ci`, 10,000 in `--full`",
        "the invariants after each; at the end what a mirror serves that met none",
    ),
];
