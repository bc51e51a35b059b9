//! The policy file, read whole: every mistake of it is found at once.
//!
//! In: TOML. Out: a [`Policy`], or everything that is wrong with the text. Which keys there are and
//! what they take says [`crate::reference`]; the files below this one say what the values mean
//! together.
//! Format: <https://toml.io/en/v1.1.0>

mod answers;
mod attribution;
mod budgets;
mod cache;
mod callers;
mod crowd;
mod keys;
mod limits;
mod models;
mod moment;
mod places;
mod prices;
mod providers;
mod route;
mod section;
mod server;
mod shared;
mod url;
mod webhook;

use std::{
    cell::{Cell, RefCell},
    ops::Range,
    sync::Arc,
};

use toml::de::DeTable;

use crate::{
    environment,
    policy::Policy,
    problem::{PROBLEMS_MAX, Problem, Problems},
    retry::RetryBudget,
};
use limits::Scopes;
pub(crate) use places::read_places;
use section::Section;
pub(crate) use url::is_private;

/// Bytes of a policy file.
const FILE_BYTES_MAX: usize = 64 << 20;

/// Where something stands in the text.
pub(crate) type Span = Range<usize>;

/// A text of the file.
#[derive(Clone, Debug)]
pub(crate) struct Word<'d> {
    /// Itself.
    pub(crate) text: &'d str,
    /// Where it stands, quotes included.
    pub(crate) span: Span,
}

/// What has been found in a text so far.
pub(crate) struct Reader<'d> {
    file: &'d str,
    text: &'d str,
    drafts: RefCell<Vec<Draft>>,
    /// What must not be repeated in a message.
    secrets: RefCell<Vec<Span>>,
    /// How many problems and how many warnings are still taken.
    room: [Cell<usize>; 2],
}

struct Draft {
    /// `None`: the file as a whole.
    span: Option<Span>,
    reason: String,
    help: Option<String>,
    weight: Weight,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Weight {
    /// Not TOML.
    Syntax,
    /// Wrong where it stands, whatever the rest says.
    Wrong,
    /// Wrong beside the rest; not worth saying of a text that is not TOML, where some of the rest
    /// is lost.
    Together,
    /// Allowed.
    Warning,
}

/// Reads a policy.
pub(crate) fn compile(
    text: &str,
    file: &str,
    cores: usize,
    previous: Option<&Policy>,
) -> Result<Policy, Problems> {
    if text.len() > FILE_BYTES_MAX {
        let reason = format!("the file has {} bytes, more than {FILE_BYTES_MAX}", text.len());
        return Err(Problems(vec![Problem::of_file(file, (reason, None))]));
    }
    let (document, errors) = DeTable::parse_recoverable(text);
    let reader = Reader::new(file, text);
    for error in errors {
        reader.syntax(error.span().unwrap_or_default(), error.message());
    }
    let policy = {
        let root = Section::root(&reader, document.get_ref());
        read(&reader, &root, cores, previous)
    };
    reader.finish(policy)
}

fn read(
    reader: &Reader<'_>,
    root: &Section<'_, '_>,
    cores: usize,
    previous: Option<&Policy>,
) -> Policy {
    let table = root.table("server");
    let mut server = server::read(reader, &table);
    let retries = server::retries(reader, &root.table("retries"));
    let breaker = server::breaker(reader, &root.table("breaker"));
    let providers = providers::read(reader, root, &server);
    server.passthrough = providers::passthrough(reader, &table, &providers);
    let table_of_budgets = root.table("budgets");
    let calendar = budgets::calendar(reader, &table_of_budgets);
    let room = table_of_budgets.number("scopes_max");
    let webhook = webhook::read(reader, &table_of_budgets);
    let mut scopes = Scopes::new(cores, calendar, previous);
    let models::Read { mut models, mut targets, watch, limited, by_cost } =
        models::read(reader, root, &providers, breaker, previous, &mut scopes);
    let prices = prices::read(reader, root, &server, (&providers, &targets));
    models::price(reader, &by_cost, &prices, &mut targets);
    models.find_dearest(&targets);
    let crowd = crowd::read(reader, root, &mut scopes, (limited, room), previous);
    let mut book = callers::Book::new(reader, &models, scopes);
    book.read(root, &table, &server.listen);
    let (keys, scopes) = book.close();
    let ledger = root.table("ledger");
    let retry_budget = match previous {
        Some(previous) => Arc::clone(&previous.retry_budget),
        None => Arc::new(RetryBudget::new(cores)),
    };
    Policy {
        server,
        ledger: server::ledger(&ledger),
        keep: server::keep(&ledger),
        budget_store: shared::store(reader, &table_of_budgets.table("store")),
        attribution: attribution::read(reader, root),
        answers: answers::read(reader, root, &models),
        providers,
        targets,
        models,
        watch,
        difficulty: route::weights(reader, &root.table("difficulty")),
        keys,
        scopes,
        crowd,
        retries,
        retry_budget,
        breaker,
        prices,
        webhook,
        warnings: Vec::new(),
    }
}

impl<'d> Reader<'d> {
    fn new(file: &'d str, text: &'d str) -> Self {
        let room = [Cell::new(PROBLEMS_MAX), Cell::new(PROBLEMS_MAX)];
        Self { file, text, drafts: RefCell::default(), secrets: RefCell::default(), room }
    }

