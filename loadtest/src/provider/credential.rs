//! The credential of a request, judged by the dialect it speaks.
//!
//! In: the fields that may hold one, and the keys that are known. Out: nothing, or the [`Refusal`].
//! AWS signatures are judged by their form, and by their key where keys are configured; they are not
//! recomputed. Format:
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-auth-using-authorization-header.html>

use super::dialect::{Dialect, cloud, is_vertex, query_value, words};
use super::refusal::{Reason, Refusal};

/// The algorithm of AWS signatures.
const ALGORITHM: &str = "AWS4-HMAC-SHA256 ";

/// What a request presents.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Presented<'a> {
    pub(crate) authorization: Option<&'a str>,
    pub(crate) api_key: Option<&'a str>,
    pub(crate) google_key: Option<&'a str>,
    pub(crate) azure_key: Option<&'a str>,
    pub(crate) target: &'a str,
}

impl Presented<'_> {
    /// Judges it; without `keys` any is taken, and none but the clouds ask for one.
    pub(crate) fn judge(&self, dialect: Dialect, keys: &[String]) -> Result<(), Refusal> {
        let (path, query) = self.target.split_once('?').unwrap_or((self.target, ""));
        let is_vertex = is_vertex(path);
        let is_azure = cloud::behind_azure(self.target).is_some();
        let by_query = query_value(query, "key").filter(|_| dialect == Dialect::Gemini);
        let native = [
            (self.authorization, "authorization", dialect != Dialect::Gemini || is_vertex),
            (self.api_key, "x-api-key", dialect == Dialect::Anthropic),
            (self.google_key, "x-goog-api-key", dialect == Dialect::Gemini),
            (self.azure_key, "api-key", is_azure),
            (by_query, "key", true),
        ];
        let present = || native.iter().filter(|(value, ..)| value.is_some());
        if let Some((_, name, _)) = present().find(|(.., fits)| !fits) {
            let message = format!("credential in field {name}");
            return Err(Refusal::new(Reason::ForeignCredential, message).told_by(dialect));
        }
        if present().count() > 1 {
            let message = "two credentials in one request";
            return Err(Refusal::new(Reason::CredentialTwice, message).told_by(dialect));
        }
        if let Some(signature) = self.authorization.filter(|value| value.starts_with(ALGORITHM)) {
            return signed(signature, dialect, keys);
        }
        let is_cloud = matches!(dialect, Dialect::Converse | Dialect::Invoke | Dialect::RawPredict);
        if keys.is_empty() && !is_cloud && !is_vertex && !is_azure {
            return Ok(());
        }
        let bearer = self.authorization.map(|value| value.strip_prefix("Bearer ").unwrap_or(""));
        let key = bearer.or(self.api_key).or(self.google_key).or(self.azure_key).or(by_query);
        match key {
            None => Err(words::key(dialect, Reason::KeyMissing)),
            Some("") => Err(words::key(dialect, Reason::KeyWrong)),
            Some(_) if keys.is_empty() => Ok(()),
            Some(key) if keys.iter().any(|known| known == key) => Ok(()),
            Some(_) => Err(words::key(dialect, Reason::KeyWrong)),
        }
    }
}

