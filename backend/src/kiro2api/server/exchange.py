"""One HTTP exchange over ASGI: the request's head and body, and answers that are not streams."""

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from kiro2api.errors import RequestError

# ASGI's own types are open dictionaries.
Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

JSON_TYPE = (b"content-type", b"application/json")


class ClientGoneError(Exception):
    """The client has closed the connection: there is nobody to answer."""


class Exchange:
    """One request and its answer; lives as long as the request."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, request_id: str) -> None:
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.headers: dict[str, str] = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        self.connection = scope.get("extensions", {}).get("kiro2api")
        self.request_id = request_id
        self.status = 0
        self.bytes_in = 0
        self.bytes_out = 0
        self._receive = receive
        self.send = send

    @property
    def started(self) -> bool:
        """Tell whether the status has been sent."""
        return self.status != 0

    async def body(self, max_bytes: int) -> bytes:
        """Return the whole body.

        Raises:
            RequestError: it is longer than `max_bytes` (told before it is read to the end), or
                compressed.
            ClientGoneError: the client left before the end.
        """
        if self.headers.get("content-encoding", "").lower() not in ("", "identity"):
            raise RequestError(
                "Compressed request bodies are not supported: send the JSON as it is.",
                status=415,
                code="unsupported_content_encoding",
            )
        declared = self.headers.get("content-length", "")
        if declared.isdecimal() and int(declared) > max_bytes:
            raise too_large(int(declared), max_bytes)
        pieces: list[bytes] = []
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGoneError
            piece: bytes = message.get("body", b"")
            self.bytes_in += len(piece)
            if self.bytes_in > max_bytes:
                raise too_large(self.bytes_in, max_bytes)
            pieces.append(piece)
            if not message.get("more_body", False):
                return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def start(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> None:
        """Send the status and the headers, with the request id among them; the body must follow."""
        self.status = status
        if self.connection is not None and self.method != "HEAD":
            self.connection.hold_head()
        request_id = self.request_id.encode()
        await self.send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [
                    *headers,
                    (b"request-id", request_id),
                    (b"x-request-id", request_id),
                ],
            }
        )

    async def answer(
        self, status: int, body: bytes, headers: Sequence[tuple[bytes, bytes]] = (JSON_TYPE,)
    ) -> None:
        """Send a whole answer; of one to HEAD only the head goes out."""
        length = (b"content-length", str(len(body)).encode())
        await self.start(status, [*headers, length])
        if self.method == "HEAD":
            body = b""
        self.bytes_out += len(body)
        await self.send({"type": "http.response.body", "body": body})


def too_large(size: int, max_bytes: int) -> RequestError:
    """Return the refusal of a body of `size` bytes or more."""
    return RequestError(
        f"The request body has {size} bytes or more; the limit is {max_bytes}. "
        "Shorten the conversation, or raise KIRO_MAX_BODY_BYTES.",
        status=413,
        code="request_too_large",
    )
