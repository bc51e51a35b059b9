//! OpenAI's `/embeddings`.
//!
//! Both SDKs ask for base64 when their caller says nothing.
//! Format: <https://platform.openai.com/docs/api-reference/embeddings>

use std::borrow::Cow;

use faregate_wire::{Json, JsonWriter};

use super::{EmbedAnswer, EmbedRequest, Encoding, Input, Vector, checked};
use crate::{
    chat::Loss,
    dialect::{BadAnswer, Invalid},
};

/// Reads a request.
///
/// # Errors
///
/// [`Invalid`] when a member has the wrong type.
pub fn read_request(body: &[u8]) -> Result<EmbedRequest<'_>, Invalid> {
    let json = Json::new(body).filter(|json| json.is_object());
    let json = json.ok_or_else(|| Invalid::type_of("body", "a JSON object"))?;
    let mut request = EmbedRequest::default();
    let mut input = None;
    for (name, value) in json.members().filter(|(_, value)| !value.is_null()) {
        let text = || value.str().ok_or_else(|| Invalid::type_of(name.to_string(), "a string"));
        match &*name {
            "model" => request.model = text()?,
            "user" => request.end_user = Some(text()?),
            "input" => input = Some(inputs(value)?),
            "dimensions" => {
                let count = value.u64();
                let wanted = || Invalid::type_of("dimensions", "a whole number");
                request.dimensions = Some(count.ok_or_else(wanted)?);
            }
            "encoding_format" => {
                request.encoding = match &*text()? {
                    "float" => Encoding::Float,
                    "base64" => Encoding::Base64,
                    _ => return Err(Invalid::type_of("encoding_format", "float or base64")),
                };
            }
            _ => request.rest.push((name, value)),
        }
    }
    let wanted = || Invalid::type_of("input", "a string or a list");
    request.inputs = input.filter(|input| !input.is_empty()).ok_or_else(wanted)?;
    Ok(request)
}

/// A text, a list of texts, a list of tokens, or a list of such lists.
fn inputs(json: Json<'_>) -> Result<Vec<Input<'_>>, Invalid> {
    let wanted = || Invalid::type_of("input", "a string or a list of strings or tokens");
    if let Some(text) = json.str() {
        return Ok(vec![Input::Text(text)]);
    }
    if json.items().next().is_some_and(|first| first.f64().is_some()) {
        return Ok(vec![Input::Tokens(json)]);
    }
    let items = json.items().map(|item| match item.str() {
        Some(text) => Ok(Input::Text(text)),
        None if item.is_array() => Ok(Input::Tokens(item)),
        None => Err(wanted()),
    });
    if json.is_array() { items.collect() } else { Err(wanted()) }
}

/// Appends a request. Vectors are asked for as numbers, which every server knows.
pub fn write_request(out: &mut Vec<u8>, request: &EmbedRequest<'_>, model: &str, loss: &mut Loss) {
    let mut json = JsonWriter::new(out);
    json.object().member_str("model", model).name("input").array();
    for input in &request.inputs {
        match input {
            Input::Text(text) => json.str(text),
            Input::Tokens(tokens) => json.json(*tokens),
        };
    }
    json.end();
    if let Some(dimensions) = request.dimensions {
        json.member_u64("dimensions", dimensions);
    }
    json.member_str("encoding_format", "float");
    if let Some(user) = &request.end_user {
        json.member_str("user", user);
    }
    json.end();
    for (is_lost, name) in
        [(request.task.is_some(), "taskType"), (request.title.is_some(), "title")]
    {
        if is_lost {
            loss.add(name);
        }
    }
    request.rest.iter().for_each(|(name, _)| loss.add_named(name));
}

/// Reads an answer.
///
/// # Errors
///
/// [`BadAnswer`] when it is not one.
pub fn read_answer(body: &[u8]) -> Result<EmbedAnswer<'_>, BadAnswer> {
    let json = checked(body)?;
    let data = json.get("data").filter(|data| data.is_array()).ok_or(BadAnswer)?;
    let mut vectors = Vec::new();
    for (at, item) in (0..).zip(data.items()) {
        let embedding = item.get("embedding").ok_or(BadAnswer)?;
        let vector = match embedding.str() {
            Some(text) => Vector::Base64(text),
            None if embedding.is_array() => Vector::Numbers(embedding),
            None => return Err(BadAnswer),
        };
        vectors.push((item.get_u64("index").unwrap_or(at), vector));
    }
    vectors.sort_by_key(|(index, _)| *index);
    Ok(EmbedAnswer {
        vectors: vectors.into_iter().map(|(_, vector)| vector).collect(),
        model: json.get_str("model").unwrap_or(Cow::Borrowed("")),
        input_tokens: json.at(&["usage", "prompt_tokens"]).and_then(Json::u64),
    })
}

