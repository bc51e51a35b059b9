//! Whom and what a request is for, as its client says: an end user, a session, a workload, tags.
//!
//! In: the head's fields, then the members of the body, and the policy's lists of places to look at. Out: [`Labels`].
//! Nothing is remembered. What a client says is a claim: it divides a caller's spend, and never makes another caller of it.
//!
//! Of several places the first of the list that says something counts. A text that is too long to keep is kept as its
//! digest, so that two texts never become one.

use faregate_wire::Json;
use sha2::{Digest, Sha256};

use crate::workload::{self, Heard, Workloads};

/// The longest name of a user, a session or a value of a tag, in bytes.
pub const LABEL_BYTES_MAX: usize = 128;

/// The longest name of a tag, in bytes.
pub const TAG_NAME_BYTES_MAX: usize = 64;

/// Tags of one request; more are not kept.
pub const TAGS_MAX: usize = 16;

/// What stands for the value of a tag that has none.
const PRESENT: &str = "true";

/// The members of a body that can be looked at: the dialects' scans find these.
pub const BODY_MEMBERS: [&str; 6] =
    ["user", "safety_identifier", "metadata", "session_id", "prompt_cache_key", "labels"];

/// Head fields of the gateways and tools of the field, taken for the user's name unless the policy says otherwise.
pub const USER_DEFAULT: &[&str] = &[
    "header:x-faregate-user",
    "header:x-litellm-end-user-id",
    "header:x-litellm-customer-id",
    "header:helicone-user-id",
    "body:safety_identifier",
    "body:user",
    "body:metadata.user_id",
];

/// The same for the session.
pub const SESSION_DEFAULT: &[&str] = &[
    "header:x-faregate-session",
    "header:x-session-id",
    "header:x-litellm-session-id",
    "header:x-bf-session-id",
    "header:helicone-session-id",
    "body:session_id",
    "body:prompt_cache_key",
    "header:x-claude-code-session-id",
    "header:session-id",
    "header:session_id",
    "header:x-session-affinity",
];

/// The same for the workload.
pub const WORKLOAD_DEFAULT: &[&str] = &["header:x-faregate-workload"];

/// Where something is read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A head field, lower case.
    Header(Box<str>),
    /// A member of the body, by its path; the first step is one of [`BODY_MEMBERS`].
    Body(Vec<Box<str>>),
}

/// Why a text names no place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoPlace {
    /// What is wrong.
    pub reason: String,
    /// What would be right.
    pub help: String,
}

impl Place {
    /// Reads `header:NAME` or `body:MEMBER.MEMBER`.
    ///
    /// # Errors
    ///
    /// [`NoPlace`] for anything else.
    pub fn parse(text: &str) -> Result<Self, NoPlace> {
        let help = || {
            format!(
                "for example header:x-user, body:user; of the body: {}",
                BODY_MEMBERS.join(", ")
            )
        };
        let wrong = |reason: String| NoPlace { reason, help: help() };
        if let Some(name) = text.strip_prefix("header:") {
            let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
            return if !name.is_empty() && name.bytes().all(is_token) {
                Ok(Self::Header(name.to_ascii_lowercase().into()))
            } else {
                Err(wrong(format!("`{name}` is no name of a head field")))
            };
        }
        let Some(path) = text.strip_prefix("body:") else {
            return Err(wrong(format!("`{text}` is neither header:NAME nor body:MEMBER")));
        };
        let steps: Vec<Box<str>> = path.split('.').map(Into::into).collect();
        if steps.iter().any(|step| step.is_empty()) {
            return Err(wrong(format!("`{path}` has a step without a name")));
        }
        match steps.first() {
            Some(first) if BODY_MEMBERS.contains(&&**first) => Ok(Self::Body(steps)),
            _ => Err(wrong(format!("the member `{path}` is not looked for in bodies"))),
        }
    }
}

