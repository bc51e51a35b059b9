//! One thread of the provider: a listener, its connections, their timers.

use std::io;
use std::net::TcpListener;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};

use super::connection::{Bench, Connection, Fate};
use super::pool::Pool;
use super::script::Script;
use super::surface::Desk;
use super::{Shared, Stop};
use crate::clock::Nanos;
use crate::poll::{Interest, Poll, Ready, WAKE, Waker};
use crate::timer::Timers;

/// The token of the listener.
const LISTENER: u64 = u64::MAX - 1;

/// Connections taken from the listener at once.
const ACCEPTS_MAX: usize = 64;

/// What the owner of the provider tells a thread.
#[derive(Debug)]
pub(crate) enum Command {
    /// The script of requests that bring none of their own.
    Script(Box<Script>),
    /// Close the connections on which nothing happens.
    CloseIdle,
    /// End.
    Stop,
}

/// A thread's state.
pub(crate) struct Worker {
    listener: TcpListener,
    poll: Poll,
    waker: Arc<Waker>,
    commands: Receiver<Command>,
    timers: Timers,
    slots: Vec<Slot>,
    free: Vec<u32>,
    bench: Bench,
}

#[derive(Debug, Default)]
struct Slot {
    generation: u32,
    connection: Option<Box<Connection>>,
}

impl Worker {
    pub(crate) fn new(
        listener: TcpListener,
        waker: Arc<Waker>,
        commands: Receiver<Command>,
        shared: Arc<Shared>,
        index: usize,
    ) -> io::Result<Worker> {
        let desk = Desk::new(shared, index);
        let poll = Poll::new(&waker)?;
        if desk.settings().accept {
            poll.add(&listener, LISTENER, Interest::READ)?;
        }
        Ok(Worker {
            listener,
            poll,
            waker,
            commands,
            timers: Timers::default(),
            slots: Vec::new(),
            free: Vec::new(),
            bench: Bench { desk, pool: Pool::default() },
        })
    }

    /// Serves until told to stop.
    pub(crate) fn run(mut self) -> io::Result<Stop> {
        let mut ready = Vec::new();
        loop {
            self.poll.wait(self.timers.next(), &mut ready)?;
            // Commands first: one given before a request was sent holds for that request.
            if self.obey() {
                return Ok(Stop);
            }
            for event in ready.drain(..) {
                match event.token {
                    WAKE => self.waker.take(),
                    LISTENER => self.accept()?,
                    _ => self.drive(event.token, Some(event)),
                }
            }
            let now = Nanos::now();
            while let Some((when, token)) = self.timers.due(now) {
                if self.connection(token).is_some_and(|found| found.wake == Some(when)) {
                    self.drive(token, None);
                }
            }
        }
    }

    /// Takes all commands; true when one of them is to stop.
    fn obey(&mut self) -> bool {
        loop {
            match self.commands.try_recv() {
                Ok(Command::Script(script)) => self.bench.desk.set_script(*script),
                Ok(Command::CloseIdle) => self.close_idle(),
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => return true,
                Err(TryRecvError::Empty) => return false,
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        for _ in 0..ACCEPTS_MAX {
            let socket = match self.listener.accept() {
                Ok((socket, _)) => socket,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // The peer gave up before it was accepted, or descriptors ran out for now.
                Err(_) => return Ok(()),
            };
            socket.set_nonblocking(true)?;
            socket.set_nodelay(true)?;
            self.insert(Connection::new(socket))?;
        }
        Ok(())
    }

    fn insert(&mut self, connection: Connection) -> io::Result<()> {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            u32::try_from(self.slots.len() - 1).expect("there are fewer descriptors than that")
        });
        let slot = &mut self.slots[index as usize];
        let token = token_of(index, slot.generation);
        self.poll.add(connection.socket.as_fd(), token, connection.interest)?;
        slot.connection = Some(Box::new(connection));
        let counters = self.bench.desk.counters();
        counters.accepted.add(1);
        counters.open.add(1);
        // The request is often there already, and an idle limit begins now.
        self.drive(token, None);
        Ok(())
    }

    fn connection(&self, token: u64) -> Option<&Connection> {
        let (index, generation) = parts_of(token);
        let slot = self.slots.get(index as usize).filter(|slot| slot.generation == generation)?;
        slot.connection.as_deref()
    }

    /// Lets a connection go on, and keeps the poll and the timers in step with it.
    fn drive(&mut self, token: u64, ready: Option<Ready>) {
        let (index, generation) = parts_of(token);
        let Some(slot) = self.slots.get_mut(index as usize) else { return };
        if slot.generation != generation {
            return;
        }
        let Some(connection) = slot.connection.as_deref_mut() else { return };
        // A deadline that has just come is spent and must be set anew.
        let before = (connection.interest, connection.wake.filter(|_| ready.is_some()));
        let fate = match ready {
            Some(ready) => connection.ready(ready, &mut self.bench),
            None => connection.woken(&mut self.bench),
        };
        let mut drop = fate == Fate::Drop;
        if !drop && connection.interest != before.0 {
            drop = self.poll.change(&connection.socket, token, connection.interest).is_err();
        }
        if let Some(when) = connection.wake.filter(|_| !drop && connection.wake != before.1) {
            self.timers.set(when, token);
        }
        if drop {
            self.remove(index);
        }
    }

    fn remove(&mut self, index: u32) {
        let slot = &mut self.slots[index as usize];
        slot.generation = slot.generation.wrapping_add(1);
        // Closing the descriptor takes it out of the poll.
        slot.connection = None;
        self.free.push(index);
        self.bench.desk.counters().open.sub(1);
    }

    fn close_idle(&mut self) {
        let slots = self.slots.iter().enumerate();
        let idle =
            slots.filter(|(_, slot)| slot.connection.as_deref().is_some_and(Connection::is_idle));
        let idle: Vec<_> = idle.filter_map(|(index, _)| u32::try_from(index).ok()).collect();
        idle.into_iter().for_each(|index| self.remove(index));
    }
}

fn token_of(index: u32, generation: u32) -> u64 {
    u64::from(generation) << 32 | u64::from(index)
}

fn parts_of(token: u64) -> (u32, u32) {
    let half = |bits: u64| u32::try_from(bits & 0xffff_ffff).expect("masked to 32 bits");
    (half(token), half(token >> 32))
}
