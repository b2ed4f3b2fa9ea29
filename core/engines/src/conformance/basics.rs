//! Clauses that one caller alone can see.

use fieldbook_core::limits;
use fieldbook_core::store::{Batch, Direction, HEAD_KEY, Outcome, Range, Slot, jobs};

use super::{Open, commit, feed, get, put, refused, scan};

/// `get_many` and `read` answer in the order asked, absent and repeated keys included.
pub fn reads_come_in_lots(open: &Open<'_>) {
    let store = open();
    commit(&*store, vec![put("a", "1"), put("b", ""), put("c/1", "x"), put("c/2", "y")]);
    let values = store.get_many(&[b"b", b"nothing", b"a", b"b"]).expect("reads");
    let expected = [Some(b"".to_vec()), None, Some(b"1".to_vec()), Some(b"".to_vec())];
    assert_eq!(values, expected);
    assert!(store.get_many(&[]).expect("reads").is_empty());

    let ranges = [(Range::prefix(b"c/"), 9), (Range::prefix(b"z"), 9), (Range::prefix(b"c/"), 1)];
    let (values, pages) = store.read(&[b"a"], &ranges).expect("reads");
    assert_eq!(values, [Some(b"1".to_vec())]);
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [2, 0, 1]);
    assert_eq!(pages[0], scan(&*store, b"c/", Direction::Forward, 9));
}

/// A scan begins at either end of its range, keeps to it, and pages without loss.
pub fn scans_go_both_ways(open: &Open<'_>) {
    let store = open();
    let keys: Vec<Vec<u8>> = (0..100u8).map(|i| vec![b'k', i / 10, i % 10]).collect();
    commit(&*store, keys.iter().map(|k| put(k.clone(), k.clone())).collect());
    commit(&*store, vec![put("j", "before"), put("l", "behind"), feed(b"f/", b"")]);

    let forward = scan(&*store, b"k", Direction::Forward, 1_000);
    assert_eq!(forward.iter().map(|(k, _)| k.clone()).collect::<Vec<_>>(), keys);
    assert!(forward.iter().all(|(k, v)| k == v));
    let mut backward = scan(&*store, b"k", Direction::Backward, 1_000);
    backward.reverse();
    assert_eq!(backward, forward);
    assert_eq!(scan(&*store, b"k", Direction::Backward, 3)[2].0, keys[97]);
    assert!(scan(&*store, b"k", Direction::Forward, 0).is_empty());

    let (mut paged, mut range) = (Vec::new(), Range::prefix(b"k"));
    while let Some((last, _)) = {
        let page = store.scan(&range, Direction::Forward, 7).expect("scans");
        paged.extend(page.iter().cloned());
        page.last().cloned()
    } {
        range = Range::prefix_after(b"k", &last);
    }
    assert_eq!(paged, forward);

    let part = Range { from: keys[10].clone(), to: keys[20].clone() };
    assert_eq!(store.scan(&part, Direction::Forward, 99).expect("scans"), forward[10..20]);
    let mut part_backward = store.scan(&part, Direction::Backward, 99).expect("scans");
    part_backward.reverse();
    assert_eq!(part_backward, forward[10..20]);
    for nothing in
        [(b"b".to_vec(), b"a".to_vec()), (b"k".to_vec(), b"k".to_vec()), (b"x".to_vec(), Vec::new())]
    {
        let range = Range { from: nothing.0, to: nothing.1 };
        assert!(store.scan(&range, Direction::Forward, 9).expect("scans").is_empty(), "{range:?}");
        assert!(store.scan(&range, Direction::Backward, 9).expect("scans").is_empty(), "{range:?}");
    }
    // The whole store: every row of the callers, none of the engine's.
    for direction in [Direction::Forward, Direction::Backward] {
        assert_eq!(scan(&*store, b"", direction, 1_000).len(), 103);
    }
}

/// A page holds at most `SCAN_MAX_ROWS`, whatever was asked for.
pub fn scans_are_bounded_pages(open: &Open<'_>) {
    let store = open();
    let mut batch = Batch::new();
    for i in 0..limits::SCAN_MAX_ROWS as u32 + 10 {
        batch.put(i.to_be_bytes().to_vec(), Vec::new());
    }
    commit(&*store, vec![batch]);
    for direction in [Direction::Forward, Direction::Backward] {
        let rows = store.scan(&Range::prefix(b""), direction, usize::MAX).expect("scans");
        assert_eq!(rows.len(), limits::SCAN_MAX_ROWS);
    }
}

