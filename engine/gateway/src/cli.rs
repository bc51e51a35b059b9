//! The command line.

mod anomalies;
mod check;
mod close;
mod demo;
mod difficulty;
mod doctor;
mod focus;
mod import;
mod init;
mod key;
mod ledger;
mod prices;
mod reconcile;
mod spend;
mod statement;

use std::{io::Write, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use crate::serve::{self, Source};

/// Exit status for a policy that is wrong (`EX_USAGE` of sysexits.h).
const BAD_POLICY: u8 = 64;

const EXAMPLES: &str = "\
Examples:
  faregate demo                            see it at work, with nothing set up
  OPENAI_API_KEY=… faregate serve          an OpenAI-compatible endpoint at http://127.0.0.1:4000/v1
  faregate init && faregate serve -c faregate.toml
  faregate import config.yaml              start from the file of LiteLLM or Bifrost
  faregate key new --name ci --team search mint a key; only its hash goes into the policy
  faregate check faregate.toml             is the policy right?
  faregate prices openai/gpt-5-mini        what does a model cost?
  faregate doctor                          is this machine right?
  faregate spend --by team,model           who spent what?";

/// One endpoint for every model: an AI gateway.
#[derive(Debug, Parser)]
#[command(name = "faregate", version, about, after_help = EXAMPLES, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// See it at work: a built-in provider, the gateway, real traffic, a report. Needs nothing.
    Demo {
        /// Stay up afterwards, for playing.
        #[arg(long)]
        serve: bool,
    },
    /// Serve: with a policy file, or with the providers whose usual environment variables are set.
    Serve {
        /// The policy file; saved changes take effect at once.
        #[arg(short, long, value_name = "FILE", env = "FAREGATE_CONFIG")]
        config: Option<PathBuf>,
    },
    /// Say whether a policy file is right: all mistakes at once, each with its place and its mend.
    Check {
        /// The policy file.
        #[arg(value_name = "FILE", default_value = "faregate.toml")]
        file: PathBuf,
    },
    /// Write a commented policy to start from.
    Init {
        /// The file to write.
        #[arg(value_name = "FILE", default_value = "faregate.toml")]
        file: PathBuf,
        /// Overwrite it if it exists.
        #[arg(long)]
        force: bool,
    },
    /// Turn LiteLLM's config.yaml or Bifrost's config.json into a policy, and say what is not in it.
    #[command(after_long_help = import::HELP, after_help = "--help says what becomes of what.")]
    Import(import::Options),
    /// Say whether this machine is right: kernel, io_uring, limits, ports, clock, providers.
    Doctor {
        /// The policy file whose ports and providers are looked at.
        #[arg(short, long, value_name = "FILE", env = "FAREGATE_CONFIG")]
        config: Option<PathBuf>,
    },
    /// Keys of clients.
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Say who spent what: by team, model, day, or anything else, in a table, CSV or JSON.
    #[command(after_help = spend::HELP)]
    Spend(spend::Spend),
    /// Write a team's statement for a month: one page to print, or CSV.
    #[command(after_help = statement::HELP)]
    Statement(statement::Statement),
    /// Export a month as FOCUS, the open format of cost data: CSV or Parquet.
    #[command(after_help = focus::HELP)]
    Focus(focus::Focus),
    /// Compare the ledger with a provider's report of costs or usage, by day and model.
    #[command(after_help = reconcile::HELP)]
    Reconcile(reconcile::Reconcile),
    /// Find scopes whose spend of a day is unlike their own history.
    #[command(after_help = anomalies::HELP)]
    Anomalies(anomalies::Anomalies),
    /// Close a month of the books, or compare a closed one with its hash.
    #[command(after_help = close::HELP)]
    Close(close::Close),
    /// Say what models cost, find models by name, or renew the catalogue of prices.
    #[command(args_conflicts_with_subcommands = true, after_help = prices::HELP)]
    Prices {
        #[command(flatten)]
        asked: prices::Asked,
        #[command(subcommand)]
        command: Option<prices::Command>,
    },
    /// Train what makes a request look hard to rules, or show it for one request.
    #[command(after_help = difficulty::HELP)]
    Difficulty {
        #[command(subcommand)]
        command: difficulty::Command,
    },
    /// Explain a key of the policy file, or all of them.
    Explain {
        /// Its path, as in `server.deadlines.head`; without one, every key is listed.
        #[arg(value_name = "KEY")]
        key: Option<String>,
    },
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Mint a key: it is shown once, and the lines for the policy with it.
    New {
        /// Its name in the policy.
        #[arg(long, default_value = "my-key")]
        name: String,
        /// The team it belongs to.
        #[arg(long)]
        team: Option<String>,
    },
    /// The hash of a key that was minted elsewhere, read from standard input.
    Hash,
}

/// Runs the command of the command line.
pub(crate) fn run() -> ExitCode {
    let Err(Stop { message, code }) = perform(Cli::parse().command) else {
        return ExitCode::SUCCESS;
    };
    let _ = writeln!(std::io::stderr(), "faregate: {}", message.trim_end());
    ExitCode::from(code)
}

/// Why a command ends without success.
struct Stop {
    message: String,
    code: u8,
}

impl Stop {
    fn policy(message: String) -> Self {
        Self { message, code: BAD_POLICY }
    }
}

impl<E: ToString> From<E> for Stop {
    fn from(error: E) -> Self {
        Self { message: error.to_string(), code: 1 }
    }
}

fn perform(command: Command) -> Result<(), Stop> {
    match command {
        Command::Demo { serve } => demo::run(serve),
        Command::Serve { config } => serve_until_signal(config),
        Command::Check { file } => check::run(&file),
        Command::Init { file, force } => init::run(&file, force),
        Command::Import(options) => import::run(&options),
        Command::Doctor { config } => doctor::run(config),
        Command::Key { command: KeyCommand::New { name, team } } => {
            key::mint(&name, team.as_deref())
        }
        Command::Key { command: KeyCommand::Hash } => key::hash(),
        Command::Spend(spend) => spend::run(spend),
        Command::Statement(statement) => statement::run(statement),
        Command::Focus(focus) => focus::run(&focus),
        Command::Reconcile(reconcile) => reconcile::run(&reconcile),
        Command::Anomalies(anomalies) => anomalies::run(anomalies),
        Command::Close(close) => close::run(&close),
        Command::Prices { command: Some(command), .. } => prices::perform(&command),
        Command::Prices { asked, .. } => prices::answer(&asked),
        Command::Difficulty { command } => difficulty::perform(&command),
        Command::Explain { key } => check::explain(key.as_deref()),
    }
}

fn serve_until_signal(config: Option<PathBuf>) -> Result<(), Stop> {
    crate::io::block_signals();
    crate::io::raise_file_limit();
    let source = config.map_or(Source::Environment, Source::File);
    // What is wrong with the policy is told apart from what is wrong with the machine.
    serve::load(&source, serve::cores_available()).map_err(Stop::policy)?;
    let running = serve::start(source)?;
    serve::announce(&running);
    running.until_signal();
    Ok(())
}

/// Prints to standard output; a closed pipe ends the command quietly.
fn print(text: &str) -> Result<(), Stop> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}
