//! What is asked and what is answered, the same for every dialect.
//!
//! In: a [`Question`], as a dialect has read it, and the script. Out: a [`Plan`], which the dialect
//! writes down in its own way. The last user turn steers it: `call NAME` and `call A and B` call
//! tools, `call NAME with {"a": 1}` says with what, `refuse me` refuses, `short please` stops at the limit, a tool's result is quoted, images
//! are named by their type.

use serde_json::{Map, Value};

use super::marked::End;
use super::sample::sample;
use crate::provider::prefix::{self, PrefixCache};
use crate::provider::script::Script;
use crate::provider::stored::Stay;
use crate::provider::text;

/// Words of a thought.
const THOUGHT_WORDS: u64 = 8;

/// A request, as far as the answer depends on it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Question {
    pub(crate) model: String,
    pub(crate) stream: bool,
    pub(crate) tokens_max: Option<u64>,
    /// What the last user turn says.
    pub(crate) said: String,
    /// The results of tools in it.
    pub(crate) results: Vec<String>,
    /// The types of images, documents and sounds in it.
    pub(crate) media: Vec<String>,
    pub(crate) tools: Vec<Tool>,
    pub(crate) choice: Choice,
    /// At most one call at a time.
    pub(crate) single: bool,
    /// The schema the answer must fit.
    pub(crate) schema: Option<Value>,
    /// Thoughts are wanted.
    pub(crate) thinks: bool,
    /// Places from which on the prompt may be cached.
    pub(crate) marks: usize,
    /// Everything that is read before the answer, tools first.
    pub(crate) prompt: Vec<u8>,
    /// Where its blocks end, in dialects whose marks say what is cached.
    pub(crate) ends: Vec<End>,
    /// Whether and how the answer is kept, where the dialect keeps any.
    pub(crate) stay: Stay,
}

/// A tool on offer.
#[derive(Debug, Clone)]
pub(crate) struct Tool {
    pub(crate) name: String,
    pub(crate) schema: Value,
}

/// Whether tools are to be called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) enum Choice {
    /// As the text says.
    #[default]
    Auto,
    /// Never.
    None,
    /// At least one.
    Any,
    /// This one.
    Named(String),
}

/// An answer before it is written down.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    pub(crate) thought: Option<String>,
    pub(crate) text: String,
    pub(crate) calls: Vec<Call>,
    pub(crate) finish: Finish,
    pub(crate) used: Spent,
    /// Unlike that of any other answer.
    pub(crate) serial: u64,
}

/// One call of a tool.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) arguments: Value,
    /// Letters and digits that identify it.
    pub(crate) id: String,
}

/// Why an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Finish {
    Stop,
    Length,
    Calls,
    Refusal,
}

/// Tokens, in classes that do not overlap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Spent {
    /// Read anew.
    pub(crate) fresh: u64,
    /// Known from the cache.
    pub(crate) cached: u64,
    /// Put into the cache.
    pub(crate) written: u64,
    /// Written, without thoughts.
    pub(crate) answer: u64,
    /// Thoughts.
    pub(crate) thought: u64,
}

impl Spent {
    /// All that was read.
    pub(crate) fn input(self) -> u64 {
        self.fresh + self.cached + self.written
    }

    /// All that was written.
    pub(crate) fn output(self) -> u64 {
        self.answer + self.thought
    }
}

impl Question {
    /// Tokens of the prompt.
    pub(crate) fn prompt_tokens(&self) -> u64 {
        (self.prompt.len() as u64).div_ceil(4).max(1)
    }

    /// Looks the prompt up in a cache that keeps everything.
    pub(crate) fn look_up(&self, cache: &mut PrefixCache, script: &Script) -> Spent {
        let all = self.prompt_tokens();
        let known = || cache.visit(&prefix::blocks(&self.prompt));
        let cached = script.cached.unwrap_or_else(known).min(all);
        Spent { fresh: all - cached, cached, ..Spent::default() }
    }