/// Where users, sessions and tags are read from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribution {
    /// Places of the user's name, the first that says something counts.
    pub user: Vec<Place>,
    /// Places of the session's name.
    pub session: Vec<Place>,
    /// Places of the workload's name, where no workload of the policy matches.
    pub workload: Vec<Place>,
    /// Workloads that the policy tells by what requests have.
    pub workloads: Workloads,
    /// Tags and where each is read.
    pub tags: Vec<(Box<str>, Place)>,
    /// Whether head fields and metadata that the field uses for tags make tags, too.
    pub conventions: bool,
}

impl Default for Attribution {
    fn default() -> Self {
        let places =
            |texts: &[&str]| texts.iter().filter_map(|text| Place::parse(text).ok()).collect();
        Self {
            user: places(USER_DEFAULT),
            session: places(SESSION_DEFAULT),
            workload: places(WORKLOAD_DEFAULT),
            workloads: Workloads::default(),
            tags: Vec::new(),
            conventions: true,
        }
    }
}

/// What a request says of itself. Texts that it does not say are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Labels {
    /// The end user.
    pub user: Box<str>,
    /// The session or conversation.
    pub session: Box<str>,
    /// The workload: as the policy matches it, else as the client names it. It is also a tag of that name.
    pub workload: Box<str>,
    /// Tags, sorted by name, each name once.
    pub tags: Vec<(Box<str>, Box<str>)>,
    /// The workload as the client names it.
    named: Box<str>,
    /// What the policy's workloads look at.
    heard: Heard,
    /// Places before this one have said nothing: for what the body says later.
    ranks: [usize; 3],
}

impl Attribution {
    /// What the head says. Its fields come in any order.
    #[must_use]
    pub fn of_head<'b>(&self, fields: impl Iterator<Item = (&'b [u8], &'b [u8])>) -> Labels {
        let mut labels = Labels { ranks: [usize::MAX; 3], ..Labels::default() };
        for (name, value) in fields {
            self.hear_field(&mut labels, name, value);
        }
        self.tell_workload(&mut labels);
        labels
    }

    /// Adds what the body says; `member` finds a top-level member.
    pub fn add_body<'b>(&self, labels: &mut Labels, member: impl Fn(&str) -> Option<Json<'b>>) {
        let find = |path: &[Box<str>]| {
            let (first, rest) = path.split_first()?;
            rest.iter()
                .try_fold(member(first)?, |at, step| at.get(step))
                .filter(|found| !found.is_null())
        };
        for (index, places) in [&self.user, &self.session, &self.workload].into_iter().enumerate() {
            let before = labels.ranks[index].min(places.len());
            for (rank, place) in places.iter().enumerate().take(before) {
                let Place::Body(path) = place else { continue };
                let Some(text) = find(path).and_then(scalar) else { continue };
                if labels.set(index, rank, text.trim()) {
                    break;
                }
            }
        }
        if self.conventions {
            for members in ["metadata", "labels"] {
                let Some(object) = member(members).filter(|found| found.is_object()) else {
                    continue;
                };
                for (name, value) in object.members().filter(|(name, _)| *name != "user_id") {
                    if let Some(text) = scalar(value) {
                        labels.tag(&name, text.trim());
                    }
                }
            }
        }
        for (name, place) in &self.tags {
            if let Place::Body(path) = place
                && let Some(text) = find(path).and_then(scalar)
            {
                labels.named_tag(name, text.trim());
            }
        }
        self.tell_workload(labels);
    }

    /// Says which workload it is by what is known so far, and makes a tag of it: so the books have it.
    fn tell_workload(&self, labels: &mut Labels) {
        let found = match self.workloads.find(labels.heard, &labels.tags) {
            Some(matched) => matched.into(),
            None if labels.named.is_empty() => {
                let tag = labels.tags.iter().find(|(name, _)| **name == *workload::TAG);
                tag.map(|(_, value)| value.clone()).unwrap_or_default()
            }
            None => labels.named.clone(),
        };
        if !found.is_empty() {
            labels.tags.retain(|(name, _)| **name != *workload::TAG);
            // Of too many tags, another one is not kept.
            labels.tags.truncate(TAGS_MAX - 1);
            labels.tag(workload::TAG, &found);
        }
        labels.workload = found;
    }

    fn hear_field(&self, labels: &mut Labels, name: &[u8], value: &[u8]) {
        let Ok(value) = std::str::from_utf8(value) else { return };
        let value = value.trim();
        if value.is_empty() {
            return;
        }
        self.workloads.hear(&mut labels.heard, name, value);
        let is = |place: &Place| matches!(place, Place::Header(own) if name.eq_ignore_ascii_case(own.as_bytes()));
        for (index, places) in [&self.user, &self.session, &self.workload].into_iter().enumerate() {
            let rank = places.iter().take(labels.ranks[index].min(places.len())).position(is);
            if let Some(rank) = rank {
                labels.set(index, rank, value);
            }
        }
        let mut named = self.tags.iter().filter(|(_, place)| is(place)).peekable();
        if named.peek().is_none() && self.conventions {
            labels.hear_convention(name, value);
        }
        for (tag, _) in named {
            labels.named_tag(tag, value);
        }
    }
}

