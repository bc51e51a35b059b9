//! Every state that some nodes and a store can get into, with the code that runs: [`Node`] and [`Book`].
//!
//! A search over all states, the nearest first: nodes lease, spend, give back, crash and come back with what their journal
//! says; messages and answers are lost, doubled, and come late; the store is replaced by one that has not heard the last of it.
//! Holds everywhere: what was spent is within the limit; what nodes may still spend and have spent, too. What must be found
//! is looked for as well: each way to break the protocol is seen to be found by the same search.

use std::{
    collections::{HashSet, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
};

use super::*;

const LIMIT: u64 = 4;

/// How a store is told to be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Nothing,
    /// What a node has not spent comes back when its lease has been silent for a while.
    ReturnsByTime,
    /// Messages that were seen before are taken again.
    TakesTwice,
    /// Earlier processes are listened to.
    HearsTheDead,
    /// After a failover it goes on as if nothing had been lost.
    ForgetsFailover,
    /// A node that comes back takes only what it has rows for as spent.
    TrustsRows,
}

/// One node, and what surrounds it.
#[derive(Clone)]
struct Place {
    node: Option<Node>,
    /// What has really been spent, over all its processes.
    spent: u64,
    /// What its present process takes for spent.
    counted: u64,
    /// What the journal would say was spent after a crash: all that was allowed.
    allowed: u64,
}

#[derive(Clone)]
struct World {
    places: Vec<Place>,
    book: Book,
    /// What a replica has.
    replica: Book,
    server: u64,
    /// Messages under way, for ever: each can arrive at any time, any number of times.
    sent: Vec<(usize, Tell)>,
    crashes: u32,
    failovers: u32,
    expiries: u32,
}

/// What tells states apart: a hash of all of it.
type Print = u64;

fn key() -> Key {
    Key { scope: "s".into(), window: Window::ALL }
}

fn id(at: usize) -> NodeId {
    NodeId(at as u64 + 1)
}

/// The present: all have settled, or nobody has.
const EARLY: u64 = 1;

impl World {
    fn new(nodes: usize) -> Self {
        let place = Place { node: None, spent: 0, counted: 0, allowed: 0 };
        let mut world = Self {
            places: vec![place; nodes],
            book: Book::default(),
            replica: Book::default(),
            server: 1,
            sent: Vec::new(),
            crashes: 0,
            failovers: 0,
            expiries: 0,
        };
        for at in 0..nodes {
            world.join(at, 0, EARLY);
        }
        // The store that began empty has waited for whoever there is.
        for at in 0..nodes {
            let tell = world.places[at].node.as_mut().unwrap().tell();
            let answer = world.book.tell(&tell, 1, SETTLED);
            world.places[at].node.as_mut().unwrap().hear(&tell, &answer);
        }
        world.replica = world.book.clone();
        world
    }

    fn join(&mut self, at: usize, spent: u64, now: u64) {
        let join = Join { node: id(at), name: String::new() };
        let joined = self.book.join(&join, self.server, now);
        let mut node = Node::new(id(at), joined);
        node.open(&key(), NanoUsd(spent));
        let place = &mut self.places[at];
        (place.node, place.counted, place.allowed) = (Some(node), spent, spent);
        // Whoever joins is known to the replica, too: that is no lease.
        self.replica.join(&join, 1, now);
    }

    fn spent(&self) -> u64 {
        self.places.iter().map(|place| place.spent).sum()
    }

    /// What has been spent and can be spent without another word.
    fn within_reach(&self) -> u64 {
        let reach = |place: &Place| place.node.as_ref().map_or(0, |node| node.may_spend(&key()).0);
        let left = |place: &Place| reach(place).saturating_sub(place.counted);
        self.places.iter().map(|place| place.spent + left(place)).sum()
    }

