//! What a request asks the provider to do to it.
//!
//! In: text such as `tokens=50; chunk=20ms; reset_at=1234`, from the header `x-sim`, from the member
//! `sim` of the body, or from a model name `sim-tokens=50-chunk=20ms`. Out: a [`Script`]. Later
//! sources overlay earlier ones: the provider's own script, the model, the body, the header.
//!
//! | key | meaning |
//! |---|---|
//! | `delay` | wait before the head of the answer |
//! | `first` | wait between head and first byte of the body; without it both go in one write |
//! | `chunk` | wait between two chunks of a stream |
//! | `tokens`, `bytes` | length of the text, in tokens (one a chunk) or in bytes |
//! | `status` | answer with this status; from 400 on with an error body |
//! | `retry_after`, `retry_after_ms`, `should_retry` | fields of an error answer, verbatim |
//! | `reset_at`, `close_at`, `stall_at` | RST, FIN or silence at this byte of the body as sent, framing included; `head` means before the answer |
//! | `fault` | the same as `reset@N`, `close@N`, `stall@N` |
//! | `chunk_bytes` | at most so many bytes in one HTTP chunk |
//! | `split`, `split_wait` | at most so many bytes in one write, and the wait between two (50 us) |
//! | `bad` | break the answer: `head`, `chunk`, `long`, `short`, `both`, `json`, `type`, `frame` |
//! | `framing` | `length`, `chunked` or `close` for a plain answer |
//! | `usage` | `none`, `every` chunk, `merged` into the finish chunk, or `first` chunk only |
//! | `error_at` | an error event after so many chunks, then the end without `[DONE]` |
//! | `done` | `0` leaves `[DONE]` out |
//! | `cr` | line ends of a stream: `lf`, `cr`, `crlf` |
//! | `comments` | `1` puts a comment line before each event |
//! | `pad` | bytes of padding in each chunk (`obfuscation`) |
//! | `stamp` | `1` writes the monotonic clock into each chunk (`sim_ns`) |
//! | `head_bytes` | pad the head of the answer by so many bytes |
//! | `read_bytes`, `read_wait` | read the request's body in pieces, with waits between (header only) |
//! | `early` | `1` answers before the body is read, then closes (header only) |
//! | `odd` | answer with this recorded case of the replay folder instead; the header `x-replay` is the same |
//! | `cached` | this many cached prompt tokens, whatever the prefix model says |
//!
//! A wait is a number of milliseconds or has a unit: `200us`, `20ms`, `1.5s`; `first_ms` is another
//! name for `first`, and so on.

use std::time::Duration;

/// The model names that carry a script begin with this.
pub const MODEL_PREFIX: &str = "sim-";

/// What happens to the connection in the middle of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// RST.
    Reset,
    /// FIN, whatever the framing promised.
    Close,
    /// Nothing more, the connection stays open.
    Stall,
}

/// Where a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Before the first byte of the answer.
    Head,
    /// Once so many bytes of the body are sent, framing included.
    Body(u64),
}

/// How an answer is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bad {
    /// The head does not parse.
    Head,
    /// The second chunk has no size.
    Chunk,
    /// The length promises more than comes, then the connection closes.
    Long,
    /// The length promises less than comes.
    Short,
    /// A length beside chunked coding.
    Both,
    /// The body, or each event, is not JSON.
    Json,
    /// The content type is `text/html`.
    Type,
    /// The second frame of an event stream has a wrong checksum.
    Frame,
}

/// How the end of a plain answer is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// By `Content-Length`.
    Length,
    /// By the last chunk.
    Chunked,
    /// By the end of the connection.
    Close,
}

/// Where a stream reports what was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UsageForm {
    /// In a chunk of its own at the end, when asked.
    Asked,
    /// Nowhere, and a plain answer has none either.
    Never,
    /// In every chunk, growing, as vLLM's `continuous_usage_stats`.
    Every,
    /// In the chunk that has the finish reason.
    Merged,
    /// In the first chunk.
    First,
}

/// What to do to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table at the top of the module names each key")]
pub struct Script {
    pub delay: Duration,
    pub first: Duration,
    pub chunk: Duration,
    pub tokens: u64,
    pub bytes: Option<usize>,
    pub status: u16,
    pub retry_after: Option<Box<str>>,
    pub retry_after_ms: Option<Box<str>>,
    pub should_retry: Option<bool>,
    pub fault: Option<(Fault, Place)>,
    pub chunk_bytes: usize,
    pub split: Option<usize>,
    pub split_wait: Duration,
    pub bad: Option<Bad>,
    pub framing: Option<Form>,
    pub usage: UsageForm,
    pub error_at: Option<u64>,
    pub done: bool,
    pub line_end: &'static str,
    pub comments: bool,
    pub pad: usize,
    pub stamp: bool,
    pub head_bytes: usize,
    pub read_bytes: Option<usize>,
    pub read_wait: Duration,
    pub early: bool,
    pub cached: Option<u64>,
    pub odd: Option<Box<str>>,
}

