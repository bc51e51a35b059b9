//! Gemini's `embedContent` and `batchEmbedContents`.
//!
//! A content is one vector, however many parts it has: `google-genai` puts a list of strings into one content with several
//! parts. A list of OpenAI's is one request each in a batch, so that each input has its vector.
//! Format: <https://ai.google.dev/api/embeddings>

use std::borrow::Cow;

use faregate_wire::{Json, JsonWriter};

use super::{EmbedAnswer, EmbedRequest, Encoding, Input, Vector, checked};
use crate::{
    chat::Loss,
    dialect::{
        BadAnswer, Call, Invalid,
        gemini::{bare_model, camel, list, member, resource},
    },
};

/// Reads a request: one of `embedContent`, or the `requests` of a batch.
///
/// # Errors
///
/// [`Invalid`] when a member has the wrong type, a part is no text, or the requests of a batch differ in what they want.
pub fn read_request<'a>(body: &'a [u8], call: &Call<'a>) -> Result<EmbedRequest<'a>, Invalid> {
    let json = Json::new(body).filter(|json| json.is_object());
    let json = json.ok_or_else(|| Invalid::type_of("body", "a JSON object"))?;
    let mut request = EmbedRequest {
        model: Cow::Borrowed(bare_model(call.model.unwrap_or_default())),
        ..EmbedRequest::default()
    };
    let Some(requests) = member(json, "requests") else {
        read_one(json, "", &mut request)?;
        return Ok(request);
    };
    for (at, one) in list(requests).enumerate() {
        let param = format!("requests[{at}].");
        let mut read = EmbedRequest { model: request.model.clone(), ..EmbedRequest::default() };
        read_one(one, &param, &mut read)?;
        if at == 0 {
            request = read;
            continue;
        }
        let differs = (read.dimensions != request.dimensions, read.task != request.task);
        if differs != (false, false) {
            let name = if differs.0 { "outputDimensionality" } else { "taskType" };
            return Err(Invalid::type_of(format!("{param}{name}"), "the same in all requests"));
        }
        request.inputs.append(&mut read.inputs);
    }
    if request.inputs.is_empty() {
        return Err(Invalid::type_of("requests", "a list"));
    }
    Ok(request)
}

/// Reads one request; `param` is what stands before its members' names.
fn read_one<'a>(json: Json<'a>, param: &str, to: &mut EmbedRequest<'a>) -> Result<(), Invalid> {
    let wanted = |name: &str, wanted: &str| Invalid::type_of(format!("{param}{name}"), wanted);
    let text = |name: &str, json: Json<'a>| json.str().ok_or_else(|| wanted(name, "a string"));
    let mut has_content = false;
    for (name, value) in json.members().filter(|(_, value)| !value.is_null()) {
        let name = camel(name);
        match &*name {
            "model" if to.model.is_empty() => {
                to.model = Cow::Owned(bare_model(&text("model", value)?).to_owned());
            }
            "model" => {}
            "content" => {
                let input = content(value).ok_or_else(|| wanted("content", "parts of text"))?;
                to.inputs.push(Input::Text(input));
                has_content = true;
            }
            "taskType" => to.task = Some(text("taskType", value)?),
            "title" => to.title = Some(text("title", value)?),
            "outputDimensionality" => {
                let count = value.u64();
                let wanted = || wanted("outputDimensionality", "a whole number");
                to.dimensions = Some(count.ok_or_else(wanted)?);
            }
            "embedContentConfig" => {
                let param = format!("{param}embedContentConfig.");
                let inner = value.members().filter(|(name, _)| camel(name.clone()) != "content");
                for (name, value) in inner.filter(|(_, value)| !value.is_null()) {
                    read_setting(&camel(name.clone()), name, value, &param, to)?;
                }
            }
            _ => to.rest.push((name, value)),
        }
    }
    if has_content { Ok(()) } else { Err(wanted("content", "an object")) }
}

