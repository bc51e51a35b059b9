//! A real model server: llama.cpp's, with a model of random weights, on a free port of loopback.

use std::{
    fs::File,
    net::SocketAddr,
    process::{Child, Stdio},
};

use serde_json::Value;

use crate::{Client, folder::Folder, gguf, program, wait};

/// The name that its model goes by.
pub const MODEL: &str = "tiny";

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct Llama {
    /// Where it listens.
    pub address: SocketAddr,
    child: Child,
    folder: Folder,
}

impl Llama {
    /// A server with these arguments more; nothing when the program is not there.
    #[track_caller]
    pub fn start(arguments: &[&str]) -> Option<Self> {
        Self::start_with(&gguf::tiny(7), arguments)
    }

    /// A server whose model calls a tool, once, where it must: what a call begins with is the likeliest token, but for the end.
    #[track_caller]
    pub fn caller() -> Option<Self> {
        let (call, end) = (format!("{}+100", gguf::CALL_TOKEN), format!("{}+200", gguf::END_TOKEN));
        // A comma between two calls is none where a call may end.
        let comma = format!("{}-100", gguf::token(','));
        let biases = [call, end, comma];
        let arguments: Vec<&str> = biases.iter().flat_map(|bias| ["--logit-bias", bias]).collect();
        Self::start_with(&gguf::caller(7), &arguments)
    }

    fn start_with(model: &[u8], arguments: &[&str]) -> Option<Self> {
        let mut command = program::llama()?;
        let folder = Folder::new();
        std::fs::write(folder.join("tiny.gguf"), model).expect("the folder can be written");
        let log = File::create(folder.join("log")).expect("the folder can be written");
        command
            .args(["--model", "tiny.gguf", "--alias", MODEL, "--host", "127.0.0.1", "--port", "0"])
            .args(["--ctx-size", "8192", "--parallel", "2", "--threads", "1", "--no-warmup"])
            .args(["--offline", "--metrics", "--slots", "--log-verbosity", "4"])
            .args(arguments)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file has as many handles as one likes"))
            .stderr(log);
        let mut child = command.spawn().expect("the model server can be started");
        let address = wait::until("the model server listens", || {
            let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            let ended = child.try_wait().expect("it is our child");
            assert!(ended.is_none(), "the model server ended with {ended:?}:\n{log}");
            let said = log.split("listening on http://").nth(1)?;
            said.split_whitespace().next()?.parse().ok()
        });
        let llama = Self { address, child, folder };
        wait::until_true("the model is loaded", || llama.client().get("/health").status == 200);
        Some(llama)
    }

    /// The base URL that a policy gives it.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// A client that speaks to the server itself.
    pub fn client(&self) -> Client {
        Client::new(self.address, "")
    }

    /// How many answers it is at work on.
    pub fn busy(&self) -> usize {
        let slots = self.client().get("/slots").json();
        let slots = slots.as_array().into_iter().flatten();
        slots.filter(|slot| slot["is_processing"] == Value::Bool(true)).count()
    }

    /// What it has said of itself.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

impl Drop for Llama {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