    /// The arguments that the last turn asks for, in its own words.
    fn arguments_said(&self) -> Option<Map<String, Value>> {
        let call = self.said.find("call ")?;
        let with = call + self.said[call..].find(" with {")? + " with ".len();
        let mut values = serde_json::Deserializer::from_str(&self.said[with..]).into_iter();
        values.next()?.ok()
    }

    fn called(&self) -> Vec<&Tool> {
        let find = |name: &str| {
            let same = |tool: &&Tool| plain(&tool.name) == plain(name);
            self.tools.iter().find(|tool| tool.name == name).or(self.tools.iter().find(same))
        };
        let mut named = Vec::new();
        let cut = |letter: char| letter.is_whitespace() || ",;!?\"'`()".contains(letter);
        let mut words = self.said.split(cut).filter(|word| !word.is_empty()).peekable();
        while let Some(word) = words.next() {
            let joins = !named.is_empty() && word == "and";
            if !(word.eq_ignore_ascii_case("call") || joins) {
                continue;
            }
            let name = words.peek().map_or("", |word| word.trim_end_matches(['.', ':']));
            named.extend(find(name));
        }
        let first = || self.tools.first().into_iter().collect();
        let mut called: Vec<&Tool> = match &self.choice {
            Choice::None => Vec::new(),
            Choice::Auto => named,
            Choice::Any if named.is_empty() => first(),
            Choice::Any => named,
            Choice::Named(name) => find(name).into_iter().collect(),
        };
        if self.single {
            called.truncate(1);
        }
        called
    }
}

/// A name as far as gateways leave it alone.
fn plain(name: &str) -> String {
    let letter = |letter: char| if letter.is_ascii_alphanumeric() { letter } else { '_' };
    name.chars().map(letter).collect()
}

impl Plan {
    /// The answer to `question`.
    pub(crate) fn new(question: &Question, script: &Script, mut used: Spent, serial: u64) -> Plan {
        let seed = text::hash(0, &question.prompt);
        let refuses = question.said.contains("refuse me");
        let called = if refuses { Vec::new() } else { question.called() };
        let call = |(index, tool): (usize, &&Tool)| {
            let mut id = Vec::new();
            text::letters(&mut id, text::mix(serial) ^ index as u64, 24);
            let words = text::word(seed, index as u64);
            let mut arguments = sample(&tool.schema, words);
            if !arguments.is_object() {
                arguments = serde_json::json!({});
            }
            if let (0, Some(said), Some(all)) =
                (index, question.arguments_said(), arguments.as_object_mut())
            {
                all.extend(said);
            }
            Call { name: tool.name.clone(), arguments, id: String::from_utf8_lossy(&id).into() }
        };
        let calls: Vec<Call> = called.iter().enumerate().map(call).collect();
        let (text, finish) = match () {
            () if refuses => ("I'm sorry, but I can't help with that.".to_owned(), Finish::Refusal),
            () if !calls.is_empty() => (lead(question, &calls), Finish::Calls),
            () => spoken(question, script, seed),
        };
        let thought = question.thinks.then(|| text::words(seed ^ 1, THOUGHT_WORDS));
        used.thought = thought.as_ref().map_or(0, |_| THOUGHT_WORDS);
        let arguments = calls.iter().map(|call| 8 + call.arguments.to_string().len() as u64 / 4);
        used.answer = text.split_whitespace().count() as u64 + arguments.sum::<u64>();
        Plan { thought, text, calls, finish, used, serial }
    }
}

/// `text` in pieces of one word each, blanks before the words.
pub(crate) fn pieces(text: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let mut start = 0;
    let bytes = text.as_bytes();
    for at in 1..bytes.len() {
        if bytes[at] == b' ' && bytes[at - 1] != b' ' {
            out.push(&text[start..at]);
            start = at;
        }
    }
    if start < text.len() {
        out.push(&text[start..]);
    }
    out
}

/// The text before calls; forced ones have none.
fn lead(question: &Question, calls: &[Call]) -> String {
    if question.choice != Choice::Auto {
        return String::new();
    }
    let names: Vec<&str> = calls.iter().map(|call| call.name.as_str()).collect();
    format!("Let me call {}.", names.join(" and "))
}

