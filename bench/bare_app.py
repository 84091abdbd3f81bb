"""The first baseline: a bare uvicorn app that answers constant bytes and asks nobody.

`python -m bench.bare_app` prints the port it listens on. `/answer` is one small answer at once,
`/paced/MILLISECONDS` a stream with one write per event, until the client leaves.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from bench.listen import listen
from bench.workloads import BARE_ANSWER, BARE_EVENT

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8")]


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """Read the request and answer it."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    parts = scope["path"].split("/")
    if parts[1] == "paced":
        # uvicorn's own object, because nothing else tells so cheaply that the client has left.
        cycle: Any = receive.__self__  # type: ignore[attr-defined]
        while not cycle.disconnected:
            await asyncio.sleep(int(parts[2]) / 1000)
            await send({"type": "http.response.body", "body": BARE_EVENT, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    else:
        await send({"type": "http.response.body", "body": BARE_ANSWER})


if __name__ == "__main__":
    import uvloop

    uvloop.run(listen(app))
