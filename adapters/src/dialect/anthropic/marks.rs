//! Cache marks, of which a request may have a few only.
//!
//! In: how many marks there are, and then the marks in the order of the prompt (tools, system, messages). Out: those that
//! are said. The first is kept, which ends what never changes, and the last ones, which end what has just been said. A
//! long mark behind a short one is refused by the provider, so it becomes a short one.

use faregate_wire::{Json, JsonWriter};

use crate::chat::CacheMark;

/// The most marks in a request.
pub(super) const MARKS_MAX: usize = 4;

/// Minutes of a mark that says nothing of its time.
const SHORT_MINUTES: u32 = 5;

/// Which marks are said.
pub(super) struct Marks {
    total: usize,
    allowed: usize,
    /// How many have come.
    met: usize,
    /// A short one has been said.
    is_short: bool,
}

/// For how long, where that is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Time {
    Unsaid,
    Short,
    Long,
}

impl Marks {
    /// Of `total` marks, `allowed` are said.
    pub(super) const fn new(total: usize, allowed: usize) -> Self {
        Self { total, allowed, met: 0, is_short: false }
    }

    /// Writes the member `cache_control` for the next mark, if it is said.
    pub(super) fn write(&mut self, json: &mut JsonWriter<'_>, mark: Option<CacheMark>) {
        let Some(time) = self.next(mark) else { return };
        json.name("cache_control").object().member_str("type", "ephemeral");
        match time {
            Time::Unsaid => {}
            Time::Short => {
                json.member_str("ttl", "5m");
            }
            Time::Long => {
                json.member_str("ttl", "1h");
            }
        }
        json.end();
    }

    /// Writes an object that may have a mark of its own, without it if it is not said.
    pub(super) fn write_raw(
        &mut self,
        json: &mut JsonWriter<'_>,
        object: Json<'_>,
        mark: Option<CacheMark>,
    ) {
        if mark.is_none() || self.next(mark).is_some() {
            json.json(object);
            return;
        }
        json.object();
        for (name, value) in object.members().filter(|(name, _)| name != "cache_control") {
            json.member_json(&name, value);
        }
        json.end();
    }

    fn next(&mut self, mark: Option<CacheMark>) -> Option<Time> {
        let mark = mark?;
        let index = self.met;
        self.met += 1;
        let is_first = index == 0 && self.allowed > 0;
        let is_last = self.total.saturating_sub(index) < self.allowed;
        if self.total > self.allowed && !is_first && !is_last {
            return None;
        }
        let time = match mark.minutes {
            None => Time::Unsaid,
            Some(minutes) if minutes > SHORT_MINUTES && !self.is_short => Time::Long,
            Some(_) => Time::Short,
        };
        self.is_short |= time != Time::Long;
        Some(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_are_kept() {
        for (total, allowed, expected) in [
            (3, 4, vec![0, 1, 2]),
            (4, 4, vec![0, 1, 2, 3]),
            (7, 4, vec![0, 4, 5, 6]),
            (3, 1, vec![0]),
            (2, 0, vec![]),
        ] {
            let mut marks = Marks::new(total, allowed);
            let kept = (0..total).filter(|_| marks.next(Some(CacheMark::default())).is_some());
            assert_eq!(kept.collect::<Vec<_>>(), expected, "{total} of {allowed}");
        }
    }

    #[test]
    fn long_marks_do_not_follow_short_ones() {
        let mut marks = Marks::new(3, 4);
        let mut next = |minutes| marks.next(Some(CacheMark { minutes }));
        assert_eq!(next(Some(60)), Some(Time::Long));
        assert_eq!(next(None), Some(Time::Unsaid));
        assert_eq!(next(Some(30)), Some(Time::Short));
    }
}