    fn print(&self) -> Print {
        let mut hasher = DefaultHasher::new();
        for place in &self.places {
            (place.node.is_some(), place.spent, place.counted, place.allowed).hash(&mut hasher);
            if let Some(node) = &place.node {
                node.hash(&key(), &mut hasher);
            }
        }
        let Self { book, replica, server, sent, crashes, expiries, .. } = self;
        (book, replica, server, sent, crashes, expiries).hash(&mut hasher);
        hasher.finish()
    }
}

/// Behind the time that a new generation takes to settle.
const SETTLED: u64 = 10_000;

struct Search {
    nodes: usize,
    wrong: Wrong,
    /// Messages in all.
    messages: usize,
    crashes: u32,
    failovers: u32,
    /// Replicas have what was leased before it is spent.
    waits: bool,
}

/// What was found.
#[derive(Debug)]
struct Found {
    states: usize,
    worst: u64,
    reach: u64,
}

impl Search {
    fn run(&self) -> Found {
        let first = World::new(self.nodes);
        let mut seen: HashSet<Print> = HashSet::from([first.print()]);
        let mut queue = VecDeque::from([first]);
        let mut found = Found { states: 0, worst: 0, reach: 0 };
        while let Some(world) = queue.pop_front() {
            found.states += 1;
            found.worst = found.worst.max(world.spent());
            found.reach = found.reach.max(world.within_reach());
            if found.worst > LIMIT {
                return found;
            }
            self.steps(&world, &mut |next| {
                if seen.insert(next.print()) {
                    queue.push_back(next);
                }
            });
        }
        found
    }

    fn steps(&self, world: &World, go: &mut dyn FnMut(World)) {
        for at in 0..self.nodes {
            self.node_steps(world, at, go);
        }
        for index in 0..world.sent.len() {
            self.arrivals(world, index, go);
        }
        if world.failovers < self.failovers {
            let mut next = world.clone();
            next.failovers += 1;
            (next.book, next.server) = (world.replica.clone(), 2);
            if self.wrong == Wrong::ForgetsFailover {
                next.server = 1;
            }
            go(next);
        }
        // Replication catches up.
        if self.failovers > 0 && world.failovers == 0 && world.replica != world.book {
            let mut next = world.clone();
            next.replica = world.book.clone();
            go(next);
        }
        if self.wrong == Wrong::ReturnsByTime && world.expiries == 0 {
            let mut next = world.clone();
            next.expiries = 1;
            next.book.return_unspent();
            go(next);
        }
    }

    fn node_steps(&self, world: &World, at: usize, go: &mut dyn FnMut(World)) {
        let place = &world.places[at];
        let Some(node) = &place.node else {
            // It comes back: its journal knows what it was allowed, or (had the last records been written) what it spent.
            let mut spends = vec![place.allowed, place.spent];
            if self.wrong == Wrong::TrustsRows {
                spends = vec![0];
            }
            spends.dedup();
            for spent in spends {
                let mut next = world.clone();
                next.join(at, spent, SETTLED);
                go(next);
            }
            return;
        };
        if place.counted < node.may_spend(&key()).0 {
            let mut next = world.clone();
            next.places[at].spent += 1;
            next.places[at].counted += 1;
            go(next);
        }
        if world.sent.len() < self.messages {
            let want = node.may_spend(&key()).0 + 2;
            let mut next = world.clone();
            let Place { node: teller, counted, .. } = &mut next.places[at];
            let (teller, spent) = (teller.as_mut().unwrap(), NanoUsd(*counted));
            let (limit, want) = (NanoUsd(LIMIT), NanoUsd(want));
            teller.need(&key(), Need { limit, spent, need: want, want });
            let tell = teller.tell();
            next.sent.push((at, tell));
            go(next);
            if place.counted < node.may_spend(&key()).0 {
                let mut next = world.clone();
                let Place { node, counted, allowed, .. } = &mut next.places[at];
                let node = node.as_mut().unwrap();
                node.give_back(&key(), NanoUsd(*counted), 0);
                *allowed = *counted;
                let tell = node.tell();
                next.sent.push((at, tell));
                go(next);
            }
        }
        if world.crashes < self.crashes {
            let mut next = world.clone();
            next.crashes += 1;
            next.places[at].node = None;
            go(next);
        }
    }

