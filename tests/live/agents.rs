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
        command.env("HOME", self.home.path()).current_dir(self.home.path());
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
