//! `faregate prices`: what models cost, and by what source.

mod show;
mod update;

use std::{borrow::Cow, collections::HashSet, fmt::Write, path::PathBuf};

use clap::{Args, Subcommand};
use faregate_policy::{Policy, Priced};
use faregate_price::{Catalogue, Found, Price};

use super::{Stop, print};
use crate::{
    catalogue,
    serve::{self, Source},
};

/// Models that are listed at most where names are searched.
const LISTED_MAX: usize = 200;

/// Models that are named where one is not found.
const NEAR_MAX: usize = 8;

/// What is shown below `faregate prices --help`.
pub(super) const HELP: &str = "\
Examples:
  faregate prices                                    where the prices are from, and of what day
  faregate prices -c faregate.toml                   what the targets of this policy cost, and which have no price
  faregate prices openai/gpt-5-mini                  every price of a model
  faregate prices -c faregate.toml fleet/qwen3-32b   as this policy has it: its own prices come first
  faregate prices --search gpt-5 mini                models whose names hold both words
  faregate prices --json openai/gpt-5-mini           for programs; amounts are exact, in text
  faregate prices update --from model_prices.json    a newer catalogue, from LiteLLM's list or models.dev's

A price that the catalogue lacks, or that was negotiated, goes into the policy:

  [prices.\"openai/gpt-5-mini\"]
  input = \"$0.25/M\"
  output = \"$2/M\"";

/// What is asked for.
#[derive(Debug, Args)]
pub(super) struct Asked {
    /// provider/model, as the policy or the catalogue has it.
    #[arg(value_name = "MODEL")]
    models: Vec<String>,
    /// List models whose names hold all of these words.
    #[arg(long, value_name = "WORD", num_args = 1.., conflicts_with = "models")]
    search: Vec<String>,
    /// Write JSON.
    #[arg(long)]
    json: bool,
    /// The policy file whose prices and catalogue count.
    #[arg(short, long, value_name = "FILE", env = "FAREGATE_CONFIG")]
    config: Option<PathBuf>,
    /// A catalogue file, instead of the one that comes with the program.
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    catalogue: Option<PathBuf>,
}

/// What is done about the catalogue.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Make a newer catalogue from a list of prices, and say what changes.
    Update {
        /// LiteLLM's model_prices_and_context_window.json, or models.dev's api.json. What the catalogue has from another
        /// list stays as it is.
        #[arg(long, value_name = "FILE", required = true)]
        from: Vec<PathBuf>,
        /// The catalogue to write; if it exists, it is renewed.
        #[arg(long, value_name = "FILE", default_value = "prices.txt")]
        out: PathBuf,
        /// The day that the lists are of; left out: today.
        #[arg(long, value_name = "DATE")]
        date: Option<String>,
        /// Say what would change, and write nothing.
        #[arg(long)]
        dry_run: bool,
    },
}

/// A price, and all that is known of where it is from.
struct Known<'k> {
    name: Cow<'k, str>,
    id: Cow<'k, str>,
    source: &'k str,
    price: Cow<'k, Price>,
}

/// Does what changes the catalogue.
pub(super) fn perform(command: &Command) -> Result<(), Stop> {
    let Command::Update { from, out, date, dry_run } = command;
    update::run(from, out, date.as_deref(), *dry_run)
}

/// Says what is asked for.
pub(super) fn answer(asked: &Asked) -> Result<(), Stop> {
    let policy = asked.config.clone().map(|file| load(&Source::File(file))).transpose()?;
    let catalogue = match (&policy, &asked.catalogue) {
        (Some(policy), _) => policy.prices.catalogue().clone(),
        (None, Some(file)) => catalogue::read(file)?,
        (None, None) => Catalogue::built_in(),
    };
    if !asked.search.is_empty() {
        return search(&catalogue, asked);
    }
    if asked.models.is_empty() {
        let targets = policy.as_ref().map(targets).unwrap_or_default();
        return print(&format!("{}{targets}", about(&catalogue)));
    }
    let mut known = Vec::new();
    for model in &asked.models {
        let found = of_policy(policy.as_ref(), model).or_else(|| of_catalogue(&catalogue, model));
        known.push(found.ok_or_else(|| unknown(&catalogue, model))?);
    }
    match asked.json {
        true => print(&show::json(&known)),
        false => print(&known.iter().map(show::sheet).collect::<Vec<_>>().join("\n")),
    }
}

