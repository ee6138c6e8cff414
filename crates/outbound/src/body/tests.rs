//! Limits of bodies, on a clock that the tests move.

#![allow(clippy::unwrap_used)]

use model::{Timestamp, TlsAnchor};

use super::*;

/// The same chunk again and again, each after the same wait, as often as said.
struct Steady {
    wait: Duration,
    chunk: Bytes,
    times: usize,
}

#[async_trait]
impl Chunks for Steady {
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        if self.times == 0 {
            return Ok(None);
        }
        tokio::time::sleep(self.wait).await;
        self.times -= 1;
        Ok(Some(self.chunk.clone()))
    }
}

fn transfer(wait: u64, size: usize, times: usize, limits: &Limits) -> Transfer {
    let exchange = Exchange {
        urls: Vec::new(),
        status: 200,
        anchor: TlsAnchor::None,
        proxy: None,
        headers: Vec::new(),
        at: Timestamp::from_micros(0),
    };
    let origin = Origin { url: Url::parse("http://a.test/").unwrap(), exchange };
    let chunks = Box::new(Steady { wait: Duration::from_secs(wait), chunk: vec![0; size].into(), times });
    Transfer::new(chunks, None, origin, limits, Instant::now() + limits.total)
}

async fn drain(mut transfer: Transfer) -> Result<u64, Reason> {
    let mut sum = 0;
    loop {
        match transfer.chunk().await {
            Ok(Some(bytes)) => sum += bytes.len() as u64,
            Ok(None) => return Ok(sum),
            Err(error) => return Err(error.reason),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_drip_is_stalled_after_half_a_minute_u24() {
    let began = Instant::now();
    assert_eq!(drain(transfer(10, 1, 1_000_000, &Limits::default())).await, Err(Reason::Stalled));
    assert_eq!(began.elapsed(), Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_slow_line_above_the_least_rate_ends_u58() {
    assert_eq!(drain(transfer(10, 10 * 1024, 1000, &Limits::default())).await, Ok(1000 * 10 * 1024));
    let any = Limits { minimum_rate: 0, ..Limits::default() };
    assert_eq!(drain(transfer(59, 1, 100, &any)).await, Ok(100));
}

#[tokio::test(start_paused = true)]
async fn a_pause_and_the_deadline_have_their_own_ends_u24_u25() {
    let any = Limits { minimum_rate: 0, ..Limits::default() };
    let began = Instant::now();
    assert_eq!(drain(transfer(61, 1, 1, &any)).await, Err(Reason::Stalled));
    assert_eq!(began.elapsed(), Duration::from_secs(60));
    assert_eq!(drain(transfer(1, 1 << 20, usize::MAX, &Limits::default())).await, Err(Reason::Deadline));
    assert_eq!(began.elapsed(), Duration::from_secs(60 + 6 * 3600));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_its_time_is_not_stalled() {
    let mut slow = transfer(1, 4096, 100, &Limits::default());
    while slow.chunk().await.unwrap().is_some() {
        tokio::time::sleep(Duration::from_secs(120)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn transfers_share_one_rate() {
    let limiter = Some(Arc::new(Limiter::new(1000)));
    let began = Instant::now();
    let limits = Limits::default();
    let both = tokio::join!(
        drain(transfer(0, 1000, 30, &limits).limited(limiter.clone())),
        drain(transfer(0, 1000, 30, &limits).limited(limiter)),
    );
    assert_eq!(both, (Ok(30_000), Ok(30_000)));
    let took = began.elapsed();
    assert!(took > Duration::from_secs(59) && took <= Duration::from_secs(61), "{took:?}");
}
