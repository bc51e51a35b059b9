//! The recorded conversations.

use std::{fs, path::PathBuf};

use faregate_adapters::dialect::Form;

/// What every dialect must have a recording of.
pub(crate) const DEMANDED: [&str; 10] = [
    "text",
    "tools",
    "parallel_tools",
    "images",
    "structured",
    "thinking",
    "refusal",
    "length",
    "error",
    "usage_cache",
];

/// One recorded conversation.
pub(crate) struct Case {
    /// Its dialect.
    pub(crate) form: Form,
    /// Its folder.
    pub(crate) name: String,
    /// Where that is.
    pub(crate) path: PathBuf,
}

impl Case {
    /// The request, as a client sends it.
    pub(crate) fn request(&self) -> Option<Vec<u8>> {
        fs::read(self.path.join("request.json")).ok()
    }

    /// The whole answer, as a provider sends it.
    pub(crate) fn answer(&self) -> Option<Vec<u8>> {
        fs::read(self.path.join("answer.json")).ok()
    }

    /// The stream's bytes, as a provider sends them.
    pub(crate) fn stream(&self) -> Option<Vec<u8>> {
        let file = if self.form == Form::Converse { "stream.bin" } else { "stream.txt" };
        fs::read(self.path.join(file)).ok()
    }

    /// How it is told apart in a message.
    pub(crate) fn label(&self) -> String {
        format!("{}/{}", folder(self.form), self.name)
    }
}

/// The folder of a dialect's recordings.
pub(crate) const fn folder(form: Form) -> &'static str {
    match form {
        Form::Chat => "openai",
        Form::Responses => "responses",
        Form::Messages => "anthropic",
        Form::Gemini => "gemini",
        Form::Converse => "bedrock",
    }
}

/// The recordings of all dialects, in order.
pub(crate) fn cases() -> Vec<Case> {
    Form::ALL.into_iter().flat_map(cases_of).collect()
}

/// The recordings of a dialect, in order.
pub(crate) fn cases_of(form: Form) -> Vec<Case> {
    let root = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden"));
    let folders = fs::read_dir(root.join(folder(form))).unwrap();
    let mut cases: Vec<Case> = folders
        .map(|entry| entry.unwrap())
        .map(|entry| Case {
            form,
            name: entry.file_name().into_string().unwrap(),
            path: entry.path(),
        })
        .collect();
    cases.sort_by(|a, b| a.name.cmp(&b.name));
    cases
}
