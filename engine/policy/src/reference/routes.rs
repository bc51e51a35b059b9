//! Keys of routes: what a wait is worth, and what makes a request look hard.

use super::{Key, Kind, Section, rows::key};

pub(super) const SECOND_WORTH: Key = key(
    "second_worth",
    Kind::Text,
    "",
    "\"$0.001\"",
    "with break-even: what a second until an answer begins is worth; left out: nothing",
);

pub(super) const DIFFICULTY: Section = Section {
    path: "difficulty",
    help: "what makes a request look hard to rules: `faregate difficulty train` writes this table",
    keys: &[
        key(
            "bias",
            Kind::Text,
            "",
            "\"-2.1\"",
            "the log-odds of a request without any feature; left out: as it is shipped",
        ),
        key(
            "weights",
            Kind::TextsByName,
            "",
            "{ code = \"1.9\", tools = \"0.2\" }",
            "what features add, each about 0 to 1, to the log-odds; those left out are as they are shipped",
        ),
    ],
};
