//! Kinds of providers: which dialects each speaks, at which paths, with which proof of who pays.
//!
//! A provider in a policy has one of these as its `dialect`. The table is [`ALL`]; nothing else knows that kinds differ.

use std::borrow::Cow;

use crate::{
    dialect::Form,
    quirks::{self, Quirks},
    surface::Family,
};

/// A kind of provider.
#[derive(Debug)]
pub struct Kind {
    /// Its name, the value of `dialect` in a policy.
    pub name: &'static str,
    /// The chats that it speaks unless the policy says more; the first one is what others are translated into.
    pub forms: &'static [Form],
    /// How it is told who pays.
    pub auth: Auth,
    /// Whose API it is: paths that name no model are its own.
    pub family: Family,
    /// The path of a base URL that has none.
    pub path_default: &'static str,
    /// How it differs from the dialects it speaks.
    pub quirks: Quirks,
    paths: Paths,
}

/// How a provider is told who pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Auth {
    /// `Authorization: Bearer KEY`
    Bearer,
    /// The key is the value of this field.
    Field(&'static str),
    /// A token of Google's, fetched for a service account or from the machine, as a bearer.
    Google,
    /// A signature by AWS credentials, or a key as a bearer.
    Aws,
}

#[derive(Clone, Copy, Debug)]
enum Paths {
    /// Each dialect has its own path, and bodies name the model.
    Own,
    /// `/models/{model}:{verb}` for Google's own models.
    Verb,
    /// `/models/{model}:rawPredict`
    RawPredict,
    /// `/model/{model}/converse`
    Converse,
    /// `/model/{model}/invoke`
    Invoke,
    /// `/deployments/{model}/chat/completions`
    Deployment,
}

/// The last stable version of Azure's older API:
/// <https://learn.microsoft.com/azure/ai-foundry/openai/api-version-lifecycle>.
const AZURE_VERSION: &str = "2024-10-21";

/// All kinds.
pub const ALL: &[Kind] = &[
    kind("openai", &[Form::Chat], Auth::Bearer, Family::OpenAi, "/v1", Paths::Own),
    Kind {
        quirks: quirks::OPENAI,
        ..kind(
            "azure",
            &[Form::Chat, Form::Responses],
            Auth::Field("api-key"),
            Family::OpenAi,
            "/openai/v1",
            Paths::Own,
        )
    },
    Kind {
        quirks: quirks::OPENAI,
        ..kind(
            "azure-deployments",
            &[Form::Chat],
            Auth::Field("api-key"),
            Family::OpenAi,
            "/openai",
            Paths::Deployment,
        )
    },
    kind(
        "anthropic",
        &[Form::Messages],
        Auth::Field("x-api-key"),
        Family::Anthropic,
        "/v1",
        Paths::Own,
    ),
    kind(
        "gemini",
        &[Form::Gemini],
        Auth::Field("x-goog-api-key"),
        Family::Gemini,
        "/v1beta",
        Paths::Verb,
    ),
    kind("vertex", &[Form::Gemini], Auth::Google, Family::Gemini, "", Paths::Verb),
    Kind {
        quirks: Quirks { version_in_body: Some("vertex-2023-10-16"), ..Quirks::NONE },
        ..kind(
            "vertex-anthropic",
            &[Form::Messages],
            Auth::Google,
            Family::Anthropic,
            "",
            Paths::RawPredict,
        )
    },
    kind("bedrock", &[Form::Converse], Auth::Aws, Family::Bedrock, "", Paths::Converse),
    Kind {
        quirks: Quirks {
            version_in_body: Some("bedrock-2023-05-31"),
            stream_in_path: true,
            ..Quirks::NONE
        },
        ..kind(
            "bedrock-anthropic",
            &[Form::Messages],
            Auth::Aws,
            Family::Bedrock,
            "",
            Paths::Invoke,
        )
    },
];

/// Names of all kinds, in the order of [`ALL`].
pub const NAMES: &[&str] = &[
    "openai",
    "azure",
    "azure-deployments",
    "anthropic",
    "gemini",
    "vertex",
    "vertex-anthropic",
    "bedrock",
    "bedrock-anthropic",
];

/// The kind of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Kind> {
    ALL.iter().find(|kind| kind.name == name)
}

const fn kind(
    name: &'static str,
    forms: &'static [Form],
    auth: Auth,
    family: Family,
    path_default: &'static str,
    paths: Paths,
) -> Kind {
    Kind { name, forms, auth, family, path_default, quirks: Quirks::NONE, paths }
}

