//! Credentials of providers' clouds: fetched by a thread of their own, read by cores without a lock.
//!
//! In: where they come from, as the policy and the environment have it. Out: the head fields that prove who pays, for one
//! request. The thread renews them well before they expire; what it could not renew stays in use until it expires.

mod aws;
pub(crate) mod fetch;
mod google;

use std::{
    fmt, io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    thread::{self, Thread},
    time::Duration,
};

use arc_swap::{ArcSwap, ArcSwapOption};
use faregate_adapters::auth::{
    Seconds, Secret,
    sigv4::{self, Scope, Unsigned},
};

use self::fetch::Fetcher;
use crate::{
    clock::{Clock, Instant},
    reply::write_field,
};

pub(crate) use self::{aws::region as aws_region, google::is_credentials as is_google_credentials};

/// The service that requests to Bedrock are signed for.
const SERVICE: &str = "bedrock";

/// How long before their end credentials are renewed, unless they live for less than twice that.
const MARGIN_SECONDS: u64 = 300;

/// How often credentials without an end are looked up again: their file may have changed.
const LOOK_AGAIN: Duration = Duration::from_secs(300);

/// The shortest pause between two renewals that succeed.
const RENEW_PAUSE: Duration = Duration::from_secs(1);

/// The pause after a first failure; it doubles with each further one.
const RETRY_PAUSE: Duration = Duration::from_secs(1);

/// The longest pause after a failure.
const RETRY_PAUSE_MAX: Duration = Duration::from_secs(60);

/// How often a request that waits for first credentials looks whether they are there, and for how long.
const WAIT_STEP: Duration = Duration::from_millis(5);
const WAIT_STEPS: u32 = 600;

/// Where credentials come from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Source {
    /// AWS's chain; what is signed with them is signed for this region.
    Aws {
        /// Such as `us-east-1`.
        region: Box<str>,
    },
    /// Google's chain, or this credentials file.
    Google {
        /// The file that the policy names.
        file: Option<PathBuf>,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aws { region } => write!(f, "aws {region}"),
            Self::Google { file: None } => f.write_str("google"),
            Self::Google { file: Some(file) } => write!(f, "google {}", file.display()),
        }
    }
}

/// Credentials as one answer gave them.
#[derive(Debug)]
enum Held {
    Aws(sigv4::Credentials),
    Google { token: Secret, quota_project: Option<String>, expires: Seconds },
}

impl Held {
    fn expires(&self) -> Option<Seconds> {
        match self {
            Self::Aws(credentials) => credentials.expires,
            Self::Google { expires, .. } => Some(*expires),
        }
    }
}

/// What a source gave.
#[derive(Debug)]
struct Found {
    held: Held,
    /// Which link of the chain it was.
    from: &'static str,
}

/// Credentials from one source, kept current by the [`Keeper`].
#[derive(Debug)]
pub(crate) struct Credential {
    source: Source,
    current: ArcSwapOption<Held>,
    /// Whether the latest renewal failed.
    failures: AtomicU32,
    /// When the next renewal is due, on the keeper's clock, in nanoseconds.
    due: AtomicU64,
}

/// A request that is about to be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unsent<'a> {
    /// The method, upper case.
    pub(crate) method: &'a str,
    /// The path as in the request line.
    pub(crate) path: &'a str,
    /// The query as in the request line.
    pub(crate) query: &'a str,
    /// `host`.
    pub(crate) host: &'a str,
    /// The other head fields, each ended by CRLF.
    pub(crate) fields: [&'a [u8]; 2],
    /// The body, in parts.
    pub(crate) body: &'a [&'a [u8]],
}

impl Credential {
    /// Credentials that are not there yet.
    pub(crate) fn new(source: Source) -> Arc<Self> {
        Arc::new(Self {
            source,
            current: ArcSwapOption::empty(),
            failures: AtomicU32::new(0),
            due: AtomicU64::new(0),
        })
    }

    /// Waits for the first credentials: briefly, and not at all when they could not be fetched. Whether there are some.
    pub(crate) async fn ready(&self, wall_nanos: u64) -> bool {
        for _ in 0..WAIT_STEPS {
            if self.is_usable(seconds(wall_nanos)) {
                return true;
            }
            if self.failures.load(Ordering::Acquire) > 0 {
                return false;
            }
            crate::io::sleep(WAIT_STEP).await;
        }
        false
    }