impl Default for Script {
    fn default() -> Script {
        Script {
            delay: Duration::ZERO,
            first: Duration::ZERO,
            chunk: Duration::ZERO,
            tokens: 16,
            bytes: None,
            status: 200,
            retry_after: None,
            retry_after_ms: None,
            should_retry: None,
            fault: None,
            chunk_bytes: usize::MAX,
            split: None,
            split_wait: Duration::from_micros(50),
            bad: None,
            framing: None,
            usage: UsageForm::Asked,
            error_at: None,
            done: true,
            line_end: "\n",
            comments: false,
            pad: 0,
            stamp: false,
            head_bytes: 0,
            read_bytes: None,
            read_wait: Duration::from_millis(1),
            early: false,
            cached: None,
            odd: None,
        }
    }
}

impl Script {
    /// The script that `text` describes, `key=value` pairs with `;` between them.
    ///
    /// # Errors
    ///
    /// A sentence that names the pair that is not understood.
    pub fn parse(text: &str) -> Result<Script, String> {
        let mut script = Script::default();
        script.apply(text)?;
        Ok(script)
    }

    /// Lays the pairs of `text` over this script.
    ///
    /// # Errors
    ///
    /// As [`Script::parse`]; pairs before the bad one have taken effect.
    pub fn apply(&mut self, text: &str) -> Result<(), String> {
        pairs(text, ';').try_for_each(|pair| self.set(pair))
    }

    /// Lays the options of a model name such as `sim-tokens=50-chunk=20ms` over this script; a name
    /// without that prefix changes nothing.
    ///
    /// # Errors
    ///
    /// As [`Script::parse`].
    pub fn apply_model(&mut self, model: &str) -> Result<(), String> {
        let Some(options) = model.strip_prefix(MODEL_PREFIX) else { return Ok(()) };
        pairs(options, '-').filter(|pair| pair.contains('=')).try_for_each(|pair| self.set(pair))
    }

    fn set(&mut self, pair: &str) -> Result<(), String> {
        let (key, value) = pair.split_once('=').ok_or_else(|| format!("no `=` in {pair}"))?;
        let (key, value) = (key.trim(), value.trim());
        if self.set_wait(key, value)? || self.set_fault(key, value)? || self.set_form(key, value)? {
            return Ok(());
        }
        match key {
            "tokens" => self.tokens = number(value)?,
            "bytes" => self.bytes = Some(number(value)?),
            "status" => self.status = status(value)?,
            "retry_after" => self.retry_after = Some(value.into()),
            "retry_after_ms" => self.retry_after_ms = Some(value.into()),
            "should_retry" => self.should_retry = Some(flag(value)?),
            "chunk_bytes" => self.chunk_bytes = at_least_one(value)?,
            "split" => self.split = Some(at_least_one(value)?),
            "error_at" => self.error_at = Some(number(value)?),
            "done" => self.done = flag(value)?,
            "comments" => self.comments = flag(value)?,
            "pad" => self.pad = number(value)?,
            "stamp" => self.stamp = flag(value)?,
            "head_bytes" => self.head_bytes = number(value)?,
            "read_bytes" => self.read_bytes = Some(at_least_one(value)?),
            "early" => self.early = flag(value)?,
            "cached" => self.cached = Some(number(value)?),
            "odd" => self.odd = Some(value.into()),
            _ => return Err(format!("unknown key {key}")),
        }
        Ok(())
    }

    fn set_wait(&mut self, key: &str, value: &str) -> Result<bool, String> {
        let wait = match key.strip_suffix("_ms").unwrap_or(key) {
            _ if key == "retry_after_ms" => return Ok(false),
            "delay" => &mut self.delay,
            "first" => &mut self.first,
            "chunk" => &mut self.chunk,
            "split_wait" => &mut self.split_wait,
            "read_wait" | "read" => &mut self.read_wait,
            _ => return Ok(false),
        };
        *wait = duration(value)?;
        Ok(true)
    }

    fn set_fault(&mut self, key: &str, value: &str) -> Result<bool, String> {
        let (name, at) = match key {
            "fault" => value.split_once('@').ok_or_else(|| format!("no `@` in {value}"))?,
            _ => match key.strip_suffix("_at") {
                Some(name) if name != "error" => (name, value),
                _ => return Ok(false),
            },
        };
        let fault = match name {
            "reset" => Fault::Reset,
            "close" => Fault::Close,
            "stall" => Fault::Stall,
            _ => return Err(format!("unknown fault {name}")),
        };
        let place = if at == "head" { Place::Head } else { Place::Body(number(at)?) };
        self.fault = Some((fault, place));
        Ok(true)
    }

