"""Anthropic's SDK for Python at every model: chats, streams, tools, thoughts, shapes, counting, errors."""

import anthropic

from every import CALL, CITY, KEY, PNG, RESULTS, ROOT, TOOLS, calls, go, quoted, words

client = anthropic.Anthropic(base_url=ROOT, api_key=KEY, max_retries=0)
tools = [{"name": name, "description": "x", "input_schema": schema} for name, schema in TOOLS.items()]
HI = [{"role": "user", "content": "hi"}]


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


def plain(model):
    message = client.messages.create(model=model, max_tokens=100, messages=HI, system="Be brief.")
    words(text_of(message))
    assert message.stop_reason == "end_turn" and message.usage.output_tokens >= 16, message
    assert message.usage.input_tokens > 0, message


def stream(model):
    with client.messages.stream(model=model, max_tokens=100, messages=HI) as events:
        text = "".join(events.text_stream)
        message = events.get_final_message()
    words(text)
    assert text == text_of(message) and message.usage.output_tokens >= 16 and message.usage.input_tokens, message


def results(message):
    return [
        {"type": "tool_result", "tool_use_id": block.id, "content": RESULTS[block.name]}
        for block in message.content if block.type == "tool_use"
    ]


def loop(model, streamed, **more):
    def ask(messages):
        if not streamed:
            return client.messages.create(model=model, max_tokens=4096, messages=messages, tools=tools, **more)
        with client.messages.stream(model=model, max_tokens=4096, messages=messages, tools=tools, **more) as events:
            return events.get_final_message()

    messages = [{"role": "user", "content": CALL}]
    message = ask(messages)
    calls(block.name for block in message.content if block.type == "tool_use")
    assert message.stop_reason == "tool_use", message
    messages += [{"role": "assistant", "content": message.content}, {"role": "user", "content": results(message)}]
    answer = ask(messages)
    quoted(text_of(answer))
    messages += [{"role": "assistant", "content": answer.content}, {"role": "user", "content": "call find"}]
    assert ask(messages).stop_reason == "tool_use"
    return message


def tool_loop(model):
    loop(model, False)
    loop(model, True)


def thoughts(model):
    for streamed in (False, True):
        message = loop(model, streamed, thinking={"type": "enabled", "budget_tokens": 2048})
        if not model.endswith("chat"):
            assert message.content[0].type == "thinking" and message.content[0].thinking, message


def image(model):
    source = {"type": "base64", "media_type": "image/png", "data": PNG}
    content = [{"type": "image", "source": source}, {"type": "text", "text": "what is it?"}]
    message = client.messages.create(model=model, max_tokens=100, messages=[{"role": "user", "content": content}])
    assert "image/png" in text_of(message), message


def structured(model):
    shape = {"format": {"type": "json_schema", "schema": CITY}}
    message = client.messages.create(model=model, max_tokens=100, messages=HI, output_config=shape)
    assert text_of(message).startswith('{"city":'), message


def counting(model):
    assert client.messages.count_tokens(model=model, messages=HI).input_tokens > 0


def errors(model):
    try:
        client.messages.create(model=model.replace("at-", "") + "-status=429", max_tokens=100, messages=HI)
        raise AssertionError("nothing was raised")
    except anthropic.RateLimitError as error:
        assert error.status_code == 429 and error.body["error"]["type"] == "rate_limit_error", error.body


def listed(model):
    assert model in [one.id for one in client.models.list()]


go(plain, stream, tool_loop, thoughts, image, structured, counting, errors, listed)
