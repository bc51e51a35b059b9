//! Leases from a Redis or Valkey server: one script, in which each message is one transaction, by the server's clock.
//!
//! In: messages. Out: answers. Remembered: the connection. All keys carry one hash tag, `{prefix}`, and so are in one slot:
//!
//! | key | holds |
//! | --- | --- |
//! | `{prefix}:store` | the generation, and the server that it is of: its run and its replication |
//! | `{prefix}:nodes` | each node's epoch, number of the last message, when it was heard of, what it owes, name |
//! | `{prefix}:wanted` | windows that somebody needs more of |
//! | `{prefix}:w:START:END:SCOPE` | each node's total, what it has spent, the round it answered; the latest round |
//!
//! Amounts are in thousands of nano-dollars: Lua's numbers are exact up to nine billion dollars then.
//! Commands: <https://redis.io/docs/latest/commands/>, `EVALSHA`, `WAIT`.

use std::time::Duration;

use faregate_price::NanoUsd;
use redis::{
    Client, Connection, ConnectionAddr, FromRedisValue, IntoConnectionInfo, RedisConnectionInfo,
    RedisError, Script, ScriptInvocation, Value, cmd,
};

use super::{
    Answer, Join, Joined, Key, LeaseStore, Line, NodeId, Share, State, StoreError, Tell, Told, View,
};
use crate::journal::Window;

/// How long a connection may take to be made, and each call on it.
const PATIENCE: Duration = Duration::from_millis(1000);

/// How long replicas are waited for.
const REPLICA_PATIENCE_MS: u64 = 500;

/// How long a window is kept after its end.
const KEPT_MS: u64 = 7 * 24 * 60 * 60 * 1000;

/// Nano-dollars in what the script counts.
const UNIT: u64 = 1000;

/// The port that is meant where a URL names none.
const PORT: u16 = 6379;

/// Where the server is, and how to be let in.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    host: String,
    port: u16,
    database: i64,
    user: Option<String>,
    password: Option<String>,
}

/// Without its password.
impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "redis://{}:{}/{}", self.host, self.port, self.database)
    }
}

impl Address {
    /// Reads `redis://[user][:password@]host[:port][/database]`.
    ///
    /// # Errors
    ///
    /// What is wrong with it; never the text itself, which may hold a password.
    pub fn parse(url: &str) -> Result<Self, &'static str> {
        let rest = url.strip_prefix("redis://").or_else(|| url.strip_prefix("valkey://"));
        let rest = rest.ok_or("the URL of the store does not begin with redis:// or valkey://")?;
        let (who, rest) = rest.rsplit_once('@').map_or((None, rest), |(who, at)| (Some(who), at));
        let (place, database) = rest.split_once('/').unwrap_or((rest, ""));
        let database = match database {
            "" => 0,
            number => number.parse().map_err(|_| "the database of the store is no number")?,
        };
        let (host, port) = match place.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, port.parse().map_err(|_| "the port of the store is no number")?)
            }
            _ => (place, PORT),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err("the URL of the store names no host");
        }
        let (user, password) = who.map_or((None, None), |who| {
            let (user, password) = who.split_once(':').unwrap_or((who, ""));
            let said = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
            (said(user), said(password))
        });
        Ok(Self { host, port, database, user, password })
    }

    /// The same with a password.
    #[must_use]
    pub fn with_password(self, password: Option<String>) -> Self {
        Self { password: password.or(self.password), ..self }
    }
}

/// Leases from a server.
pub struct RedisStore {
    address: Address,
    prefix: String,
    replicas: u64,
    script: Script,
    connection: Option<Connection>,
}

impl std::fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} {}", self.address, self.prefix)
    }
}

impl From<RedisError> for StoreError {
    fn from(error: RedisError) -> Self {
        Self(error.to_string())
    }
}

fn unread(what: &str) -> StoreError {
    StoreError(format!("the store has answered what cannot be read: {what}"))
}

impl RedisStore {
    /// A store that is connected to when it is first asked. A lease counts once `replicas` replicas have it, too.
    #[must_use]
    pub fn new(address: Address, prefix: &str, replicas: u64) -> Self {
        let script = Script::new(include_str!("redis/store.lua"));
        Self { address, prefix: prefix.to_owned(), replicas, script, connection: None }
    }