    /// Notes what is wrong by itself. An empty help is none.
    pub(crate) fn wrong(&self, span: &Span, reason: impl Into<String>, help: impl Into<String>) {
        self.note(Some(span.clone()), reason.into(), help.into(), Weight::Wrong);
    }

    /// Notes what is wrong beside other parts of the file.
    pub(crate) fn clash(&self, span: &Span, reason: impl Into<String>, help: impl Into<String>) {
        self.note(Some(span.clone()), reason.into(), help.into(), Weight::Together);
    }

    /// Notes what the file lacks as a whole.
    pub(crate) fn lacks(&self, reason: impl Into<String>, help: impl Into<String>) {
        self.note(None, reason.into(), help.into(), Weight::Together);
    }

    /// Notes what is allowed and yet worth a look.
    pub(crate) fn warn(
        &self,
        span: Option<&Span>,
        reason: impl Into<String>,
        help: impl Into<String>,
    ) {
        self.note(span.cloned(), reason.into(), help.into(), Weight::Warning);
    }

    /// Where a part of a word stands; the whole word where that cannot be told, because it is spelled with escapes.
    pub(crate) fn inside(&self, word: &Word<'_>, part: &Range<usize>) -> Span {
        let raw = self.text.get(word.span.clone()).unwrap_or_default();
        match raw.find(word.text) {
            Some(at) if !word.text.is_empty() => {
                let start = word.span.start + at;
                start + part.start..start + part.end
            }
            _ => word.span.clone(),
        }
    }

    /// Help that takes time to find; none when nothing more is noted.
    pub(crate) fn help(&self, find: impl FnOnce() -> String) -> String {
        if self.room[0].get() == 0 { String::new() } else { find() }
    }

    /// Masks a value of the text, but for its quotes, in every message.
    pub(crate) fn hide(&self, span: &Span) {
        let quote = |at: usize| matches!(self.text.as_bytes().get(at), Some(b'"' | b'\''));
        let start = span.start + usize::from(quote(span.start));
        let end = span.end - usize::from(span.end > start && quote(span.end - 1));
        self.secrets.borrow_mut().push(start..end);
    }

    /// Whether the text was made of the environment.
    pub(crate) fn is_environment(&self) -> bool {
        self.file == environment::FILE
    }

    fn syntax(&self, span: Span, message: &str) {
        let reason = message.trim_end_matches(", expected nothing");
        let help = match reason {
            "duplicate key" => "a table or key is written once; put both parts together",
            _ if reason.contains("basic string") => {
                "close the text with \" on its line; \\ in it is written \\\\"
            }
            _ if reason.starts_with("string values must be quoted") => "put the text in quotes",
            _ if reason.starts_with("invalid float") || reason.starts_with("invalid integer") => {
                "a text stands in quotes, and so does a number with a unit: \"30s\""
            }
            _ => "",
        };
        self.note(Some(span), reason.to_owned(), help.to_owned(), Weight::Syntax);
    }

    fn note(&self, span: Option<Span>, reason: String, help: String, weight: Weight) {
        let help = (!help.is_empty()).then_some(help);
        // Warnings never crowd out what is wrong: each kind has its own room.
        let room = &self.room[usize::from(weight == Weight::Warning)];
        if let Some(left) = room.get().checked_sub(1) {
            room.set(left);
            self.drafts.borrow_mut().push(Draft { span, reason, help, weight });
        }
    }

    fn finish(self, mut policy: Policy) -> Result<Policy, Problems> {
        let mut drafts = self.drafts.take();
        drafts.sort_by_key(|draft| draft.span.as_ref().map(|span| span.start));
        let broken: Vec<usize> = drafts
            .iter()
            .filter(|draft| draft.weight == Weight::Syntax)
            .filter_map(|draft| draft.span.as_ref().map(|span| self.line(span)))
            .collect();
        let secrets = self.secrets.take();
        let place = (self.file, self.text);
        let (mut problems, mut warnings) = (Vec::new(), Vec::new());
        for Draft { span, reason, help, weight } in drafts {
            let on_broken = span.as_ref().is_some_and(|span| broken.contains(&self.line(span)));
            match weight {
                Weight::Together if !broken.is_empty() => continue,
                Weight::Wrong if on_broken => continue,
                _ => {}
            }
            let problem = match span {
                Some(span) => Problem::at(place, span, &secrets, (reason, help)),
                None => Problem::of_file(self.file, (reason, help)),
            };
            if weight == Weight::Warning { &mut warnings } else { &mut problems }.push(problem);
        }
        if !problems.is_empty() {
            return Err(Problems(problems));
        }
        policy.warnings = warnings;
        Ok(policy)
    }

    fn line(&self, span: &Span) -> usize {
        let end = span.start.min(self.text.len());
        self.text.as_bytes()[..end].iter().filter(|&&b| b == b'\n').count()
    }
}
