//! Where credentials for AWS come from, as far as that is text: files, variables, answers of token services.
//!
//! In: what the caller read or received. Out: credentials with their expiry, and what to ask next. The order in which the
//! sources are tried is that of the AWS SDKs: variables, a token file ([`assume_with_web_identity`]), the shared files, the
//! container's service, the machine's.
//! Format: <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>

use faregate_wire::Json;

use super::{
    Seconds, Secret,
    sigv4::{Credentials, encode_segment},
};

/// Names of environment variables.
pub mod variable {
    /// The key's name.
    pub const ACCESS_KEY: &str = "AWS_ACCESS_KEY_ID";
    /// The key.
    pub const SECRET_KEY: &str = "AWS_SECRET_ACCESS_KEY";
    /// The token that goes with keys that expire.
    pub const SESSION_TOKEN: &str = "AWS_SESSION_TOKEN";
    /// The region.
    pub const REGION: &str = "AWS_REGION";
    /// The region where the other is not set.
    pub const DEFAULT_REGION: &str = "AWS_DEFAULT_REGION";
    /// The profile of the shared files.
    pub const PROFILE: &str = "AWS_PROFILE";
    /// The shared credentials file, usually `~/.aws/credentials`.
    pub const CREDENTIALS_FILE: &str = "AWS_SHARED_CREDENTIALS_FILE";
    /// The shared configuration file, usually `~/.aws/config`.
    pub const CONFIG_FILE: &str = "AWS_CONFIG_FILE";
    /// The file of a web identity token.
    pub const TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
    /// The role that the token is exchanged for.
    pub const ROLE: &str = "AWS_ROLE_ARN";
    /// The name of a session in that role.
    pub const SESSION_NAME: &str = "AWS_ROLE_SESSION_NAME";
    /// The path of the container's service on [`super::CONTAINER_HOST`].
    pub const CONTAINER_PATH: &str = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
    /// The whole address of the container's service.
    pub const CONTAINER_URL: &str = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
    /// What the container's service wants in `authorization`.
    pub const CONTAINER_TOKEN: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
    /// The file that holds it.
    pub const CONTAINER_TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
    /// `true` where the machine's service is not to be asked.
    pub const METADATA_DISABLED: &str = "AWS_EC2_METADATA_DISABLED";
    /// A Bedrock API key: goes behind `Bearer`, and nothing is signed.
    pub const BEDROCK_KEY: &str = "AWS_BEARER_TOKEN_BEDROCK";
}

/// Where the container's service listens.
pub const CONTAINER_HOST: &str = "http://169.254.170.2";

/// Where a machine's metadata service listens (IMDSv2).
pub const METADATA_HOST: &str = "http://169.254.169.254";

/// `PUT` gives the token that the metadata service wants.
pub const METADATA_TOKEN_PATH: &str = "/latest/api/token";

/// The header of that `PUT`: how many seconds the token lives.
pub const METADATA_TOKEN_SECONDS: (&str, &str) = ("x-aws-ec2-metadata-token-ttl-seconds", "21600");

/// The header that carries the token.
pub const METADATA_TOKEN_HEADER: &str = "x-aws-ec2-metadata-token";

/// `GET` gives the name of the machine's role; behind it, its credentials.
pub const METADATA_ROLE_PATH: &str = "/latest/meta-data/iam/security-credentials/";

/// The profile that is used when none is named.
pub const DEFAULT_PROFILE: &str = "default";

/// One profile of the shared files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// Its credentials, when they stand in the files.
    pub credentials: Option<Credentials>,
    /// Its region.
    pub region: Option<String>,
    /// The role to be taken.
    pub role: Option<String>,
    /// The profile whose credentials take the role.
    pub source_profile: Option<String>,
    /// The file of a web identity token that takes it.
    pub token_file: Option<String>,
    /// The name of a session in the role.
    pub session_name: Option<String>,
    /// What must be said when taking the role.
    pub external_id: Option<String>,
    /// A program that prints credentials.
    pub program: Option<String>,
}

/// Reads a profile out of the texts of both shared files; what the credentials file says counts first. `None` when
/// neither has it.
#[must_use]
pub fn profile(credentials_file: &str, config_file: &str, name: &str) -> Option<Profile> {
    let config_section = format!("profile {name}");
    let mut found = Section::default();
    let is_config = |section: &str| {
        section == config_section || (name == DEFAULT_PROFILE && section == DEFAULT_PROFILE)
    };
    found.read(credentials_file, |section| section == name);
    found.read(config_file, is_config);
    found.is_there.then(|| found.profile())
}

/// The members of a profile, the first of each name.
#[derive(Default)]
struct Section<'a> {
    is_there: bool,
    members: Vec<(&'a str, &'a str)>,
}