/// Keys are bytes and order as bytes, 0x00 and 0xff included, up to the longest.
pub fn keys_order_as_bytes(open: &Open<'_>) {
    let store = open();
    let longest = vec![0xff; limits::KEY_MAX_BYTES];
    let mut keys = vec![
        vec![0],
        vec![0, 0],
        vec![0, 0xff],
        vec![1],
        "病".as_bytes().to_vec(),
        vec![0xfe, 0xff],
        vec![0xff],
        vec![0xff, 0],
        vec![0xff, 0xff],
        longest,
    ];
    commit(&*store, keys.iter().rev().map(|k| put(k.clone(), k.clone())).collect());
    keys.sort();
    let rows = store.scan(&Range::prefix(b""), Direction::Forward, 99).expect("scans");
    assert_eq!(rows.iter().map(|(k, _)| k.clone()).collect::<Vec<_>>(), keys);
    assert_eq!(scan(&*store, &[0xff, 0xff], Direction::Forward, 99).len(), 2);
    assert_eq!(scan(&*store, &[0], Direction::Backward, 99).len(), 3);
}

/// Of two writes of one key in a batch the later wins; deleting what is absent is no error.
pub fn batches_are_atomic(open: &Open<'_>) {
    let store = open();
    let mut batch = Batch::new();
    batch.put("a", "1").put("a", "2").put("b", "1").delete("b").delete("c").put("c", "3").delete("nothing");
    assert_eq!(commit(&*store, vec![batch]), [Outcome::Done(None)]);
    assert_eq!(get(&*store, b"a"), Some(b"2".to_vec()));
    assert_eq!(get(&*store, b"b"), None);
    assert_eq!(get(&*store, b"c"), Some(b"3".to_vec()));
    assert!(commit(&*store, Vec::new()).is_empty());
    assert_eq!(commit(&*store, vec![Batch::new()]), [Outcome::Done(None)]);
}

