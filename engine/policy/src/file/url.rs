//! Where a provider listens: `https://host:port/path`, `unix:/path/of/socket`,
//! `unix:/path/of/socket:/path`.
//!
//! Only what a base URL needs of RFC 3986; anything else is refused rather than guessed at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::policy::{BaseUrl, Scheme};

/// Path ends that belong to a request, not to a base URL.
const ENDPOINTS: &[&str] =
    &["/chat/completions", "/completions", "/embeddings", "/models", "/responses", "/messages"];

/// Why a text is no base URL, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BadUrl {
    pub(crate) reason: String,
    pub(crate) help: &'static str,
    /// Whether the text may hold a secret.
    pub(crate) hide: bool,
}

/// Reads a base URL; one without a path gets `path_default`.
pub(crate) fn parse(text: &str, path_default: &str) -> Result<BaseUrl, BadUrl> {
    if let Some(rest) = text.strip_prefix("unix:") {
        return unix(rest, path_default);
    }
    let (scheme, rest, port) = match text.split_once("://") {
        Some(("https", rest)) => (Scheme::Https, rest, 443),
        Some(("http", rest)) => (Scheme::Http, rest, 80),
        Some((other, _)) => return bad(format!("`{other}` is no scheme for a provider"), SCHEMES),
        None => return bad(format!("`{text}` has no scheme"), SCHEMES),
    };
    if rest.split('/').next().is_some_and(|authority| authority.contains('@')) {
        let help = "keep the secret in an environment variable: api_key = \"env:NAME\"";
        let reason = "a base URL holds no user name and no password".to_owned();
        return Err(BadUrl { reason, help, hide: true });
    }
    if rest.contains(['?', '#']) {
        let help = "cut the URL before `?` or `#`; secrets belong to api_key or headers";
        let reason = "a base URL has no query and no fragment".to_owned();
        return Err(BadUrl { reason, help, hide: true });
    }
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let (host, port) = host_and_port(authority, port)?;
    Ok(BaseUrl { scheme, host, port, path_prefix: path_prefix(path, path_default)? })
}

const SCHEMES: &str = "write http://, https:// or unix: in front: https://api.openai.com/v1";

fn unix(rest: &str, path_default: &str) -> Result<BaseUrl, BadUrl> {
    let rest = rest.strip_prefix("//").unwrap_or(rest);
    let (socket, path) = match rest.split_once(":/") {
        Some((socket, _)) => (socket, &rest[socket.len() + 1..]),
        None => (rest, ""),
    };
    if !socket.starts_with('/') || socket.len() < 2 || socket.contains(char::is_control) {
        let help = "for example: unix:/run/vllm.sock, or unix:/run/vllm.sock:/v1";
        return bad("a Unix socket is named by its whole path".to_owned(), help);
    }
    if socket.len() > 107 {
        return bad("the path of a Unix socket has at most 107 bytes".to_owned(), "");
    }
    Ok(BaseUrl {
        scheme: Scheme::Unix(socket.into()),
        host: "localhost".to_owned(),
        port: 0,
        path_prefix: path_prefix(path, path_default)?,
    })
}

fn host_and_port(authority: &str, default: u16) -> Result<(String, u16), BadUrl> {
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inside, behind)) => {
            if inside.parse::<Ipv6Addr>().is_err() {
                return bad(format!("`{inside}` is no IPv6 address"), "for example: [::1]");
            }
            (
                format!("[{inside}]"),
                behind.strip_prefix(':').or((!behind.is_empty()).then_some("x")),
            )
        }
        None => match authority.rsplit_once(':') {
            Some((host, port)) => (host.to_ascii_lowercase(), Some(port)),
            None => (authority.to_ascii_lowercase(), None),
        },
    };
    if !host.starts_with('[') && !is_host(&host) {
        return bad(format!("`{host}` is no host name"), "for example: https://api.openai.com/v1");
    }
    let Some(text) = port else { return Ok((host, default)) };
    match text.parse::<u16>() {
        Ok(port) if port > 0 && text.bytes().all(|b| b.is_ascii_digit()) => Ok((host, port)),
        _ => bad(format!("`{text}` is no port"), "a port is a number from 1 to 65535"),
    }
}

fn is_host(host: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let name = host.strip_suffix('.').unwrap_or(host);
    let ends_in_number =
        name.rsplit('.').next().is_some_and(|last| last.bytes().all(|b| b.is_ascii_digit()));
    host.len() <= 253
        && name.split('.').all(label)
        && (!ends_in_number || name.parse::<Ipv4Addr>().is_ok())
}