fn signed(value: &str, dialect: Dialect, keys: &[String]) -> Result<(), Refusal> {
    let incomplete = |what: &str| {
        let message =
            format!("Authorization header requires '{what}' parameter. Authorization={ALGORITHM}…");
        Err(Refusal::new(Reason::CredentialForm, message).told_by(dialect))
    };
    if !matches!(dialect, Dialect::Converse | Dialect::Invoke) {
        let message = "an AWS signature where there is no AWS";
        return Err(Refusal::new(Reason::ForeignCredential, message).told_by(dialect));
    }
    let part = |name: &str| {
        let parts = value[ALGORITHM.len()..].split(',').map(str::trim);
        parts.filter_map(|part| part.split_once('=')).find(|(key, _)| *key == name)
    };
    let (Some((_, credential)), Some((_, fields)), Some((_, signature))) =
        (part("Credential"), part("SignedHeaders"), part("Signature"))
    else {
        let missing = ["Credential", "SignedHeaders", "Signature"];
        return incomplete(missing.into_iter().find(|name| part(name).is_none()).unwrap_or(""));
    };
    let scope: Vec<&str> = credential.split('/').collect();
    let &[key, date, region, "bedrock", "aws4_request"] = scope.as_slice() else {
        let message =
            format!("Credential should be scoped to correct service: 'bedrock'. {credential}");
        return Err(Refusal::new(Reason::CredentialForm, message).told_by(dialect));
    };
    let is_date = date.len() == 8 && date.bytes().all(|letter| letter.is_ascii_digit());
    if key.is_empty() || region.is_empty() || !is_date {
        return incomplete("Credential");
    }
    let mut names = fields.split(';');
    if !names.clone().any(|name| name == "host") || !names.any(|name| name == "x-amz-date") {
        return incomplete("SignedHeaders");
    }
    let is_hex = |letter: u8| letter.is_ascii_digit() || (b'a'..=b'f').contains(&letter);
    if signature.len() != 64 || !signature.bytes().all(is_hex) {
        return incomplete("Signature");
    }
    match keys.is_empty() || keys.iter().any(|known| known == key) {
        true => Ok(()),
        false => Err(words::key(dialect, Reason::KeyWrong)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(dialect: Dialect, presented: Presented<'_>, keys: &[&str]) -> Option<Reason> {
        let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
        presented.judge(dialect, &keys).err().map(|refusal| refusal.reason)
    }

    fn bearer(value: &str) -> Presented<'_> {
        Presented { authorization: Some(value), ..Presented::default() }
    }

    #[test]
    fn each_dialect_has_its_own_place_for_the_key() {
        let key = Presented { api_key: Some("k"), ..Presented::default() };
        assert_eq!(judge(Dialect::Anthropic, key, &["k"]), None);
        assert_eq!(judge(Dialect::Anthropic, bearer("Bearer k"), &["k"]), None);
        assert_eq!(judge(Dialect::OpenAi, key, &["k"]), Some(Reason::ForeignCredential));
        let both = Presented { api_key: Some("k"), ..bearer("Bearer k") };
        assert_eq!(judge(Dialect::Anthropic, both, &["k"]), Some(Reason::CredentialTwice));
        let google = Presented { google_key: Some("k"), ..Presented::default() };
        assert_eq!(judge(Dialect::Gemini, google, &["k"]), None);
        assert_eq!(judge(Dialect::Gemini, google, &["other"]), Some(Reason::KeyWrong));
        let query =
            Presented { target: "/v1beta/models/m:generateContent?key=k", ..Presented::default() };
        assert_eq!(judge(Dialect::Gemini, query, &["k"]), None);
        assert_eq!(
            judge(Dialect::Gemini, bearer("Bearer k"), &[]),
            Some(Reason::ForeignCredential)
        );
        assert_eq!(judge(Dialect::Gemini, Presented::default(), &["k"]), Some(Reason::KeyMissing));
        assert_eq!(judge(Dialect::Gemini, Presented::default(), &[]), None);
    }

    #[test]
    fn azure_takes_its_own_field_and_google_cloud_a_bearer() {
        let azure = |presented| Presented { target: "/openai/v1/chat/completions", ..presented };
        let key = Presented { azure_key: Some("k"), ..Presented::default() };
        assert_eq!(judge(Dialect::OpenAi, azure(key), &["k"]), None);
        assert_eq!(judge(Dialect::OpenAi, azure(bearer("Bearer k")), &["k"]), None);
        assert_eq!(
            judge(Dialect::OpenAi, azure(Presented::default()), &[]),
            Some(Reason::KeyMissing)
        );
        assert_eq!(judge(Dialect::OpenAi, key, &[]), Some(Reason::ForeignCredential));
        let target = "/v1/projects/p/locations/l/publishers/anthropic/models/m:rawPredict";
        let vertex = |presented| Presented { target, ..presented };
        assert_eq!(judge(Dialect::RawPredict, vertex(bearer("Bearer k")), &[]), None);
        assert_eq!(
            judge(Dialect::RawPredict, vertex(Presented::default()), &[]),
            Some(Reason::KeyMissing)
        );
        let own = Presented { api_key: Some("k"), ..Presented::default() };
        assert_eq!(judge(Dialect::RawPredict, vertex(own), &[]), Some(Reason::ForeignCredential));
    }

    #[test]
    fn bedrock_always_asks_for_a_signature_or_a_key() {
        let signature = "a".repeat(64);
        let header = |credential: &str, fields: &str| {
            format!(
                "{ALGORITHM}Credential={credential}, SignedHeaders={fields}, Signature={signature}"
            )
        };
        let scope = "AKIA/20261124/us-east-1/bedrock/aws4_request";
        let good = header(scope, "content-type;host;x-amz-date");
        let check = |value: &str, keys: &[&str]| judge(Dialect::Converse, bearer(value), keys);
        assert_eq!(check(&good, &[]), None);
        assert_eq!(check(&good, &["AKIA"]), None);
        assert_eq!(check(&good, &["OTHER"]), Some(Reason::KeyWrong));
        assert_eq!(check("Bearer k", &[]), None);
        assert_eq!(check("Basic k", &[]), Some(Reason::KeyWrong));
        let form = Some(Reason::CredentialForm);
        assert_eq!(check(&header(scope, "host"), &[]), form);
        assert_eq!(check(&header(&scope.replace("bedrock", "s3"), "host;x-amz-date"), &[]), form);
        assert_eq!(check(&good.replace("Signature=a", "Signature=x"), &[]), form);
        let none = judge(Dialect::Converse, Presented::default(), &[]);
        assert_eq!(none, Some(Reason::KeyMissing));
        assert_eq!(judge(Dialect::OpenAi, bearer(&good), &[]), Some(Reason::ForeignCredential));
    }
}
