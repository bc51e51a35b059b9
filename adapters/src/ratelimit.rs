//! What providers say of their rate limits in head fields, from one dialect into another.
//!
//! In: names and values of fields, and the wall clock for those that are dates. Out: the same in the fields of another
//! dialect. OpenAI's are `x-ratelimit-*` with times to wait (`6m0s`, `20ms`;
//! <https://platform.openai.com/docs/guides/rate-limits#rate-limits-in-headers>), Anthropic's `anthropic-ratelimit-*` with
//! dates (<https://docs.anthropic.com/en/api/rate-limits#response-headers>). Gemini and Bedrock have none.

use std::{fmt::Write, time::Duration};

use crate::{auth::Seconds, dialect::Form};

/// One limit, as far as it was told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Level {
    /// Units that it allows.
    pub limit: Option<u64>,
    /// Units that are left.
    pub remaining: Option<u64>,
    /// Until it is whole again.
    pub reset: Option<Duration>,
}

/// The kinds of limits, as they are named in fields.
const KINDS: [&str; 4] = ["requests", "tokens", "input-tokens", "output-tokens"];
const TOKENS: usize = 1;
const INPUT_TOKENS: usize = 2;
const OUTPUT_TOKENS: usize = 3;

/// The parts of a limit, as they are named in fields.
#[derive(Clone, Copy)]
enum Part {
    Limit,
    Remaining,
    Reset,
}

const PARTS: [(&str, Part); 3] =
    [("limit", Part::Limit), ("remaining", Part::Remaining), ("reset", Part::Reset)];

const OPENAI: &str = "x-ratelimit-";
const ANTHROPIC: &str = "anthropic-ratelimit-";

/// Longer than any window; a reset behind it is not believed.
const RESET_MAX: Duration = Duration::from_secs(400 * 24 * 3600);

/// The rate limits of one answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RateLimits {
    levels: [Level; KINDS.len()],
}

/// Whether a field speaks of rate limits in one of the two dialects that have such fields. It means nothing to clients of
/// other dialects.
#[must_use]
pub fn is_rate_limit(name: &[u8]) -> bool {
    starts_with(name, OPENAI) || starts_with(name, ANTHROPIC)
}

impl RateLimits {
    /// Notes a field; others than those of rate limits, and values that cannot be read, count for nothing. `wall_nanos` is
    /// the time since 1970 UTC.
    pub fn note(&mut self, name: &[u8], value: &[u8], wall_nanos: u64) {
        if !is_rate_limit(name) {
            return;
        }
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        let Ok(value) = std::str::from_utf8(value) else { return };
        let value = value.trim_ascii();
        let found = match (name.strip_prefix(OPENAI), name.strip_prefix(ANTHROPIC)) {
            (Some(rest), _) => rest.split_once('-').map(|(part, kind)| (kind, part)),
            (None, Some(rest)) => rest.rsplit_once('-'),
            (None, None) => None,
        };
        let Some((kind, part)) = found else { return };
        let kind = KINDS.iter().position(|known| *known == kind);
        let part = PARTS.iter().find(|(known, _)| *known == part);
        let (Some(kind), Some((_, part))) = (kind, part) else { return };
        let level = &mut self.levels[kind];
        match part {
            Part::Limit => level.limit = value.parse().ok(),
            Part::Remaining => level.remaining = value.parse().ok(),
            Part::Reset => level.reset = reset(value, wall_nanos).filter(|at| *at <= RESET_MAX),
        }
    }

    /// The limit on requests.
    #[must_use]
    pub fn requests(&self) -> Level {
        self.levels[0]
    }

    /// The limit on tokens: of several the one of which the smallest share is left.
    #[must_use]
    pub fn tokens(&self) -> Level {
        let share = |level: &&Level| match (level.remaining, level.limit) {
            (Some(left), Some(limit)) => (u128::from(left) << 32) / u128::from(limit.max(1)),
            _ => u128::MAX,
        };
        self.levels[TOKENS..].iter().min_by_key(share).copied().unwrap_or_default()
    }

    /// Tells `field` each name and value that a client of `form` is to get.
    pub fn write(&self, form: Form, wall_nanos: u64, mut field: impl FnMut(&str, &str)) {
        let is_anthropic = match form {
            Form::Chat | Form::Responses => false,
            Form::Messages => true,
            Form::Gemini | Form::Converse => return,
        };
        let mut levels = self.levels;
        if levels[TOKENS] == Level::default() {
            // OpenAI's dialect knows one limit on tokens: the one that is nearer.
            levels[TOKENS] = nearer(levels[INPUT_TOKENS], levels[OUTPUT_TOKENS]);
        }
        let kinds = if is_anthropic { KINDS.len() } else { INPUT_TOKENS };
        for (kind, level) in KINDS.iter().zip(levels).take(kinds) {
            for (part, which) in PARTS {
                let value = match which {
                    Part::Limit => level.limit.map(|units| units.to_string()),
                    Part::Remaining => level.remaining.map(|units| units.to_string()),
                    Part::Reset if is_anthropic => level.reset.map(|wait| date(wait, wall_nanos)),
                    Part::Reset => level.reset.map(span),
                };
                let Some(value) = value else { continue };
                let name = match is_anthropic {
                    true => format!("{ANTHROPIC}{kind}-{part}"),
                    false => format!("{OPENAI}{part}-{kind}"),
                };
                field(&name, &value);
            }
        }
    }
}

