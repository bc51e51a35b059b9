//! The list of models, as `GET /v1/models` gives it to clients of this dialect.

use faregate_wire::JsonWriter;

use crate::auth::Seconds;

/// A model in the list.
#[derive(Clone, Copy, Debug)]
pub struct Model<'a> {
    /// What requests call it.
    pub id: &'a str,
    /// What people call it.
    pub display_name: &'a str,
    /// When it was made, in seconds since 1970.
    pub created: u64,
}

/// Appends the body of `GET /models`: all of `models` on one page.
pub fn write_models<'a>(out: &mut Vec<u8>, models: impl Iterator<Item = Model<'a>>) {
    let (mut first, mut last) = (None, None);
    let mut json = JsonWriter::new(out);
    json.object().name("data").array();
    for model in models {
        first = first.or(Some(model.id));
        last = Some(model.id);
        write(&mut json, &model);
    }
    json.end().member_bool("has_more", false);
    for (name, id) in [("first_id", first), ("last_id", last)] {
        match id {
            Some(id) => json.member_str(name, id),
            None => json.name(name).null(),
        };
    }
    json.end();
}

/// Appends the body of `GET /models/{model}`.
pub fn write_model(out: &mut Vec<u8>, model: &Model<'_>) {
    write(&mut JsonWriter::new(out), model);
}

fn write(json: &mut JsonWriter<'_>, model: &Model<'_>) {
    json.object().member_str("type", "model").member_str("id", model.id);
    json.member_str("display_name", model.display_name);
    json.member_str("created_at", &Seconds(model.created).extended()).end();
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn models_are_listed() {
        let model = Model { id: "claude-x", display_name: "Claude \"X\"", created: 1_795_507_750 };
        let other = Model { id: "b", ..model };
        let mut out = Vec::new();
        write_models(&mut out, [model, other].into_iter());
        let read: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            read["data"][0],
            json!({"type": "model", "id": "claude-x", "display_name": "Claude \"X\"",
                "created_at": "2026-11-24T08:09:10Z"})
        );
        assert_eq!((&read["first_id"], &read["last_id"]), (&json!("claude-x"), &json!("b")));
        out.clear();
        write_models(&mut out, std::iter::empty());
        assert_eq!(out, br#"{"data":[],"has_more":false,"first_id":null,"last_id":null}"#);
    }

    #[test]
    fn dates_are_right() {
        for (seconds, expected) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_164_799, "2024-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(Seconds(seconds).extended(), expected);
        }
    }
}
