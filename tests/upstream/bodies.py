"""Scenarios: answers that are no stream, and refusals (rows 28 to 33 and 35)."""

import orjson

from .answers import chunk, completion
from .framing import stream_bytes
from .scenarios import hello, scenario
from .wire import Request, Wire

PAGE = (
    b"<!doctype html><html><title>Sign in</title><body onload=alert(1)>Please sign in</body></html>"
)
BAD_GATEWAY = b"<html><h1>502 Bad Gateway</h1><hr>nginx</html>"


@scenario(28)
async def garbage_line(wire: Wire, request: Request) -> None:
    """A line that is no JSON in the middle of a good stream."""
    await wire.head()
    await wire.event(chunk("Hello"))
    await wire.send(b"data: {not json\n\ndata: 42\n\n")
    await hello(wire, ", ", "world")


@scenario(28)
async def all_garbage(wire: Wire, request: Request) -> None:
    """A stream with nothing readable in it."""
    await wire.head()
    await wire.send(b"data: lorem\n\ndata: ipsum\n\n" * 5)
    await wire.end()


@scenario(29)
async def html_error(wire: Wire, request: Request, *, status: int = 502) -> None:
    """A proxy's error page."""
    await wire.body(status, BAD_GATEWAY, content_type="text/html")


@scenario(29)
async def empty_error(wire: Wire, request: Request, *, status: int = 504) -> None:
    """An error status with an empty body."""
    await wire.body(status, b"")


@scenario(29)
async def empty_page(wire: Wire, request: Request) -> None:
    """A good status and not a byte."""
    await wire.body(200, b"")


@scenario(29)
async def sign_in_page(wire: Wire, request: Request) -> None:
    """A good status and a web page."""
    await wire.body(200, PAGE, content_type="text/html")


@scenario(30)
async def content_type(
    wire: Wire, request: Request, *, value: str = "", form: str = "events"
) -> None:
    """A wrong or missing content type; form=events|json|words."""
    data = {
        "events": stream_bytes(),
        "comment": b": hi\n\n" + stream_bytes(),
        "json": orjson.dumps(completion(["Hello, world"])),
        "words": b"Service is up.",
    }[form]
    await wire.body(200, data, content_type=value or None)


@scenario(31)
async def rate_limited(
    wire: Wire, request: Request, *, retry_after: str = "", retry_after_ms: str = ""
) -> None:
    """429, with the headers given."""
    headers = {"retry_after": str(retry_after), "retry_after_ms": str(retry_after_ms)}
    given = {name: value for name, value in headers.items() if value}
    await wire.error(429, "Rate limit exceeded.", "rate_limit_exceeded", **given)


@scenario(31)
async def no_quota(wire: Wire, request: Request) -> None:
    """429 because the account is used up."""
    await wire.error(429, "You exceeded your current quota.", "insufficient_quota")


@scenario(32)
async def failing(
    wire: Wire, request: Request, *, status: int = 503, should_retry: str = ""
) -> None:
    """An error status; should_retry=true|false sends x-should-retry."""
    headers = {"x_should_retry": should_retry} if should_retry else {}
    await wire.error(status, "The server is overloaded.", **headers)


@scenario(33)
async def context_too_long(wire: Wire, request: Request) -> None:
    """400 because the conversation is too long for the model."""
    text = "This model's maximum context length is 8192 tokens, you sent 9000."
    await wire.error(400, text, "context_length_exceeded")


@scenario(33)
async def bad_key(wire: Wire, request: Request, *, status: int = 401) -> None:
    """401 (or status=403), quoting the key that was sent."""
    sent = request.headers.get("authorization", "")
    await wire.error(status, f"Incorrect API key provided: {sent}", "invalid_api_key")


@scenario(33)
async def unknown_model(wire: Wire, request: Request) -> None:
    """404 because there is no such model."""
    await wire.error(404, "The model does not exist.", "model_not_found")


@scenario(33)
async def refused(
    wire: Wire, request: Request, *, status: int = 400, message: str = "Bad parameter."
) -> None:
    """Any error status with any message."""
    await wire.error(status, message)


@scenario(33)
async def quoting(wire: Wire, request: Request) -> None:
    """422 that repeats the whole request, as servers with a schema do."""
    await wire.json(422, {"detail": [{"input": request.json}]})


@scenario(33)
async def no_stream_options(wire: Wire, request: Request) -> None:
    """400 for every request that asks for usage."""
    if "stream_options" in request.json:
        await wire.error(400, "Unknown parameter: 'stream_options'.")
    else:
        await wire.head()
        await hello(wire)


@scenario(35)
async def redirect(
    wire: Wire, request: Request, *, status: int = 302, to: str = "http://elsewhere.invalid/v1"
) -> None:
    """A redirect, to another host unless told otherwise."""
    await wire.body(status, b"", location=to)
