//! What both formats have in common: providers by the names that others give them, references to secrets, addresses.
//!
//! In: texts and nodes of a file. Out: what the policy has for them. A text that may be a secret leaves this file as the name
//! of an environment variable or not at all.

use faregate_policy::{
    Policy, key,
    known::{self, Known},
};

use super::{
    Import,
    draft::{Identity, Proof},
    report::Fate,
    toml::{quoted, variable},
    tree::Node,
};

/// A provider as others call it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Family {
    /// What it is called here.
    pub(super) name: &'static str,
    /// What is known of it.
    pub(super) known: Option<&'static Known>,
    /// Where it listens, when that is known and it is not.
    pub(super) base_url: Option<&'static str>,
    /// The usual variable of its key, where it is not known.
    pub(super) key_var: Option<&'static str>,
}

impl Family {
    /// One that is known.
    pub(super) const fn known(known: &'static Known) -> Self {
        Self { name: known.name, known: Some(known), base_url: None, key_var: None }
    }

    /// Any server of OpenAI's dialect.
    pub(super) const SERVER: Self =
        Self { name: "server", known: None, base_url: None, key_var: None };
}

/// Names that others give to providers that are known here, beside their own.
const NAMES: &[(&str, &str)] = &[
    ("text-completion-openai", "openai"),
    ("azure_text", "azure"),
    ("azure_ai", "azure"),
    ("anthropic_text", "anthropic"),
    ("bedrock_converse", "bedrock"),
    ("vertex_ai", "vertex"),
    ("vertex_ai_beta", "vertex"),
    ("palm", "gemini"),
    ("together_ai", "together"),
    ("fireworks_ai", "fireworks"),
    ("cohere_chat", "cohere"),
    ("nvidia_nim", "nvidia"),
    ("ollama_chat", "ollama"),
    ("hosted_vllm", "vllm"),
    ("sgl", "sglang"),
    ("lm_studio", "lmstudio"),
    ("llamafile", "llamacpp"),
];

/// Providers of OpenAI's dialect that are not known by name here: where they listen, and the usual variable of their key.
const ADDRESSES: &[(&str, &str, &str)] = &[
    ("ai21", "https://api.ai21.com/studio/v1", "AI21_API_KEY"),
    ("baseten", "https://inference.baseten.co/v1", "BASETEN_API_KEY"),
    ("codestral", "https://codestral.mistral.ai/v1", "CODESTRAL_API_KEY"),
    ("dashscope", "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY"),
    ("featherless_ai", "https://api.featherless.ai/v1", "FEATHERLESS_AI_API_KEY"),
    ("friendliai", "https://api.friendli.ai/serverless/v1", "FRIENDLI_TOKEN"),
    ("hyperbolic", "https://api.hyperbolic.xyz/v1", "HYPERBOLIC_API_KEY"),
    ("lambda_ai", "https://api.lambda.ai/v1", "LAMBDA_API_KEY"),
    ("meta_llama", "https://api.llama.com/compat/v1", "LLAMA_API_KEY"),
    ("nebius", "https://api.studio.nebius.ai/v1", "NEBIUS_API_KEY"),
    ("novita", "https://api.novita.ai/v3/openai", "NOVITA_API_KEY"),
    ("parasail", "https://api.parasail.io/v1", "PARASAIL_API_KEY"),
    ("sambanova", "https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY"),
    ("volcengine", "https://ark.cn-beijing.volces.com/api/v3", "VOLCENGINE_API_KEY"),
    ("wandb", "https://api.inference.wandb.ai/v1", "WANDB_API_KEY"),
];

/// Names of any server that speaks OpenAI's dialect.
const ANY_SERVER: &[&str] = &["openai_like", "custom_openai", "litellm_proxy", "oobabooga"];

/// What people write where a server asks for no key.
const NO_KEYS: &[&str] = &[
    "none",
    "null",
    "empty",
    "dummy",
    "fake",
    "fake-key",
    "dummy-key",
    "not-needed",
    "no-key",
    "anything",
    "na",
    "n/a",
    "placeholder",
    "sk-fake",
    "sk-dummy",
    "ollama",
    "",
];

/// Ends of addresses that belong to a request.
const ENDPOINTS: &[&str] =
    &["/chat/completions", "/completions", "/embeddings", "/responses", "/messages", "/models"];

/// The provider that others call so; `None` when nothing is known of it.
pub(super) fn family(name: &str) -> Option<Family> {
    let lower = name.to_ascii_lowercase();
    let here = NAMES.iter().find(|(theirs, _)| *theirs == lower).map_or(lower.as_str(), |(_, n)| n);
    if let Some(known) = known::find(here) {
        return Some(Family::known(known));
    }
    if ANY_SERVER.contains(&here) {
        return Some(Family::SERVER);
    }
    let &(name, url, var) = ADDRESSES.iter().find(|(name, ..)| *name == here)?;
    Some(Family { name, known: None, base_url: Some(url), key_var: Some(var) })
}

