//! A client that keeps its connection and speaks JSON.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::wire::{Answer, Framing, Head, Wire};

/// A client with one key and one connection, which is made anew when the gateway has closed it.
#[derive(Debug)]
pub struct Client {
    address: SocketAddr,
    key: String,
    fields: String,
    wire: Option<Wire>,
}

impl Client {
    /// A client that shows `key`; with an empty one it shows none.
    pub fn new(address: SocketAddr, key: &str) -> Self {
        Self { address, key: key.to_owned(), fields: String::new(), wire: None }
    }

    /// The same, with one more field in each request.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    /// The head and body of a request as this client sends them.
    pub fn request(&self, method: &str, path: &str, body: Option<&[u8]>) -> Vec<u8> {
        let mut out = format!("{method} {path} HTTP/1.1\r\nhost: {}\r\n", self.address);
        if !self.key.is_empty() {
            out.push_str(&format!("authorization: Bearer {}\r\n", self.key));
        }
        out.push_str(&self.fields);
        if let Some(body) = body {
            if !self.fields.to_ascii_lowercase().contains("content-type:") {
                out.push_str("content-type: application/json\r\n");
            }
            out.push_str(&format!("content-length: {}\r\n", body.len()));
        }
        out.push_str("\r\n");
        let mut out = out.into_bytes();
        out.extend_from_slice(body.unwrap_or_default());
        out
    }

    /// Sends a request and reads its answer.
    #[track_caller]
    pub fn send(&mut self, method: &str, path: &str, body: Option<&[u8]>) -> Answer {
        self.try_send(method, path, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// Sends a request and reads its answer.
    ///
    /// # Errors
    ///
    /// A sentence that says what broke. Nothing is sent twice: a kept connection that turns out closed is an error too.
    pub fn try_send(
        &mut self,
        method: &str,
        path: &str,
        body: Option<&[u8]>,
    ) -> Result<Answer, String> {
        let request = self.request(method, path, body);
        let wire = match self.wire.take() {
            Some(wire) => wire,
            None => Wire::try_connect(self.address).map_err(|error| format!("connect: {error}"))?,
        };
        let (answer, wire) = exchange(wire, &request)?;
        if answer.header("connection") != Some("close") {
            self.wire = Some(wire);
        }
        Ok(answer)
    }

    /// GETs `path`.
    #[track_caller]
    pub fn get(&mut self, path: &str) -> Answer {
        self.send("GET", path, None)
    }

    /// POSTs JSON to `path`.
    #[track_caller]
    pub fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, Some(body.to_string().as_bytes()))
    }

    /// Asks `model` something short.
    #[track_caller]
    pub fn chat(&mut self, model: &str) -> Answer {
        self.post("/v1/chat/completions", &chat(model))
    }

    /// Begins a streamed chat on a connection of its own.
    #[track_caller]
    pub fn stream(&self, body: &Value) -> Events {
        let mut wire = Wire::connect(self.address);
        wire.send(self.request("POST", "/v1/chat/completions", Some(body.to_string().as_bytes())));
        Events::read(wire)
    }
}

fn exchange(mut wire: Wire, request: &[u8]) -> Result<(Answer, Wire), String> {
    wire.try_send(request).map_err(|error| format!("{error} after 0 of its bytes"))?;
    let answer = wire.try_answer()?;
    Ok((answer, wire))
}

/// The body of a short chat with `model`.
pub fn chat(model: &str) -> Value {
    json!({"model": model, "messages": [{"role": "user", "content": "hi"}]})
}

/// The body of a short streamed chat with `model`.
pub fn streamed(model: &str) -> Value {
    let mut body = chat(model);
    body["stream"] = true.into();
    body
}

/// A stream of events as it arrives.
#[derive(Debug)]
pub struct Events {
    /// Its head.
    pub head: Head,
    /// The connection.
    pub wire: Wire,
    text: String,
    ended: Option<Result<(), String>>,
}

impl Events {
    /// Reads the head of the answer that comes.
    #[track_caller]
    pub fn read(mut wire: Wire) -> Self {
        let head = wire.head();
        Self { head, wire, text: String::new(), ended: None }
    }

    /// The `data` of the next event, comments passed over; `None` when the stream has ended as HTTP demands.
    ///
    /// # Errors
    ///
    /// A sentence that says how the stream broke.
    pub fn try_next(&mut self) -> Result<Option<String>, String> {
        loop {
            while let Some((event, rest)) = split_event(&self.text) {
                let lines = event.split(['\r', '\n']);
                let data: Vec<&str> = lines.filter_map(|line| line.strip_prefix("data:")).collect();
                let data = data.join("\n").trim_start().to_owned();
                self.text = rest.to_owned();
                if !data.is_empty() {
                    return Ok(Some(data));
                }
            }
            if let Some(end) = &self.ended {
                assert!(self.text.is_empty(), "half an event at the end: {:?}", self.text);
                return end.clone().map(|()| None);
            }
            self.more();
        }
    }

    /// The `data` of the next event.
    #[track_caller]
    pub fn next_data(&mut self) -> Option<String> {
        self.try_next().unwrap_or_else(|error| panic!("the stream broke: {error}"))
    }

    /// The `data` of all events that are left.
    #[track_caller]
    pub fn all(mut self) -> Vec<String> {
        std::iter::from_fn(|| self.next_data()).collect()
    }

    fn more(&mut self) {
        let piece = match self.head.framing {
            Framing::Chunked => self.wire.try_chunk(),
            framing => self.wire.try_body(framing).map(|body| {
                self.ended = Some(Ok(()));
                Some(body)
            }),
        };
        match piece {
            Ok(Some(data)) => {
                self.text.push_str(std::str::from_utf8(&data).expect("chunks end between letters"));
            }
            Ok(None) => self.ended = Some(Ok(())),
            Err(error) => self.ended = Some(Err(error)),
        }
    }
}

/// The first event and what follows its blank line, whose ends may be LF, CRLF or CR.
fn split_event(text: &str) -> Option<(&str, &str)> {
    let blank_lines = ["\n\n", "\r\n\r\n", "\r\r"];
    let found = blank_lines.iter().filter_map(|blank| text.split_once(blank));
    found.min_by_key(|(event, _)| event.len())
}
