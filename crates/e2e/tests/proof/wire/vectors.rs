//! Requests that two readers may cut in different places, each hiding a second one.

/// What is hidden: `{hidden}` in a vector, its length in `{length}` and in hexadecimal in `{hex}`.
pub(crate) struct Vector {
    pub(crate) name: &'static str,
    /// Header lines behind `Host`, each with its end, and what follows the head.
    lines: &'static str,
    body: &'static str,
}

const fn vector(name: &'static str, lines: &'static str, body: &'static str) -> Vector {
    Vector { name, lines, body }
}

const CL_TE_BODY: &str = "0\r\n\r\n{hidden}";
const CHUNK: &str = "{hex}\r\n{hidden}\r\n0\r\n\r\n";

/// The methods that each is tried with.
pub(crate) const METHODS: [&str; 4] = ["GET", "HEAD", "POST", "OPTIONS"];

impl Vector {
    /// The bytes, for a method, a path of its own, and a hidden path of its own.
    pub(crate) fn bytes(&self, method: &str, path: &str, hidden: &str) -> Vec<u8> {
        let hidden = format!("GET {hidden} HTTP/1.1\r\nHost: h\r\nX-Rest: ");
        let fill = |text: &str, whole: usize| {
            text.replace("{hidden}", &hidden)
                .replace("{length}", &hidden.len().to_string())
                .replace("{hex}", &format!("{:x}", hidden.len()))
                .replace("{whole}", &whole.to_string())
        };
        let body = fill(self.body, 0);
        let lines = fill(self.lines, body.len());
        let head = format!("{method} {path} HTTP/1.1\r\nHost: h\r\n{lines}\r\n");
        let mut bytes = head.into_bytes();
        bytes.extend_from_slice(body.as_bytes());
        bytes
    }
}

