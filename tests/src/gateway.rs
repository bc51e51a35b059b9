//! The gateway as a process: started with a policy in a folder of its own, on free ports, and ended with this value.

use std::{
    fs::File,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use serde_json::Value;

use crate::{
    Client, Provider, Wire, binary, folder::Folder, metrics::Metrics, process::Process, wait,
};

/// How a gateway waits for its sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// As it is by default: io_uring where the kernel lets it.
    Auto,
    /// epoll.
    Epoll,
}

impl Driver {
    /// Both: what holds with one must hold with the other.
    pub const ALL: [Self; 2] = [Self::Auto, Self::Epoll];
}

/// What a gateway is started with.
#[derive(Debug, Clone, Default)]
pub struct Launch {
    server: String,
    policy: String,
    listen: Option<SocketAddr>,
    variables: Vec<(String, String)>,
    descriptors: Option<u32>,
    files: Vec<(String, String)>,
}

impl Launch {
    /// A gateway with this policy; the table `server` is added to it.
    pub fn new(policy: impl Into<String>) -> Self {
        Self { policy: policy.into(), ..Self::default() }
    }

    /// A gateway in front of one provider called `sim`, open to everybody.
    pub fn open(provider: &Provider) -> Self {
        Self::new(sim(provider))
    }

    /// Adds lines to the table `server`, and tables below it.
    #[must_use]
    pub fn server(mut self, lines: &str) -> Self {
        self.server.push_str(lines);
        self.server.push('\n');
        self
    }

    /// Waits for its sockets by `driver`. To be called before [`server`](Self::server): that may open a table.
    #[must_use]
    pub fn on(self, driver: Driver) -> Self {
        match driver {
            Driver::Auto => self,
            Driver::Epoll => self.server("driver = \"epoll\""),
        }
    }

    /// Listens there instead of on a free port.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = Some(address);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Allows it so many descriptors.
    #[must_use]
    pub fn descriptors(mut self, most: u32) -> Self {
        self.descriptors = Some(most);
        self
    }

    /// Puts a file beside the policy.
    #[must_use]
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// The whole policy file of a gateway whose folder is `folder`. `{folder}` in the text stands for that folder.
    fn text(&self, folder: &Path, policy: &str) -> String {
        let listen = self.listen.map_or_else(|| "127.0.0.1:0".to_owned(), |at| at.to_string());
        let server = format!(
            "[server]\nlisten = \"{listen}\"\nadmin = \"127.0.0.1:0\"\npin = false\n\
             access_log = \"file:{{folder}}/access.jsonl\"\n{}\n",
            self.server
        );
        format!("{server}{policy}\n").replace("{folder}", &folder.display().to_string())
    }

    /// Starts it and waits until it is ready.
    #[track_caller]
    pub fn start(self) -> Gateway {
        let folder = Folder::new();
        for (name, text) in &self.files {
            folder.write(name, text);
        }
        let policy = folder.write("faregate.toml", &self.text(folder.path(), &self.policy));
        self.start_with(folder, policy)
    }

    fn spawn(&self, folder: &Folder, policy: &Path) -> Child {
        let mut command = match self.descriptors {
            None => binary::command(&["serve", "-c"]),
            Some(most) => binary::limited(most, &["serve", "-c"]),
        };
        command.env("FAREGATE_DATA", folder.join("data"));
        command.arg(policy).envs(self.variables.iter().map(|(name, value)| (name, value)));
        spawn(&mut command, folder)
    }

    /// Starts it with a policy file that is there already, in `folder`.
    #[track_caller]
    pub fn start_with(self, folder: Folder, policy: PathBuf) -> Gateway {
        let child = self.spawn(&folder, &policy);
        Gateway::ready(child, folder, policy, self)
    }
}

/// The tables of one provider called `sim`, and of models by any name at it.
pub fn sim(provider: &Provider) -> String {
    format!(
        "[providers.sim]\nbase_url = \"{}\"\n\n[models.\"*\"]\ntargets = [\"sim/*\"]\n",
        provider.base_url()
    )
}

fn spawn(command: &mut Command, folder: &Folder) -> Child {
    let file = |name: &str| File::create(folder.join(name)).expect("the folder can be written");
    command
        .stdin(Stdio::null())
        .stdout(file("stdout"))
        .stderr(file("stderr"))
        .spawn()
        .expect("the gateway can be started")
}

/// Where a process listens that was started, once it is ready: for clients and for operators.
#[track_caller]
fn addresses(child: &mut Child, folder: &Folder) -> (SocketAddr, SocketAddr) {
    let read = || std::fs::read_to_string(folder.join("stderr")).unwrap_or_default();
    let ready = wait::until("the gateway is ready", || {
        if let Ok(Some(status)) = child.try_wait() {
            panic!("the gateway ended with {status}:\n{}", read());
        }
        let log = read();
        let (whole, _) = log.rsplit_once('\n')?;
        whole.lines().find(|line| line.contains(" ready ")).map(str::to_owned)
    });
    let address = |name: &str| {
        let value = ready.split(name).nth(1).and_then(|rest| rest.split_whitespace().next());
        value.and_then(|text| text.trim_matches('"').parse().ok()).unwrap_or_else(|| {
            panic!("no {name} in {ready}");
        })
    };
    (address("listen="), address("admin="))
}

