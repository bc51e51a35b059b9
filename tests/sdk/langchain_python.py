"""LangChain at every model, by OpenAI's chats, by OpenAI's responses and by Anthropic's messages."""

from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel

from every import CALL, KEY, RESULTS, ROOT, calls, go, quoted, words


class Place(BaseModel):
    """A city."""

    city: str


@tool
def get_weather(city: str) -> str:
    """The weather of a city."""
    return RESULTS["get_weather"]


@tool
def find(q: str) -> str:
    """Finds something."""
    return RESULTS["find"]


TOOLS = [get_weather, find]


def chats(model):
    shared = {"model": model, "api_key": KEY, "max_retries": 0}
    yield ChatOpenAI(base_url=f"{ROOT}/v1", stream_usage=True, **shared)
    yield ChatOpenAI(base_url=f"{ROOT}/v1", use_responses_api=True, **shared)
    yield ChatAnthropic(base_url=ROOT, max_tokens=4096, **shared)


def text_of(message):
    if isinstance(message.content, str):
        return message.content
    blocks = ({"text": block} if isinstance(block, str) else block for block in message.content)
    return "".join(block.get("text", "") for block in blocks)


def plain(model):
    for chat in chats(model):
        answer = chat.invoke("hi")
        words(text_of(answer))
        assert answer.usage_metadata["output_tokens"] >= 16, answer


def stream(model):
    for chat in chats(model):
        whole = None
        for chunk in chat.stream("hi"):
            whole = chunk if whole is None else whole + chunk
        words(text_of(whole))
        assert whole.usage_metadata["output_tokens"] >= 16, whole


def tool_loop(model):
    for chat in chats(model):
        bound = chat.bind_tools(TOOLS)
        for streamed in (False, True):
            turns = [HumanMessage(CALL)]
            if streamed:
                answer = None
                for chunk in bound.stream(turns):
                    answer = chunk if answer is None else answer + chunk
            else:
                answer = bound.invoke(turns)
            calls(call["name"] for call in answer.tool_calls)
            turns.append(answer)
            turns += [ToolMessage(RESULTS[call["name"]], tool_call_id=call["id"]) for call in answer.tool_calls]
            quoted(text_of(bound.invoke(turns)))


def structured(model):
    for chat in chats(model):
        assert chat.with_structured_output(Place).invoke("where?").city


go(plain, stream, tool_loop, structured)
