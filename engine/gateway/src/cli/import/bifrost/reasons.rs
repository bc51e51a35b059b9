//! Why parts of Bifrost's file are not in the policy.

use super::super::report::{Fate, Reason};

const STORE: &str = "no store: the policy is the only truth, and what is counted is in memory";

/// Parts of paths: the beginning of one, or with a dot its last key.
pub(super) const ALL: &[Reason] = &[
    ("$schema", Fate::Needless, "`faregate check` says what is wrong"),
    ("version", Fate::Needless, "the file was read by it"),
    ("source_of_truth", Fate::Needless, STORE),
    ("encryption_key", Fate::Needless, "no store: there is nothing to encrypt"),
    ("config_store", Fate::Needless, STORE),
    (
        "logs_store",
        Fate::Needless,
        "the access log is a JSON line a request: see server.access_log",
    ),
    ("vector_store", Fate::Lost, "no cache of answers in this version"),
    ("plugins", Fate::Lost, "no plugins: metrics, logs and keys are built in"),
    ("mcp", Fate::Lost, "no MCP servers in this version"),
    ("guardrails_config", Fate::Lost, "no guardrails in this version"),
    ("framework", Fate::Needless, "no list of prices is fetched"),
    ("server", Fate::Needless, "see server.head_bytes"),
    ("env_label", Fate::Needless, "there is no user interface"),
    ("auth_config", Fate::Needless, "there is no user interface; the admin address is private"),
    (
        "governance.auth_config",
        Fate::Needless,
        "there is no user interface; the admin address is private",
    ),
    (
        "governance.model_configs",
        Fate::Lost,
        "a model has no limit of its own: limit a key, a team or the organisation",
    ),
    ("client.initial_pool_size", Fate::Needless, "connections are made as they are needed"),
    (
        "client.drop_excess_requests",
        Fate::Needless,
        "nothing waits in a queue: a limit refuses at once",
    ),
    ("client.enable_logging", Fate::Needless, "see server.access_log; prompts are never logged"),
    ("client.disable_content_logging", Fate::Needless, "prompts are never logged"),
    ("client.log_retention_days", Fate::Needless, "the access log is kept by whoever reads it"),
    ("client.prometheus_labels", Fate::Lost, "labels are those of docs/metrics.md"),
    ("client.allowed_origins", Fate::Lost, "no CORS: browsers do not call it directly"),
    ("client.allow_direct_keys", Fate::Lost, "providers get the keys of the policy only"),
    ("client.compat", Fate::Needless, "dialects are translated where they have to be"),
    (
        "client.enable_litellm_fallbacks",
        Fate::Needless,
        "dialects are translated where they have to be",
    ),
    ("client.mcp_", Fate::Lost, "no MCP servers in this version"),
    (
        ".concurrency_and_buffer_size",
        Fate::Lost,
        "a provider has no limit of its own: limit a key, a team or the organisation",
    ),
    (".proxy_config", Fate::Lost, "no proxy on the way to a provider"),
    (".max_conns_per_host", Fate::Needless, "connections are made as they are needed"),
    (
        ".send_back_raw_request",
        Fate::Needless,
        "answers pass as they are where the dialect is the same",
    ),
    (
        ".send_back_raw_response",
        Fate::Needless,
        "answers pass as they are where the dialect is the same",
    ),
    (".prompt_cache", Fate::Lost, "cache marks are the client's; they are carried, not added"),
    (".allowed_requests", Fate::Lost, "what a provider cannot do it refuses itself"),
    (".is_key_less", Fate::Needless, "a provider without api_key gets none"),
    (".request_path_overrides", Fate::Lost, "paths are those of the dialect"),
    (".use_for_batch_api", Fate::Lost, "batches go to the provider of server.passthrough"),
    (".id", Fate::Needless, "a key is told by its name"),
    (".description", Fate::Needless, "a comment of yours"),
    (".api_version", Fate::Needless, "Azure's v1 API is used, which needs none"),
    (
        ".client_id",
        Fate::Todo,
        "Azure takes an api_key: its directory's logins are not part of this version",
    ),
    (
        ".client_secret",
        Fate::Todo,
        "Azure takes an api_key: its directory's logins are not part of this version",
    ),
    (
        ".tenant_id",
        Fate::Todo,
        "Azure takes an api_key: its directory's logins are not part of this version",
    ),
    (
        ".role_arn",
        Fate::Todo,
        "credentials of AWS come from its usual chain: set a profile with the role",
    ),
    (".arn", Fate::Lost, "name the whole ARN as the model of a target"),
    (".calendar_aligned", Fate::Differs, "how periods begin is the policy's own rule"),
];