    fn key(&self, name: &str) -> String {
        format!("{{{}}}:{name}", self.prefix)
    }

    fn window(&self, key: &Key) -> String {
        let Window { start, end } = key.window;
        self.key(&format!("w:{start}:{end}:{}", key.scope))
    }

    fn read_window(&self, name: &str) -> Option<Key> {
        let rest = name.strip_prefix(&*self.key("w:"))?;
        let mut parts = rest.splitn(3, ':');
        let (start, end) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        Some(Key { scope: parts.next()?.into(), window: Window { start, end } })
    }

    fn connect(address: &Address) -> Result<Connection, StoreError> {
        let mut settings = RedisConnectionInfo::default().set_db(address.database);
        if let Some(user) = &address.user {
            settings = settings.set_username(user);
        }
        if let Some(password) = &address.password {
            settings = settings.set_password(password);
        }
        let place = ConnectionAddr::Tcp(address.host.clone(), address.port);
        let info = place.into_connection_info()?.set_redis_settings(settings);
        let connection = Client::open(info)?.get_connection_with_timeout(PATIENCE)?;
        connection.set_read_timeout(Some(PATIENCE))?;
        connection.set_write_timeout(Some(PATIENCE))?;
        Ok(connection)
    }

    /// Calls with a connection; after an error, the next call makes a new one.
    fn with<T>(
        &mut self,
        call: impl FnOnce(&Script, &mut Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => Self::connect(&self.address)?,
        };
        let answer = call(&self.script, &mut connection)?;
        self.connection = Some(connection);
        Ok(answer)
    }

    /// Runs the script; `then` with the same connection.
    fn run<T: FromRedisValue>(
        &mut self,
        windows: &[String],
        arguments: &[String],
        then: impl FnOnce(&mut Connection, &T) -> Result<(), StoreError>,
    ) -> Result<T, StoreError> {
        let keys = [self.key("store"), self.key("nodes"), self.key("wanted")];
        self.with(|script, connection| {
            let mut call: ScriptInvocation<'_> = script.prepare_invoke();
            keys.iter().chain(windows).for_each(|key| {
                call.key(key);
            });
            arguments.iter().for_each(|argument| {
                call.arg(argument);
            });
            let answer = call.invoke(connection)?;
            then(connection, &answer)?;
            Ok(answer)
        })
    }
}

impl LeaseStore for RedisStore {
    fn join(&mut self, join: &Join) -> Result<Joined, StoreError> {
        let arguments = ["join".to_owned(), name_of(join.node), join.name.clone()];
        let answer: (u64, u64) = self.run(&[], &arguments, |_, _| Ok(()))?;
        Ok(Joined { epoch: answer.0, generation: answer.1 })
    }

    fn tell(&mut self, tell: &Tell) -> Result<Answer, StoreError> {
        let windows: Vec<String> = tell.lines.iter().map(|line| self.window(&line.key)).collect();
        let mut arguments = vec!["tell".to_owned(), name_of(tell.node)];
        let numbers = [tell.epoch, tell.seq, tell.generation, u64::from(tell.is_all_declared)];
        arguments.extend(numbers.map(|number| number.to_string()));
        tell.lines.iter().for_each(|line| write_line(line, &mut arguments));
        let (replicas, leases) =
            (self.replicas, tell.lines.iter().any(|line| line.want > line.held));
        let answer: Vec<Value> = self.run(&windows, &arguments, |connection, _| {
            if replicas == 0 || !leases {
                return Ok(());
            }
            let mut wait = cmd("WAIT");
            let have: u64 = wait.arg(replicas).arg(REPLICA_PATIENCE_MS).query(connection)?;
            match have >= replicas {
                true => Ok(()),
                false => Err(StoreError(format!(
                    "{have} of {replicas} replicas have what was leased, so it is not spent"
                ))),
            }
        })?;
        self.read(answer)
    }

