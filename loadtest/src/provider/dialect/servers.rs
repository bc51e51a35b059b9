//! What servers of models offer beside chats: reranking (Cohere, vLLM), scores and tokens (vLLM), and Ollama's own chat and
//! vectors.
//!
//! In: a path and the members of a body. Out: the answer or the [`Refusal`]. A path has the members of whoever serves it and
//! no others. Formats: <https://docs.cohere.com/v2/reference/rerank>,
//! <https://docs.vllm.ai/en/latest/serving/openai_compatible_server.html>,
//! <https://github.com/ollama/ollama/blob/main/docs/api.md>

use serde_json::{Map, Value, json};

use super::Dialect;
use super::shape::{Kind, Shape, check, may, must};
use crate::provider::pieces::Event;
use crate::provider::refusal::{Reason, Refusal};
use crate::provider::script::Script;
use crate::provider::text;

/// What is offered at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offer {
    /// `/v2/rerank` of Cohere's.
    Rerank,
    /// `/v1/rerank` of vLLM's, Jina's and others.
    RerankLocal,
    /// `/v1/score`
    Score,
    /// `/tokenize`
    Tokenize,
    /// `/detokenize`
    Detokenize,
    /// `/api/chat`
    OllamaChat,
    /// `/api/embed`
    OllamaEmbed,
}

/// An answer.
#[derive(Debug)]
pub(crate) enum Answer {
    /// In one piece.
    Whole(Value),
    /// As lines of JSON.
    Lines(Vec<Event>),
}

static RERANK: Shape = Shape(&[
    must("model", Kind::Text),
    must("query", Kind::Text),
    must("documents", Kind::List(&Kind::Text)),
    may("top_n", Kind::Int(1, i64::MAX)),
    may("max_tokens_per_doc", Kind::Int(1, i64::MAX)),
    may("priority", Kind::Int(0, 999)),
]);
static RERANK_LOCAL: Shape = Shape(&[
    must("model", Kind::Text),
    must("query", Kind::Text),
    must("documents", Kind::List(&Kind::TextOr(&Kind::Map))),
    may("top_n", Kind::Int(0, i64::MAX)),
    may("truncate_prompt_tokens", Kind::Int(-1, i64::MAX)),
    may("return_documents", Kind::Bool),
]);
static SCORE: Shape = Shape(&[
    must("model", Kind::Text),
    must("text_1", Kind::TextOr(&Kind::List(&Kind::Text))),
    must("text_2", Kind::TextOr(&Kind::List(&Kind::Text))),
    may("truncate_prompt_tokens", Kind::Int(-1, i64::MAX)),
]);
static TOKENIZE: Shape = Shape(&[
    may("model", Kind::Text),
    may("prompt", Kind::Text),
    may("messages", Kind::List(&Kind::Map)),
    may("add_special_tokens", Kind::Bool),
    may("add_generation_prompt", Kind::Bool),
    may("return_token_strs", Kind::Bool),
]);
static DETOKENIZE: Shape =
    Shape(&[may("model", Kind::Text), must("tokens", Kind::List(&Kind::Int(0, i64::MAX)))]);
static OLLAMA_CHAT: Shape = Shape(&[
    must("model", Kind::Text),
    must("messages", Kind::List(&Kind::Object(&OLLAMA_MESSAGE))),
    may("stream", Kind::Bool),
    may("format", Kind::TextOr(&Kind::Map)),
    may("options", Kind::Map),
    may("tools", Kind::List(&Kind::Map)),
    may("think", Kind::Any),
    may("keep_alive", Kind::Any),
]);
static OLLAMA_MESSAGE: Shape = Shape(&[
    must("role", Kind::Word(&["system", "user", "assistant", "tool"])),
    must("content", Kind::Text),
    may("images", Kind::List(&Kind::Text)),
    may("thinking", Kind::Text),
    may("tool_calls", Kind::List(&Kind::Map)),
    may("tool_name", Kind::Text),
]);
static OLLAMA_EMBED: Shape = Shape(&[
    must("model", Kind::Text),
    must("input", Kind::TextOr(&Kind::List(&Kind::Text))),
    may("truncate", Kind::Bool),
    may("dimensions", Kind::Int(1, i64::MAX)),
    may("options", Kind::Map),
    may("keep_alive", Kind::Any),
]);

impl Offer {
    /// What is offered there.
    pub(crate) fn at(path: &str) -> Option<Offer> {
        Some(match path {
            "/v2/rerank" => Offer::Rerank,
            "/v1/rerank" => Offer::RerankLocal,
            "/v1/score" | "/score" => Offer::Score,
            "/tokenize" => Offer::Tokenize,
            "/detokenize" => Offer::Detokenize,
            "/api/chat" => Offer::OllamaChat,
            "/api/embed" => Offer::OllamaEmbed,
            _ => return None,
        })
    }