    /// A message arrives; its answer does or is lost.
    fn arrivals(&self, world: &World, index: usize, go: &mut dyn FnMut(World)) {
        let (at, tell) = &world.sent[index];
        // Both before and after all nodes that live have declared: frozen for as long as somebody has not.
        let mut next = world.clone();
        let epoch = next.book.epoch_of(id(*at));
        let is_out_of_turn = match self.wrong {
            Wrong::TakesTwice => tell.epoch == epoch,
            Wrong::HearsTheDead => tell.epoch < epoch,
            _ => false,
        };
        let answer = match is_out_of_turn {
            true => next.book.take_out_of_turn(tell, next.server, SETTLED),
            false => next.book.tell(tell, next.server, SETTLED),
        };
        if self.waits && tell.lines.iter().any(|line| line.want > line.held) {
            next.replica = next.book.clone();
        }
        let (mut lost, place) = (next.clone(), &mut next.places[*at]);
        lost.places[*at] = world.places[*at].clone();
        if lost.book != world.book || lost.replica != world.replica {
            go(lost);
        }
        if let Some(node) = &mut place.node
            && tell.epoch == node.epoch()
        {
            node.hear(tell, &answer);
            // What was leased is journaled before it is spent.
            place.allowed = place.allowed.max(node.may_spend(&key()).0);
            go(next);
        }
    }
}

fn search(nodes: usize, messages: usize) -> Search {
    Search { nodes, wrong: Wrong::Nothing, messages, crashes: 0, failovers: 0, waits: false }
}

#[track_caller]
fn holds(search: &Search) {
    let found = search.run();
    assert!(found.worst == LIMIT, "{found:?}");
    assert!(found.reach <= LIMIT, "{found:?}");
    assert!(found.states > 1000, "{found:?}");
}

#[track_caller]
fn breaks(search: &Search) {
    let found = search.run();
    assert!(found.worst > LIMIT, "the search does not find {:?}: {found:?}", search.wrong);
}

/// More of it where somebody asks for more.
fn deep() -> usize {
    std::env::var("FAREGATE_MODEL_MESSAGES").map_or(3, |text| text.parse().unwrap())
}

#[test]
fn nothing_is_spent_twice_by_messages_that_are_lost_doubled_and_late() {
    holds(&search(2, deep()));
}

#[test]
fn nothing_is_spent_twice_by_nodes_that_crash() {
    holds(&Search { crashes: 1, ..search(2, deep()) });
}

#[test]
fn nothing_is_spent_twice_by_three_nodes() {
    holds(&search(3, deep()));
}

#[test]
fn a_failover_that_forgets_leases_costs_nothing_once_their_holders_have_declared_them() {
    holds(&Search { failovers: 1, ..search(2, deep()) });
}

#[test]
fn a_failover_costs_nothing_where_replicas_are_waited_for() {
    holds(&Search { failovers: 1, waits: true, ..search(2, deep()) });
}

#[test]
fn the_search_finds_each_way_to_break_the_protocol() {
    let wrong = |wrong| Search { wrong, ..search(2, deep()) };
    breaks(&wrong(Wrong::ReturnsByTime));
    breaks(&Search { failovers: 1, ..wrong(Wrong::ForgetsFailover) });
    breaks(&Search { crashes: 1, ..wrong(Wrong::TrustsRows) });
    breaks(&Search { messages: deep() + 1, ..wrong(Wrong::TakesTwice) });
    // A minute's work: where more is asked for.
    if deep() > 3 {
        breaks(&Search { crashes: 1, ..wrong(Wrong::HearsTheDead) });
    }
}
