//! The table beside an obvious one, prompts that grow, and both sides of each choice.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::Nanos;

const SEED: Seed = Seed::new([0x1234, 0x5678, 0x9abc, 0xdef0]);

const fn at(second: u64) -> Nanos {
    Nanos(second * 1_000_000_000)
}

fn prompt_of(scope: &str, system: &str, talk: &[u8]) -> Prompt {
    let mut prompt = Prompt::new(&SEED, &[scope]);
    prompt.add_whole(system.as_bytes());
    prompt.add(talk);
    prompt
}

fn prompt(talk: &[u8]) -> Prompt {
    prompt_of("t", "", talk)
}

/// Bytes that do not repeat.
fn talk(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed * 2 + 1;
    let next = move |_| {
        state = fold(state ^ 0x9e37_79b9, 0x9e37_79b9_7f4a_7c15);
        state.to_le_bytes()[0]
    };
    (0..len).map(next).collect()
}

#[test]
fn anchors_lie_where_the_turn_before_had_them() {
    let whole = talk(7, 300_000);
    let all = prompt(&whole);
    let depths: Vec<u32> = all.anchors().iter().map(|anchor| anchor.depth).collect();
    assert_eq!(
        depths[..20],
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 20, 22, 24]
    );
    assert!(depths.iter().filter(|depth| **depth <= 64).count() <= 31, "{depths:?}");
    assert!(depths.windows(2).all(|pair| pair[1] - pair[0] <= (pair[0] / 8).max(1)));
    for len in [0, 100, 256, 5000, 70_000] {
        let part = prompt(&whole[..len]);
        assert_eq!(part.anchors(), &all.anchors()[..part.anchors().len()], "{len}");
    }
    assert_eq!((prompt(&whole[..255]).blocks(), prompt(&whole[..512]).blocks()), (0, 2));
}

#[test]
fn every_byte_and_the_scope_change_the_hash() {
    let text = talk(3, 700);
    let key = |prompt: &Prompt| prompt.anchors().last().map(|anchor| anchor.key);
    let whole = |text: &[u8]| {
        let mut prompt = Prompt::new(&SEED, &["t"]);
        prompt.add_whole(text);
        key(&prompt)
    };
    let known = whole(&text);
    for place in 0..text.len() {
        let mut other = text.clone();
        other[place] ^= 1;
        assert_ne!(whole(&other), known, "{place}");
    }
    assert_ne!(whole(&text[..699]), known);
    let scoped = |scope: &[&str]| {
        let mut prompt = Prompt::new(&SEED, scope);
        prompt.add_whole(&text);
        prompt.name("s");
        (key(&prompt), prompt.session())
    };
    assert_ne!(scoped(&["t"]).0, scoped(&["u"]).0);
    assert_ne!(scoped(&["t"]).1, scoped(&["u"]).1);
    assert_ne!(scoped(&["ab", "c"]), scoped(&["a", "bc"]));
    let other = Seed::new([1, 2, 3, 4]);
    let mut prompt = Prompt::new(&other, &["t"]);
    prompt.add_whole(&text);
    assert_ne!(key(&prompt), known, "the process's secret counts");
}

#[test]
fn a_conversation_is_found_where_its_last_turn_was() {
    let table = Table::new(1 << 20);
    let (one, two) = (Replica::of(1), Replica::of(2));
    let whole = talk(1, 40_000);
    table.note(&prompt(&whole[..10_000]), one, at(10));
    let next = prompt(&whole[..12_000]);
    let warm = table.look_up(&next, at(15)).of(one).unwrap();
    assert!((32..=39).contains(&warm.depth) && warm.age == 5, "{warm:?}");
    assert_eq!(table.look_up(&next, at(15)).of(two), None);
    assert_eq!(table.look_up(&prompt_of("other", "", &whole[..12_000]), at(15)).iter().count(), 0);

    table.note(&next, two, at(20));
    let warmth = table.look_up(&next, at(20));
    assert_eq!(warmth.iter().next().unwrap().replica, two, "the deepest first");
    assert!(warmth.of(one).unwrap().depth < warmth.of(two).unwrap().depth);

    table.forget(&next, two, 8);
    let warmth = table.look_up(&next, at(20));
    assert_eq!(warmth.of(two).unwrap().depth, 8);
    assert!(warmth.of(one).unwrap().depth >= 32, "the other one's are untouched");
}

