//! The policy as validated: what the file says, with every reference resolved and every default
//! filled in.

use std::{borrow::Cow, fmt, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use faregate_adapters::{dialect::Form, kind::Kind, quirks::Quirks, surface::Family};
use faregate_price::Catalogue;

use crate::{
    attribution::Attribution,
    budget::Budget,
    cache::{PromptCache, answers::Answers},
    caller::{Caller, Keys},
    crowd::Crowd,
    health::{Breaker, BreakerSettings},
    key,
    models::Models,
    pattern::Pattern,
    prices::{Priced, Prices},
    problem::{Problem, Problems},
    rate::Pool,
    retry::RetryBudget,
    route::{Gauge, Weights},
    rule::Watch,
    webhook::Webhook,
};

/// A whole policy, as every core sees it until the next one takes its place.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The process itself: where it listens and what it allows a client.
    pub server: Server,
    /// Where the books are kept; read at the start only.
    pub ledger: Ledger,
    /// How long rows are kept; `None`: always. Sums of hours and days are.
    pub keep: Option<Duration>,
    /// Where budgets of money are leased from that other gateways spend, too; read at the start only.
    pub budget_store: Option<BudgetStore>,
    /// Where users, sessions and tags of requests are read from.
    pub attribution: Attribution,
    /// Which answers are kept to be given again.
    pub answers: Answers,
    /// Who is spoken to, in the order of the file.
    pub providers: Vec<Provider>,
    /// Every place a request may go: those of the models, and one of each provider for
    /// `provider/model`.
    pub targets: Vec<Target>,
    /// Names that clients ask for.
    pub models: Models,
    /// What the rules of the models look at.
    pub watch: Watch,
    /// What makes a request look hard.
    pub difficulty: Weights,
    /// Who may call.
    pub keys: Keys,
    /// Everything that has limits.
    pub scopes: Vec<Scope>,
    /// Users, sessions and tags that have budgets.
    pub crowd: Crowd,
    /// What may be tried again.
    pub retries: Retries,
    /// Retries that the process has left. Taken over from the policy before.
    pub retry_budget: Arc<RetryBudget>,
    /// When a target counts as down.
    pub breaker: BreakerSettings,
    /// What targets cost.
    pub prices: Prices,
    /// Where operators are told of budgets that are used up, or nearly so.
    pub webhook: Option<Webhook>,
    /// What is allowed and yet worth a look.
    pub warnings: Vec<Problem>,
}

/// The process itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where clients connect. Never empty.
    pub listen: Vec<SocketAddr>,
    /// Where operators connect; `None`: nowhere.
    pub admin: Option<SocketAddr>,
    /// Cores to serve with; `None`: all there are.
    pub cores: Option<usize>,
    /// Whether each core's thread stays on its core.
    pub pin: bool,
    /// How cores wait for their sockets.
    pub driver: DriverWish,
    /// Certificate for clients; `None`: they speak in the clear.
    pub tls: Option<ServerTls>,
    /// Client connections at a time, over all cores.
    pub connections: u32,
    /// Bytes of a request's head.
    pub head_bytes: usize,
    /// Fields of a request's head.
    pub headers: usize,
    /// Bytes of a request's body.
    pub body_bytes: u64,
    /// How long a client may take, and how long it may have to wait.
    pub deadlines: ServerDeadlines,
    /// Where a line for each request goes.
    pub access_log: AccessLog,
    /// What operators are told.
    pub log_level: LogLevel,
    /// The provider of the paths of OpenAI's API that name no model: index into [`Policy::providers`].
    pub passthrough: Option<usize>,
    /// Whether a request that its target's dialect cannot say whole is refused.
    pub strict_translation: bool,
    /// What becomes of stored responses that this process has not seen made.
    pub unknown_responses: UnknownResponses,
    /// Where stored responses are noted for the next start.
    pub responses_file: ResponsesFile,
    /// What becomes of requests without a price, where a limit counts money.
    pub unpriced: Unpriced,
    /// The catalogue of prices to use instead of the one that comes with the program. The gateway reads it and hands it to
    /// [`Policy::use_catalogue`].
    pub price_catalogue: Option<PathBuf>,
}

