//! The atomics that cores share: the machine's, or loom's when the interleavings are being enumerated.

use std::{fmt, sync::Arc};

#[cfg(not(loom))]
pub(crate) use std::{
    hint::spin_loop,
    sync::atomic::{AtomicU64, Ordering},
};

#[cfg(loom)]
pub(crate) use loom::{
    sync::atomic::{AtomicU64, Ordering},
    thread::yield_now as spin_loop,
};

/// A place for something that many read and few exchange, none of them waiting.
pub(crate) struct Place<T> {
    #[cfg(not(loom))]
    held: arc_swap::ArcSwapOption<T>,
    /// Each access is one step, as it is with the other.
    #[cfg(loom)]
    held: loom::sync::Mutex<Option<Arc<T>>>,
}

impl<T> Place<T> {
    /// What is there, seen for a moment.
    #[cfg(not(loom))]
    pub(crate) fn look<R>(&self, with: impl FnOnce(Option<&Arc<T>>) -> R) -> R {
        with(self.held.load().as_ref())
    }

    #[cfg(loom)]
    pub(crate) fn look<R>(&self, with: impl FnOnce(Option<&Arc<T>>) -> R) -> R {
        let held = self.get();
        with(held.as_ref())
    }

    /// What is there.
    #[cfg(not(loom))]
    pub(crate) fn get(&self) -> Option<Arc<T>> {
        self.held.load_full()
    }

    #[cfg(loom)]
    pub(crate) fn get(&self) -> Option<Arc<T>> {
        self.held.lock().expect("no holder panics").clone()
    }

    /// Puts `next` there if `current` still is; whether it was.
    #[cfg(not(loom))]
    pub(crate) fn exchange(&self, current: Option<&Arc<T>>, next: Arc<T>) -> bool {
        let before = self.held.compare_and_swap(&current.map(Arc::clone), Some(next));
        is_same(before.as_ref(), current)
    }

    #[cfg(loom)]
    pub(crate) fn exchange(&self, current: Option<&Arc<T>>, next: Arc<T>) -> bool {
        let mut held = self.held.lock().expect("no holder panics");
        let is_there = is_same(held.as_ref(), current);
        if is_there {
            *held = Some(next);
        }
        is_there
    }
}

fn is_same<T>(one: Option<&Arc<T>>, other: Option<&Arc<T>>) -> bool {
    one.map(Arc::as_ptr) == other.map(Arc::as_ptr)
}

impl<T> Default for Place<T> {
    #[cfg(not(loom))]
    fn default() -> Self {
        Self { held: arc_swap::ArcSwapOption::empty() }
    }

    #[cfg(loom)]
    fn default() -> Self {
        Self { held: loom::sync::Mutex::new(None) }
    }
}

impl<T> fmt::Debug for Place<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place")
    }
}
