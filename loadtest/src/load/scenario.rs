//! A load, as its TOML file describes it.
//!
//! In: the text of the file. Out: a [`Scenario`], or the one sentence about what is wrong with it.
//! Waits are written as in scripts: `200us`, `20ms`, `5s`.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use crate::provider::Script;
use crate::provider::script::duration;

/// Connections one generator opens.
const CONNECTIONS_MAX: usize = 100_000;

/// Bytes of a request's body.
const BODY_BYTES_MAX: usize = 64 << 20;

/// A load to put on a gateway.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// What reports call it.
    pub name: String,
    /// What it shows, for people.
    pub about: String,
    /// Connections; with a `rate` the most that are opened, otherwise all are kept busy.
    pub connections: usize,
    /// Requests a second, whether or not the earlier ones are answered. Without it each connection
    /// sends its next request when the last is answered.
    #[serde(default)]
    pub rate: Option<f64>,
    /// How requests of a `rate` follow each other.
    #[serde(default)]
    pub arrivals: Arrivals,
    /// Time until everything is warm; nothing in it is measured, but errors count.
    #[serde(deserialize_with = "wait")]
    pub warmup: Duration,
    /// Time that is measured.
    #[serde(deserialize_with = "wait")]
    pub duration: Duration,
    /// Time over which the connections begin, so that streams do not beat in step.
    #[serde(default, deserialize_with = "wait")]
    pub ramp: Duration,
    /// Open one stream on each connection, wait for its first event, and hold them all to the end:
    /// measures memory.
    #[serde(default)]
    pub hold: bool,
    /// Time one request may take.
    #[serde(default = "timeout", deserialize_with = "wait")]
    pub timeout: Duration,
    /// Seed of the random choices.
    #[serde(default = "seed")]
    pub seed: u64,
    /// What is sent, in proportion to the weights.
    pub requests: Vec<Request>,
    /// A change of the gateway's policy again and again while the load runs.
    #[serde(default)]
    pub reload: Option<Reload>,
}

/// How requests of a rate follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Arrivals {
    /// At even distances.
    #[default]
    Even,
    /// As independent clients send them.
    Poisson,
}

/// One kind of request.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The surface.
    #[serde(default)]
    pub kind: Kind,
    /// How often, against the other kinds.
    #[serde(default = "one")]
    pub weight: u32,
    /// Ask for a stream.
    #[serde(default)]
    pub stream: bool,
    /// Ask the stream to end with its usage.
    #[serde(default)]
    pub usage: bool,
    /// The model asked for.
    #[serde(default = "model")]
    pub model: String,
    /// Size of the body; the prompt fills it up.
    #[serde(default = "body_bytes")]
    pub body_bytes: usize,
    /// Script for the provider, sent in `x-sim`; the gateway must pass that field on.
    #[serde(default)]
    pub script: String,
    /// The status that is right.
    #[serde(default = "status")]
    pub status: u16,
}

/// A surface of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// `POST /v1/chat/completions`.
    #[default]
    Chat,
    /// `POST /v1/completions`.
    Completion,
    /// `POST /v1/embeddings`.
    Embedding,
    /// `GET /v1/models`.
    Models,
}

