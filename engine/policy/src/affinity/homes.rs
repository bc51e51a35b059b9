//! Where conversations have been answered, and what has been learned of the targets' caches and of conversations.
//!
//! In: prompts, which target has answered them, what its answer says it read from a cache. Out: how much of a prompt each target
//! is warm for and with what odds, and how many turns are likely to follow. Remembered: a [`Table`] of prompts and targets;
//! for each target hits and tries by the age of what was cached, for each model how often a turn was followed by another
//! one. All cores share it. All words are relaxed: each is right by itself, and an estimate may miss one.

use super::{
    Prompt, Replica, Table, Warm, Warmth,
    worth::{ONE, Rates, Side},
};
use crate::{
    Nanos,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// Ages and lengths are told apart by so many bins, two for each doubling.
const BINS: usize = 32;

/// Turns of a conversation that are told apart; later ones are alike.
const TURNS: usize = 32;

/// Lengths of prompts that are told apart when turns are counted, in blocks: 2, 8 and 32 thousand tokens or so.
const LENGTHS: [u32; 3] = [32, 128, 512];

/// Turns by length and number.
type Cells = [[AtomicU64; TURNS]; LENGTHS.len() + 1];

/// Targets that are told apart; others share what is learned.
const TARGETS: usize = 512;

/// Models that are told apart.
const FLOWS: usize = 128;

/// What is known beforehand counts as so many tries.
const BEFORE: u64 = 4;

/// What is known of a cache beforehand counts as so many tries, for each bin of ages.
const CACHE_BEFORE: u64 = 1;

/// Counts are halved when one has come so far, so that what is learned can change.
const COUNT_MAX: u64 = 1024;

/// Turns to come that are counted at most.
const TURNS_MAX: u64 = 100;

/// Seconds between two turns, where nothing is known.
const GAP_SECONDS: u32 = 30;

/// How many tokens a body makes is learned from bodies that make so many.
const RAW_TOKENS_LEAST: u64 = 256;

/// Tokens of an answer, where nothing is known.
const OUTPUT_TOKENS: u64 = 200;

/// How long a delay counts that nobody has seen again, in seconds.
const DELAY_SECONDS: u64 = 300;

/// What a provider says of its cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keeps {
    /// What is cached is kept for so many seconds after it was used last.
    pub seconds: u32,
    /// Shorter prompts are not cached.
    pub tokens_min: u64,
}

/// Where conversations have been answered.
#[derive(Debug)]
pub struct Homes {
    table: Table,
    targets: Box<[Known]>,
    flows: Box<[Flow]>,
    /// Tokens for one that bytes alone make, over all targets: what one is taken for that has told nothing.
    scale: AtomicU64,
}

/// What a target asks for, and what is known of its cache beforehand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The target.
    pub target: Replica,
    /// What its provider says of its cache.
    pub keeps: Keeps,
    /// Input that is not cached, in pico-dollars a token.
    pub input: u64,
    /// Input that is written to the cache.
    pub write: u64,
    /// Whether what is read anew is written to it, as far as is known beforehand.
    pub writes: bool,
    /// Input from the cache.
    pub cached: u64,
    /// Output.
    pub output: u64,
}

/// What is known of a prompt.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    warmth: Warmth,
    /// Where the turn before was answered, and how much of the prompt it was.
    last: Option<Warm>,
    /// Which turn of its conversation it is, the first one being 0.
    turn: u16,
    blocks: u32,
}

/// What was believed of the target that a prompt has gone to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Belief {
    /// Tokens of the prompt, by its bytes alone.
    pub raw_tokens: u64,
    /// The part of the prompt that it has read, in millionths.
    pub warm: u64,
    /// Seconds since it has.
    pub age: u32,
}