impl Kind {
    /// The path of a chat behind the provider's base URL; `model` is the provider's name for it.
    #[must_use]
    pub fn path(&self, form: Form, model: &str, stream: bool) -> Cow<'static, str> {
        match self.paths {
            Paths::Own => Cow::Borrowed(match form {
                Form::Chat => "/chat/completions",
                Form::Responses => "/responses",
                Form::Messages => "/messages",
                Form::Gemini | Form::Converse => return own_path(form, model, stream),
            }),
            Paths::Verb => own_path(Form::Gemini, model, stream),
            Paths::Converse => own_path(Form::Converse, model, stream),
            Paths::RawPredict => {
                let verb = if stream { "streamRawPredict" } else { "rawPredict" };
                Cow::Owned(format!("/models/{}:{verb}", escaped(model)))
            }
            Paths::Invoke => {
                let verb = if stream { "invoke-with-response-stream" } else { "invoke" };
                Cow::Owned(format!("/model/{}/{verb}", escaped(model)))
            }
            Paths::Deployment => deployment_path(model, "/chat/completions"),
        }
    }

    /// The path of a call of OpenAI's API that is no chat and names a model: as the client has it, or below the model.
    #[must_use]
    pub fn path_of_call<'a>(&self, path: &'a str, model: &str) -> Cow<'a, str> {
        match self.paths {
            Paths::Deployment if !path.starts_with("/deployments/") => deployment_path(model, path),
            _ => Cow::Borrowed(path),
        }
    }

    /// The version that a query must name where the policy says none; `None` where there is no such thing.
    #[must_use]
    pub const fn version_default(&self) -> Option<&'static str> {
        match self.paths {
            Paths::Deployment => Some(AZURE_VERSION),
            _ => None,
        }
    }

    /// The path at which tokens of Anthropic's messages are counted; `None` where that is not offered in this form.
    #[must_use]
    pub const fn count_path(&self) -> Option<&'static str> {
        match self.paths {
            Paths::Own => Some("/messages/count_tokens"),
            Paths::RawPredict => Some("/models/count-tokens:rawPredict"),
            Paths::Verb | Paths::Converse | Paths::Invoke | Paths::Deployment => None,
        }
    }

    /// Whether a stream comes in frames that wrap the dialect's own events.
    #[must_use]
    pub const fn wraps_events(&self) -> bool {
        matches!(self.paths, Paths::Invoke)
    }

    /// Whether the path and not the body names the model.
    #[must_use]
    pub const fn has_model_in_path(&self) -> bool {
        !matches!(self.paths, Paths::Own)
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Kind {}

fn deployment_path(model: &str, path: &str) -> Cow<'static, str> {
    Cow::Owned(format!("/deployments/{}{path}", escaped(model)))
}

fn own_path(form: Form, model: &str, stream: bool) -> Cow<'static, str> {
    Cow::Owned(match (form, stream) {
        (Form::Converse, false) => format!("/model/{}/converse", escaped(model)),
        (Form::Converse, true) => format!("/model/{}/converse-stream", escaped(model)),
        (_, false) => format!("/models/{}:generateContent", escaped(model)),
        (_, true) => format!("/models/{}:streamGenerateContent?alt=sse", escaped(model)),
    })
}

/// A model's name as one segment of a path (RFC 3986 section 3.3); `:` is encoded, as AWS's clients do.
fn escaped(model: &str) -> Cow<'_, str> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~' | b'@');
    let model = model.strip_prefix("models/").unwrap_or(model);
    if model.bytes().all(plain) {
        return Cow::Borrowed(model);
    }
    let mut out = String::with_capacity(model.len() + 8);
    for byte in model.bytes() {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_table() {
        assert!(ALL.iter().map(|kind| kind.name).eq(NAMES.iter().copied()));
        assert!(ALL.iter().all(|kind| !kind.forms.is_empty()));
    }

    #[test]
    fn paths_are_the_providers_own() {
        let check = |kind: &str, form, model: &str, stream, path: &str| {
            assert_eq!(find(kind).unwrap().path(form, model, stream), path);
        };
        check("openai", Form::Chat, "gpt-5", true, "/chat/completions");
        check("azure", Form::Responses, "gpt-5", false, "/responses");
        check("azure-deployments", Form::Chat, "d 1", true, "/deployments/d%201/chat/completions");
        check("anthropic", Form::Messages, "claude", true, "/messages");
        check("gemini", Form::Gemini, "models/g-3", false, "/models/g-3:generateContent");
        check("vertex", Form::Gemini, "g", true, "/models/g:streamGenerateContent?alt=sse");
        check("vertex-anthropic", Form::Messages, "c@1", true, "/models/c@1:streamRawPredict");
        check("bedrock", Form::Converse, "a.c:0", true, "/model/a.c%3A0/converse-stream");
        check("bedrock-anthropic", Form::Messages, "a", false, "/model/a/invoke");
        let count = |kind: &str| find(kind).unwrap().count_path();
        assert_eq!(count("anthropic"), Some("/messages/count_tokens"));
        assert_eq!(count("vertex-anthropic"), Some("/models/count-tokens:rawPredict"));
        assert_eq!(count("bedrock-anthropic"), None);
        let call = |kind: &str, path| find(kind).unwrap().path_of_call(path, "d").into_owned();
        assert_eq!(call("azure", "/embeddings"), "/embeddings");
        assert_eq!(call("azure-deployments", "/embeddings"), "/deployments/d/embeddings");
        assert_eq!(call("azure-deployments", "/deployments/d/x"), "/deployments/d/x");
    }
}