fn path_prefix(path: &str, default: &str) -> Result<String, BadUrl> {
    let path = path.trim_end_matches('/');
    if path.is_empty() {
        return Ok(default.to_owned());
    }
    let clean = |b: u8| b.is_ascii_alphanumeric() || b"/-._~:@!$&'()*+,=".contains(&b);
    let dots = path.split('/').skip(1).any(|part| matches!(part, "" | "." | ".."));
    if dots || !path.bytes().all(clean) {
        return bad(
            format!("`{path}` is no clean path"),
            "letters, digits and -._~ between single slashes, no dots alone",
        );
    }
    if let Some(endpoint) = ENDPOINTS.iter().find(|endpoint| path.ends_with(**endpoint)) {
        return bad(
            format!("a base URL does not name an endpoint, this one ends with `{endpoint}`"),
            "leave the end away: https://api.openai.com/v1",
        );
    }
    Ok(path.to_owned())
}

fn bad<T>(reason: String, help: &'static str) -> Result<T, BadUrl> {
    Err(BadUrl { reason, help, hide: false })
}

/// Whether only this machine or a private network can be meant.
pub(crate) fn is_private(url: &BaseUrl) -> bool {
    if matches!(url.scheme, Scheme::Unix(_)) {
        return true;
    }
    let host = url.host.trim_start_matches('[').trim_end_matches(']');
    match host.parse() {
        Ok(IpAddr::V4(ip)) => is_private_v4(ip),
        Ok(IpAddr::V6(ip)) => {
            ip.is_loopback()
                || ip.is_unique_local()
                || ip.is_unicast_link_local()
                || ip.to_ipv4_mapped().is_some_and(is_private_v4)
        }
        Err(_) => {
            let private = [".localhost", ".local", ".internal", ".lan", ".svc", ".home.arpa"];
            !host.contains('.') || private.iter().any(|end| host.ends_with(end))
        }
    }
}

fn is_private_v4(ip: Ipv4Addr) -> bool {
    let shared = ip.octets()[0] == 100 && (64..128).contains(&ip.octets()[1]);
    ip.is_loopback() || ip.is_private() || ip.is_link_local() || shared
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(&str, u16, &str), &str>) {
        let found = parse(text, "/v1");
        let found = found.as_ref().map(|u| (u.host.as_str(), u.port, u.path_prefix.as_str()));
        assert_eq!(found.map_err(|error| error.reason.as_str()), expected, "{text}");
    }

    #[test]
    fn a_url_is_read_strictly() {
        check("https://api.openai.com/v1", Ok(("api.openai.com", 443, "/v1")));
        check("https://API.OpenAI.com/v1/", Ok(("api.openai.com", 443, "/v1")));
        check("http://10.0.0.11:8000", Ok(("10.0.0.11", 8000, "/v1")));
        check("http://10.0.0.11:8000/", Ok(("10.0.0.11", 8000, "/v1")));
        check("http://[::1]:8000/api/x", Ok(("[::1]", 8000, "/api/x")));
        check("http://[::1]", Ok(("[::1]", 80, "/v1")));
        check("unix:/run/vllm.sock", Ok(("localhost", 0, "/v1")));
        check("unix:/run/vllm.sock:/openai/v1/", Ok(("localhost", 0, "/openai/v1")));
        check("unix:///run/vllm.sock", Ok(("localhost", 0, "/v1")));
        check("api.openai.com", Err("`api.openai.com` has no scheme"));
        check("ftp://x/", Err("`ftp` is no scheme for a provider"));
        check("https://", Err("`` is no host name"));
        check("https://a b/", Err("`a b` is no host name"));
        check("https://1.2.3/", Err("`1.2.3` is no host name"));
        check("https://999.2.3.4/", Err("`999.2.3.4` is no host name"));
        check("http://[::1]x", Err("`x` is no port"));
        check("http://[zz]", Err("`zz` is no IPv6 address"));
        check("http://a:0", Err("`0` is no port"));
        check("http://a:+80", Err("`+80` is no port"));
        check("http://u:p@a/", Err("a base URL holds no user name and no password"));
        check("http://a/v1?key=x", Err("a base URL has no query and no fragment"));
        check("http://a/v1/../x", Err("`/v1/../x` is no clean path"));
        check("http://a//v1", Err("`//v1` is no clean path"));
        check("http://a/%2e", Err("`/%2e` is no clean path"));
        check("unix:run/x", Err("a Unix socket is named by its whole path"));
        check(
            "https://a/v1/chat/completions",
            Err("a base URL does not name an endpoint, this one ends with `/chat/completions`"),
        );
    }

    #[test]
    fn a_private_host_is_told_from_a_public_one() {
        for (text, expected) in [
            ("http://127.0.0.1:1", true),
            ("http://10.1.2.3", true),
            ("http://100.64.0.1", true),
            ("http://[fd00::1]", true),
            ("http://vllm:8000", true),
            ("http://vllm.models.svc", true),
            ("unix:/run/x", true),
            ("http://8.8.8.8", false),
            ("http://api.example.com", false),
            ("http://[2001:db8::1]", false),
        ] {
            assert_eq!(is_private(&parse(text, "/v1").unwrap()), expected, "{text}");
        }
    }
}
