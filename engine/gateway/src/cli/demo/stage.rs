//! What the demo plays on: a provider, a policy file, the gateway.

use std::{
    io::Read,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
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
        let (search, support) = (key::mint(random()?), key::mint(random()?));
        let dead = unused_port()?;
        let listen = if serve && TcpListener::bind(USUAL).is_ok() { USUAL } else { "127.0.0.1:0" };
        let text = TEMPLATE
            .replace("{listen}", listen)
            .replace("{log}", &folder.join("access.log").display().to_string())
            .replace("{provider}", &provider.address().to_string())
            .replace("{dead}", &dead.to_string())
            .replace("{search}", &key::hash(search.as_bytes()).to_string())
            .replace("{support}", &key::hash(support.as_bytes()).to_string());
        std::fs::write(&policy, text)?;
        let running = serve::start(Source::File(policy.clone()))?;
        let address = running.listen.first().copied().ok_or("no address is listened on")?;
        let url = format!("http://{address}/v1");
        let admin = running.admin;
        Ok(Self { provider, address, admin, url, policy, search, support, running, folder })
    }

    /// Changes the policy file as an editor would: a new file renamed over the old one.
    pub(super) fn edit(&self, from: &str, to: &str) -> std::io::Result<()> {
        let text = std::fs::read_to_string(&self.policy)?.replace(from, to);
        let fresh = self.folder.join("faregate.toml.new");
        std::fs::write(&fresh, text)?;
        std::fs::rename(fresh, &self.policy)
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

const TEMPLATE: &str = include_str!("policy.toml");