impl<'a> Section<'a> {
    fn read(&mut self, file: &'a str, is_wanted: impl Fn(&str) -> bool) {
        let mut inside = false;
        for line in file.lines() {
            let is_nested = line.starts_with([' ', '\t']);
            let line = line.trim();
            if line.is_empty() || line.starts_with(['#', ';']) {
                continue;
            }
            if let Some(name) = line.strip_prefix('[') {
                let name = name.split(']').next().unwrap_or_default();
                let words: Vec<&str> = name.split_whitespace().collect();
                inside = is_wanted(&words.join(" "));
                self.is_there |= inside;
            } else if let Some((name, value)) =
                line.split_once('=').filter(|_| inside && !is_nested)
            {
                let name = name.trim();
                if self.get(name).is_none() {
                    self.members.push((name, without_comment(value)));
                }
            }
        }
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        let found = self.members.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| *value).filter(|value| !value.is_empty())
    }

    fn profile(&self) -> Profile {
        let text = |name| self.get(name).map(str::to_owned);
        let key = self.get("aws_access_key_id").zip(self.get("aws_secret_access_key"));
        Profile {
            credentials: key.map(|(access_key, secret_key)| Credentials {
                access_key: access_key.to_owned(),
                secret_key: Secret::new(secret_key),
                session_token: self.get("aws_session_token").map(Secret::new),
                expires: None,
            }),
            region: text("region"),
            role: text("role_arn"),
            source_profile: text("source_profile"),
            token_file: text("web_identity_token_file"),
            session_name: text("role_session_name"),
            external_id: text("external_id"),
            program: text("credential_process"),
        }
    }
}

/// A value without the comment behind it, which begins with a blank.
fn without_comment(value: &str) -> &str {
    let end = [" #", " ;", "\t#", "\t;"].iter().filter_map(|mark| value.find(mark)).min();
    value[..end.unwrap_or(value.len())].trim()
}

/// Reads what the container's service, the machine's, or a program of a profile says: JSON. `None` when there are no
/// credentials in it.
#[must_use]
pub fn read_json(body: &[u8]) -> Option<Credentials> {
    let json = Json::new(body)?;
    if json.get_str("Code").is_some_and(|code| code != "Success") {
        return None;
    }
    let text = |name: &str| json.get_str(name).filter(|text| !text.is_empty());
    let token = text("Token").or_else(|| text("SessionToken"));
    let expires = match text("Expiration") {
        Some(date) => Some(Seconds::read(&date)?),
        None => None,
    };
    Some(Credentials {
        access_key: text("AccessKeyId")?.into_owned(),
        secret_key: Secret::new(text("SecretAccessKey")?),
        session_token: token.map(Secret::new),
        expires,
    })
}

/// The body of the unsigned `POST` to `https://sts.{region}.amazonaws.com/` that exchanges a token for credentials of a
/// role (`application/x-www-form-urlencoded`).
#[must_use]
pub fn assume_with_web_identity(role: &str, session_name: &str, token: &Secret) -> Secret {
    let mut form = "Action=AssumeRoleWithWebIdentity&Version=2011-06-15".to_owned();
    push(&mut form, "RoleArn", role);
    push(&mut form, "RoleSessionName", session_name);
    push(&mut form, "WebIdentityToken", token.reveal().trim());
    Secret::new(form)
}

/// The body of the `POST` to the same address, signed for service `sts`, by which one role takes another.
#[must_use]
pub fn assume_role(role: &str, session_name: &str, external_id: Option<&str>) -> String {
    let mut form = "Action=AssumeRole&Version=2011-06-15".to_owned();
    push(&mut form, "RoleArn", role);
    push(&mut form, "RoleSessionName", session_name);
    if let Some(id) = external_id {
        push(&mut form, "ExternalId", id);
    }
    form
}

fn push(form: &mut String, name: &str, value: &str) {
    form.push('&');
    form.push_str(name);
    form.push('=');
    encode_segment(form, value);
}

/// Reads the credentials out of an answer of STS: XML. `None` when there are none in it.
#[must_use]
pub fn read_sts(body: &str) -> Option<Credentials> {
    let inside = element(body, "Credentials")?;
    let text = |name| element(inside, name).map(unescape).filter(|text| !text.is_empty());
    Some(Credentials {
        access_key: text("AccessKeyId")?,
        secret_key: Secret::new(text("SecretAccessKey")?),
        session_token: Some(Secret::new(text("SessionToken")?)),
        expires: Some(Seconds::read(&text("Expiration")?)?),
    })
}

/// The code and the message of an error that STS answers.
#[must_use]
pub fn read_sts_error(body: &str) -> Option<(String, String)> {
    let inside = element(body, "Error")?;
    Some((unescape(element(inside, "Code")?), unescape(element(inside, "Message")?)))
}

/// What stands in the first element of this name. STS nests none in one of the same name.
fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0.trim())
}