    fn is_usable(&self, now: Seconds) -> bool {
        let held = self.current.load();
        held.as_ref().is_some_and(|held| held.expires().is_none_or(|end| end > now))
    }

    /// Appends the head fields that prove who pays for a request.
    pub(crate) fn prove(&self, out: &mut Vec<u8>, request: &Unsent<'_>, wall_nanos: u64) {
        let held = self.current.load();
        match (held.as_deref(), &self.source) {
            (Some(Held::Aws(credentials)), Source::Aws { region }) => {
                sign(out, request, credentials, region, seconds(wall_nanos));
            }
            (Some(Held::Google { token, quota_project, .. }), _) => {
                let bearer = format!("Bearer {}", token.reveal());
                write_field(out, b"authorization", bearer.as_bytes());
                if let Some(project) = quota_project {
                    write_field(out, b"x-goog-user-project", project.as_bytes());
                }
            }
            _ => {}
        }
    }

    /// What was tried, for a client that is told that there are none.
    pub(crate) fn tried(&self) -> &'static str {
        match &self.source {
            Source::Aws { .. } => aws::CHAIN,
            Source::Google { file: None } => google::CHAIN,
            Source::Google { file: Some(_) } => "its credentials file",
        }
    }

    /// Fetches credentials and says when to do so again.
    fn renew(&self, fetcher: &Fetcher) {
        let found = match &self.source {
            Source::Aws { region } => aws::find(fetcher, region),
            Source::Google { file } => google::find(fetcher, file.as_deref()),
        };
        let pause = match found {
            Ok(found) => {
                let left = found.held.expires().map(|end| end.0.saturating_sub(fetcher.wall().0));
                tracing::info!(source = %self.source, from = found.from, expires_in_s = left, "credentials renewed");
                self.current.store(Some(Arc::new(found.held)));
                self.failures.store(0, Ordering::Release);
                left.map_or(LOOK_AGAIN, pause_before_end)
            }
            Err(error) => {
                tracing::warn!(source = %self.source, %error, "credentials not renewed");
                let failures = self.failures.fetch_add(1, Ordering::Release);
                RETRY_PAUSE.saturating_mul(1 << failures.min(16)).min(RETRY_PAUSE_MAX)
            }
        };
        self.due.store(fetcher.clock.now().after(pause).nanos(), Ordering::Relaxed);
    }

    fn due(&self) -> Instant {
        Instant::at(self.due.load(Ordering::Relaxed))
    }
}

/// How long credentials that live so many seconds longer are left alone.
fn pause_before_end(left: u64) -> Duration {
    let margin = MARGIN_SECONDS.min(left / 2);
    Duration::from_secs(left - margin).max(RENEW_PAUSE)
}

fn seconds(wall_nanos: u64) -> Seconds {
    Seconds(wall_nanos / 1_000_000_000)
}

/// Signs a request: its host, its type, and all that is AWS's own.
fn sign(
    out: &mut Vec<u8>,
    request: &Unsent<'_>,
    credentials: &sigv4::Credentials,
    region: &str,
    now: Seconds,
) {
    let mut headers = vec![("host", request.host)];
    let lines = request.fields.iter().flat_map(|fields| fields.split(|b| *b == b'\n'));
    headers.extend(lines.filter_map(|line| {
        let (name, value) = std::str::from_utf8(line).ok()?.split_once(':')?;
        let start = name.as_bytes().get(..5)?;
        start.eq_ignore_ascii_case(b"x-amz").then(|| (name, value.trim()))
    }));
    let body_hash = sigv4::sha256_hex_of(request.body);
    let unsigned = Unsigned {
        method: request.method,
        path: request.path,
        query: request.query,
        headers: &headers,
        body_hash: &body_hash,
    };
    let signed = sigv4::sign(&unsigned, credentials, Scope { region, service: SERVICE }, now);
    for (name, value) in signed.headers() {
        write_field(out, name.as_bytes(), value.as_bytes());
    }
}

/// The thread that renews credentials.
#[derive(Debug)]
pub(crate) struct Keeper {
    watched: Arc<ArcSwap<Vec<Arc<Credential>>>>,
    round: Arc<AtomicU64>,
    thread: Thread,
}