impl Labels {
    fn set(&mut self, index: usize, rank: usize, text: &str) -> bool {
        let Some(text) = kept(text, LABEL_BYTES_MAX) else { return false };
        let place = match index {
            0 => &mut self.user,
            1 => &mut self.session,
            _ => &mut self.named,
        };
        *place = text;
        self.ranks[index] = rank;
        true
    }

    /// Adds a tag that the policy names, in place of one that a convention has made.
    fn named_tag(&mut self, name: &str, value: &str) {
        self.tags.retain(|(own, _)| **own != *name);
        self.tag(name, value);
    }

    /// Adds a tag, unless there is one of that name.
    fn tag(&mut self, name: &str, value: &str) {
        let (Some(name), Some(value)) =
            (kept(name, TAG_NAME_BYTES_MAX), kept(value, LABEL_BYTES_MAX))
        else {
            return;
        };
        if let Err(place) = self.tags.binary_search_by(|(own, _)| (**own).cmp(&*name))
            && self.tags.len() < TAGS_MAX
        {
            self.tags.insert(place, (name, value));
        }
    }

    /// Head fields that others read as tags: lists (`x-litellm-tags`), one field a tag (`x-bf-dim-*`,
    /// `helicone-property-*`), JSON objects (`x-portkey-metadata`, `cf-aig-metadata`).
    fn hear_convention(&mut self, name: &[u8], value: &str) {
        // Most fields are told by their first byte.
        if !matches!(name.first(), Some(b'x' | b'X' | b'h' | b'H' | b'c' | b'C')) {
            return;
        }
        if [&b"x-faregate-tags"[..], b"x-litellm-tags"]
            .iter()
            .any(|own| name.eq_ignore_ascii_case(own))
        {
            for item in value.split(',').map(str::trim).filter(|item| !item.is_empty()) {
                let (name, value) = item.split_once(['=', ':']).unwrap_or((item, PRESENT));
                self.tag(name.trim(), value.trim());
            }
            return;
        }
        for start in [&b"x-bf-dim-"[..], b"helicone-property-"] {
            if let Some((own, rest)) = name.split_at_checked(start.len())
                && own.eq_ignore_ascii_case(start)
                && let Ok(rest) = std::str::from_utf8(rest)
            {
                self.tag(&rest.to_ascii_lowercase(), value);
                return;
            }
        }
        if [&b"x-portkey-metadata"[..], b"cf-aig-metadata"]
            .iter()
            .any(|own| name.eq_ignore_ascii_case(own))
            && let Some(object) = Json::new(value.as_bytes())
        {
            for (name, value) in object.members() {
                if let Some(text) = scalar(value) {
                    self.tag(&name, text.trim());
                }
            }
        }
    }
}