#[derive(Debug)]
struct Known {
    /// Thousandths of what was believed.
    hits: [AtomicU64; BINS],
    /// The same: 1000 for each.
    tries: [AtomicU64; BINS],
    /// Tokens for one that bytes alone make, in millionths; zero: nothing is known.
    scale: AtomicU64,
    /// The part of what was not cached that was written to the cache, in millionths and one more; zero: nothing is known.
    writes: AtomicU64,
    /// Microseconds in the upper half, when it was seen, in seconds, in the lower.
    delay: AtomicU64,
}

#[derive(Debug)]
struct Flow {
    /// Turns.
    turns: Cells,
    /// Those that another one has followed.
    followed: Cells,
    /// How long after, by age.
    gaps: [AtomicU64; BINS],
    /// Tokens of answers.
    output: AtomicU64,
}

impl Homes {
    /// Nothing is known yet. The table has about so many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let known = || Known {
            hits: words(),
            tries: words(),
            scale: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            delay: AtomicU64::new(0),
        };
        let flow =
            || Flow { turns: cells(), followed: cells(), gaps: words(), output: AtomicU64::new(0) };
        Self {
            table: Table::new(bytes),
            targets: (0..TARGETS).map(|_| known()).collect(),
            flows: (0..FLOWS).map(|_| flow()).collect(),
            scale: AtomicU64::new(0),
        }
    }

    /// What is known of a prompt.
    #[must_use]
    pub fn see(&self, prompt: &Prompt, now: Nanos) -> Seen {
        let (warmth, last) = self.table.recall(prompt, now);
        let turn = last.map_or(0, |last| last.turn.saturating_add(1));
        Seen { warmth, last: last.map(|last| last.warm), turn, blocks: prompt.blocks() }
    }

    /// A turn of a conversation of `model` has come.
    pub fn came(&self, model: &str, seen: &Seen) {
        let flow = self.flow(model);
        if let Some(last) = seen.last {
            let (length, turn) = cell(last.depth, seen.turn.saturating_sub(1));
            bump(&flow.followed[length][turn], 1);
            count(&flow.gaps, bin(last.age), 1, COUNT_MAX);
        }
        let (length, turn) = cell(seen.blocks, seen.turn);
        if bump(&flow.turns[length][turn], 1) >= COUNT_MAX {
            halve(&flow.turns[length][turn]);
            halve(&flow.followed[length][turn]);
        }
    }

    /// What a target is to a turn of `model`, of which bytes alone make so many tokens.
    #[must_use]
    pub fn side(&self, seen: &Seen, model: &str, raw: u64, offer: &Offer, now: Nanos) -> Side {
        let Offer { target, ref keeps, input, write, writes, cached, output } = *offer;
        let prompt_tokens = self.tokens(target, raw);
        let is_cached = prompt_tokens >= keeps.tokens_min;
        let warm = seen.of(target).filter(|_| is_cached);
        let blocks = u64::from(seen.blocks()).max(1);
        let warm_tokens =
            warm.map_or(0, |warm| prompt_tokens.saturating_mul(u64::from(warm.depth)) / blocks);
        let curve = self.known(target).curve(keeps);
        let written = self.writes(target).unwrap_or(if writes { ONE } else { 0 }).min(ONE);
        let input = mul(write, written).saturating_add(mul(input, ONE - written));
        Side {
            rates: Rates { input, cached, output },
            prompt_tokens,
            warm_tokens,
            warm_odds: warm.map_or(0, |warm| curve[bin(warm.age)]),
            keep_odds: if is_cached { self.keep_odds(model, &curve) } else { 0 },
            delay_us: self.delay_us(target, now).unwrap_or(0),
        }
    }

    /// Turns that are likely to follow this one, in thousandths.
    #[must_use]
    pub fn more(&self, model: &str, seen: &Seen) -> u64 {
        let flow = self.flow(model);
        let (length, turn) = cell(seen.blocks, seen.turn);
        let sum = |words: &[AtomicU64]| words.iter().map(|word| word.load(Relaxed)).sum::<u64>();
        let all = |cells: &Cells| cells.iter().map(|words| sum(words)).sum::<u64>();
        let odds = |followed: u64, turns: u64, before: u64| {
            (followed.min(turns) * ONE + before * BEFORE) / (turns + BEFORE)
        };
        // A quarter of all turns are followed by another one, until more is known: what is put into a cache must pay.
        let overall = odds(all(&flow.followed), all(&flow.turns), ONE / 4);
        let (followed, turns) = (&flow.followed[length], &flow.turns[length]);
        let alike = odds(sum(followed), sum(turns), overall);
        let here = |turn: usize| {
            let odds = odds(followed[turn].load(Relaxed), turns[turn].load(Relaxed), alike);
            odds.min(ONE - ONE / TURNS_MAX)
        };
        // What follows the last one that is told apart goes on as it does; what follows any other, as the next one.
        let last = here(TURNS - 1);
        let mut more = last * 1000 / (ONE - last);
        for turn in (turn..TURNS - 1).rev() {
            more = here(turn) * (1000 + more) / ONE;
        }
        more.min(TURNS_MAX * 1000)
    }

    /// Tokens of an answer.
    #[must_use]
    pub fn output(&self, model: &str) -> u64 {
        match self.flow(model).output.load(Relaxed) {
            0 => OUTPUT_TOKENS,
            told => told / 16,
        }
    }

    /// The odds that a target has what it read so many seconds ago, in millionths.
    #[must_use]
    pub fn odds(&self, target: Replica, age: u32, keeps: &Keeps) -> u64 {
        self.known(target).curve(keeps)[bin(age)]
    }

    /// The odds that what is read now is there when the next turn of such a conversation comes, in millionths.
    fn keep_odds(&self, model: &str, curve: &[u64; BINS]) -> u64 {
        let gaps = &self.flow(model).gaps;
        let (mut sum, mut total) = (0, 0);
        for (at, gap) in gaps.iter().enumerate() {
            let before = if at == bin(GAP_SECONDS) { BEFORE } else { 0 };
            let gap = gap.load(Relaxed) + before;
            sum += gap * curve[at];
            total += gap;
        }
        sum / total.max(1)
    }

    /// Tokens of so many that bytes alone make, as a target counts them.
    #[must_use]
    pub fn tokens(&self, target: Replica, raw: u64) -> u64 {
        let known = [&self.known(target).scale, &self.scale].map(|scale| scale.load(Relaxed));
        known.into_iter().find(|scale| *scale > 0).map_or(raw, |scale| mul(raw, scale))
    }

    /// The part of what is read anew that a target writes to its cache, in millionths.
    #[must_use]
    pub fn writes(&self, target: Replica) -> Option<u64> {
        self.known(target).writes.load(Relaxed).checked_sub(1)
    }

    /// How long a target's answers take to begin, in microseconds; `None` where nobody has seen it lately.
    #[must_use]
    pub fn delay_us(&self, target: Replica, now: Nanos) -> Option<u64> {
        let word = self.known(target).delay.load(Relaxed);
        let is_old = seconds(now).saturating_sub(word & 0xffff_ffff) > DELAY_SECONDS;
        (word >> 32 != 0 && !is_old).then_some(word >> 32)
    }

    /// A target has begun to answer a prompt, so many microseconds after it was asked.
    pub fn answered(
        &self,
        prompt: &Prompt,
        seen: &Seen,
        target: Replica,
        took_us: u64,
        now: Nanos,
    ) {
        self.table.keep(prompt, target, seen.turn, now);
        let before = self.delay_us(target, now);
        let took = took_us.clamp(1, u64::from(u32::MAX));
        let next = before.map_or(took, |before| (before * 7 + took) / 8).max(1);
        self.known(target).delay.store(next << 32 | seconds(now), Relaxed);
    }

    /// A target has told what it read of a prompt: tokens in all, from its cache, and written to it.
    pub fn told(&self, target: Replica, belief: &Belief, told: [u64; 3]) {
        let [input, cached, written] = told;
        let known = self.known(target);
        if input == 0 {
            return;
        }
        if let Some(scale) = input.saturating_mul(ONE).checked_div(belief.raw_tokens) {
            // Of a short body most is no prompt.
            if belief.raw_tokens >= RAW_TOKENS_LEAST {
                let scale = scale.clamp(ONE / 16, ONE * 16);
                blend(&known.scale, scale);
                blend(&self.scale, scale);
            }
        }
        let uncached = input.saturating_sub(cached).max(1);
        blend(&known.writes, written.min(uncached) * ONE / uncached + 1);
        let believed = input.saturating_mul(belief.warm) / ONE;
        if believed == 0 {
            return;
        }
        let part = cached.min(believed).saturating_mul(1000) / believed;
        let at = bin(belief.age);
        bump(&known.hits[at], part);
        if bump(&known.tries[at], 1000) >= COUNT_MAX * 1000 {
            halve(&known.tries[at]);
            halve(&known.hits[at]);
        }
    }

    /// Answers of a model have so many tokens.
    pub fn made(&self, model: &str, output: u64) {
        let word = &self.flow(model).output;
        let next = match word.load(Relaxed) {
            0 => output.saturating_mul(16),
            before => before - before / 16 + output.min(1 << 32),
        };
        word.store(next.max(1), Relaxed);
    }

    /// A target is not warm for a prompt any more.
    pub fn forget(&self, prompt: &Prompt, target: Replica) {
        self.table.forget(prompt, target, 0);
    }

    fn known(&self, target: Replica) -> &Known {
        &self.targets[usize::from(target.0) % TARGETS]
    }

    fn flow(&self, model: &str) -> &Flow {
        let name = super::name_number(&[model]);
        &self.flows[usize::try_from(name % FLOWS as u64).unwrap_or(0)]
    }
}

