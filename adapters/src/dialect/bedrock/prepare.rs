//! The schema of an answer, which Converse has as JSON inside of a string, as JSON.
//!
//! In: a body. Out: the same with the string's text in the string's place, so that it can be borrowed from it.

use faregate_wire::{Json, Scanner};

/// Where the schema is.
const SCHEMA: &[&str] = &["outputConfig", "textFormat", "structure", "jsonSchema", "schema"];

/// The body with the schema as an object; `None` when it has none, or one that is no JSON.
pub(super) fn prepare(body: &[u8]) -> Option<Vec<u8>> {
    let string = Json::new(body)?.at(SCHEMA)?;
    let schema = string.str()?;
    if !schema.trim_start().starts_with('{') || Scanner::new(&[]).finish(schema.as_bytes()).is_err()
    {
        return None;
    }
    let start = (string.raw().as_ptr() as usize).checked_sub(body.as_ptr() as usize)?;
    let (front, rest) = body.split_at_checked(start)?;
    let back = rest.get(string.raw().len()..)?;
    Some([front, schema.as_bytes(), back].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_in_a_string_becomes_one() {
        let body = |schema: &str| {
            format!(
                "{{\"outputConfig\":{{\"textFormat\":{{\"type\":\"json_schema\",\"structure\":\
                 {{\"jsonSchema\":{{\"schema\":{schema},\"name\":\"n\"}}}}}}}},\"messages\":[]}}"
            )
        };
        let prepared = prepare(body(r#""{\"type\":\"object\"}""#).as_bytes()).unwrap();
        assert_eq!(String::from_utf8(prepared).unwrap(), body(r#"{"type":"object"}"#));
        for kept in [r#""no JSON""#, r#""{\"type\"""#, "{}", "7"] {
            assert_eq!(prepare(body(kept).as_bytes()), None, "{kept}");
        }
        assert_eq!(prepare(b"{}"), None);
    }
}
