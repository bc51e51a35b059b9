//! Ways of choosing a replica.

use faregate_policy::{
    Nanos,
    affinity::{Bid, Load, Prompt, Replica, Seed, Table, choose},
};

use super::{random::mix, world::REPLICAS};

/// A way of choosing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// One after the other.
    RoundRobin,
    /// The one with the fewest requests under way.
    LeastRequests,
    /// By a hash of the session's name.
    Session,
    /// Uncached tokens times requests under way, the caches' true content being known (LMetric's formula, not the product).
    UncachedTimesLoad,
    /// As the gateway chooses, by prompts alone.
    Faregate,
}

impl Way {
    /// All of them.
    pub(super) const ALL: [Self; 5] = [
        Self::RoundRobin,
        Self::LeastRequests,
        Self::Session,
        Self::UncachedTimesLoad,
        Self::Faregate,
    ];

    /// Its name in the table.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::RoundRobin => "round robin",
            Self::LeastRequests => "least requests",
            Self::Session => "session hash",
            Self::UncachedTimesLoad => "uncached x load, true state",
            Self::Faregate => "faregate",
        }
    }
}

/// What a chooser is asked.
pub(super) struct Asked<'a> {
    /// The session's name.
    pub(super) session: u64,
    /// Hashes of the prompt's blocks, each over all before it.
    pub(super) blocks: &'a [u64],
    /// Blocks of it that each replica has cached in truth.
    pub(super) cached: [usize; REPLICAS],
    /// Requests under way at each.
    pub(super) in_flight: [u64; REPLICAS],
    /// Now.
    pub(super) now: Nanos,
}

/// Chooses replicas in one way, and remembers what that needs.
pub(super) struct Chooser {
    way: Way,
    turn: usize,
    table: Table,
    loads: [Load; REPLICAS],
}

/// A choice that was made.
pub(super) struct Chosen {
    /// The replica.
    pub(super) replica: usize,
    unread: u32,
    believed: u32,
    age: u32,
    blocks: u32,
}

impl Chooser {
    /// Nothing is known yet.
    pub(super) fn new(way: Way) -> Self {
        let loads = std::array::from_fn(|_| Load::default());
        Self { way, turn: 0, table: Table::new(16 << 20), loads }
    }

    /// Chooses.
    pub(super) fn choose(&mut self, asked: &Asked<'_>) -> Chosen {
        self.turn += 1;
        let turn = self.turn;
        // Ties go round.
        let least = |cost: &dyn Fn(usize) -> u64| {
            let order = (0..REPLICAS).map(|at| (at + turn) % REPLICAS);
            order.min_by_key(|at| cost(*at)).unwrap_or(0)
        };
        let replica = match self.way {
            Way::RoundRobin => turn % REPLICAS,
            Way::LeastRequests => least(&|at| asked.in_flight[at]),
            Way::Session => least(&|at| mix(asked.session, at as u64)),
            Way::UncachedTimesLoad => least(&|at| {
                let uncached = asked.blocks.len() - asked.cached[at] + 1;
                uncached as u64 * (asked.in_flight[at] + 1)
            }),
            Way::Faregate => return self.by_prompt(asked),
        };
        Chosen { replica, unread: 0, believed: 0, age: 0, blocks: 0 }
    }

    fn by_prompt(&self, asked: &Asked<'_>) -> Chosen {
        let mut prompt = Prompt::new(&Seed::new([3, 1, 4, 1]), &["team", "fleet", "model"]);
        for block in asked.blocks {
            let mut bytes = [0; faregate_policy::affinity::BLOCK_BYTES];
            bytes[..8].copy_from_slice(&block.to_le_bytes());
            prompt.add(&bytes);
        }
        let warmth = self.table.look_up(&prompt, asked.now);
        let warm = |at: usize| {
            let warm = warmth.of(Replica::of(at as u64));
            warm.filter(|warm| self.loads[at].keeps(warm.age))
        };
        let bids: [Bid; REPLICAS] = std::array::from_fn(|at| Bid {
            cold: prompt.blocks() - warm(at).map_or(0, |warm| warm.depth),
            pending: self.loads[at].pending(),
            in_flight: self.loads[at].in_flight(),
            name: at as u64,
            is_open: true,
        });
        let replica = choose(&bids, prompt.first()).unwrap_or(0);
        let (believed, age) = warm(replica).map_or((0, 0), |warm| (warm.depth, warm.age));
        self.table.note(&prompt, Replica::of(replica as u64), asked.now);
        let unread = prompt.blocks() - believed;
        self.loads[replica].begin(unread);
        Chosen { replica, unread, believed, age, blocks: prompt.blocks() }
    }

    /// The replica has read the prompt.
    pub(super) fn read(&self, chosen: &Chosen) {
        if self.way == Way::Faregate {
            self.loads[chosen.replica].read(chosen.unread);
        }
    }

    /// The answer is there; so many blocks came from the replica's cache.
    pub(super) fn end(&self, chosen: &Chosen, cached: usize) {
        if self.way == Way::Faregate {
            let load = &self.loads[chosen.replica];
            load.end();
            let told = u32::try_from(cached).unwrap_or(u32::MAX).min(chosen.blocks);
            load.learn(chosen.believed, chosen.age, told);
        }
    }
}
