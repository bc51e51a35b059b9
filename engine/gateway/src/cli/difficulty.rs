//! `faregate difficulty`: what makes a request look hard, trained and shown.

use std::{
    fmt::Write,
    fs::File,
    io::{self, BufRead, BufReader, Read},
    path::{Path, PathBuf},
};

use clap::Subcommand;
use faregate_adapters::shape::Shape;
use faregate_policy::route::{
    Difficulty, FEATURES, Weights, features,
    train::{Fit, Sample, fit, train},
};
use faregate_wire::json::{Json, Kind};

use super::{Stop, ledger::put, print};
use crate::serve::{self, Source};

pub(super) const HELP: &str = "\
Each line of the data is a JSON object with `body`, a request in any dialect, and `label`: a number from 0, easy, to 1,
hard; true or false; or \"hard\" or \"easy\". Every fifth one is held back and says how well the weights do on requests
that they were not trained on. The same data make the same weights. What is written is a table of the policy:

  faregate difficulty train evaluated.jsonl >> faregate.toml
  faregate difficulty explain -c faregate.toml request.json";

/// Bytes of a line of the data, and of a request.
const BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Lines of the data.
const LINES_MAX: usize = 1_000_000;

/// One in so many is held back.
const HELD_EVERY: usize = 5;

/// The fewest lines that say something.
const LINES_LEAST: usize = 20;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Train weights on requests of which it is known how hard they were, and write them as a table of the policy.
    Train {
        /// The data, a JSON object a line.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The policy whose weights are trained on [default: those that are shipped].
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Write to this file
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Show how hard a request looks, and what makes it so.
    Explain {
        /// The request's body; without one it is read from standard input.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        /// The policy whose weights count [default: those that are shipped].
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

pub(super) fn perform(command: &Command) -> Result<(), Stop> {
    match command {
        Command::Train { file, config, output } => {
            let text = trained(&read(file)?, &weights(config.as_deref())?)?;
            put(output.as_deref(), text.as_bytes())
        }
        Command::Explain { file, config } => {
            let mut body = Vec::new();
            match file {
                Some(path) => File::open(path)
                    .map_err(|error| format!("{}: {error}", path.display()))?
                    .take(BYTES_MAX)
                    .read_to_end(&mut body)?,
                None => io::stdin().lock().take(BYTES_MAX).read_to_end(&mut body)?,
            };
            if Json::new(&body).is_none_or(|body| !body.is_object()) {
                return Err("the request is no JSON object".into());
            }
            print(&explained(&body, &weights(config.as_deref())?))
        }
    }
}

fn weights(config: Option<&Path>) -> Result<Weights, Stop> {
    let Some(path) = config else { return Ok(Weights::default()) };
    let source = Source::File(path.to_owned());
    let (policy, _) = serve::load(&source, serve::cores_available()).map_err(Stop::policy)?;
    Ok(policy.difficulty)
}

fn read(path: &Path) -> Result<Vec<Sample>, Stop> {
    let at = |line: usize, what: &str| format!("{}:{line}: {what}", path.display());
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut lines = BufReader::new(file);
    let (mut samples, mut line, mut number) = (Vec::new(), Vec::new(), 0);
    loop {
        line.clear();
        number += 1;
        let count = (&mut lines).take(BYTES_MAX).read_until(b'\n', &mut line)?;
        if count == 0 {
            break;
        }
        if count as u64 == BYTES_MAX || samples.len() == LINES_MAX {
            return Err(at(number, "more than can be read").into());
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let Some(row) = Json::new(&line).filter(|row| row.is_object()) else {
            return Err(at(number, "no JSON object").into());
        };
        let Some(body) = row.get("body").filter(|body| body.is_object()) else {
            return Err(at(number, "no `body` that is a JSON object").into());
        };
        let Some(label) = row.get("label").and_then(label) else {
            let what = "no `label`: a number from 0 to 1, true or false, \"hard\" or \"easy\"";
            return Err(at(number, what).into());
        };
        samples.push(Sample { features: features(&Shape::of(body.raw())), label });
    }
    if samples.len() < LINES_LEAST {
        let count = samples.len();
        return Err(format!(
            "{}: {count} requests say too little; at least {LINES_LEAST} are needed",
            path.display()
        )
        .into());
    }
    Ok(samples)
}

fn label(label: Json<'_>) -> Option<f64> {
    match label.kind() {
        Kind::Bool => label.bool().map(|hard| f64::from(u8::from(hard))),
        Kind::Number => label.f64().filter(|number| (0.0..=1.0).contains(number)),
        Kind::String => match label.str()?.as_ref() {
            "hard" => Some(1.0),
            "easy" => Some(0.0),
            _ => None,
        },
        Kind::Null | Kind::Array | Kind::Object => None,
    }
}

/// The table of the policy, and how well it does.
fn trained(samples: &[Sample], start: &Weights) -> Result<String, Stop> {
    let of = |held: bool| {
        let kept = samples.iter().enumerate();
        let kept = kept.filter(move |(at, _)| (at % HELD_EVERY == HELD_EVERY - 1) == held);
        kept.map(|(_, sample)| *sample).collect::<Vec<_>>()
    };
    let (seen, held) = (of(false), of(true));
    let found = train(&seen, start);
    let mut out = format!(
        "# Trained on {} requests. On {} others: {}; before: {}.\n[difficulty]\nbias = \"{:.4}\"\nweights = {{",
        seen.len(),
        held.len(),
        told(fit(&held, &found)),
        told(fit(&held, start)),
        found.bias
    );
    for (at, (feature, weight)) in FEATURES.iter().zip(found.of).enumerate() {
        let comma = if at == 0 { "" } else { "," };
        write!(out, "{comma} {} = \"{weight:.4}\"", feature.name)?;
    }
    out.push_str(" }\n");
    Ok(out)
}

fn told(fit: Fit) -> String {
    format!("loss {:.4}, right {:.1} %", fit.loss, fit.right * 100.0)
}

fn explained(body: &[u8], weights: &Weights) -> String {
    let shape = Shape::of(body);
    let difficulty = Difficulty::by(&shape, weights);
    let mut out =
        format!("difficulty {:.4}\n\n{:<18} {:>9}\n", difficulty.value, "feature", "log-odds");
    let mut line = |name: &str, term: f64| out.push_str(&format!("{name:<18} {term:>9.4}\n"));
    line("bias", weights.bias);
    let terms = FEATURES.iter().zip(difficulty.terms.unwrap_or_default());
    for (feature, term) in terms.filter(|(_, term)| *term != 0.0) {
        line(feature.name, term);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(count: usize) -> String {
        let row = |at: usize| {
            let (question, label) = match at % 3 {
                0 => ("fix this: ```fn main() { let x = 1; }``` it fails", "\"hard\""),
                1 => ("hi there", "false"),
                _ => ("what time is it in Rome today, please", "0.1"),
            };
            let body = serde_json::json!({"messages": [{"role": "user", "content": question}]});
            format!("{{\"body\": {body}, \"label\": {label}}}\n")
        };
        (0..count).map(row).collect()
    }

    #[test]
    fn weights_are_trained_and_read_as_a_policy() {
        let folder =
            std::env::temp_dir().join(format!("faregate-difficulty-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("data.jsonl");
        std::fs::write(&path, data(300)).unwrap();
        let samples = read(&path).unwrap_or_else(|stop| panic!("{}", stop.message));
        let text = trained(&samples, &Weights::default())
            .unwrap_or_else(|stop| panic!("{}", stop.message));
        assert!(text.starts_with("# Trained on 240 requests. On 60 others: loss 0."), "{text}");
        let policy = format!("[providers.openai]\napi_key = \"env:K\"\n{text}");
        let policy = faregate_policy::Policy::compile(&policy, "f", 1, None).unwrap();
        let (hard, easy) = (
            br#"{"messages":[{"role":"user","content":"fix: ```let y = 2;``` fails"}]}"#,
            br#"{"messages":[{"role":"user","content":"hello there"}]}"#,
        );
        let value = |body: &[u8]| Difficulty::by(&Shape::of(body), &policy.difficulty).value;
        assert!(value(hard) > 0.6 && value(easy) < 0.15, "{} {}", value(hard), value(easy));
        assert!(explained(hard, &policy.difficulty).contains("\ncode "));
        for (wrong, why) in [
            ("{\"body\": {}, \"label\": 2}\n", ":1: no `label`"),
            ("{\"label\": 1}\n", ":1: no `body`"),
            ("\n{\"body\"", ":2: "),
            (&*data(3), "3 requests say too little"),
        ] {
            std::fs::write(&path, wrong).unwrap();
            let message = read(&path).err().map(|stop| stop.message).unwrap_or_default();
            assert!(message.contains(why), "{message}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