#[test]
fn a_session_is_found_whatever_its_prompt_is() {
    let table = Table::new(1 << 20);
    let named = |session: &str, seed| {
        let mut prompt = prompt(&talk(seed, 5000));
        prompt.name(session);
        prompt
    };
    table.note(&named("s", 1), Replica::of(3), at(1));
    let warm = table.look_up(&named("s", 2), at(1)).of(Replica::of(3)).unwrap();
    assert_eq!(warm.depth, 19);
    assert_eq!(table.look_up(&named("t", 2), at(1)).iter().count(), 0);
    assert_eq!(table.look_up(&named("", 2), at(1)).iter().count(), 0);
}

#[test]
fn two_replicas_of_an_anchor_are_kept_and_the_oldest_anchors_go() {
    let table = Table::new(0);
    let short = |n: u64| prompt(&talk(n, 256));
    for replica in [1, 2, 3, 2] {
        table.note(&short(0), Replica::of(replica), at(replica));
    }
    let found: Vec<_> = table.look_up(&short(0), at(9)).iter().map(|warm| warm.replica).collect();
    assert_eq!(found, [Replica::of(2), Replica::of(3)]);
    for n in 1..=8 {
        table.note(&short(n), Replica::of(5), at(10 + n));
    }
    assert_eq!(table.look_up(&short(0), at(20)).iter().count(), 0, "it was the oldest of nine");
    assert!((1..=8).all(|n| table.look_up(&short(n), at(20)).iter().count() == 1));
}

#[test]
fn a_table_two_thirds_full_loses_next_to_nothing() {
    let table = Table::new(1 << 18);
    let prompts: Vec<Prompt> = (0..380).map(|n| prompt(&talk(n * 77, 16 * 1024))).collect();
    for (index, prompt) in prompts.iter().enumerate() {
        table.note(prompt, Replica::of(index as u64 % 7), at(index as u64));
    }
    let anchors: usize = prompts.iter().map(|prompt| prompt.anchors().len()).sum();
    assert!((10_000..12_000).contains(&anchors), "{anchors} of {}", (1 << 18) / 16);
    let found = |prompt: &&Prompt| {
        let warm = table.look_up(prompt, at(400)).iter().next();
        warm.is_some_and(|warm| warm.depth == prompt.anchors().last().unwrap().depth)
    };
    let count = prompts.iter().filter(found).count();
    assert!(count * 1000 >= prompts.len() * 990, "{count} of {}", prompts.len());
}

proptest! {
    #[test]
    fn the_table_says_what_an_obvious_one_says(
        steps in prop::collection::vec((0..6_u64, 0..9_usize, 0..4_u64, 0..3_u8, 0..20_u32), 1..60)
    ) {
        let table = Table::new(1 << 18);
        // By depth and text: the two latest replicas.
        let mut twin: HashMap<(u64, u32), Vec<Replica>> = HashMap::new();
        for (index, (text, blocks, replica, act, depth)) in steps.into_iter().enumerate() {
            let prompt = prompt(&talk(text, blocks * BLOCK_BYTES));
            let replica = Replica::of(replica);
            let now = at(index as u64);
            let depths = 1..=u32::try_from(blocks).unwrap();
            match act {
                0 => {
                    table.note(&prompt, replica, now);
                    for depth in depths {
                        let known = twin.entry((text, depth)).or_default();
                        known.retain(|own| *own != replica);
                        known.insert(0, replica);
                        known.truncate(2);
                    }
                }
                1 => {
                    table.forget(&prompt, replica, depth);
                    for deeper in depths.filter(|own| *own > depth) {
                        twin.entry((text, deeper)).or_default().retain(|own| *own != replica);
                    }
                }
                _ => {
                    let warmth = table.look_up(&prompt, now);
                    for replica in (0..4).map(Replica::of) {
                        let knows = |depth: &u32| {
                            twin.get(&(text, *depth)).is_some_and(|known| known.contains(&replica))
                        };
                        let expected = depths.clone().rev().find(knows);
                        prop_assert_eq!(warmth.of(replica).map(|warm| warm.depth), expected);
                    }
                }
            }
        }
    }
}