/// The provider whose models are called like this one.
pub(super) fn family_of_model(model: &str) -> Option<Family> {
    let fits = |known: &&Known| {
        known.prefixes.iter().any(|prefix| model.starts_with(prefix.trim_end_matches('*')))
    };
    let known = known::ALL.iter().find(fits)?;
    Some(Family::known(known))
}

/// The environment variable that a text refers to.
pub(super) fn reference(text: &str) -> Option<&str> {
    let name = ["os.environ/", "env.", "env:"].iter().find_map(|start| text.strip_prefix(start))?;
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (!name.is_empty() && name.len() <= 256 && name.bytes().all(fits)).then_some(name)
}

/// Whether a text is written where a server asks for no key.
pub(super) fn is_no_key(text: &str) -> bool {
    NO_KEYS.contains(&text.trim().to_ascii_lowercase().as_str())
}

/// Whether a text may be a secret: a long word of letters and digits, or what begins as keys do.
pub(super) fn may_be_secret(text: &str) -> bool {
    const BYTES_MIN: usize = 16;
    let starts =
        ["sk-", "Bearer ", "Basic ", "pk-", "key-", "AKIA", "ya29.", "eyJ", "gsk_", "xai-", "AIza"];
    let word = |text: &str| {
        text.len() >= BYTES_MIN
            && text.bytes().any(|b| b.is_ascii_digit())
            && text.bytes().any(|b| b.is_ascii_alphabetic())
    };
    starts.iter().any(|start| text.starts_with(start)) || text.split_whitespace().any(word)
}

/// Whether a head field of this name holds a secret.
fn is_secret_field(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    ["auth", "key", "token", "secret", "cookie", "password", "credential"]
        .iter()
        .any(|part| lower.contains(part))
}

/// Whether the policy takes a provider with these lines.
pub(super) fn is_provider(lines: &str) -> bool {
    let text = format!("[server]\nanonymous = true\n[providers.p]\n{lines}\n");
    Policy::compile(&text, "provider", 1, None).is_ok()
}

