//! What a client says in the head beside its request: another model, how hard it is, which conversation it is part of, and
//! the fields and tags that the policy's rules look at.
//!
//! In: a head. Out: [`Hints`], or nothing where it says nothing that counts, as most do.

use faregate_policy::{
    exchange::{Asks, Refusal},
    fault::Fault,
    rule::Watch,
};
use faregate_wire::RequestHead;

/// Where a route is asked for.
pub(super) const QUOTE_PATH: &str = "/v1/faregate/quote";

/// What a request there is read as.
pub(super) const QUOTED_PATH: &str = "/v1/chat/completions";

/// Fields that name the conversation, the most telling first.
const SESSION: [&[u8]; 7] = [
    b"x-faregate-session",
    b"x-session-id",
    b"x-claude-code-session-id",
    b"session-id",
    b"session_id",
    b"x-session-affinity",
    b"x-litellm-session-id",
];

const TAGS: [&[u8]; 2] = [b"x-faregate-tags", b"x-litellm-tags"];

/// What a head says beside its request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hints {
    headers: Vec<Box<str>>,
    tags: Vec<Box<str>>,
    session: Option<Box<str>>,
    instead: Option<Box<str>>,
    difficulty: Option<Box<str>>,
    dry_run: Option<Box<str>>,
    cost: Option<Box<str>>,
    cache_ttl: Option<Box<str>>,
    /// The path asks for a route, and no more.
    quotes: bool,
}

impl Hints {
    /// What the head says. `has_ours`: it has fields that are meant for the gateway; `quotes`: its path asks for a route.
    pub(super) fn of(
        head: &RequestHead<'_, '_>,
        watch: &Watch,
        has_ours: bool,
        quotes: bool,
    ) -> Option<Box<Self>> {
        let names_fields = !watch.headers.is_empty() || !watch.tags.is_empty();
        if !has_ours && !quotes && !names_fields && !watch.needs.shape {
            return None;
        }
        let field = |name: &[u8]| text(head.header(name));
        let ours = |name: &[u8]| field(name).filter(|_| has_ours).map(Into::into);
        let headers = watch.headers.iter();
        let tagged = TAGS.iter().find_map(|name| field(name)).unwrap_or_default();
        Some(Box::new(Self {
            headers: headers
                .map(|name| field(name.as_bytes()).unwrap_or_default().into())
                .collect(),
            tags: watch.tags.iter().map(|name| tag(tagged, name).into()).collect(),
            session: SESSION.iter().find_map(|name| field(name)).map(Into::into),
            instead: ours(b"x-faregate-model"),
            difficulty: ours(b"x-faregate-difficulty"),
            dry_run: ours(b"x-faregate-dry-run"),
            cost: ours(b"x-faregate-cost"),
            cache_ttl: ours(b"x-faregate-cache-ttl"),
            quotes,
        }))
    }

    /// The same for decisions.
    ///
    /// # Errors
    ///
    /// `MalformedRequest` where a field of ours is not what it must be.
    pub(super) fn asks(&self) -> Result<Asks<'_>, Refusal> {
        let difficulty = self.difficulty.as_deref().map(|text| {
            let number = text.parse::<f64>().ok().filter(|number| (0.0..=1.0).contains(number));
            number.ok_or_else(|| malformed("x-faregate-difficulty", "a number from 0 to 1"))
        });
        for (field, value) in
            [("x-faregate-dry-run", &self.dry_run), ("x-faregate-cost", &self.cost)]
        {
            if !matches!(value.as_deref(), None | Some("true" | "1" | "false" | "0")) {
                return Err(malformed(field, "true or false"));
            }
        }
        Ok(Asks {
            headers: &self.headers,
            tags: &self.tags,
            session: self.session.as_deref(),
            instead: self.instead.as_deref(),
            difficulty: difficulty.transpose()?,
            ..Asks::default()
        })
    }

    /// Whether a route is asked for, and no more.
    pub(super) fn is_dry_run(&self) -> bool {
        self.quotes || matches!(self.dry_run.as_deref(), Some("true" | "1"))
    }

    /// How long the answer is to be kept.
    pub(super) fn cache_ttl(&self) -> Option<&str> {
        self.cache_ttl.as_deref()
    }

    /// Whether a stream is to say at its end what it has cost.
    pub(super) fn wants_cost(&self) -> bool {
        matches!(self.cost.as_deref(), Some("true" | "1"))
    }
}

fn malformed(field: &'static str, takes: &str) -> Refusal {
    Refusal::new(Fault::MalformedRequest, format!("{field} is {takes}")).about(field)
}

/// A field's value, where it is a text that is not empty.
fn text(value: Option<&[u8]>) -> Option<&str> {
    let text = std::str::from_utf8(value?).ok()?.trim();
    (!text.is_empty()).then_some(text)
}

/// The value of a tag in `a=b, c`: what is behind its `=`, or `true` where it stands alone.
fn tag<'t>(tags: &'t str, name: &str) -> &'t str {
    let mut pairs = tags.split(',').map(|pair| pair.split_once('=').unwrap_or((pair, "true")));
    pairs.find(|(found, _)| found.trim() == name).map_or("", |(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_have_values_or_are_true() {
        let tags = "job=nightly, prod,a = b,empty=";
        for (name, value) in
            [("job", "nightly"), ("prod", "true"), ("a", "b"), ("empty", ""), ("none", "")]
        {
            assert_eq!(tag(tags, name), value, "{name}");
        }
    }

    #[test]
    fn what_our_fields_say_is_checked() {
        let asks = |difficulty: &str, dry_run: &str| {
            let hints = Hints {
                difficulty: Some(difficulty.into()),
                dry_run: Some(dry_run.into()),
                ..Hints::default()
            };
            let read = hints.asks().map(|asks| asks.difficulty);
            read.map_err(|refusal| refusal.param.map(String::from).unwrap_or_default())
        };
        assert_eq!(asks("0.25", "true"), Ok(Some(0.25)));
        for wrong in ["1.5", "-1", "hard", "NaN", "inf"] {
            assert_eq!(asks(wrong, "false"), Err("x-faregate-difficulty".to_owned()), "{wrong}");
        }
        assert_eq!(asks("1", "yes"), Err("x-faregate-dry-run".to_owned()));
    }
}