impl Keeper {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// When no thread can be started.
    pub(crate) fn start() -> io::Result<Self> {
        let watched: Arc<ArcSwap<Vec<Arc<Credential>>>> = Arc::default();
        let round = Arc::new(AtomicU64::new(0));
        let theirs = (Arc::clone(&watched), Arc::clone(&round));
        let handle = thread::Builder::new().name("credentials".to_owned()).spawn(move || {
            let fetcher = Fetcher::new(Clock::start(), |name| std::env::var(name).ok());
            loop {
                let seen = theirs.1.load(Ordering::Acquire);
                let mut next = fetcher.clock.now().after(LOOK_AGAIN);
                for credential in theirs.0.load().iter() {
                    if credential.due() <= fetcher.clock.now() {
                        credential.renew(&fetcher);
                    }
                    next = next.min(credential.due());
                }
                if theirs.1.load(Ordering::Acquire) == seen {
                    let pause = next.since(fetcher.clock.now());
                    thread::park_timeout(Duration::from_nanos(pause));
                }
            }
        })?;
        Ok(Self { watched, round, thread: handle.thread().clone() })
    }

    /// Keeps these current from now on.
    pub(crate) fn watch(&self, credentials: Vec<Arc<Credential>>) {
        self.watched.store(Arc::new(credentials));
        self.round.fetch_add(1, Ordering::Release);
        self.thread.unpark();
    }
}

/// Text of a service that ends up in a log: one line of bounded length.
fn one_line(text: &str) -> String {
    const CHARS_MAX: usize = 200;
    let plain = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    plain.take(CHARS_MAX).collect::<String>().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_renewed_well_before_their_end() {
        assert_eq!(pause_before_end(3600), Duration::from_secs(3300));
        assert_eq!(pause_before_end(301), Duration::from_secs(151));
        assert_eq!(pause_before_end(4), Duration::from_secs(2));
        assert_eq!(pause_before_end(0), RENEW_PAUSE);
    }

    #[test]
    fn what_has_expired_is_of_no_use() {
        let credential = Credential::new(Source::Google { file: None });
        assert!(!credential.is_usable(Seconds(0)));
        let (token, quota_project) = (Secret::new("t"), Some("p".to_owned()));
        let held = Held::Google { token, quota_project, expires: Seconds(10) };
        credential.current.store(Some(Arc::new(held)));
        assert!(credential.is_usable(Seconds(9)));
        assert!(!credential.is_usable(Seconds(10)));
        let mut out = Vec::new();
        let request = Unsent {
            method: "POST",
            path: "/",
            query: "",
            host: "h",
            fields: [b"", b""],
            body: &[],
        };
        credential.prove(&mut out, &request, 0);
        assert_eq!(out, b"authorization: Bearer t\r\nx-goog-user-project: p\r\n");
    }

    #[test]
    fn what_is_awss_own_is_signed() {
        let credentials = sigv4::Credentials {
            access_key: "AKIA".to_owned(),
            secret_key: Secret::new("s"),
            session_token: Some(Secret::new("t")),
            expires: None,
        };
        let request = Unsent {
            method: "POST",
            path: "/model/a%3A0/converse",
            query: "",
            host: "h",
            fields: [b"x: y\r\n", b"x-amzn-bedrock-trace: on\r\nuser-agent: u\r\n"],
            body: &[b"{", b"}"],
        };
        let mut out = Vec::new();
        sign(&mut out, &request, &credentials, "us-east-1", Seconds(1_440_938_160));
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("x-amz-date: 20150830T123600Z\r\nauthorization: "), "{text}");
        assert!(text.contains("Credential=AKIA/20150830/us-east-1/bedrock/aws4_request"));
        let names = "SignedHeaders=host;x-amz-date;x-amz-security-token;x-amzn-bedrock-trace,";
        assert!(text.contains(names), "{text}");
        assert!(text.ends_with("x-amz-security-token: t\r\n"));
    }

    #[test]
    fn a_log_line_stays_one() {
        assert_eq!(one_line("a\nb\u{1b}c "), "a b c");
        assert_eq!(one_line(&"x".repeat(999)).len(), 200);
    }
}