fn bid(cold: u32, pending: u64, in_flight: u64, name: u64) -> Bid {
    Bid { cold, pending, in_flight, name, is_open: true }
}

#[test]
fn the_warm_replica_is_taken_until_waiting_costs_more() {
    assert_eq!(choose(&[bid(40, 0, 0, 1), bid(5, 0, 1, 2)], 9), Some(1));
    assert_eq!(choose(&[bid(40, 0, 0, 1), bid(5, 60, 2, 2)], 9), Some(1), "the queue is short");
    assert_eq!(choose(&[bid(40, 0, 0, 1), bid(5, 200, 3, 2)], 9), Some(0), "the queue is long");
    // With a queue everywhere a prompt that is read twice costs everybody.
    assert_eq!(choose(&[bid(40, 10, 1, 1), bid(5, 200, 3, 2)], 9), Some(1));
}

#[test]
fn a_replica_with_more_than_its_share_is_passed_over() {
    let crowd = [bid(0, 0, 15, 1), bid(90, 0, 2, 2), bid(90, 0, 2, 3)];
    assert_ne!(choose(&crowd, 9), Some(0));
    let two = [bid(0, 0, 12, 1), bid(90, 0, 0, 2)];
    assert_eq!(choose(&two, 9), Some(1));
    let even = [bid(0, 0, 5, 1), bid(40, 0, 4, 2), bid(40, 0, 4, 3)];
    assert_eq!(choose(&even, 9), Some(0));
    let few = [bid(0, 0, 3, 1), bid(40, 0, 0, 2), bid(40, 0, 0, 3)];
    assert_eq!(choose(&few, 9), Some(0), "a few at a time are no crowd");
}

#[test]
fn cold_prompts_spread_and_the_same_one_stays() {
    let bids: Vec<Bid> = (1..=4).map(|name| bid(10, 0, 0, name * 1_000_003)).collect();
    let mut taken = [0; 4];
    for n in 0..4000 {
        let first = prompt(&talk(n * 31, 300)).first();
        let chosen = choose(&bids, first).unwrap();
        assert_eq!(choose(&bids, first), Some(chosen));
        taken[chosen] += 1;
    }
    assert!(taken.iter().all(|count| (800..1200).contains(count)), "{taken:?}");
}

#[test]
fn closed_replicas_are_not_taken() {
    let closed = Bid { is_open: false, ..bid(0, 0, 0, 1) };
    assert_eq!(choose(&[closed, bid(90, 900, 90, 2)], 9), Some(1));
    assert_eq!(choose(&[closed, closed], 9), None);
    assert_eq!(choose(&[], 9), None);
}

#[test]
fn a_replica_that_forgets_is_believed_for_a_shorter_time() {
    let load = Load::default();
    assert!(!load.learn(40, 600, 0), "one that never tells may not know how");
    assert!(load.keeps(3000));
    assert!(!load.learn(40, 600, 39));
    assert!(load.learn(40, 600, 0) && load.learn(40, 600, 10));
    for _ in 0..60 {
        load.learn(40, 600, 0);
    }
    assert!(load.keeps(600) && !load.keeps(700));
    for _ in 0..200 {
        load.learn(40, 500, 40);
    }
    assert!(load.keeps(900), "and for a longer one when it remembers");
    load.begin(7);
    assert_eq!((load.in_flight(), load.pending()), (1, 7));
    load.read(7);
    load.end();
    assert_eq!((load.in_flight(), load.pending()), (0, 0));
}
