//! `faregate import`: the configuration of another gateway as a policy.
//!
//! In: `LiteLLM`'s `config.yaml` or Bifrost's `config.json`, told apart by what is in it. Out: a policy that compiles, and a
//! report of all that is not in it. Secrets are never copied: references stay references, and keys that stand in the file
//! become names of environment variables.

mod bifrost;
mod draft;
mod limit;
mod litellm;
mod report;
mod source;
#[cfg(test)]
mod tests;
mod toml;
mod tree;

use std::{
    fmt::Write as _,
    fs,
    io::{Read, Write as _},
    path::{Path, PathBuf},
};

use faregate_policy::{Policy, summary::Summary};

use self::{
    draft::Draft,
    report::{Fate, Report},
    tree::Node,
};
use super::{Stop, print};

/// Exit status of `--strict` when something was not carried.
const NOT_WHOLE: u8 = 3;

/// What `faregate import --help` says at its end.
pub(super) const HELP: &str = "\
What becomes of a file:
  deployments of a model group  targets of a model, by weight or in order; fallbacks follow
  api_base, api_version, …      a provider of the right kind for each address, key and region
  os.environ/NAME, env.NAME     env:NAME
  a key in the clear            not copied: the report names an environment variable for it
  master_key, virtual keys      [[keys]] with their hashes
  timeouts, retries, cooldowns  deadlines, [retries], [breaker]
  everything else               named in the report with its line, and in the policy as a comment

The report goes to standard error:
  to do        waits for you: a secret to put in place, a value that was not known
  not carried  has no equivalent in this version
  differs      was carried, and is not quite the same
  not needed   has no meaning here

Exit status: 0 written; 3 written, and something is \"to do\" or \"not carried\" (with --strict only);
64 the result would not be a right policy, and is not written; 1 anything else.

Examples:
  faregate import config.yaml                 writes faregate.toml
  faregate import config.json -o -            shows the policy instead
  faregate import config.yaml --strict        for a script: was everything carried?";

/// What `faregate import` is told.
#[derive(clap::Args, Debug)]
pub(super) struct Options {
    /// LiteLLM's config.yaml or Bifrost's config.json; `-`: standard input.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The policy to write; `-`: standard output.
    #[arg(short, long, value_name = "FILE", default_value = "faregate.toml")]
    output: PathBuf,
    /// Overwrite the policy if it exists.
    #[arg(long)]
    force: bool,
    /// End with status 3 when something was not carried; the policy is written all the same.
    #[arg(long)]
    strict: bool,
}

/// A file on its way to a policy.
struct Import<'e> {
    draft: Draft,
    report: Report,
    /// The environment.
    lookup: &'e dyn Fn(&str) -> Option<String>,
    /// Variables that the file itself sets.
    variables: Vec<(String, String)>,
    /// How many keys have no hash.
    unknown_keys: u64,
}

/// A policy that compiles, and what is not in it.
struct Imported {
    text: String,
    report: Report,
    summary: String,
}

/// Imports a file, says what became of it, and writes the policy.
pub(super) fn run(options: &Options) -> Result<(), Stop> {
    let text = read(&options.file)?;
    let to_stdout = options.output == Path::new("-");
    if !to_stdout && !options.force && options.output.exists() {
        let shown = options.output.display();
        return Err(format!("{shown} exists already; name another with -o, or say --force").into());
    }
    let name = options.file.file_name().map_or("input".into(), |name| name.to_string_lossy());
    let lookup = |name: &str| std::env::var(name).ok();
    let imported = convert(&text, &name, &lookup)?;
    tell(&imported)?;
    if to_stdout {
        print(&imported.text)?;
    } else {
        write(&options.output, &imported.text, options.force)?;
        say(&format!(
            "wrote {0}\nnext: look through it, set what is to do, then `faregate check {0}`\n",
            options.output.display()
        ))?;
    }
    if options.strict && !imported.report.is_whole() {
        let message = "not everything was carried (--strict)".to_owned();
        return Err(Stop { message, code: NOT_WHOLE });
    }
    Ok(())
}