fn spoken(question: &Question, script: &Script, seed: u64) -> (String, Finish) {
    let most = question.tokens_max.unwrap_or(u64::MAX);
    let short = question.said.contains("short please");
    let tokens = if short { script.tokens.min(4) } else { script.tokens.min(most) };
    let finish = match short || most < script.tokens {
        true => Finish::Length,
        false => Finish::Stop,
    };
    if let Some(schema) = &question.schema {
        return (sample(schema, text::word(seed, 0)).to_string(), finish);
    }
    let mut text = String::new();
    if !question.results.is_empty() {
        text.push_str(&format!("The tool said: {}. ", question.results.join(", ")));
    }
    if !question.media.is_empty() {
        text.push_str(&format!("I see {}. ", question.media.join(" and ")));
    }
    match script.bytes {
        Some(bytes) => text.push_str(&text::words_of_bytes(seed, bytes).0),
        None => text.push_str(&text::words(seed, tokens)),
    }
    (text, finish)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn question(said: &str) -> Question {
        let tool = |name: &str| Tool {
            name: name.into(),
            schema: json!({"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}),
        };
        let tools = vec![tool("get_weather"), tool("find")];
        Question { said: said.into(), tools, ..Question::default() }
    }

    fn plan(question: &Question) -> Plan {
        Plan::new(question, &Script::default(), Spent::default(), 1)
    }

    fn names(question: &Question) -> Vec<String> {
        plan(question).calls.into_iter().map(|call| call.name).collect()
    }

    #[test]
    fn the_last_turn_says_what_is_called() {
        assert!(names(&question("hello, phone calls and find")).is_empty());
        assert_eq!(names(&question("please call find.")), ["find"]);
        assert_eq!(names(&question("call get.weather and find now")), ["get_weather", "find"]);
        let single = Question { single: true, ..question("call find and get_weather") };
        assert_eq!(names(&single), ["find"]);
        let named = Question { choice: Choice::Named("find".into()), ..question("hi") };
        assert_eq!(names(&named), ["find"]);
        assert_eq!(names(&Question { choice: Choice::Any, ..question("hi") }), ["get_weather"]);
        let none = Question { choice: Choice::None, ..question("call find") };
        assert!(names(&none).is_empty());
        let plan = plan(&question("call find"));
        assert_eq!((plan.finish, plan.text.as_str()), (Finish::Calls, "Let me call find."));
        assert!(plan.calls[0].arguments["q"].is_string());
    }

    #[test]
    fn the_last_turn_says_with_what_a_tool_is_called() {
        let plan = plan(&question("now call find with {\"q\": \"a b\", \"n\": 1}, please"));
        assert_eq!(plan.calls[0].arguments, json!({"q": "a b", "n": 1}));
        assert_eq!(names(&question("call find with {broken")), ["find"]);
    }

    #[test]
    fn the_last_turn_says_how_it_ends() {
        assert_eq!(plan(&question("refuse me")).finish, Finish::Refusal);
        assert_eq!(plan(&question("short please")).finish, Finish::Length);
        let limited = Question { tokens_max: Some(3), ..question("hi") };
        assert_eq!((plan(&limited).finish, plan(&limited).used.answer), (Finish::Length, 3));
        assert_eq!(plan(&question("hi")).finish, Finish::Stop);
    }

    #[test]
    fn results_media_and_schemas_shape_the_text() {
        let result = Question { results: vec!["21 C".into()], ..question("") };
        assert!(plan(&result).text.starts_with("The tool said: 21 C. "));
        let image = Question { media: vec!["image/png".into()], ..question("") };
        assert!(plan(&image).text.starts_with("I see image/png. "));
        let schema = json!({"type": "object", "properties": {"a": {"type": "integer"}}});
        let shaped = Question { schema: Some(schema), ..question("") };
        assert_eq!(plan(&shaped).text, r#"{"a":7}"#);
    }

    #[test]
    fn pieces_make_up_the_text() {
        let text = "  a bc  d e\u{2028}f ";
        assert_eq!(pieces(text).concat(), text);
        assert!(pieces("").is_empty());
    }
}
