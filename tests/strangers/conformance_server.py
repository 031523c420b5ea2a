"""A memweld server beside whose tools stand those, the resources and the prompts that the conformance suite asks for.

The suite finds them by their names; what each must do is written in the suite's scenarios (version in package.json).
Run it with the way errors are answered, ``jsonrpc`` or ``tool``; it says on stderr where it serves.
"""

from __future__ import annotations

import sys
from typing import Any, Literal

import anyio
import mcp.types as mt
from fastmcp import Context
from fastmcp.prompts import Message
from fastmcp.tools import Tool, ToolResult
from fastmcp.utilities.types import Audio, Image
from pydantic import AnyUrl, BaseModel

import memweld
from memweld.mcp import create_server

PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010804000000b51c0c02"
    "0000000b4944415478da6364f80f00010501012718e3660000000049454e44ae426082"
)
SILENCE = b"RIFF&\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0\x40\x1f\0\0\x80\x3e\0\0\2\0\x10\0data\2\0\0\0\0\0"
SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {"address": {"type": "object", "properties": {"street": {"type": "string"}, "city": {"type": "string"}}}},
    "properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"}},
    "additionalProperties": False,
}

server = create_server(memweld.connect("sqlite://"), errors="tool" if sys.argv[1] == "tool" else "jsonrpc")


def embedded(uri: str, text: str, kind: str = "text/plain") -> mt.EmbeddedResource:
    return mt.EmbeddedResource(
        type="resource", resource=mt.TextResourceContents(uri=AnyUrl(uri), mimeType=kind, text=text)
    )


@server.tool
def test_simple_text() -> str:
    """Answers with text."""
    return "This is a simple text response for testing."


@server.tool
def test_image_content() -> Image:
    """Answers with an image."""
    return Image(data=PIXEL, format="png")


@server.tool
def test_audio_content() -> Audio:
    """Answers with a sound."""
    return Audio(data=SILENCE, format="wav")


@server.tool
def test_embedded_resource() -> mt.EmbeddedResource:
    """Answers with a resource."""
    return embedded("test://embedded-resource", "This is an embedded resource content.")


@server.tool
def test_multiple_content_types() -> ToolResult:
    """Answers with text, an image and a resource."""
    return ToolResult(
        [
            mt.TextContent(type="text", text="Multiple content types test:"),
            Image(data=PIXEL, format="png").to_image_content(),
            embedded("test://mixed-content-resource", '{"test": "data", "value": 123}', "application/json"),
        ]
    )


@server.tool
async def test_tool_with_logging(context: Context) -> str:
    """Writes to the client's log."""
    for what in ("started", "processing data", "completed"):
        await context.info(f"Tool execution {what}")
        await anyio.sleep(0.05)
    return "done"


@server.tool
async def test_tool_with_progress(context: Context) -> str:
    """Tells how far it is."""
    for percent in (0, 50, 100):
        await context.report_progress(percent, 100)
        await anyio.sleep(0.05)
    return "done"


@server.tool
def test_error_handling() -> str:
    """Fails."""
    raise RuntimeError("This tool intentionally returns an error for testing")


@server.tool
async def test_sampling(prompt: str, context: Context) -> str:
    """Asks the client's model."""
    return f"LLM response: {(await context.sample(prompt, max_tokens=100)).text}"


class Answer(BaseModel):
    username: str
    email: str


@server.tool
async def test_elicitation(message: str, context: Context) -> str:
    """Asks the user."""
    result = await context.elicit(message, Answer)
    return f"User response: action={result.action}"


class Defaults(BaseModel):
    name: str = "John Doe"
    age: int = 30
    score: float = 95.5
    status: Literal["active", "inactive", "pending"] = "active"
    verified: bool = True


@server.tool
async def test_elicitation_sep1034_defaults(context: Context) -> str:
    """Asks the user, with defaults."""
    result = await context.elicit("Who is it?", Defaults)
    return f"Elicitation completed: action={result.action}"


TITLED = [{"const": f"value{number}", "title": f"Option {number}"} for number in (1, 2, 3)]
UNTITLED = ["option1", "option2", "option3"]
LEGACY = {"enum": ["opt1", "opt2", "opt3"], "enumNames": ["Option One", "Option Two", "Option Three"]}
CHOICES: dict[str, Any] = {
    "type": "object",
    "properties": {
        "untitledSingle": {"type": "string", "enum": UNTITLED},
        "titledSingle": {"type": "string", "oneOf": TITLED},
        "legacyEnum": {"type": "string", **LEGACY},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": UNTITLED}},
        "titledMulti": {"type": "array", "items": {"anyOf": TITLED}},
    },
}


@server.tool
async def test_elicitation_sep1330_enums(context: Context) -> str:
    """Asks the user to choose."""
    # The session's own call, because FastMCP's takes a Python type and writes the schema itself.
    result = await context.session.elicit_form("Choose", requestedSchema=CHOICES, related_request_id=context.request_id)
    return f"Elicitation completed: action={result.action}"


@server.tool
async def test_reconnection(context: Context) -> str:
    """Closes the stream before it answers."""
    await context.close_sse_stream()
    await anyio.sleep(0.2)
    return "Reconnection test completed"


def json_schema_2020_12_tool(name: str) -> str:
    """Has a schema with definitions."""
    return name


@server.resource("test://static-text", mime_type="text/plain")
def static_text() -> str:
    """A text."""
    return "This is the content of the static text resource."


@server.resource("test://static-binary", mime_type="image/png")
def static_binary() -> bytes:
    """A picture."""
    return PIXEL


@server.resource("test://template/{id}/data", mime_type="application/json")
def template(id: str) -> str:  # noqa: A002 - the suite's name
    """A text with a parameter."""
    return f'{{"id": "{id}", "templateTest": true, "data": "Data for ID: {id}"}}'


@server.resource("test://watched-resource", mime_type="text/plain")
def watched() -> str:
    """A text that clients can watch."""
    return "Watched resource content"


@server.prompt
def test_simple_prompt() -> str:
    """A prompt."""
    return "This is a simple prompt for testing."


@server.prompt
def test_prompt_with_arguments(arg1: str, arg2: str) -> str:
    """A prompt with arguments."""
    return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


@server.prompt
def test_prompt_with_embedded_resource(resourceUri: str) -> list[Message]:  # noqa: N803 - the suite's name
    """A prompt with a resource."""
    return [Message(embedded(resourceUri, "Embedded resource content for testing.")), Message("Please process it.")]


@server.prompt
def test_prompt_with_image() -> list[Message]:
    """A prompt with an image."""
    return [Message(Image(data=PIXEL, format="png").to_image_content()), Message("Please analyze the image above.")]


server.add_tool(Tool.from_function(json_schema_2020_12_tool).model_copy(update={"parameters": SCHEMA}))

if __name__ == "__main__":
    server.run(transport="http", port=0)