/// The policy that a file comes to.
fn convert(
    text: &str,
    name: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Imported, Stop> {
    let root = tree::read(text).map_err(|reason| format!("{name}: {reason}"))?;
    let report = Report::new(name);
    let mut import =
        Import { draft: Draft::default(), report, lookup, variables: Vec::new(), unknown_keys: 0 };
    let whose = match Format::of(&root) {
        Some(Format::LiteLlm) => {
            litellm::read(&mut import, &root);
            "LiteLLM"
        }
        Some(Format::Bifrost) => {
            bifrost::read(&mut import, &root);
            "Bifrost"
        }
        Some(Format::Prices) => {
            return Err(format!(
                "{name} is a list of prices, not a configuration: see `faregate prices update --help`"
            )
            .into());
        }
        None => {
            return Err(format!(
                "{name} is neither LiteLLM's config.yaml (it has no model_list) nor Bifrost's \
                 config.json (it has no providers)"
            )
            .into());
        }
    };
    import.finish(whose, name, &root)
}

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    LiteLlm,
    Bifrost,
    /// `LiteLLM`'s `model_prices_and_context_window.json`.
    Prices,
}

impl Format {
    fn of(root: &Node) -> Option<Self> {
        let any = |keys: &[&str]| keys.iter().any(|key| root.get(key).is_some());
        if any(&["model_list", "litellm_settings", "router_settings", "general_settings"]) {
            return Some(Self::LiteLlm);
        }
        if root.get("providers").is_some_and(Node::is_map) || any(&["governance", "config_store"]) {
            return Some(Self::Bifrost);
        }
        let priced = |(_, entry): &(String, Node)| {
            ["input_cost_per_token", "litellm_provider"].iter().any(|key| entry.get(key).is_some())
        };
        root.members().iter().take(8).any(priced).then_some(Self::Prices)
    }
}

impl Import<'_> {
    fn finish(mut self, whose: &str, file: &str, root: &Node) -> Result<Imported, Stop> {
        if self.draft.providers.is_empty() {
            let mut message =
                format!("{file}: no provider of it can be carried, so there is no policy\n");
            for line in self.report.lines() {
                let _ = writeln!(message, "  {line}");
            }
            return Err(Stop { message, code: 1 });
        }
        let file = report::clean(file);
        let mut text = self.text(whose, &file);
        let mut outcome = compile(&text);
        if outcome.is_err() && self.draft.without_money() {
            let said =
                "limits of money are refused beside the rest; they are in the policy as comments";
            self.report.say(root, Fate::Lost, said);
            text = self.text(whose, &file);
            outcome = compile(&text);
        }
        let policy = outcome.map_err(|problems| {
            let problems =
                format!("{file} comes to no right policy, so nothing was written:\n{problems}");
            Stop::policy(problems)
        })?;
        Ok(Imported { text, report: self.report, summary: Summary(&policy).to_string() })
    }

    fn text(&self, whose: &str, file: &str) -> String {
        let top = [
            format!(
                "Made from {file} of {whose} by `faregate import`. What is not in it is said at the end."
            ),
            String::new(),
            "  faregate check FILE   says whether it is right".to_owned(),
            "  faregate explain      says what each key is for".to_owned(),
        ];
        let report = self.report.lines();
        let mut end = Vec::new();
        if !report.is_empty() {
            end.push(format!("What became of the rest of {file}:"));
            end.push(String::new());
        }
        end.extend(report);
        self.draft.text(&top, &end)
    }
}

fn compile(text: &str) -> Result<Policy, faregate_policy::Problems> {
    Policy::compile(text, "the policy made of it", 1, None)
}

fn read(file: &Path) -> Result<String, Stop> {
    let limit = u64::try_from(tree::FILE_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    let mut text = String::new();
    let outcome = if file == Path::new("-") {
        std::io::stdin().take(limit).read_to_string(&mut text)
    } else {
        fs::File::open(file).and_then(|file| file.take(limit).read_to_string(&mut text))
    };
    outcome.map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(text)
}

fn write(file: &Path, text: &str, force: bool) -> Result<(), Stop> {
    let mut options = fs::OpenOptions::new();
    options.write(true);
    match force {
        true => options.create(true).truncate(true),
        false => options.create_new(true),
    };
    let failed = |error: std::io::Error| format!("{}: {error}", file.display());
    options.open(file).and_then(|mut out| out.write_all(text.as_bytes())).map_err(failed)?;
    Ok(())
}

fn tell(imported: &Imported) -> Result<(), Stop> {
    let mut text = String::new();
    for line in imported.report.lines() {
        let _ = writeln!(text, "{line}");
    }
    let count = |fate| imported.report.count(fate);
    let _ = writeln!(
        text,
        "{}{} to do, {} not carried, {} differ, {} not needed\n{}",
        if text.is_empty() { "" } else { "\n" },
        count(Fate::Todo),
        count(Fate::Lost),
        count(Fate::Differs),
        count(Fate::Needless),
        imported.summary,
    );
    say(&text)
}

/// Writes to standard error.
fn say(text: &str) -> Result<(), Stop> {
    std::io::stderr().write_all(text.as_bytes()).map_err(Stop::from)
}
