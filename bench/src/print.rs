//! The only place that prints.

/// A result, to standard output.
#[expect(clippy::print_stdout, reason = "results go to standard output")]
pub(crate) fn result(text: &str) {
    println!("{text}");
}

/// Progress or a warning, to standard error.
#[expect(clippy::print_stderr, reason = "progress and warnings go to standard error")]
pub(crate) fn note(text: &str) {
    eprintln!("{text}");
}