/// All of them.
pub(crate) const VECTORS: &[Vector] = &[
    vector("CL.TE", "Content-Length: {whole}\r\nTransfer-Encoding: chunked\r\n", CL_TE_BODY),
    vector("TE.CL", "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", CHUNK),
    vector("CL.0", "Content-Length: {length}\r\n", "{hidden}"),
    vector("0.CL", "Content-Length: 0\r\nContent-Length: {length}\r\n", "{hidden}"),
    vector("CL.CL", "Content-Length: {length}\r\nContent-Length: 0\r\n", "{hidden}"),
    vector("CL in a list", "Content-Length: {length}, 0\r\n", "{hidden}"),
    vector("CL twice, the same", "Content-Length: {length}\r\nContent-Length: {length}\r\n", "{hidden}"),
    vector("CL with a plus", "Content-Length: +{length}\r\n", "{hidden}"),
    vector("CL in hexadecimal", "Content-Length: 0x{hex}\r\n", "{hidden}"),
    vector("CL with zeros", "Content-Length: 000{length}\r\n", "{hidden}"),
    vector("CL beyond 64 bits", "Content-Length: 18446744073709551616\r\n", "{hidden}"),
    vector("CL below zero", "Content-Length: -1\r\n", "{hidden}"),
    vector("CL empty", "Content-Length:\r\n", "{hidden}"),
    vector("CL with a space before the colon", "Content-Length : {length}\r\n", "{hidden}"),
    vector("CL with an underscore", "Content_Length: {length}\r\n", "{hidden}"),
    vector("CL folded", "Content-Length:\r\n {length}\r\n", "{hidden}"),
    vector("CL behind a folded line", "X-A: b\r\n Content-Length: {length}\r\n", "{hidden}"),
    vector("CL behind a bare LF", "X-A: b\nContent-Length: {length}\r\n", "{hidden}"),
    vector("CL behind a bare CR", "X-A: b\rContent-Length: {length}\r\n", "{hidden}"),
    vector("CL named hop by hop", "Connection: Content-Length\r\nContent-Length: {length}\r\n", "{hidden}"),
    vector("CL and a tab", "Content-Length:\t{length}\t\r\n", "{hidden}"),
    vector("CL and a vertical tab", "Content-Length: \x0b{length}\r\n", "{hidden}"),
    vector("TE alone", "Transfer-Encoding: chunked\r\n", CHUNK),
    vector("TE with x", "Content-Length: {whole}\r\nTransfer-Encoding: xchunked\r\n", CL_TE_BODY),
    vector(
        "TE with a space before the colon",
        "Content-Length: {whole}\r\nTransfer-Encoding : chunked\r\n",
        CL_TE_BODY,
    ),
    vector("TE with a tab", "Content-Length: {whole}\r\nTransfer-Encoding:\tchunked\r\n", CL_TE_BODY),
    vector("TE with a vertical tab", "Content-Length: {whole}\r\nTransfer-Encoding:\x0bchunked\r\n", CL_TE_BODY),
    vector("TE in capitals", "Content-Length: {whole}\r\nTRANSFER-ENCODING: CHUNKED\r\n", CL_TE_BODY),
    vector("TE quoted", "Content-Length: {whole}\r\nTransfer-Encoding: \"chunked\"\r\n", CL_TE_BODY),
    vector("TE with an underscore", "Content-Length: {whole}\r\nTransfer_Encoding: chunked\r\n", CL_TE_BODY),
    vector(
        "TE twice",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\nContent-Length: {whole}\r\n",
        CL_TE_BODY,
    ),
    vector(
        "TE twice, the other way",
        "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        CHUNK,
    ),
    vector("TE chunked, identity", "Transfer-Encoding: chunked, identity\r\nContent-Length: {whole}\r\n", CL_TE_BODY),
    vector("TE identity, chunked", "Transfer-Encoding: identity, chunked\r\nContent-Length: 4\r\n", CHUNK),
    vector("TE chunked, with a parameter", "Transfer-Encoding: chunked;a=b\r\nContent-Length: {whole}\r\n", CL_TE_BODY),
    vector("TE with a comma", "Transfer-Encoding: ,chunked\r\nContent-Length: {whole}\r\n", CL_TE_BODY),
    vector("TE folded", "Content-Length: {whole}\r\nTransfer-Encoding:\r\n chunked\r\n", CL_TE_BODY),
    vector("TE behind a bare LF", "Content-Length: {whole}\r\nX-A: b\nTransfer-Encoding: chunked\r\n", CL_TE_BODY),
    vector("TE behind a bare CR", "Content-Length: {whole}\r\nX-A: b\rTransfer-Encoding: chunked\r\n", CL_TE_BODY),
    vector(
        "TE named hop by hop",
        "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\nContent-Length: {whole}\r\n",
        CL_TE_BODY,
    ),
    vector("chunk extension with a bare LF", "Transfer-Encoding: chunked\r\n", "{hex};\n{hidden}\r\n0\r\n\r\n"),
    vector("last chunk's extension with a bare LF", "Transfer-Encoding: chunked\r\n", "0;a=\nb\r\n\r\n{hidden}"),
    vector("chunk size ended by a bare LF", "Transfer-Encoding: chunked\r\n", "0\n\n{hidden}"),
    vector("chunk size ended by a bare CR", "Transfer-Encoding: chunked\r\n", "0\r\r{hidden}"),
    vector("chunk size beyond 64 bits", "Transfer-Encoding: chunked\r\n", "10000000000000000\r\n\r\n{hidden}"),
    vector("chunk size with 0x", "Transfer-Encoding: chunked\r\n", "0x0\r\n\r\n{hidden}"),
    vector("chunk with more than its size", "Transfer-Encoding: chunked\r\n", "1\r\nab\r\n0\r\n\r\n{hidden}"),
    vector(
        "trailer that is a length",
        "Transfer-Encoding: chunked\r\nTrailer: Content-Length\r\n",
        "0\r\nContent-Length: 5\r\n\r\n{hidden}",
    ),
    vector("upgrade too early", "Connection: Upgrade\r\nUpgrade: websocket\r\n", "{hidden}"),
    vector(
        "upgrade to h2c",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
        "{hidden}",
    ),
    vector("expectation and a length", "Expect: 100-continue\r\nContent-Length: {length}\r\n", "{hidden}"),
    vector("odd expectation and a length", "Expect: y 100-continue\r\nContent-Length: {length}\r\n", "{hidden}"),
    vector("head ended by bare LFs", "X-A: b\n\n{hidden}\r\n", ""),
    vector("head ended by a bare LF", "X-A: b\r\n\n{hidden}\r\n", ""),
    vector("a colon alone", ": \r\nContent-Length: {length}\r\n", "{hidden}"),
    vector("a line of spaces", " \r\nContent-Length: {length}\r\n", "{hidden}"),
    vector("a NUL", "X-A: b\0\r\nContent-Length: {length}\r\n", "{hidden}"),
    vector("two hosts", "Host: other\r\nContent-Length: {length}\r\n", "{hidden}"),
    vector("a second request at once", "", "{hidden}"),
];
