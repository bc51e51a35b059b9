//! The loop of the generator.
//!
//! In: the plan, the schedule, the sessions. Out: a filled [`Tally`]. An open loop starts each
//! request at its time on a connection that is free, or on a new one; when none may be opened the
//! request waits, and its latency counts from the time it should have been sent.

use std::collections::VecDeque;
use std::io;
use std::time::Duration;

use super::check::Fault;
use super::observe::{Cost, observe, own_cpu};
use super::plan::{self, Planned};
use super::report::{Errors, Times};
use super::scenario::Scenario;
use super::schedule::{Mix, Schedule};
use super::session::{Exchange, Session, StreamTimes, Turn};
use super::{Moment, Target};
use crate::clock::Nanos;
use crate::poll::{Poll, Ready, WAKE, Waker};
use crate::timer::Timers;

/// Bytes read at once.
const READ_BYTES: usize = 256 << 10;

/// How often timeouts are looked for and memory is sampled.
const SWEEP: Duration = Duration::from_millis(250);

/// The wait before a connection that failed is tried again in a closed loop.
const AGAIN: Duration = Duration::from_millis(10);

/// How often streams that are to be held are counted until all are open.
const OPENING: Duration = Duration::from_millis(20);

/// Errors after which a run is given up.
const ERRORS_MAX: u64 = 10_000;

/// Tokens of timers that belong to no session.
const SWEEP_TOKEN: u64 = WAKE - 1;
const START_TOKEN: u64 = WAKE - 2;
const END_TOKEN: u64 = WAKE - 3;

/// Everything a run counts.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) latency: Times,
    pub(crate) stream: StreamTimes,
    pub(crate) requests: u64,
    pub(crate) requests_total: u64,
    pub(crate) errors: Errors,
    pub(crate) stale: u64,
    pub(crate) connects: u64,
    pub(crate) late_max: Duration,
    pub(crate) before: Cost,
    pub(crate) at_start: Cost,
    pub(crate) at_end: Cost,
    pub(crate) rss_samples: Vec<(f64, u64)>,
    pub(crate) own_cpu: Duration,
}

/// When the load begins, and the measured time within it.
#[derive(Debug, Clone, Copy)]
struct Window {
    begin: Nanos,
    start: Nanos,
    end: Nanos,
}

pub(crate) struct Driver<'a> {
    scenario: &'a Scenario,
    target: &'a Target,
    plan: Vec<Planned>,
    mix: Mix,
    schedule: Option<Schedule>,
    poll: Poll,
    timers: Timers,
    sessions: Vec<Session>,
    /// Sessions without a request, the one used last on top.
    free: Vec<usize>,
    /// Intended times of requests that found no session free.
    waiting: VecDeque<Nanos>,
    window: Window,
    scratch: Vec<u8>,
    tally: Tally,
    is_over: bool,
    progress: &'a mut dyn FnMut(Moment),
    /// Only keeps the poll's wake-up alive; nobody rings it.
    _waker: Waker,
}