    /// Judges a request and answers it. The number makes the answer unlike others.
    pub(crate) fn answer(
        self,
        members: &Map<String, Value>,
        script: &Script,
        serial: u64,
    ) -> Result<Answer, Refusal> {
        check(Dialect::OpenAi, self.shape(), members)?;
        let model = members.get("model").cloned().unwrap_or_default();
        Ok(Answer::Whole(match self {
            Offer::Rerank => json!({
                "id": format!("rerank-{serial}"),
                "results": ranked(members, false)?,
                "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}},
            }),
            Offer::RerankLocal => json!({
                "id": format!("rerank-{serial}"),
                "model": model,
                "usage": {"total_tokens": tokens(members, &["query", "documents"])},
                "results": ranked(members, true)?,
            }),
            Offer::Score => {
                let pairs = pairs(members)?;
                let score = |index| json!({"index": index, "object": "score", "score": 0.5});
                let read = tokens(members, &["text_1", "text_2"]);
                json!({
                    "id": format!("score-{serial}"), "object": "list", "created": 0, "model": model,
                    "data": (0..pairs).map(score).collect::<Vec<_>>(),
                    "usage": {"prompt_tokens": read, "total_tokens": read, "completion_tokens": 0},
                })
            }
            Offer::Tokenize => {
                let all = letters(members)?;
                json!({"count": all.len(), "max_model_len": 8192, "tokens": all})
            }
            Offer::Detokenize => json!({"prompt": said(members)}),
            Offer::OllamaEmbed => {
                let vectors = vec![json!([0.5, -0.5, 0.25]); list(members, "input").len()];
                let read = tokens(members, &["input"]);
                json!({"model": model, "embeddings": vectors, "total_duration": 1000,
                    "load_duration": 10, "prompt_eval_count": read})
            }
            Offer::OllamaChat => return Ok(chat(members, script, &model)),
        }))
    }

    fn shape(self) -> &'static Shape {
        match self {
            Offer::Rerank => &RERANK,
            Offer::RerankLocal => &RERANK_LOCAL,
            Offer::Score => &SCORE,
            Offer::Tokenize => &TOKENIZE,
            Offer::Detokenize => &DETOKENIZE,
            Offer::OllamaChat => &OLLAMA_CHAT,
            Offer::OllamaEmbed => &OLLAMA_EMBED,
        }
    }
}

/// The documents, the last one first: an order that is none by chance.
fn ranked(members: &Map<String, Value>, repeats: bool) -> Result<Vec<Value>, Refusal> {
    let documents = list(members, "documents");
    if documents.is_empty() {
        let message = "documents must have at least one element";
        return Err(Refusal::of(Reason::Empty, "documents", message));
    }
    let most = members.get("top_n").and_then(Value::as_u64).filter(|most| *most > 0);
    let most = most.and_then(|most| usize::try_from(most).ok()).unwrap_or(usize::MAX);
    let score = |(place, index): (u32, usize)| {
        let mut one = json!({"index": index, "relevance_score": 0.9 / f64::from(place + 1)});
        if repeats {
            one["document"] = json!({"text": documents[index]});
        }
        one
    };
    Ok((0..).zip((0..documents.len()).rev()).take(most).map(score).collect())
}

fn pairs(members: &Map<String, Value>) -> Result<usize, Refusal> {
    let (first, second) = (list(members, "text_1").len(), list(members, "text_2").len());
    match first == second || first == 1 {
        true => Ok(second),
        false => {
            let message = "Input lengths must be either 1:1, 1:N or N:N";
            Err(Refusal::of(Reason::Value, "text_1", message))
        }
    }
}

/// A token for each byte of the prompt.
fn letters(members: &Map<String, Value>) -> Result<Vec<u8>, Refusal> {
    let prompt = members.get("prompt").and_then(Value::as_str).map(str::to_owned);
    let messages = members.get("messages").map(ToString::to_string);
    match (prompt, messages) {
        (Some(text), None) | (None, Some(text)) => Ok(text.into_bytes()),
        _ => Err(Refusal::of(Reason::Missing, "prompt", "either prompt or messages")),
    }
}

fn said(members: &Map<String, Value>) -> String {
    let tokens = list(members, "tokens").into_iter();
    let letter = |token: Value| token.as_u64().and_then(|token| u8::try_from(token).ok());
    String::from_utf8_lossy(&tokens.filter_map(letter).collect::<Vec<u8>>()).into_owned()
}

