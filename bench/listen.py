"""uvicorn as the baselines use it: the fast loop and parser, no log, one line with the port."""

import socket
from typing import Any

import uvicorn


async def listen(app: Any) -> None:
    """Serve `app` on a free port, which is printed, until the process is told to stop."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    config = uvicorn.Config(
        app, http="httptools", ws="none", lifespan="off", access_log=False, log_level="warning"
    )
    await uvicorn.Server(config).serve(sockets=[listener])
