//! Why no answer came, or no whole one.

use std::io;

/// Why no answer came, or no whole one. The texts are from outside; reports escape them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WireError {
    /// The name leads nowhere.
    #[error("the name cannot be resolved: {0}")]
    Name(String),
    /// No connection.
    #[error("no connection: {0}")]
    Connect(String),
    /// The proxy opened no tunnel.
    #[error("the proxy opened no tunnel: {0}")]
    Proxy(String),
    /// No TLS.
    #[error("the TLS handshake failed: {0}")]
    Tls(String),
    /// Too slow.
    #[error("{0} took longer than {1} s")]
    Slow(&'static str, u64),
    /// The connection ended before an answer.
    #[error("the connection was closed without an answer")]
    Closed,
    /// What came is no HTTP/1.
    #[error("the answer is not HTTP/1: {0}")]
    NotHttp(String),
    /// The announced length is none.
    #[error("Content-Length is '{0}'")]
    BadLength(String),
    /// The body ended before its announced end.
    #[error("the body ended after {got} bytes{}", announced.map(|all| format!(" of {all}")).unwrap_or_default())]
    Short {
        /// The bytes that came.
        got: u64,
        /// The bytes announced, where they were.
        announced: Option<u64>,
    },
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(#[source] io::Error),
    /// The whole examination is out of time.
    #[error("the time given to the examination was over")]
    Deadline,
}

impl WireError {
    /// Whether the other side ended the connection without a word.
    pub(crate) fn is_the_end(&self) -> bool {
        match self {
            Self::Closed => true,
            // As a client sees it whose request was still on its way.
            Self::Broken(error) => matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe),
            _ => false,
        }
    }
}
