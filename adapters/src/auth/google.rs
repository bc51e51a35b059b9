//! Google's OAuth tokens: for a service account, for a user who logged in with gcloud, and of a machine.
//!
//! In: the text of a credentials file, the time, answers of the token service. Out: what to send it, and a token with its
//! expiry. The RSA signature is made by the caller, with whatever holds the key: it signs
//! [`Assertion::signing_input`] by PKCS #1 v1.5 with SHA-256 (RS256). The key provider of rustls can:
//! `load_private_key` takes [`ServiceAccount::private_key_der`], `choose_scheme(&[RSA_PKCS1_SHA256])` gives the signer.
//! Format: <https://developers.google.com/identity/protocols/oauth2/service-account#httprest>, RFC 7523

use faregate_wire::{Json, JsonWriter};

use super::{Seconds, Secret};
use crate::base64;

/// What a token is asked for.
pub const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Where tokens are given, where the credentials do not say.
pub const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";

/// Where a machine on Google Cloud gets its token, by `GET` with [`METADATA_HEADER`].
pub const METADATA_TOKEN_URL: &str =
    "http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default/token";

/// Where such a machine reads the id of its project, with the same header.
pub const METADATA_PROJECT_URL: &str =
    "http://metadata.google.internal/computeMetadata/v1/project/project-id";

/// Without it the metadata server refuses.
pub const METADATA_HEADER: (&str, &str) = ("metadata-flavor", "Google");

/// The media type of what is sent to a token service.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// The variable that names the credentials file.
pub const FILE_VARIABLE: &str = "GOOGLE_APPLICATION_CREDENTIALS";

/// The credentials file that gcloud writes, under the user's configuration folder.
pub const DEFAULT_FILE: &str = "gcloud/application_default_credentials.json";

/// How long an assertion is valid, in seconds; Google takes no more.
const VALID_SECONDS: u64 = 3600;

/// What a credentials file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credentials {
    /// A service account with its key.
    ServiceAccount(ServiceAccount),
    /// A user who logged in.
    User(User),
}

/// A service account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAccount {
    /// Its address.
    pub email: String,
    /// Names the key.
    pub key_id: Option<String>,
    /// The key: PEM of PKCS #8.
    pub private_key: Secret,
    /// Where its tokens are given.
    pub token_url: String,
    /// Its project.
    pub project: Option<String>,
}

/// A user who logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The application.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
    /// What tokens are made of.
    pub refresh_token: Secret,
    /// The project that is charged.
    pub project: Option<String>,
}

/// Why a credentials file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadCredentials {
    /// It is not JSON.
    NotJson,
    /// It has no member of this name, or one that cannot be read.
    Missing(&'static str),
    /// It is of a type that is not known.
    Type(String),
}

/// The claims of a service account, to be signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    text: String,
}

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Goes behind `Bearer`.
    pub token: Secret,
    /// When it expires.
    pub expires: Seconds,
}

impl Credentials {
    /// Reads a credentials file.
    ///
    /// # Errors
    ///
    /// [`BadCredentials`] says what is missing, and never what is there.
    pub fn read(file: &str) -> Result<Self, BadCredentials> {
        let json = Json::new(file.as_bytes()).filter(|json| json.is_object());
        let json = json.ok_or(BadCredentials::NotJson)?;
        let text = |name: &'static str| {
            let found = json.get_str(name).filter(|text| !text.is_empty());
            found.map(String::from).ok_or(BadCredentials::Missing(name))
        };
        match text("type")?.as_str() {
            "service_account" => Ok(Self::ServiceAccount(ServiceAccount {
                email: text("client_email")?,
                key_id: text("private_key_id").ok(),
                private_key: Secret::new(text("private_key")?),
                token_url: text("token_uri").unwrap_or_else(|_| TOKEN_URL.to_owned()),
                project: text("project_id").ok(),
            })),
            "authorized_user" => Ok(Self::User(User {
                client_id: text("client_id")?,
                client_secret: Secret::new(text("client_secret")?),
                refresh_token: Secret::new(text("refresh_token")?),
                project: text("quota_project_id").ok(),
            })),
            other => Err(BadCredentials::Type(other.to_owned())),
        }
    }
}

impl ServiceAccount {
    /// The key as PKCS #8 in DER.
    ///
    /// # Errors
    ///
    /// [`BadCredentials::Missing`] when there is none in the file.
    pub fn private_key_der(&self) -> Result<Vec<u8>, BadCredentials> {
        let wrong = BadCredentials::Missing("private_key");
        let pem = self.private_key.reveal();
        let body = pem
            .split_once("-----BEGIN PRIVATE KEY-----")
            .and_then(|(_, rest)| rest.split_once("-----END PRIVATE KEY-----"));
        let Some((body, _)) = body else { return Err(wrong) };
        base64::decode(body.as_bytes()).filter(|der| !der.is_empty()).ok_or(wrong)
    }

    /// What is to be signed for a token with this scope.
    #[must_use]
    pub fn assertion(&self, scope: &str, now: Seconds) -> Assertion {
        let (mut header, mut claims) = (Vec::new(), Vec::new());
        let mut json = JsonWriter::new(&mut header);
        json.object().member_str("alg", "RS256").member_str("typ", "JWT");
        if let Some(key_id) = &self.key_id {
            json.member_str("kid", key_id);
        }
        json.end();
        let mut json = JsonWriter::new(&mut claims);
        json.object().member_str("iss", &self.email).member_str("scope", scope);
        json.member_str("aud", &self.token_url).member_u64("iat", now.0);
        json.member_u64("exp", now.plus(VALID_SECONDS).0).end();
        let mut text = String::new();
        base64::encode_url(&mut text, &header);
        text.push('.');
        base64::encode_url(&mut text, &claims);
        Assertion { text }
    }
}

