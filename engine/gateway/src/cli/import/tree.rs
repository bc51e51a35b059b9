//! A YAML or JSON file as a tree whose nodes know their line and whether anybody has read them.
//!
//! In: text. Out: a [`Node`]. State between calls: none. What nobody has read at the end was not carried, and is said.
//! Sizes are bounded: bytes, depth, and nodes after aliases are written out, so that a small file cannot become a large one.
//! Formats: <https://yaml.org/spec/1.2.2/>, <https://www.rfc-editor.org/rfc/rfc8259>

use std::{borrow::Cow, cell::Cell};

use hashbrown::{HashMap, HashSet};
use yaml_rust2::{
    Event,
    parser::Parser,
    scanner::{ScanError, TScalarStyle},
};

/// Bytes of a file.
pub(super) const FILE_BYTES_MAX: usize = 8 << 20;

/// Nodes of a tree, aliases written out.
const NODES_MAX: usize = 200_000;

/// Levels of a tree.
const DEPTH_MAX: usize = 48;

/// A value of the file.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// The line it begins at, from 1.
    pub(super) line: usize,
    /// Its path: `model_list[0].litellm_params.model`.
    pub(super) path: String,
    value: Value,
    read: Cell<bool>,
}

#[derive(Clone, Debug)]
enum Value {
    /// A text, number, truth value or nothing; plain: without quotes.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<(String, Node)>),
}

