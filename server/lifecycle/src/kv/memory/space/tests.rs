use std::sync::atomic::Ordering::Relaxed;

use super::{OVERHEAD, Quota, Space};
use crate::kv::{Bucket, Change, Error, Taken};

const ROOMY: Quota = Quota { entries: 1000, bytes: 1 << 20 };

fn held(space: &Space) -> (usize, usize) {
    (space.held.entries.load(Relaxed), space.held.bytes.load(Relaxed))
}

fn add(space: &Space, key: &str, by: i64, ttl_ms: Option<u64>, now: u64) -> i64 {
    space.increment(key, Change { by, at_most: None, ttl_ms }, now).unwrap().value
}

fn take(space: &Space, key: &str, amount: u64, now: u64) -> Result<Taken, Error> {
    let bucket = Bucket::new(10, 1.0).unwrap();
    space.bucket(key, |level| bucket.take(level, amount, now), now)
}

#[test]
fn values_live_as_long_as_their_ttl() {
    let space = Space::new(ROOMY);
    assert_eq!(space.get("a", 0), None);
    space.put("a", b"one".to_vec(), Some(100), 0).unwrap();
    space.put("b", b"two".to_vec(), None, 0).unwrap();
    assert_eq!(space.get("a", 99).as_deref(), Some(&b"one"[..]));
    assert_eq!(space.get("a", 100), None);
    assert_eq!(space.get("b", u64::MAX - 1).as_deref(), Some(&b"two"[..]));
    space.put("b", b"three".to_vec(), Some(u64::MAX), 5).unwrap();
    assert_eq!(space.get("b", u64::MAX - 1).as_deref(), Some(&b"three"[..]));
    space.put("b", b"gone".to_vec(), Some(0), 5).unwrap();
    assert_eq!(space.get("b", 5), None);
}

#[test]
fn counters_count_and_expire() {
    let space = Space::new(ROOMY);
    assert_eq!(add(&space, "a", 2, Some(100), 0), 2);
    assert_eq!(add(&space, "a", 3, Some(100), 50), 5);
    assert_eq!(add(&space, "a", 0, Some(1), 60), 5, "adding nothing does not change the TTL");
    assert_eq!(add(&space, "a", 1, Some(100), 149), 6);
    assert_eq!(add(&space, "a", 1, Some(100), 249), 1, "it expired and starts at 0");
    assert_eq!(add(&space, "a", -9, None, 250), 0);
    assert_eq!(held(&space), (0, 0), "a counter at 0 is not kept");
    assert_eq!(add(&space, "b", 0, None, 0), 0);
    assert_eq!(held(&space), (0, 0));
}

#[test]
fn full_buckets_are_forgotten() {
    let space = Space::new(ROOMY);
    assert!(take(&space, "a", 0, 0).unwrap().allowed);
    assert_eq!(held(&space).0, 0, "who only looks leaves nothing");
    assert_eq!(take(&space, "a", 4, 0).unwrap().remaining, 6);
    assert_eq!(held(&space).0, 1);
    assert_eq!(take(&space, "a", 0, 3999).unwrap().remaining, 9);
    space.sweep(3999);
    assert_eq!(held(&space).0, 1);
    space.sweep(4000);
    assert_eq!(held(&space), (0, 0));
    assert_eq!(take(&space, "a", 10, 4000).unwrap().remaining, 0);
}

#[test]
fn the_kinds_are_apart_and_go_together() {
    let space = Space::new(ROOMY);
    space.put("a", b"x".to_vec(), None, 0).unwrap();
    assert_eq!(add(&space, "a", 1, None, 0), 1);
    assert_eq!(take(&space, "a", 1, 0).unwrap().remaining, 9);
    assert_eq!(space.get("a", 0).as_deref(), Some(&b"x"[..]));
    assert_eq!(held(&space).0, 3);
    space.delete("a");
    assert_eq!(held(&space), (0, 0));
    space.delete("a");
    assert_eq!(held(&space), (0, 0));
}

#[test]
fn the_quota_holds_for_entries_and_bytes() {
    let space = Space::new(Quota { entries: 2, bytes: 1000 });
    space.put("a", vec![0; 700], None, 0).unwrap();
    assert_eq!(held(&space), (1, 701 + OVERHEAD));
    assert_eq!(space.put("b", vec![0; 700], None, 0), Err(Error::Quota), "too many bytes");
    assert_eq!(held(&space), (1, 701 + OVERHEAD), "what was refused is not held");
    assert_eq!(space.put("a", vec![0; 999], None, 0), Err(Error::Quota));
    assert_eq!(space.get("a", 0).map(|value| value.len()), Some(700), "what was there stays");
    space.put("a", vec![0; 10], None, 0).unwrap();
    assert_eq!(held(&space), (1, 11 + OVERHEAD), "a shorter value gives bytes back");
    assert_eq!(add(&space, "b", 1, None, 0), 1);
    let change = Change { by: 1, at_most: None, ttl_ms: None };
    assert_eq!(space.increment("c", change, 0), Err(Error::Quota), "too many entries");
    assert_eq!(take(&space, "c", 1, 0), Err(Error::Quota));
    assert!(take(&space, "c", 0, 0).is_ok(), "looking needs no room");
}

#[test]
fn a_full_space_throws_out_what_has_expired() {
    let space = Space::new(Quota { entries: 100, bytes: 1 << 20 });
    for index in 0..100 {
        space.put(&format!("key {index}"), Vec::new(), Some(500), 0).unwrap();
    }
    assert_eq!(space.put("new", Vec::new(), None, 499), Err(Error::Quota));
    assert_eq!(space.put("new", Vec::new(), None, 600), Err(Error::Quota), "it was searched just now");
    space.put("new", Vec::new(), None, 1499).unwrap();
    assert_eq!(held(&space).0, 1);
}

#[test]
fn additions_from_many_threads_add_up() {
    let space = Space::new(ROOMY);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for turn in 0..1000 {
                    add(&space, &format!("key {}", turn % 7), 1, None, 0);
                }
            });
        }
    });
    let total: i64 = (0..7).map(|key| add(&space, &format!("key {key}"), 0, None, 0)).sum();
    assert_eq!(total, 4000);
}
