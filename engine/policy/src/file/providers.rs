//! The tables `providers.*`: who is spoken to, where, with which key.

use std::time::Duration;

use faregate_adapters::{
    dialect::Form,
    kind::{self, Auth, Kind},
    quirks::{self, Quirks},
    surface::Family,
};

use super::{
    Reader, Word, keys, places,
    section::{Section, bare_or_quoted},
    url::{self, BadUrl},
};
use crate::{
    known::{self, Known},
    nearest::nearest,
    pattern::Pattern,
    policy::{BaseUrl, Discovery, HeaderValue, Provider, Scheme, Secret, Server, TargetDeadlines},
};

/// Bytes of a provider's name.
const NAME_BYTES_MAX: usize = 64;

const SECRET_HELP: &str =
    "name the place where it is kept: \"env:NAME\" or \"file:/run/secrets/name\"";

/// Head fields that Faregate writes itself.
const OWN_FIELDS: &[&str] = &[
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "accept-encoding",
    "proxy-authorization",
    "proxy-connection",
];

/// Head fields that hold nothing but secrets.
const SECRET_FIELDS: &[&str] =
    &["authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"];

/// Reads all providers.
pub(super) fn read(reader: &Reader<'_>, root: &Section<'_, '_>, server: &Server) -> Vec<Provider> {
    let named = root.named("providers");
    if named.is_empty() {
        reader.lacks(
            "there is no provider, so nothing can be answered",
            "for example: [providers.openai] and below it api_key = \"env:OPENAI_API_KEY\"",
        );
    }
    let one =
        |(name, section): (Word<'_>, Section<'_, '_>)| provider(reader, &name, &section, server);
    named.into_iter().map(one).collect()
}

/// Which provider takes the paths that name no model.
pub(super) fn passthrough(
    reader: &Reader<'_>,
    server: &Section<'_, '_>,
    providers: &[Provider],
) -> Option<usize> {
    let find = |name: &str| providers.iter().position(|provider| &*provider.name == name);
    let Some(word) = server.text("passthrough") else {
        let able = |index: &usize| {
            let provider: &Provider = &providers[*index];
            provider.passthrough && provider.kind.family == Family::OpenAi
        };
        let mut able = (0..providers.len()).filter(able);
        let only = able.next().filter(|_| able.next().is_none());
        return find("openai").filter(|&index| providers[index].passthrough).or(only);
    };
    let found = find(word.text);
    match found {
        None => {
            let names = providers.iter().map(|provider| &*provider.name);
            let reason = format!("there is no provider `{}`", word.text);
            reader.clash(&word.span, reason, did_you_mean(word.text, names, "providers are"));
        }
        Some(index) if !providers[index].passthrough => {
            let reason = format!("provider {} has passthrough = false", word.text);
            reader.clash(&word.span, reason, "one of the two is not meant");
        }
        Some(_) => {}
    }
    found
}

/// The nearest of `names`, or all of them while they are few.
pub(super) fn did_you_mean<'a>(
    word: &str,
    names: impl Iterator<Item = &'a str> + Clone,
    all_are: &str,
) -> String {
    const LISTED_MAX: usize = 12;
    if let Some(near) = nearest(word, names.clone()) {
        return format!("did you mean `{near}`?");
    }
    let listed: Vec<_> = names.take(LISTED_MAX + 1).collect();
    match listed.len() {
        0 => format!("{all_are} none"),
        count if count > LISTED_MAX => String::new(),
        _ => format!("{all_are} {}", listed.join(", ")),
    }
}

/// Whether a text can be the name of a provider, a team, a key and the like; notes it when not.
pub(super) fn is_name(reader: &Reader<'_>, word: &Word<'_>, of: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let right = (1..=NAME_BYTES_MAX).contains(&word.text.len()) && word.text.bytes().all(fits);
    if !right {
        let reason = format!("`{}` cannot be the name of {of}", word.text);
        let help = format!("letters, digits, `-`, `_` and `.`, at most {NAME_BYTES_MAX}");
        reader.wrong(&word.span, reason, help);
    }
    right
}