    fn set_form(&mut self, key: &str, value: &str) -> Result<bool, String> {
        match (key, value) {
            ("bad", "head") => self.bad = Some(Bad::Head),
            ("bad", "chunk") => self.bad = Some(Bad::Chunk),
            ("bad", "long" | "length") => self.bad = Some(Bad::Long),
            ("bad", "short") => self.bad = Some(Bad::Short),
            ("bad", "both") => self.bad = Some(Bad::Both),
            ("bad", "json") => self.bad = Some(Bad::Json),
            ("bad", "type") => self.bad = Some(Bad::Type),
            ("bad", "frame") => self.bad = Some(Bad::Frame),
            ("framing", "length") => self.framing = Some(Form::Length),
            ("framing", "chunked") => self.framing = Some(Form::Chunked),
            ("framing", "close") => self.framing = Some(Form::Close),
            ("usage", "asked") => self.usage = UsageForm::Asked,
            ("usage", "none") => self.usage = UsageForm::Never,
            ("usage", "every") => self.usage = UsageForm::Every,
            ("usage", "merged") => self.usage = UsageForm::Merged,
            ("usage", "first") => self.usage = UsageForm::First,
            ("cr", "lf") => self.line_end = "\n",
            ("cr", "cr") => self.line_end = "\r",
            ("cr", "crlf") => self.line_end = "\r\n",
            ("bad" | "framing" | "usage" | "cr", _) => {
                return Err(format!("{key} has no form {value}"));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn pairs(text: &str, between: char) -> impl Iterator<Item = &str> {
    text.split(between).map(str::trim).filter(|pair| !pair.is_empty())
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text} is not a number"))
}

fn at_least_one(text: &str) -> Result<usize, String> {
    number(text).and_then(|value: usize| match value {
        0 => Err("0 bytes at a time would never end".to_owned()),
        _ => Ok(value),
    })
}

fn status(text: &str) -> Result<u16, String> {
    match number(text)? {
        status @ 200..=599 => Ok(status),
        other => Err(format!("{other} is not the status of a final answer")),
    }
}

fn flag(text: &str) -> Result<bool, String> {
    match text {
        "1" | "true" | "yes" => Ok(true),
        "0" | "false" | "no" => Ok(false),
        _ => Err(format!("{text} is neither 1 nor 0")),
    }
}

/// A wait as written: milliseconds, or a number with `us`, `ms` or `s`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let (digits, unit_seconds) = match text {
        _ if text.ends_with("us") => (&text[..text.len() - 2], 1e-6),
        _ if text.ends_with("ms") => (&text[..text.len() - 2], 1e-3),
        _ if text.ends_with('s') => (&text[..text.len() - 1], 1.0),
        _ => (text, 1e-3),
    };
    let value: f64 = number(digits.trim())?;
    Duration::try_from_secs_f64(value * unit_seconds).map_err(|_| format!("{text} is not a wait"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_source_spells_the_same_script() {
        let by_header = Script::parse("tokens=50; delay_ms=20; first=0.2s; reset_at=1234");
        let mut by_model = Script::default();
        by_model.apply_model("sim-tokens=50-delay=20ms-first=200ms-fault=reset@1234").unwrap();
        assert_eq!(by_header.unwrap(), by_model);
        assert_eq!(by_model.fault, Some((Fault::Reset, Place::Body(1234))));
        assert_eq!(by_model.first, Duration::from_millis(200));
    }

    #[test]
    fn later_pairs_overlay_earlier_ones() {
        let mut script = Script::parse("status=503; retry_after=2").unwrap();
        script.apply("status=429; retry_after=Wed, 21 Oct 2026 07:28:00 GMT").unwrap();
        assert_eq!(script.status, 429);
        assert_eq!(script.retry_after.as_deref(), Some("Wed, 21 Oct 2026 07:28:00 GMT"));
        script.apply("retry_after_ms=15; stall_at=head").unwrap();
        assert_eq!(script.retry_after_ms.as_deref(), Some("15"));
        assert_eq!(script.fault, Some((Fault::Stall, Place::Head)));
    }

    #[test]
    fn a_mistake_is_named() {
        let check = |text: &str, expected: &str| {
            assert_eq!(Script::parse(text).unwrap_err(), expected);
        };
        check("token=5", "unknown key token");
        check("tokens=many", "many is not a number");
        check("bad=luck", "bad has no form luck");
        check("fault=burn@1", "unknown fault burn");
        check("status=100", "100 is not the status of a final answer");
        check("split=0", "0 bytes at a time would never end");
        check("first", "no `=` in first");
    }

    #[test]
    fn an_ordinary_model_name_changes_nothing() {
        let mut script = Script::default();
        script.apply_model("gpt-5-mini").unwrap();
        script.apply_model("sim-small").unwrap();
        assert_eq!(script, Script::default());
    }
}
