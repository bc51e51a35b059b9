//! The calls of one answer, told apart whatever a provider's fragments lack.
//!
//! In: fragments, as the provider numbers and names them. Out: [`Delta::ToolStart`] and [`Delta::ToolArguments`], numbered
//! from 0 without gaps. State: what is known of each call so far; arguments only while the name is still to come.
//!
//! OpenAI gives each call an index, and id and name in its first fragment alone. Others repeat id and name in every
//! fragment, give all calls the index 0, or no index; give no id; or send arguments before the name. A fragment
//! begins a new call when it has a name and either an id or a name of its own, or when the call that it would belong to
//! had whole arguments at once.

use std::borrow::Cow;

use faregate_wire::{Json, Scanner};

use crate::{chat::Delta, dialect::BadAnswer};

/// The most calls in one answer.
const CALLS_MAX: usize = 1024;

/// The most bytes of arguments that are kept until their call has a name.
const HELD_BYTES_MAX: usize = 64 * 1024;

/// Where deltas go.
pub(super) type Sink<'s> = &'s mut dyn FnMut(Delta<'_>);

/// The calls of one choice so far.
#[derive(Debug, Default)]
pub(super) struct Calls {
    calls: Vec<Call>,
    /// How many of them have begun.
    begun: u32,
}

#[derive(Debug, Default)]
struct Call {
    index: Option<u64>,
    /// Empty when the provider gave none.
    id: String,
    /// Empty until it is known.
    name: String,
    is_custom: bool,
    /// Which call of the answer it is, once it has begun.
    number: Option<u32>,
    /// Its arguments came at once, so that nothing can follow.
    is_whole: bool,
    has_arguments: bool,
    /// Arguments that came before the name.
    held: String,
}

/// Of what answer, and what ids are made of where there are none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Of {
    pub(super) choice: u32,
    pub(super) seed: u64,
}

/// A piece of a call.
#[derive(Debug, Default)]
pub(super) struct Fragment<'a> {
    index: Option<u64>,
    id: Cow<'a, str>,
    name: Cow<'a, str>,
    arguments: Cow<'a, str>,
    is_custom: bool,
    signature: Option<Cow<'a, str>>,
}

impl<'a> Fragment<'a> {
    /// Reads an item of `tool_calls`, or a legacy `function_call`.
    pub(super) fn read(item: Json<'a>) -> Self {
        let mut read = Self::default();
        read.members(item);
        read
    }

    fn members(&mut self, item: Json<'a>) {
        for (name, value) in item.members().filter(|(_, value)| !value.is_null()) {
            match &*name {
                "index" => self.index = value.u64(),
                "id" => self.id = value.str().unwrap_or_default(),
                "function" => self.members(value),
                "custom" => {
                    self.is_custom = true;
                    self.members(value);
                }
                "name" => self.name = value.str().unwrap_or_default(),
                "arguments" | "input" => {
                    self.arguments =
                        value.str().unwrap_or_else(|| String::from_utf8_lossy(value.raw()));
                }
                "extra_content" => {
                    self.signature = value.at(&["google", "thought_signature"]).and_then(Json::str);
                }
                _ => {}
            }
        }
    }

    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Signs the call, unless it is.
    pub(super) fn sign(&mut self, signature: Cow<'a, str>) {
        self.signature.get_or_insert(signature);
    }
}

impl Calls {
    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Takes in a fragment. In a whole answer every one is a call of its own.
    pub(super) fn take(
        &mut self,
        of: Of,
        fragment: Fragment<'_>,
        is_whole_answer: bool,
        sink: Sink<'_>,
    ) -> Result<(), BadAnswer> {
        let known = if is_whole_answer { None } else { self.place(&fragment) };
        let place = known.unwrap_or(self.calls.len());
        if known.is_none() {
            if place == CALLS_MAX {
                return Err(BadAnswer);
            }
            self.calls.push(Call { index: fragment.index, ..Call::default() });
        }
        match self.calls.get_mut(place) {
            Some(call) => call.take(of, &mut self.begun, fragment, sink),
            None => Err(BadAnswer),
        }
    }

