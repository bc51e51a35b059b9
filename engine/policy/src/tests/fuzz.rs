//! Whatever the file says, reading it ends in a policy or in problems that can be shown.

use proptest::prelude::*;

use super::{example::EXAMPLE, read};

/// Reads a text and shows what came of it.
fn survives(text: &str) {
    match read(text) {
        Ok(policy) => {
            let _ = policy.describe().to_string();
            for problem in &policy.warnings {
                let _ = problem.to_string();
            }
        }
        Err(problems) => assert!(!problems.0.is_empty() && !problems.to_string().is_empty()),
    }
}

/// A piece of a policy, right or nearly so.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        "[\\[\\]a-z*\".=0-9{}, \n#'é-]{0,12}",
        prop::sample::select(vec![
            "[[keys]]\n",
            "[server]\n",
            "[teams.a.projects.b]\n",
            "= \"\"",
            "= []",
            "= {}",
            "= 1",
            "= -1",
            "= 1e9",
            "= true",
            "= 2027-01-01",
            "\"env:X\"",
            "[models.\"*\"]\n",
            "\"\"\"",
            "targets = [{}]\n",
            "limits = [\"1 x/y\"]\n",
            "api_key = \"sk-a\"\n",
            "\u{2028}",
            "\t",
        ])
        .prop_map(str::to_owned),
    ]
}

fn floor(text: &str, mut at: usize) -> usize {
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_changed_example_is_read_or_refused(
        edits in prop::collection::vec((0.0..1.0_f64, 0_usize..40, piece()), 1..6),
    ) {
        let mut text = EXAMPLE.to_owned();
        for (place, removed, piece) in edits {
            #[expect(
                clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss,
                reason = "a place in a text of a few thousand bytes"
            )]
            let start = floor(&text, (place * text.len() as f64) as usize);
            let end = floor(&text, (start + removed).min(text.len())).max(start);
            text.replace_range(start..end, &piece);
        }
        survives(&text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}") {
        survives(&text);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        survives(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_pieces_are_read_or_refused(pieces in prop::collection::vec(piece(), 0..30)) {
        survives(&pieces.concat());
    }
}
