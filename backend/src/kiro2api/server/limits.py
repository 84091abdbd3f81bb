"""What one client connection may take: header sizes and the times for each thing it must do."""

import msgspec


class EdgeLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of the server's edge, the same for all connections."""

    max_header_bytes: int = 64 * 1024
    max_header_count: int = 100
    # From the first byte of a request, or from the connection, to the end of its headers.
    header_s: float = 30.0
    # The longest silence inside a request body while the gateway waits for more.
    body_silence_s: float = 30.0
    # The longest time in which a client reads nothing of an answer that waits for it.
    unread_s: float = 120.0
    keep_alive_s: float = 75.0
    # Bytes of a body that are thrown away after the answer, before the connection is given up.
    max_unwanted_bytes: int = 1024 * 1024
    # How long bytes are thrown away after an early answer, so that the client can read it.
    linger_s: float = 2.0
