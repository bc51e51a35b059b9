//! AWS's chain of credentials, in the order of its SDKs. A link that is there and fails ends the chain: what follows would
//! be somebody else.
//!
//! Format: <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>

use std::{fs, net::IpAddr, path::PathBuf};

use faregate_adapters::auth::{
    Secret,
    aws::{self, Profile, variable},
    google::FORM,
    sigv4::{Credentials, Scope, Unsigned, sha256_hex, sign},
};
use faregate_wire::Method;

use super::{
    Found, Held,
    fetch::{Ask, Fetcher, parts},
    one_line,
};

/// The links, for a person.
pub(super) const CHAIN: &str = "environment variables, a web identity, the shared files, the \
     container's service and the machine's";

/// Where STS listens, where it is not the usual place.
const STS_VARIABLE: &str = "AWS_ENDPOINT_URL_STS";

/// Where the metadata service listens, where it is not the usual place.
const METADATA_VARIABLE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";

/// The name of our sessions in roles.
const SESSION: &str = "faregate";

/// Profiles that take roles from each other.
const PROFILES_MAX: usize = 5;

/// Addresses of container services that are no loopback.
const CONTAINER_ADDRESSES: [&str; 3] = ["169.254.170.2", "169.254.170.23", "fd00:ec2::23"];

/// What a link has: credentials, or nothing at all.
type Link = Result<Option<Credentials>, String>;

/// One place of the chain.
type Source = fn(&Fetcher, &str) -> Link;

/// Goes along the chain.
pub(super) fn find(fetcher: &Fetcher, region: &str) -> Result<Found, String> {
    let links: [(&str, Source); 5] = [
        ("environment variables", variables),
        ("a web identity", web_identity),
        ("the shared files", shared_files),
        ("the container's service", container),
        ("the machine's service", machine),
    ];
    for (from, link) in links {
        match link(fetcher, region) {
            Ok(Some(credentials)) => return Ok(Found { held: Held::Aws(credentials), from }),
            Ok(None) => {}
            Err(error) => return Err(format!("{from}: {error}")),
        }
    }
    Err(format!(
        "none in {CHAIN}; set {} and {}, or run where there is a role",
        variable::ACCESS_KEY,
        variable::SECRET_KEY
    ))
}

/// The region where neither the policy nor a URL says it.
pub(crate) fn region() -> Option<String> {
    let set = |name| std::env::var(name).ok().filter(|region| !region.is_empty());
    set(variable::REGION).or_else(|| set(variable::DEFAULT_REGION))
}

fn variables(fetcher: &Fetcher, _: &str) -> Link {
    let key = fetcher.variable(variable::ACCESS_KEY).zip(fetcher.variable(variable::SECRET_KEY));
    Ok(key.map(|(access_key, secret_key)| Credentials {
        access_key,
        secret_key: Secret::new(secret_key),
        session_token: fetcher.variable(variable::SESSION_TOKEN).map(Secret::new),
        expires: None,
    }))
}

fn web_identity(fetcher: &Fetcher, region: &str) -> Link {
    let set = fetcher.variable(variable::TOKEN_FILE).zip(fetcher.variable(variable::ROLE));
    let Some((file, role)) = set else { return Ok(None) };
    let session = fetcher.variable(variable::SESSION_NAME);
    take_by_token(fetcher, region, &file, &role, session.as_deref()).map(Some)
}

fn take_by_token(
    fetcher: &Fetcher,
    region: &str,
    file: &str,
    role: &str,
    session: Option<&str>,
) -> Result<Credentials, String> {
    let token = fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
    let token = Secret::new(token);
    let form = aws::assume_with_web_identity(role, session.unwrap_or(SESSION), &token);
    ask_sts(fetcher, region, form.reveal(), None)
}

fn take_by_key(
    fetcher: &Fetcher,
    region: &str,
    profile: &Profile,
    role: &str,
    by: &Credentials,
) -> Result<Credentials, String> {
    let session = profile.session_name.as_deref().unwrap_or(SESSION);
    let form = aws::assume_role(role, session, profile.external_id.as_deref());
    ask_sts(fetcher, region, &form, Some(by))
}

