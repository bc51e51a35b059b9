"""Stored responses with the OpenAI SDK for Python, by two callers, through the gateway at BASE_URL."""

import os

import openai
from openai import OpenAI

URL, KEY, OTHER = (os.environ[name] for name in ("BASE_URL", "KEY", "OTHER_KEY"))
client = OpenAI(base_url=URL, api_key=KEY, max_retries=0)
other = OpenAI(base_url=URL, api_key=OTHER, max_retries=0)


def raises(kind, code, act):
    try:
        act()
    except kind as error:
        assert error.code == code, error
        print("ok", code)
        return
    raise AssertionError(f"no {kind.__name__}")


def conversation():
    """Turns that go on from each other, whole and streamed."""
    answer = client.responses.create(model="m", input="one")
    ids = [answer.id]
    for turn in range(6):
        goes_on = {"model": "m", "input": f"turn {turn}", "previous_response_id": ids[-1]}
        if turn % 2:
            with client.responses.stream(**goes_on) as stream:
                answer = stream.get_final_response()
        else:
            answer = client.responses.create(**goes_on)
        assert answer.previous_response_id == ids[-1], answer
        ids.append(answer.id)
    return ids


for _ in range(4):
    ids = conversation()
    last = ids[-1]
    assert client.responses.retrieve(last).id == last
    assert len(client.responses.input_items.list(last, limit=100).data) == 13
    raises(openai.NotFoundError, "response_not_found", lambda: other.responses.retrieve(last))
    raises(openai.NotFoundError, "response_not_found", lambda: other.responses.delete(last))
    raises(openai.NotFoundError, "response_not_found", lambda: other.responses.input_items.list(last))
    raises(openai.NotFoundError, "response_not_found", lambda: other.responses.cancel(last))
    raises(
        openai.BadRequestError,
        "previous_response_not_found",
        lambda: other.responses.create(model="m", input="x", previous_response_id=last),
    )
    client.responses.delete(last)
    raises(openai.NotFoundError, "response_not_found", lambda: client.responses.retrieve(last))
    assert client.responses.retrieve(ids[0]).id == ids[0]

behind = client.responses.create(model="m", input="x", background=True)
assert client.responses.cancel(behind.id).status == "cancelled"
print("all good")
