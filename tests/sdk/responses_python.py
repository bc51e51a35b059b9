"""OpenAI's SDK for Python at every model, by its Responses API: chats, streams, tools, thoughts, shapes, errors."""

import json

import openai
from pydantic import BaseModel

from every import CALL, KEY, PNG, RESULTS, ROOT, TOOLS, calls, go, quoted, words

client = openai.OpenAI(base_url=f"{ROOT}/v1", api_key=KEY, max_retries=0)
tools = [
    {"type": "function", "name": name, "description": "x", "parameters": schema, "strict": True}
    for name, schema in TOOLS.items()
]
KEPT = {"store": False, "include": ["reasoning.encrypted_content"]}


class Place(BaseModel):
    """A city."""

    city: str


def plain(model):
    answer = client.responses.create(model=model, input="hi", instructions="Be brief.", **KEPT)
    words(answer.output_text)
    assert answer.status == "completed" and answer.usage.output_tokens >= 16 and answer.usage.input_tokens > 0, answer


def stream(model):
    events = list(client.responses.create(model=model, input="hi", stream=True, **KEPT))
    text = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    words(text)
    last = events[-1]
    assert last.type == "response.completed" and last.response.output_text == text, last
    with client.responses.stream(model=model, input="hi", **KEPT) as stream:
        stream.until_done()
        words(stream.get_final_response().output_text)


def loop(model, streamed, **more):
    def ask(items):
        if not streamed:
            return client.responses.create(model=model, input=items, tools=tools, **KEPT, **more)
        with client.responses.stream(model=model, input=items, tools=tools, **KEPT, **more) as stream:
            return stream.get_final_response()

    def back(answer):
        return [item.model_dump(exclude={"parsed_arguments", "parsed"}, exclude_none=True) for item in answer.output]

    items = [{"role": "user", "content": CALL}]
    answer = ask(items)
    called = [item for item in answer.output if item.type == "function_call"]
    calls(call.name for call in called)
    assert all(json.loads(call.arguments) for call in called)
    items += back(answer)
    items += [
        {"type": "function_call_output", "call_id": call.call_id, "output": RESULTS[call.name]} for call in called
    ]
    last = ask(items)
    quoted(last.output_text)
    items += [*back(last), {"role": "user", "content": "call find"}]
    assert ask(items).output[-1].type == "function_call"
    return answer


def tool_loop(model):
    loop(model, False)
    loop(model, True)


def thoughts(model):
    for streamed in (False, True):
        answer = loop(model, streamed, reasoning={"effort": "medium", "summary": "auto"})
        if not model.endswith("chat"):
            assert answer.output[0].type == "reasoning", answer


def image(model):
    content = [
        {"type": "input_text", "text": "what is it?"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}", "detail": "auto"},
    ]
    assert "image/png" in client.responses.create(model=model, input=[{"role": "user", "content": content}]).output_text


def structured(model):
    assert client.responses.parse(model=model, input="where?", text_format=Place, **KEPT).output_parsed.city


def errors(model):
    try:
        client.responses.create(model=model.replace("at-", "") + "-status=429", input="hi")
        raise AssertionError("nothing was raised")
    except openai.RateLimitError as error:
        assert error.body["message"], error.body


go(plain, stream, tool_loop, thoughts, image, structured, errors)
