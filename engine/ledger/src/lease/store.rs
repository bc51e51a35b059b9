//! What a store of leases does: Redis, Valkey, PostgreSQL.

use faregate_price::NanoUsd;

use super::{Answer, Key, NodeId, Tell};

/// A process of a node begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// The node: the random number of its journal.
    pub node: NodeId,
    /// What people call it. For people alone.
    pub name: String,
}

/// It may speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Its epoch: later than any that this node has had.
    pub epoch: u64,
    /// The store's generation.
    pub generation: u64,
}

/// A window, over all nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// One for each node that has ever leased of it.
    pub shares: Vec<Share>,
}

/// What one node has of a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The node.
    pub node: NodeId,
    /// What people call it; empty when it has left.
    pub name: String,
    /// Its total.
    pub leased: NanoUsd,
    /// What it has told that it has spent.
    pub spent: NanoUsd,
    /// Whether it was heard of within [`ALIVE`](super::ALIVE).
    pub is_alive: bool,
}

/// A store could not be asked, or not understood. Nobody knows whether it did what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError(pub String);

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for StoreError {}

/// Where nodes lease from. One connection, used by one thread, which waits for it: every call returns within a second or
/// two, whatever the network does, and after an error the next call connects anew.
///
/// # What a store keeps
///
/// - For each node: its epoch, the number of its last message, when it was heard of last, whether it owes a declaration in
///   the present generation. The name.
/// - For each [`Key`]: for each node its total, what it said it has spent, the last round it answered; the latest round,
///   and when that was opened. A store may drop a window a good while (a day or more) after its end by its own clock, and
///   must then refuse to lease of it.
/// - Its generation, and the identity of the server in it that this generation is of.
///
/// Every call is one transaction, durable (as far as the operator has asked for) before it is answered. Time is the
/// server's own. Amounts may be kept in units of a thousand nano-dollars or finer: limits rounded down, `held` and what is
/// given back rounded up, totals never above `want` but by that rounding.
///
/// [`super::Book`] is a whole store without a server: the rules as code, which tests hold others against.
pub trait LeaseStore: Send {
    /// Begins a new epoch of a node, later than any epoch it has had: a counter or the server's time in milliseconds,
    /// whichever is more, so that a store that has lost the last epoch does not give it out again. What the node had leased
    /// before stays as it is; messages of earlier epochs are refused from now on.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn join(&mut self, join: &Join) -> Result<Joined, StoreError>;

    /// Takes a message: leases, settlements, what is given back.
    ///
    /// In one transaction, in this order:
    ///
    /// 1. *Which server is it?* When it is not the one of the present generation (a restart, a failover), or there is no
    ///    generation yet: the next generation begins. Every node that is known owes a declaration. In an empty store nobody
    ///    is known, and nodes are waited for, for all of [`SETTLE`](super::SETTLE).
    /// 2. *Who is it?* An epoch before the node's: [`Answer::Fenced`], and nothing is changed. A node that is not known, or
    ///    an epoch after the known one (the store has lost its joining): it is taken as said. A number that is not after the
    ///    epoch's last: nothing is changed but that the node was heard of; the answer says how its lines are now.
    /// 3. *Declared?* `is_all_declared` in the present generation: the node owes nothing any more. Frozen are leases while
    ///    somebody owes a declaration (or the store began empty) and [`SETTLE`](super::SETTLE) is not over since the
    ///    generation began.
    /// 4. *Each line*: the node's total becomes [`next_total`](super::next_total), where `may_lease` is: the message is of
    ///    this generation, and it is not frozen. (What is given back while it is frozen waits, too.) `spent` and the larger
    ///    `answers` are noted. A line whose need is above the new total, though leases are not frozen: if `refused_in` is
    ///    not below the latest round, and nobody is [pending](super::State::pending) in that, the next one is opened. The node
    ///    itself has answered for the latest round then.
    /// 5. *Wanted* are windows with a round that is younger than [`WANTED`](super::WANTED), in which this node has a total
    ///    above zero and has not answered. Those which the message has lines for count as they are behind it.
    /// 6. *Pending* of a line: the other nodes with a total above zero that were heard of within
    ///    [`ALIVE`](super::ALIVE) and have answered only for earlier rounds.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked, or not be sure that what it has answered is kept (replicas that were asked for are
    /// missing): the node then goes on as if nothing had been said, and says it again under another number.
    fn tell(&mut self, tell: &Tell) -> Result<Answer, StoreError>;

    /// Takes a node off the list of those that owe declarations: it ends, and has given back what it can. What it has
    /// leased stays as it is. Without effect where the epoch is not the node's.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn leave(&mut self, node: NodeId, epoch: u64) -> Result<(), StoreError>;

    /// Looks at a window. Changes nothing.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn look(&mut self, key: &Key) -> Result<View, StoreError>;

    /// An operator says that a node is gone for good and that its last word stands: in every window its total becomes what
    /// it told that it has spent, plus `unknown` for what it may have spent since, but no more than it was. Its epoch is
    /// over: should it come back, it has to join anew. How many windows were changed.
    ///
    /// # Errors
    ///
    /// When the store cannot be asked.
    fn settle_for(&mut self, node: NodeId, unknown: NanoUsd) -> Result<u64, StoreError>;
}
