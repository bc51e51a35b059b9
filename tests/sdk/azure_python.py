"""OpenAI's SDK for Python as Azure's client at every model: deployments and a date in the path, the key in a field of its own."""

import json

from openai import AzureOpenAI, NotFoundError

from every import CALL, KEY, RESULTS, ROOT, TOOLS, calls, go, quoted, words

client = AzureOpenAI(azure_endpoint=ROOT, api_key=KEY, api_version="2024-10-21", max_retries=0)
tools = [
    {"type": "function", "function": {"name": name, "description": "x", "parameters": schema}}
    for name, schema in TOOLS.items()
]
HI = [{"role": "user", "content": "hi"}]


def plain(model):
    answer = client.chat.completions.create(model=model, messages=HI)
    words(answer.choices[0].message.content)
    assert answer.usage.completion_tokens >= 16, answer


def stream(model):
    chunks = list(
        client.chat.completions.create(
            model=model, messages=HI, stream=True, stream_options={"include_usage": True}
        )
    )
    words("".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices))
    assert chunks[-1].usage.completion_tokens >= 16, chunks[-1]


def loop(model):
    turns = [{"role": "user", "content": CALL}]
    message = client.chat.completions.create(model=model, messages=turns, tools=tools).choices[0].message
    calls(call.function.name for call in message.tool_calls)
    turns.append(message)
    for call in message.tool_calls:
        json.loads(call.function.arguments)
        turns.append({"role": "tool", "tool_call_id": call.id, "content": RESULTS[call.function.name]})
    quoted(client.chat.completions.create(model=model, messages=turns, tools=tools).choices[0].message.content)


def responses(model):
    words(client.responses.create(model=model, input="hi", store=False).output_text)


def others(model):
    assert any(listed.id == model for listed in client.models.list()), model
    try:
        client.chat.completions.create(model="nobody", messages=HI)
        raise AssertionError("a deployment that is not there")
    except NotFoundError:
        pass


go(plain, stream, loop, responses, others)