fn provider(
    reader: &Reader<'_>,
    name: &Word<'_>,
    section: &Section<'_, '_>,
    server: &Server,
) -> Provider {
    is_name(reader, name, "a provider");
    let known = known::find(name.text);
    let kind = kind_of(section, known);
    let region = section.text("region").map(|word| word.text.into());
    let version = section.text("api_version").map(|word| version(reader, &word));
    let discovery = places::discovery(section);
    let replicas = replicas(reader, section, known, kind, &discovery);
    places::check(reader, section, &discovery, &replicas);
    let api_key = section.text("api_key").and_then(|word| secret(reader, &word));
    let keys = keys::read(reader, section, kind);
    let headers = headers(reader, section);
    let provider = Provider {
        name: name.text.into(),
        kind,
        forms: forms(reader, section, known, kind),
        quirks: quirks_of(reader, name.text, section, kind),
        region,
        api_version: version.or(kind.version_default()).map(Into::into),
        replicas,
        discovery,
        api_key,
        keys,
        concurrency_max: section.number("concurrency_max"),
        headers,
        ca_file: section.text("ca_file").map(|word| word.text.into()),
        insecure_skip_verify: section.flag("insecure_skip_verify").unwrap_or(false),
        deadlines: deadlines(reader, &section.table("deadlines"), server),
        by_prefix: section.choice("affinity") == "prefix",
        cache: super::cache::read(reader, section),
        models: models(reader, section),
        passthrough: section.flag("passthrough").unwrap_or(true),
    };
    look_twice(reader, name, section, &provider);
    if known.is_some_and(|known| !known.key_vars.is_empty())
        && !matches!(kind.auth, Auth::Aws | Auth::Google)
        && section.given("api_key").or_else(|| section.given("keys")).is_none()
        && provider.headers.is_empty()
        && section.given("base_url").or_else(|| section.given("replicas")).is_none()
    {
        let var = known.map_or("NAME", |known| known.key_vars[0]);
        let help = format!("for example: api_key = \"env:{var}\"");
        reader.warn(Some(&name.span), format!("provider {} has no api_key", name.text), help);
    }
    provider
}

/// Notes what works and may cost a secret.
fn look_twice(
    reader: &Reader<'_>,
    name: &Word<'_>,
    section: &Section<'_, '_>,
    provider: &Provider,
) {
    if provider.insecure_skip_verify {
        let reason = format!(
            "provider {} is not verified: whoever is on the way to it can read and change \
             everything, its key included",
            name.text
        );
        let span = section.given("insecure_skip_verify");
        reader.warn(
            span.as_ref(),
            reason,
            "name its authority instead: ca_file = \"/path/of/ca.pem\"",
        );
    }
    let clear = |url: &&BaseUrl| url.scheme == Scheme::Http && !url::is_private(url);
    if let Some(url) = provider.replicas.iter().find(clear)
        && (provider.api_key.is_some() || !provider.keys.is_empty())
    {
        let span = section.given("base_url").or_else(|| section.given("replicas"));
        let reason = format!("the key of provider {} goes to {} in the clear", name.text, url.host);
        reader.warn(span.as_ref(), reason, "write https:// if it can");
    }
    let span = section.given("ca_file").or_else(|| section.given("insecure_skip_verify"));
    if let Some(span) = span
        && !provider.replicas.iter().any(|url| url.scheme == Scheme::Https)
    {
        let reason =
            format!("provider {} is not spoken to by TLS, so this is without effect", name.text);
        reader.warn(Some(&span), reason, "");
    }
}

/// The kind of a provider: as its file says, or as it is known to be, or OpenAI's.
fn kind_of(section: &Section<'_, '_>, known: Option<&Known>) -> &'static Kind {
    let said = section.given("dialect").map(|_| section.choice("dialect"));
    let name = said.or(known.map(|known| known.dialect)).unwrap_or("openai");
    kind::find(name).unwrap_or(&kind::ALL[0])
}

/// How a provider differs from its dialect: as the one that it is said to be like, or whose name it has.
fn quirks_of(reader: &Reader<'_>, name: &str, section: &Section<'_, '_>, kind: &Kind) -> Quirks {
    let like = section.text("like");
    if let Some(word) = &like
        && !quirks::ALL.iter().any(|(known, _)| *known == word.text)
    {
        let names = quirks::ALL.iter().map(|(known, _)| *known);
        let help = did_you_mean(word.text, names, "known are");
        reader.wrong(&word.span, format!("nothing is known of `{}`", word.text), help);
    }
    match kind.name {
        "openai" => quirks::find(like.map_or(name, |word| word.text)),
        _ => kind.quirks,
    }
}

/// What goes into a query as it is.
fn version<'a>(reader: &Reader<'_>, word: &Word<'a>) -> &'a str {
    let fits = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if word.text.is_empty() || !word.text.bytes().all(fits) {
        let reason = format!("`{}` cannot be a version", word.text);
        reader.wrong(&word.span, reason, "for example: api_version = \"2024-10-21\"");
    }
    word.text
}

