//! The policy in force, and everything that was made from it: places, secrets, certificates.
//!
//! In: the text of a policy, and what is in force so far. Out: a [`Live`], whole or not at all. Places that stay the same
//! keep their idle connections, their addresses and their TLS sessions.

use std::{
    collections::BTreeMap,
    fmt::Write,
    net::IpAddr,
    ops::Deref,
    path::{Path, PathBuf},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use faregate_adapters::{auth::aws, kind::Auth};
use faregate_policy::{
    CorePolicy, Policy,
    affinity::Load,
    health::{Breaker, BreakerSettings},
    keyring::Quota,
    policy::{BaseUrl, Discovery, HeaderValue, Provider, Scheme, Secret, TargetDeadlines},
    webhook::Webhook,
};
use faregate_wire::HeadLimits;
use rustls::{ClientConfig, ServerConfig, pki_types::ServerName};
use sha2::{Digest, Sha256};

use crate::{
    affinity::Affinity,
    books::{Hook, Parts},
    cache::Cache,
    catalogue,
    credentials::{self, Credential, Keeper, Source, fetch::parts},
    homes::Followed,
    keys::Key,
    reload::Bell,
    reply, tls,
    upstream::{Found, Name, Place, Resolver, Upstream, UpstreamId, Warmth},
};

/// A policy and what was made from it.
pub(crate) struct Live {
    /// Counts the policies that have taken effect, from 1.
    pub(crate) generation: u64,
    /// The decisions.
    pub(crate) policy: Arc<Policy>,
    /// Where each of the policy's targets is.
    pub(crate) targets: Vec<Target>,
    /// TLS for clients.
    pub(crate) server_tls: Option<Arc<ServerConfig>>,
    /// Limits of a request's head.
    pub(crate) head_limits: HeadLimits,
    /// Whether only this machine can connect.
    pub(crate) is_private: bool,
    /// What is known of prompts, where replicas are chosen by them.
    pub(crate) affinity: Option<Arc<Affinity>>,
    /// What is known of conversations, where rules or routes ask for it.
    pub(crate) followed: Option<Arc<Followed>>,
    /// Where operators are told of budgets.
    pub(crate) webhook: Option<Arc<Hook>>,
    /// Answers that are kept, where a workload has some kept.
    pub(crate) cache: Option<Arc<Cache>>,
    /// Whether what requests cost is written down.
    pub(crate) keeps_books: bool,
    /// Files whose content was used beside the policy itself.
    pub(crate) files: Vec<PathBuf>,
    places: BTreeMap<Identity, Shared>,
    credentials: BTreeMap<Source, Arc<Credential>>,
    quotas: BTreeMap<QuotaOf, Arc<Quota>>,
}

/// What a key may do is known by its target's name and a hash of the key.
type QuotaOf = (Box<str>, [u8; 32]);

/// One target's places.
pub(crate) struct Target {
    /// Never empty.
    pub(crate) upstreams: Vec<Arc<Upstream>>,
    /// How long it may take.
    pub(crate) deadlines: TargetDeadlines,
    /// Its keys, where there are several; else none.
    pub(crate) keys: Vec<Key>,
}

/// A core's view of what is in force; taken once a request.
pub(crate) struct View {
    live: Arc<Live>,
    /// The policy, for exchanges of this core: counted without touching what other cores count.
    pub(crate) policy: Rc<CorePolicy>,
    /// What rows of the books have in common, as long as this policy is in force.
    pub(crate) parts: Parts,
}

impl View {
    /// A view for one core.
    pub(crate) fn new(live: Arc<Live>) -> Rc<Self> {
        let policy = CorePolicy::new(Arc::clone(&live.policy));
        Rc::new(Self { live, policy, parts: Parts::default() })
    }
}

impl Deref for View {
    type Target = Live;

    fn deref(&self) -> &Live {
        &self.live
    }
}

/// What two upstreams must have in common to share connections.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Identity {
    place: Place,
    /// What its certificate must be for.
    name: String,
    /// Hash of the authorities' file, and whether nothing is verified; `None` in the clear.
    tls: Option<([u8; 32], bool)>,
}

/// What upstreams of one identity share.
#[derive(Clone)]
struct Shared {
    id: UpstreamId,
    name: Arc<Name>,
    breaker: Arc<Breaker>,
    load: Arc<Load>,
    warmth: Arc<Warmth>,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
}