impl<'a> Driver<'a> {
    pub(crate) fn new(
        scenario: &'a Scenario,
        target: &'a Target,
        progress: &'a mut dyn FnMut(Moment),
    ) -> io::Result<Driver<'a>> {
        let before = observe(&target.pids);
        let waker = Waker::new()?;
        let begin = Nanos::now();
        let start = begin.after(scenario.warmup);
        let window = Window { begin, start, end: start.after(scenario.duration) };
        Ok(Driver {
            plan: plan::plan(scenario, target),
            mix: Mix::new(scenario),
            schedule: None,
            poll: Poll::new(&waker)?,
            timers: Timers::default(),
            sessions: (0..scenario.connections).map(|_| Session::default()).collect(),
            free: Vec::new(),
            waiting: VecDeque::new(),
            window,
            scratch: vec![0; READ_BYTES],
            tally: Tally::new(before),
            is_over: false,
            progress,
            scenario,
            target,
            _waker: waker,
        })
    }

    /// Runs the scenario to its end.
    pub(crate) fn run(mut self) -> io::Result<Tally> {
        self.begin_all(self.window.begin);
        self.timers.set(self.window.begin.after(SWEEP), SWEEP_TOKEN);
        self.timers.set(self.window.start, START_TOKEN);
        let mut ready = Vec::new();
        while !self.is_over || self.is_draining() {
            let next = self.schedule.as_ref().map(Schedule::next);
            let until = [next, self.timers.next()].into_iter().flatten().min();
            self.poll.wait(until, &mut ready)?;
            for event in ready.drain(..).filter(|event| event.token != WAKE) {
                self.ready(event)?;
            }
            let now = Nanos::now();
            while let Some((_, token)) = self.timers.due(now) {
                self.timer(token, now)?;
            }
            self.arrivals(now.min(self.window.end))?;
            if self.tally.errors.count() > ERRORS_MAX {
                self.end();
                break;
            }
        }
        if self.scenario.hold {
            self.check_held();
        }
        Ok(self.tally)
    }

    /// Answers are waited for after the measured time, or the slow ones would not be counted.
    fn is_draining(&self) -> bool {
        let limit = self.window.end.after(self.scenario.timeout);
        let busy = || self.sessions.iter().any(|session| session.exchange.is_some());
        !self.scenario.hold && Nanos::now() < limit && (busy() || !self.waiting.is_empty())
    }

    fn begin_all(&mut self, now: Nanos) {
        if let Some(rate) = self.scenario.rate {
            let Scenario { arrivals, seed, .. } = *self.scenario;
            self.schedule = Some(Schedule::new(rate, arrivals, seed, now));
            self.free = (0..self.sessions.len()).rev().collect();
            return;
        }
        let count = u32::try_from(self.sessions.len()).expect("the scenario limits connections");
        for index in 0..count {
            let start = now.after(self.scenario.ramp * index / count);
            self.timers.set(start, u64::from(index));
        }
    }

    fn timer(&mut self, token: u64, now: Nanos) -> io::Result<()> {
        match token {
            SWEEP_TOKEN => self.sweep(now),
            START_TOKEN if self.is_opening(now) => self.timers.set(now.after(OPENING), START_TOKEN),
            START_TOKEN => self.start(now),
            END_TOKEN => {
                // What was due before the end is sent, however late the loop has come to it.
                self.arrivals(self.window.end)?;
                self.end();
            }
            _ if self.is_over => {}
            _ => self.begin(place_of(token), now)?,
        }
        Ok(())
    }

    /// Streams that are held are all open before anything is measured.
    fn is_opening(&self, now: Nanos) -> bool {
        let limit = self.window.start.after(self.scenario.timeout);
        let all = self.sessions.len() as u64;
        self.scenario.hold && self.tally.stream.begun < all && now < limit
    }

    fn start(&mut self, now: Nanos) {
        if self.scenario.hold {
            self.window.start = now;
            self.window.end = now.after(self.scenario.duration);
        }
        self.timers.set(self.window.end, END_TOKEN);
        self.tally.own_cpu = own_cpu();
        self.tally.at_start = observe(&self.target.pids);
        self.tally.stream.is_measured = true;
    }

    fn end(&mut self) {
        if self.is_over {
            return;
        }
        self.tally.stream.is_measured = false;
        self.tally.at_end = observe(&self.target.pids);
        self.tally.own_cpu = own_cpu().saturating_sub(self.tally.own_cpu);
        self.schedule = None;
        self.is_over = true;
    }

    fn sweep(&mut self, now: Nanos) {
        self.timers.set(now.after(SWEEP), SWEEP_TOKEN);
        if now >= self.window.start && !self.is_over {
            let at = now.since(self.window.start).as_secs_f64();
            self.tally.rss_samples.push((at, observe(&self.target.pids).rss_bytes));
        }
        (self.progress)(Moment {
            left: self.window.end.since(now),
            requests: self.tally.requests_total,
            errors: self.tally.errors.count(),
        });
        let timeout = self.scenario.timeout;
        for index in 0..self.sessions.len() {
            let session = &mut self.sessions[index];
            let late = session.exchange.take_if(|exchange| {
                let held = self.scenario.hold && exchange.has_begun();
                !held && now.since(exchange.intended) > timeout
            });
            if late.is_some() {
                self.tally.errors.add(Fault::Timeout);
                session.close();
                self.next(index, now.after(AGAIN));
            }
        }
    }

    fn arrivals(&mut self, now: Nanos) -> io::Result<()> {
        while let Some(intended) = self.schedule.as_mut().and_then(|schedule| schedule.due(now)) {
            self.tally.late_max = self.tally.late_max.max(now.since(intended));
            self.waiting.push_back(intended);
        }
        while !self.waiting.is_empty() {
            let Some(index) = self.free.pop() else { return Ok(()) };
            let Some(intended) = self.waiting.pop_front() else { return Ok(()) };
            self.begin(index, intended)?;
        }
        Ok(())
    }

    /// Starts a request on a session that has none.
    fn begin(&mut self, index: usize, intended: Nanos) -> io::Result<()> {
        let kind = self.mix.pick();
        let exchange = Exchange::new(kind, &self.plan[kind], intended);
        self.sessions[index].exchange = Some(exchange);
        self.send(index)
    }

    fn send(&mut self, index: usize) -> io::Result<()> {
        let session = &mut self.sessions[index];
        match session.connect(self.target.address) {
            Ok(is_new) => self.tally.connects += u64::from(is_new),
            Err(_) => return self.turn(index, Turn::Failed(Fault::Connect)),
        }
        let turn = session.send(&self.plan);
        self.turn(index, turn)
    }

    fn ready(&mut self, event: Ready) -> io::Result<()> {
        let index = place_of(event.token);
        let session = &mut self.sessions[index];
        if event.write {
            let turn = session.send(&self.plan);
            if turn != Turn::Wait {
                return self.turn(index, turn);
            }
        }
        if !event.read && !event.broken {
            return self.turn(index, Turn::Wait);
        }
        let turn = session.receive(&self.plan, &mut self.scratch, &mut self.tally.stream);
        self.turn(index, turn)
    }

    fn turn(&mut self, index: usize, turn: Turn) -> io::Result<()> {
        match turn {
            Turn::Wait => self.watch(index),
            Turn::Answered => self.answered(index),
            Turn::Failed(fault) => {
                self.tally.errors.add(fault);
                self.sessions[index].exchange = None;
                self.sessions[index].close();
                self.next(index, Nanos::now().after(AGAIN));
                Ok(())
            }
            Turn::Stale => {
                self.tally.stale += 1;
                let session = &mut self.sessions[index];
                session.close();
                if let Some(before) = session.exchange.take() {
                    let kind = before.kind;
                    let mut again = Exchange::new(kind, &self.plan[kind], before.intended);
                    again.is_retry = true;
                    session.exchange = Some(again);
                }
                self.send(index)
            }
        }
    }

    /// Keeps the poll in step with what the session waits for.
    fn watch(&mut self, index: usize) -> io::Result<()> {
        let session = &mut self.sessions[index];
        let Some(socket) = &session.socket else { return Ok(()) };
        let wish = session.wish(&self.plan);
        let token = index as u64;
        match session.interest {
            Some(interest) if interest == wish => {}
            Some(_) => self.poll.change(socket, token, wish)?,
            None => self.poll.add(socket, token, wish)?,
        }
        session.interest = Some(wish);
        Ok(())
    }

    fn answered(&mut self, index: usize) -> io::Result<()> {
        let now = Nanos::now();
        let Some(exchange) = self.sessions[index].exchange.take() else { return Ok(()) };
        self.tally.requests_total += 1;
        if self.tally.stream.is_measured {
            self.tally.requests += 1;
        }
        if (self.window.start..self.window.end).contains(&exchange.intended) {
            self.tally.latency.add(now.since(exchange.intended));
        }
        if self.scenario.rate.is_none() && !self.is_over && !self.scenario.hold {
            return self.begin(index, now);
        }
        self.watch(index)?;
        self.next(index, now);
        Ok(())
    }

    /// Sees to it that the session takes another request, not before `when`.
    fn next(&mut self, index: usize, when: Nanos) {
        if self.scenario.rate.is_some() {
            self.free.push(index);
        } else if !self.is_over && !self.scenario.hold {
            self.timers.set(when, index as u64);
        }
    }

    fn check_held(&mut self) {
        let held = |session: &&Session| session.exchange.as_ref().is_some_and(Exchange::has_begun);
        let missing = self.sessions.len() - self.sessions.iter().filter(held).count();
        (0..missing).for_each(|_| self.tally.errors.add(Fault::Content("stream not held")));
    }
}

impl Tally {
    fn new(before: Cost) -> Tally {
        Tally {
            latency: Times::new(),
            stream: StreamTimes {
                first: Times::new(),
                gap: Times::new(),
                travel: Times::new(),
                chunks: 0,
                begun: 0,
                is_measured: false,
            },
            requests: 0,
            requests_total: 0,
            errors: Errors::default(),
            stale: 0,
            connects: 0,
            late_max: Duration::ZERO,
            before,
            at_start: before,
            at_end: before,
            rss_samples: Vec::new(),
            own_cpu: Duration::ZERO,
        }
    }
}

fn place_of(token: u64) -> usize {
    usize::try_from(token).expect("tokens of sessions are places in a vector")
}
