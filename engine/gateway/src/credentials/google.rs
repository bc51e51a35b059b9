//! Google's chain of credentials: a file that is named, the file that gcloud wrote, the machine's service.
//!
//! Format: <https://cloud.google.com/docs/authentication/application-default-credentials>

use std::{
    fs,
    path::{Path, PathBuf},
};

use faregate_adapters::auth::{
    Secret,
    google::{
        Credentials, DEFAULT_FILE, FILE_VARIABLE, FORM, METADATA_HEADER, METADATA_TOKEN_URL, SCOPE,
        ServiceAccount, TOKEN_URL, Token,
    },
};
use faregate_wire::{Json, Method};
use rustls::{
    SignatureScheme,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

use super::{
    Found, Held,
    fetch::{Ask, Fetcher},
    one_line,
};
use crate::tls;

/// The links, for a person.
pub(super) const CHAIN: &str =
    "the file of GOOGLE_APPLICATION_CREDENTIALS, the file of gcloud and the machine's service";

/// Where the metadata service listens, where it is not the usual place.
const METADATA_VARIABLE: &str = "GCE_METADATA_HOST";

/// The host that [`METADATA_TOKEN_URL`] names.
const METADATA_HOST: &str = "metadata.google.internal";

/// Whether a file's text holds credentials, and not a token.
pub(crate) fn is_credentials(text: &str) -> bool {
    text.trim_start().starts_with('{')
}

/// Goes along the chain, or asks for a token for one file's credentials.
pub(super) fn find(fetcher: &Fetcher, file: Option<&Path>) -> Result<Found, String> {
    if let Some(file) = file {
        return by_file(fetcher, file, "a credentials file");
    }
    if let Some(file) = fetcher.variable(FILE_VARIABLE) {
        return by_file(fetcher, Path::new(&file), "a credentials file");
    }
    let folder = fetcher.variable("CLOUDSDK_CONFIG").map(|folder| {
        let name = DEFAULT_FILE.rsplit('/').next().unwrap_or(DEFAULT_FILE);
        PathBuf::from(folder).join(name)
    });
    let home =
        || fetcher.variable("HOME").map(|h| PathBuf::from(h).join(".config").join(DEFAULT_FILE));
    match folder.or_else(home).filter(|file| file.exists()) {
        Some(file) => by_file(fetcher, &file, "the file of gcloud"),
        None => machine(fetcher).map_err(|error| {
            format!("none in {CHAIN} ({error}); set {FILE_VARIABLE} to a service account's file")
        }),
    }
}

fn by_file(fetcher: &Fetcher, file: &Path, from: &'static str) -> Result<Found, String> {
    let named = |error: String| format!("{}: {error}", file.display());
    let text = fs::read_to_string(file).map_err(|error| named(error.to_string()))?;
    let credentials = Credentials::read(&text).map_err(|error| named(error.to_string()))?;
    let (url, form, quota_project) = match credentials {
        Credentials::ServiceAccount(account) => {
            let form = asserted(fetcher, &account).map_err(named)?;
            (account.token_url, form, None)
        }
        Credentials::User(user) => {
            (TOKEN_URL.to_owned(), user.request(), user.project.filter(|name| is_plain(name)))
        }
    };
    let fields = [("content-type", FORM)];
    let body = form.reveal().as_bytes();
    let told = fetcher.ask(&Ask { method: Method::Post, url: &url, fields: &fields, body })?;
    if told.status != 200 {
        let said = Json::new(&told.body).and_then(|json| {
            let text = json.get_str("error_description").or_else(|| json.get_str("error"))?;
            Some(format!(": {text}"))
        });
        let said = said.unwrap_or_default();
        return Err(one_line(&format!("the token service answers {}{said}", told.status)));
    }
    token(fetcher, &told.body, quota_project, from)
}

/// A service account's word for itself, signed with its key.
fn asserted(fetcher: &Fetcher, account: &ServiceAccount) -> Result<Secret, String> {
    let der = account.private_key_der().map_err(|error| error.to_string())?;
    let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der));
    let unusable = || "the private_key is no RSA key".to_owned();
    let key = tls::provider().key_provider.load_private_key(der).map_err(|_| unusable())?;
    let signer = key.choose_scheme(&[SignatureScheme::RSA_PKCS1_SHA256]).ok_or_else(unusable)?;
    let assertion = account.assertion(SCOPE, fetcher.wall());
    let signature = signer.sign(assertion.signing_input()).map_err(|error| error.to_string())?;
    Ok(assertion.request(&signature))
}

fn machine(fetcher: &Fetcher) -> Result<Found, String> {
    let host = fetcher.variable(METADATA_VARIABLE);
    let url =
        METADATA_TOKEN_URL.replacen(METADATA_HOST, host.as_deref().unwrap_or(METADATA_HOST), 1);
    let fields = [METADATA_HEADER];
    let body = fetcher.body(&Ask { method: Method::Get, url: &url, fields: &fields, body: b"" })?;
    token(fetcher, &body, None, "the machine's service")
}

fn token(
    fetcher: &Fetcher,
    body: &[u8],
    quota_project: Option<String>,
    from: &'static str,
) -> Result<Found, String> {
    let token = Token::read(body, fetcher.wall()).filter(|token| is_plain(token.token.reveal()));
    let Token { token, expires } = token.ok_or("an answer without a token")?;
    Ok(Found { held: Held::Google { token, quota_project, expires }, from })
}

/// Whether it can be the value of a head field.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|b| (0x21..0x7f).contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;

    #[test]
    fn a_file_that_cannot_be_used_is_named_and_not_shown() {
        let fetcher = Fetcher::new(Clock::start(), |name| {
            (name == FILE_VARIABLE).then(|| "/nowhere/key.json".to_owned())
        });
        let error = find(&fetcher, None).unwrap_err();
        assert!(error.starts_with("/nowhere/key.json: "), "{error}");
        assert!(is_credentials(" {\"type\":\"service_account\"}"));
        assert!(!is_credentials("ya29.token"));
    }

    #[test]
    fn a_key_that_is_none_is_not_shown() {
        let fetcher = Fetcher::new(Clock::start(), |_| None);
        let file = r#"{"type":"service_account","client_email":"a@b",
            "private_key":"-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----"}"#;
        let Ok(Credentials::ServiceAccount(account)) = Credentials::read(file) else {
            panic!("a service account");
        };
        let error = asserted(&fetcher, &account).unwrap_err();
        assert_eq!(error, "the private_key is no RSA key");
    }
}
