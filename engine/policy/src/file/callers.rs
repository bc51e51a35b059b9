//! The tables `organisation`, `teams.*` and `keys[]`: who may call, who pays, what is allowed.

use std::net::SocketAddr;

use hashbrown::HashMap;

use super::{
    Reader, Span, Word,
    limits::{Scopes, allowed},
    moment,
    providers::{did_you_mean, is_name},
    section::{Entry, Section},
};
use crate::{
    caller::{ANONYMOUS, Caller, Keys, ScopeIndex},
    key::{self, KeyHash},
    models::Models,
    pattern::Pattern,
    policy::Scope,
};

/// Everybody who may call, while the file is read.
pub(super) struct Book<'r, 'd> {
    reader: &'r Reader<'d>,
    models: &'r Models,
    scopes: Scopes<'r>,
    keys: Keys,
    organisation: Option<Box<str>>,
    whole: Place,
    teams: HashMap<Box<str>, Team>,
    names: HashMap<&'d str, Span>,
}

/// What everybody of an organisation, a team, a project or an agent is bound to.
#[derive(Clone, Default)]
struct Place {
    scopes: Vec<ScopeIndex>,
    models: Vec<Vec<Pattern>>,
    default_model: Option<Box<str>>,
}

#[derive(Default)]
struct Team {
    place: Place,
    projects: HashMap<Box<str>, Project>,
}

#[derive(Default)]
struct Project {
    place: Place,
    agents: HashMap<Box<str>, Place>,
}

impl<'r, 'd> Book<'r, 'd> {
    pub(super) fn new(reader: &'r Reader<'d>, models: &'r Models, scopes: Scopes<'r>) -> Self {
        Self {
            reader,
            models,
            scopes,
            keys: Keys::default(),
            organisation: None,
            whole: Place::default(),
            teams: HashMap::new(),
            names: HashMap::new(),
        }
    }

    /// Reads all of it.
    pub(super) fn read(
        &mut self,
        root: &Section<'_, 'd>,
        server: &Section<'_, 'd>,
        listen: &[SocketAddr],
    ) {
        let organisation = root.table("organisation");
        self.organisation = organisation.text("name").map(|word| word.text.into());
        self.whole = self.place(&organisation, &Place::default(), "organisation");
        for (name, section) in root.named("teams") {
            is_name(self.reader, &name, "a team");
            let team = self.team(name.text, &section);
            self.teams.insert(name.text.into(), team);
        }
        let entries = root.rows("keys");
        let any = !entries.is_empty();
        for entry in entries {
            match entry {
                Entry::Table(section) => self.key(&section),
                Entry::Text(word) => {
                    self.reader.hide(&word.span);
                    let help = "write a [[keys]] table with name and hash for each key";
                    self.reader.wrong(&word.span, "an entry of keys must be a table", help);
                }
            }
        }
        self.anonymous(server, listen, any);
    }

    pub(super) fn close(self) -> (Keys, Vec<Scope>) {
        (self.keys, self.scopes.done())
    }

    fn team(&mut self, name: &str, section: &Section<'_, 'd>) -> Team {
        let whole = self.whole.clone();
        let place = self.place(section, &whole, &format!("team/{name}"));
        let mut projects = HashMap::new();
        for (project, section) in section.named("projects") {
            is_name(self.reader, &project, "a project");
            let path = format!("{name}/{}", project.text);
            projects.insert(project.text.into(), self.project(&path, &section, &place));
        }
        Team { place, projects }
    }

    fn project(&mut self, path: &str, section: &Section<'_, 'd>, above: &Place) -> Project {
        let place = self.place(section, above, &format!("project/{path}"));
        let mut agents = HashMap::new();
        for (agent, section) in section.named("agents") {
            is_name(self.reader, &agent, "an agent");
            let scope = format!("agent/{path}/{}", agent.text);
            agents.insert(agent.text.into(), self.place(&section, &place, &scope));
        }
        Project { place, agents }
    }

    /// What a section adds to what holds above it.
    fn place(&mut self, section: &Section<'_, 'd>, above: &Place, scope: &str) -> Place {
        let mut place = above.clone();
        place.scopes.extend(self.scopes.read(self.reader, section, scope));
        place.models.extend(allowed(self.reader, section, &|name| self.known(name)));
        if let Some(word) = section.text("default_model") {
            self.check_default(&word, &place.models);
            place.default_model = Some(word.text.into());
        }
        place
    }