    /// Nothing more comes: calls without a name begin after all, and calls without arguments get an empty object.
    pub(super) fn finish(&mut self, of: Of, sink: Sink<'_>) {
        for call in &mut self.calls {
            let number = call.start(of, &mut self.begun, None, sink);
            if !call.has_arguments && !call.is_custom {
                call.has_arguments = true;
                let fragment = Cow::Borrowed("{}");
                sink(Delta::ToolArguments { choice: of.choice, call: number, fragment });
            }
        }
    }

    /// The call that a fragment belongs to; `None` when it begins a new one.
    fn place(&self, fragment: &Fragment<'_>) -> Option<usize> {
        let last = self.calls.len().checked_sub(1);
        let is_named = !fragment.name.is_empty();
        let known = match fragment.index {
            Some(index) => self.calls.iter().rposition(|call| call.index == Some(index)),
            None if fragment.id.is_empty() => last,
            None => {
                let same = self.calls.iter().rposition(|call| call.id == *fragment.id);
                same.or(if is_named { None } else { last })
            }
        }?;
        let call = self.calls.get(known)?;
        let has_other_id =
            !fragment.id.is_empty() && !call.id.is_empty() && *fragment.id != call.id;
        let has_other_name = fragment.id.is_empty() && *fragment.name != call.name;
        let is_behind_whole = fragment.id.is_empty() && call.is_whole;
        let begins = call.number.is_some()
            && is_named
            && (has_other_id || has_other_name || is_behind_whole);
        (!begins).then_some(known)
    }
}

impl Call {
    fn take(
        &mut self,
        of: Of,
        begun: &mut u32,
        fragment: Fragment<'_>,
        sink: Sink<'_>,
    ) -> Result<(), BadAnswer> {
        if self.id.is_empty() {
            self.id.push_str(&fragment.id);
        }
        if self.number.is_none() && !fragment.name.is_empty() {
            self.name.push_str(&fragment.name);
            self.is_custom = fragment.is_custom;
            self.is_whole = is_whole(&fragment.arguments);
            self.start(of, begun, fragment.signature, sink);
        }
        if fragment.arguments.is_empty() {
            return Ok(());
        }
        if let Some(number) = self.number {
            self.has_arguments = true;
            let fragment = fragment.arguments;
            sink(Delta::ToolArguments { choice: of.choice, call: number, fragment });
            return Ok(());
        }
        self.held.push_str(&fragment.arguments);
        if self.held.len() > HELD_BYTES_MAX { Err(BadAnswer) } else { Ok(()) }
    }

    /// Begins the call unless it has, and gives its number: calls without a name may begin behind later ones.
    fn start(
        &mut self,
        of: Of,
        begun: &mut u32,
        signature: Option<Cow<'_, str>>,
        sink: Sink<'_>,
    ) -> u32 {
        if let Some(number) = self.number {
            return number;
        }
        let number = *begun;
        *begun += 1;
        self.number = Some(number);
        let id = match &*self.id {
            "" => Cow::Owned(format!("call_{:016x}_{}_{number}", of.seed, of.choice)),
            id => Cow::Borrowed(id),
        };
        sink(Delta::ToolStart {
            choice: of.choice,
            call: number,
            id,
            name: Cow::Borrowed(&self.name),
            custom: self.is_custom,
            signature,
        });
        if !self.held.is_empty() {
            self.has_arguments = true;
            let fragment = Cow::Owned(std::mem::take(&mut self.held));
            sink(Delta::ToolArguments { choice: of.choice, call: number, fragment });
        }
        number
    }
}

