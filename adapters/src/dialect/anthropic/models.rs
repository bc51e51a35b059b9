//! The list of models, as `GET /v1/models` gives it to clients of this dialect.

use faregate_wire::JsonWriter;

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
    json.member_str("created_at", &rfc3339(model.created)).end();
}

/// `2026-11-24T08:09:10Z`
fn rfc3339(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The date that is so many days after 1970 began, by eras of 400 years that begin in March.
const fn date(days: u64) -> (u64, u64, u64) {
    let days = days.saturating_add(719_468);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400;
    (if month <= 2 { year + 1 } else { year }, month, day)
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
            assert_eq!(rfc3339(seconds), expected);
        }
    }
}
