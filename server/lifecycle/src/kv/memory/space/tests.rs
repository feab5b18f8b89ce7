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

/// The SDK's fake space has a test that reads the same table.
#[test]
fn a_space_does_what_the_one_of_tests_does() {
    let space = Space::new(ROOMY);
    for line in include_str!("../../../../../../plugin-sdk/src/testing/kv.cases").lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (said, expected) = line.split_once(" = ").unwrap();
        let words: Vec<_> = said.split_whitespace().collect();
        assert_eq!(answer(&space, words[0].parse().unwrap(), &words[1..]), expected, "{line}");
    }
}

fn answer(space: &Space, now: u64, call: &[&str]) -> String {
    let number = |word: &str| (word != "-").then(|| word.parse().unwrap());
    let bucket = |capacity: &str, refill: &str| {
        Bucket::new(capacity.parse().unwrap(), refill.parse().unwrap()).unwrap()
    };
    let level = |taken: Taken| {
        let Taken { allowed, remaining, retry_after_ms, full_after_ms } = taken;
        format!("{allowed} {remaining} {retry_after_ms} {full_after_ms}")
    };
    match call {
        ["get", key] => {
            space.get(key, now).map_or("none".to_owned(), |value| String::from_utf8(value).unwrap())
        }
        ["put", key, value, ttl] => {
            space.put(key, value.as_bytes().to_vec(), number(ttl).map(i64::cast_unsigned), now).unwrap();
            "ok".to_owned()
        }
        ["delete", key] => {
            space.delete(key);
            "ok".to_owned()
        }
        ["increment", key, by, most, ttl] => {
            let ttl_ms = number(ttl).map(i64::cast_unsigned);
            let change = Change { by: by.parse().unwrap(), at_most: number(most), ttl_ms };
            let counted = space.increment(key, change, now).unwrap();
            format!("{} {}", counted.value, counted.added)
        }
        ["take", key, capacity, refill, amount] => {
            let (bucket, amount) = (bucket(capacity, refill), amount.parse().unwrap());
            level(space.bucket(key, |level| bucket.take(level, amount, now), now).unwrap())
        }
        ["adjust", key, capacity, refill, amount] => {
            let (bucket, amount) = (bucket(capacity, refill), amount.parse().unwrap());
            level(space.bucket(key, |level| bucket.adjust(level, amount, now), now).unwrap())
        }
        other => panic!("no call of a space: {other:?}"),
    }
}

#[test]
fn a_ttl_that_never_ends_is_none() {
    let space = Space::new(ROOMY);
    for ttl_ms in [None, Some(u64::MAX)] {
        space.put("a", b"one".to_vec(), ttl_ms, 5).unwrap();
        assert_eq!(space.get("a", u64::MAX - 1).as_deref(), Some(&b"one"[..]));
    }
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
