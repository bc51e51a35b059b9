//! Custom tools, lowered to functions for dialects that have none.
//!
//! A custom tool is called with free text. Where a dialect only has functions, the tool becomes one of a single text,
//! `{"input":"…"}`, in the request and in earlier calls; in the answer that text is taken out of the arguments again, as
//! they come. State between deltas: the calls that are open, and an escape that a fragment has cut.

use std::borrow::Cow;

use faregate_wire::{Json, quote};

use super::{Delta, PartBody, Request, Tool, ToolKind};

const PARAMETERS: &[u8] = br#"{"type":"object","properties":{"input":{"type":"string","description":"The input of the tool, as plain text."}},"required":["input"],"additionalProperties":false}"#;

/// The custom tools of one request that became functions.
#[derive(Clone, Debug, Default)]
pub struct Customs {
    names: Vec<String>,
    open: Vec<Open>,
}

/// A call whose arguments are coming.
#[derive(Clone, Debug)]
struct Open {
    choice: u32,
    call: u32,
    text: Text,
}

/// Takes the text out of `{"input":"…"}`.
#[derive(Clone, Debug, Default)]
struct Text {
    place: Place,
    /// The beginning of an escape; of a surrogate pair up to twelve bytes.
    escape: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Nothing has come.
    #[default]
    Start,
    /// Before the text: so many quotes have come.
    Head(u8),
    Inside,
    /// Behind the text.
    Behind,
    /// The model wrote the text itself.
    Plain,
}

impl Customs {
    /// Makes functions of the custom tools in `request`, and of earlier calls of such tools.
    pub fn lower(request: &mut Request<'_>) -> Self {
        let mut customs = Self::default();
        for tool in request.tools.iter_mut().filter(|tool| tool.kind == ToolKind::Custom) {
            customs.names.push(tool.name.clone().into_owned());
            lower_tool(tool);
        }
        for part in request.messages.iter_mut().flat_map(|message| &mut message.parts) {
            if let PartBody::ToolCall { arguments, kind: kind @ ToolKind::Custom, .. } =
                &mut part.body
            {
                let mut object = b"{\"input\":".to_vec();
                quote(&mut object, arguments);
                object.push(b'}');
                *arguments = Cow::Owned(String::from_utf8_lossy(&object).into_owned());
                *kind = ToolKind::Function;
            }
        }
        customs
    }

    /// Makes calls of custom tools of what `delta` says, by the client's names; `None` when nothing is left to say.
    pub fn restore<'a>(&mut self, delta: Delta<'a>) -> Option<Delta<'a>> {
        match delta {
            Delta::ToolStart { choice, call, id, name, signature, .. }
                if self.names.iter().any(|known| *known == name) =>
            {
                self.open.push(Open { choice, call, text: Text::default() });
                Some(Delta::ToolStart { choice, call, id, name, custom: true, signature })
            }
            Delta::ToolArguments { choice, call, fragment } => {
                let is_this = |open: &&mut Open| open.choice == choice && open.call == call;
                let fragment = match self.open.iter_mut().find(is_this) {
                    Some(open) => Cow::Owned(open.text.take(&fragment)),
                    None => fragment,
                };
                (!fragment.is_empty()).then_some(Delta::ToolArguments { choice, call, fragment })
            }
            other => Some(other),
        }
    }
}

fn lower_tool(tool: &mut Tool<'_>) {
    let format = tool.parameters.and_then(|format| match format.get("grammar") {
        Some(grammar) => Some(grammar),
        None => format.get("definition").map(|_| format),
    });
    let grammar = format.and_then(|format| format.get_str("definition"));
    if let Some(grammar) = grammar {
        let syntax = format.and_then(|format| format.get_str("syntax")).unwrap_or_default();
        let description = tool.description.take().unwrap_or_default();
        tool.description = Some(Cow::Owned(format!(
            "{description}\n\nThe input follows this grammar ({syntax}):\n{grammar}"
        )));
    }
    tool.kind = ToolKind::Function;
    tool.parameters = Json::new(PARAMETERS);
    tool.strict = None;
}

impl Text {
    /// What a fragment adds to the text.
    fn take(&mut self, fragment: &str) -> String {
        let mut text = String::with_capacity(fragment.len());
        for character in fragment.chars() {
            match self.place {
                Place::Start if character.is_whitespace() => {}
                Place::Start if character == '{' => self.place = Place::Head(0),
                Place::Start | Place::Plain => {
                    self.place = Place::Plain;
                    text.push(character);
                }
                Place::Head(2) if character == '"' => self.place = Place::Inside,
                Place::Head(quotes) if character == '"' => self.place = Place::Head(quotes + 1),
                Place::Head(_) | Place::Behind => {}
                Place::Inside => self.inside(character, &mut text),
            }
        }
        text
    }

