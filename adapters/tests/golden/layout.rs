//! How JSON and streams are laid out in the files under `to/`: values keep their order and their spelling.

use faregate_adapters::{check::stream::read_all, dialect::Form};
use faregate_wire::Json;

/// A JSON text over several lines.
pub(crate) fn lines(json: &[u8]) -> String {
    let value =
        Json::new(json).filter(|_| serde_json::from_slice::<serde_json::Value>(json).is_ok());
    let Some(value) = value else { panic!("no JSON: {}", json.escape_ascii()) };
    let mut out = String::new();
    lay(&mut out, value, 0);
    out.push('\n');
    out
}

/// A stream, one event a line: its name, if it has one, and its data.
pub(crate) fn stream(form: Form, stream: &[u8]) -> String {
    let line = |(name, data): (Vec<u8>, Vec<u8>)| {
        let name = String::from_utf8(name).unwrap();
        format!("{name} {}\n", String::from_utf8(data).unwrap()).trim_start().to_owned()
    };
    read_all(form, stream).into_iter().map(line).collect()
}

fn lay(out: &mut String, value: Json<'_>, depth: usize) {
    let is_short = value.raw().len() <= 60 && !value.raw().contains(&b'\n');
    if is_short || !(value.is_object() || value.is_array()) {
        out.push_str(std::str::from_utf8(value.raw()).unwrap());
        return;
    }
    let open = if value.is_object() { ['{', '}'] } else { ['[', ']'] };
    out.push(open[0]);
    let break_line = |out: &mut String, is_first: bool| {
        out.push_str(if is_first { "\n" } else { ",\n" });
        out.push_str(&"  ".repeat(depth + 1));
    };
    if value.is_object() {
        for (at, (name, member)) in value.members().enumerate() {
            break_line(out, at == 0);
            out.push_str(&serde_json::to_string(&*name).unwrap());
            out.push_str(": ");
            lay(out, member, depth + 1);
        }
    } else {
        for (at, item) in value.items().enumerate() {
            break_line(out, at == 0);
            lay(out, item, depth + 1);
        }
    }
    out.push('\n');
    out.push_str(&"  ".repeat(depth));
    out.push(open[1]);
}