fn is_whole(arguments: &str) -> bool {
    arguments.ends_with('}') && Scanner::new(&[]).finish(arguments.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The calls that fragments make: `id name arguments`, joined by ` | `.
    fn check(fragments: &[&str], expected: &str) {
        let mut calls = Calls::default();
        let mut shown: Vec<String> = Vec::new();
        let of = Of { choice: 0, seed: 1 };
        let mut sink = |delta: Delta<'_>| match delta {
            Delta::ToolStart { call, id, name, .. } => {
                assert_eq!(call as usize, shown.len(), "no gaps");
                shown.push(format!("{id} {name} "));
            }
            Delta::ToolArguments { call, fragment, .. } => {
                assert!(!fragment.is_empty());
                shown[call as usize].push_str(&fragment);
            }
            other => panic!("{other:?}"),
        };
        for fragment in fragments {
            let json = Json::new(fragment.as_bytes()).unwrap();
            calls.take(of, Fragment::read(json), false, &mut sink).unwrap();
        }
        calls.finish(of, &mut sink);
        assert_eq!(shown.join(" | "), expected, "{fragments:?}");
    }

    #[test]
    fn openais_own_fragments() {
        check(
            &[
                r#"{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}"#,
                r#"{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":""}}"#,
                r#"{"index":0,"function":{"arguments":"{\"x\""}}"#,
                r#"{"index":1,"function":{"arguments":"{}"}}"#,
                r#"{"index":0,"function":{"arguments":":1}"}}"#,
            ],
            r#"a f {"x":1} | b g {}"#,
        );
        check(
            &[
                r#"{"index":0,"id":"a","type":"custom","custom":{"name":"f","input":""}}"#,
                r#"{"index":0,"custom":{"input":"print(1)"}}"#,
            ],
            "a f print(1)",
        );
    }

    #[test]
    fn calls_are_numbered_as_they_begin() {
        check(
            &[
                r#"{"index":0,"id":"a","function":{"arguments":"{}"}}"#,
                r#"{"index":1,"id":"b","function":{"name":"g","arguments":""}}"#,
                r#"{"index":1,"function":{"arguments":"{\"x\":1}"}}"#,
            ],
            r#"b g {"x":1} | a  {}"#,
        );
    }

    #[test]
    fn ids_and_names_that_are_repeated() {
        check(
            &[
                r#"{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\""}}"#,
                r#"{"index":0,"id":"a","function":{"name":"f","arguments":":1}"}}"#,
                r#"{"index":1,"id":"b","function":{"name":"f","arguments":"{}"}}"#,
            ],
            r#"a f {"x":1} | b f {}"#,
        );
        check(
            &[
                r#"{"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\""}}"#,
                r#"{"index":0,"id":"z","function":{"name":"","arguments":":1}"}}"#,
                r#"{"index":0,"id":"y","function":{"name":null,"arguments":""}}"#,
            ],
            r#"a f {"x":1}"#,
        );
    }

    #[test]
    fn indices_that_are_all_the_same_or_missing() {
        let expected = r#"a f {"x":1} | b f {} | c g {}"#;
        for index in [r#""index":0,"#, ""] {
            let call = |id: &str, name: &str, arguments: &str| {
                format!(
                    r#"{{{index}"id":"{id}","function":{{"name":"{name}","arguments":"{arguments}"}}}}"#
                )
            };
            let calls =
                [call("a", "f", r#"{\"x\":1}"#), call("b", "f", "{}"), call("c", "g", "{}")];
            check(&calls.iter().map(|call| &**call).collect::<Vec<_>>(), expected);
        }
        check(
            &[
                r#"{"id":"a","function":{"name":"f","arguments":"{"}}"#,
                r#"{"function":{"arguments":"\"x\":1"}}"#,
                r#"{"id":"a","function":{"arguments":"}"}}"#,
            ],
            r#"a f {"x":1}"#,
        );
    }

    #[test]
    fn indices_with_gaps() {
        check(
            &[
                r#"{"index":1,"id":"a","function":{"name":"f","arguments":"{}"}}"#,
                r#"{"index":5,"id":"b","function":{"name":"g","arguments":"{}"}}"#,
            ],
            "a f {} | b g {}",
        );
    }

    #[test]
    fn calls_without_ids() {
        check(
            &[
                r#"{"function":{"name":"f","arguments":{"x":1}}}"#,
                r#"{"function":{"name":"f","arguments":{"x":2}}}"#,
                r#"{"function":{"name":"g","arguments":{}}}"#,
            ],
            r#"call_0000000000000001_0_0 f {"x":1} | call_0000000000000001_0_1 f {"x":2} | call_0000000000000001_0_2 g {}"#,
        );
        check(
            &[r#"{"name":"f","arguments":"{\"x\""}"#, r#"{"arguments":":1}"}"#],
            r#"call_0000000000000001_0_0 f {"x":1}"#,
        );
    }

    #[test]
    fn arguments_that_come_before_the_name_or_never() {
        check(
            &[
                r#"{"index":0,"id":"a","function":{"arguments":"{\"x\":"}}"#,
                r#"{"index":0,"function":{"name":"f","arguments":"1}"}}"#,
                r#"{"index":1,"id":"b","function":{"name":"g","arguments":null}}"#,
            ],
            r#"a f {"x":1} | b g {}"#,
        );
    }
}