impl Known {
    /// The odds that it still has what it has read, in millionths, by the bin of its age. They never rise with age: where
    /// counts say so, neighbours are taken together (<https://en.wikipedia.org/wiki/Isotonic_regression>), so that what is
    /// learned of one age says something of others.
    fn curve(&self, keeps: &Keeps) -> [u64; BINS] {
        // Of each run of bins that have been taken together: hits, tries, and the bin behind it.
        let mut runs = [(0, 0, 0); BINS];
        let mut count = 0;
        for at in 0..BINS {
            let (hits, tries) = (self.hits[at].load(Relaxed), self.tries[at].load(Relaxed));
            let before = if least(at) <= keeps.seconds { CACHE_BEFORE * 1000 } else { 0 };
            let mut run = (hits.min(tries) + before, tries + CACHE_BEFORE * 1000, at + 1);
            while count > 0 {
                let (hits, tries, _): (u64, u64, usize) = runs[count - 1];
                if hits * run.1 >= run.0 * tries {
                    break;
                }
                run = (hits + run.0, tries + run.1, run.2);
                count -= 1;
            }
            runs[count] = run;
            count += 1;
        }
        let mut curve = [0; BINS];
        let mut from = 0;
        for (hits, tries, until) in &runs[..count] {
            curve[from..*until].fill(hits * ONE / (*tries).max(1));
            from = *until;
        }
        curve
    }
}

