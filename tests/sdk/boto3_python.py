"""AWS's SDK for Python at every model, by Bedrock's Converse: chats, streams, tools, thoughts, images, errors."""

import base64
import json

import boto3
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from every import CALL, KEY, PNG, RESULTS, ROOT, TOOLS, calls, go, quoted, words

config = Config(retries={"total_max_attempts": 1}, signature_version=UNSIGNED)
client = boto3.client("bedrock-runtime", endpoint_url=ROOT, region_name="us-east-1", config=config)


# Behind TLS, AWS_BEARER_TOKEN_BEDROCK does this; in the clear the SDK refuses to.
@lambda show: client.meta.events.register("before-send.bedrock-runtime", show)
def show(request, **_):
    request.headers["Authorization"] = f"Bearer {KEY}"


HI = [{"role": "user", "content": [{"text": "hi"}]}]
tools = [
    {"toolSpec": {"name": name, "description": "x", "inputSchema": {"json": schema}}} for name, schema in TOOLS.items()
]


def text_of(message):
    return "".join(block.get("text", "") for block in message["content"])


def heard(stream):
    """The message, the reason to stop and the usage of a stream."""
    blocks, stop, usage = {}, None, None
    for event in stream:
        if "contentBlockStart" in event:
            start = event["contentBlockStart"]
            blocks[start["contentBlockIndex"]] = {"toolUse": {**start["start"]["toolUse"], "input": ""}}
        elif "contentBlockDelta" in event:
            delta = event["contentBlockDelta"]["delta"]
            block = blocks.setdefault(event["contentBlockDelta"]["contentBlockIndex"], {})
            if "text" in delta:
                block["text"] = block.get("text", "") + delta["text"]
            elif "toolUse" in delta:
                block["toolUse"]["input"] += delta["toolUse"]["input"]
            else:
                thought = block.setdefault("reasoningContent", {"reasoningText": {"text": ""}})["reasoningText"]
                thought["text"] += delta["reasoningContent"].get("text", "")
                if "signature" in delta["reasoningContent"]:
                    thought["signature"] = delta["reasoningContent"]["signature"]
        elif "messageStop" in event:
            stop = event["messageStop"]["stopReason"]
        elif "metadata" in event:
            usage = event["metadata"]["usage"]
    for block in blocks.values():
        if "toolUse" in block:
            block["toolUse"]["input"] = json.loads(block["toolUse"]["input"])
    return {"role": "assistant", "content": [blocks[at] for at in sorted(blocks)]}, stop, usage


def ask(model, messages, streamed, **more):
    if streamed:
        return heard(client.converse_stream(modelId=model, messages=messages, **more)["stream"])
    answer = client.converse(modelId=model, messages=messages, **more)
    return answer["output"]["message"], answer["stopReason"], answer["usage"]


def chat(model):
    for streamed in (False, True):
        message, stop, usage = ask(model, HI, streamed, system=[{"text": "Be brief."}], inferenceConfig={"maxTokens": 100})
        words(text_of(message))
        assert stop == "end_turn" and usage["outputTokens"] >= 16 and usage["inputTokens"] > 0, usage


def loop(model, streamed, **more):
    more["toolConfig"] = {"tools": tools}
    messages = [{"role": "user", "content": [{"text": CALL}]}]
    message, stop, _ = ask(model, messages, streamed, **more)
    called = [block["toolUse"] for block in message["content"] if "toolUse" in block]
    calls(call["name"] for call in called)
    assert stop == "tool_use", stop
    results = [
        {"toolResult": {"toolUseId": call["toolUseId"], "content": [{"text": RESULTS[call["name"]]}]}} for call in called
    ]
    messages += [message, {"role": "user", "content": results}]
    last, _, _ = ask(model, messages, streamed, **more)
    quoted(text_of(last))
    return message


def tool_loop(model):
    loop(model, False)
    loop(model, True)


def thoughts(model):
    for streamed in (False, True):
        thinking = {"thinking": {"type": "enabled", "budget_tokens": 2048}}
        message = loop(model, streamed, additionalModelRequestFields=thinking, inferenceConfig={"maxTokens": 4096})
        if not model.endswith("chat"):
            assert message["content"][0]["reasoningContent"]["reasoningText"]["text"], message


def image(model):
    content = [{"text": "what is it?"}, {"image": {"format": "png", "source": {"bytes": base64.b64decode(PNG)}}}]
    message, _, _ = ask(model, [{"role": "user", "content": content}], False)
    assert "image/png" in text_of(message), message


def errors(model):
    try:
        ask(model.replace("at-", "") + "-status=429", HI, False)
        raise AssertionError("nothing was raised")
    except ClientError as error:
        assert error.response["Error"]["Code"] == "ThrottlingException", error.response


go(chat, tool_loop, thoughts, image, errors)
