//! Cache marks, of which a request may have a few only.
//!
//! In: how many marks there are, and then the marks in the order of the prompt (tools, system, messages). Out: those that
//! are said. The first is kept, which ends what never changes, and the last ones, which end what has just been said. A
//! long mark behind a short one is refused by the provider, so it becomes a short one. Whether any was left out or
//! shortened is told at the end.

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
    /// One was left out, or said for a shorter time.
    is_lossy: bool,
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
        Self { total, allowed, met: 0, is_short: false, is_lossy: false }
    }

    /// Whether a mark was left out, or said for a shorter time than was asked for.
    pub(super) const fn is_lossy(&self) -> bool {
        self.is_lossy
    }

    /// Writes the member `cache_control` for the next mark, if it is said.
    pub(super) fn write(&mut self, json: &mut JsonWriter<'_>, mark: Option<CacheMark>) {
        write_time(json, self.next(mark));
    }

    /// Writes an object that may have a mark of its own: without it if it is not said, with a short one if it must be.
    pub(super) fn write_raw(
        &mut self,
        json: &mut JsonWriter<'_>,
        object: Json<'_>,
        mark: Option<CacheMark>,
    ) {
        let Some(mark) = mark else {
            json.json(object);
            return;
        };
        let asked = mark.minutes.is_some_and(|minutes| minutes > SHORT_MINUTES);
        let said = self.next(Some(mark));
        if said.is_some_and(|time| time == Time::Long || !asked) {
            json.json(object);
            return;
        }
        json.object();
        for (name, value) in object.members().filter(|(name, _)| name != "cache_control") {
            json.member_json(&name, value);
        }
        write_time(json, said);
        json.end();
    }

    fn next(&mut self, mark: Option<CacheMark>) -> Option<Time> {
        let mark = mark?;
        let index = self.met;
        self.met += 1;
        let is_first = index == 0 && self.allowed > 0;
        let is_last = self.total.saturating_sub(index) < self.allowed;
        if self.total > self.allowed && !is_first && !is_last {
            self.is_lossy = true;
            return None;
        }
        let time = match mark.minutes {
            None => Time::Unsaid,
            Some(minutes) if minutes > SHORT_MINUTES && !self.is_short => Time::Long,
            Some(minutes) => {
                self.is_lossy |= minutes > SHORT_MINUTES;
                Time::Short
            }
        };
        self.is_short |= time != Time::Long;
        Some(time)
    }
}

fn write_time(json: &mut JsonWriter<'_>, time: Option<Time>) {
    let Some(time) = time else { return };
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
            assert_eq!(marks.is_lossy(), expected.len() < total, "{total} of {allowed}");
        }
    }

    #[test]
    fn long_marks_do_not_follow_short_ones() {
        let mut marks = Marks::new(3, 4);
        let mut next = |minutes| marks.next(Some(CacheMark { minutes }));
        assert_eq!(next(Some(60)), Some(Time::Long));
        assert_eq!(next(None), Some(Time::Unsaid));
        assert_eq!(next(Some(30)), Some(Time::Short));
        assert!(marks.is_lossy());
    }

    #[test]
    fn a_long_mark_within_what_is_written_as_it_was_is_short_behind_a_short_one() {
        let tool = br#"{"type":"bash_20250124","cache_control":{"type":"ephemeral","ttl":"1h"}}"#;
        let tool = Json::new(tool).unwrap();
        let mut marks = Marks::new(2, 4);
        let long = Some(CacheMark { minutes: Some(60) });
        let mut out = Vec::new();
        let json = &mut JsonWriter::new(&mut out);
        json.array();
        marks.write_raw(json, tool, long);
        assert!(!marks.is_lossy());
        marks.next(Some(CacheMark::default()));
        marks.write_raw(json, tool, long);
        json.end();
        assert!(marks.is_lossy());
        let short = br#"{"type":"bash_20250124","cache_control":{"type":"ephemeral","ttl":"5m"}}"#;
        let expected = [&b"["[..], tool.raw(), b",", short, b"]"].concat();
        assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(&expected));
    }
}
