//! From when until when what stands in listeners' TLS files holds.

use std::fmt;

use content_http::CertificateFacts;
use model::Timestamp;
use prometheus_client::encoding::DescriptorEncoder;

use super::values::gauges;

pub(super) fn certificates(files: &[CertificateFacts], encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let times = |time: &dyn Fn(&CertificateFacts) -> Option<Timestamp>| {
        let one = |file: &CertificateFacts| {
            let labels = vec![("listener", file.listener.to_string()), ("kind", file.kind.as_str().to_owned())];
            time(file).map(|time| (labels, time.as_micros().div_euclid(1_000_000)))
        };
        files.iter().filter_map(one).collect::<Vec<_>>()
    };
    gauges(
        encoder,
        "tls_not_after_seconds",
        "When a listener's certificate, authority of clients or revocation list ends (kind), in seconds since 1970: of several in a file the one that shuts somebody out by having ended, or else the first that is to end.",
        times(&|file| file.not_after),
    )?;
    gauges(
        encoder,
        "tls_not_before_seconds",
        "When that begins, in seconds since 1970: of the certificates that endpoints are shown the one that begins last.",
        times(&|file| file.begins.or(file.not_before)),
    )
}