/// A gateway that runs.
#[derive(Debug)]
pub struct Gateway {
    child: Child,
    /// Where its policy, its access log and its output lie.
    pub folder: Folder,
    /// Its policy file.
    pub policy: PathBuf,
    /// Where clients connect.
    pub address: SocketAddr,
    /// Where operators connect.
    pub admin: SocketAddr,
    launch: Launch,
}

impl Gateway {
    /// Waits for a process that was started to be ready.
    #[track_caller]
    fn ready(mut child: Child, folder: Folder, policy: PathBuf, launch: Launch) -> Self {
        let (listen, admin) = addresses(&mut child, &folder);
        Self { child, folder, policy, address: listen, admin, launch }
    }

    /// Runs `faregate serve` without a file and waits until it is ready.
    #[track_caller]
    pub fn start_without_file(variables: &[(&str, &str)]) -> Self {
        let folder = Folder::new();
        let mut command = binary::command(&["serve"]);
        command.env("FAREGATE_DATA", folder.join("data"));
        command.envs(variables.iter().copied()).current_dir(folder.path());
        let child = spawn(&mut command, &folder);
        let policy = folder.join("none");
        Self::ready(child, folder, policy, Launch::default())
    }

    /// A client that shows `key`.
    pub fn client(&self, key: &str) -> Client {
        Client::new(self.address, key)
    }

    /// A connection in the clear.
    #[track_caller]
    pub fn connect(&self) -> Wire {
        Wire::connect(self.address)
    }

    /// The process.
    pub fn process(&self) -> Process {
        Process(self.child.id())
    }

    /// The whole policy file for this policy, with the `server` table this gateway was started with.
    pub fn text(&self, policy: &str) -> String {
        self.launch.text(self.folder.path(), policy)
    }

    /// Changes the policy by writing into the file.
    pub fn write(&self, policy: &str) {
        std::fs::write(&self.policy, self.text(policy)).expect("the policy can be written");
    }

    /// Changes the policy by renaming a new file over the old one.
    pub fn replace(&self, policy: &str) {
        let fresh = self.folder.write("fresh.toml", &self.text(policy));
        std::fs::rename(fresh, &self.policy).expect("the policy can be replaced");
    }

    /// What operators were told so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("stderr")).unwrap_or_default()
    }

    /// Waits until operators are told something that contains `text`.
    #[track_caller]
    pub fn wait_log(&self, text: &str) {
        wait::until_true(&format!("the log says {text:?}"), || self.log().contains(text));
    }

    /// The lines of the access log so far.
    pub fn access(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.folder.join("access.jsonl")).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e} in {line}"));
        whole.lines().map(parse).collect()
    }

    /// Waits for the line of the access log with this request id.
    #[track_caller]
    pub fn access_line(&self, request_id: &str) -> Value {
        wait::until(&format!("a line for {request_id}"), || {
            self.access().into_iter().find(|line| line["request_id"] == request_id)
        })
    }

    /// One scrape of the metrics.
    #[track_caller]
    pub fn metrics(&self) -> Metrics {
        let answer = Client::new(self.admin, "").get("/metrics");
        assert_eq!(answer.status, 200, "{answer:?}");
        Metrics { text: answer.text().to_owned() }
    }

    /// The generation of the policy in force.
    #[track_caller]
    pub fn generation(&self) -> u64 {
        let answer = Client::new(self.admin, "").get("/policy");
        answer.json()["generation"].as_u64().expect("a generation is a number")
    }

    /// Waits until a policy later than `before` is in force.
    #[track_caller]
    pub fn wait_generation_after(&self, before: u64) -> u64 {
        wait::until("a new policy is in force", || {
            Some(self.generation()).filter(|now| *now > before)
        })
    }

    /// Waits for the process to end by itself.
    #[track_caller]
    pub fn wait_exit(&mut self) -> ExitStatus {
        wait::until("the gateway ends", || self.child.try_wait().expect("it is our child"))
    }

    /// Whether the process still runs.
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to end and waits until it has.
    #[track_caller]
    pub fn stop(&mut self) -> ExitStatus {
        self.process().signal(libc::SIGTERM);
        self.wait_exit()
    }

    /// Kills it, as a crash would.
    #[track_caller]
    pub fn kill(&mut self) {
        self.process().signal(libc::SIGKILL);
        self.wait_exit();
    }

    /// Starts it once more in its folder, with its policy file as it is, after it has ended. It listens elsewhere.
    #[track_caller]
    pub fn start_again(&mut self) {
        assert!(!self.runs(), "it runs");
        self.child = self.launch.spawn(&self.folder, &self.policy);
        (self.address, self.admin) = addresses(&mut self.child, &self.folder);
    }

    /// All it has written anywhere: both outputs and the access log.
    pub fn everything_written(&self) -> String {
        ["stdout", "stderr", "access.jsonl"]
            .iter()
            .map(|name| std::fs::read_to_string(self.folder.join(name)).unwrap_or_default())
            .collect()
    }
}

impl Drop for Gateway {
    #[expect(clippy::print_stdout, reason = "the runner shows it when the test fails")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("-- {}\n{}", self.folder.path().display(), self.log());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