    /// A default model must be there, and allowed to those whose it is.
    fn check_default(&self, word: &Word<'d>, allowed: &[Vec<Pattern>]) {
        let name = word.text;
        if let Err(help) = self.known(name) {
            self.reader.clash(&word.span, format!("nothing answers to model `{name}`"), help);
        } else if !allowed.iter().all(|level| level.iter().any(|pattern| pattern.matches(name))) {
            let reason = format!("the default model `{name}` is not among the models allowed here");
            self.reader.clash(&word.span, reason, "add it to models");
        }
    }

    /// Whether a model answers to this name; what was meant when not.
    fn known(&self, name: &str) -> Result<(), String> {
        match self.models.resolve(name) {
            Some(_) => Ok(()),
            None => {
                let find = || did_you_mean(name, self.models.names(), "models are");
                Err(self.reader.help(find))
            }
        }
    }

    fn key(&mut self, section: &Section<'_, 'd>) {
        let name = section.text("name");
        for key in ["name", "hash"] {
            if section.given(key).is_none() {
                section.missing(key);
            }
        }
        if let Some(name) = &name {
            self.take_name(name);
        }
        let called = name.as_ref().map_or("", |name| name.text);
        let above = self.belongs(section);
        let place = self.place(section, &above.place, &format!("key/{called}"));
        let caller = Caller {
            key: called.into(),
            agent: above.agent,
            project: above.project,
            team: above.team,
            organisation: self.organisation.clone(),
            scopes: place.scopes,
            models: place.models,
            default_model: place.default_model,
            expires: self.expires(section),
            disabled: section.flag("disabled").unwrap_or(false),
        };
        let Some((hash, span)) = self.hash(section) else { return };
        if let Some(other) = self.keys.find(&hash) {
            let other = &self.keys.callers[other].key;
            let reason = format!("key {other} has the same hash");
            self.reader.wrong(
                &span,
                reason,
                "each client needs a key of its own: faregate key new",
            );
            return;
        }
        self.keys.add(hash, caller);
    }

    fn take_name(&mut self, name: &Word<'d>) {
        is_name(self.reader, name, "a key");
        if name.text == ANONYMOUS {
            let reason = format!("`{ANONYMOUS}` is the name of callers without a key");
            self.reader.wrong(&name.span, reason, "choose another name");
        } else if self.names.contains_key(name.text) {
            let reason = format!("there is another key `{}`", name.text);
            self.reader.wrong(&name.span, reason, "figures and logs tell keys by their names");
        } else {
            self.names.insert(name.text, name.span.clone());
        }
    }

    fn hash(&self, section: &Section<'_, 'd>) -> Option<(KeyHash, Span)> {
        let word = section.text("hash")?;
        if let Some(hash) = KeyHash::parse(word.text) {
            return Some((hash, word.span));
        }
        let hex = word.text.bytes().all(|b| b.is_ascii_hexdigit());
        let (reason, help) =
            if key::looks_minted(word.text.as_bytes()) || word.text.starts_with("sk-") {
                self.reader.hide(&word.span);
                ("this is a key itself, not its hash", HASH_HELP.to_owned())
            } else if hex && word.text.len() == 64 {
                ("the kind of hash is missing", format!("hash = \"sha256:{}\"", word.text))
            } else if word.text.starts_with("sha256:") {
                ("a SHA-256 has 64 hex digits", HASH_HELP.to_owned())
            } else {
                self.reader.hide(&word.span);
                ("this is no SHA-256 of a key", HASH_HELP.to_owned())
            };
        self.reader.wrong(&word.span, reason, help);
        None
    }

    fn expires(&self, section: &Section<'_, 'd>) -> Option<u64> {
        let (text, span) = section.moment("expires")?;
        let read = moment::parse(&text);
        read.map_err(|help| {
            self.reader.wrong(&span, format!("`{text}` is no moment"), help);
        })
        .ok()
    }