fn chat(members: &Map<String, Value>, script: &Script, model: &Value) -> Answer {
    let seed = text::hash(0, members["messages"].to_string().as_bytes());
    let words = text::words(seed, script.tokens);
    let line = |content: &str| {
        json!({"model": model, "created_at": "2026-11-25T00:00:00Z",
            "message": {"role": "assistant", "content": content}, "done": false})
    };
    let finished = |mut last: Value| {
        last["done"] = true.into();
        last["done_reason"] = "stop".into();
        last["prompt_eval_count"] = tokens(members, &["messages"]).into();
        last["eval_count"] = script.tokens.into();
        last
    };
    if members.get("stream") == Some(&Value::Bool(false)) {
        return Answer::Whole(finished(line(&words)));
    }
    let pieces = super::plan::pieces(&words).into_iter().map(|piece| Event::new(line(piece)));
    Answer::Lines(pieces.chain([Event::new(finished(line("")))]).collect())
}

/// A member as a list; a text is one.
fn list(members: &Map<String, Value>, name: &str) -> Vec<Value> {
    match members.get(name) {
        Some(Value::Array(all)) => all.clone(),
        Some(one) => vec![one.clone()],
        None => Vec::new(),
    }
}

fn tokens(members: &Map<String, Value>, names: &[&str]) -> u64 {
    let bytes = names.iter().filter_map(|name| members.get(*name)).map(|m| m.to_string().len());
    (bytes.sum::<usize>() as u64).div_ceil(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(path: &str, body: Value) -> Result<Value, Reason> {
        let offer = Offer::at(path).unwrap();
        match offer.answer(body.as_object().unwrap(), &Script::default(), 1) {
            Ok(Answer::Whole(answer)) => Ok(answer),
            Ok(Answer::Lines(lines)) => {
                let all = lines.iter().map(|line| serde_json::from_str(&line.data).unwrap());
                Ok(Value::Array(all.collect()))
            }
            Err(refusal) => Err(refusal.reason),
        }
    }

    #[test]
    fn documents_come_back_in_another_order() {
        let body = json!({"model": "m", "query": "q", "documents": ["a", "b", "c"], "top_n": 2});
        let answer = ask("/v2/rerank", body.clone()).unwrap();
        let order: Vec<&Value> =
            answer["results"].as_array().unwrap().iter().map(|one| &one["index"]).collect();
        assert_eq!(order, [2, 1]);
        let answer = ask("/v1/rerank", body.clone()).unwrap();
        assert_eq!(answer["results"][0]["document"]["text"], "c");
        let mut other = body;
        other["return_documents"] = true.into();
        assert_eq!(ask("/v2/rerank", other.clone()), Err(Reason::MemberUnknown));
        other["documents"] = json!([]);
        assert_eq!(ask("/v1/rerank", other), Err(Reason::Empty));
    }

    #[test]
    fn tokens_are_letters_and_scores_are_of_pairs() {
        let answer = ask("/tokenize", json!({"model": "m", "prompt": "hi"})).unwrap();
        assert_eq!(answer["tokens"], json!([104, 105]));
        assert_eq!(ask("/detokenize", json!({"tokens": [104, 105]})).unwrap()["prompt"], "hi");
        assert_eq!(ask("/tokenize", json!({"model": "m"})), Err(Reason::Missing));
        let body = json!({"model": "m", "text_1": "a", "text_2": ["b", "c"]});
        assert_eq!(ask("/v1/score", body).unwrap()["data"].as_array().unwrap().len(), 2);
        let body = json!({"model": "m", "text_1": ["a", "b"], "text_2": ["b", "c", "d"]});
        assert_eq!(ask("/v1/score", body), Err(Reason::Value));
    }

    #[test]
    fn ollama_streams_lines_unless_it_is_told_not_to() {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": "hi"}]});
        let lines = ask("/api/chat", body.clone()).unwrap();
        let (last, others) = lines.as_array().unwrap().split_last().unwrap();
        assert_eq!(
            (others.len(), &last["done"], &last["eval_count"]),
            (16, &json!(true), &json!(16))
        );
        let mut whole = body;
        whole["stream"] = false.into();
        assert_eq!(ask("/api/chat", whole.clone()).unwrap()["done"], true);
        whole["temperature"] = 1.into();
        assert_eq!(ask("/api/chat", whole), Err(Reason::MemberUnknown));
        let vectors = ask("/api/embed", json!({"model": "m", "input": ["a", "b"]})).unwrap();
        assert_eq!(vectors["embeddings"].as_array().unwrap().len(), 2);
    }
}
