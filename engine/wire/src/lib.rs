//! Bytes to meaning: HTTP/1.1 heads, framing, chunks, SSE events and JSON spans.
