//! What stays of a request: one line in the access log, one sample in the metrics.
//!
//! In: the walk, the answer, the moments. Out: nothing; both sinks are off the request path. Prompts, keys and query
//! strings never get here.

use faregate_adapters::chat::{Usage, UsageSource};
use faregate_policy::exchange::{Exchange, Refusal};

use crate::{
    books,
    clock::Instant,
    exchange::Walk,
    log::{number, plain, text},
    metrics::{Sample, Tokens},
    trace::write_hex,
    worker::Core,
};

/// The moments of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeline {
    /// Its head was complete.
    pub(crate) started: Instant,
    /// Its body was complete.
    pub(crate) read: Instant,
    /// Its first attempt began to send.
    pub(crate) sent: Option<Instant>,
    /// The head of the answer that the client got was complete.
    pub(crate) answered: Option<Instant>,
    /// The first content has passed.
    pub(crate) first_content: Option<Instant>,
}

impl Timeline {
    /// A request whose head was complete at `started`.
    pub(crate) fn new(started: Instant) -> Self {
        Self { started, read: started, sent: None, answered: None, first_content: None }
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending<'a> {
    /// The status the client got; 499 when it had left.
    pub(crate) status: u16,
    /// The fault's code, or nothing.
    pub(crate) code: &'static str,
    /// Usage, or what stands for it.
    pub(crate) usage: Option<&'a Usage>,
    /// How it is known.
    pub(crate) source: UsageSource,
    /// Bytes of the answer's body.
    pub(crate) bytes: u64,
    /// The provider's own id of the answer.
    pub(crate) delivered: bool,
}

/// Counts and logs a request that was refused by its head.
pub(crate) fn record_refused(
    core: &Core,
    refusal: &Refusal,
    id: &str,
    surface: &'static str,
    exchange: Option<&Exchange>,
) {
    let caller = exchange.and_then(Exchange::caller);
    let team = caller.and_then(|c| c.team.as_deref()).unwrap_or_default();
    core.metrics.count(&Sample {
        surface,
        team,
        model: "",
        target: "",
        status: refusal.fault.status(),
        code: refusal.fault.code(),
        attempts: 0,
        tokens: None,
        metered: false,
        cost: 0,
        duration_nanos: 0,
        ttft_nanos: None,
        overhead_nanos: None,
    });
    core.lines.add(|line| {
        number(line, "{\"time_unix_ms\":", core.wall() / 1_000_000);
        text(line, ",\"request_id\":\"", id);
        text(line, ",\"surface\":\"", surface);
        if let Some(caller) = caller {
            text(line, ",\"key\":\"", &caller.key);
        }
        if !team.is_empty() {
            text(line, ",\"team\":\"", team);
        }
        number(line, ",\"status\":", u64::from(refusal.fault.status()));
        text(line, ",\"error_code\":\"", refusal.fault.code());
        number(line, ",\"generation\":", core.live().generation);
        number(line, ",\"core\":", core.index as u64);
        line.extend_from_slice(b"}\n");
    });
}

/// Counts and logs a request that has ended.
pub(crate) fn record(core: &Core, walk: &Walk, ending: &Ending<'_>) {
    let now = core.now();
    let caller = walk.exchange.caller();
    let team = caller.and_then(|c| c.team.as_deref()).unwrap_or_default();
    let target = walk.exchange.target().map(|t| &*t.name).unwrap_or_default();
    let times = &walk.times;
    let overhead = times.sent.map(|sent| sent.since(times.read));
    core.metrics.count(&Sample {
        surface: walk.surface.name(),
        team,
        model: walk.exchange.model(),
        target,
        status: ending.status,
        code: ending.code,
        attempts: u64::from(walk.exchange.attempts()),
        tokens: ending.usage.filter(|_| ending.source == UsageSource::Provider).map(tokens),
        metered: walk.surface.is_metered() && ending.delivered,
        cost: walk.receipt.as_ref().and_then(|receipt| receipt.cost).map_or(0, |cost| cost.0),
        duration_nanos: now.since(times.started),
        ttft_nanos: times.first_content.filter(|_| walk.streams).map(|at| at.since(times.started)),
        overhead_nanos: overhead,
    });
    core.lines.add(|line| write_line(line, core, walk, ending, now));
    if let Some(books) = &core.shared.books
        && (walk.exchange.attempts() > 0 || walk.found.is_some())
        && walk.surface.may_cost()
    {
        books.submit(books::row(books, core, walk, ending));
    }
}

fn tokens(usage: &Usage) -> Tokens {
    Tokens {
        input: usage.input + usage.total_cache_write(),
        cached: usage.cache_read,
        output: usage.output,
        reasoning: usage.reasoning,
        audio_input: usage.audio_input,
        audio_output: usage.audio_output,
    }
}

fn write_line(line: &mut Vec<u8>, core: &Core, walk: &Walk, ending: &Ending<'_>, now: Instant) {
    let times = &walk.times;
    let micros = |at: Instant| at.since(times.started) / 1000;
    number(line, "{\"time_unix_ms\":", core.wall() / 1_000_000);
    plain(line, ",\"request_id\":\"", &walk.id);
    line.extend_from_slice(b",\"trace_id\":\"");
    write_hex(line, walk.trace.trace_id, 32);
    line.push(b'"');
    plain(line, ",\"method\":\"", walk.method.as_str());
    plain(line, ",\"surface\":\"", walk.surface.name());
    text(line, ",\"path\":\"", &walk.path);
    if let Some(caller) = walk.exchange.caller() {
        plain(line, ",\"key\":\"", &caller.key);
        // What names callers is checked by the policy.
        if let Some(team) = &caller.team {
            plain(line, ",\"team\":\"", team);
        }
        if let Some(project) = &caller.project {
            plain(line, ",\"project\":\"", project);
        }
        if let Some(agent) = &caller.agent {
            plain(line, ",\"agent\":\"", agent);
        }
    }
    if let Some(model) = &walk.model {
        text(line, ",\"model\":\"", clip(model));
    }
    if let Some(target) = walk.exchange.target() {
        text(line, ",\"target\":\"", &target.name);
        text(line, ",\"route_reason\":\"", &walk.exchange.route_reason());
    }
    if walk.is_dry_run() {
        line.extend_from_slice(b",\"dry_run\":true");
    }
    number(line, ",\"status\":", u64::from(ending.status));
    if !ending.code.is_empty() {
        plain(line, ",\"error_code\":\"", ending.code);
    }
    number(line, ",\"attempts\":", u64::from(walk.exchange.attempts()));
    line.extend_from_slice(if walk.streams { b",\"stream\":true" } else { b",\"stream\":false" });
    number(line, ",\"request_bytes\":", walk.body_bytes);
    number(line, ",\"response_bytes\":", ending.bytes);
    number(line, ",\"duration_us\":", micros(now));
    if let Some(at) = times.sent {
        number(line, ",\"sent_us\":", micros(at));
    }
    if let Some(at) = times.answered {
        number(line, ",\"answered_us\":", micros(at));
    }
    if let Some(at) = times.first_content {
        number(line, ",\"first_content_us\":", micros(at));
    }
    if let Some(key) = &walk.provider_key {
        plain(line, ",\"provider_key\":\"", key);
    }
    if let Some(stay) = &walk.stay {
        text(line, ",\"affinity\":\"", &stay.to_string());
    }
    if let Some(note) = walk.note {
        plain(line, ",\"answer_cache\":\"", note);
    }
    if let Some(found) = &walk.found {
        text(line, ",\"kept_from\":\"", &found.value.target);
        number(line, ",\"saved_nanousd\":", found.value.cost);
        if let Some((similarity, name)) = walk.likeness() {
            plain(line, ",\"similarity\":\"", &format!("{similarity:.4}"));
            plain(line, ",\"kept_as\":\"", &name);
        }
    }
    if walk.is_marked {
        line.extend_from_slice(b",\"cache\":\"injected\"");
    }
    write_usage(line, ending);
    write_cost(line, walk);
    number(line, ",\"generation\":", walk.live.generation);
    number(line, ",\"core\":", core.index as u64);
    line.extend_from_slice(b"}\n");
}

/// The start of a name that a client made up: a line has a length.
fn clip(name: &str) -> &str {
    const NAME_BYTES_MAX: usize = 256;
    let mut end = name.len().min(NAME_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    &name[..end]
}

fn write_cost(line: &mut Vec<u8>, walk: &Walk) {
    let Some(receipt) = &walk.receipt else { return };
    if let Some(cost) = receipt.cost {
        number(line, ",\"cost_nanousd\":", cost.0);
    }
    if receipt.wasted.0 > 0 {
        number(line, ",\"wasted_nanousd\":", receipt.wasted.0);
    }
    for (name, saved) in [
        (",\"saved_by_cache_nanousd\":", receipt.saved_by_cache),
        (",\"saved_by_routing_nanousd\":", receipt.saved_by_routing),
    ] {
        if saved.0 > 0 {
            number(line, name, saved.0);
        }
    }
    if !receipt.price_id.is_empty() {
        text(line, ",\"price\":\"", &receipt.price_id);
    }
}

fn write_usage(line: &mut Vec<u8>, ending: &Ending<'_>) {
    if ending.usage.is_some() || ending.delivered {
        plain(line, ",\"usage\":\"", ending.source.name());
    }
    let Some(usage) = ending.usage else { return };
    number(line, ",\"input_tokens\":", usage.input);
    number(line, ",\"cache_read_tokens\":", usage.cache_read);
    number(line, ",\"cache_write_tokens\":", usage.total_cache_write());
    number(line, ",\"output_tokens\":", usage.output);
    number(line, ",\"reasoning_tokens\":", usage.reasoning);
    number(line, ",\"audio_input_tokens\":", usage.audio_input);
    number(line, ",\"audio_output_tokens\":", usage.audio_output);
}