/// A member of `embedContentConfig`, where newer clients put what else stands at the top.
fn read_setting<'a>(
    camel: &str,
    name: Cow<'a, str>,
    value: Json<'a>,
    param: &str,
    to: &mut EmbedRequest<'a>,
) -> Result<(), Invalid> {
    let wanted = |wanted: &str| Invalid::type_of(format!("{param}{camel}"), wanted);
    match camel {
        "taskType" => to.task = Some(value.str().ok_or_else(|| wanted("a string"))?),
        "title" => to.title = Some(value.str().ok_or_else(|| wanted("a string"))?),
        "outputDimensionality" => {
            to.dimensions = Some(value.u64().ok_or_else(|| wanted("a whole number"))?);
        }
        _ => to.rest.push((name, value)),
    }
    Ok(())
}

/// The text of a content: its parts, a line each. `None` when one of them is no text.
fn content(json: Json<'_>) -> Option<Cow<'_, str>> {
    if let Some(text) = json.str() {
        return Some(text);
    }
    let mut parts = list(member(json, "parts")?);
    let first = member(parts.next()?, "text")?.str()?;
    parts.try_fold(first, |all, part| {
        let text = member(part, "text")?.str()?;
        Some(Cow::Owned(format!("{all}\n{text}")))
    })
}

/// The path of a batch behind the provider's base URL.
#[must_use]
pub fn path(model: &str) -> String {
    format!("{}:batchEmbedContents", resource(model))
}

/// Appends the body of `batchEmbedContents`.
///
/// # Errors
///
/// [`Invalid`] when an input is a list of tokens.
pub fn write_request(
    out: &mut Vec<u8>,
    request: &EmbedRequest<'_>,
    model: &str,
    loss: &mut Loss,
) -> Result<(), Invalid> {
    if request.inputs.iter().any(|input| matches!(input, Input::Tokens(_))) {
        return Err(Invalid::type_of("input", "text: the model does not know these tokens"));
    }
    let mut json = JsonWriter::new(out);
    json.object().name("requests").array();
    for input in &request.inputs {
        let Input::Text(text) = input else { continue };
        json.object().member_str("model", resource(model).trim_start_matches('/'));
        json.name("content").object().name("parts").array();
        json.object().member_str("text", text).end().end().end();
        for (name, value) in [("taskType", &request.task), ("title", &request.title)] {
            if let Some(value) = value {
                json.member_str(name, value);
            }
        }
        if let Some(dimensions) = request.dimensions {
            json.member_u64("outputDimensionality", dimensions);
        }
        json.end();
    }
    json.end().end();
    if request.end_user.is_some() {
        loss.add("user");
    }
    request.rest.iter().for_each(|(name, _)| loss.add_named(name));
    Ok(())
}

/// Reads an answer, to one or to a batch.
///
/// # Errors
///
/// [`BadAnswer`] when it is not one.
pub fn read_answer(body: &[u8]) -> Result<EmbedAnswer<'_>, BadAnswer> {
    let json = checked(body)?;
    let found = member(json, "embeddings").or_else(|| member(json, "embedding"));
    let vectors = list(found.ok_or(BadAnswer)?).map(|embedding| {
        let values = member(embedding, "values").filter(|values| values.is_array());
        values.map(Vector::Numbers).ok_or(BadAnswer)
    });
    let counts = member(json, "usageMetadata");
    Ok(EmbedAnswer {
        vectors: vectors.collect::<Result<_, _>>()?,
        model: Cow::Borrowed(""),
        input_tokens: counts.and_then(|counts| member(counts, "promptTokenCount")?.u64()),
    })
}