/// The chats that a provider speaks.
fn forms(
    reader: &Reader<'_>,
    section: &Section<'_, '_>,
    known: Option<&Known>,
    kind: &Kind,
) -> Vec<Form> {
    let usual = match (section.given("dialect"), known) {
        (None, Some(known)) if !known.forms.is_empty() => known.forms,
        _ => kind.forms,
    };
    let Some(words) = section.texts("speaks") else { return usual.to_vec() };
    let mut forms = Vec::new();
    for word in words {
        match Form::ALL.iter().find(|form| form.name() == word.text) {
            Some(form) if kind.has_model_in_path() && !kind.forms.contains(form) => {
                let reason = format!("a provider of this dialect does not speak `{}`", word.text);
                reader.clash(&word.span, reason, "leave the key away, or choose another dialect");
            }
            Some(form) if forms.contains(form) => {
                reader.wrong(&word.span, format!("`{}` is there twice", word.text), "");
            }
            Some(form) => forms.push(*form),
            None => {
                let names = Form::ALL.iter().map(|form| form.name());
                let help = did_you_mean(word.text, names, "chats are");
                reader.wrong(&word.span, format!("there is no chat `{}`", word.text), help);
            }
        }
    }
    if forms.is_empty() { usual.to_vec() } else { forms }
}

fn replicas(
    reader: &Reader<'_>,
    section: &Section<'_, '_>,
    known: Option<&Known>,
    kind: &Kind,
    discovery: &Discovery,
) -> Vec<BaseUrl> {
    let one = section.text("base_url").map(|word| vec![word]);
    let many = section.texts("replicas").filter(|_| *discovery == Discovery::None);
    if let (Some(_), Some(span)) = (section.given("base_url"), section.given("replicas"))
        && *discovery == Discovery::None
    {
        reader.clash(&span, "base_url and replicas are both there", "put all places into replicas");
    }
    if many.as_ref().is_some_and(Vec::is_empty)
        && let Some(span) = section.given("replicas")
    {
        reader.wrong(&span, "an empty list has no place to send to", "");
    }
    let mut urls: Vec<BaseUrl> = Vec::new();
    for word in one.into_iter().chain(many).flatten() {
        match url::parse(word.text, kind.path_default) {
            Ok(url) if urls.contains(&url) => {
                reader.wrong(&word.span, format!("`{}` is there twice", word.text), "");
            }
            Ok(url) => urls.push(url),
            Err(BadUrl { reason, help, hide }) => {
                if hide {
                    reader.hide(&word.span);
                }
                reader.wrong(&word.span, reason, help);
            }
        }
    }
    if section.given("base_url").is_none() && section.given("replicas").is_none() {
        let usual = usual_url(section, known, kind);
        match usual {
            Some(usual) => urls.extend(url::parse(&usual, kind.path_default).ok()),
            None => {
                let names = known::ALL.iter().map(|known| known.name);
                let name = section.path.rsplit('.').next().unwrap_or_default();
                let help = match nearest(name, names) {
                    Some(near) => format!(
                        "did you mean [providers.{near}]? else: base_url = \
                         \"https://api.example.com/v1\""
                    ),
                    None => match kind.auth {
                        Auth::Aws => "for example: region = \"us-east-1\"".to_owned(),
                        Auth::Google => {
                            "for example: region = \"europe-west1\" and project = \"my-project\""
                                .to_owned()
                        }
                        _ => "for example: base_url = \"https://api.example.com/v1\"".to_owned(),
                    },
                };
                reader.wrong(&section.span, format!("{} has no base_url", section.called()), help);
            }
        }
    }
    urls
}

/// Where a provider listens that does not say so.
fn usual_url(section: &Section<'_, '_>, known: Option<&Known>, kind: &Kind) -> Option<String> {
    let text = |key| section.text(key).map(|word| word.text);
    match kind.name {
        "bedrock" | "bedrock-anthropic" => {
            let region = text("region")?;
            Some(format!("https://bedrock-runtime.{region}.amazonaws.com"))
        }
        "vertex" | "vertex-anthropic" => {
            let publisher = if kind.name == "vertex" { "google" } else { "anthropic" };
            let (region, project) = (text("region")?, text("project")?);
            let host = match region {
                "global" => "aiplatform.googleapis.com".to_owned(),
                region => format!("{region}-aiplatform.googleapis.com"),
            };
            Some(format!(
                "https://{host}/v1/projects/{project}/locations/{region}/publishers/{publisher}"
            ))
        }
        _ => {
            known.filter(|known| !known.base_url.is_empty()).map(|known| known.base_url.to_owned())
        }
    }
}

