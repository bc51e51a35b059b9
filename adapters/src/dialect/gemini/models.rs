//! Lists of models, and counts of tokens.

use faregate_wire::{Json, JsonWriter};

use super::member::member;

/// What every model can do here.
const METHODS: [&str; 3] = ["generateContent", "streamGenerateContent", "countTokens"];

/// Appends the list of models.
pub fn write_models<'m>(out: &mut Vec<u8>, models: impl Iterator<Item = &'m str>) {
    let mut json = JsonWriter::new(out);
    json.object().name("models").array();
    models.for_each(|model| write(&mut json, model));
    json.end().end();
}

/// Appends one model.
pub fn write_model(out: &mut Vec<u8>, model: &str) {
    write(&mut JsonWriter::new(out), model);
}

fn write(json: &mut JsonWriter<'_>, model: &str) {
    json.object().member_str("name", &format!("models/{model}")).member_str("version", "");
    json.member_str("displayName", model).name("supportedGenerationMethods").array();
    METHODS.iter().for_each(|method| {
        json.str(method);
    });
    json.end().end();
}

/// Appends the answer to `countTokens`.
pub fn write_count(out: &mut Vec<u8>, tokens: u64) {
    JsonWriter::new(out).object().member_u64("totalTokens", tokens).end();
}

/// Reads a provider's answer to `countTokens`.
#[must_use]
pub fn read_count(body: &[u8]) -> Option<u64> {
    // Nothing counted is left out, as any zero is.
    let json = Json::new(body).filter(|json| json.is_object() && json.get("error").is_none())?;
    member(json, "totalTokens").map_or(Some(0), Json::u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_and_counts_are_written() {
        let mut out = Vec::new();
        write_models(&mut out, ["a", "b/c"].into_iter());
        let list: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(list["models"][1]["name"], "models/b/c");
        out.clear();
        write_count(&mut out, 7);
        assert_eq!(out, br#"{"totalTokens":7}"#);
        assert_eq!(read_count(&out), Some(7));
        assert_eq!(read_count(br#"{"error":{}}"#), None);
    }
}