/// Appends an answer, to a batch or to one.
pub fn write_answer(out: &mut Vec<u8>, answer: &EmbedAnswer<'_>, is_batch: bool) {
    let mut json = JsonWriter::new(out);
    json.object();
    let write = |json: &mut JsonWriter<'_>, vector: &Vector<'_>| {
        vector.write(json.object().name("values"), Encoding::Float);
        json.end();
    };
    if is_batch {
        json.name("embeddings").array();
        answer.vectors.iter().for_each(|vector| write(&mut json, vector));
        json.end();
    } else if let Some(vector) = answer.vectors.first() {
        write(json.name("embedding"), vector);
    }
    if let Some(tokens) = answer.input_tokens {
        json.name("usageMetadata").object().member_u64("promptTokenCount", tokens);
        json.member_u64("totalTokenCount", tokens).end();
    }
    json.end();
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::embed::openai;

    const CALL: Call<'static> = Call { model: Some("models/gemini-embedding-001"), stream: None };

    #[test]
    fn several_parts_are_one_vector() {
        for body in [
            r#"{"requests":[{"model":"models/x","content":{"parts":[{"text":"a"},{"text":"b"}]},"outputDimensionality":3,"taskType":"RETRIEVAL_QUERY"}]}"#,
            r#"{"content":{"parts":[{"text":"a"},{"text":"b"}]},"embed_content_config":{"output_dimensionality":3,"task_type":"RETRIEVAL_QUERY"}}"#,
        ] {
            let request = read_request(body.as_bytes(), &CALL).unwrap();
            assert_eq!(request.model, "gemini-embedding-001");
            assert_eq!(request.inputs, [Input::Text("a\nb".into())]);
            assert_eq!(request.dimensions, Some(3));
            let (mut out, mut loss) = (Vec::new(), Loss::default());
            openai::write_request(&mut out, &request, "m", &mut loss);
            assert_eq!(
                String::from_utf8(out).unwrap(),
                r#"{"model":"m","input":["a\nb"],"dimensions":3,"encoding_format":"float"}"#
            );
            assert_eq!(loss.list(), "taskType");
        }
    }

    #[test]
    fn a_list_of_inputs_is_a_vector_each() {
        let body = br#"{"model":"m","input":["a","b"],"dimensions":2,"encoding_format":"base64"}"#;
        let request = openai::read_request(body).unwrap();
        let (mut out, mut loss) = (Vec::new(), Loss::default());
        write_request(&mut out, &request, "gemini-embedding-001", &mut loss).unwrap();
        let written: Value = serde_json::from_slice(&out).unwrap();
        let one = |text: &str| {
            json!({"model": "models/gemini-embedding-001",
                "content": {"parts": [{"text": text}]}, "outputDimensionality": 2})
        };
        assert_eq!(written, json!({"requests": [one("a"), one("b")]}));
        assert_eq!(path("gemini-embedding-001"), "/models/gemini-embedding-001:batchEmbedContents");

        let answer = read_answer(br#"{"embeddings":[{"values":[1.0,0.5]},{"values":[0,-1]}]}"#);
        let mut out = Vec::new();
        openai::write_answer(&mut out, &answer.unwrap(), request.encoding, "m", 9);
        let told = openai::read_answer(&out).unwrap();
        assert_eq!(told.vectors[0], Vector::Base64("AACAPwAAAD8=".into()));
        assert_eq!(told.input_tokens, Some(9));
    }

    #[test]
    fn answers_are_written_for_one_and_for_many() {
        let answer = EmbedAnswer {
            vectors: vec![Vector::Base64("AACAPw==".into())],
            input_tokens: Some(2),
            ..EmbedAnswer::default()
        };
        for is_batch in [true, false] {
            let mut out = Vec::new();
            write_answer(&mut out, &answer, is_batch);
            let read = read_answer(&out).unwrap();
            assert_eq!((read.vectors.len(), read.input_tokens), (1, Some(2)));
        }
        assert!(read_answer(br#"{"error":{}}"#).is_err());
    }

    #[test]
    fn what_cannot_be_embedded_is_refused() {
        for (body, param) in [
            (r#"{"content":{"parts":[{"inlineData":{}}]}}"#, "content"),
            ("{}", "content"),
            (r#"{"requests":[]}"#, "requests"),
            (r#"{"requests":[{"taskType":"x"}]}"#, "requests[0].content"),
            (
                r#"{"requests":[{"content":{"parts":[{"text":"a"}]}},{"content":{"parts":[{"text":"b"}]},"outputDimensionality":5}]}"#,
                "requests[1].outputDimensionality",
            ),
        ] {
            assert_eq!(read_request(body.as_bytes(), &CALL).unwrap_err().param, param, "{body}");
        }
        let tokens = openai::read_request(br#"{"input":[1,2]}"#).unwrap();
        let written = write_request(&mut Vec::new(), &tokens, "m", &mut Loss::default());
        assert_eq!(written.unwrap_err().param, "input");
    }
}
