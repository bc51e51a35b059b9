"""Google's SDK for Python at every model: chats, streams, tools, thoughts, shapes, counting, errors."""

import base64
import json

from google import genai
from google.genai import errors as refusals
from google.genai import types

from every import CALL, CITY, KEY, PNG, RESULTS, ROOT, TOOLS, calls, go, quoted, words

client = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=ROOT))
declarations = [
    types.FunctionDeclaration(name=name, description="x", parameters_json_schema=schema) for name, schema in TOOLS.items()
]
tools = [types.Tool(function_declarations=declarations)]


def plain(model):
    answer = client.models.generate_content(model=model, contents="hi")
    words(answer.text)
    assert answer.usage_metadata.candidates_token_count >= 16 and answer.usage_metadata.prompt_token_count > 0, answer
    assert answer.candidates[0].finish_reason == "STOP", answer


def stream(model):
    chunks = list(client.models.generate_content_stream(model=model, contents="hi"))
    words("".join(chunk.text or "" for chunk in chunks))
    assert len(chunks) > 3 and chunks[-1].usage_metadata.candidates_token_count >= 16, chunks[-1]


def joined(chunks):
    """One content of all parts."""
    parts = [part for chunk in chunks for part in chunk.candidates[0].content.parts or []]
    return types.Content(role="model", parts=parts)


def loop(model, streamed, **more):
    config = types.GenerateContentConfig(
        tools=tools, automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True), **more
    )

    def ask(contents):
        if not streamed:
            return client.models.generate_content(model=model, contents=contents, config=config).candidates[0].content
        return joined(client.models.generate_content_stream(model=model, contents=contents, config=config))

    contents = [types.Content(role="user", parts=[types.Part(text=CALL)])]
    answer = ask(contents)
    called = [part.function_call for part in answer.parts if part.function_call]
    calls(call.name for call in called)
    response = [
        types.Part(function_response=types.FunctionResponse(
            id=call.id, name=call.name, response={"result": RESULTS[call.name]}
        )) for call in called
    ]
    contents += [answer, types.Content(role="user", parts=response)]
    last = ask(contents)
    quoted("".join(part.text or "" for part in last.parts if not part.thought))
    contents += [last, types.Content(role="user", parts=[types.Part(text="call find")])]
    assert any(part.function_call for part in ask(contents).parts)
    return answer


def tool_loop(model):
    loop(model, False)
    loop(model, True)


def thoughts(model):
    for streamed in (False, True):
        thinking = types.ThinkingConfig(include_thoughts=True, thinking_budget=2048)
        answer = loop(model, streamed, thinking_config=thinking)
        if not model.endswith("chat"):
            assert any(part.thought and part.text for part in answer.parts), answer


def chat(model):
    chat = client.chats.create(model=model)
    words(chat.send_message("hi").text)
    words("".join(chunk.text or "" for chunk in chat.send_message_stream("hi again")))
    words(chat.send_message("and again").text)


def image(model):
    part = types.Part.from_bytes(data=base64.b64decode(PNG), mime_type="image/png")
    assert "image/png" in client.models.generate_content(model=model, contents=[part, "what is it?"]).text


def structured(model):
    config = {"response_mime_type": "application/json", "response_json_schema": CITY}
    assert json.loads(client.models.generate_content(model=model, contents="where?", config=config).text)["city"]


def counting(model):
    assert client.models.count_tokens(model=model, contents="hi there").total_tokens > 0


def errors(model):
    try:
        client.models.generate_content(model=model.replace("at-", "") + "-status=429", contents="hi")
        raise AssertionError("nothing was raised")
    except refusals.ClientError as error:
        assert (error.code, error.status) == (429, "RESOURCE_EXHAUSTED"), error


go(plain, stream, tool_loop, thoughts, chat, image, structured, counting, errors)
