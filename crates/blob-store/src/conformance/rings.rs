//! What every [`RingStore`] does.

use model::{Digest, Generation, RingName, Timestamp};

use crate::{RingStore, StoreError};

/// Runs the suite. `open` opens the same store anew each time, as another process would; it is empty at first.
pub async fn rings(open: &(dyn Fn() -> Box<dyn RingStore> + Sync)) {
    nothing_at_first(&*open()).await;
    preparing_moves_nothing(open).await;
    publishes_in_turn(open).await;
    leftovers_give_way_and_what_is_served_does_not(&*open()).await;
    one_of_many_wins(open).await;
    removes_what_is_not_served(&*open()).await;
    confirms_what_stands(&*open()).await;
}

fn ring(name: &str) -> RingName {
    name.parse().unwrap()
}

/// An empty generation; `at` tells two of one number apart.
fn generation(name: &str, number: u64, at: i64) -> Generation {
    let mut made = Generation::empty(ring(name), Timestamp::from_micros(at));
    made.number = number;
    made
}

async fn served(store: &dyn RingStore, name: &str) -> Option<(u64, Digest)> {
    store.current(&ring(name)).await.unwrap().map(|current| (current.generation.number, current.digest))
}

fn conflicts<T: std::fmt::Debug>(result: Result<T, StoreError>, at: u64) {
    match result {
        Err(StoreError::Conflict { found, .. }) => assert_eq!(found, at),
        other => panic!("{other:?}"),
    }
}

async fn nothing_at_first(store: &dyn RingStore) {
    assert_eq!(store.current(&ring("new")).await.unwrap(), None);
    assert_eq!(store.generation(&ring("new"), 1).await.unwrap(), None);
    assert!(store.numbers(&ring("new")).await.unwrap().is_empty());
    store.remove(&ring("new"), 1).await.unwrap();
}

async fn preparing_moves_nothing(open: &(dyn Fn() -> Box<dyn RingStore> + Sync)) {
    let first = generation("prepare", 1, 0);
    let digest = open().prepare(&first).await.unwrap();
    assert_eq!(digest, Digest::of(&first.encode()));
    assert_eq!(open().prepare(&first).await.unwrap(), digest, "twice is fine");
    open().publish(&first, None).await.unwrap();
    open().prepare(&generation("prepare", 2, 0)).await.unwrap();
    assert_eq!(served(&*open(), "prepare").await, Some((1, digest)));
    assert_eq!(open().numbers(&ring("prepare")).await.unwrap(), [1, 2]);
}

async fn publishes_in_turn(open: &(dyn Fn() -> Box<dyn RingStore> + Sync)) {
    let store = open();
    let mut expected = None;
    for number in 1..=12 {
        let next = generation("turn", number, 7);
        if number % 2 == 0 {
            store.prepare(&next).await.unwrap();
        }
        let done = store.publish(&next, expected).await.unwrap();
        assert_eq!((done.number, done.digest), (number, Digest::of(&next.encode())));
        assert_eq!(served(&*open(), "turn").await, Some((number, done.digest)));
        conflicts(store.publish(&generation("turn", number + 1, 7), expected).await, number);
        expected = Some(done.digest);
    }
    conflicts(store.publish(&generation("turn", 13, 7), None).await, 12);
    conflicts(store.publish(&generation("turn", 12, 8), expected).await, 12);
    conflicts(store.publish(&generation("turn", 3, 7), expected).await, 12);
    assert_eq!(served(&*open(), "turn").await.map(|(_, digest)| digest), expected);
    assert_eq!(open().numbers(&ring("turn")).await.unwrap(), (1..=12).collect::<Vec<_>>(), "in order of number");
    let third = open().generation(&ring("turn"), 3).await.unwrap();
    assert_eq!(third, Some(generation("turn", 3, 7)));
    assert_eq!(served(&*open(), "other").await, None, "rings do not touch each other");
}

async fn leftovers_give_way_and_what_is_served_does_not(store: &dyn RingStore) {
    let first = store.publish(&generation("left", 1, 0), None).await.unwrap();
    conflicts(store.prepare(&generation("left", 1, 9)).await, 1);
    store.prepare(&generation("left", 2, 0)).await.unwrap();
    let other = store.prepare(&generation("left", 2, 9)).await.unwrap();
    let done = store.publish(&generation("left", 2, 9), Some(first.digest)).await.unwrap();
    assert_eq!(done.digest, other);
    assert_eq!(store.generation(&ring("left"), 2).await.unwrap(), Some(generation("left", 2, 9)));
}

async fn one_of_many_wins(open: &(dyn Fn() -> Box<dyn RingStore> + Sync)) {
    let first = open().publish(&generation("race", 1, 0), None).await.unwrap();
    let tasks: Vec<_> = (0..16)
        .map(|at| {
            let store = open();
            tokio::spawn(async move { store.publish(&generation("race", 2, at), Some(first.digest)).await })
        })
        .collect();
    let mut winners = Vec::new();
    for task in tasks {
        match task.await.unwrap() {
            Ok(done) => winners.push((done.number, done.digest)),
            lost => conflicts(lost, 2),
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(served(&*open(), "race").await, winners.pop());
}

async fn removes_what_is_not_served(store: &dyn RingStore) {
    let first = store.publish(&generation("gone", 1, 0), None).await.unwrap();
    let second = store.publish(&generation("gone", 2, 0), Some(first.digest)).await.unwrap();
    assert!(store.remove(&ring("gone"), 2).await.is_err());
    for _ in 0..2 {
        store.remove(&ring("gone"), 1).await.unwrap();
    }
    assert_eq!(store.numbers(&ring("gone")).await.unwrap(), [2]);
    assert_eq!(served(store, "gone").await, Some((2, second.digest)));
}

async fn confirms_what_stands(store: &dyn RingStore) {
    let name = ring("confirm");
    let made = generation("confirm", 1, 0);
    let digest = Digest::of(&made.encode());
    assert!(!store.confirm(&name, digest).await.unwrap(), "there is nothing yet");
    store.publish(&made, None).await.unwrap();
    assert!(store.confirm(&name, digest).await.unwrap());
    assert!(!store.confirm(&name, Digest::of(b"another")).await.unwrap());
    assert_eq!(served(store, "confirm").await, Some((1, digest)));
    assert_eq!(store.numbers(&name).await.unwrap(), [1]);
}