    fn inside(&mut self, character: char, text: &mut String) {
        match (self.escape.is_empty(), character) {
            (true, '"') => self.place = Place::Behind,
            (true, '\\') => self.escape.push(character),
            (true, _) => text.push(character),
            (false, _) => {
                self.escape.push(character);
                self.settle(text);
            }
        }
    }

    /// Decodes the escape once it is whole. Half of a pair waits for the other half.
    fn settle(&mut self, text: &mut String) {
        let is_whole = match self.escape.as_bytes() {
            [_, b'u', digits @ ..] if digits.len() < 4 => false,
            [_, b'u', b'd' | b'D', b'8' | b'9' | b'a' | b'b' | b'A' | b'B', _, _, rest @ ..] => {
                let may_go_on = matches!(rest, [] | [b'\\'] | [b'\\', b'u', ..]);
                !may_go_on || rest.len() >= 6
            }
            _ => true,
        };
        if !is_whole {
            // The first half alone goes on with whatever comes next, so that the text may end behind it too.
            return;
        }
        let literal = format!("\"{}\"", self.escape);
        match Json::new(literal.as_bytes()).and_then(Json::str) {
            Some(decoded) => text.push_str(&decoded),
            // The quote behind half of a pair, which ends the text.
            None => {
                text.push(char::REPLACEMENT_CHARACTER);
                self.place = Place::Behind;
            }
        }
        self.escape.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text in these arguments, however they are cut.
    fn check(arguments: &str, expected: &str) {
        for len in 1..=arguments.len() {
            let mut text = Text::default();
            let characters: Vec<char> = arguments.chars().collect();
            let pieces = characters.chunks(len).map(|piece| piece.iter().collect::<String>());
            let taken: String = pieces.map(|piece| text.take(&piece)).collect();
            assert_eq!(taken, expected, "{arguments} in pieces of {len}");
        }
    }

    #[test]
    fn the_text_is_taken_out_of_the_arguments() {
        check(r#"{"input":"*** Begin\n\"a\"\\ \u00e9\ud83d\ude00ü"}"#, "*** Begin\n\"a\"\\ é😀ü");
        check("{ \"input\" : \"\" }", "");
        check(r#" {"input":"a","more":"b"}"#, "a");
        check("plain \"text\" {}", "plain \"text\" {}");
        check(r#"{"input":"a\ud83d"}"#, "a\u{fffd}");
        check(r#"{"input":"\ud83d\n"}"#, "\u{fffd}\n");
    }

    #[test]
    fn requests_are_lowered_and_calls_restored() {
        let format = br#"{"type":"grammar","syntax":"lark","definition":"start: x"}"#;
        let mut request = Request {
            tools: vec![Tool {
                kind: ToolKind::Custom,
                name: "patch".into(),
                description: Some("Edits.".into()),
                parameters: Json::new(format),
                strict: None,
                cache: None,
            }],
            messages: vec![super::super::Message {
                parts: vec![super::super::Part::new(PartBody::ToolCall {
                    id: "c".into(),
                    name: "patch".into(),
                    arguments: "a\n\"b\"".into(),
                    kind: ToolKind::Custom,
                    signature: None,
                })],
                ..super::super::Message::default()
            }],
            ..Request::default()
        };
        let mut customs = Customs::lower(&mut request);
        assert_eq!(request.tools[0].kind, ToolKind::Function);
        assert!(request.tools[0].description.as_deref().unwrap().ends_with("(lark):\nstart: x"));
        let PartBody::ToolCall { arguments, kind: ToolKind::Function, .. } =
            &request.messages[0].parts[0].body
        else {
            panic!("a function")
        };
        assert_eq!(arguments, "{\"input\":\"a\\n\\\"b\\\"\"}");
        let start = |call, name: &'static str| Delta::ToolStart {
            choice: 0,
            call,
            id: "c".into(),
            name: name.into(),
            custom: false,
            signature: None,
        };
        let arguments = |call, fragment: &'static str| Delta::ToolArguments {
            choice: 0,
            call,
            fragment: fragment.into(),
        };
        let mut shown = |delta| format!("{:?}", customs.restore(delta));
        assert!(shown(start(0, "patch")).contains("custom: true"));
        assert!(shown(start(1, "other")).contains("custom: false"));
        assert_eq!(shown(arguments(0, "{\"input\"")), "None");
        assert!(shown(arguments(0, ":\"x")).contains("fragment: \"x\""));
        assert!(shown(arguments(1, "{\"input\"")).contains("input"));
    }
}