/// Where stored responses are noted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ResponsesFile {
    /// In the user's data folder, where there is one.
    #[default]
    Auto,
    /// In this file.
    At(PathBuf),
    /// Nowhere: they are unknown after a restart.
    Off,
}

/// Where the books are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ledger {
    /// In the user's data folder, where there are budgets, and nowhere else: a row is no small part of a small request.
    #[default]
    WithBudgets,
    /// In the user's data folder, if it can be written; a policy with budgets does not start without.
    Auto,
    /// Nowhere: nothing is written down, and budgets begin anew with each start.
    Off,
    /// In this folder.
    At(PathBuf),
}

/// What becomes of a request whose target has no price, where a limit counts money.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unpriced {
    /// It is refused.
    #[default]
    Refuse,
    /// It passes and costs nothing.
    Free,
}

/// What becomes of requests for stored responses that this process has not seen made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnknownResponses {
    /// They pass where there is but one caller to keep apart.
    #[default]
    Auto,
    /// They are refused.
    Refuse,
    /// They pass to the provider that other paths without a model go to.
    Pass,
}

/// How cores wait for their sockets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriverWish {
    /// `io_uring` where the kernel allows it, else epoll.
    #[default]
    Auto,
    /// epoll.
    Epoll,
}

/// Certificate and key for clients, both PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerTls {
    /// The certificate and what vouches for it.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// How long a client may take, and how long it may have to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerDeadlines {
    /// From the first byte of a head to its end; also the TLS handshake.
    pub head: Duration,
    /// Between two requests of a connection.
    pub idle: Duration,
    /// From a request's head to the end of its body.
    pub body: Duration,
    /// Between two pieces of an answer that the client takes.
    pub stall: Duration,
    /// From a request's head to the end of its answer.
    pub total: Duration,
    /// What is under way may go on for so long when the process ends.
    pub drain: Duration,
    /// An idle connection to a provider is kept for so long.
    pub upstream_idle: Duration,
    /// A stream that is silent for so long gets a comment; `None`: never.
    pub keep_alive_comment: Option<Duration>,
}

/// Where a line for each request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessLog {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Nowhere.
    Off,
    /// A file, appended to.
    File(PathBuf),
}

/// What operators are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// What does not work.
    Error,
    /// And what may not work soon.
    Warn,
    /// And what changes.
    #[default]
    Info,
    /// And what is needed to find a mistake.
    Debug,
    /// And everything else.
    Trace,
}

impl LogLevel {
    /// The level as it is spelled in the policy.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Somebody who has models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// The name in the policy.
    pub name: Box<str>,
    /// What kind it is: how it is spoken to.
    pub kind: &'static Kind,
    /// The chats that it speaks; the first one is what others are translated into.
    pub forms: Vec<Form>,
    /// How it differs from the dialects it speaks.
    pub quirks: Quirks,
    /// Where it is, for kinds that need to know: `us-east-1`.
    pub region: Option<Box<str>>,
    /// The `api-version` of requests to it that name none.
    pub api_version: Option<Box<str>>,
    /// Where it listens. Empty only where a file says it.
    pub replicas: Vec<BaseUrl>,
    /// Where else is said where it listens.
    pub discovery: Discovery,
    /// Its key.
    pub api_key: Option<Secret>,
    /// Its keys, where it has several. Then there is no `api_key`.
    pub keys: Vec<ProviderKey>,
    /// Requests at a time at each of its targets, at most; `None`: any number.
    pub concurrency_max: Option<u64>,
    /// Head fields that every request to it carries: lower-case name and value.
    pub headers: Vec<(String, HeaderValue)>,
    /// Who may vouch for it, instead of the system's authorities: a PEM file.
    pub ca_file: Option<PathBuf>,
    /// Whether anybody may say that they are it.
    pub insecure_skip_verify: bool,
    /// How long it may take.
    pub deadlines: TargetDeadlines,
    /// Whether a replica is chosen by the prompts that it has read.
    pub by_prefix: bool,
    /// What is done about its prompt cache, where the model does not say.
    pub cache: Option<PromptCache>,
    /// The models that `provider/model` reaches; those without `*` are offered by `GET /v1/models`.
    pub models: Vec<Pattern>,
    /// Whether paths that Faregate does not know are passed to it.
    pub passthrough: bool,
}