fn load(source: &Source) -> Result<Policy, Stop> {
    let loaded = serve::load(source, serve::cores_available());
    let (mut policy, _) = loaded.map_err(Stop::policy)?;
    catalogue::attach(&mut policy).map_err(Stop::policy)?;
    Ok(policy)
}

/// What the policy's first target of that name costs.
fn of_policy<'k>(policy: Option<&'k Policy>, name: &str) -> Option<Known<'k>> {
    let policy = policy?;
    let resolved = policy.models.resolve(name)?;
    let index = *resolved.targets.first()?;
    let target = &policy.targets[index];
    let model = target.model_for(resolved.asked);
    let priced = policy.price(index, &model)?;
    let name = format!("{}/{model}", policy.providers[target.provider].name);
    let source = if priced.id.starts_with("policy/") { "the policy" } else { "the catalogue" };
    Some(Known { name: name.into(), id: priced.id, source, price: priced.price })
}

fn of_catalogue<'k>(catalogue: &'k Catalogue, name: &str) -> Option<Known<'k>> {
    let exact = || catalogue.get(&name.to_ascii_lowercase());
    let (provider, model) = name.split_once('/').unwrap_or(("", name));
    let asked = faregate_price::Asked { provider, region: None, model };
    exact().or_else(|| catalogue.find(&asked)).map(|found| of_found(catalogue, found))
}

fn of_found<'k>(catalogue: &Catalogue, found: Found<'k>) -> Known<'k> {
    Known {
        name: found.name.into(),
        id: catalogue.id(found.name).into(),
        source: found.list.as_str(),
        price: Cow::Owned(found.price),
    }
}

fn unknown(catalogue: &Catalogue, model: &str) -> Stop {
    let word = [model.rsplit('/').next().unwrap_or(model).to_owned()];
    let near: Vec<_> = catalogue.search(&word).take(NEAR_MAX).map(|found| found.name).collect();
    let mut message = format!("no price is known for {model}");
    if !near.is_empty() {
        let _ = write!(message, "; names like it: {}", near.join(", "));
    }
    let name = if model.contains('/') { model.to_owned() } else { format!("PROVIDER/{model}") };
    let _ = write!(
        message,
        "\n`faregate prices --search WORD` looks for names; a price of your own goes into the policy:\n\n\
         [prices.{name:?}]\ninput = \"$0.10/M\"\noutput = \"$0.40/M\""
    );
    Stop { message, code: 1 }
}

fn search(catalogue: &Catalogue, asked: &Asked) -> Result<(), Stop> {
    let found: Vec<_> =
        catalogue.search(&asked.search).map(|found| of_found(catalogue, found)).collect();
    if found.is_empty() {
        let words = asked.search.join(" ");
        return Err(Stop { message: format!("no model's name holds {words}"), code: 1 });
    }
    if asked.json {
        return print(&show::json(&found));
    }
    let mut text = show::list(&found[..found.len().min(LISTED_MAX)]);
    if found.len() > LISTED_MAX {
        let more = found.len() - LISTED_MAX;
        let _ = writeln!(text, "and {more} more: add a word, or --json for all");
    }
    print(&text)
}

/// What the policy's targets cost, and which of them nobody has a price for.
fn targets(policy: &Policy) -> String {
    let (mut known, mut unknown) = (Vec::new(), String::new());
    let mut seen = HashSet::new();
    for (index, target) in policy.targets.iter().enumerate() {
        if target.model.contains('*') || !seen.insert(&*target.name) {
            continue;
        }
        match policy.price(index, &target.model) {
            Some(Priced { price, id }) => {
                known.push(Known { name: Cow::Borrowed(&*target.name), id, source: "", price });
            }
            None => {
                let _ = writeln!(unknown, "no price is known for {}", target.name);
            }
        }
    }
    let listed = if known.is_empty() { String::new() } else { show::list(&known) };
    format!("\n{listed}{unknown}")
}

/// Where the prices are from.
fn about(catalogue: &Catalogue) -> String {
    let origin = catalogue.origin();
    let mut text = format!("{} models, as of {}\n", catalogue.iter().count(), origin.version);
    for source in origin.sources {
        let _ = writeln!(text, "  {source}");
    }
    text.push_str(
        "\nThe letter says which list a price is from; where both have a model, the first one counts.\n\
         `faregate prices MODEL` shows one, `--search WORD` finds them, `update --from FILE` renews them.\n",
    );
    text
}