/// Makes a [`Live`] from a policy.
pub(crate) struct Builder {
    resolver: Resolver,
    keeper: Keeper,
    cores: usize,
    /// Budgets of money are kept in a journal.
    has_books: bool,
    /// They are leased from a store, too.
    has_store: bool,
    generation: AtomicU64,
    next_id: AtomicU64,
}

impl Builder {
    /// A builder for a process with `cores` cores.
    pub(crate) fn new(resolver: Resolver, keeper: Keeper, cores: usize) -> Self {
        let (generation, next_id) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { resolver, keeper, cores, has_books: false, has_store: false, generation, next_id }
    }

    /// The same, for a process that keeps books.
    pub(crate) fn with_books(self) -> Self {
        Self { has_books: true, ..self }
    }

    /// Rings this bell when a name has other addresses, where each of them is a place.
    pub(crate) fn tell(&self, bell: Bell) {
        self.resolver.tell(bell);
    }

    /// The same, for a process that leases its budgets.
    pub(crate) fn with_store(self) -> Self {
        Self { has_store: true, ..self }
    }

    /// Compiles a policy file and makes what it needs.
    ///
    /// # Errors
    ///
    /// A report of everything that is wrong, for a person.
    pub(crate) fn build(
        &self,
        text: &str,
        file: &str,
        before: Option<&Live>,
    ) -> Result<Live, String> {
        let policy = Policy::compile(text, file, self.cores, before.map(|live| &*live.policy))
            .map_err(|problems| problems.to_string())?;
        self.make(policy, before)
    }

    /// Makes what a compiled policy needs.
    ///
    /// # Errors
    ///
    /// A report of every secret and file that is missing.
    pub(crate) fn make(&self, mut policy: Policy, before: Option<&Live>) -> Result<Live, String> {
        catalogue::attach(&mut policy)?;
        let mut work = Work {
            builder: self,
            before,
            places: BTreeMap::new(),
            credentials: BTreeMap::new(),
            quotas: BTreeMap::new(),
            found: Found::new(),
            files: Vec::new(),
            problems: String::new(),
        };
        let providers: Vec<Vec<Arc<Upstream>>> =
            policy.providers.iter().map(|provider| work.upstreams(provider)).collect();
        let keys: Vec<Vec<(Key, [u8; 32])>> =
            policy.providers.iter().map(|provider| work.keys(provider)).collect();
        let targets = policy
            .targets
            .iter()
            .map(|target| Target {
                upstreams: providers[target.provider].clone(),
                deadlines: policy.providers[target.provider].deadlines,
                keys: work.keys_at(&target.name, &keys[target.provider]),
            })
            .collect();
        let server_tls = policy.server.tls.as_ref().and_then(|files| {
            work.files.extend([files.cert.clone(), files.key.clone()]);
            tls::server_config(&files.cert, &files.key)
                .map_err(|e| work.problem("server.tls", &e))
                .ok()
        });
        work.files.extend(policy.server.price_catalogue.clone());
        let webhook = policy.webhook.as_ref().and_then(|webhook| work.webhook(webhook));
        let Work { places, credentials, quotas, found, files, problems, .. } = work;
        if !problems.is_empty() {
            return Err(problems);
        }
        if self.has_books {
            policy.budgets().for_each(|(_, budget)| budget.fund.keep_in_journal());
            policy.crowd.keep_in_journal();
            if self.has_store {
                let money = policy
                    .budgets()
                    .filter(|(_, budget)| budget.unit == faregate_policy::budget::Unit::Money);
                money.for_each(|(_, budget)| budget.fund.share());
                policy.crowd.share();
            }
        }
        for shared in places.values() {
            shared.breaker.set(policy.breaker);
        }
        let names = places.values().map(|shared| Arc::clone(&shared.name)).collect();
        self.resolver.watch(names, found);
        self.keeper.watch(credentials.values().cloned().collect());
        let server = &policy.server;
        let head_limits = HeadLimits {
            head_bytes: server.head_bytes,
            headers: server.headers,
            ..HeadLimits::default()
        };
        let is_private = server.listen.iter().all(|address| address.ip().is_loopback());
        let known = before.and_then(|live| live.affinity.clone());
        let by_prefix = policy.providers.iter().any(|provider| provider.by_prefix);
        let followed = before.and_then(|live| live.followed.clone());
        let follows = policy.watch.needs.warm;
        let cache = policy.answers.is_on().then(|| {
            let known = before.and_then(|live| live.cache.clone());
            known.unwrap_or_else(|| Arc::new(Cache::new(policy.answers.memory_bytes)))
        });
        Ok(Live {
            keeps_books: self.has_books,
            followed: follows.then(|| followed.unwrap_or_else(|| Arc::new(Followed::new()))),
            cache,
            affinity: by_prefix.then(|| known.unwrap_or_else(|| Arc::new(Affinity::new()))),
            is_private,
            generation: self.generation.fetch_add(1, Ordering::Relaxed) + 1,
            policy: Arc::new(policy),
            targets,
            server_tls,
            head_limits,
            webhook,
            files,
            places,
            credentials,
            quotas,
        })
    }
}

