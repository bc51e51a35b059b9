//! Agents on the command line, in a headless loop: the model asks for a tool, the agent runs it, the model quotes the result.

use std::{process::Command, time::Duration};

use faregate_tests::{Gateway, Launch, Provider, Upstream, folder::Folder, key, program};

use serde_json::{Value, json};

use crate::dialects::{self, clouds};

/// How long an agent may take, start included.
const LONGEST: Duration = Duration::from_secs(100);

/// What only the file says.
const NOTE: &str = "the note says 42";

struct Stage {
    provider: Provider,
    gateway: Gateway,
    home: Folder,
    /// Tells a gateway at clouds who it is.
    _machine: Option<Upstream>,
}

impl Stage {
    fn new() -> Self {
        let provider = dialects::simulator();
        let policy = format!("{}{}", dialects::policy(&provider), key::row("one", ""));
        let gateway = Launch::new(policy).variable("PROVIDER_KEY", "provider-key").start();
        Self { provider, gateway, home: Folder::new(), _machine: None }
    }

    /// The same with the models of clouds.
    fn at_clouds() -> Self {
        let (provider, machine) = (dialects::simulator(), clouds::machine());
        let gateway = clouds::start_with(&provider, &machine, &key::row("one", ""));
        Self { provider, gateway, home: Folder::new(), _machine: Some(machine) }
    }

    fn root(&self) -> String {
        format!("http://{}", self.gateway.address)
    }

    /// Runs the agent in a home of its own and returns what it has printed.
    fn run(&self, agent: &Command) -> String {
        let mut command = Command::new("timeout");
        command.arg(LONGEST.as_secs().to_string()).arg(agent.get_program()).args(agent.get_args());
        for (name, value) in agent.get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        // Some believe PWD more than the folder that they run in.
        command.env("HOME", self.home.path()).env("PWD", self.home.path());
        command.current_dir(self.home.path());
        command.stdin(std::process::Stdio::null());
        let output = program::run(&mut command);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What the user asks for: the model reads a file that nothing in the request tells.
    fn task(&self, tool: &str, arguments: Value) -> String {
        self.home.write("note.txt", &format!("{NOTE}\n"));
        format!("please call {tool} with {arguments} now")
    }

    fn note(&self) -> String {
        self.home.join("note.txt").display().to_string()
    }

    /// The model asked, the agent read the file, the model got what is in it and said so, in answers that were all of this
    /// target, and the agent printed it.
    fn check(&self, printed: &str, target: &str) {
        let access = self.gateway.access();
        let shown = || format!("{target}: {printed}\n{access:#?}");
        let said = printed.split("The tool said").nth(1).unwrap_or_else(|| panic!("{}", shown()));
        assert!(said.contains(NOTE), "{}", shown());
        let captured = self.provider.take_captured();
        let told: Vec<bool> = captured
            .iter()
            .filter(|captured| captured.method == "POST")
            .map(|captured| String::from_utf8_lossy(&captured.body).contains(NOTE))
            .collect();
        assert!(told.len() >= 2, "asked once: {}", shown());
        assert_eq!((told.first(), told.last()), (Some(&false), Some(&true)), "{}", shown());
        let mut targets = dialects::TARGETS.iter().chain(&clouds::CLOUDS);
        let model = targets.find(|(name, _)| *name == target).unwrap().1;
        for line in access.iter().filter(|line| line["method"] == "POST") {
            assert_eq!(
                (&line["status"], &line["target"]),
                (&json!(200), &json!(format!("{target}/{model}")))
            );
        }
        let counters = self.provider.counters();
        assert_eq!(counters.breached(), 0, "{target}: {:?}", counters.take_breaches());
    }
}

#[test]
fn claude_code() {
    for (target, _) in dialects::TARGETS {
        ask_claude_code(&Stage::new, target);
    }
}

/// It is Anthropic's own client, and the clouds serve Anthropic's models in ways of their own.
#[test]
fn claude_code_at_clouds() {
    // Azure's two APIs differ by path and query alone.
    let clouds = clouds::CLOUDS.iter().filter(|(name, _)| *name != "azure-deployments");
    for (target, _) in clouds {
        ask_claude_code(&Stage::at_clouds, target);
    }
}

fn ask_claude_code(stage: &dyn Fn() -> Stage, target: &str) {
    let Some(mut claude) = program::npm("claude") else { return };
    let stage = stage();
    claude
        .args([
            "-p",
            &stage.task("Read", json!({"file_path": stage.note()})),
            "--model",
            &format!("at-{target}"),
            "--allowedTools",
            "Read",
        ])
        .env("ANTHROPIC_BASE_URL", stage.root())
        .env("ANTHROPIC_API_KEY", key::named("one"))
        .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
        .env("DISABLE_AUTOUPDATER", "1");
    let printed = stage.run(&claude);
    stage.check(&printed, target);
}

#[test]
fn codex() {
    for (target, _) in dialects::TARGETS {
        let Some(mut codex) = program::npm("codex") else { return };
        let stage = Stage::new();
        let config = format!(
            "model = \"at-{target}\"\nmodel_provider = \"faregate\"\n[model_providers.faregate]\nname = \"Faregate\"\n\
             base_url = \"{}/v1\"\nenv_key = \"FAREGATE_KEY\"\nwire_api = \"responses\"\n",
            stage.root()
        );
        std::fs::create_dir_all(stage.home.join(".codex")).unwrap();
        stage.home.write(".codex/config.toml", &config);
        codex
            .args([
                "exec",
                "--skip-git-repo-check",
                &stage.task("exec_command", json!({"cmd": "cat note.txt"})),
            ])
            .env("FAREGATE_KEY", key::named("one"));
        let printed = stage.run(&codex);
        stage.check(&printed, target);
    }
}

#[test]
fn gemini_cli() {
    for (target, _) in dialects::TARGETS {
        let Some(mut gemini) = program::npm("gemini") else { return };
        let stage = Stage::new();
        std::fs::create_dir_all(stage.home.join(".gemini")).unwrap();
        stage.home.write(
            ".gemini/settings.json",
            r#"{"security": {"auth": {"selectedType": "gemini-api-key"}},
                "general": {"enableAutoUpdate": false, "enableAutoUpdateNotification": false},
                "privacy": {"usageStatisticsEnabled": false}, "telemetry": {"enabled": false}}"#,
        );
        gemini
            .args(["--skip-trust", "--approval-mode", "yolo", "--model", &format!("at-{target}")])
            .args(["--prompt", &stage.task("read_file", json!({"file_path": stage.note()}))])
            .env("GOOGLE_GEMINI_BASE_URL", stage.root())
            .env("GEMINI_API_KEY", key::named("one"));
        let printed = stage.run(&gemini);
        stage.check(&printed, target);
    }
}

