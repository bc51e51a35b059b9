//! A value that fits a JSON schema, or Gemini's form of one.
//!
//! In: a schema. Out: a value with the members it requires. What it knows is what schemas of tools
//! use: types, enums, constants, references into the same schema, alternatives, least sizes.

use serde_json::{Map, Value, json};

/// How deep a value may become; schemas may refer to themselves.
const DEPTH_MAX: usize = 16;

/// A value that fits `schema`; `words` is the text of its strings.
pub(crate) fn sample(schema: &Value, words: &str) -> Value {
    Sampler { root: schema, words }.value(schema, 0)
}

struct Sampler<'a> {
    root: &'a Value,
    words: &'a str,
}

impl Sampler<'_> {
    fn value(&self, schema: &Value, depth: usize) -> Value {
        if depth > DEPTH_MAX {
            return Value::Null;
        }
        if let Some(constant) = schema.get("const") {
            return constant.clone();
        }
        if let Some(first) = schema.pointer("/enum/0") {
            return first.clone();
        }
        if let Some(target) = schema.get("$ref").or(schema.get("ref")).and_then(Value::as_str) {
            let found = self.root.pointer(target.trim_start_matches('#'));
            return found.map_or(Value::Null, |found| self.value(found, depth + 1));
        }
        for key in ["anyOf", "any_of", "oneOf", "allOf"] {
            if let Some(first) = schema.get(key).and_then(|list| list.get(0)) {
                return self.value(first, depth + 1);
            }
        }
        self.of_type(schema, depth)
    }

    fn of_type(&self, schema: &Value, depth: usize) -> Value {
        let named = schema.get("type").and_then(|kind| kind.as_str().or(kind[0].as_str()));
        let kind = match named {
            Some(kind) => kind.to_ascii_lowercase(),
            None if schema.get("properties").is_some() => "object".to_owned(),
            None => String::new(),
        };
        let least = |name: &str, other: u64| {
            let value = schema.get(name);
            let text = value.and_then(Value::as_str).and_then(|text| text.parse().ok());
            value.and_then(Value::as_u64).or(text).unwrap_or(other)
        };
        match kind.as_str() {
            "object" => self.object(schema, depth),
            "array" => {
                let items = schema.get("items").unwrap_or(&Value::Null);
                (0..least("minItems", 1)).map(|_| self.value(items, depth + 1)).collect()
            }
            "integer" => schema.get("minimum").cloned().unwrap_or(json!(7)),
            "number" => schema.get("minimum").cloned().unwrap_or(json!(1.5)),
            "boolean" => json!(true),
            "null" => Value::Null,
            _ => {
                let missing = least("minLength", 0).saturating_sub(self.words.len() as u64);
                let missing = usize::try_from(missing).unwrap_or(0);
                json!(format!("{}{}", self.words, "x".repeat(missing)))
            }
        }
    }

    fn object(&self, schema: &Value, depth: usize) -> Value {
        let nothing = Map::new();
        let known = schema.get("properties").and_then(Value::as_object).unwrap_or(&nothing);
        let required: Vec<&str> = match schema.get("required").and_then(Value::as_array) {
            Some(list) => list.iter().filter_map(Value::as_str).collect(),
            None => known.keys().map(String::as_str).take(1).collect(),
        };
        let member = |name: &&str| {
            let schema = known.get(*name).unwrap_or(&Value::Null);
            ((*name).to_owned(), self.value(schema, depth + 1))
        };
        required.iter().map(member).collect::<Map<_, _>>().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_what_the_schema_requires() {
        let schema = json!({
            "type": "object",
            "properties": {
                "city": {"type": "string", "minLength": 8},
                "unit": {"enum": ["c", "f"]},
                "days": {"type": "array", "items": {"$ref": "#/$defs/day"}, "minItems": 2},
                "other": {"type": "string"},
            },
            "required": ["city", "unit", "days"],
            "$defs": {"day": {"type": ["integer", "null"], "minimum": 3}},
        });
        let expected = json!({"city": "Parisxxx", "unit": "c", "days": [3, 3]});
        assert_eq!(sample(&schema, "Paris"), expected);
    }

    #[test]
    fn a_schema_in_capitals_or_without_requirements_is_sampled_too() {
        let schema = json!({"type": "OBJECT", "properties": {"on": {"type": "BOOLEAN"}}});
        assert_eq!(sample(&schema, ""), json!({"on": true}));
        assert_eq!(sample(&json!({"type": "object"}), ""), json!({}));
        let endless = json!({"$ref": "#"});
        assert_eq!(sample(&endless, ""), Value::Null);
    }
}
