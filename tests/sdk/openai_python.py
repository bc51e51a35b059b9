"""What a program with the OpenAI SDK for Python does, through the gateway at BASE_URL.

Each check prints its name; the first that fails ends the script. The provider behind the gateway takes a member `sim` of the
body, or a field `x-sim` of the head, that says how it answers.
"""

import asyncio
import io
import os

import openai
from openai import AsyncOpenAI, OpenAI

URL, KEY, NARROW = (os.environ[name] for name in ("BASE_URL", "KEY", "NARROW_KEY"))
MESSAGES = [{"role": "user", "content": "hi"}]

client = OpenAI(base_url=URL, api_key=KEY)
once = OpenAI(base_url=URL, api_key=KEY, max_retries=0)


def check(name, holds):
    assert holds, name
    print("ok", name)


def raises(name, kind, status, code, act):
    try:
        act()
    except openai.APIStatusError as error:
        check(f"{name}: {type(error).__name__}", type(error) is kind)
        check(f"{name}: {error.status_code} {error.code}", (error.status_code, error.code) == (status, code))
        check(f"{name}: message and request id", error.message and error.request_id)
        return error
    raise AssertionError(f"{name}: nothing was raised")


def chat():
    answer = client.chat.completions.create(model="gpt-5", messages=MESSAGES)
    check("chat", answer.choices[0].message.content and answer.usage.completion_tokens == 16)
    raw = client.chat.completions.with_raw_response.create(model="gpt-5", messages=MESSAGES)
    check("chat headers", raw.headers["x-request-id"] and raw.headers["x-faregate-route"] == "sim/*")
    check("rate limit headers of the provider", raw.headers["x-ratelimit-limit-requests"] == "10000")


def streams():
    chunks = list(client.chat.completions.create(model="gpt-5", messages=MESSAGES, stream=True))
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    check("stream", len(text.split()) == 16 and chunks[-1].choices[0].finish_reason == "stop")
    check("no usage unless asked", all(chunk.usage is None and chunk.choices for chunk in chunks))
    asked = {"include_usage": True}
    chunks = list(client.chat.completions.create(model="gpt-5", messages=MESSAGES, stream=True, stream_options=asked))
    check("usage when asked", chunks[-1].usage.completion_tokens == 16 and chunks[-1].choices == [])
    with client.chat.completions.stream(model="gpt-5", messages=MESSAGES) as stream:
        check("stream helper", stream.get_final_completion().choices[0].message.content)


def tools():
    function = {"name": "look", "parameters": {"type": "object", "properties": {"at": {"type": "string"}}}}
    kept = {
        "tools": [{"type": "function", "function": function}],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
    }
    answer = client.chat.completions.create(model="gpt-5", messages=MESSAGES, **kept)
    check("tools are taken", answer.choices)
    turn = [
        *MESSAGES,
        {"role": "assistant", "content": None, "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{\"at\":\"é\"}"}},
        ]},
        {"role": "tool", "tool_call_id": "call_1", "content": "seen"},
    ]
    chunks = list(client.chat.completions.create(model="gpt-5", messages=turn, stream=True, **kept))
    check("tool turns stream", chunks[-1].choices[0].finish_reason)


def others():
    answer = client.embeddings.create(model="text-embedding-3-small", input=["a", "b"])
    check("embeddings", len(answer.data) == 2 and len(answer.data[0].embedding) == 1536)
    answer = client.embeddings.create(model="e", input="a", encoding_format="float", dimensions=8)
    check("embeddings as floats", len(answer.data[0].embedding) == 8)
    answer = client.completions.create(model="davinci-002", prompt="hi")
    check("legacy completions", answer.choices[0].text)
    chunks = list(client.completions.create(model="davinci-002", prompt="hi", stream=True))
    check("legacy completions stream", "".join(c.choices[0].text for c in chunks).strip())
    check("models", [m.id for m in client.models.list() if m.id == "sim/gpt-5" or m.id == "gpt-5"])


