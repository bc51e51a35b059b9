//! What a request may cost and what it is paid from, as the gateway sees it.
//!
//! In: the request's body, the answer as it passes. Out: what to set aside beside tokens, bounds put into bodies that have
//! none, whether a stream may go on, the settlement.

use std::{cell::OnceCell, sync::LazyLock};

use faregate_adapters::{
    dialect::Form,
    media::Media,
    surface::Surface,
    tokens::{self, Count, How},
};
use faregate_policy::{
    Nanos,
    exchange::{CUT_TOKENS, Exchange, Extra, More, Receipt, Settlement},
    fault::Fault,
    policy::Provider,
};
use faregate_price::{CacheWrites, Service, Unit, Units};
use faregate_wire::{Json, Method, Patch, Peek};
use memchr::memmem::Finder;

use super::{
    Walk,
    count::{Early, StandIn, Told},
    look_up::Keeping,
    read::Body,
};
use crate::{
    forward::{Capture, Till},
    log::number,
    relay::{Learned, Plan},
    worker::Core,
};

impl Walk {
    /// What the request may use beside its tokens; `None`: no provider charges for it.
    pub(super) fn extra(&self, body: &Body, choices: u64) -> Option<Extra> {
        let is_metered = self.surface.is_metered() || self.protocols.is_some();
        let is_unmetered = !is_metered && self.method == Method::Post && self.surface.may_cost();
        if !is_metered && !is_unmetered {
            return None;
        }
        let bytes = body.bytes();
        // Bodies are searched where a budget must hold; for images and searches, where books are kept.
        let is_held = self.exchange.may_have_budgets();
        let says = |word: &Finder<'_>| is_held && word.find(bytes).is_some();
        let is_long = matches!(self.form(), Form::Messages | Form::Converse) && says(&LONG);
        let tier = self.member(body, "service_tier");
        let tier = tier.or_else(|| self.member(body, "serviceTier")).and_then(|tier| tier.str());
        let modalities = self.member(body, "modalities").is_some();
        // An answer that is cut in the middle must be one whose end the gateway can write.
        let streams = self.streams
            && matches!(self.form(), Form::Chat | Form::Gemini)
            && !(self.form() == Form::Gemini && self.wants_array())
            && choices <= 1
            && self.protocols.is_none();
        Some(Extra {
            streams,
            is_made_while_sent: self.streams,
            makes_nothing: matches!(
                self.surface,
                Surface::Embeddings | Surface::EmbedContent | Surface::Rerank
            ),
            service: match tier.as_deref() {
                Some("priority") => Service::Priority,
                Some("flex") => Service::Flex,
                _ => Service::Standard,
            },
            cache_writes: if is_long { CacheWrites::Long } else { CacheWrites::Short },
            audio_input: is_held && AUDIO_INPUT.find_iter(bytes).any(|at| is_audio(bytes, at)),
            audio_output: modalities || self.protocols.is_some() || says(&AUDIO_OUTPUT),
            units: self.units(choices, bytes),
            is_unmetered,
        })
    }

    /// What is counted of a request beside tokens, at most.
    fn units(&self, choices: u64, body: &[u8]) -> Units {
        let path = &*self.path;
        let mut units = Units::default().with(Unit::Request, 1);
        if self.surface.form().is_some()
            && !matches!(self.surface, Surface::Embeddings | Surface::EmbedContent)
            && (self.live.keeps_books || self.exchange.may_have_budgets())
        {
            let media = Media::of(body, choices);
            units = units.with(Unit::ImageInput, media.images).with(Unit::Search, media.searches);
        }
        match self.surface {
            Surface::Rerank => units.with(Unit::Rerank, 1),
            _ if path.contains("/images/") => units.with(Unit::Image, choices.max(1)),
            _ if path.ends_with("/audio/speech") => units.with(Unit::Character, body.len() as u64),
            _ => units,
        }
    }

    /// Puts a bound into a body that has none, where a budget must hold.
    pub(super) fn cap(&self, patch: &mut Patch, body: &Body, peek: &Peek, provider: &Provider) {
        let Some(cap) = self.exchange.output_cap() else { return };
        let (object, name) = match self.surface {
            Surface::ChatCompletions => {
                (None, provider.quirks.output_max_name.unwrap_or("max_completion_tokens"))
            }
            Surface::Completions => (None, "max_tokens"),
            Surface::Responses => {
                (None, provider.quirks.output_max_name.unwrap_or("max_output_tokens"))
            }
            Surface::GenerateContent => (Some("generationConfig"), "maxOutputTokens"),
            Surface::Converse => (Some("inferenceConfig"), "maxTokens"),
            _ => return,
        };
        let span_of = |name: &str| {
            self.fields().iter().position(|field| *field == name).and_then(|at| peek.span(at))
        };
        let comma = if peek.is_empty_object() { "" } else { "," };
        let Some(object) = object else {
            match span_of(name) {
                Some(span) => patch.replace(span, cap.to_string().into_bytes()),
                None => patch.insert(peek.insert_at(), said(comma, name, cap)),
            }
            return;
        };
        let said = format!("\"{name}\":{cap}");
        let snake = "generation_config";
        match span_of(object).or_else(|| span_of(snake)) {
            Some(span) => {
                let old = &body.bytes()[span.clone()];
                let is_empty = Json::new(old).is_none_or(|old| old.members().next().is_none());
                match Json::new(old).filter(|old| old.is_object()) {
                    Some(_) if is_empty => {
                        patch.replace(span, format!("{{{said}}}").into_bytes());
                    }
                    // Behind the others: of a member that is there twice most readers take the last.
                    Some(_) => patch.insert(span.end - 1, format!(",{said}").into_bytes()),
                    None => patch.replace(span, format!("{{{said}}}").into_bytes()),
                }
            }
            None => {
                let member = format!("{comma}\"{object}\":{{{said}}}");
                patch.insert(peek.insert_at(), member.into_bytes());
            }
        }
    }
}