    /// The team, project and agent that a key names.
    fn belongs(&self, section: &Section<'_, 'd>) -> Belongs {
        let mut found = Belongs { place: self.whole.clone(), ..Belongs::default() };
        let (team, project, agent) =
            (section.text("team"), section.text("project"), section.text("agent"));
        for (below, above, word) in [
            ("project", "team", project.as_ref().filter(|_| team.is_none())),
            ("agent", "project", agent.as_ref().filter(|_| project.is_none())),
        ] {
            if let Some(word) = word {
                let reason = format!("{below} `{}` is named without its {above}", word.text);
                self.reader.wrong(&word.span, reason, format!("add {above} = \"…\""));
            }
        }
        let Some(team) = team else { return found };
        let Some(known) = self.look(&self.teams, &team, "team") else { return found };
        found.place = known.place.clone();
        found.team = Some(team.text.into());
        let Some(project) = project else { return found };
        let Some(known) = self.look(&known.projects, &project, "project") else { return found };
        found.place = known.place.clone();
        found.project = Some(project.text.into());
        let Some(agent) = agent else { return found };
        let Some(known) = self.look(&known.agents, &agent, "agent") else { return found };
        found.place = known.clone();
        found.agent = Some(agent.text.into());
        found
    }

    fn look<'t, T>(
        &self,
        known: &'t HashMap<Box<str>, T>,
        word: &Word<'_>,
        what: &str,
    ) -> Option<&'t T> {
        let found = known.get(word.text);
        if found.is_none() {
            let help = self.reader.help(|| {
                let mut names: Vec<&str> = known.keys().map(|name| &**name).collect();
                names.sort_unstable();
                did_you_mean(word.text, names.iter().copied(), &format!("{what}s are"))
            });
            self.reader.clash(&word.span, format!("there is no {what} `{}`", word.text), help);
        }
        found
    }

    /// Adds the caller without a key, where there may be one.
    fn anonymous(&mut self, server: &Section<'_, 'd>, listen: &[SocketAddr], keys: bool) {
        let team = server.text("anonymous_team");
        if !self.is_anonymous_served(server, listen, keys) {
            if let Some(team) = &team {
                let reason = "callers without a key are refused, so this is without effect";
                let help = "add anonymous = true, or take anonymous_team out";
                self.reader.clash(&team.span, reason, help);
            }
            return;
        }
        let place = match &team {
            Some(team) => self.look(&self.teams, team, "team").map(|team| team.place.clone()),
            None => Some(self.whole.clone()),
        };
        let place = place.unwrap_or_default(); // else the team has been noted as unknown
        self.keys.admit_anonymous(Caller {
            key: ANONYMOUS.into(),
            agent: None,
            project: None,
            team: team.map(|team| team.text.into()),
            organisation: self.organisation.clone(),
            scopes: place.scopes,
            models: place.models,
            default_model: place.default_model,
            expires: None,
            disabled: false,
        });
    }

    /// Whether callers without a key are served: where the file says so, and where nothing else can
    /// be meant.
    fn is_anonymous_served(
        &self,
        server: &Section<'_, 'd>,
        listen: &[SocketAddr],
        keys: bool,
    ) -> bool {
        let given = server.given("anonymous").or_else(|| server.given("listen"));
        let span = given.unwrap_or_else(|| server.span.clone());
        let local = listen.iter().all(|address| address.ip().is_loopback());
        match (server.flag("anonymous"), keys) {
            (Some(true), _) => {
                if !local {
                    let reason = "whoever can connect is served, at your cost, without a key";
                    self.reader.warn(Some(&span), reason, "");
                }
                true
            }
            (None, false) if local => {
                let reason =
                    "there are no [[keys]]: every program on this machine is served without one";
                self.reader.warn(None, reason, self.keys_help());
                true
            }
            (None, false) => {
                let reason = "there are no [[keys]], and other machines can connect";
                self.reader.clash(&span, reason, self.keys_help());
                false
            }
            (Some(false), false) => {
                let reason =
                    "nobody is served: there are no [[keys]], and callers without one are refused";
                self.reader.clash(&span, reason, self.keys_help());
                false
            }
            (None | Some(false), true) => false,
        }
    }

    fn keys_help(&self) -> &'static str {
        match self.reader.is_environment() {
            true => "set FAREGATE_KEY to what clients are to show",
            false => "make keys with faregate key new, or write anonymous = true below [server]",
        }
    }
}

/// Who a key belongs to.
#[derive(Default)]
struct Belongs {
    place: Place,
    team: Option<Box<str>>,
    project: Option<Box<str>>,
    agent: Option<Box<str>>,
}

const HASH_HELP: &str = "faregate key new prints key and hash; of a key you have: \
    printf %s \"$KEY\" | sha256sum, and sha256: in front";