/// A repeated change of policy.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reload {
    /// How often.
    #[serde(deserialize_with = "wait")]
    pub every: Duration,
    /// A file that is copied over itself by renaming, as editors do. The command line may name it.
    #[serde(default)]
    pub touch: Option<PathBuf>,
    /// A program and its arguments, run each time.
    #[serde(default)]
    pub command: Vec<String>,
}

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    ///
    /// A sentence about the mistake.
    pub fn parse(text: &str) -> Result<Scenario, String> {
        let scenario: Scenario = toml::from_str(text).map_err(|error| error.to_string())?;
        scenario.check()?;
        Ok(scenario)
    }

    /// Multiplies ramp, warm-up and duration, to try the scenario out.
    pub fn scale(&mut self, factor: f64) {
        self.ramp = self.ramp.mul_f64(factor);
        self.warmup = self.warmup.mul_f64(factor);
        self.duration = self.duration.mul_f64(factor);
    }

    fn check(&self) -> Result<(), String> {
        if self.connections == 0 || self.connections > CONNECTIONS_MAX {
            return Err(format!("connections: 1 to {CONNECTIONS_MAX}, not {}", self.connections));
        }
        if self.duration.is_zero() {
            return Err("duration: nothing would be measured".into());
        }
        if self.rate.is_some_and(|rate| !rate.is_finite() || rate <= 0.0) {
            return Err("rate: must be above zero".into());
        }
        if self.hold && self.rate.is_some() {
            return Err("hold: streams that are held have no rate".into());
        }
        if self.requests.iter().map(|request| u64::from(request.weight)).sum::<u64>() == 0 {
            return Err("requests: none has a weight".into());
        }
        self.requests.iter().try_for_each(|request| self.check_request(request))
    }

    fn check_request(&self, request: &Request) -> Result<(), String> {
        Script::parse(&request.script).map_err(|error| format!("script: {error}"))?;
        if request.body_bytes > BODY_BYTES_MAX {
            return Err(format!("body_bytes: at most {BODY_BYTES_MAX}"));
        }
        let streams = matches!(request.kind, Kind::Chat | Kind::Completion);
        if request.stream && !streams {
            return Err("stream: this kind of request has no stream".into());
        }
        if request.usage && !request.stream {
            return Err("usage: only a stream is asked for its usage".into());
        }
        if self.hold && !request.stream {
            return Err("hold: only streams can be held".into());
        }
        Ok(())
    }
}

fn wait<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    duration(&text).map_err(serde::de::Error::custom)
}

fn timeout() -> Duration {
    Duration::from_secs(30)
}

fn seed() -> u64 {
    1
}

fn one() -> u32 {
    1
}

fn model() -> String {
    "sim".into()
}

fn body_bytes() -> usize {
    1024
}

fn status() -> u16 {
    200
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "name='x'\nabout='y'\nconnections=2\nwarmup='1s'\nduration='2s'\n";

    #[track_caller]
    fn check(rest: &str, mistake: &str) {
        let error = Scenario::parse(&format!("{HEAD}{rest}")).unwrap_err();
        assert!(error.contains(mistake), "{error}");
    }

    #[test]
    fn defaults_make_a_short_file() {
        let scenario = Scenario::parse(&format!("{HEAD}[[requests]]\n")).unwrap();
        assert_eq!(scenario.requests[0].kind, Kind::Chat);
        assert_eq!(scenario.requests[0].body_bytes, 1024);
        assert_eq!(scenario.duration, Duration::from_secs(2));
        assert_eq!(scenario.arrivals, Arrivals::Even);
    }

    #[test]
    fn mistakes_are_named() {
        check("[[requests]]\nscript='tokens=x'", "script: x is not a number");
        check("[[requests]]\nusage=true", "usage: only a stream");
        check("[[requests]]\nkind='models'\nstream=true", "stream: this kind");
        check("rate=0.0\n[[requests]]", "rate: must be above zero");
        check("hold=true\n[[requests]]", "hold: only streams");
        check("[[requests]]\nweight=0", "requests: none has a weight");
        check("speed=3\n[[requests]]", "unknown field `speed`");
        check("[[requests]]\nkind='image'", "unknown variant `image`");
    }

    #[test]
    fn the_scenarios_that_come_with_the_program_are_sound() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
        let files = std::fs::read_dir(folder).unwrap();
        assert_eq!(files.count(), crate::load::SCENARIOS.len(), "a file is missing in the table");
        for (name, text) in crate::load::SCENARIOS {
            let scenario = Scenario::parse(text);
            assert!(scenario.is_ok(), "{name}: {}", scenario.unwrap_err());
            assert_eq!(scenario.unwrap().name, *name);
        }
    }
}
