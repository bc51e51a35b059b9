//! Which of a target's places takes an attempt, and what the attempt says of that place.
//!
//! In: the places that this request has tried, a random number, the present. Out: a [`Choice`]. Remembered beside each
//! place: a breaker of its own, because the target's counts all places together: one dead machine of three would neither
//! open it nor be avoided. A target with one place needs none.

use faregate_policy::{
    Nanos,
    fault::Fault,
    health::{Health, Pass},
    retry::Class,
};

use crate::{affinity::Asked, live::Target, upstream::Upstream};

/// A place for one attempt. Dropped without a verdict, nothing was learned.
pub(crate) struct Choice<'a> {
    /// Index into the target's places.
    pub(crate) index: usize,
    /// The place.
    pub(crate) upstream: &'a Upstream,
    pass: Option<Pass>,
}

impl Target {
    /// The place for an attempt: `only` that one, or else one that is well and was not tried by this request, if there is
    /// any: of several, the one that the prompt costs least, where that is `asked`.
    pub(crate) fn choose(
        &self,
        only: Option<usize>,
        tried: &[usize],
        random: u64,
        now: Nanos,
        asked: Option<&Asked<'_>>,
    ) -> Choice<'_> {
        if self.upstreams.len() == 1 {
            return Choice { index: 0, upstream: &self.upstreams[0], pass: None };
        }
        let is_well = |index: &usize| {
            matches!(self.upstreams[*index].breaker.health(now), Health::Closed | Health::HalfOpen)
        };
        // One that was added to others has its whole share in time.
        let is_warm = |index: &usize| {
            let lot = (random ^ *index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
            self.upstreams[*index].warmth.lets(now, lot.wrapping_mul(0xbf58_476d_1ce4_e5b9))
        };
        let all = 0..self.upstreams.len();
        let fresh = || all.clone().filter(|index| !tried.contains(index));
        let index = only
            .or_else(|| {
                let is_open = |index| !tried.contains(&index) && is_well(&index) && is_warm(&index);
                asked?.choose(self, &is_open, now)
            })
            .or_else(|| pick(fresh().filter(is_well).filter(is_warm), random))
            .or_else(|| pick(fresh().filter(is_well), random))
            .or_else(|| pick(fresh(), random))
            .or_else(|| pick(all.clone(), random))
            .expect("a target has a place: checked when the policy was compiled");
        let upstream = &self.upstreams[index];
        Choice { index, upstream, pass: upstream.breaker.pass(now).ok() }
    }
}

fn pick(indices: impl Iterator<Item = usize> + Clone, random: u64) -> Option<usize> {
    let count = indices.clone().count();
    let place = usize::try_from(random % count.max(1) as u64).unwrap_or(0);
    let mut indices = indices;
    indices.nth(place)
}

impl Choice<'_> {
    /// An answer with this status came.
    pub(crate) fn answered(mut self, status: u16, now: Nanos) {
        let Some(pass) = self.pass.take() else { return };
        match Class::of_status(status) {
            Class::Served | Class::Busy => self.upstream.breaker.succeeded(pass, now),
            Class::Failing => self.upstream.breaker.failed(pass, now),
            // A key that is refused is refused at every place.
            Class::Broken | Class::Ended => self.upstream.breaker.cancel(pass),
        }
    }

    /// No answer came.
    pub(crate) fn failed(mut self, fault: Fault, now: Nanos) {
        let Some(pass) = self.pass.take() else { return };
        match Class::of_fault(fault) {
            Class::Failing | Class::Broken => self.upstream.breaker.failed(pass, now),
            Class::Served | Class::Busy | Class::Ended => self.upstream.breaker.cancel(pass),
        }
    }
}

impl Drop for Choice<'_> {
    fn drop(&mut self) {
        if let Some(pass) = self.pass.take() {
            self.upstream.breaker.cancel(pass);
        }
    }
}