/// Where a secret is kept; notes what is a secret itself.
pub(super) fn secret(reader: &Reader<'_>, word: &Word<'_>) -> Option<Secret> {
    match reference(word.text) {
        Some(Ok(secret)) => Some(secret),
        Some(Err(reason)) => {
            reader.wrong(&word.span, reason, SECRET_HELP);
            None
        }
        None => {
            reader.hide(&word.span);
            reader.wrong(&word.span, "a secret does not stand in the policy", SECRET_HELP);
            None
        }
    }
}

/// Reads what refers to a secret; `None` when the text does not look as if it did.
pub(super) fn reference(text: &str) -> Option<Result<Secret, String>> {
    if let Some(path) = text.strip_prefix("file:") {
        let path = path.strip_prefix("//").unwrap_or(path);
        return Some(match path {
            "" => Err("the file has no name".to_owned()),
            path => Ok(Secret::File(path.into())),
        });
    }
    let name = ["env::", "env:", "env.", "os.environ/", "$"]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))?;
    let name = name.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(name);
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    Some(if !name.is_empty() && name.bytes().all(fits) {
        Ok(Secret::Env(name.to_owned()))
    } else {
        Err("this is no name of an environment variable".to_owned())
    })
}

fn headers(reader: &Reader<'_>, section: &Section<'_, '_>) -> Vec<(String, HeaderValue)> {
    let mut headers: Vec<(String, HeaderValue)> = Vec::new();
    for (name, value) in section.texts_by_name("headers") {
        let lower = name.text.to_ascii_lowercase();
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if lower.is_empty() || !lower.bytes().all(token) {
            reader.wrong(&name.span, format!("`{}` is no name of a head field", name.text), "");
        } else if OWN_FIELDS.contains(&&*lower) {
            reader.wrong(&name.span, format!("Faregate writes `{lower}` itself"), "take it out");
        } else if headers.iter().any(|(other, _)| *other == lower) {
            reader.wrong(&name.span, format!("`{lower}` is there twice"), "");
        } else if lower == "authorization"
            && section.given("api_key").or_else(|| section.given("keys")).is_some()
        {
            let help = "api_key is sent as authorization: Bearer KEY; keep one of the two";
            reader.clash(&name.span, "both api_key and this would be `authorization`", help);
        }
        if let Some(value) = header_value(reader, &lower, &value) {
            headers.push((lower, value));
        }
    }
    headers
}

fn header_value(reader: &Reader<'_>, name: &str, word: &Word<'_>) -> Option<HeaderValue> {
    if SECRET_FIELDS.contains(&name) || reference(word.text).is_some_and(|found| found.is_ok()) {
        return secret(reader, word).map(HeaderValue::Secret);
    }
    let clean = |b: u8| b == b' ' || b.is_ascii_graphic();
    if !word.text.bytes().all(clean) || word.text.trim() != word.text {
        let reason = format!("the value of {} is no clean head field", bare_or_quoted(name));
        reader.wrong(&word.span, reason, "visible ASCII, with spaces inside only");
        return None;
    }
    Some(HeaderValue::Plain(word.text.to_owned()))
}

fn models(reader: &Reader<'_>, section: &Section<'_, '_>) -> Vec<Pattern> {
    let Some(words) = section.texts("models") else { return vec![Pattern::new("*")] };
    for word in &words {
        if word.text.is_empty() || word.text.contains(|c: char| c.is_whitespace() || c.is_control())
        {
            reader.wrong(&word.span, format!("`{}` is no name of a model", word.text), "");
        }
    }
    words.iter().map(|word| Pattern::new(word.text)).collect()
}

fn deadlines(reader: &Reader<'_>, section: &Section<'_, '_>, server: &Server) -> TargetDeadlines {
    let total = server.deadlines.total;
    let read = |key: &str, max: Duration, of: &str| {
        let value = section.duration(key);
        if value > max
            && let Some(span) = section.given(key)
        {
            let reason = format!("{key} is longer than {of}, and so without effect");
            reader.clash(&span, reason, format!("shorten it, or lengthen {of}"));
        }
        value.min(max)
    };
    let first_token = read("first_token", total, "server.deadlines.total");
    let (max, of) = if section.given("first_token").is_some() {
        (first_token, "first_token")
    } else {
        (total, "server.deadlines.total")
    };
    let first_byte = read("first_byte", max, of);
    TargetDeadlines {
        connect: read("connect", total, "server.deadlines.total"),
        first_byte,
        first_token: first_token.max(first_byte),
        between_tokens: read("between_tokens", total, "server.deadlines.total"),
    }
}