fn ask_sts(
    fetcher: &Fetcher,
    region: &str,
    form: &str,
    signed_by: Option<&Credentials>,
) -> Result<Credentials, String> {
    let url = fetcher.variable(STS_VARIABLE).unwrap_or_else(|| {
        let china = if region.starts_with("cn-") { ".cn" } else { "" };
        format!("https://sts.{region}.amazonaws.com{china}/")
    });
    let place = parts(&url).ok_or_else(|| format!("{STS_VARIABLE} is no URL"))?;
    let signed = signed_by.map(|by| {
        let (path, query) = place.path.split_once('?').unwrap_or((place.path, ""));
        let headers = [("host", place.authority), ("content-type", FORM)];
        let body_hash = sha256_hex(form.as_bytes());
        let (method, headers, body_hash) = ("POST", &headers[..], &*body_hash);
        let request = Unsigned { method, path, query, headers, body_hash };
        sign(&request, by, Scope { region, service: "sts" }, fetcher.wall())
    });
    let mut fields = vec![("content-type", FORM)];
    fields.extend(signed.iter().flat_map(|signed| signed.headers()));
    let ask = Ask { method: Method::Post, url: &url, fields: &fields, body: form.as_bytes() };
    let told = fetcher.ask(&ask)?;
    let body = String::from_utf8_lossy(&told.body);
    if told.status == 200 {
        return aws::read_sts(&body).ok_or_else(|| "STS answers without credentials".to_owned());
    }
    let said = aws::read_sts_error(&body);
    let said = said.map(|(code, message)| format!(", {code}: {message}")).unwrap_or_default();
    Err(one_line(&format!("STS answers {}{said}", told.status)))
}

fn shared_files(fetcher: &Fetcher, region: &str) -> Link {
    let read = |name: &str, usual: &str| {
        let home = || fetcher.variable("HOME").map(|home| PathBuf::from(home).join(usual));
        let path = fetcher.variable(name).map(PathBuf::from).or_else(home);
        path.and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default()
    };
    let files = Files {
        credentials: read(variable::CREDENTIALS_FILE, ".aws/credentials"),
        config: read(variable::CONFIG_FILE, ".aws/config"),
    };
    let named = fetcher.variable(variable::PROFILE);
    let name = named.as_deref().unwrap_or(aws::DEFAULT_PROFILE);
    match files.profile(name) {
        None if named.is_some() => Err(format!("there is no profile {name}")),
        None => Ok(None),
        Some(_) => match files.credentials(fetcher, region, name, PROFILES_MAX)? {
            None if named.is_some() => Err(format!("profile {name} has no credentials")),
            found => Ok(found),
        },
    }
}

struct Files {
    credentials: String,
    config: String,
}

impl Files {
    fn profile(&self, name: &str) -> Option<Profile> {
        aws::profile(&self.credentials, &self.config, name)
    }

    /// The credentials of a profile, through at most `depth` others.
    fn credentials(&self, fetcher: &Fetcher, region: &str, name: &str, depth: usize) -> Link {
        let profile = self.profile(name).ok_or_else(|| format!("there is no profile {name}"))?;
        let region = profile.region.as_deref().unwrap_or(region);
        match (&profile.role, &profile.token_file, &profile.source_profile) {
            (Some(role), Some(file), _) => {
                let session = profile.session_name.as_deref();
                take_by_token(fetcher, region, file, role, session).map(Some)
            }
            (Some(role), None, Some(source)) => {
                let own = profile.credentials.clone().filter(|_| source == name);
                let by = match own {
                    Some(own) => Some(own),
                    None if depth == 0 || source == name => {
                        return Err(format!("profile {name} takes roles in a circle"));
                    }
                    None => self.credentials(fetcher, region, source, depth - 1)?,
                };
                let by = by.ok_or_else(|| format!("profile {source} has no credentials"))?;
                take_by_key(fetcher, region, &profile, role, &by).map(Some)
            }
            (Some(_), None, None) => Err(format!(
                "profile {name} has a role_arn and neither source_profile nor web_identity_token_file"
            )),
            (None, ..) if profile.credentials.is_none() && profile.program.is_some() => {
                Err(format!("profile {name} has a credential_process, which is not run"))
            }
            (None, ..) => Ok(profile.credentials),
        }
    }
}

fn container(fetcher: &Fetcher, _: &str) -> Link {
    let path = fetcher.variable(variable::CONTAINER_PATH);
    let url = match path.map(|path| format!("{}{path}", aws::CONTAINER_HOST)) {
        Some(url) => url,
        None => match fetcher.variable(variable::CONTAINER_URL) {
            Some(url) => url,
            None => return Ok(None),
        },
    };
    if !may_be_asked(&url) {
        let name = variable::CONTAINER_URL;
        return Err(format!("{name} is neither https nor the address of a container's service"));
    }
    let token = match fetcher.variable(variable::CONTAINER_TOKEN_FILE) {
        Some(file) => {
            let text = fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
            Some(text.trim().to_owned())
        }
        None => fetcher.variable(variable::CONTAINER_TOKEN),
    };
    if token.as_deref().is_some_and(|token| token.contains(|c: char| c.is_control())) {
        return Err("the authorization token is not one line".to_owned());
    }
    let fields: Vec<_> = token.iter().map(|token| ("authorization", token.as_str())).collect();
    let body = fetcher.body(&Ask { method: Method::Get, url: &url, fields: &fields, body: b"" })?;
    aws::read_json(&body).map(Some).ok_or_else(|| "an answer without credentials".to_owned())
}

