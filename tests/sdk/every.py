"""What the scripts that go through several models share: where the gateway is, what is asked, and how a check is told.

ROOT is the gateway without a path, KEY the client's key, MODELS the names to go through, by commas. The provider behind the
gateway calls the tools that the last turn names, quotes their results, and refuses what the real providers refuse.
"""

import os
import sys
import traceback

ROOT, KEY = os.environ["ROOT"], os.environ["KEY"]
MODELS = os.environ["MODELS"].split(",")
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"], "additionalProperties": False}
QUERY = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"], "additionalProperties": False}
TOOLS = {"get_weather": CITY, "find": QUERY}
CALL = "call get_weather and find"
RESULTS = {"get_weather": "21 C", "find": "a needle"}


def check(name, holds):
    assert holds, name
    print("ok", name)


def words(text):
    assert len(text.split()) == 16, text


def calls(names):
    names = list(names)
    assert names == ["get_weather", "find"], names


def quoted(text):
    assert text.startswith("The tool said: ") and "21 C" in text and "a needle" in text, text


def go(*parts):
    """Each part with each model; all that fail are told, then the script ends."""
    failed = 0
    for model in MODELS:
        for part in parts:
            try:
                part(model)
                print("ok", part.__name__, model)
            except Exception:
                failed += 1
                print("FAILED", part.__name__, model)
                traceback.print_exc(file=sys.stdout, limit=-3, chain=False)
    if failed:
        sys.exit(f"{failed} failed")
    print("all good")
