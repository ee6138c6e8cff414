//! The body of an answer within its limits, the same for the network and for a script.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use model::{Exchange, Reason};
use tokio::time::{Instant, timeout_at};
use url::Url;

use crate::failure::Failure;
use crate::meter::{LeastRate, Limiter};
use crate::{Body, Limits, OutboundError};

/// Chunks as they come, without limits.
#[async_trait]
pub(crate) trait Chunks: Send {
    /// The next bytes; none at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, Failure>;
}

/// Nothing.
pub(crate) struct NoChunks;

#[async_trait]
impl Chunks for NoChunks {
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        Ok(None)
    }
}

/// A body that keeps to the limits of its attempt.
pub(crate) struct Transfer {
    state: State,
    left: Option<u64>,
    pause: Duration,
    rate: LeastRate,
    deadline: Instant,
    limiter: Option<Arc<Limiter>>,
    url: Url,
    exchange: Exchange,
}

enum State {
    Running(Box<dyn Chunks>),
    Done,
    /// Stays: whoever asks again must not take the silence for the end.
    Failed(Failure),
}

/// Where a body came from, for its errors.
pub(crate) struct Origin {
    pub(crate) url: Url,
    pub(crate) exchange: Exchange,
}

impl Transfer {
    /// `length` is the announced length, `deadline` that of the whole attempt.
    pub(crate) fn new(
        chunks: Box<dyn Chunks>,
        length: Option<u64>,
        origin: Origin,
        limits: &Limits,
        deadline: Instant,
    ) -> Self {
        Self {
            state: State::Running(chunks),
            left: length,
            pause: limits.pause,
            rate: LeastRate::new(limits.minimum_rate),
            deadline,
            limiter: None,
            url: origin.url,
            exchange: origin.exchange,
        }
    }

    /// Shares a limit of rate with other transfers.
    pub(crate) fn limited(mut self, limiter: Option<Arc<Limiter>>) -> Self {
        self.limiter = limiter;
        self
    }

    async fn step(&mut self) -> Result<Option<Bytes>, Failure> {
        let chunks = match &mut self.state {
            State::Running(chunks) => chunks,
            State::Done => return Ok(None),
            State::Failed(failure) => return Err(failure.clone()),
        };
        let began = Instant::now();
        if began >= self.deadline {
            return Err(late());
        }
        let (until, failure) = first_end(began, self.pause, &self.rate, self.deadline);
        let next = timeout_at(until, chunks.next()).await.map_err(|_| failure)??;
        let Some(bytes) = next else { return self.end() };
        let count = bytes.len() as u64;
        self.rate.arrived(began.elapsed(), count);
        if let Some(left) = &mut self.left {
            *left = left
                .checked_sub(count)
                .ok_or_else(|| Failure::new(Reason::BadResponse, "the body is longer than its announced length"))?;
        }
        if let Some(limiter) = &self.limiter {
            let passed = limiter.book(Instant::now(), count);
            timeout_at(self.deadline, tokio::time::sleep_until(passed)).await.map_err(|_| late())?;
        }
        Ok(Some(bytes))
    }

    fn end(&mut self) -> Result<Option<Bytes>, Failure> {
        match self.left {
            Some(left) if left > 0 => {
                Err(Failure::new(Reason::ShortBody, format!("the body ended {left} bytes before its announced length")))
            }
            _ => {
                self.state = State::Done;
                Ok(None)
            }
        }
    }
}

fn late() -> Failure {
    Failure::new(Reason::Deadline, "the transfer was still running at its deadline")
}

/// The limit that is reached first if nothing comes.
fn first_end(now: Instant, pause: Duration, rate: &LeastRate, deadline: Instant) -> (Instant, Failure) {
    // A pause too long to add is none.
    let far = deadline;
    let pause_end = now.checked_add(pause).unwrap_or(far);
    let starved = rate.patience().and_then(|patience| now.checked_add(patience)).unwrap_or(far);
    if deadline <= pause_end.min(starved) {
        return (deadline, late());
    }
    if starved < pause_end {
        return (starved, Failure::new(Reason::Stalled, "the transfer fell below the minimum rate"));
    }
    (pause_end, Failure::new(Reason::Stalled, format!("nothing came for {pause:?}")))
}

#[async_trait]
impl Body for Transfer {
    async fn chunk(&mut self) -> Result<Option<Bytes>, OutboundError> {
        loop {
            match self.step().await {
                Ok(Some(bytes)) if bytes.is_empty() => {}
                Ok(next) => return Ok(next),
                Err(failure) => {
                    self.state = State::Failed(failure.clone());
                    return Err(failure.on(&self.url, Some(self.exchange.clone())));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