#[test]
fn opencode() {
    for (target, _) in dialects::TARGETS {
        let Some(mut opencode) = program::npm("opencode") else { return };
        let stage = Stage::new();
        let model = format!("faregate/at-{target}");
        let config = json!({
            "autoupdate": false, "share": "disabled",
            "model": model, "small_model": model, "enabled_providers": ["faregate"],
            "provider": {"faregate": {
                "npm": "@ai-sdk/openai-compatible",
                "options": {"baseURL": format!("{}/v1", stage.root()), "apiKey": key::named("one")},
                "models": {format!("at-{target}"): {}},
            }},
        });
        stage.home.write("opencode.json", &config.to_string());
        opencode
            .arg("run")
            // It puts quotes around an argument that has blanks.
            .args(stage.task("read", json!({"filePath": stage.note()})).split(' '))
            .env("OPENCODE_DISABLE_AUTOUPDATE", "1")
            .env("OPENCODE_DISABLE_MODELS_FETCH", "1")
            .env("OPENCODE_DISABLE_DEFAULT_PLUGINS", "1")
            .env("OPENCODE_DISABLE_LSP_DOWNLOAD", "1");
        // It would fetch packages and lists of models; whoever does not speak to loopback finds nobody.
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            opencode.env(name, "http://127.0.0.1:9");
        }
        for name in ["NO_PROXY", "no_proxy"] {
            opencode.env(name, "127.0.0.1,localhost");
        }
        let printed = stage.run(&opencode);
        stage.check(&printed, target);
    }
}
