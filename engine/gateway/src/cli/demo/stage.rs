//! What the demo plays on: a provider, a policy file, the gateway.

use std::{
    io::Read,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
};

use faregate_ledger::{
    report::{self, Dimension, Period, Query, Shown},
    store::Store,
};
use faregate_policy::key;
use loadtest::provider::{Provider, Settings};

use crate::{
    cli::Stop,
    serve::{self, Running, Source},
};

/// Where `demo --serve` listens, if nobody else does.
const USUAL: &str = "127.0.0.1:4000";

/// What the demo plays on.
pub(super) struct Stage {
    /// The provider.
    pub(super) provider: Provider,
    /// Where the gateway listens.
    pub(super) address: SocketAddr,
    /// Where operators look.
    pub(super) admin: Option<SocketAddr>,
    /// The base URL for clients.
    pub(super) url: String,
    /// The policy file.
    pub(super) policy: PathBuf,
    /// The key of team search.
    pub(super) search: String,
    /// The key of team support.
    pub(super) support: String,
    /// The key of team trial.
    pub(super) trial: String,
    running: Running,
    folder: PathBuf,
}

impl Stage {
    /// Starts everything.
    pub(super) fn build(serve: bool) -> Result<Self, Stop> {
        let provider = Provider::start(Settings::default())?;
        let folder = std::env::temp_dir().join(format!("faregate-demo-{}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        let policy = folder.join("faregate.toml");
        let [search, support, trial] = [random()?, random()?, random()?].map(key::mint);
        let dead = unused_port()?;
        let listen = if serve && TcpListener::bind(USUAL).is_ok() { USUAL } else { "127.0.0.1:0" };
        let text = TEMPLATE
            .replace("{listen}", listen)
            .replace("{log}", &folder.join("access.log").display().to_string())
            .replace("{provider}", &provider.address().to_string())
            .replace("{dead}", &dead.to_string())
            .replace("{search}", &key::hash(search.as_bytes()).to_string())
            .replace("{support}", &key::hash(support.as_bytes()).to_string())
            .replace("{trial}", &key::hash(trial.as_bytes()).to_string())
            .replace("{books}", &folder.join(BOOKS).display().to_string());
        std::fs::write(&policy, text)?;
        let running = serve::start(Source::File(policy.clone()))?;
        let address = running.listen.first().copied().ok_or("no address is listened on")?;
        let url = format!("http://{address}/v1");
        let admin = running.admin;
        Ok(Self { provider, address, admin, url, policy, search, support, trial, running, folder })
    }

    /// Changes the policy file as an editor would: a new file renamed over the old one.
    pub(super) fn edit(&self, from: &str, to: &str) -> std::io::Result<()> {
        let text = std::fs::read_to_string(&self.policy)?.replace(from, to);
        let fresh = self.folder.join("faregate.toml.new");
        std::fs::write(&fresh, text)?;
        std::fs::rename(fresh, &self.policy)
    }

    /// Who has spent what so far, as `faregate spend` tells it.
    pub(super) fn spend(&self) -> Result<String, Stop> {
        // The books are folded behind the requests.
        std::thread::sleep(FOLD);
        let store = Store::read(&self.folder.join(BOOKS))?;
        let period = Period::all(Period::zone("UTC").map_err(|error| Stop::from(error.0))?);
        let by = vec![Dimension::Team, Dimension::Model];
        let report = report::ask(&store, Query { period, by, only: Vec::new() })?;
        Ok(report::terminal(&report, Shown { top: 12, exact: true }))
    }

    /// The folder of the books.
    pub(super) fn books(&self) -> PathBuf {
        self.folder.join(BOOKS)
    }

    /// Ends everything and takes the files away.
    pub(super) fn end(self) {
        self.running.drain();
        let _ = std::fs::remove_dir_all(self.folder);
    }

    /// Serves until a signal, then ends everything.
    pub(super) fn until_signal(self) {
        self.running.until_signal();
        let _ = std::fs::remove_dir_all(self.folder);
    }
}

fn random() -> std::io::Result<[u8; 32]> {
    let mut bytes = [0; 32];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// A port where nobody listens: a provider that is down.
fn unused_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The folder of the books in the demo's own.
const BOOKS: &str = "books";

/// How long the books may be behind.
const FOLD: std::time::Duration = std::time::Duration::from_millis(500);

const TEMPLATE: &str = include_str!("policy.toml");
