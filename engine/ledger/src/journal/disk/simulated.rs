//! A disk in memory that loses power, and fails, where a test says.
//!
//! It keeps what a reader sees apart from what would be there after a power cut. Appended bytes become durable with a sync of
//! their file, names with a sync of the folder; before that a power cut keeps any of them, in sectors, in any order. A sync
//! that fails leaves bytes which every reader sees and which the next power cut takes, as the page caches of systems do.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    io,
    rc::Rc,
};

use super::Disk;

/// What reaches a disk whole or not at all.
const SECTOR: usize = 512;

/// What becomes of everything that is not durable when the power goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is gone.
    Nothing,
    /// It is there.
    Everything,
    /// Each sector and each name is there or not, as the dice of this seed say.
    Dice(u64),
}

/// What goes wrong with one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The power goes before it is done.
    Power,
    /// It does nothing and says that the disk is full.
    Full,
    /// It says that the disk is broken. A sync then forgets what it should have made durable.
    Broken,
    /// Of what should be appended, one half is; the next operation says that the disk is full.
    Half,
}

/// The disk. A clone is the same disk.
#[derive(Clone, Debug, Default)]
pub struct Simulated {
    state: Rc<RefCell<State>>,
}

/// An open file of a [`Simulated`] disk.
#[derive(Debug)]
pub struct Handle(usize);

/// Keeps a [`Simulated`] disk from being opened twice.
#[derive(Debug)]
pub struct Lock(Rc<Cell<bool>>);

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

#[derive(Debug, Default)]
struct State {
    files: Vec<Contents>,
    seen: BTreeMap<String, usize>,
    kept: BTreeMap<String, usize>,
    names: Vec<Naming>,
    failures: BTreeMap<u64, Failure>,
    operations: u64,
    is_off: bool,
    is_locked: Rc<Cell<bool>>,
}

#[derive(Clone, Debug, Default)]
struct Contents {
    seen: Vec<u8>,
    kept: Vec<u8>,
    changes: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Cut(usize),
}

#[derive(Clone, Debug)]
enum Naming {
    Link(String, usize),
    Rename(String, String, usize),
    Unlink(String),
}

impl Simulated {
    /// Lets the operation with this number fail, counted from 0.
    pub fn fail(&self, operation: u64, failure: Failure) {
        self.state.borrow_mut().failures.insert(operation, failure);
    }

    /// How many operations have changed something, or tried to.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state.borrow().operations
    }

    /// Whether the power has gone.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.state.borrow().is_off
    }

    /// The disk as it is found when the power comes back. This one stays as it is.
    #[must_use]
    pub fn after_power_cut(&self, fate: Fate) -> Self {
        let state = self.state.borrow();
        let mut dice = Dice::new(fate);
        let files = state.files.iter().map(|file| file.after(&mut dice)).collect();
        let mut names = state.kept.clone();
        for naming in state.names.iter().filter(|_| dice.keeps()) {
            naming.apply(&mut names);
        }
        let after = State { files, seen: names.clone(), kept: names, ..State::default() };
        Self { state: Rc::new(RefCell::new(after)) }
    }

    /// Sets a file's bytes, durably: what a disk that rots, or a person, does.
    pub fn overwrite(&self, name: &str, bytes: &[u8]) {
        let mut state = self.state.borrow_mut();
        let next = state.files.len();
        let at = *state.seen.entry(name.to_owned()).or_insert(next);
        state.kept.insert(name.to_owned(), at);
        let contents = Contents { seen: bytes.to_vec(), kept: bytes.to_vec(), changes: Vec::new() };
        if at == next { state.files.push(contents) } else { state.files[at] = contents }
    }
}

impl State {
    /// Counts an operation, and fails it where that was asked for.
    fn step(&mut self) -> io::Result<Option<Failure>> {
        let failure = self.failures.get(&self.operations).copied();
        self.operations += 1;
        self.is_off |= failure == Some(Failure::Power);
        if self.is_off {
            return Err(io::Error::other("the power is off"));
        }
        match failure {
            Some(Failure::Full) => Err(io::ErrorKind::StorageFull.into()),
            other => Ok(other),
        }
    }

    /// The same for an operation that can only be done or be broken.
    fn step_whole(&mut self) -> io::Result<()> {
        match self.step()? {
            Some(Failure::Broken) => Err(broken()),
            Some(_) | None => Ok(()),
        }
    }

    fn find(&self, name: &str) -> io::Result<usize> {
        if self.is_off {
            return Err(io::Error::other("the power is off"));
        }
        self.seen.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn name(&mut self, naming: Naming) {
        naming.apply(&mut self.seen);
        self.names.push(naming);
    }
}

impl Contents {
    fn append(&mut self, bytes: &[u8]) {
        self.changes.push(Change::Write(self.seen.len(), bytes.to_vec()));
        self.seen.extend_from_slice(bytes);
    }

    fn sync(&mut self) {
        for change in std::mem::take(&mut self.changes) {
            change.apply(&mut self.kept, || true);
        }
    }