/// Whether a token may go there: by TLS anywhere, in the clear only to where container services are.
fn may_be_asked(url: &str) -> bool {
    let Some(parts) = parts(url) else { return false };
    let is_loopback = parts.host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let is_near = is_loopback || parts.host == "localhost";
    parts.secured || is_near || CONTAINER_ADDRESSES.contains(&parts.host)
}

fn machine(fetcher: &Fetcher, _: &str) -> Link {
    let disabled = fetcher.variable(variable::METADATA_DISABLED);
    if disabled.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Ok(None);
    }
    let host = fetcher.variable(METADATA_VARIABLE);
    let host = host.as_deref().unwrap_or(aws::METADATA_HOST).trim_end_matches('/');
    let url = format!("{host}{}", aws::METADATA_TOKEN_PATH);
    let fields = [aws::METADATA_TOKEN_SECONDS];
    let token =
        fetcher.body(&Ask { method: Method::Put, url: &url, fields: &fields, body: b"" })?;
    let token = text(token)?;
    let url = format!("{host}{}", aws::METADATA_ROLE_PATH);
    let fields = [(aws::METADATA_TOKEN_HEADER, &*token)];
    let get =
        |url: &str| fetcher.body(&Ask { method: Method::Get, url, fields: &fields, body: b"" });
    let roles = text(get(&url)?)?;
    let role = roles.lines().next().map(str::trim).filter(|role| !role.is_empty());
    let role = role.ok_or("the machine has no role")?;
    let body = get(&format!("{url}{role}"))?;
    aws::read_json(&body).map(Some).ok_or_else(|| "an answer without credentials".to_owned())
}

/// An answer as one line that can be a head field's value.
fn text(body: Vec<u8>) -> Result<String, String> {
    let text = String::from_utf8(body).map_err(|_| "an answer that is no text")?;
    let text = text.trim().to_owned();
    let is_line = text.bytes().all(|b| (0x20..0x7f).contains(&b) || b == b'\n');
    is_line.then_some(text).ok_or_else(|| "an answer that is no text".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    fn fetcher(variables: &'static [(&str, &str)]) -> Fetcher {
        let find = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        Fetcher::new(Clock::start(), find)
    }

    #[test]
    fn variables_come_first() {
        let found = find(
            &fetcher(&[
                (variable::ACCESS_KEY, "AKIA"),
                (variable::SECRET_KEY, "s"),
                (variable::CONTAINER_URL, "http://127.0.0.1:1/"),
            ]),
            "us-east-1",
        )
        .unwrap();
        assert_eq!(found.from, "environment variables");
        assert!(matches!(found.held, Held::Aws(key) if key.access_key == "AKIA"));
    }

    #[test]
    fn a_link_that_fails_ends_the_chain() {
        let error = find(
            &fetcher(&[
                (variable::CONTAINER_URL, "http://192.0.2.1/x"),
                (variable::METADATA_DISABLED, "true"),
            ]),
            "us-east-1",
        )
        .unwrap_err();
        assert!(error.starts_with("the container's service: "), "{error}");
        let error = find(&fetcher(&[(variable::PROFILE, "gone")]), "r").unwrap_err();
        assert_eq!(error, "the shared files: there is no profile gone");
        let error = find(&fetcher(&[(variable::METADATA_DISABLED, "TRUE")]), "r").unwrap_err();
        assert!(error.starts_with("none in "), "{error}");
    }

    #[test]
    fn profiles_that_cannot_be_used_say_why() {
        let files = Files {
            credentials: "[a]\naws_access_key_id=A\naws_secret_access_key=s\n".to_owned(),
            config: "[profile b]\nrole_arn=r\n[profile c]\nrole_arn=r\nsource_profile=d\n\
                [profile d]\nrole_arn=r\nsource_profile=c\n[profile e]\ncredential_process=x\n\
                [profile f]\nregion=r\n"
                .to_owned(),
        };
        let fetcher = fetcher(&[]);
        let check = |name: &str| files.credentials(&fetcher, "r", name, PROFILES_MAX);
        assert_eq!(check("a").unwrap().unwrap().access_key, "A");
        assert!(check("b").unwrap_err().contains("neither source_profile"));
        assert!(check("c").unwrap_err().contains("in a circle"));
        assert!(check("e").unwrap_err().contains("credential_process"));
        assert_eq!(check("f"), Ok(None));
    }

    #[test]
    fn tokens_go_to_containers_services_alone() {
        for url in ["https://x.example/", "http://127.0.0.1:9/", "http://[fd00:ec2::23]/v1"] {
            assert!(may_be_asked(url), "{url}");
        }
        for url in ["http://x.example/", "http://169.254.170.9/", "file:///etc/passwd"] {
            assert!(!may_be_asked(url), "{url}");
        }
    }
}
