//! What of the OpenAI API a request calls, told from its method and path.

use faregate_wire::Method;

/// A part of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Surface {
    /// `POST /chat/completions`
    ChatCompletions,
    /// `POST /completions`
    Completions,
    /// `POST /embeddings`
    Embeddings,
    /// `GET /models`
    Models,
    /// `GET /models/{model}`
    Model,
    /// Any other path of the API.
    Other,
}

/// Why a path is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotServed {
    /// There is nothing at this path.
    Path,
    /// The path takes these methods only: the value of `Allow`.
    Method(&'static str),
    /// The path could be read as another one by somebody else.
    Unclean,
}

/// What goes to a provider for the surfaces that have a path of their own.
const PATHS: [(&str, Surface); 4] = [
    ("/chat/completions", Surface::ChatCompletions),
    ("/completions", Surface::Completions),
    ("/embeddings", Surface::Embeddings),
    ("/models", Surface::Models),
];

impl Surface {
    /// Tells what is called, and the path as it goes behind a provider's base URL: `/chat/completions`.
    ///
    /// Versions are `/v1`, `/openai/v1` and `/openai`; the paths with a surface of their own are also served without.
    /// A path that another server could take for one of these, since it differs in case or by a slash at the end, is
    /// served as it; one that only ends like it is not served: what is metered must not pass as something else. The
    /// deployments of Azure's older API (`/openai/deployments/{name}/chat/completions`) are served too; the body tells
    /// their model.
    ///
    /// # Errors
    ///
    /// [`NotServed`] when the path or the method is not part of the API, or the path is ambiguous.
    pub fn of(method: Method, path: &str) -> Result<(Self, &str), NotServed> {
        if !is_clean(path) {
            return Err(NotServed::Unclean);
        }
        let (behind, has_version) = behind_version(path);
        let (surface, path) = Self::at(behind, has_version).ok_or(NotServed::Path)?;
        if surface.takes(method) {
            Ok((surface, path))
        } else {
            Err(NotServed::Method(surface.methods()))
        }
    }

    fn at(path: &str, has_version: bool) -> Option<(Self, &str)> {
        let named = behind_deployment(path).filter(|_| has_version).unwrap_or(path);
        let named = named.strip_suffix('/').unwrap_or(named);
        if let Some((path, surface)) =
            PATHS.iter().find(|(path, _)| named.eq_ignore_ascii_case(path))
        {
            return Some((*surface, path));
        }
        if PATHS[..3].iter().any(|(path, _)| ends_with_ignoring_case(named, path)) {
            return None;
        }
        if named.strip_prefix("/models/").is_some_and(|model| !model.is_empty()) {
            return Some((Self::Model, named));
        }
        (has_version && !named.is_empty()).then_some((Self::Other, path))
    }

    const fn takes(self, method: Method) -> bool {
        match self {
            Self::ChatCompletions | Self::Completions | Self::Embeddings => {
                matches!(method, Method::Post)
            }
            Self::Models | Self::Model => matches!(method, Method::Get | Method::Head),
            Self::Other => !matches!(method, Method::Options),
        }
    }

    /// What the operation is called in telemetry.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat",
            Self::Completions => "text_completion",
            Self::Embeddings => "embeddings",
            Self::Models | Self::Model => "models",
            Self::Other => "other",
        }
    }

    /// Whether the body must name a model.
    #[must_use]
    pub const fn has_model(self) -> bool {
        matches!(self, Self::ChatCompletions | Self::Completions | Self::Embeddings)
    }

    /// Whether answers tell usage.
    #[must_use]
    pub const fn is_metered(self) -> bool {
        self.has_model()
    }

    /// Whether `"stream": true` gives a stream of events that can tell usage.
    #[must_use]
    pub const fn can_stream(self) -> bool {
        matches!(self, Self::ChatCompletions | Self::Completions)
    }

    /// The methods that it takes, as the value of `Allow`.
    #[must_use]
    pub const fn methods(self) -> &'static str {
        match self {
            Self::ChatCompletions | Self::Completions | Self::Embeddings => "POST",
            Self::Models | Self::Model => "GET, HEAD",
            Self::Other => "GET, HEAD, POST, PUT, PATCH, DELETE",
        }
    }
}

impl NotServed {
    /// What is wrong, for the client.
    #[must_use]
    pub const fn message(self) -> &'static str {
        match self {
            Self::Path => "there is nothing at this path",
            Self::Method(_) => "the method is not allowed here",
            Self::Unclean => "the path could be read in two ways",
        }
    }
}

/// The path behind the version, and whether it had one.
fn behind_version(path: &str) -> (&str, bool) {
    for version in ["/v1", "/openai/v1", "/openai"] {
        if let Some(behind) = path.strip_prefix(version)
            && (behind.is_empty() || behind.starts_with('/'))
        {
            return (behind, true);
        }
    }
    (path, false)
}

/// The path behind `/deployments/{name}`.
fn behind_deployment(path: &str) -> Option<&str> {
    let named = path.strip_prefix("/deployments/")?;
    named.find('/').map(|at| &named[at..])
}

fn ends_with_ignoring_case(path: &str, end: &str) -> bool {
    let start = path.len().checked_sub(end.len());
    start.is_some_and(|start| path.as_bytes()[start..].eq_ignore_ascii_case(end.as_bytes()))
}

