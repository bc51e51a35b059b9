//! `generationConfig`, read.

use std::borrow::Cow;

use faregate_wire::Json;

use super::member::{camel, count, flag, list, number, object, text};
use crate::{
    chat::{Effort, Format, Reasoning, Request},
    dialect::Invalid,
};

/// How the answer shall be spelled, put together from members that belong together.
#[derive(Default)]
struct Form<'a> {
    media_type: Option<Json<'a>>,
    schema: Option<Json<'a>>,
}

pub(super) fn read<'a>(json: Json<'a>, request: &mut Request<'a>) -> Result<(), Invalid> {
    let mut form = Form::default();
    for (name, value) in json.members().filter(|(_, value)| !value.is_null()) {
        let name = camel(name);
        let param = format!("generationConfig.{name}");
        let sampling = &mut request.sampling;
        match &*name {
            "temperature" => sampling.temperature = Some(number(value, &param)?),
            "topP" => sampling.top_p = Some(number(value, &param)?),
            "topK" => sampling.top_k = Some(number(value, &param)?),
            "seed" => sampling.seed = Some(number(value, &param)?),
            "frequencyPenalty" => sampling.frequency_penalty = Some(number(value, &param)?),
            "presencePenalty" => sampling.presence_penalty = Some(number(value, &param)?),
            "candidateCount" => sampling.choices = Some(count(value, &param)?),
            "responseLogprobs" => sampling.logprobs = Some(flag(value, &param)?),
            "logprobs" => sampling.top_logprobs = Some(count(value, &param)?),
            "maxOutputTokens" => request.output_max = Some(count(value, &param)?),
            "stopSequences" => {
                let texts = list(value).map(|stop| text(stop, &param));
                request.stop = texts.collect::<Result<_, _>>()?;
            }
            "responseMimeType" => {
                text(value, &param)?;
                form.media_type = Some(value);
            }
            "responseSchema" | "responseJsonSchema" => form.schema = Some(value),
            "thinkingConfig" => {
                request.reasoning = thinking(object(value, &param)?, &param)?;
            }
            _ => request.rest.push((Cow::Owned(param), value)),
        }
    }
    form.into_request(request);
    Ok(())
}

impl<'a> Form<'a> {
    fn into_request(self, request: &mut Request<'a>) {
        let media_type = self.media_type.and_then(Json::str).unwrap_or_default();
        match (&*media_type, self.schema) {
            ("application/json", Some(schema)) => {
                request.format = Some(Format::JsonSchema {
                    name: None,
                    description: None,
                    schema,
                    strict: None,
                });
            }
            ("application/json", None) => request.format = Some(Format::JsonObject),
            ("" | "text/plain", None) => {}
            // `text/x.enum`, or a schema for what is not said to be JSON.
            (_, schema) => {
                let rest = [("responseMimeType", self.media_type), ("responseJsonSchema", schema)];
                for (name, value) in rest {
                    let name = Cow::Owned(format!("generationConfig.{name}"));
                    request.rest.extend(value.map(|value| (name, value)));
                }
            }
        }
    }
}

fn thinking(json: Json<'_>, param: &str) -> Result<Reasoning, Invalid> {
    let mut reasoning = Reasoning::default();
    for (name, value) in json.members().filter(|(_, value)| !value.is_null()) {
        let name = camel(name);
        let param = format!("{param}.{name}");
        match &*name {
            "includeThoughts" => reasoning.shown = Some(flag(value, &param)?),
            "thinkingBudget" if value.f64() == Some(-1.0) => reasoning.enabled = Some(true),
            "thinkingBudget" => {
                let tokens = count(value, &param)?;
                reasoning.budget = Some(tokens);
                reasoning.enabled = Some(tokens > 0);
            }
            "thinkingLevel" => {
                let level = text(value, &param)?.to_ascii_lowercase();
                reasoning.effort = match &*level {
                    "thinking_level_unspecified" => None,
                    level => Some(Effort::of(level).ok_or_else(|| {
                        Invalid::type_of(param, "MINIMAL, LOW, MEDIUM, HIGH or XHIGH")
                    })?),
                };
            }
            _ => {
                return Err(Invalid {
                    message: format!("{param} is not known"),
                    param: param.into(),
                });
            }
        }
    }
    Ok(reasoning)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str) -> Request<'_> {
        let mut request = Request::default();
        read(Json::new(body.as_bytes()).unwrap(), &mut request).unwrap();
        request
    }

    #[test]
    fn settings_find_their_places() {
        let request = check(
            r#"{"temperature":0.70,"top_p":1,"topK":40,"candidateCount":"2","maxOutputTokens":100,
            "stopSequences":["a"],"seed":7,"responseLogprobs":true,"logprobs":3,
            "responseModalities":["TEXT"],"speech_config":{}}"#,
        );
        assert_eq!(request.sampling.temperature.unwrap().raw(), b"0.70");
        assert_eq!((request.sampling.choices, request.output_max), (Some(2), Some(100)));
        assert_eq!(request.sampling.top_logprobs, Some(3));
        assert_eq!(request.stop, ["a"]);
        let rest: Vec<&str> = request.rest.iter().map(|(name, _)| &**name).collect();
        assert_eq!(rest, ["generationConfig.responseModalities", "generationConfig.speechConfig"]);
    }

    #[test]
    fn forms_of_the_answer() {
        let json = r#"{"responseMimeType":"application/json"}"#;
        assert!(matches!(check(json).format, Some(Format::JsonObject)));
        let schema =
            r#"{"responseJsonSchema":{"type":"object"},"responseMimeType":"application/json"}"#;
        assert!(matches!(check(schema).format, Some(Format::JsonSchema { .. })));
        let words = check(r#"{"responseMimeType":"text/x.enum","responseSchema":{"enum":["a"]}}"#);
        assert!(words.format.is_none());
        assert_eq!(words.rest.len(), 2);
        assert!(check(r#"{"responseMimeType":"text/plain"}"#).rest.is_empty());
    }

    #[test]
    fn thinking_is_a_budget_or_a_level() {
        for (config, expected) in [
            (
                r#"{"thinkingBudget":512,"includeThoughts":true}"#,
                Reasoning {
                    budget: Some(512),
                    enabled: Some(true),
                    shown: Some(true),
                    effort: None,
                },
            ),
            (
                r#"{"thinkingBudget":0}"#,
                Reasoning { budget: Some(0), enabled: Some(false), ..Reasoning::default() },
            ),
            (r#"{"thinkingBudget":-1}"#, Reasoning { enabled: Some(true), ..Reasoning::default() }),
            (
                r#"{"thinking_level":"HIGH"}"#,
                Reasoning { effort: Some(Effort::High), ..Reasoning::default() },
            ),
        ] {
            let body = format!("{{\"thinkingConfig\":{config}}}");
            assert_eq!(check(&body).reasoning, expected);
        }
    }
}