/// Reads a file.
pub(super) fn read(text: &str) -> Result<Node, String> {
    if text.len() > FILE_BYTES_MAX {
        return Err(format!("it has {} bytes, more than {FILE_BYTES_MAX}", text.len()));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    // JSON may be indented by tabs, which YAML refuses; in a text of JSON there are none.
    let text = match text.trim_start().starts_with('{') {
        true => Cow::Owned(text.replace('\t', " ")),
        false => Cow::Borrowed(text),
    };
    let mut builder = Builder::default();
    let mut parser = Parser::new_from_str(&text);
    loop {
        let (event, mark) = parser.next_token().map_err(|error| describe(&error))?;
        if event == Event::StreamEnd {
            break;
        }
        builder.take(event, mark.line())?;
    }
    let mut root = builder.root.ok_or("it is empty")?;
    root.name("");
    Ok(root)
}

fn describe(error: &ScanError) -> String {
    format!("line {}: {}", error.marker().line(), error.info())
}

impl Node {
    /// The member of this name.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.members().iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// All members; none of what is no mapping.
    pub(super) fn members(&self) -> &[(String, Self)] {
        match &self.value {
            Value::Map(members) => members,
            Value::Scalar { .. } | Value::List(_) => &[],
        }
    }

    /// All entries; none of what is no list.
    pub(super) fn entries(&self) -> &[Self] {
        match &self.value {
            Value::List(entries) => entries,
            Value::Scalar { .. } | Value::Map(_) => &[],
        }
    }

    /// Whether it is a mapping.
    pub(super) fn is_map(&self) -> bool {
        matches!(self.value, Value::Map(_))
    }

    /// Whether it is a list.
    pub(super) fn is_list(&self) -> bool {
        matches!(self.value, Value::List(_))
    }

    /// Whether nothing stands here: `null`, an empty list, an empty mapping.
    pub(super) fn is_empty(&self) -> bool {
        match &self.value {
            Value::Scalar { text, plain } => {
                *plain && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL")
            }
            Value::List(entries) => entries.is_empty(),
            Value::Map(members) => members.is_empty(),
        }
    }

    /// Its text, a number's too; it counts as read.
    pub(super) fn text(&self) -> Option<&str> {
        let text = self.peek()?;
        self.read.set(true);
        Some(text)
    }

    /// Its text, without counting as read.
    pub(super) fn peek(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } if !self.is_empty() => Some(text),
            Value::Scalar { .. } | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// Its truth value, as YAML 1.1 has them, too; it counts as read.
    pub(super) fn flag(&self) -> Option<bool> {
        let text = match &self.value {
            Value::Scalar { text, .. } => text.to_ascii_lowercase(),
            Value::List(_) | Value::Map(_) => return None,
        };
        let flag = match text.as_str() {
            "true" | "yes" | "on" => true,
            "false" | "no" | "off" => false,
            _ => return None,
        };
        self.read.set(true);
        Some(flag)
    }

    /// Its number, when it is finite and not negative; it counts as read.
    pub(super) fn number(&self) -> Option<f64> {
        let Value::Scalar { text, .. } = &self.value else { return None };
        let number = text.replace('_', "").parse::<f64>().ok()?;
        let fits = number.is_finite() && number >= 0.0;
        fits.then(|| {
            self.read.set(true);
            number
        })
    }

    /// Its text, or the texts of its entries, all of which count as read.
    pub(super) fn texts(&self) -> Vec<&str> {
        match self.is_list() {
            true => self.entries().iter().filter_map(Self::text).collect(),
            false => self.text().into_iter().collect(),
        }
    }

    /// All of it counts as read.
    pub(super) fn take(&self) {
        self.read.set(true);
        self.entries().iter().for_each(Self::take);
        self.members().iter().for_each(|(_, node)| node.take());
    }

    /// Calls `found` with the topmost nodes in which nobody has read anything.
    pub(super) fn unread<'n>(&'n self, found: &mut dyn FnMut(&'n Self)) {
        if self.is_empty() {
            return;
        }
        if !self.is_touched() {
            return found(self);
        }
        self.entries().iter().for_each(|node| node.unread(found));
        self.members().iter().for_each(|(_, node)| node.unread(found));
    }

    fn is_touched(&self) -> bool {
        self.read.get()
            || self.entries().iter().any(Self::is_touched)
            || self.members().iter().any(|(_, node)| node.is_touched())
    }

    fn name(&mut self, path: &str) {
        match &mut self.value {
            Value::Scalar { .. } => {}
            Value::List(entries) => {
                for (at, node) in entries.iter_mut().enumerate() {
                    node.name(&format!("{path}[{at}]"));
                }
            }
            Value::Map(members) => {
                let dot = if path.is_empty() { "" } else { "." };
                for (name, node) in members {
                    node.name(&format!("{path}{dot}{name}"));
                }
            }
        }
        path.clone_into(&mut self.path);
    }

    /// How many nodes it has, and how many levels.
    fn size(&self) -> (usize, usize) {
        let below = self.entries().iter().chain(self.members().iter().map(|(_, node)| node));
        below.fold((1, 1), |(nodes, depth), node| {
            let (more, deep) = node.size();
            (nodes + more, depth.max(deep + 1))
        })
    }
}

/// The tree while its events come.
#[derive(Default)]
struct Builder {
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    root: Option<Node>,
    nodes: usize,
}

/// A list or mapping whose end has not come.
struct Open {
    node: Node,
    anchor: usize,
    /// The key whose value comes next.
    key: Option<String>,
}

impl Builder {
    fn take(&mut self, event: Event, line: usize) -> Result<(), String> {
        match event {
            Event::DocumentStart if self.root.is_some() => {
                Err(format!("line {line}: a second document begins"))
            }
            Event::SequenceStart(anchor, _) => self.begin(Value::List(Vec::new()), anchor, line),
            Event::MappingStart(anchor, _) => self.begin(Value::Map(Vec::new()), anchor, line),
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == TScalarStyle::Plain;
                let node = self.node(Value::Scalar { text, plain }, line)?;
                self.keep(anchor, &node)?;
                self.put(node)
            }
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor) else {
                    return Err(format!("line {line}: an alias of what it is part of"));
                };
                let (nodes, depth) = node.size();
                self.nodes = self.nodes.saturating_add(nodes);
                self.bound(line, depth)?;
                let node = node.clone();
                self.put(node)
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn node(&mut self, value: Value, line: usize) -> Result<Node, String> {
        self.nodes += 1;
        self.bound(line, 1)?;
        Ok(Node { line, path: String::new(), value, read: Cell::new(false) })
    }

    fn bound(&self, line: usize, depth: usize) -> Result<(), String> {
        if self.nodes > NODES_MAX {
            return Err(format!("line {line}: more than {NODES_MAX} values, aliases counted"));
        }
        if self.open.len() + depth > DEPTH_MAX {
            return Err(format!("line {line}: more than {DEPTH_MAX} levels"));
        }
        Ok(())
    }

    fn begin(&mut self, value: Value, anchor: usize, line: usize) -> Result<(), String> {
        let node = self.node(value, line)?;
        self.open.push(Open { node, anchor, key: None });
        Ok(())
    }

    fn end(&mut self) -> Result<(), String> {
        let Some(Open { mut node, anchor, .. }) = self.open.pop() else { return Ok(()) };
        if let Value::Map(members) = &mut node.value {
            last_of_each(members);
            self.nodes += merge(members);
            self.bound(node.line, node.size().1)?;
        }
        self.keep(anchor, &node)?;
        self.put(node)
    }

    /// Remembers what an alias may stand for. What is remembered counts: it is a copy.
    fn keep(&mut self, anchor: usize, node: &Node) -> Result<(), String> {
        if anchor > 0 {
            self.nodes += node.size().0;
            self.bound(node.line, 1)?;
            self.anchors.insert(anchor, node.clone());
        }
        Ok(())
    }

    fn put(&mut self, node: Node) -> Result<(), String> {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match (&mut open.node.value, open.key.take()) {
            (Value::List(entries), _) => entries.push(node),
            (Value::Map(members), Some(key)) => members.push((key, node)),
            (Value::Map(_), None) => match node.value {
                Value::Scalar { text, .. } => open.key = Some(text),
                Value::List(_) | Value::Map(_) => {
                    return Err(format!("line {}: a key that is no text", node.line));
                }
            },
            (Value::Scalar { .. }, _) => {}
        }
        Ok(())
    }
}

/// Of members with the same name the last one holds.
fn last_of_each(members: &mut Vec<(String, Node)>) {
    let mut seen: HashSet<String> = HashSet::new();
    members.reverse();
    members.retain(|(name, _)| seen.insert(name.clone()));
    members.reverse();
}

/// Writes merge keys (`<<: *defaults`) out; how many nodes that adds.
fn merge(members: &mut Vec<(String, Node)>) -> usize {
    let Some(at) = members.iter().position(|(name, _)| name == "<<") else { return 0 };
    let (_, source) = members.remove(at);
    let mut seen: HashSet<String> = members.iter().map(|(name, _)| name.clone()).collect();
    let mut added = 0;
    for map in std::iter::once(&source).chain(source.entries()) {
        for (name, node) in map.members() {
            if seen.insert(name.clone()) {
                added += node.size().0;
                members.push((name.clone(), node.clone()));
            }
        }
    }
    added
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at<'n>(node: &'n Node, path: &[&str]) -> &'n Node {
        path.iter().fold(node, |node, key| node.get(key).unwrap())
    }

    #[test]
    fn yaml_is_read_with_lines_and_paths() {
        let root = read("a:\n  - b: one # said\n  - {c: 2.5, d: [x, 'null']}\ne: yes\n").unwrap();
        let list = root.get("a").unwrap().entries();
        let b = at(&list[0], &["b"]);
        assert_eq!((b.text(), b.line, b.path.as_str()), (Some("one"), 2, "a[0].b"));
        assert_eq!(at(&list[1], &["c"]).number(), Some(2.5));
        assert_eq!(at(&list[1], &["d"]).texts(), ["x", "null"]);
        assert_eq!(at(&root, &["e"]).flag(), Some(true));
        assert_eq!(at(&root, &["e"]).line, 4);
    }

    #[test]
    fn json_is_read_with_tabs_escapes_and_no_spaces() {
        let root = read("{\n\t\"a\":{\"b\":[1,true,null,\"x\\/\\u00e9\\\"\"]},\n\t\"c\" : \"\"\n}")
            .unwrap();
        let list = at(&root, &["a", "b"]).entries();
        assert_eq!(list[0].number(), Some(1.0));
        assert_eq!(list[1].flag(), Some(true));
        assert!(list[2].is_empty());
        assert_eq!(list[3].text(), Some("x/\u{e9}\""));
        assert_eq!((at(&root, &["c"]).text(), at(&root, &["c"]).line), (Some(""), 3));
    }

    #[test]
    fn of_two_members_with_one_name_the_last_holds() {
        let root = read("a: 1\nb: 2\na: 3\n").unwrap();
        assert_eq!((root.members().len(), at(&root, &["a"]).number()), (2, Some(3.0)));
    }

    #[test]
    fn anchors_and_merge_keys_are_written_out() {
        let root = read("d: &d {k: 1, l: 2}\nm:\n  <<: *d\n  l: 3\nn: *d\n").unwrap();
        assert_eq!(at(&root, &["m", "k"]).number(), Some(1.0));
        assert_eq!(at(&root, &["m", "l"]).number(), Some(3.0));
        assert_eq!(at(&root, &["n", "l"]).path, "n.l");
    }

    #[test]
    fn what_nobody_read_is_found_once_and_topmost() {
        let root = read("a: {b: 1, c: {d: 2, e: 3}, f: []}\ng: 4\nh: null\n").unwrap();
        at(&root, &["a", "b"]).text();
        let mut found = Vec::new();
        root.unread(&mut |node| found.push(node.path.clone()));
        assert_eq!(found, ["a.c", "g"]);
    }

    #[test]
    fn a_small_file_cannot_become_a_large_one() {
        let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let before = format!("*a{}, ", level - 1).repeat(10);
            text.push_str(&format!("a{level}: &a{level} [{before}]\n"));
        }
        assert!(read(&text).unwrap_err().contains("aliases counted"));
        let deep = "[".repeat(200) + &"]".repeat(200);
        assert!(read(&deep).unwrap_err().contains("levels"));
        assert!(read("a: &a [*a]").is_err());
        assert!(read("a: 1\n---\nb: 2\n").unwrap_err().contains("second document"));
        for text in ["", "? [a]\n: b\n", "a: [", "\"", "a: b: c"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