/// Whether everybody reads the path alike: RFC 3986 characters only, no parameters, no empty or dotted segments, and
/// nothing encoded that need not be or that separates segments.
fn is_clean(path: &str) -> bool {
    let mut rest = path.as_bytes();
    if rest.first() != Some(&b'/') {
        return false;
    }
    while let [first, behind @ ..] = rest {
        match (first, behind) {
            (b'/', [b'/', ..]) | (b'.', [b'.', ..]) => return false,
            (b'/', [b'.'] | [b'.', b'/', ..]) => return false,
            (b'%', [high, low, ..]) if encodes_what_it_must(*high, *low) => {}
            (b'/' | b'.' | b'-' | b'_' | b'~' | b':' | b'@', _) => {}
            (b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=', _) => {}
            (byte, _) if byte.is_ascii_alphanumeric() => {}
            _ => return false,
        }
        rest = behind;
    }
    true
}

/// Whether these two hex digits stand for a byte that may only appear encoded and does not separate anything.
fn encodes_what_it_must(high: u8, low: u8) -> bool {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (Some(high), Some(low)) = (digit(high), digit(low)) else { return false };
    match high << 4 | low {
        byte if byte.is_ascii_alphanumeric() || byte.is_ascii_control() => false,
        b'-' | b'.' | b'_' | b'~' | b'/' | b'\\' | b';' | b'%' | b'?' | b'#' => false,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use NotServed::{Path, Unclean};

    fn check(method: Method, path: &str, expected: Result<(Surface, &str), NotServed>) {
        assert_eq!(Surface::of(method, path), expected, "{method:?} {path}");
    }

    #[test]
    fn paths_lead_to_surfaces() {
        use Surface::{ChatCompletions, Completions, Embeddings, Models};
        for (name, method, surface) in [
            ("/chat/completions", Method::Post, ChatCompletions),
            ("/completions", Method::Post, Completions),
            ("/embeddings", Method::Post, Embeddings),
            ("/models", Method::Get, Models),
            ("/models", Method::Head, Models),
        ] {
            for version in ["", "/v1", "/openai/v1", "/openai"] {
                check(method, &format!("{version}{name}"), Ok((surface, name)));
                check(method, &format!("{version}{name}/"), Ok((surface, name)));
                check(method, &format!("{version}{}", name.to_uppercase()), Ok((surface, name)));
            }
            check(Method::Delete, name, Err(NotServed::Method(surface.methods())));
        }
        check(Method::Get, "/v1/chat/completions", Err(NotServed::Method("POST")));
        check(Method::Post, "/v1/models", Err(NotServed::Method("GET, HEAD")));
    }

    #[test]
    fn other_paths_of_a_version_pass_as_they_are() {
        for (path, behind) in [
            ("/v1/responses", "/responses"),
            ("/v1/files/file-1/content", "/files/file-1/content"),
            ("/v1/images/generations", "/images/generations"),
            ("/openai/v1/audio/speech", "/audio/speech"),
            ("/openai/batches", "/batches"),
            ("/v1/chat/completions/chatcmpl-1", "/chat/completions/chatcmpl-1"),
            ("/v1/files/", "/files/"),
            ("/v1/a%20b/c:d@e", "/a%20b/c:d@e"),
            ("/v1/v1beta/x.y", "/v1beta/x.y"),
        ] {
            for method in [Method::Get, Method::Post, Method::Delete] {
                check(method, path, Ok((Surface::Other, behind)));
            }
            check(Method::Options, path, Err(NotServed::Method(Surface::Other.methods())));
        }
    }

    #[test]
    fn one_model_is_named_by_the_rest_of_the_path() {
        for model in ["gpt-5", "openai/gpt-5-mini", "qwen3:8b", "accounts%40x"] {
            check(
                Method::Get,
                &format!("/v1/models/{model}"),
                Ok((Surface::Model, &format!("/models/{model}"))),
            );
        }
    }

    #[test]
    fn azure_deployments_are_chats_too() {
        let path = "/openai/deployments/gpt-4o/chat/completions";
        check(Method::Post, path, Ok((Surface::ChatCompletions, "/chat/completions")));
        check(
            Method::Get,
            "/openai/deployments/gpt-4o",
            Ok((Surface::Other, "/deployments/gpt-4o")),
        );
        check(Method::Post, "/deployments/gpt-4o/embeddings", Err(Path));
    }

    #[test]
    fn what_is_metered_does_not_pass_as_something_else() {
        for path in
            ["/v1/v1/chat/completions", "/v1/x/Embeddings/", "/openai/deployments/a/b/completions"]
        {
            check(Method::Post, path, Err(Path));
        }
    }

    #[test]
    fn nothing_is_served_elsewhere() {
        for path in [
            "/",
            "/v1",
            "/v1/",
            "/openai",
            "/openai/v1",
            "/v2/chat",
            "/v1x/models",
            "/chat",
            "/metrics",
            "/v1beta/models",
        ] {
            check(Method::Get, path, Err(Path));
        }
    }

    #[test]
    fn a_path_is_read_in_one_way() {
        for path in [
            "",
            "*",
            "v1/models",
            "//v1/models",
            "/v1//models",
            "/v1/../models",
            "/v1/./models",
            "/v1/.",
            "/v1/x..y",
            "/v1/models%2fx",
            "/v1/models%2Fx",
            "/v1/%2e%2e/x",
            "/v1/ch%61t/completions",
            "/v1/x%",
            "/v1/x%2",
            "/v1/x%zz",
            "/v1/x%00",
            "/v1/x%0a",
            "/v1/x%5c",
            "/v1/x%252f",
            "/v1/x\\y",
            "/v1/x;y",
            "/v1/x y",
            "/v1/x\u{7f}",
            "/v1/x\u{e9}",
            "/v1/x#y",
            "/v1/x?y",
            "/v1/x%3f",
            "/v1/x%+1",
        ] {
            check(Method::Post, path, Err(Unclean));
        }
    }
}