/// One of several keys of a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderKey {
    /// What it is called in logs, books and figures.
    pub name: Box<str>,
    /// Where it is kept.
    pub secret: Secret,
}

/// Where else than in the policy is said where a provider listens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Discovery {
    /// Nowhere.
    #[default]
    None,
    /// Every address of the name in its one URL is a place.
    Dns,
    /// A file, one URL a line.
    File(PathBuf),
}

/// How bytes reach a replica.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// By TLS.
    Https,
    /// Through a Unix socket, in the clear.
    Unix(PathBuf),
}

/// One place where a provider listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    /// How bytes reach it.
    pub scheme: Scheme,
    /// Name or address, an IPv6 address in brackets; `localhost` for a Unix socket.
    pub host: String,
    /// Port; 0 for a Unix socket.
    pub port: u16,
    /// Goes before every path, without a slash at its end: `/v1`.
    pub path_prefix: String,
}

/// A store that gateways lease budgets of money from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BudgetStore {
    /// Where it is: `redis://host:6379/0`, or where that is kept.
    pub url: StoreUrl,
    /// What it is told to let the gateway in.
    pub password: Option<Secret>,
    /// What people call this gateway.
    pub node: Option<String>,
    /// What the names of its keys begin with.
    pub prefix: String,
    /// Replicas that must have a lease before it is spent.
    pub replicas: u64,
    /// What all gateways together may spend beyond a limit while the store cannot be asked, in nano-dollars, and how many
    /// gateways share it; `None`: nothing.
    pub overdraft: Option<(u64, u64)>,
}

/// Where a store is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreUrl {
    /// Here.
    Text(String),
    /// Where a secret place says, because it holds a password.
    Secret(Secret),
}

/// Where a secret is kept. The gateway fetches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// An environment variable.
    Env(String),
    /// A file; white space at its end does not count.
    File(PathBuf),
}

/// What a head field of ours holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderValue {
    /// As written in the policy.
    Plain(String),
    /// What the secret holds.
    Secret(Secret),
}

/// How long a target may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetDeadlines {
    /// To accept a connection, TLS included.
    pub connect: Duration,
    /// From the sent request to the first byte of an answer.
    pub first_byte: Duration,
    /// From the sent request to the first content of a stream.
    pub first_token: Duration,
    /// Between two events of a stream.
    pub between_tokens: Duration,
}

/// A place a request may go.
#[derive(Clone, Debug)]
pub struct Target {
    /// Index into [`Policy::providers`].
    pub provider: usize,
    /// The provider's name for the model; `*` in it stands for the name that the client asked for.
    pub model: Box<str>,
    /// `provider/model`, as in logs and headers.
    pub name: Box<str>,
    /// Whether it is failing. Targets of one name share it.
    pub breaker: Arc<Breaker>,
    /// How busy and how slow it is. Targets of one name share it.
    pub gauge: Arc<Gauge>,
    /// What a request of 1000 tokens that is answered with 200 costs there, in nano-dollars; `None` when that is not known, or
    /// depends on the model that is asked for.
    pub cost: Option<u64>,
    /// Its part of the requests, beside the weights of the model's other targets. At least 1.
    pub weight: u32,
}

