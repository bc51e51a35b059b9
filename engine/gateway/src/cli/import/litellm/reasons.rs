//! Why parts of `LiteLLM`'s file are not in the policy.

use super::super::report::{Fate, Reason};

const CALLBACKS: &str =
    "no callbacks: Prometheus metrics at the admin address, a JSON line a request in access_log";
const PARAMETERS: &str = "requests are not changed: clients send such parameters themselves";
const PRICE: &str = "prices are not part of a deployment";

/// Parts of paths: the beginning of one, or with a dot its last key.
pub(super) const ALL: &[Reason] = &[
    (
        "environment_variables",
        Fate::Todo,
        "values were not copied: set the variables in the environment of faregate",
    ),
    ("litellm_settings.cache", Fate::Lost, "no cache of answers in this version"),
    ("litellm_settings.success_callback", Fate::Lost, CALLBACKS),
    ("litellm_settings.failure_callback", Fate::Lost, CALLBACKS),
    ("litellm_settings.callbacks", Fate::Lost, CALLBACKS),
    ("litellm_settings.service_callback", Fate::Lost, CALLBACKS),
    ("litellm_settings.langfuse", Fate::Lost, CALLBACKS),
    ("callback_settings", Fate::Lost, CALLBACKS),
    (
        "litellm_settings.turn_off_message_logging",
        Fate::Needless,
        "prompts and answers are never logged",
    ),
    ("litellm_settings.redact_", Fate::Needless, "prompts and answers are never logged"),
    ("litellm_settings.set_verbose", Fate::Needless, "see server.log_level"),
    ("litellm_settings.json_logs", Fate::Needless, "the access log is JSON"),
    ("litellm_settings.telemetry", Fate::Needless, "Faregate sends nothing home"),
    (
        "litellm_settings.context_window_fallbacks",
        Fate::Lost,
        "no fallback by the length of a prompt; targets follow when one fails",
    ),
    (
        "litellm_settings.content_policy_fallbacks",
        Fate::Lost,
        "no fallback by what a provider's filter says",
    ),
    (
        "router_settings.context_window_fallbacks",
        Fate::Lost,
        "no fallback by the length of a prompt; targets follow when one fails",
    ),
    (
        "router_settings.content_policy_fallbacks",
        Fate::Lost,
        "no fallback by what a provider's filter says",
    ),
    ("router_settings.redis", Fate::Needless, "limits of one process need no Redis"),
    ("router_settings.cache", Fate::Lost, "no cache of answers in this version"),
    (
        "router_settings.retry_policy",
        Fate::Lost,
        "what is retried does not depend on a policy's word: see docs/faults.md",
    ),
    (
        "router_settings.model_group_retry_policy",
        Fate::Lost,
        "what is retried does not depend on a policy's word: see docs/faults.md",
    ),
    (
        "router_settings.allowed_fails_policy",
        Fate::Lost,
        "[breaker] counts what is the target's fault: see docs/faults.md",
    ),
    (
        "router_settings.enable_pre_call_check",
        Fate::Lost,
        "a prompt that is too long is refused by the provider",
    ),
    ("router_settings.enable_tag_filtering", Fate::Lost, "no routes by tags in this version"),
    ("router_settings.debug_level", Fate::Needless, "see server.log_level"),
    ("router_settings.set_verbose", Fate::Needless, "see server.log_level"),
    (
        "router_settings.routing_strategy_args",
        Fate::Lost,
        "targets are chosen by weight or in order",
    ),
    ("general_settings.coordination_redis", Fate::Needless, "limits of one process need no Redis"),
    (
        "general_settings.use_redis_transaction_buffer",
        Fate::Needless,
        "limits of one process need no Redis",
    ),
    ("general_settings.disable_prisma_schema_update", Fate::Needless, "no database"),
    ("general_settings.database", Fate::Needless, "no database: keys and limits are in the policy"),
    ("general_settings.store_model_in_db", Fate::Needless, "no database: models are in the policy"),
    ("general_settings.proxy_batch_write_at", Fate::Needless, "no database"),
    ("general_settings.disable_spend_logs", Fate::Needless, "no database"),
    ("general_settings.alerting", Fate::Lost, "no alerts of its own: alert on the metrics"),
    (
        "general_settings.pass_through_endpoints",
        Fate::Lost,
        "paths that are not known go to a provider: see server.passthrough",
    ),
    (
        "general_settings.background_health_checks",
        Fate::Needless,
        "targets are judged by real requests: see [breaker]",
    ),
    (
        "general_settings.health_check_",
        Fate::Needless,
        "targets are judged by real requests: see [breaker]",
    ),
    ("general_settings.max_parallel_requests", Fate::Lost, "a target has no limit of its own"),
    (
        "general_settings.enable_jwt_auth",
        Fate::Lost,
        "callers show keys, not tokens, in this version",
    ),
    (
        "general_settings.litellm_jwtauth",
        Fate::Lost,
        "callers show keys, not tokens, in this version",
    ),
    (
        "general_settings.litellm_key_header_name",
        Fate::Lost,
        "clients show their key in authorization, x-api-key, x-goog-api-key or api-key",
    ),
    ("general_settings.custom_auth", Fate::Lost, "callers are told by [[keys]]"),
    ("general_settings.ui_", Fate::Needless, "there is no user interface"),
    ("guardrails", Fate::Lost, "no guardrails in this version"),
    ("mcp_", Fate::Lost, "no MCP servers in this version"),
    ("credential_list", Fate::Needless, "no deployment of the file uses this"),
    (".mode", Fate::Needless, "what a model is for is told by the path"),
    (".id", Fate::Needless, "a target is told by its name"),
    (".base_model", Fate::Needless, "a model is told by its provider's name for it"),
    (".api_version", Fate::Needless, "Azure's v1 API is used, which needs none"),
    (".supports_vision", Fate::Needless, "what a model can do is not asked before"),
    (".supports_function_calling", Fate::Needless, "what a model can do is not asked before"),
    (".input_cost_per_token", Fate::Lost, PRICE),
    (".output_cost_per_token", Fate::Lost, PRICE),
    (".temperature", Fate::Lost, PARAMETERS),
    (".max_tokens", Fate::Lost, PARAMETERS),
    (".top_p", Fate::Lost, PARAMETERS),
    (".seed", Fate::Lost, PARAMETERS),
    (".extra_body", Fate::Lost, PARAMETERS),
    (
        ".drop_params",
        Fate::Differs,
        "what a dialect cannot say is left out and named in x-faregate-lost, for all",
    ),
    (".additional_drop_params", Fate::Lost, PARAMETERS),
    (".max_retries", Fate::Differs, "[retries] holds for all targets"),
    (".num_retries", Fate::Differs, "[retries] holds for all targets"),
    (".tags", Fate::Lost, "no routes by tags in this version"),
    (".mock_response", Fate::Lost, "targets are real; `faregate demo` has one that is not"),
    (".max_parallel_requests", Fate::Lost, "a target has no limit of its own"),
    (".max_budget", Fate::Lost, "a target has no limit of its own: limit the team or the key"),
    (".budget_duration", Fate::Lost, "a target has no limit of its own: limit the team or the key"),
    (
        ".aws_role_name",
        Fate::Todo,
        "credentials of AWS come from its usual chain: set a profile with the role",
    ),
    (
        ".aws_profile_name",
        Fate::Todo,
        "credentials of AWS come from its usual chain: set AWS_PROFILE",
    ),
    (".aws_session_name", Fate::Needless, "credentials of AWS come from its usual chain"),
    (
        ".aws_web_identity_token",
        Fate::Todo,
        "credentials of AWS come from its usual chain: set AWS_WEB_IDENTITY_TOKEN_FILE",
    ),
    (
        ".tenant_id",
        Fate::Todo,
        "Azure takes an api_key: its directory's logins are not part of this version",
    ),
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
];