struct Work<'a> {
    builder: &'a Builder,
    before: Option<&'a Live>,
    places: BTreeMap<Identity, Shared>,
    credentials: BTreeMap<Source, Arc<Credential>>,
    quotas: BTreeMap<QuotaOf, Arc<Quota>>,
    found: Found,
    files: Vec<PathBuf>,
    problems: String,
}

impl Work<'_> {
    fn problem(&mut self, place: &str, what: &str) {
        let _ = writeln!(self.problems, "{place}: {what}");
    }

    fn upstreams(&mut self, provider: &Provider) -> Vec<Arc<Upstream>> {
        let source = self.source(provider);
        let Some(fields) = self.fields(provider, source.is_some()) else { return Vec::new() };
        let credential = source.map(|source| self.credential(source));
        let places = self.places(provider);
        let mut upstreams = Vec::with_capacity(places.len());
        let (mut fresh, mut has_old) = (Vec::new(), false);
        for (url, address) in &places {
            match self.shared(provider, url, *address) {
                Ok((shared, is_known)) => {
                    has_old |= is_known;
                    fresh.extend((!is_known).then(|| Arc::clone(&shared.warmth)));
                    upstreams.push(Arc::new(Upstream {
                        id: shared.id,
                        host: authority(url),
                        path_prefix: url.path_prefix.clone(),
                        field_names: fields.0.clone(),
                        fields: fields.1.clone(),
                        credential: credential.clone(),
                        tls: shared.tls.clone(),
                        name: Arc::clone(&shared.name),
                        breaker: Arc::clone(&shared.breaker),
                        load: Arc::clone(&shared.load),
                        warmth: Arc::clone(&shared.warmth),
                    }));
                }
                Err(error) => self.problem(&format!("providers.{}", provider.name), &error),
            }
        }
        if has_old && self.before.is_some() {
            fresh.iter().for_each(|warmth| warmth.begin());
        }
        upstreams
    }

    /// Where a provider listens: its URLs, and the address of each where its name has several.
    fn places(&mut self, provider: &Provider) -> Vec<(BaseUrl, Option<IpAddr>)> {
        let whole = |urls: Vec<BaseUrl>| urls.into_iter().map(|url| (url, None)).collect();
        match &provider.discovery {
            Discovery::None => whole(provider.replicas.clone()),
            Discovery::File(path) => {
                self.files.push(path.clone());
                let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
                let read = text.and_then(|text| provider.read_places(&text));
                whole(read.unwrap_or_else(|error| {
                    let place = format!("providers.{}.replicas", provider.name);
                    self.problem(&place, &format!("{}: {error}", path.display()));
                    Vec::new()
                }))
            }
            Discovery::Dns => {
                let mut places = Vec::new();
                for url in &provider.replicas {
                    let found = self.builder.resolver.places(&url.host, url.port);
                    if found.is_empty() {
                        // Its name is resolved as any other's until it has addresses.
                        places.push((url.clone(), None));
                    }
                    places.extend(found.iter().map(|address| (url.clone(), Some(*address))));
                    self.found.insert((url.host.clone(), url.port), found);
                }
                places
            }
        }
    }

    /// Names and lines of the fields that every request to the provider carries.
    fn fields(&mut self, provider: &Provider, is_signed: bool) -> Option<(Vec<String>, Vec<u8>)> {
        let mut names = Vec::new();
        let mut lines = Vec::new();
        if let Some(secret) = key_of(provider).filter(|_| !is_signed) {
            let place = format!("providers.{}.api_key", provider.name);
            let key = self.secret(&place, &secret)?;
            show_key(&mut lines, provider, &key);
        }
        if let Auth::Field(name) = provider.kind.auth
            && (!lines.is_empty() || !provider.keys.is_empty())
        {
            names.push(name.to_owned());
        }
        for (name, value) in &provider.headers {
            let value = match value {
                HeaderValue::Plain(text) => text.clone(),
                HeaderValue::Secret(secret) => {
                    self.secret(&format!("providers.{}.headers.{name}", provider.name), secret)?
                }
            };
            reply::write_field(&mut lines, name.as_bytes(), value.as_bytes());
            names.push(name.clone());
        }
        Some((names, lines))
    }

    /// The keys of a provider that has several, each with its hash.
    fn keys(&mut self, provider: &Provider) -> Vec<(Key, [u8; 32])> {
        let mut keys = Vec::with_capacity(provider.keys.len());
        for one in &provider.keys {
            let place = format!("providers.{}.keys: {}", provider.name, one.name);
            let Some(secret) = self.secret(&place, &one.secret) else { continue };
            let mut line = Vec::new();
            show_key(&mut line, provider, &secret);
            let (name, quota) = ((&*one.name).into(), Arc::default());
            keys.push((Key { name, line: line.into(), quota }, Sha256::digest(secret).into()));
        }
        keys
    }

    /// The same keys, with what is known of them at one target.
    fn keys_at(&mut self, target: &str, keys: &[(Key, [u8; 32])]) -> Vec<Key> {
        let at = |(key, hash): &(Key, [u8; 32])| {
            let of: QuotaOf = (target.into(), *hash);
            let known = self.quotas.get(&of).or_else(|| self.before?.quotas.get(&of));
            let quota = known.cloned().unwrap_or_default();
            self.quotas.insert(of, Arc::clone(&quota));
            Key { quota, ..key.clone() }
        };
        keys.iter().map(at).collect()
    }

    /// Where the credentials of a provider's cloud come from, unless it is told by a field who pays.
    fn source(&mut self, provider: &Provider) -> Option<Source> {
        if provider.headers.iter().any(|(name, _)| name == "authorization") {
            return None;
        }
        match (provider.kind.auth, key_of(provider)) {
            (Auth::Aws, None) => {
                let region = region_of(provider);
                if region.is_none() {
                    let help = "set region = \"us-east-1\", or the one whose endpoint this is";
                    self.problem(&format!("providers.{}", provider.name), help);
                }
                region.map(|region| Source::Aws { region: region.into() })
            }
            (Auth::Google, None) => Some(Source::Google { file: None }),
            (Auth::Google, Some(Secret::File(file))) => {
                let text = std::fs::read_to_string(&file).unwrap_or_default();
                if !credentials::is_google_credentials(&text) {
                    return None;
                }
                self.files.push(file.clone());
                Some(Source::Google { file: Some(file) })
            }
            _ => None,
        }
    }

    fn webhook(&mut self, webhook: &Webhook) -> Option<Arc<Hook>> {
        let secret = self.secret("budgets.webhook.secret", &webhook.secret)?;
        if parts(&webhook.url).is_none() {
            self.problem("budgets.webhook.url", "it is no URL of http or https");
        }
        let ca_file = webhook.ca_file.clone();
        if let Some(file) = &ca_file
            && let Err(error) = tls::client_config(Some(file), false)
        {
            self.problem("budgets.webhook.ca_file", &error);
        }
        Some(Arc::new(Hook { url: webhook.url.clone(), secret, ca_file }))
    }

    /// The credentials from a source: those that are there already, or new ones.
    fn credential(&mut self, source: Source) -> Arc<Credential> {
        let known = self.credentials.get(&source);
        let known = known.or_else(|| self.before?.credentials.get(&source)).cloned();
        let credential = known.unwrap_or_else(|| Credential::new(source.clone()));
        self.credentials.insert(source, Arc::clone(&credential));
        credential
    }

    fn secret(&mut self, place: &str, secret: &Secret) -> Option<String> {
        let found = match secret {
            Secret::Env(name) => std::env::var(name).map_err(|_| {
                format!("environment variable {name} is not set; set it, or name another one")
            }),
            Secret::File(path) => {
                self.files.push(path.clone());
                std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()))
            }
        };
        let checked = found.and_then(|text| {
            let text = text.trim().to_owned();
            let printable = text.bytes().all(|b| (0x21..0x7f).contains(&b));
            match (text.is_empty(), printable) {
                (true, _) => Err("the secret is empty".to_owned()),
                (_, false) => Err("the secret holds blanks or control bytes".to_owned()),
                _ => Ok(text),
            }
        });
        checked.map_err(|error| self.problem(place, &error)).ok()
    }

    /// What upstreams at a place share, and whether it was there before.
    fn shared(
        &mut self,
        provider: &Provider,
        url: &BaseUrl,
        address: Option<IpAddr>,
    ) -> Result<(Shared, bool), String> {
        let host = address.map_or_else(|| url.host.clone(), |address| address.to_string());
        let place = match &url.scheme {
            Scheme::Unix(path) => Place::Unix(path.clone()),
            Scheme::Http | Scheme::Https => Place::Host(host, url.port),
        };
        let secured = url.scheme == Scheme::Https;
        let ca_file = provider.ca_file.as_deref();
        let tls = secured.then(|| self.authorities(ca_file)).transpose()?;
        let tls = tls.map(|authorities| (authorities, provider.insecure_skip_verify));
        let identity = Identity { place: place.clone(), name: url.host.clone(), tls };
        if let Some(known) =
            self.places.get(&identity).or_else(|| self.before?.places.get(&identity))
        {
            let known = known.clone();
            self.places.insert(identity, known.clone());
            return Ok((known, true));
        }
        let tls = match secured {
            false => None,
            true => {
                let config = tls::client_config(ca_file, provider.insecure_skip_verify)?;
                let bare = url.host.trim_start_matches('[').trim_end_matches(']').to_owned();
                let name = ServerName::try_from(bare).map_err(|e| format!("{}: {e}", url.host))?;
                Some((config, name))
            }
        };
        let id = UpstreamId(self.builder.next_id.fetch_add(1, Ordering::Relaxed));
        let breaker = Arc::new(Breaker::new(BreakerSettings::default()));
        let (load, warmth) = (Arc::default(), Arc::default());
        let shared = Shared { id, name: Name::new(place), breaker, load, warmth, tls };
        self.places.insert(identity, shared.clone());
        Ok((shared, false))
    }

    /// Hash of the authorities' file; zeros for the system's.
    fn authorities(&mut self, ca_file: Option<&Path>) -> Result<[u8; 32], String> {
        let Some(file) = ca_file else { return Ok([0; 32]) };
        self.files.push(file.to_owned());
        let text = std::fs::read(file).map_err(|e| format!("{}: {e}", file.display()))?;
        Ok(Sha256::digest(text).into())
    }
}

