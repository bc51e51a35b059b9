//! What requests ask, dialect by dialect: each feature as a client of the dialect spells it.
//!
//! A row has the feature's name and members of the request; members that it does not say are those of [`base`].

use faregate_adapters::dialect::Form;

/// A feature: its name, and the members that ask for it.
pub(super) type Feature = (&'static str, &'static str);

/// The members of the plainest request, unless a feature has its own.
pub(super) fn base(form: Form) -> &'static [(&'static str, &'static str)] {
    match form {
        Form::Chat => &[("model", r#""m""#), ("messages", r#"[{"role":"user","content":"Hi"}]"#)],
        Form::Responses => &[("model", r#""m""#), ("input", r#""Hi""#), ("store", "false")],
        Form::Messages => &[
            ("model", r#""m""#),
            ("max_tokens", "4000"),
            ("messages", r#"[{"role":"user","content":"Hi"}]"#),
        ],
        Form::Gemini => &[("contents", r#"[{"role":"user","parts":[{"text":"Hi"}]}]"#)],
        Form::Converse => &[("messages", r#"[{"role":"user","content":[{"text":"Hi"}]}]"#)],
    }
}

/// The features of a dialect.
pub(super) fn of(form: Form) -> &'static [Feature] {
    match form {
        Form::Chat => CHAT,
        Form::Responses => RESPONSES,
        Form::Messages => MESSAGES,
        Form::Gemini => GEMINI,
        Form::Converse => CONVERSE,
    }
}

const CHAT: &[Feature] = &[
    ("text", ""),
    (
        "instructions in the middle",
        r#""messages":[{"role":"system","content":"a"},{"role":"user","content":"Hi"},{"role":"assistant","content":"b"},{"role":"developer","content":"c"},{"role":"user","content":"d"}]"#,
    ),
    (
        "image, in the request",
        r#""messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]}]"#,
    ),
    (
        "image, at an address",
        r#""messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"https://a.example/b.png"}}]}]"#,
    ),
    (
        "image, level of detail",
        r#""messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA","detail":"low"}}]}]"#,
    ),
    (
        "PDF",
        r#""messages":[{"role":"user","content":[{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,AAAA"}}]}]"#,
    ),
    (
        "file uploaded before",
        r#""messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"file-1"}}]}]"#,
    ),
    (
        "sound",
        r#""messages":[{"role":"user","content":[{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}]}]"#,
    ),
    (
        "tools",
        r#""tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]"#,
    ),
    (
        "calls and results",
        r#""messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"call_2","type":"function","function":{"name":"f","arguments":"{}"}}]},{"role":"tool","tool_call_id":"call_1","content":"1"},{"role":"tool","tool_call_id":"call_2","content":"2"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]"#,
    ),
    (
        "tools, strict",
        r#""tools":[{"type":"function","function":{"name":"f","strict":true,"parameters":{"type":"object","properties":{},"additionalProperties":false}}}]"#,
    ),
    ("custom tools", r#""tools":[{"type":"custom","custom":{"name":"f"}}]"#),
    (
        "a tool that must be called",
        r#""tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"tool_choice":{"type":"function","function":{"name":"f"}}"#,
    ),
    (
        "one call at a time",
        r#""tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"parallel_tool_calls":false"#,
    ),
    (
        "JSON by schema",
        r#""response_format":{"type":"json_schema","json_schema":{"name":"s","strict":true,"schema":{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}}}"#,
    ),
    ("JSON, free", r#""response_format":{"type":"json_object"}"#),
    ("reasoning effort", r#""reasoning_effort":"low""#),
    ("bound of output", r#""max_completion_tokens":100"#),
    ("temperature", r#""temperature":0.2"#),
    ("top_p", r#""top_p":0.9"#),
    ("stop", r#""stop":["x"]"#),
    ("seed", r#""seed":1"#),
    ("several answers", r#""n":2"#),
    ("penalties", r#""presence_penalty":0.5,"frequency_penalty":0.5"#),
    ("logit bias", r#""logit_bias":{"1":1}"#),
    ("probabilities", r#""logprobs":true,"top_logprobs":2"#),
    ("verbosity", r#""verbosity":"low""#),
    ("end user", r#""user":"u""#),
    ("metadata", r#""metadata":{"a":"b"}"#),
    ("stored answer", r#""store":true"#),
    ("tier", r#""service_tier":"priority""#),
    ("cache key", r#""prompt_cache_key":"k""#),
    ("predicted output", r#""prediction":{"type":"content","content":"a"}"#),
    ("spoken answer", r#""modalities":["text","audio"],"audio":{"voice":"alloy","format":"wav"}"#),
    ("web search", r#""web_search_options":{}"#),
];

const RESPONSES: &[Feature] = &[
    ("text", ""),
    ("instructions", r#""instructions":"a""#),
    (
        "image",
        r#""input":[{"role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,AAAA"}]}]"#,
    ),
    (
        "PDF",
        r#""input":[{"role":"user","content":[{"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,AAAA"}]}]"#,
    ),
    (
        "tools",
        r#""tools":[{"type":"function","name":"f","parameters":{"type":"object","properties":{}},"strict":false}]"#,
    ),
    (
        "calls and results",
        r#""input":[{"role":"user","content":"Hi"},{"type":"function_call","call_id":"call_1","name":"f","arguments":"{}"},{"type":"function_call_output","call_id":"call_1","output":"1"}],"tools":[{"type":"function","name":"f","parameters":{"type":"object","properties":{}},"strict":false}]"#,
    ),
    ("custom tools", r#""tools":[{"type":"custom","name":"f"}]"#),
    (
        "namespaces of tools",
        r#""tools":[{"type":"namespace","name":"n","description":"d","tools":[{"type":"function","name":"f","parameters":{"type":"object","properties":{}},"strict":false}]}]"#,
    ),
    ("web search", r#""tools":[{"type":"web_search"}]"#),
    (
        "JSON by schema",
        r#""text":{"format":{"type":"json_schema","name":"s","strict":true,"schema":{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}}}"#,
    ),
    ("verbosity", r#""text":{"verbosity":"low"}"#),
    ("reasoning effort", r#""reasoning":{"effort":"low"}"#),
    ("reasoning summary", r#""reasoning":{"effort":"low","summary":"auto"}"#),
    ("encrypted reasoning", r#""include":["reasoning.encrypted_content"]"#),
    ("bound of output", r#""max_output_tokens":100"#),
    ("temperature", r#""temperature":0.2"#),
    ("one call at a time", r#""parallel_tool_calls":false"#),
    ("probabilities", r#""top_logprobs":2"#),
    ("metadata", r#""metadata":{"a":"b"}"#),
    ("tier", r#""service_tier":"priority""#),
    ("cache key", r#""prompt_cache_key":"k""#),
    ("truncation", r#""truncation":"auto""#),
    ("answer kept by the provider", r#""store":true"#),
    ("in the background", r#""background":true"#),
    ("the answer before", r#""previous_response_id":"resp_1""#),
];

const MESSAGES: &[Feature] = &[
    ("text", ""),
    ("instructions", r#""system":[{"type":"text","text":"a"}]"#),
    (
        "instructions in the middle",
        r#""messages":[{"role":"user","content":"Hi"},{"role":"system","content":"a"}]"#,
    ),
    (
        "cache marks",
        r#""system":[{"type":"text","text":"a","cache_control":{"type":"ephemeral"}}]"#,
    ),
    (
        "image, in the request",
        r#""messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]}]"#,
    ),
    (
        "image, at an address",
        r#""messages":[{"role":"user","content":[{"type":"image","source":{"type":"url","url":"https://a.example/b.png"}}]}]"#,
    ),
    (
        "PDF",
        r#""messages":[{"role":"user","content":[{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"AAAA"}}]}]"#,
    ),
    (
        "citations of a document",
        r#""messages":[{"role":"user","content":[{"type":"document","citations":{"enabled":true},"source":{"type":"text","media_type":"text/plain","data":"a"}}]}]"#,
    ),
    ("tools", r#""tools":[{"name":"f","input_schema":{"type":"object"}}]"#),
    (
        "calls and results",
        r#""messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"1"}]}],"tools":[{"name":"f","input_schema":{"type":"object"}}]"#,
    ),
    (
        "a tool that failed",
        r#""messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"1","is_error":true}]}],"tools":[{"name":"f","input_schema":{"type":"object"}}]"#,
    ),
    (
        "image from a tool",
        r#""messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":[{"type":"tool_use","id":"toolu_1","name":"f","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AAAA"}}]}]}],"tools":[{"name":"f","input_schema":{"type":"object"}}]"#,
    ),
    (
        "a tool that must be called",
        r#""tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"tool","name":"f"}"#,
    ),
    (
        "one call at a time",
        r#""tools":[{"name":"f","input_schema":{"type":"object"}}],"tool_choice":{"type":"auto","disable_parallel_tool_use":true}"#,
    ),
    ("web search", r#""tools":[{"type":"web_search_20250305","name":"web_search"}]"#),
    ("thinking, by budget", r#""thinking":{"type":"enabled","budget_tokens":2000}"#),
    ("thinking, adaptive", r#""thinking":{"type":"adaptive"}"#),
    ("effort", r#""output_config":{"effort":"low"}"#),
    (
        "JSON by schema",
        r#""output_config":{"format":{"type":"json_schema","schema":{"type":"object","properties":{"a":{"type":"string"}},"required":["a"],"additionalProperties":false}}}"#,
    ),
    ("temperature", r#""temperature":0.2"#),
    ("top_k", r#""top_k":5"#),
    ("stop", r#""stop_sequences":["x"]"#),
    ("end user", r#""metadata":{"user_id":"u"}"#),
    ("tier", r#""service_tier":"standard_only""#),
    ("MCP servers", r#""mcp_servers":[{"type":"url","url":"https://a.example","name":"n"}]"#),
    ("context management", r#""context_management":{"edits":[]}"#),
];

const GEMINI: &[Feature] = &[
    ("text", ""),
    ("instructions", r#""systemInstruction":{"parts":[{"text":"a"}]}"#),
    (
        "image, in the request",
        r#""contents":[{"role":"user","parts":[{"inlineData":{"mimeType":"image/png","data":"AAAA"}}]}]"#,
    ),
    (
        "PDF",
        r#""contents":[{"role":"user","parts":[{"inlineData":{"mimeType":"application/pdf","data":"AAAA"}}]}]"#,
    ),
    (
        "sound",
        r#""contents":[{"role":"user","parts":[{"inlineData":{"mimeType":"audio/wav","data":"AAAA"}}]}]"#,
    ),
    (
        "video",
        r#""contents":[{"role":"user","parts":[{"inlineData":{"mimeType":"video/mp4","data":"AAAA"}}]}]"#,
    ),
    (
        "tools",
        r#""tools":[{"functionDeclarations":[{"name":"f","parameters":{"type":"OBJECT","properties":{"a":{"type":"STRING"}}}}]}]"#,
    ),
    (
        "calls and results",
        r#""contents":[{"role":"user","parts":[{"text":"Hi"}]},{"role":"model","parts":[{"functionCall":{"name":"f","args":{}},"thoughtSignature":"c2ln"}]},{"role":"user","parts":[{"functionResponse":{"name":"f","response":{"a":1}}}]}],"tools":[{"functionDeclarations":[{"name":"f","parametersJsonSchema":{"type":"object"}}]}]"#,
    ),
    (
        "a tool that must be called",
        r#""tools":[{"functionDeclarations":[{"name":"f","parametersJsonSchema":{"type":"object"}}]}],"toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["f"]}}"#,
    ),
    ("web search", r#""tools":[{"googleSearch":{}}]"#),
    ("code execution", r#""tools":[{"codeExecution":{}}]"#),
    (
        "JSON by schema",
        r#""generationConfig":{"responseMimeType":"application/json","responseSchema":{"type":"OBJECT","properties":{"a":{"type":"STRING"}}}}"#,
    ),
    ("JSON, free", r#""generationConfig":{"responseMimeType":"application/json"}"#),
    (
        "thinking, by budget",
        r#""generationConfig":{"thinkingConfig":{"includeThoughts":true,"thinkingBudget":2000}}"#,
    ),
    ("thinking, by level", r#""generationConfig":{"thinkingConfig":{"thinkingLevel":"LOW"}}"#),
    ("bound of output", r#""generationConfig":{"maxOutputTokens":100}"#),
    ("temperature", r#""generationConfig":{"temperature":0.2}"#),
    ("top_k", r#""generationConfig":{"topK":5}"#),
    ("stop", r#""generationConfig":{"stopSequences":["x"]}"#),
    ("seed", r#""generationConfig":{"seed":1}"#),
    ("several answers", r#""generationConfig":{"candidateCount":2}"#),
    ("penalties", r#""generationConfig":{"presencePenalty":0.5,"frequencyPenalty":0.5}"#),
    ("probabilities", r#""generationConfig":{"responseLogprobs":true,"logprobs":2}"#),
    ("spoken answer", r#""generationConfig":{"responseModalities":["AUDIO"],"speechConfig":{}}"#),
    (
        "safety settings",
        r#""safetySettings":[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"BLOCK_NONE"}]"#,
    ),
    ("cached content", r#""cachedContent":"cachedContents/1""#),
    ("labels", r#""labels":{"a":"b"}"#),
];

const CONVERSE: &[Feature] = &[
    ("text", ""),
    ("instructions", r#""system":[{"text":"a"}]"#),
    ("cache marks", r#""system":[{"text":"a"},{"cachePoint":{"type":"default"}}]"#),
    (
        "image, in the request",
        r#""messages":[{"role":"user","content":[{"image":{"format":"png","source":{"bytes":"AAAA"}}}]}]"#,
    ),
    (
        "image, in S3",
        r#""messages":[{"role":"user","content":[{"image":{"format":"png","source":{"s3Location":{"uri":"s3://a/b"}}}}]}]"#,
    ),
    (
        "PDF",
        r#""messages":[{"role":"user","content":[{"text":"Hi"},{"document":{"format":"pdf","name":"a","source":{"bytes":"AAAA"}}}]}]"#,
    ),
    (
        "video",
        r#""messages":[{"role":"user","content":[{"video":{"format":"mp4","source":{"bytes":"AAAA"}}}]}]"#,
    ),
    (
        "tools",
        r#""toolConfig":{"tools":[{"toolSpec":{"name":"f","inputSchema":{"json":{"type":"object"}}}}]}"#,
    ),
    (
        "calls and results",
        r#""messages":[{"role":"user","content":[{"text":"Hi"}]},{"role":"assistant","content":[{"toolUse":{"toolUseId":"t1","name":"f","input":{}}}]},{"role":"user","content":[{"toolResult":{"toolUseId":"t1","content":[{"text":"1"}],"status":"error"}}]}],"toolConfig":{"tools":[{"toolSpec":{"name":"f","inputSchema":{"json":{"type":"object"}}}}]}"#,
    ),
    (
        "a tool that must be called",
        r#""toolConfig":{"tools":[{"toolSpec":{"name":"f","inputSchema":{"json":{"type":"object"}}}}],"toolChoice":{"tool":{"name":"f"}}}"#,
    ),
    ("bound of output", r#""inferenceConfig":{"maxTokens":100}"#),
    ("temperature", r#""inferenceConfig":{"temperature":0.2}"#),
    ("stop", r#""inferenceConfig":{"stopSequences":["x"]}"#),
    ("top_k", r#""additionalModelRequestFields":{"top_k":5}"#),
    (
        "thinking, by budget",
        r#""additionalModelRequestFields":{"thinking":{"type":"enabled","budget_tokens":2000}}"#,
    ),
    ("guardrail", r#""guardrailConfig":{"guardrailIdentifier":"g","guardrailVersion":"1"}"#),
    ("metadata", r#""requestMetadata":{"a":"b"}"#),
    ("tier", r#""serviceTier":{"type":"priority"}"#),
    ("latency", r#""performanceConfig":{"latency":"optimized"}"#),
];