impl Seen {
    /// How far one target is warm: blocks, and seconds since.
    #[must_use]
    pub fn of(&self, target: Replica) -> Option<Warm> {
        let last = self.last.filter(|last| last.replica == target);
        let found = self.warmth.of(target);
        match (last, found) {
            (Some(last), Some(found)) if found.depth > last.depth => Some(found),
            (last, found) => last.or(found),
        }
    }

    /// Where the conversation was answered last.
    #[must_use]
    pub fn home(&self) -> Option<Replica> {
        self.last.map(|last| last.replica)
    }

    /// All targets that are warm.
    pub fn warm(&self) -> impl Iterator<Item = Warm> + '_ {
        let last = self.last.filter(|last| last.depth > 0);
        last.into_iter().chain(self.warmth.iter())
    }

    /// Blocks of the prompt.
    #[must_use]
    pub fn blocks(&self) -> u32 {
        self.blocks
    }
}

fn words() -> [AtomicU64; BINS] {
    std::array::from_fn(|_| AtomicU64::new(0))
}

fn cells() -> Cells {
    std::array::from_fn(|_| std::array::from_fn(|_| AtomicU64::new(0)))
}

/// Where a turn with a prompt of so many blocks is counted.
fn cell(blocks: u32, turn: u16) -> (usize, usize) {
    let length = LENGTHS.iter().filter(|length| blocks >= **length).count();
    (length, usize::from(turn).min(TURNS - 1))
}