/// Appends an answer; `input_tokens` is told where the provider did not count, `model` where it did not say.
pub fn write_answer(
    out: &mut Vec<u8>,
    answer: &EmbedAnswer<'_>,
    encoding: Encoding,
    model: &str,
    input_tokens: u64,
) {
    let mut json = JsonWriter::new(out);
    json.object().member_str("object", "list").name("data").array();
    for (index, vector) in (0..).zip(&answer.vectors) {
        json.object().member_str("object", "embedding").member_u64("index", index);
        vector.write(json.name("embedding"), encoding);
        json.end();
    }
    json.end();
    let model = if answer.model.is_empty() { model } else { &answer.model };
    let tokens = answer.input_tokens.unwrap_or(input_tokens);
    json.member_str("model", model).name("usage").object();
    json.member_u64("prompt_tokens", tokens).member_u64("total_tokens", tokens).end().end();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_are_read_in_all_their_forms() {
        for (input, count) in
            [(r#""a""#, 1), (r#"["a","b"]"#, 2), ("[1,2,3]", 1), ("[[1],[2,3]]", 2)]
        {
            let body =
                format!("{{\"model\":\"m\",\"input\":{input},\"encoding_format\":\"base64\"}}");
            let request = read_request(body.as_bytes()).unwrap();
            assert_eq!(request.inputs.len(), count, "{input}");
            assert_eq!(request.encoding, Encoding::Base64);
        }
        for (body, param) in [
            ("{}", "input"),
            (r#"{"input":[]}"#, "input"),
            (r#"{"input":{}}"#, "input"),
            (r#"{"input":"a","dimensions":"x"}"#, "dimensions"),
            (r#"{"input":"a","encoding_format":"int8"}"#, "encoding_format"),
            (r#"{"input":"a","model":1}"#, "model"),
        ] {
            assert_eq!(read_request(body.as_bytes()).unwrap_err().param, param, "{body}");
        }
    }

    #[test]
    fn an_answer_is_put_in_order() {
        let body = br#"{"data":[{"index":1,"embedding":[0.5]},{"index":0,"embedding":"AACAPw=="}],
            "model":"m","usage":{"prompt_tokens":4,"total_tokens":4}}"#;
        let answer = read_answer(body).unwrap();
        let mut out = Vec::new();
        write_answer(&mut out, &answer, Encoding::Float, "x", 0);
        let expected = br#"{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1]},{"object":"embedding","index":1,"embedding":[0.5]}],"model":"m","usage":{"prompt_tokens":4,"total_tokens":4}}"#;
        assert_eq!(String::from_utf8_lossy(&out), String::from_utf8_lossy(expected));
        out.clear();
        write_answer(&mut out, &answer, Encoding::Base64, "x", 0);
        let packed = read_answer(&out).unwrap();
        assert_eq!(packed.vectors[0], Vector::Base64("AACAPw==".into()));
        assert_eq!(packed.vectors[1], Vector::Base64("AAAAPw==".into()));
        assert!(read_answer(b"{}").is_err());
    }
}