def passed_through():
    echo = client.post("/moderations", cast_to=dict, body={"model": "omni-moderation-latest", "input": "x", "new": [1, None]})
    check("moderations", echo["object"] == "echo" and '"new":[1,null]' in echo["body"].replace(" ", ""))
    echo = client.post("/images/generations", cast_to=dict, body={"model": "gpt-image-1", "prompt": "a cat"})
    check("images", echo["target"] == "/v1/images/generations")
    upload = client.files.with_raw_response.create(file=("a.jsonl", b'{"a":1}\n'), purpose="batch")
    check("files", '{"a":1}' in upload.http_response.json()["body"] and "multipart/form-data" in upload.text)
    audio = client.audio.transcriptions.with_raw_response.create(
        model="whisper-1", file=("a.wav", io.BytesIO(b"RIFF" + bytes(range(33, 120)) * 100))
    )
    check("audio", "/v1/audio/transcriptions" in audio.text)
    check("responses", client.responses.create(model="gpt-5", input="hi").output_text)
    echo = client.get("/batches?limit=2&after=x", cast_to=dict)
    check("queries", echo["target"] == "/v1/batches?limit=2&after=x")
    echo = client.delete("/files/file-1", cast_to=dict)
    check("other methods", (echo["method"], echo["target"]) == ("DELETE", "/v1/files/file-1"))


def errors():
    wrong = OpenAI(base_url=URL, api_key="sk-wrong", max_retries=0)
    ask = {"model": "gpt-5", "messages": MESSAGES}
    raises("wrong key", openai.AuthenticationError, 401, "invalid_api_key", lambda: wrong.chat.completions.create(**ask))
    narrow = OpenAI(base_url=URL, api_key=NARROW, max_retries=0)
    raises(
        "a model that is not allowed", openai.PermissionDeniedError, 403, "model_not_allowed",
        lambda: narrow.chat.completions.create(model="other", messages=MESSAGES),
    )
    raises(
        "used up", openai.RateLimitError, 429, "request_rate_exceeded",
        lambda: [narrow.chat.completions.create(**ask) for _ in range(2)],
    )
    raises(
        "no model", openai.BadRequestError, 400, "missing_model",
        lambda: once.post("/chat/completions", cast_to=dict, body={"messages": MESSAGES}),
    )
    raises("no path", openai.NotFoundError, 404, "unknown_path", lambda: OpenAI(
        base_url=URL.replace("/v1", "/v9"), api_key=KEY, max_retries=0
    ).chat.completions.create(**ask))
    error = raises(
        "the provider's own words", openai.BadRequestError, 400, "scripted",
        lambda: once.chat.completions.create(**ask, extra_body={"sim": "status=400"}),
    )
    check("its message", "refused by script" in error.message)
    raises(
        "the provider's limit", openai.RateLimitError, 429, "rate_limit_exceeded",
        lambda: once.chat.completions.create(**ask, extra_body={"sim": "status=429"}),
    )
    raises(
        "the provider is down", openai.InternalServerError, 502, "upstream_reset",
        lambda: once.chat.completions.create(**ask, extra_body={"sim": "reset_at=head"}),
    )
    try:
        list(once.chat.completions.create(**ask, stream=True, extra_body={"sim": "tokens=50; reset_at=5000"}))
        raise AssertionError("a stream that is broken off raises")
    except openai.APIError as error:
        check(f"a stream that is broken off: {type(error).__name__}", "broke" in str(error))


def retries():
    # The gateway has tried twice and says not to try again; this client would.
    keen = OpenAI(base_url=URL, api_key=KEY, max_retries=3)
    try:
        keen.post("/audio/retry-probe", cast_to=dict, body={"model": "gpt-5"}, options={"headers": {"x-sim": "status=500"}})
        raise AssertionError("an error is raised")
    except openai.InternalServerError as error:
        check("x-should-retry: false is passed on", error.response.headers["x-should-retry"] == "false")


async def asynchronous():
    async with AsyncOpenAI(base_url=URL, api_key=KEY) as client:
        ask = [client.chat.completions.create(model="gpt-5", messages=MESSAGES) for _ in range(20)]
        answers = await asyncio.gather(*ask)
        check("twenty at once", all(answer.choices for answer in answers))
        stream = await client.chat.completions.create(model="gpt-5", messages=MESSAGES, stream=True)
        check("asynchronous stream", len([chunk async for chunk in stream]) > 16)


for part in (chat, streams, tools, others, passed_through, errors, retries):
    part()
asyncio.run(asynchronous())
print("all good")