impl Target {
    /// The model to ask the provider for when the client has asked for `asked`.
    #[must_use]
    pub fn model_for<'a>(&'a self, asked: &'a str) -> Cow<'a, str> {
        match self.model.split_once('*') {
            None => Cow::Borrowed(&self.model),
            Some(("", "")) => Cow::Borrowed(asked),
            Some((before, after)) => Cow::Owned(format!("{before}{asked}{after}")),
        }
    }
}

/// Something that has limits: the organisation, a team, a project, an agent, a key, a model.
#[derive(Clone, Debug)]
pub struct Scope {
    /// `organisation`, `team/search`, `project/search/ranking`, `agent/search/ranking/crawler`,
    /// `key/search-ci`, `model/default`.
    pub name: Box<str>,
    /// What it may use in any period, and at a time.
    pub limits: Vec<Limit>,
    /// What it may use in windows of the calendar, or at all. Not both are empty.
    pub budgets: Vec<Budget>,
}

/// A bound on what a scope may use.
#[derive(Clone, Debug)]
pub struct Limit {
    /// What is counted.
    pub kind: LimitKind,
    /// How much of it. At least 1.
    pub amount: u64,
    /// In what time; zero for [`LimitKind::Concurrent`].
    pub period: Duration,
    /// As written in the policy.
    pub text: Box<str>,
    /// What is left of it, over all cores.
    pub pool: Arc<Pool>,
}

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LimitKind {
    /// Requests in a period.
    Requests,
    /// Tokens in a period, input and output.
    Tokens,
    /// Requests at a time.
    Concurrent,
}

impl LimitKind {
    /// The word for it in policy, errors and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Concurrent => "concurrent",
        }
    }
}

impl fmt::Display for LimitKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What may be tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retries {
    /// Attempts of a request, the first one included. At least 1.
    pub attempts: u32,
    /// Wait before the second attempt at a target; doubled for each further one.
    pub backoff: Duration,
    /// The longest wait, `Retry-After` included.
    pub backoff_max: Duration,
    /// Retries in a hundred requests that the process allows itself.
    pub budget_percent: u32,
}

impl Provider {
    /// Reads the lines of a file of places: one URL each; empty lines and what follows `#` do not count.
    ///
    /// # Errors
    ///
    /// What is wrong with the first line that is no place, or that there is none.
    pub fn read_places(&self, text: &str) -> Result<Vec<BaseUrl>, String> {
        crate::file::read_places(text, self.kind.path_default)
    }
}

impl Policy {
    /// Reads a policy. `file` is its name in the diagnostics; `cores` share the limits.
    ///
    /// Limits and budgets of the same scope, kind and period as in `previous`, and targets of the same name, go
    /// on counting where they are. Nothing of `previous` changes before [`Policy::take_effect`].
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn compile(
        text: &str,
        file: &str,
        cores: usize,
        previous: Option<&Self>,
    ) -> Result<Self, Problems> {
        crate::file::compile(text, file, cores, previous)
    }

    /// The policy of an environment, for `serve` without a file: every known provider whose usual
    /// variables are there. A key in `FAREGATE_KEY` or `LITELLM_MASTER_KEY` is asked of clients.
    ///
    /// # Errors
    ///
    /// No provider is there, or a variable is wrong.
    pub fn from_environment(
        vars: impl Iterator<Item = (String, String)>,
        cores: usize,
    ) -> Result<Self, Problems> {
        // Who has no file has not asked for speed.
        let policy = crate::environment::compile(vars, cores)?;
        Ok(Self { ledger: Ledger::Auto, ..policy })
    }