impl Import<'_> {
    /// The value of an environment variable: as the file sets it, or as it is here.
    pub(super) fn variable(&self, name: &str) -> Option<String> {
        let set = self.variables.iter().find(|(known, _)| known == name);
        let found = set.map(|(_, value)| value.clone()).or_else(|| (self.lookup)(name));
        found.filter(|value| !value.is_empty())
    }

    /// A setting that is no secret: as it stands, or as the environment has it now.
    pub(super) fn setting(&mut self, node: &Node) -> Option<String> {
        let text = node.text()?;
        let Some(name) = reference(text) else { return Some(text.to_owned()) };
        let found = self.variable(name);
        let (fate, said) = match found {
            Some(_) => {
                let said = "the value that the variable has now was written: it is no reference in a policy";
                (Fate::Differs, said.to_owned())
            }
            None => {
                let said =
                    format!("{name} is not set here: write its value into the policy by hand");
                (Fate::Todo, said)
            }
        };
        self.report.note(node, fate, said);
        found
    }

    /// A duration that the file has in seconds, in milliseconds.
    pub(super) fn millis(&mut self, node: &Node) -> Option<u64> {
        const MAX: f64 = 86_400_000.0;
        let ms = node.number().map(|seconds| (seconds * 1000.0).round());
        match ms.filter(|ms| (1.0..=MAX).contains(ms)) {
            Some(ms) => Some(whole(ms)),
            None => {
                self.report.note(node, Fate::Lost, "no time between a millisecond and a day");
                None
            }
        }
    }

    /// The address of a provider; a placeholder when it is not known yet.
    pub(super) fn base_url(&mut self, node: &Node, provider: &str) -> Option<String> {
        let text = node.text()?;
        let wanted = reference(text).map(str::to_owned);
        let placeholder = |host: &str| {
            let host: String =
                host.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
            let host = host.trim_matches('-').to_ascii_lowercase();
            format!("https://{}.invalid", host.get(..60).unwrap_or(&host))
        };
        let Some(found) = self.setting(node) else {
            return Some(placeholder(&wanted.unwrap_or_default()));
        };
        let mut url = found.trim().trim_end_matches('/');
        if let Some((before, _)) = url.split_once(['?', '#']) {
            let text = "what stands behind ? or # of the address was left out";
            self.report.note(node, Fate::Differs, text);
            url = before;
        }
        let inner = ENDPOINTS.iter().find_map(|end| url.strip_suffix(end));
        if let Some(inner) = inner {
            let text = "the end of the address that names an endpoint was left out";
            self.report.note(node, Fate::Differs, text);
            url = inner;
        }
        if is_provider(&format!("base_url = {}", quoted(url))) {
            return Some(url.to_owned());
        }
        let text = "this is no address that a policy takes (no user name or password is), and is not \
            repeated: write it as base_url";
        self.report.note(node, Fate::Todo, text);
        Some(placeholder(provider))
    }

    /// How a provider is told who pays, by this node; none when it says that it need not be.
    pub(super) fn proof(&mut self, node: &Node) -> Proof {
        let Some(text) = node.text() else { return Proof::None };
        match reference(text) {
            Some(name) => Proof::Reference(format!("env:{name}")),
            None if is_no_key(text) => Proof::None,
            None => Proof::Clear(key::hash(text.as_bytes()).to_string()),
        }
    }

    /// A head field for a provider.
    pub(super) fn header(
        &mut self,
        name: &str,
        node: &Node,
        identity: &mut Identity,
        provider: &str,
    ) {
        let Some(text) = node.text() else { return };
        let name = name.to_ascii_lowercase();
        let value = match reference(text) {
            Some(name) => format!("env:{name}"),
            // An organisation of OpenAI's is a name, however random it looks.
            None if is_secret_field(&name)
                || may_be_secret(text) && name != "openai-organization" =>
            {
                let at = format!("env:{}", variable(provider, &upper(&name)));
                let said = format!(
                    "the value may be a secret and was not copied: keep it in {}",
                    &at[4..]
                );
                self.report.note(node, Fate::Todo, said);
                at
            }
            None => text.to_owned(),
        };
        let line = format!("headers = {{ {} = {} }}", quoted(&name), quoted(&value));
        let known = identity.headers.iter().any(|(other, _)| *other == name);
        if known || !is_provider(&format!("base_url = \"http://localhost\"\n{line}")) {
            self.report.note(node, Fate::Lost, "a policy takes no such head field");
        } else {
            identity.headers.push((name, value));
        }
    }

    /// Says of a provider whose key stood in the file where it belongs.
    pub(super) fn say_key(&mut self, provider: usize, node: Option<&Node>) {
        let Some(provider) = self.draft.providers.get(provider) else { return };
        if let (Proof::Clear(_), Some(node)) = (&provider.identity.key, node) {
            let text = format!(
                "a key stands here in the clear and was not copied: keep it in the environment as {}",
                variable(&provider.name, "API_KEY")
            );
            self.report.note(node, Fate::Todo, text);
        }
    }

    /// The hash of a client's key; of one that is not known a hash that no key has, and `false`.
    pub(super) fn client_hash(&mut self, node: &Node) -> (String, bool) {
        let value = node.text().and_then(|text| match reference(text) {
            Some(name) => self.variable(name),
            None => Some(text.to_owned()),
        });
        match value.filter(|value| !value.is_empty()) {
            Some(value) => (key::hash(value.as_bytes()).to_string(), true),
            None => {
                let name = node.text().and_then(reference).unwrap_or("the key").to_owned();
                let text = format!(
                    "{name} is not set here, so its hash is not known: put the output of `printf %s \
                     \"${name}\" | faregate key hash` into the policy and take disabled out"
                );
                self.report.note(node, Fate::Todo, text);
                (self.no_hash(), false)
            }
        }
    }

    /// A hash that no key has, another one each time.
    pub(super) fn no_hash(&mut self) -> String {
        self.unknown_keys += 1;
        format!("sha256:{:064x}", self.unknown_keys)
    }
}

/// A number that is whole and not negative, or the largest that is exact.
pub(super) fn whole(number: f64) -> u64 {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a number from 0 to 2^53"
    )]
    let whole = number.clamp(0.0, EXACT_MAX) as u64;
    whole
}

fn upper(text: &str) -> String {
    let one = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    text.chars().take(40).map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_are_found_by_the_names_others_give_them() {
        for (theirs, ours) in [
            ("openai", "openai"),
            ("vertex_ai", "vertex"),
            ("together_ai", "together"),
            ("hosted_vllm", "vllm"),
            ("sambanova", "sambanova"),
            ("openai_like", "server"),
        ] {
            assert_eq!(family(theirs).map(|family| family.name), Some(ours), "{theirs}");
        }
        assert!(family("replicate").is_none());
        assert_eq!(family_of_model("claude-sonnet-4-5").unwrap().name, "anthropic");
        for (name, url, _) in ADDRESSES {
            assert!(is_provider(&format!("base_url = {}", quoted(url))), "{name}");
            assert!(known::find(name).is_none(), "{name} is known");
        }
        assert!(NAMES.iter().all(|(_, ours)| known::find(ours).is_some()));
    }

    #[test]
    fn a_reference_is_told_from_a_secret() {
        assert_eq!(reference("os.environ/OPENAI_API_KEY"), Some("OPENAI_API_KEY"));
        assert_eq!(reference("env.X1"), Some("X1"));
        assert_eq!(reference("env.X 1"), None);
        assert_eq!(reference("sk-1234"), None);
        assert!(is_no_key("EMPTY") && !is_no_key("sk-1234"));
        for text in ["sk-x", "Bearer x", "0123456789abcdef0"] {
            assert!(may_be_secret(text), "{text}");
        }
        for text in ["platform", "org-search", "2024-06-01", "prompt caching"] {
            assert!(!may_be_secret(text), "{text}");
        }
    }
}
