//! Heads as an SDK and a provider write them.

/// A request of the OpenAI Python SDK: 393 bytes, 11 fields.
pub const REQUEST: &[u8] = b"POST /v1/chat/completions HTTP/1.1\r\n\
    Host: llm-gateway.internal:4000\r\n\
    Accept-Encoding: gzip, deflate\r\n\
    Connection: keep-alive\r\n\
    Accept: application/json\r\n\
    Content-Type: application/json\r\n\
    User-Agent: OpenAI/Python 1.109.1\r\n\
    X-Stainless-Lang: python\r\n\
    X-Stainless-OS: Linux\r\n\
    X-Stainless-Arch: x86_64\r\n\
    Authorization: Bearer fg-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGh6Jk2Q\r\n\
    Content-Length: 1024\r\n\
    \r\n";

/// Bytes of the request's body, as its head says.
pub const REQUEST_BODY_BYTES: u64 = 1024;

/// The head of a streamed answer of OpenAI.
pub const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\n\
    Date: Tue, 24 Nov 2026 22:58:36 GMT\r\n\
    Content-Type: text/event-stream; charset=utf-8\r\n\
    Transfer-Encoding: chunked\r\n\
    Connection: keep-alive\r\n\
    access-control-expose-headers: X-Request-ID\r\n\
    openai-organization: example\r\n\
    openai-processing-ms: 212\r\n\
    openai-version: 2020-10-01\r\n\
    x-ratelimit-limit-requests: 10000\r\n\
    x-ratelimit-remaining-requests: 9999\r\n\
    x-request-id: req_5b7c0c2f8d9e4a6fb1a2c3d4e5f60718\r\n\
    \r\n";

const _: () = assert!(REQUEST.len() == 393, "cases and documents name its size");