fn starts_with(name: &[u8], prefix: &str) -> bool {
    name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
}

fn nearer(one: Level, other: Level) -> Level {
    match (one.remaining, other.remaining) {
        (None, Some(_)) => other,
        (Some(a), Some(b)) if b < a => other,
        _ => one,
    }
}

/// Until a reset, however it is told: a span, a date, a number of seconds, or a moment in seconds or milliseconds.
fn reset(value: &str, wall_nanos: u64) -> Option<Duration> {
    const SECONDS_ARE_A_MOMENT: u64 = 1_000_000_000;
    const MILLIS_ARE_A_MOMENT: u64 = 1_000_000_000_000;
    let wall = Duration::from_nanos(wall_nanos);
    if let Ok(number) = value.parse::<u64>() {
        return Some(match number {
            MILLIS_ARE_A_MOMENT.. => Duration::from_millis(number).saturating_sub(wall),
            SECONDS_ARE_A_MOMENT.. => Duration::from_secs(number).saturating_sub(wall),
            _ => Duration::from_secs(number),
        });
    }
    if value.contains('T') {
        // A fraction of a second is a second, so that nobody comes too early.
        let moment = Seconds::read(value)?.plus(u64::from(value.contains('.')));
        return Some(Duration::from_secs(moment.0).saturating_sub(wall));
    }
    read_span(value)
}

/// A span as Go spells it: `1h2m3.5s`, `20ms`, `6m0s`.
fn read_span(text: &str) -> Option<Duration> {
    const UNITS: [(&str, u64); 6] = [
        ("ns", 1),
        ("us", 1000),
        ("ms", 1_000_000),
        ("s", 1_000_000_000),
        ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ];
    let mut rest = text;
    let mut total = 0_u64;
    while !rest.is_empty() {
        let end = rest.find(|c: char| c != '.' && !c.is_ascii_digit())?;
        let (number, behind) = rest.split_at(end);
        let end = behind.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(end);
        let (_, nanos) = UNITS.iter().find(|(name, _)| *name == unit)?;
        total = total.checked_add(decimal(number, *nanos)?)?;
        rest = behind;
    }
    (!text.is_empty()).then_some(Duration::from_nanos(total))
}

/// A decimal number of units of `nanos` nanoseconds; digits behind the last nanosecond are dropped.
fn decimal(number: &str, nanos: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mut total = whole.parse::<u64>().ok()?.checked_mul(nanos)?;
    let mut unit = nanos;
    for digit in fraction.bytes() {
        unit /= 10;
        total =
            total.checked_add(u64::from(digit.checked_sub(b'0').filter(|d| *d < 10)?) * unit)?;
    }
    Some(total)
}

/// A span as OpenAI spells it; rounded up to the millisecond, so that nobody comes too early.
fn span(wait: Duration) -> String {
    let millis = wait.as_nanos().div_ceil(1_000_000);
    if millis < 1000 {
        return format!("{millis}ms");
    }
    let (seconds, rest) = (millis / 1000, millis % 1000);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let mut text = String::new();
    if hours > 0 {
        let _ = write!(text, "{hours}h");
    }
    if hours > 0 || minutes > 0 {
        let _ = write!(text, "{minutes}m");
    }
    let _ = write!(text, "{seconds}");
    if rest > 0 {
        let _ = write!(text, ".{}", format!("{rest:03}").trim_end_matches('0'));
    }
    text.push('s');
    text
}