    fn leave(&mut self, node: NodeId, epoch: u64) -> Result<(), StoreError> {
        let arguments = ["leave".to_owned(), name_of(node), epoch.to_string()];
        self.run::<u64>(&[], &arguments, |_, _| Ok(())).map(drop)
    }

    fn look(&mut self, key: &Key) -> Result<View, StoreError> {
        let arguments = ["look".to_owned(), String::new()];
        type Row = (String, String, u64, String, u64);
        let rows: Vec<Row> = self.run(&[self.window(key)], &arguments, |_, _| Ok(()))?;
        let share = |(node, name, leased, spent, alive): Row| {
            Some(Share {
                node: NodeId(u64::from_str_radix(&node, 16).ok()?),
                name,
                leased: NanoUsd(leased.saturating_mul(UNIT)),
                spent: NanoUsd(spent.parse().ok()?),
                is_alive: alive == 1,
            })
        };
        let shares: Option<Vec<Share>> = rows.into_iter().map(share).collect();
        let mut shares = shares.ok_or_else(|| unread("a node's share"))?;
        shares.sort_unstable_by_key(|share| share.node);
        Ok(View { shares })
    }

    fn settle_for(&mut self, node: NodeId, unknown: NanoUsd) -> Result<u64, StoreError> {
        let all = self.key("w:*").replace('[', "\\[");
        let windows = self.with(|_, connection| {
            let mut found: Vec<String> = Vec::new();
            let mut cursor = 0_u64;
            loop {
                let mut scan = cmd("SCAN");
                scan.arg(cursor).arg("MATCH").arg(&all).arg("COUNT").arg(1000);
                let (next, keys): (u64, Vec<String>) = scan.query(connection)?;
                found.extend(keys);
                cursor = next;
                if cursor == 0 {
                    return Ok(found);
                }
            }
        })?;
        let unknown = unknown.0.div_ceil(UNIT).to_string();
        let arguments = ["settle".to_owned(), name_of(node), unknown];
        self.run(&windows, &arguments, |_, _| Ok(()))
    }
}

impl RedisStore {
    fn read(&self, answer: Vec<Value>) -> Result<Answer, StoreError> {
        type States = Vec<(u64, u64, u64, u32, Vec<String>)>;
        let mut parts = answer.into_iter();
        let mut next = || parts.next().ok_or_else(|| unread("it is too short"));
        let bad = |error: redis::ParsingError| unread(&error.to_string());
        if String::from_redis_value(next()?).map_err(bad)? == "fenced" {
            return Ok(Answer::Fenced);
        }
        let generation = u64::from_redis_value(next()?).map_err(bad)?;
        let is_frozen = u64::from_redis_value(next()?).map_err(bad)? == 1;
        let states = States::from_redis_value(next()?).map_err(bad)?;
        let wanted = Vec::<(String, u64)>::from_redis_value(next()?).map_err(bad)?;
        let states = states.into_iter().map(|(total, leased, round, pending, spent)| {
            let sum = spent.iter().filter_map(|spent| spent.parse::<u64>().ok());
            State {
                total: NanoUsd(total.saturating_mul(UNIT)),
                leased: NanoUsd(leased.saturating_mul(UNIT)),
                others_spent: NanoUsd(sum.fold(0, u64::saturating_add)),
                round,
                pending,
            }
        });
        let wanted =
            wanted.iter().filter_map(|(name, round)| Some((self.read_window(name)?, *round)));
        Ok(Answer::Told(Told {
            generation,
            is_frozen,
            wanted: wanted.collect(),
            states: states.collect(),
        }))
    }
}

fn name_of(node: NodeId) -> String {
    format!("{:016x}", node.0)
}

fn write_line(line: &Line, arguments: &mut Vec<String>) {
    let expires = match line.key.window.end {
        u64::MAX => 0,
        end => end / 1_000_000 + KEPT_MS,
    };
    let numbers = [
        line.limit.0 / UNIT,
        line.held.0.div_ceil(UNIT),
        line.need.0.div_ceil(UNIT),
        line.want.0.div_ceil(UNIT),
        line.spent.0,
        line.answers,
        line.refused_in,
        expires,
    ];
    arguments.extend(numbers.map(|number| number.to_string()));
}