/// Two bins for each doubling.
fn bin(number: u32) -> usize {
    let number = number.saturating_add(1);
    let octave = number.ilog2();
    let half = if octave == 0 { 0 } else { (number >> (octave - 1)) & 1 };
    usize::try_from(2 * octave + half).unwrap_or(BINS).min(BINS - 1)
}

/// The least number of a bin.
fn least(bin: usize) -> u32 {
    let octave = u32::try_from(bin / 2).unwrap_or(0);
    let half = if bin % 2 == 1 { (1_u32 << octave) / 2 } else { 0 };
    (1_u32 << octave) + half - 1
}

fn bump(word: &AtomicU64, by: u64) -> u64 {
    word.fetch_add(by, Relaxed) + by
}

fn halve(word: &AtomicU64) {
    word.store(word.load(Relaxed) / 2, Relaxed);
}

/// Adds to one of several, and halves all when it has come to `most`.
fn count(words: &[AtomicU64; BINS], at: usize, by: u64, most: u64) {
    if bump(&words[at], by) >= most {
        words.iter().for_each(halve);
    }
}

/// A moving average, of which the first is taken as it is.
fn blend(word: &AtomicU64, next: u64) {
    let before = word.load(Relaxed);
    word.store(if before == 0 { next } else { (before * 7 + next) / 8 }.max(1), Relaxed);
}

fn mul(number: u64, millionths: u64) -> u64 {
    let product = u128::from(number) * u128::from(millionths) / u128::from(ONE);
    u64::try_from(product).unwrap_or(u64::MAX)
}