/// A date as Anthropic spells it; rounded up to the second, so that nobody comes too early.
fn date(wait: Duration, wall_nanos: u64) -> String {
    let nanos = Duration::from_nanos(wall_nanos).saturating_add(wait).as_nanos();
    Seconds(u64::try_from(nanos.div_ceil(1_000_000_000)).unwrap_or(u64::MAX)).extended()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-25T06:40:00Z.
    const WALL: u64 = 1_795_588_800 * 1_000_000_000;

    fn converted(fields: &[(&str, &str)], form: Form) -> Vec<(String, String)> {
        let mut limits = RateLimits::default();
        for (name, value) in fields {
            limits.note(name.as_bytes(), value.as_bytes(), WALL);
        }
        let mut written = Vec::new();
        limits.write(form, WALL, |name, value| written.push((name.to_owned(), value.to_owned())));
        written
    }

    fn check(fields: &[(&str, &str)], form: Form, expected: &[(&str, &str)]) {
        let found = converted(fields, form);
        let found: Vec<(&str, &str)> = found.iter().map(|(n, v)| (&**n, &**v)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn openai_s_limits_become_anthropic_s() {
        check(
            &[
                ("X-RateLimit-Limit-Requests", "10000"),
                ("x-ratelimit-remaining-requests", "9999"),
                ("x-ratelimit-reset-requests", "6m0s"),
                ("x-ratelimit-remaining-tokens", "149984"),
                ("x-ratelimit-reset-tokens", "20ms"),
                ("x-request-id", "req_1"),
            ],
            Form::Messages,
            &[
                ("anthropic-ratelimit-requests-limit", "10000"),
                ("anthropic-ratelimit-requests-remaining", "9999"),
                ("anthropic-ratelimit-requests-reset", "2026-11-25T06:46:00Z"),
                ("anthropic-ratelimit-tokens-remaining", "149984"),
                ("anthropic-ratelimit-tokens-reset", "2026-11-25T06:40:01Z"),
            ],
        );
    }

    #[test]
    fn anthropic_s_limits_become_openai_s_and_of_two_on_tokens_the_nearer_one() {
        let told = [
            ("anthropic-ratelimit-requests-limit", "4000"),
            ("anthropic-ratelimit-requests-reset", "2026-11-25T06:40:00.250Z"),
            ("anthropic-ratelimit-input-tokens-limit", "400000"),
            ("anthropic-ratelimit-input-tokens-remaining", "300000"),
            ("anthropic-ratelimit-output-tokens-limit", "80000"),
            ("anthropic-ratelimit-output-tokens-remaining", "79000"),
            ("anthropic-ratelimit-output-tokens-reset", "2026-11-25T07:41:03Z"),
        ];
        let expected = [
            ("x-ratelimit-limit-requests", "4000"),
            ("x-ratelimit-reset-requests", "1s"),
            ("x-ratelimit-limit-tokens", "80000"),
            ("x-ratelimit-remaining-tokens", "79000"),
            ("x-ratelimit-reset-tokens", "1h1m3s"),
        ];
        check(&told, Form::Chat, &expected);
        check(&told, Form::Responses, &expected);
        check(&told, Form::Gemini, &[]);
        check(&told, Form::Converse, &[]);
    }

    #[test]
    fn of_several_limits_on_tokens_the_tightest_counts() {
        let mut limits = RateLimits::default();
        for (name, value) in [
            ("anthropic-ratelimit-requests-remaining", "7"),
            ("anthropic-ratelimit-input-tokens-limit", "400000"),
            ("anthropic-ratelimit-input-tokens-remaining", "300000"),
            ("anthropic-ratelimit-output-tokens-limit", "80000"),
            ("anthropic-ratelimit-output-tokens-remaining", "20000"),
        ] {
            limits.note(name.as_bytes(), value.as_bytes(), WALL);
        }
        assert_eq!((limits.requests().remaining, limits.requests().limit), (Some(7), None));
        assert_eq!(
            (limits.tokens().remaining, limits.tokens().limit),
            (Some(20_000), Some(80_000))
        );
        assert_eq!(RateLimits::default().tokens(), Level::default());
    }

    #[test]
    fn what_cannot_be_read_is_not_said() {
        check(
            &[
                ("x-ratelimit-limit-requests", "many"),
                ("x-ratelimit-reset-requests", "soon"),
                ("x-ratelimit-reset-tokens", "99999999999999999999h"),
                ("x-ratelimit-remaining-images", "5"),
                ("anthropic-ratelimit-unified-status", "allowed"),
                ("anthropic-ratelimit-requests-reset", "2026-13-45T99:00:00Z"),
            ],
            Form::Messages,
            &[],
        );
    }

    #[test]
    fn resets_are_told_in_many_ways() {
        let seconds = |text| reset(text, WALL).map(|wait| wait.as_secs_f64());
        assert_eq!(seconds("2m59.56s"), Some(179.56));
        assert_eq!(seconds("60"), Some(60.0));
        assert_eq!(seconds("1795588830"), Some(30.0));
        assert_eq!(seconds("1795588830500"), Some(30.5));
        assert_eq!(seconds("2026-11-25T06:39:00Z"), Some(0.0), "a date in the past is no wait");
        assert_eq!(seconds("2026-11-25T08:40:00+02:00"), Some(0.0));
        assert_eq!(seconds(""), None);
        assert_eq!(seconds("5"), Some(5.0));
        assert_eq!(seconds("5x"), None);
    }

    #[test]
    fn spans_are_read_back_as_written() {
        for millis in [0, 1, 20, 999, 1000, 1001, 59_999, 60_000, 3_600_000, 3_661_500, 86_400_000]
        {
            let wait = Duration::from_millis(millis);
            assert_eq!(read_span(&span(wait)), Some(wait), "{}", span(wait));
        }
    }
}
