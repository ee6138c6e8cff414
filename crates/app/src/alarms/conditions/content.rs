//! What is wrong with the content side.

use alarm::{Condition, Source};
use content_http::{CertificateFacts, Stats};
use model::{Level, Reason, Timestamp};

use super::Rules;

/// What is seen of the content side.
pub(crate) struct Content<'a> {
    pub(crate) stats: &'a Stats,
    /// When an endpoint last asked for content, if one ever did.
    pub(crate) asked: Option<Timestamp>,
    /// Since when rings are no longer looked at, where that is so.
    pub(crate) stopped_looking: Option<Timestamp>,
    /// Since when lines of the access log are lost, and how many were, where that is so.
    pub(crate) lost: Option<(Timestamp, u64)>,
}

fn new(reason: Reason, key: &str, since: Timestamp) -> Condition {
    Condition::new(Source::Content, key, reason, since)
}

/// What is wrong with the content side.
pub(crate) fn of_content(content: &Content<'_>, now: Timestamp, rules: &Rules) -> Vec<Condition> {
    let mut conditions = Vec::new();
    for ring in &content.stats.rings {
        let (name, subject) = (ring.ring.as_str(), format!("ring {}", ring.ring));
        if let Some(why) = &ring.refused {
            let refused = new(why.reason, &format!("{}/{name}", why.reason), now);
            conditions.push(refused.on(&subject).because(&why.detail).at_level(Level::Fail));
        }
        if ring.broken > 0 {
            let detail = format!("{} of {} paths answer 503", ring.broken, ring.routes);
            let broken = new(Reason::RoutesBroken, &format!("routes_broken/{name}"), now);
            conditions.push(broken.on(&subject).because(&detail).at_level(Level::Fail));
        }
    }
    for certificate in &content.stats.certificates {
        conditions.extend(certificate_of(certificate, now, rules));
    }
    if let Some(since) = content.stopped_looking {
        let stalled = new(Reason::WatcherStalled, "watcher_stalled", since).on("the content side");
        conditions.push(stalled.because("rings are no longer looked at").at_level(Level::Fail));
    }
    if let Some((since, lines)) = content.lost {
        let lost = new(Reason::AccessLogLost, "access_log", since).on("the access log");
        let were = if lines == 1 { "1 line was".to_owned() } else { format!("{lines} lines were") };
        conditions.push(lost.because(&format!("{were} lost since {since}")));
    }
    conditions.extend(silent(content.asked, now, rules));
    conditions
}

fn certificate_of(certificate: &CertificateFacts, now: Timestamp, rules: &Rules) -> Vec<Condition> {
    let path = certificate.path.display().to_string();
    let wrong = match (&certificate.nobody, &certificate.refused) {
        (Some(why), _) => Some((why.clone(), Level::Fail)),
        (None, Some(why)) => {
            Some((format!("{why}; what was in use is kept until a restart, which would not have it"), Level::Warn))
        }
        (None, None) => None,
    };
    let refused = wrong.map(|(detail, level)| {
        let key = format!("certificate_refused/{path}");
        new(Reason::CertificateRefused, &key, now).on(&path).because(&detail).at_level(level)
    });
    let expiring = certificate.not_after.and_then(|end| {
        let level = Some(certificate.level(now, rules.certificate)).filter(|level| *level != Level::Fine)?;
        let what = certificate.in_words();
        let detail = match (certificate.begins_later(now), end.since(now).as_secs() / 86_400) {
            (Some(begins), _) => format!("{what} begins only at {begins}: endpoints refuse it until then"),
            (None, _) if end <= now => format!("{what} ended at {end}{}", certificate.kind.after_its_end()),
            (None, 0) => format!("{what} ends at {end}, within a day"),
            (None, days) => format!("{what} ends at {end}, in {days} d"),
        };
        let key = format!("certificate_expiring/{path}");
        Some(new(Reason::CertificateExpiring, &key, now).on(&path).because(&detail).at_level(level))
    });
    refused.into_iter().chain(expiring).collect()
}

fn silent(asked: Option<Timestamp>, now: Timestamp, rules: &Rules) -> Option<Condition> {
    let (asked, limit) = (asked?, rules.endpoints_silent_after?);
    if now.since(asked) <= limit {
        return None;
    }
    let condition = new(Reason::EndpointsSilent, "endpoints_silent", asked).on("the fleet");
    Some(condition.because(&format!("an endpoint last asked for content at {asked}")))
}