/// Appends the field that shows a key, as its dialect has it.
fn show_key(out: &mut Vec<u8>, provider: &Provider, key: &str) {
    match provider.kind.auth {
        Auth::Field(name) => reply::write_field(out, name.as_bytes(), key.as_bytes()),
        Auth::Bearer | Auth::Google | Auth::Aws => {
            let bearer = format!("Bearer {key}");
            reply::write_field(out, b"authorization", bearer.as_bytes());
        }
    }
}

/// The key of a provider; of one on AWS also the key for Bedrock that AWS's own clients would take.
fn key_of(provider: &Provider) -> Option<Secret> {
    let name = aws::variable::BEDROCK_KEY;
    let usual = || std::env::var_os(name).filter(|key| !key.is_empty()).map(|_| name.to_owned());
    match provider.kind.auth {
        Auth::Aws => provider.api_key.clone().or_else(|| usual().map(Secret::Env)),
        Auth::Bearer | Auth::Field(_) | Auth::Google => provider.api_key.clone(),
    }
}

/// The region that requests to a provider are signed for.
fn region_of(provider: &Provider) -> Option<String> {
    let of_host = || {
        let host = &provider.replicas.first()?.host;
        let mut labels = host.split('.').skip_while(|label| !label.starts_with("bedrock-runtime"));
        labels.next()?;
        labels.next().map(str::to_owned)
    };
    provider.region.as_deref().map(str::to_owned).or_else(of_host).or_else(credentials::aws_region)
}

/// The `Host` field: with the port unless it is the scheme's own.
fn authority(url: &BaseUrl) -> String {
    match (&url.scheme, url.port) {
        (Scheme::Unix(_), _) | (Scheme::Http, 80) | (Scheme::Https, 443) => url.host.clone(),
        (_, port) => format!("{}:{port}", url.host),
    }
}

#[cfg(test)]
mod tests;