fn seconds(now: Nanos) -> u64 {
    (now.0 / 1_000_000_000).min(u64::from(u32::MAX))
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::affinity::{BLOCK_BYTES, Seed};

    const KEEPS: Keeps = Keeps { seconds: 300, tokens_min: 1024 };

    /// A prompt of so many blocks, of which those from `from` on are this talk's own.
    fn prompt(talk: u8, from: u8, blocks: u8) -> Prompt {
        let mut prompt = Prompt::new(&Seed::new([1, 2, 3, 4]), &["team"]).followed();
        for block in 0..blocks {
            let mut bytes = [block; BLOCK_BYTES];
            bytes[0] = if block < from { 0 } else { talk };
            prompt.add(&bytes);
        }
        prompt
    }

    fn at(seconds: u64) -> Nanos {
        Nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn the_turn_before_is_found_to_its_last_block() {
        let (homes, a, b) = (Homes::new(1 << 20), Replica::of(1), Replica::of(2));
        for blocks in [1, 16, 17, 37, 99, 200, 230] {
            let talk = blocks;
            homes.answered(&prompt(talk, 0, blocks), &Seen::default(), a, 1000, at(10));
            let seen = homes.see(&prompt(talk, 0, 255), at(15));
            let warm = seen.of(a).unwrap();
            assert_eq!(
                (warm.depth, warm.age, seen.home()),
                (blocks.into(), 5, Some(a)),
                "{blocks}"
            );
            assert_eq!(seen.of(b), None);
        }
        let new = homes.see(&prompt(255, 0, 99), at(15));
        assert_eq!((new.home(), new.warm().count()), (None, 0));
        // What two conversations begin with is warm, and makes no turn of one out of the other.
        homes.answered(&prompt(240, 20, 40), &Seen::default(), b, 1000, at(10));
        let other = homes.see(&prompt(241, 20, 40), at(20));
        assert_eq!((other.home(), other.of(b).map(|warm| warm.depth)), (None, Some(20)));
    }

    #[test]
    fn a_name_finds_the_conversation_though_its_prompt_begins_anew() {
        let (homes, a) = (Homes::new(1 << 20), Replica::of(1));
        let named = |talk| {
            let mut prompt = prompt(talk, 0, 30);
            prompt.name("s");
            prompt
        };
        homes.answered(&named(1), &Seen::default(), a, 1000, at(10));
        let seen = homes.see(&named(2), at(20));
        assert_eq!((seen.home(), seen.of(a).map(|warm| warm.depth)), (Some(a), Some(0)));
    }

    #[test]
    fn odds_follow_what_answers_tell() {
        let (homes, a, b) = (Homes::new(1 << 16), Replica::of(1), Replica::of(2));
        assert_eq!(homes.odds(a, 200, &KEEPS), ONE);
        assert_eq!(homes.odds(a, 400, &KEEPS), 0);
        let tell = |target, age, cached| {
            let belief = Belief { raw_tokens: 1000, warm: ONE / 2, age };
            homes.told(target, &belief, [2000, cached, 0]);
        };
        for _ in 0..100 {
            tell(a, 100, 0);
            tell(b, 100, 1000);
        }
        assert!(homes.odds(a, 100, &KEEPS) < ONE / 10);
        assert!(
            homes.odds(a, 250, &KEEPS) < ONE / 10,
            "what is forgotten early is not there later"
        );
        (0..100).for_each(|_| tell(b, 3000, 1000));
        assert!(homes.odds(b, 3000, &KEEPS) > ONE - ONE / 10, "kept for longer than is said");
        assert!(homes.odds(b, 100, &KEEPS) > ONE - ONE / 10, "another target's odds are its own");
        assert_eq!(homes.tokens(a, 500), 1000, "tokens are scaled to those that were told");
    }

    #[test]
    fn turns_to_come_follow_those_that_came() {
        let homes = Homes::new(1 << 16);
        let seen = |blocks, turn: u16| Seen {
            blocks,
            last: (turn > 0).then(|| Warm { replica: Replica::of(1), depth: blocks, age: 10 }),
            turn,
            ..Seen::default()
        };
        let first = homes.more("m", &seen(100, 0));
        assert!((330..334).contains(&first), "a quarter is followed, until more is known: {first}");
        for _ in 0..500 {
            (0..5).for_each(|turn| homes.came("m", &seen(100, turn)));
            homes.came("one", &seen(100, 0));
        }
        for (turn, more) in [(0, 4000), (1, 3000), (3, 1000), (4, 0)] {
            let told = homes.more("m", &seen(100, turn));
            assert!(told.abs_diff(more) < 100, "turn {turn}: {told}");
        }
        assert!(homes.more("one", &seen(100, 0)) < 50);
        let curve = homes.known(Replica::of(1)).curve(&KEEPS);
        assert!(homes.keep_odds("m", &curve) > ONE - ONE / 50);
        assert!(curve.is_sorted_by(|one, next| one >= next), "{curve:?}");
    }

    #[test]
    fn bins_hold_every_number_in_order() {
        let mut before = 0;
        for number in (1..100_000).chain([u32::MAX]) {
            let at = bin(number);
            assert!(at == before || at <= before + 2 || number == u32::MAX, "{number}");
            assert!(
                at == BINS - 1 || (least(at)..least(at + 1)).contains(&number),
                "{number}: {at}"
            );
            before = at;
        }
    }
}
