//! What connections can do: the same for every file, so it is tried with one.

use std::time::Duration;

use model::parse_http_date;

use crate::Check;
use crate::finding::Finding;
use crate::play::Scene;
use crate::play::facts::Facts;
use crate::wire::{Ask, Http, Keep};

/// How far two clocks may be apart.
const SKEW: Duration = Duration::from_secs(300);

/// Tries what connections can do.
pub(crate) async fn look(scene: &Scene<'_>, facts: &Facts) -> Vec<Finding> {
    vec![keep_alive(scene, facts).await, old(scene, facts).await, doubled(scene, facts).await, date(scene, facts)]
}

async fn keep_alive(scene: &Scene<'_>, facts: &Facts) -> Finding {
    let (route, asked) = (facts.route.as_str(), "two conditional GETs over one connection");
    let failed =
        |error: &dyn std::error::Error| Finding::warn(Check::KeepAlive, route, asked, model::error_chain(error));
    let mut connection = match scene.client.connect().await {
        Ok(connection) => connection,
        Err(error) => return failed(&error),
    };
    // Behind the end: the answer is short, whatever the file.
    let ask = Ask::get(route).with("Range", format!("bytes={}-", facts.size.saturating_sub(1)));
    for turn in 1..=2 {
        match connection.ask(&ask).await {
            Err(error) if turn == 2 => {
                return Finding::warn(Check::KeepAlive, route, asked, model::error_chain(&error));
            }
            Err(error) => return failed(&error),
            Ok(_) => {}
        }
        loop {
            match connection.next().await {
                Ok(Some(_)) => {}
                Ok(None) => break,
                Err(error) => return failed(&error),
            }
        }
        if turn == 1 && !connection.is_reusable() {
            return Finding::warn(Check::KeepAlive, route, asked, "the connection ends after one answer");
        }
    }
    Finding::ok(Check::KeepAlive, route, asked, "both answered")
}

async fn old(scene: &Scene<'_>, facts: &Facts) -> Finding {
    let route = facts.route.as_str();
    let ask = Ask { http: Http::V10, ..Ask::get(route) };
    match scene.client.ask(&ask, Keep::Nothing).await {
        Err(error) => Finding::warn(Check::Http10, route, ask.shown(), model::error_chain(&error)),
        Ok(got) if got.head.status != 200 => {
            Finding::warn(Check::Http10, route, ask.shown(), got.head.status.to_string())
        }
        Ok(got) if got.head.is_chunked() => Finding::warn(Check::Http10, route, ask.shown(), "chunks"),
        Ok(got) if got.head.length() != Some(facts.size) => {
            Finding::warn(Check::Http10, route, ask.shown(), "another length, or none")
        }
        Ok(_) => Finding::ok(Check::Http10, route, ask.shown(), "200 with the length"),
    }
}

async fn doubled(scene: &Scene<'_>, facts: &Facts) -> Finding {
    let route = format!("/{}", facts.route);
    let ask = Ask::head(&route);
    match scene.client.ask(&ask, Keep::Nothing).await {
        Err(error) => Finding::warn(Check::DoubleSlash, &route, ask.shown(), model::error_chain(&error)),
        Ok(got) if got.head.status == 200 => Finding::ok(Check::DoubleSlash, &route, ask.shown(), "200"),
        Ok(got) => Finding::warn(Check::DoubleSlash, &route, ask.shown(), got.head.status.to_string()),
    }
}

fn date(scene: &Scene<'_>, facts: &Facts) -> Finding {
    let (route, asked) = (scene.client.place.authority.as_str(), "the answer's Date");
    let Some(text) = facts.head.field("date") else {
        return Finding::warn(Check::Date, route, asked, "no Date");
    };
    let Some(theirs) = parse_http_date(text) else {
        return Finding::warn(Check::Date, route, asked, format!("'{text}' is no date"));
    };
    let ours = scene.examination.clock.now();
    let apart = ours.since(theirs).max(theirs.since(ours));
    if apart > SKEW {
        let side = if theirs > ours { "ahead of" } else { "behind" };
        let came = format!("{text}: {} s {side} this machine", apart.as_secs());
        return Finding::warn(Check::Date, route, asked, came);
    }
    Finding::ok(Check::Date, route, asked, "within five minutes of this machine's clock")
}