/// A text, a number or a truth value as text.
fn scalar(value: Json<'_>) -> Option<std::borrow::Cow<'_, str>> {
    if value.is_string() {
        return value.str();
    }
    let is_plain = !value.is_object() && !value.is_array() && !value.is_null();
    is_plain.then(|| String::from_utf8_lossy(value.raw()))
}

/// The text as it is kept: without control characters, and not longer than `max`.
fn kept(text: &str, max: usize) -> Option<Box<str>> {
    if text.is_empty() {
        return None;
    }
    if text.len() > max || text.chars().any(char::is_control) {
        let digest = Sha256::digest(text.as_bytes());
        let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        return Some(format!("sha256:{hex}").into());
    }
    Some(text.into())
}

#[cfg(all(test, not(loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn heard(attribution: &Attribution, fields: &[(&str, &str)], body: &str) -> Labels {
        let fields = fields.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let mut labels = attribution.of_head(fields);
        let body = Json::new(body.as_bytes()).unwrap();
        attribution.add_body(&mut labels, |name| body.get(name));
        labels
    }

    fn tags(labels: &Labels) -> Vec<(&str, &str)> {
        labels.tags.iter().map(|(name, value)| (&**name, &**value)).collect()
    }

    #[test]
    fn the_first_place_that_says_something_counts_wherever_it_stands() {
        let usual = Attribution::default();
        let own = [("X-LiteLLM-End-User-Id", "from litellm"), ("x-faregate-user", " anna ")];
        assert_eq!(&*heard(&usual, &own, r#"{"user":"body"}"#).user, "anna");
        assert_eq!(&*heard(&usual, &own[..1], r#"{"user":"body"}"#).user, "from litellm");
        assert_eq!(
            &*heard(&usual, &[], r#"{"user":"body","metadata":{"user_id":"m"}}"#).user,
            "body"
        );
        assert_eq!(
            &*heard(&usual, &[("x-faregate-user", " ")], r#"{"metadata":{"user_id":"m"}}"#).user,
            "m"
        );
        assert_eq!(&*heard(&usual, &[], r#"{"user":null}"#).user, "");
        let key = r#"{"prompt_cache_key":"k"}"#;
        assert_eq!(&*heard(&usual, &[("session_id", "codex")], key).session, "k");
        assert_eq!(&*heard(&usual, &[("session_id", "codex")], "{}").session, "codex");
        assert_eq!(&*heard(&usual, &[("x-session-id", "s")], key).session, "s");
    }

    #[test]
    fn tags_of_the_field_are_understood_and_those_of_the_policy_win() {
        let mut attribution = Attribution::default();
        attribution.tags.push(("env".into(), Place::parse("header:x-env").unwrap()));
        attribution.tags.push(("app".into(), Place::parse("body:metadata.application").unwrap()));
        let fields = [
            ("x-litellm-tags", "batch, feature:search,env=litellm,"),
            ("X-BF-Dim-Region", "eu"),
            ("Helicone-Property-Env", "helicone"),
            ("x-portkey-metadata", r#"{"env":"portkey","n":3,"deep":{}}"#),
            ("x-env", "prod"),
        ];
        let labels =
            heard(&attribution, &fields, r#"{"metadata":{"application":"a","user_id":"u"}}"#);
        assert_eq!(
            tags(&labels),
            [
                ("app", "a"),
                ("application", "a"),
                ("batch", "true"),
                ("env", "prod"),
                ("feature", "search"),
                ("n", "3"),
                ("region", "eu"),
            ]
        );
        attribution.conventions = false;
        let labels = heard(&attribution, &fields, r#"{"metadata":{"application":"a"}}"#);
        assert_eq!(tags(&labels), [("app", "a"), ("env", "prod")]);
    }

    #[test]
    fn a_workload_is_what_the_policy_matches_and_else_what_the_client_names() {
        let mut attribution = Attribution::default();
        let pair = |name: &str, value: &str| vec![(name.into(), value.into())];
        attribution.workloads.add("faq", pair("x-app", "faq"), Vec::new()).unwrap();
        attribution.workloads.add("nightly", Vec::new(), pair("run", "night")).unwrap();
        let told = |fields: &[(&str, &str)], body: &str| {
            let labels = heard(&attribution, fields, body);
            let tag = labels.tags.iter().find(|(name, _)| &**name == "workload");
            assert_eq!(tag.map_or("", |(_, value)| value), &*labels.workload);
            assert!(labels.tags.len() <= TAGS_MAX);
            labels.workload.to_string()
        };
        let named = ("x-faregate-workload", "mine");
        assert_eq!(told(&[named], "{}"), "mine");
        assert_eq!(told(&[named, ("X-App", "faq")], "{}"), "faq");
        assert_eq!(told(&[named, ("x-app", "other")], "{}"), "mine");
        assert_eq!(told(&[named], r#"{"metadata":{"run":"night"}}"#), "nightly");
        assert_eq!(told(&[], r#"{"metadata":{"workload":"tagged"}}"#), "tagged");
        assert_eq!(told(&[named], r#"{"metadata":{"workload":"tagged"}}"#), "mine");
        assert_eq!(told(&[], "{}"), "");
        let many: Vec<String> = (10..40).map(|n| format!("t{n}")).collect();
        assert_eq!(told(&[named, ("x-faregate-tags", &many.join(","))], "{}"), "mine");
    }

    #[test]
    fn long_and_unclean_texts_stay_different() {
        let usual = Attribution::default();
        let user = |text: &str| heard(&usual, &[("x-faregate-user", text)], "{}").user;
        let (one, two) = ("a".repeat(200), format!("{}b", "a".repeat(199)));
        assert!(user(&one).starts_with("sha256:") && user(&one) != user(&two));
        assert!(user(&one).len() <= LABEL_BYTES_MAX);
        let unclean = heard(&usual, &[], r#"{"user":"a\nb"}"#).user;
        assert!(unclean.starts_with("sha256:"), "{unclean}");
    }

    #[test]
    fn what_is_no_place_is_said_to_be_none() {
        for (text, reason) in [
            ("x-user", "neither"),
            ("header:", "no name"),
            ("header:a b", "no name"),
            ("body:messages", "not looked for"),
            ("body:metadata..x", "without a name"),
        ] {
            let error = Place::parse(text).unwrap_err();
            assert!(
                error.reason.contains(reason) && error.help.contains("header:x-user"),
                "{error:?}"
            );
        }
        assert_eq!(Place::parse("header:X-User"), Ok(Place::Header("x-user".into())));
        let usual = Attribution::default();
        assert_eq!(
            (usual.user.len(), usual.session.len()),
            (USER_DEFAULT.len(), SESSION_DEFAULT.len())
        );
    }

    proptest! {
        #[test]
        fn labels_are_bounded_and_sorted(
            fields in prop::collection::vec(("[a-zA-Z-]{1,20}|x-litellm-tags|x-bf-dim-[a-z]{1,90}", "(?s).{0,300}"), 0..40),
        ) {
            let fields: Vec<_> = fields.iter().map(|(name, value)| (&**name, &**value)).collect();
            let labels = heard(&Attribution::default(), &fields, "{}");
            prop_assert!(labels.tags.len() <= TAGS_MAX);
            prop_assert!(labels.tags.windows(2).all(|pair| pair[0].0 < pair[1].0));
            let texts = labels.tags.iter().flat_map(|(name, value)| [name, value]);
            for text in texts.chain([&labels.user, &labels.session]) {
                prop_assert!(text.len() <= LABEL_BYTES_MAX && !text.chars().any(char::is_control));
            }
        }
    }
}
