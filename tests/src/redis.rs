//! A Redis server of a test's own, on a free port of loopback, and a switch before it that can be turned elsewhere or off.

use std::{
    fs::File,
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    process::{Child, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use crate::{folder::Folder, process::Process, program, wait};

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct Redis {
    /// Where it listens.
    pub port: u16,
    arguments: Vec<String>,
    child: Child,
    folder: Folder,
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
    listener.local_addr().expect("it is bound").port()
}

impl Redis {
    /// A server that writes everything down at once; nothing when the program is not there. It is required as `redis`.
    #[track_caller]
    pub fn start(arguments: &[&str]) -> Option<Self> {
        program::redis()?;
        let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        let folder = Folder::new();
        let port = free_port();
        let child = Self::spawn(port, &arguments, &folder);
        let mut redis = Self { port, arguments, child, folder };
        redis.wait();
        Some(redis)
    }

    fn spawn(port: u16, arguments: &[String], folder: &Folder) -> Child {
        let mut command = program::redis().expect("it was there before");
        let log = File::create(folder.join("log")).expect("the folder can be written");
        command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", "always"])
            .args(["--repl-diskless-sync-delay", "0", "--dir"])
            .arg(folder.path())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file has as many handles as one likes"))
            .stderr(log);
        command.spawn().expect("redis-server can be started")
    }

    fn wait(&mut self) {
        wait::until_true("redis-server listens", || {
            let ended = self.child.try_wait().expect("it is our child");
            let log = std::fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(ended.is_none(), "redis-server ended with {ended:?}:\n{log}");
            log.contains("Ready to accept connections")
        });
    }

    /// The URL that a policy gives it.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Its process.
    pub fn process(&self) -> Process {
        Process(self.child.id())
    }

    /// Kills it, as a crash would.
    pub fn kill(&mut self) {
        self.process().signal(libc::SIGKILL);
        self.child.wait().expect("it is our child");
    }

    /// Starts it once more, with what it has on its disk, at the same port.
    pub fn start_again(&mut self) {
        self.child = Self::spawn(self.port, &self.arguments, &self.folder);
        self.wait();
    }

    /// Says a command without blanks in its words; the first line of the answer, or what a bulk answer holds.
    pub fn say(&self, command: &str) -> String {
        let mut wire = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).expect("it listens");
        wire.set_read_timeout(Some(Duration::from_secs(5))).expect("a timeout that is not zero");
        wire.write_all(format!("{command}\r\n").as_bytes()).expect("it reads");
        let mut seen = Vec::new();
        let mut piece = [0; 16_384];
        loop {
            let more = wire.read(&mut piece).expect("it answers");
            seen.extend_from_slice(&piece[..more]);
            let text = String::from_utf8_lossy(&seen);
            let whole = match text.strip_prefix('$').and_then(|rest| rest.split_once("\r\n")) {
                Some((bytes, rest)) => {
                    bytes.parse::<usize>().is_ok_and(|bytes| rest.len() >= bytes + 2)
                }
                None => text.ends_with("\r\n"),
            };
            if whole || more == 0 {
                return text.into_owned();
            }
        }
    }

    /// Follows another server from now on, and waits until it has all of it.
    pub fn follow(&self, leader: &Self) {
        self.say(&format!("REPLICAOF 127.0.0.1 {}", leader.port));
        wait::until_true("the replica has everything", || {
            self.say("INFO replication").contains("master_link_status:up")
        });
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that passes bytes on to another one, which can be changed; or to none.
#[derive(Debug)]
pub struct Switch {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    target: AtomicU16,
    /// Connections of earlier turns end.
    turn: AtomicU64,
    is_over: AtomicBool,
}

impl Switch {
    /// A switch that passes on to `target`.
    pub fn to(target: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let state = State {
            target: AtomicU16::new(target),
            turn: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        };
        let state = Arc::new(state);
        let theirs = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if theirs.is_over.load(Ordering::Acquire) {
                    return;
                }
                let turn = theirs.turn.load(Ordering::Acquire);
                let target = theirs.target.load(Ordering::Acquire);
                // Cut off, it takes connections and says nothing, as a network does that drops everything.
                let server = (target != 0)
                    .then(|| TcpStream::connect((Ipv4Addr::LOCALHOST, target)).ok())
                    .flatten();
                if target != 0 && server.is_none() {
                    continue;
                }
                let state = Arc::clone(&theirs);
                thread::spawn(move || pass(client, server, &state, turn));
            }
        });
        Self { address, state }
    }

    /// The URL that a policy gives what is behind it.
    pub fn url(&self) -> String {
        format!("redis://{}/0", self.address)
    }

    /// Passes on to another port; zero: to none, without a word. Connections that are open end, or hang.
    pub fn turn(&self, target: u16) {
        self.state.target.store(target, Ordering::Release);
        self.state.turn.fetch_add(1, Ordering::AcqRel);
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.state.is_over.store(true, Ordering::Release);
        self.state.turn.fetch_add(1, Ordering::AcqRel);
        let _ = TcpStream::connect(self.address);
    }
}

/// Passes bytes both ways until the switch is turned. Turned to nothing, the client hangs until it is turned again.
fn pass(client: TcpStream, server: Option<TcpStream>, state: &State, turn: u64) {
    let is_over = || state.turn.load(Ordering::Acquire) != turn;
    let look = Some(Duration::from_millis(5));
    let Some(server) = server else {
        while !is_over() {
            wait::pass(Duration::from_millis(5));
        }
        return;
    };
    let copy = |mut from: &TcpStream, mut to: &TcpStream| {
        let mut piece = vec![0; 65_536];
        while !is_over() {
            match from.read(&mut piece) {
                Ok(0) => break,
                Ok(bytes) if is_over() || to.write_all(&piece[..bytes]).is_err() => break,
                Err(error)
                    if !matches!(
                        error.kind(),
                        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
                    ) =>
                {
                    break;
                }
                Ok(_) | Err(_) => {}
            }
        }
        let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    };
    if client.set_read_timeout(look).is_ok() && server.set_read_timeout(look).is_ok() {
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        thread::scope(|scope| {
            scope.spawn(|| copy(&client, &server));
            copy(&server, &client);
        });
    }
}
