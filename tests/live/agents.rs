//! Agents on the command line, in a headless loop: the model asks for a tool, the agent runs it, the model quotes the result.

use std::{process::Command, time::Duration};

use faregate_tests::{Gateway, Launch, Provider, folder::Folder, key, program};

use crate::dialects;

/// How long an agent may take, start included.
const LONGEST: Duration = Duration::from_secs(100);

struct Stage {
    provider: Provider,
    gateway: Gateway,
    home: Folder,
}

impl Stage {
    fn new() -> Self {
        let provider = dialects::simulator();
        let policy = format!("{}{}", dialects::policy(&provider), key::row("one", ""));
        let gateway = Launch::new(policy).variable("PROVIDER_KEY", "provider-key").start();
        Self { provider, gateway, home: Folder::new() }
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

    fn check(&self, printed: &str, target: &str) {
        assert!(
            printed.contains("The tool said"),
            "{target}: {printed}\n{:?}",
            self.gateway.access()
        );
        let counters = self.provider.counters();
        assert_eq!(counters.breached(), 0, "{target}: {:?}", counters.take_breaches());
    }
}

#[test]
fn claude_code() {
    for (target, _) in dialects::TARGETS {
        let Some(mut claude) = program::npm("claude") else { return };
        let stage = Stage::new();
        stage.home.write("note.txt", "the note says 42\n");
        claude
            .args([
                "-p",
                "please call Glob now",
                "--model",
                &format!("at-{target}"),
                "--allowedTools",
                "Glob",
            ])
            .env("ANTHROPIC_BASE_URL", stage.root())
            .env("ANTHROPIC_API_KEY", key::named("one"))
            .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
            .env("DISABLE_AUTOUPDATER", "1");
        let printed = stage.run(&claude);
        stage.check(&printed, target);
    }
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
            .args(["exec", "--skip-git-repo-check", "please call get_goal now"])
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
        stage.home.write("note.txt", "the note says 42\n");
        gemini
            .args(["--skip-trust", "--approval-mode", "yolo", "--model", &format!("at-{target}")])
            .args(["--prompt", "please call list_directory now"])
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
        let config = serde_json::json!({
            "autoupdate": false, "share": "disabled",
            "model": model, "small_model": model, "enabled_providers": ["faregate"],
            "provider": {"faregate": {
                "npm": "@ai-sdk/openai-compatible",
                "options": {"baseURL": format!("{}/v1", stage.root()), "apiKey": key::named("one")},
                "models": {format!("at-{target}"): {}},
            }},
        });
        stage.home.write("opencode.json", &config.to_string());
        stage.home.write("note.txt", "the note says 42\n");
        opencode
            .args(["run", "please call glob now"])
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