    fn after(&self, dice: &mut Dice) -> Self {
        let mut kept = self.kept.clone();
        for change in &self.changes {
            change.apply(&mut kept, || dice.keeps());
        }
        // The length may have reached the disk although the bytes have not: they are zero then.
        if dice.keeps() && !self.changes.is_empty() && kept.len() < self.seen.len() {
            kept.resize(self.seen.len(), 0);
        }
        Self { seen: kept.clone(), kept, changes: Vec::new() }
    }
}

impl Change {
    /// Applies what `keeps` keeps of the change, sector by sector.
    fn apply(&self, kept: &mut Vec<u8>, mut keeps: impl FnMut() -> bool) {
        match self {
            Self::Cut(length) if keeps() => kept.truncate(*length),
            Self::Cut(_) => {}
            Self::Write(start, bytes) => {
                let mut at = *start;
                let mut rest = bytes.as_slice();
                while !rest.is_empty() {
                    let in_sector = (SECTOR - at % SECTOR).min(rest.len());
                    let (sector, later) = rest.split_at(in_sector);
                    if keeps() {
                        let length = kept.len().max(at + in_sector);
                        kept.resize(length, 0);
                        kept[at..at + in_sector].copy_from_slice(sector);
                    }
                    (at, rest) = (at + in_sector, later);
                }
            }
        }
    }
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Link(name, file) => {
                names.insert(name.clone(), *file);
            }
            Self::Rename(from, to, file) => {
                names.remove(from);
                names.insert(to.clone(), *file);
            }
            Self::Unlink(name) => {
                names.remove(name);
            }
        }
    }
}

impl Disk for Simulated {
    type File = Handle;
    type Lock = Lock;

    fn lock(&self) -> io::Result<Lock> {
        let is_locked = Rc::clone(&self.state.borrow().is_locked);
        if is_locked.replace(true) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Lock(is_locked))
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state.borrow().seen.keys().cloned().collect())
    }

    fn read(&self, name: &str, offset: u64, limit: usize) -> io::Result<Vec<u8>> {
        let state = self.state.borrow();
        let bytes = &state.files[state.find(name)?].seen;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
        Ok(bytes[start..].iter().take(limit).copied().collect())
    }

    fn length(&self, name: &str) -> io::Result<u64> {
        let state = self.state.borrow();
        Ok(state.files[state.find(name)?].seen.len() as u64)
    }

    fn create(&self, name: &str) -> io::Result<Handle> {
        let mut state = self.state.borrow_mut();
        state.step_whole()?;
        if state.seen.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = state.files.len();
        state.files.push(Contents::default());
        state.name(Naming::Link(name.to_owned(), file));
        Ok(Handle(file))
    }

    fn append(&self, file: &mut Handle, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.state.borrow_mut();
        let taken = match state.step()? {
            Some(Failure::Broken) => return Err(broken()),
            Some(Failure::Half) => {
                let next = state.operations;
                state.failures.insert(next, Failure::Full);
                bytes.len().div_ceil(2)
            }
            Some(_) | None => bytes.len(),
        };
        state.files[file.0].append(&bytes[..taken]);
        Ok(taken)
    }

    fn truncate(&self, file: &mut Handle, length: u64) -> io::Result<()> {
        let mut state = self.state.borrow_mut();
        state.step_whole()?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let contents = &mut state.files[file.0];
        contents.seen.truncate(length);
        contents.changes.push(Change::Cut(length));
        Ok(())
    }

    fn sync(&self, file: &mut Handle) -> io::Result<()> {
        let mut state = self.state.borrow_mut();
        if state.step()? == Some(Failure::Broken) {
            state.files[file.0].changes.clear();
            return Err(broken());
        }
        state.files[file.0].sync();
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state.borrow_mut();
        state.step_whole()?;
        let file = state.find(from)?;
        state.name(Naming::Rename(from.to_owned(), to.to_owned(), file));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state.borrow_mut();
        state.step_whole()?;
        state.find(name)?;
        state.name(Naming::Unlink(name.to_owned()));
        Ok(())
    }

    fn sync_folder(&self) -> io::Result<()> {
        let mut state = self.state.borrow_mut();
        state.step_whole()?;
        let State { names, kept, .. } = &mut *state;
        names.drain(..).for_each(|naming| naming.apply(kept));
        Ok(())
    }
}

fn broken() -> io::Error {
    io::Error::other("the disk is broken")
}

/// Says what a power cut keeps.
struct Dice {
    fate: Fate,
    state: u64,
}

impl Dice {
    const fn new(fate: Fate) -> Self {
        let state = if let Fate::Dice(seed) = fate { seed } else { 0 };
        Self { fate, state }
    }

    fn keeps(&mut self) -> bool {
        match self.fate {
            Fate::Nothing => false,
            Fate::Everything => true,
            Fate::Dice(_) => {
                // splitmix64
                self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mut mixed = self.state;
                mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
                (mixed ^ mixed >> 31) & 1 == 1
            }
        }
    }
}