impl Assertion {
    /// The bytes to be signed.
    #[must_use]
    pub fn signing_input(&self) -> &[u8] {
        self.text.as_bytes()
    }

    /// The body of the `POST` that asks for a token, a [`FORM`].
    #[must_use]
    pub fn request(mut self, signature: &[u8]) -> Secret {
        self.text.push('.');
        base64::encode_url(&mut self.text, signature);
        let grant = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer";
        Secret::new(format!("grant_type={grant}&assertion={}", self.text))
    }
}

impl User {
    /// The body of the `POST` to [`TOKEN_URL`] that asks for a token, a [`FORM`].
    #[must_use]
    pub fn request(&self) -> Secret {
        let mut form = "grant_type=refresh_token".to_owned();
        for (name, value) in [
            ("client_id", &*self.client_id),
            ("client_secret", self.client_secret.reveal()),
            ("refresh_token", self.refresh_token.reveal()),
        ] {
            form.push('&');
            form.push_str(name);
            form.push('=');
            super::sigv4::encode_segment(&mut form, value);
        }
        Secret::new(form)
    }
}

impl Token {
    /// Reads the answer of a token service or of the metadata server; `None` when there is no token in it.
    #[must_use]
    pub fn read(body: &[u8], now: Seconds) -> Option<Self> {
        let json = Json::new(body)?;
        let token = json.get_str("access_token").filter(|token| !token.is_empty())?;
        // Such tokens are valid for an hour where the answer does not say.
        let seconds = json.get_u64("expires_in").unwrap_or(VALID_SECONDS);
        Some(Self { token: Secret::new(token), expires: now.plus(seconds) })
    }

    /// Whether it expires within `margin` seconds from `now`.
    #[must_use]
    pub fn expires_within(&self, margin: u64, now: Seconds) -> bool {
        self.expires <= now.plus(margin)
    }
}

impl std::fmt::Display for BadCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotJson => f.write_str("credentials are not a JSON object"),
            Self::Missing(name) => write!(f, "credentials have no usable {name}"),
            Self::Type(name) => write!(f, "credentials of type {name} are not known"),
        }
    }
}

impl std::error::Error for BadCredentials {}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn account() -> ServiceAccount {
        let file = json!({"type": "service_account", "project_id": "p", "private_key_id": "k1",
            "private_key": "-----BEGIN PRIVATE KEY-----\nZm9v\nYmFy\n-----END PRIVATE KEY-----\n",
            "client_email": "a@p.iam.gserviceaccount.com",
            "token_uri": "https://oauth2.googleapis.com/token"});
        match Credentials::read(&file.to_string()).unwrap() {
            Credentials::ServiceAccount(account) => account,
            Credentials::User(_) => panic!("a service account"),
        }
    }

    #[test]
    fn a_service_account_asserts_itself() {
        let account = account();
        assert_eq!(account.private_key_der().unwrap(), b"foobar");
        let assertion = account.assertion(SCOPE, Seconds(1000));
        let text = String::from_utf8(assertion.signing_input().to_vec()).unwrap();
        let parts: Vec<Value> = text
            .split('.')
            .map(|part| serde_json::from_slice(&base64::decode(part.as_bytes()).unwrap()).unwrap())
            .collect();
        assert_eq!(parts[0], json!({"alg": "RS256", "typ": "JWT", "kid": "k1"}));
        assert_eq!(
            parts[1],
            json!({"iss": account.email, "scope": SCOPE, "aud": TOKEN_URL, "iat": 1000, "exp": 4600})
        );
        let request = assertion.request(b"\xff\xfe");
        let expected = format!(
            "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion={text}.__4"
        );
        assert_eq!(request.reveal(), expected);
    }

    #[test]
    fn a_user_refreshes() {
        let file = r#"{"type":"authorized_user","client_id":"c","client_secret":"s&","refresh_token":"1//r"}"#;
        let Ok(Credentials::User(user)) = Credentials::read(file) else { panic!("a user") };
        assert_eq!(
            user.request().reveal(),
            "grant_type=refresh_token&client_id=c&client_secret=s%26&refresh_token=1%2F%2Fr"
        );
        assert!(!format!("{user:?}").contains("1//r"));
    }

    #[test]
    fn tokens_are_read() {
        let body = br#"{"access_token":"ya29.x","expires_in":3599,"token_type":"Bearer"}"#;
        let token = Token::read(body, Seconds(1000)).unwrap();
        assert_eq!((token.token.reveal(), token.expires), ("ya29.x", Seconds(4599)));
        assert!(token.expires_within(60, Seconds(4539)));
        assert!(!token.expires_within(60, Seconds(4538)));
        assert!(!format!("{token:?}").contains("ya29"));
        assert_eq!(Token::read(br#"{"error":"invalid_grant"}"#, Seconds(0)), None);
    }

    #[test]
    fn what_is_missing_is_named() {
        for (file, expected) in [
            ("", BadCredentials::NotJson),
            ("{}", BadCredentials::Missing("type")),
            (r#"{"type":"service_account"}"#, BadCredentials::Missing("client_email")),
            (r#"{"type":"external_account"}"#, BadCredentials::Type("external_account".into())),
        ] {
            assert_eq!(Credentials::read(file), Err(expected));
        }
        let account = ServiceAccount { private_key: Secret::new("x"), ..account() };
        assert_eq!(account.private_key_der(), Err(BadCredentials::Missing("private_key")));
    }
}