    /// The policy that `faregate init` writes.
    #[must_use]
    pub fn starter() -> &'static str {
        crate::starter::STARTER
    }

    /// Every key that takes a value: where it stands, what it takes, its default, what it is for.
    pub fn reference() -> impl Iterator<Item = crate::reference::Row> {
        crate::reference::rows()
    }

    /// The policy in a few lines.
    #[must_use]
    pub fn describe(&self) -> crate::summary::Summary<'_> {
        crate::summary::Summary(self)
    }

    /// Gives what was taken over from the policy before the amounts and settings of this one.
    /// Called once, when this policy is put in force: a policy that is refused later (a secret is
    /// missing) must not have changed a limit.
    pub fn take_effect(&self) {
        for limit in self.scopes.iter().flat_map(|scope| &scope.limits) {
            if limit.pool.amount() != limit.amount {
                limit.pool.resize(limit.amount, crate::time::nanos(limit.period));
            }
        }
        self.budgets().for_each(|(_, budget)| budget.take_effect());
        for target in &self.targets {
            target.breaker.set(self.breaker);
            target.gauge.limiter.set(self.providers[target.provider].concurrency_max);
        }
    }

    /// Every budget that the policy lists, each with its scope's name. Those of users, sessions and tags: [`Crowd::all`].
    pub fn budgets(&self) -> impl Iterator<Item = (&str, &Budget)> {
        let scopes = self.scopes.iter();
        scopes.flat_map(|scope| scope.budgets.iter().map(|budget| (&*scope.name, budget)))
    }

    /// The caller who shows `credential`, if it is a key of the policy.
    #[must_use]
    pub fn caller_of(&self, credential: &[u8]) -> Option<&Caller> {
        self.keys.find(&key::hash(credential)).map(|index| &self.keys.callers[index])
    }

    /// The provider that takes the paths of an API that name no model: of OpenAI's the one that the policy names, of others
    /// the first that speaks it.
    #[must_use]
    pub fn passthrough_of(&self, family: Family) -> Option<usize> {
        let first = |fits: &dyn Fn(&Provider) -> bool| {
            self.providers.iter().position(|provider| provider.passthrough && fits(provider))
        };
        match family {
            Family::OpenAi => self.server.passthrough,
            Family::Ollama => {
                first(&|provider| *provider.name == *"ollama").or(self.server.passthrough)
            }
            Family::Anthropic | Family::Gemini | Family::Bedrock => {
                first(&|provider| provider.kind.family == family)
            }
        }
    }

    /// Whether a response that nobody is known to have stored may be asked for: one made before the process was started,
    /// or by way of another one.
    #[must_use]
    pub fn passes_unknown_responses(&self) -> bool {
        match self.server.unknown_responses {
            UnknownResponses::Auto => self.keys.callers.len() <= 1,
            UnknownResponses::Refuse => false,
            UnknownResponses::Pass => true,
        }
    }

    /// The name of the provider that takes the paths which name no model.
    #[must_use]
    pub fn passthrough_name(&self) -> Option<&str> {
        self.server.passthrough.map(|index| &*self.providers[index].name)
    }

    /// What a target costs that is asked for `model`, the provider's name for it; `None` where nobody knows.
    #[must_use]
    pub fn price(&self, target: usize, model: &str) -> Option<Priced<'_>> {
        self.prices.of(&self.providers, &self.targets[target], target, model)
    }

    /// Whether what has no price may pass where money is limited, and costs nothing.
    #[must_use]
    pub fn lets_unpriced_pass(&self) -> bool {
        self.server.unpriced == Unpriced::Free
    }

    /// What to add to the policy so that `model` of a target has a price: text for people.
    #[must_use]
    pub fn price_wanted(&self, target: usize, model: &str) -> String {
        let provider = &self.providers[self.targets[target].provider];
        crate::prices::wanted(&provider.name, model)
    }

    /// Puts a catalogue in the place of the one that comes with the program.
    ///
    /// # Errors
    ///
    /// A price of the policy is `like` one that the catalogue does not have.
    pub fn use_catalogue(&mut self, catalogue: Catalogue) -> Result<(), String> {
        self.prices.use_catalogue(catalogue, &self.providers, &self.targets)?;
        self.prices.tell(&mut self.targets);
        self.models.find_dearest(&self.targets);
        Ok(())
    }

    /// The provider with this name.
    #[must_use]
    pub fn provider(&self, name: &str) -> Option<usize> {
        self.providers.iter().position(|provider| &*provider.name == name)
    }
}