fn unescape(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"");
    text.replace("&apos;", "'").replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREDENTIALS: &str = "# mine\n[default]\naws_access_key_id = AKIA1\n\
        aws_secret_access_key=a/b+c=  # key\n\n[work]\naws_access_key_id=AKIA2\n\
        aws_secret_access_key = s2\naws_session_token = t2\nregion=eu-west-3\n";

    const CONFIG: &str = "[default]\nregion = us-east-1\ns3 =\n  region = nowhere\n[profile work]\n\
        region = eu-west-1\n[ profile  role ]\nrole_arn = arn:aws:iam::1:role/r\n\
        source_profile = work\nexternal_id = x\n[work]\nrole_arn = not-a-profile\n[profile web]\n\
        web_identity_token_file = /t\nrole_arn = r\n";

    #[test]
    fn profiles_are_read_from_both_files() {
        let found = profile(CREDENTIALS, CONFIG, "default").unwrap();
        let key = found.credentials.unwrap();
        assert_eq!((&*key.access_key, key.secret_key.reveal()), ("AKIA1", "a/b+c="));
        assert_eq!(key.session_token, None);
        assert_eq!(found.region.as_deref(), Some("us-east-1"));
        let found = profile(CREDENTIALS, CONFIG, "work").unwrap();
        assert_eq!(found.credentials.unwrap().session_token.unwrap().reveal(), "t2");
        assert_eq!((found.region.as_deref(), found.role), (Some("eu-west-3"), None));
        let found = profile(CREDENTIALS, CONFIG, "role").unwrap();
        assert_eq!(found.role.as_deref(), Some("arn:aws:iam::1:role/r"));
        assert_eq!(found.source_profile.as_deref(), Some("work"));
        assert_eq!(found.external_id.as_deref(), Some("x"));
        let found = profile("", CONFIG, "web").unwrap();
        assert_eq!(found.token_file.as_deref(), Some("/t"));
        assert_eq!(profile(CREDENTIALS, CONFIG, "other"), None);
        assert!(!format!("{:?}", profile(CREDENTIALS, "", "default")).contains("a/b+c"));
    }

    #[test]
    fn answers_of_services_are_read() {
        let body = br#"{"Code":"Success","LastUpdated":"2026-11-24T10:00:00Z","Type":"AWS-HMAC",
            "AccessKeyId":"ASIA1","SecretAccessKey":"s","Token":"t","Expiration":"1970-01-02T00:00:00Z"}"#;
        let credentials = read_json(body).unwrap();
        assert_eq!(credentials.access_key, "ASIA1");
        assert_eq!(credentials.session_token.as_ref().unwrap().reveal(), "t");
        assert_eq!(credentials.expires, Some(Seconds(86_400)));
        assert!(credentials.expire_within(300, Seconds(86_100)));
        let program = br#"{"Version":1,"AccessKeyId":"A","SecretAccessKey":"s"}"#;
        assert_eq!(read_json(program).unwrap().expires, None);
        for wrong in [
            &br#"{"Code":"AssumeRoleUnauthorizedAccess","AccessKeyId":"A","SecretAccessKey":"s"}"#
                [..],
            br#"{"AccessKeyId":"A","SecretAccessKey":"s","Expiration":"soon"}"#,
            b"<html>",
        ] {
            assert_eq!(read_json(wrong), None);
        }
    }

    #[test]
    fn answers_of_sts_are_read() {
        let body = "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n\
            <AssumeRoleWithWebIdentityResult><AssumedRoleUser><Arn>a</Arn></AssumedRoleUser>\n\
            <Credentials>\n<SessionToken>t&amp;lt;</SessionToken>\n<SecretAccessKey>s/+</SecretAccessKey>\n\
            <Expiration>1970-01-01T01:00:00Z</Expiration><AccessKeyId>ASIA2</AccessKeyId></Credentials>\n\
            </AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>";
        let credentials = read_sts(body).unwrap();
        assert_eq!(credentials.access_key, "ASIA2");
        assert_eq!(credentials.session_token.unwrap().reveal(), "t&lt;");
        assert_eq!(credentials.expires, Some(Seconds(3600)));
        let body = "<ErrorResponse><Error><Type>Sender</Type><Code>ExpiredTokenException</Code>\
            <Message>Token expired: &quot;now&quot;</Message></Error></ErrorResponse>";
        assert_eq!(read_sts(body), None);
        let said = ("ExpiredTokenException".to_owned(), "Token expired: \"now\"".to_owned());
        assert_eq!(read_sts_error(body), Some(said));
    }

    #[test]
    fn roles_are_asked_for() {
        let form = assume_with_web_identity("arn:aws:iam::1:role/r", "me", &Secret::new("a.b-c\n"));
        assert_eq!(
            form.reveal(),
            "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fr\
             &RoleSessionName=me&WebIdentityToken=a.b-c"
        );
        assert!(assume_role("r", "me", Some("x y")).ends_with("&ExternalId=x%20y"));
    }
}
