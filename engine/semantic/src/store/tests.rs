//! What a store keeps, gives and gives up.

use super::*;

const SETTINGS: Settings = Settings { error: 0.05, compare: 0.0, similarity_min: 0.0 };
const NEVER: [f64; 2] = [1.0, 1.0];
const ALWAYS: [f64; 2] = [0.0, 1.0];

fn entry(text: &str, answer: u8) -> Entry {
    Entry {
        profile: Profile::of(text).unwrap(),
        text: text.into(),
        vector: None,
        answer: [answer; 32],
        since_ms: 0,
        expires_ms: 1_000,
        seen: learn::Seen::default(),
    }
}

fn partition(of: u8) -> Partition {
    Partition([of; 32])
}

fn ask(store: &mut Store, of: u8, text: &str, chance: [f64; 2], now_ms: u64) -> Decision {
    let profile = Profile::of(text).unwrap();
    let Some(bare) = store.candidates(partition(of), &profile, now_ms) else {
        return Decision::Miss;
    };
    for Bare { entry, text } in bare {
        store.give_vector(entry, Vector::lexical(&text).unwrap());
    }
    let asked =
        Asked { partition: partition(of), profile: &profile, workload: "faq", settings: SETTINGS };
    store.decide(&asked, &Vector::lexical(text).unwrap(), chance, now_ms)
}

const ONE: &str = "How do I reset my password?";
const OTHER: &str = "Hello, can you tell me how to reset the password, please?";

#[test]
fn what_is_asked_in_other_words_is_explored_and_then_given() {
    let mut store = Store::new(1 << 20);
    let id = store.insert(partition(1), entry(ONE, 7)).unwrap();
    assert!(
        matches!(ask(&mut store, 1, OTHER, ALWAYS, 10), Decision::Explore(found) if found.entry == id)
    );
    for _ in 0..40 {
        store.learn(id, 0.6, true);
    }
    let Decision::Hit { found, compare: false } = ask(&mut store, 1, OTHER, ALWAYS, 10) else {
        unreachable!("forty right answers are enough at 5 %")
    };
    assert_eq!((found.answer, found.age_ms), ([7; 32], 10));
    assert!(matches!(ask(&mut store, 1, OTHER, NEVER, 10), Decision::Explore(_)));
}

#[test]
fn another_partition_finds_nothing() {
    let mut store = Store::new(1 << 20);
    store.insert(partition(1), entry(ONE, 7));
    for of in (0..=255).filter(|of| *of != 1) {
        assert_eq!(ask(&mut store, of, OTHER, ALWAYS, 10), Decision::Miss);
        assert_eq!(ask(&mut store, of, ONE, ALWAYS, 10), Decision::Miss);
    }
}

#[test]
fn what_is_too_old_is_gone() {
    let mut store = Store::new(1 << 20);
    store.insert(partition(1), entry(ONE, 7));
    assert!(matches!(ask(&mut store, 1, OTHER, ALWAYS, 999), Decision::Explore(_)));
    assert_eq!(ask(&mut store, 1, OTHER, ALWAYS, 1_000), Decision::Miss);
    assert_eq!(store.size(), (0, 0));
}

#[test]
fn a_workload_whose_hits_are_wrong_is_put_off_alone() {
    let mut store = Store::new(1 << 20);
    let id = store.insert(partition(1), entry(ONE, 7)).unwrap();
    let put_off = (0..10).any(|_| store.compare("faq", id, 0.9, false, 0.05));
    assert!(put_off);
    assert_eq!(ask(&mut store, 1, OTHER, ALWAYS, 10), Decision::Off);
    assert!(!store.standing("other").is_off);
    store.forget_all();
    assert!(store.standing("faq").is_off && store.size() == (0, 0));
    store.insert(partition(1), entry(ONE, 7));
    store.reset("faq");
    assert!(matches!(ask(&mut store, 1, OTHER, ALWAYS, 10), Decision::Explore(_)));
}

#[test]
fn bytes_are_bounded_and_what_is_used_stays() {
    let mut store = Store::new(20_000);
    let kept = store.insert(partition(1), entry(ONE, 7)).unwrap();
    for n in 0..500_u32 {
        store.insert(partition(1), entry(&format!("What is entry{n} about?"), 1));
        store.learn(kept, 0.9, true);
        assert!(store.size().1 <= 20_000, "{:?}", store.size());
    }
    assert!(store.seen(kept).is_some());
    assert!(store.places.len() <= store.size().0);
    let huge = Entry { text: "x".repeat(30_000).into(), ..entry(ONE, 1) };
    assert_eq!(store.insert(partition(2), huge), None);
}

#[test]
fn a_name_of_what_was_given_up_is_nobodys() {
    let mut store = Store::new(1 << 20);
    let first = store.insert(partition(1), entry(ONE, 7)).unwrap();
    store.forget(first);
    store.forget(first);
    let second = store.insert(partition(1), entry(ONE, 8)).unwrap();
    assert_ne!(first, second);
    store.learn(first, 0.9, true);
    assert_eq!(store.seen(second).map(learn::Seen::count), Some(0));
}

#[test]
fn one_plain_form_has_few_entries() {
    let mut store = Store::new(1 << 20);
    for n in 0..100 {
        store.insert(partition(1), entry(ONE, n));
    }
    assert_eq!(store.size().0, CANDIDATES_MAX);
}