/// One guard that fails stops its whole batch, and only it; the outcome names the first that failed.
pub fn guards_stop_the_whole_batch(open: &Open<'_>) {
    let store = open();
    commit(&*store, vec![put("a", "1"), put("empty", "")]);
    let guarded = |guards: &[(&str, Option<&str>)]| {
        let mut batch = feed(b"f/", b"");
        batch.put("written", "x").delete("a");
        for (key, expected) in guards {
            batch.guard(*key, expected.map(|v| v.as_bytes().to_vec()));
        }
        batch
    };
    type Expected<'a> = (&'a str, Option<&'a str>);
    let cases: [(&[Expected<'_>], usize); 5] = [
        (&[("a", Some("2"))], 0),
        (&[("a", None)], 0),
        (&[("a", Some("1")), ("b", Some("1"))], 1),
        (&[("a", Some("1")), ("empty", None)], 1),
        (&[("a", Some("")), ("b", Some(""))], 0),
    ];
    for (guards, first) in cases {
        assert_eq!(commit(&*store, vec![guarded(guards)]), [Outcome::Conflict(first)], "{guards:?}");
    }
    assert_eq!(get(&*store, b"written"), None);
    assert_eq!(get(&*store, b"a"), Some(b"1".to_vec()));
    assert_eq!(store.head().expect("reads"), 0, "a conflict takes no position");
    let held = guarded(&[("a", Some("1")), ("b", None), ("empty", Some(""))]);
    let around = vec![put("x", "1"), guarded(&[("a", None)]), held, put("y", "1")];
    let outcomes = [Outcome::Done(None), Outcome::Conflict(0), Outcome::Done(Some(1)), Outcome::Done(None)];
    assert_eq!(commit(&*store, around), outcomes);
    assert_eq!((get(&*store, b"x"), get(&*store, b"y")), (Some(b"1".to_vec()), Some(b"1".to_vec())));
    assert_eq!((get(&*store, b"a"), get(&*store, b"written")), (None, Some(b"x".to_vec())));
}

/// Guards of a batch see what the batches before it in the same commit wrote, positions included.
pub fn guards_see_the_batches_before(open: &Open<'_>) {
    let store = open();
    let step = |from: Option<&[u8]>, to: &[u8]| {
        let mut batch = put("k", to);
        batch.guard("k", from.map(<[u8]>::to_vec));
        batch
    };
    let mut gone = Batch::new();
    gone.guard("k", Some(b"2".to_vec())).delete("k");
    let mut numbered = feed(b"f/", b"");
    numbered.guard([&b"f/"[..], &1u64.to_be_bytes()].concat(), Some(1u64.to_be_bytes().to_vec()));
    let batches = vec![
        step(None, b"1"),
        step(None, b"lost"),
        step(Some(b"1"), b"2"),
        gone,
        step(None, b"3"),
        feed(b"f/", b""),
        numbered,
    ];
    let expected = [
        Outcome::Done(None),
        Outcome::Conflict(0),
        Outcome::Done(None),
        Outcome::Done(None),
        Outcome::Done(None),
        Outcome::Done(Some(1)),
        Outcome::Done(Some(2)),
    ];
    assert_eq!(commit(&*store, batches), expected);
    assert_eq!(get(&*store, b"k"), Some(b"3".to_vec()));
}

/// Positions grow by one over commits, conflicts and reopenings, and only batches with slots take one.
pub fn positions_are_contiguous_and_kept(open: &Open<'_>) {
    let mut next = 1;
    for _ in 0..4 {
        let store = open();
        assert_eq!(store.head().expect("reads"), next - 1);
        for group in 1..4u64 {
            let mut batches = vec![put("plain", "x")];
            batches.extend((0..group).map(|_| feed(b"f/", b"")));
            let mut conflict = feed(b"f/", b"");
            conflict.guard("plain", None);
            batches.insert(1, conflict);
            let outcomes = commit(&*store, batches);
            assert_eq!(outcomes[..2], [Outcome::Done(None), Outcome::Conflict(0)]);
            for outcome in &outcomes[2..] {
                assert_eq!(outcome.position(), Some(next));
                next += 1;
            }
        }
        assert_eq!(store.head().expect("reads"), next - 1);
        assert_eq!(get(&*store, HEAD_KEY), Some((next - 1).to_be_bytes().to_vec()));
        let rows = scan(&*store, b"f/", Direction::Forward, 999);
        let found: Vec<u64> = rows.iter().filter_map(|(_, v)| crate::be_u64(v)).collect();
        assert_eq!(found, (1..next).collect::<Vec<_>>());
    }
}

/// Every slot of a batch gets the one position of the batch, wherever it stands; plain writes are left alone.
pub fn slots_carry_the_position(open: &Open<'_>) {
    let store = open();
    commit(&*store, vec![feed(b"x", b""), feed(b"x", b"")]);
    let mut batch = Batch::new();
    batch
        .put_at(*b"k/--------/tail", Some(Slot(2)), *b"plain", None)
        .put_at(*b"v", None, *b"head --------", Some(Slot(5)))
        .put("untouched", *b"--------");
    assert_eq!(commit(&*store, vec![batch]), [Outcome::Done(Some(3))]);
    let key = [&b"k/"[..], &3u64.to_be_bytes(), b"/tail"].concat();
    assert_eq!(get(&*store, &key), Some(b"plain".to_vec()));
    assert_eq!(get(&*store, b"v"), Some([&b"head "[..], &3u64.to_be_bytes()].concat()));
    assert_eq!(get(&*store, b"untouched"), Some(b"--------".to_vec()));
}

/// What is out of bounds is refused before anything of the commit is written, and the store goes on.
pub fn bounds_are_refused_first(open: &Open<'_>) {
    let store = open();
    let slot = |key: &[u8], key_slot, value: &[u8], value_slot| {
        let mut batch = Batch::new();
        batch.put_at(key, key_slot, value, value_slot);
        batch
    };
    let mut delete_nothing = Batch::new();
    delete_nothing.delete("");
    let mut delete_long = Batch::new();
    delete_long.delete(vec![b'k'; limits::KEY_MAX_BYTES + 1]);
    let bad = [
        put("", "v"),
        put(vec![b'k'; limits::KEY_MAX_BYTES + 1], "v"),
        put("k", vec![0; limits::STORE_VALUE_MAX_BYTES + 1]),
        slot(b"1234567", Some(Slot(0)), b"", None),
        slot(b"12345678", Some(Slot(1)), b"", None),
        slot(b"k", None, b"1234567", Some(Slot(0))),
        slot(b"k", None, b"12345678", Some(Slot(usize::MAX))),
        delete_nothing,
        delete_long,
    ];
    for batch in bad {
        assert!(refused(store.commit(vec![put("good", "1"), batch, feed(b"f/", b"")])));
        assert_eq!((get(&*store, b"good"), store.head().expect("reads")), (None, 0));
    }
    assert_eq!(commit(&*store, vec![put("good", "1")]), [Outcome::Done(None)]);
}

/// Values of 0 bytes to the largest come back whole, are replaced and removed whole, and survive reopening.
pub fn large_values_survive(open: &Open<'_>) {
    let sizes = [0, 1, 4_095, 60_000, 65_536, 70_000, 300 << 10, limits::STORE_VALUE_MAX_BYTES];
    let value =
        |size: usize, seed: usize| (0..size).map(|i| (i * 31 + i / 251 + seed) as u8).collect::<Vec<u8>>();
    let key = |size: usize| format!("v/{size:010}").into_bytes();
    {
        let store = open();
        commit(&*store, sizes.iter().map(|&s| put(key(s), value(s, 1))).collect());
        // Replaced by another length each, the largest by nothing.
        commit(&*store, sizes.iter().map(|&s| put(key(s), value(s / 3, 2))).collect());
        commit(&*store, sizes.iter().rev().map(|&s| put(key(s), value(s, 3))).collect());
    }
    let store = open();
    for size in sizes {
        assert!(get(&*store, &key(size)) == Some(value(size, 3)), "{size} bytes");
    }
    let rows = scan(&*store, b"v/", Direction::Backward, 99);
    assert!(rows.iter().map(|(_, v)| v.len()).eq(sizes.iter().rev().copied()));
    let mut batch = Batch::new();
    batch.guard(key(300 << 10), Some(value(300 << 10, 3)));
    for size in sizes {
        batch.delete(key(size));
    }
    assert_eq!(commit(&*store, vec![batch]), [Outcome::Done(None)]);
    assert!(scan(&*store, b"", Direction::Forward, 99).is_empty());
}

/// What was committed is there after the handle was dropped, and so is what was removed not.
pub fn commits_survive_reopening(open: &Open<'_>) {
    for round in 0..5u8 {
        let store = open();
        for earlier in 0..round {
            assert_eq!(get(&*store, &[b'r', earlier]), (earlier + 1 != round).then(|| vec![earlier; 100]));
        }
        let mut batch = put([b'r', round], vec![round; 100]);
        if let Some(last) = round.checked_sub(1) {
            batch.delete([b'r', last]).put([b'r', last], vec![last; 100]);
        }
        commit(&*store, vec![batch]);
        let mut gone = Batch::new();
        gone.delete([b'r', round]);
        commit(&*store, vec![gone]);
    }
}

/// A job is held by one at a time, survives its holder and the process, and is finished once.
pub fn jobs_are_leased(open: &Open<'_>) {
    {
        let store = open();
        let mut batch = Batch::new();
        for i in 0..10u8 {
            jobs::enqueue(&mut batch, "timers", 100 + i64::from(i), &[i], b"ring");
        }
        commit(&*store, vec![batch]);
        assert_eq!(jobs::lease(&*store, "timers", 104, 50, 3).expect("leases").len(), 3);
    }
    let store = open();
    let rest = jobs::lease(&*store, "timers", 104, 50, 99).expect("leases");
    assert_eq!(rest.iter().map(|l| l.key[0]).collect::<Vec<_>>(), [3, 4]);
    let again = jobs::lease(&*store, "timers", 154, 50, 99).expect("leases");
    assert_eq!(again.len(), 10, "the holder died");
    let mut late = Batch::new();
    jobs::finish(&mut late, &rest[0]);
    assert_eq!(commit(&*store, vec![late]), [Outcome::Conflict(0)]);
    for lease in &again {
        let mut done = Batch::new();
        jobs::finish(&mut done, lease);
        assert_eq!(commit(&*store, vec![done]), [Outcome::Done(None)]);
    }
    assert!(jobs::lease(&*store, "timers", 999, 50, 99).expect("leases").is_empty());
}