/// What asks for a cache that lasts an hour.
static LONG: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"1h\""));

/// What `input_audio` and `audio/` have in common.
static AUDIO_INPUT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"audio"));

/// What asks for audio in Gemini's dialect.
static AUDIO_OUTPUT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\"AUDIO\""));

/// Whether the word `audio` at a place of a body says that audio is put in.
fn is_audio(bytes: &[u8], at: usize) -> bool {
    bytes[..at].ends_with(b"input_") || bytes[at..].starts_with(b"audio/")
}

/// A member that bounds an answer. Written digit by digit: nearly every request of a budget gets one.
fn said(comma: &str, name: &str, cap: u64) -> Vec<u8> {
    const DIGITS_MAX: usize = 20;
    let mut said = Vec::with_capacity(comma.len() + name.len() + 3 + DIGITS_MAX);
    said.extend_from_slice(comma.as_bytes());
    said.push(b'"');
    said.extend_from_slice(name.as_bytes());
    number(&mut said, "\":", cap);
    said
}

/// Pays for an answer of a provider.
pub(super) struct Paying<'a> {
    /// The request's decisions.
    pub(super) exchange: &'a mut Exchange,
    /// The core.
    pub(super) core: &'a Core,
    /// What is done with the body.
    pub(super) plan: Plan,
    /// What was called.
    pub(super) surface: Surface,
    /// Bytes of the request's body.
    pub(super) body_bytes: u64,
    /// The input, as far as the gateway counted it.
    pub(super) early: Option<Early>,
    /// What is passed on is the provider's work.
    pub(super) delivered: bool,
    /// Something may stand for usage that is not told.
    pub(super) is_estimated: bool,
    /// The input, counted once: settled and recorded is the same.
    pub(super) known: OnceCell<Count>,
    /// Tokens of output that may come before more must be set aside.
    pub(super) held: Option<u64>,
    /// Settled.
    pub(super) receipt: Option<Receipt>,
    /// Takes what is sent of the body, where the answer may be kept.
    pub(super) capture: Option<Box<Capture>>,
    /// What the capture is for.
    pub(super) keeping: Option<&'a mut Keeping>,
}

/// How many tokens before the end of what is held more is asked for: those that are on their way already.
const AHEAD_TOKENS: u64 = 64;

impl Paying<'_> {
    /// What stands for usage that the provider has not told.
    pub(super) fn stand_in(&self, learned: &Learned) -> Option<StandIn> {
        let by_size = Count { tokens: tokens::estimated(self.body_bytes), how: How::Estimate };
        let input = *self.known.get_or_init(|| self.early.as_ref().map_or(by_size, Early::count));
        (self.is_estimated && learned.usage.is_none())
            .then(|| StandIn::of(learned, &self.plan, self.surface, input))
    }
}

impl Till for Paying<'_> {
    fn see(&mut self, body: &[u8]) {
        let Some(capture) = &mut self.capture else { return };
        if !capture.take(body)
            && let Some(lead) = self.keeping.as_mut().and_then(|keeping| keeping.lead.take())
        {
            lead.free(); // nobody will get it
        }
    }

    fn may_go_on(&mut self, learned: &Learned) -> More {
        let Some(held) = self.held else { return More::Held };
        let came = tokens::estimated_output(learned.content_events, learned.content_bytes);
        if came.saturating_add(AHEAD_TOKENS) <= held {
            return More::Held;
        }
        let more = self.exchange.extend(Nanos(self.core.now().nanos()));
        self.held = self.exchange.output_held();
        if more == More::Later
            && let Some(books) = &self.core.shared.books
        {
            books.hurry();
        }
        // What is held already may still come.
        let has_more = self.held.is_none_or(|held| came.saturating_add(CUT_TOKENS) < held);
        if has_more { More::Held } else { more }
    }

    fn settle(&mut self, learned: &Learned, fault: Option<Fault>) {
        let stand_in = self.stand_in(learned);
        let told = Told::of(learned, &self.plan);
        let settlement = Settlement {
            usage: told.usage,
            usage_source: told.source(stand_in.as_ref()),
            estimate: stand_in.map(|stand_in| stand_in.usage),
            delivered: self.delivered,
            output_estimate: self.plan.events.then_some(learned.content_events),
            aside: learned.aside,
            fault,
        };
        self.receipt = Some(self.exchange.settle(settlement, Nanos(self.core.now().nanos())));
    }

    fn cost(&self) -> Option<u64> {
        self.receipt.as_ref().and_then(|receipt| receipt.cost).map(|cost| cost.0)
    }
}
