"""LiteLLM's SDK as a client at every model, by OpenAI's chats, by Anthropic's messages and by Gemini's generateContent."""

import json
import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it asks the network for prices

import litellm

from every import CALL, KEY, RESULTS, ROOT, TOOLS, calls, go, quoted, words

litellm.telemetry = False
litellm.suppress_debug_info = True
tools = [
    {"type": "function", "function": {"name": name, "description": "x", "parameters": schema}}
    for name, schema in TOOLS.items()
]


def ways(model):
    yield {"model": f"openai/{model}", "api_base": f"{ROOT}/v1"}
    yield {"model": f"anthropic/{model}", "api_base": ROOT}
    yield {"model": f"gemini/{model}", "api_base": f"{ROOT}/v1beta"}


def ask(way, messages, **more):
    return litellm.completion(**way, messages=messages, api_key=KEY, num_retries=0, max_tokens=500, **more)


HI = [{"role": "user", "content": "hi"}]


def plain(model):
    for way in ways(model):
        answer = ask(way, HI)
        words(answer.choices[0].message.content)
        assert answer.usage.completion_tokens >= 16, answer


def stream(model):
    for way in ways(model):
        chunks = list(ask(way, HI, stream=True))
        words("".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices))


def tool_loop(model):
    for way in ways(model):
        for streamed in (False, True):
            messages = [{"role": "user", "content": CALL}]
            answer = ask(way, messages, tools=tools, stream=streamed)
            if streamed:
                answer = litellm.stream_chunk_builder(list(answer), messages=messages)
            message = answer.choices[0].message
            calls(call.function.name for call in message.tool_calls)
            assert all(json.loads(call.function.arguments) for call in message.tool_calls)
            messages.append(message.model_dump())
            messages += [
                {"role": "tool", "tool_call_id": call.id, "content": RESULTS[call.function.name]}
                for call in message.tool_calls
            ]
            quoted(ask(way, messages, tools=tools).choices[0].message.content)


go(plain, stream, tool_loop)
