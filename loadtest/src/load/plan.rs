//! The bytes of each kind of request, made once, and what its answer must look like.

use super::Target;
use super::scenario::{Kind, Request, Scenario};
use crate::provider::Script;

/// One kind of request, ready to be sent.
#[derive(Debug)]
pub(crate) struct Planned {
    pub(crate) wire: Vec<u8>,
    pub(crate) expected: Expected,
}

/// What is right as an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) status: u16,
    pub(crate) stream: Option<ExpectedStream>,
}

/// What is right as a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExpectedStream {
    /// Chunks that carry a piece of the text, the opening one included.
    pub(crate) chunks: u64,
    /// Whether a chunk with the usage comes behind them.
    pub(crate) usage: bool,
}

/// All kinds of a scenario.
pub(crate) fn plan(scenario: &Scenario, target: &Target) -> Vec<Planned> {
    scenario.requests.iter().map(|request| planned(request, target)).collect()
}

fn planned(request: &Request, target: &Target) -> Planned {
    let script = Script::parse(&request.script).unwrap_or_default();
    let opening = u64::from(request.kind == Kind::Chat);
    let stream = ExpectedStream { chunks: script.tokens + opening, usage: request.usage };
    let is_stream = request.stream && request.status < 400;
    Planned {
        wire: wire(request, target),
        expected: Expected { status: request.status, stream: is_stream.then_some(stream) },
    }
}

fn wire(request: &Request, target: &Target) -> Vec<u8> {
    let (method, path) = match request.kind {
        Kind::Chat => ("POST", "/v1/chat/completions"),
        Kind::Completion => ("POST", "/v1/completions"),
        Kind::Embedding => ("POST", "/v1/embeddings"),
        Kind::Models => ("GET", "/v1/models"),
    };
    // The fields an SDK sends, so that heads are as long as they are in life.
    let mut head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {}\r\nAccept: application/json\r\n\
         User-Agent: OpenAI/Python 3.57.0\r\nX-Stainless-Lang: python\r\n\
         X-Stainless-Retry-Count: 0\r\n",
        target.host
    );
    if let Some(key) = &target.key {
        head.push_str(&format!("Authorization: Bearer {key}\r\n"));
    }
    if !request.script.is_empty() {
        head.push_str(&format!("X-Sim: {}\r\n", request.script));
    }
    let body = body(request);
    if !body.is_empty() {
        let length = body.len();
        head.push_str(&format!("Content-Type: application/json\r\nContent-Length: {length}\r\n"));
    }
    head.push_str("\r\n");
    let mut wire = head.into_bytes();
    wire.extend_from_slice(body.as_bytes());
    wire
}

fn body(request: &Request) -> String {
    let model = serde_json::Value::from(request.model.as_str());
    let stream = match (request.stream, request.usage) {
        (false, _) => "",
        (true, false) => r#","stream":true"#,
        (true, true) => r#","stream":true,"stream_options":{"include_usage":true}"#,
    };
    let (front, back) = match request.kind {
        Kind::Models => return String::new(),
        Kind::Chat => (
            r#""messages":[{"role":"system","content":"You are terse."},{"role":"user","content":""#,
            r#""}]"#,
        ),
        Kind::Completion => (r#""prompt":""#, "\""),
        Kind::Embedding => (r#""encoding_format":"base64","dimensions":256,"input":""#, "\""),
    };
    let fixed = format!("{{\"model\":{model}{stream},{front}{back}}}");
    let prompt = prompt(request.body_bytes.saturating_sub(fixed.len()));
    format!("{{\"model\":{model}{stream},{front}{prompt}{back}}}")
}

/// Prose of exactly `bytes` bytes, with an escape now and then as real prompts have.
fn prompt(bytes: usize) -> String {
    const LINE: &str = "Summarise what the following lines say about the trade in grain.\\n";
    let mut text = LINE.repeat(bytes / LINE.len());
    text.extend(std::iter::repeat_n('.', bytes - text.len()));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::{Provider, Settings};

    fn request(rest: &str) -> Request {
        let head = "name='x'\nabout=''\nconnections=1\nwarmup='0s'\nduration='1s'\n[[requests]]\n";
        Scenario::parse(&format!("{head}{rest}")).unwrap().requests.remove(0)
    }

    #[test]
    fn a_body_has_the_size_that_was_asked_for() {
        for bytes in [300, 1024, 65_536] {
            for kind in ["chat", "completion", "embedding"] {
                let body = body(&request(&format!("kind='{kind}'\nbody_bytes={bytes}")));
                assert_eq!(body.len(), bytes, "{kind}");
                assert!(serde_json::from_str::<serde_json::Value>(&body).is_ok(), "{body}");
            }
        }
    }

    #[test]
    fn what_is_expected_follows_the_script() {
        let provider = Provider::start(Settings::default()).unwrap();
        let target = Target::new(provider.address());
        let stream = planned(&request("stream=true\nusage=true\nscript='tokens=7'"), &target);
        let expected = ExpectedStream { chunks: 8, usage: true };
        assert_eq!(stream.expected.stream, Some(expected));
        let refused = planned(&request("stream=true\nstatus=429\nscript='status=429'"), &target);
        assert_eq!(refused.expected, Expected { status: 429, stream: None });
    }
}
