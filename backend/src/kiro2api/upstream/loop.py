"""libcurl's multi interface driven by the asyncio loop: sockets and timers, nothing about HTTP."""

import asyncio
from collections.abc import Callable

import pycurl

from kiro2api.errors import SetupError

_BOTH = pycurl.POLL_IN | pycurl.POLL_OUT

OnDone = Callable[[pycurl.Curl, int, str], None]


class CurlLoop:
    """Runs easy handles on the running loop and tells when each is done.

    Lives as long as its owner, the upstream client. Handles are added and removed by tasks and
    timers only, and the done ones are collected after libcurl has returned: never from inside one
    of its callbacks.
    """

    def __init__(self, on_done: OnDone) -> None:
        """`on_done(curl, code, detail)` is called once for each handle; code 0 is success."""
        if not hasattr(pycurl, "M_NOTIFYFUNCTION"):
            raise SetupError("libcurl 8.17 or newer is needed: install the pycurl wheel again.")
        self._loop = asyncio.get_running_loop()
        self._on_done = on_done
        self._multi = pycurl.CurlMulti()
        # What libcurl waits for, by file descriptor.
        self.watched: dict[int, int] = {}
        self._timer: asyncio.Handle | None = None
        self._any_done = False
        self._acting = False
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._on_socket)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._on_timer)
        self._multi.setopt(pycurl.M_NOTIFYFUNCTION, self._on_notify)
        self._multi.notify_enable(pycurl.M_NOTIFY_INFO_READ)

    def setopt(self, option: int, value: int) -> None:
        """Set an option of the multi handle."""
        self._multi.setopt(option, value)

    def add(self, curl: pycurl.Curl) -> None:
        """Start the transfer that `curl` describes."""
        self._multi.add_handle(curl)

    def remove(self, curl: pycurl.Curl) -> None:
        """Take `curl` out; a transfer under way is broken off at once for the peer too."""
        self._multi.remove_handle(curl)

    def close(self) -> None:
        """Close every connection; all handles have been removed before."""
        self._multi.close()
        for fd in list(self.watched):
            self._watch(fd, 0)
        self._on_timer(-1)

    def _on_socket(self, what: int, fd: int, _multi: object, _data: object) -> None:
        self._watch(fd, 0 if what == pycurl.POLL_REMOVE else what & _BOTH)

    def _watch(self, fd: int, wanted: int) -> None:
        had = self.watched.get(fd, 0)
        if wanted == had:
            return
        changed = wanted ^ had
        if changed & pycurl.POLL_IN:
            if wanted & pycurl.POLL_IN:
                self._loop.add_reader(fd, self._act, fd, pycurl.CSELECT_IN)
            else:
                self._loop.remove_reader(fd)
        if changed & pycurl.POLL_OUT:
            if wanted & pycurl.POLL_OUT:
                self._loop.add_writer(fd, self._act, fd, pycurl.CSELECT_OUT)
            else:
                self._loop.remove_writer(fd)
        if wanted:
            self.watched[fd] = wanted
        else:
            del self.watched[fd]

    def _on_timer(self, timeout_ms: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if timeout_ms == 0:
            # Never at once: libcurl is on the stack.
            self._timer = self._loop.call_soon(self._expire)
        elif timeout_ms > 0:
            self._timer = self._loop.call_later(timeout_ms / 1000, self._expire)

    def _expire(self) -> None:
        self._timer = None
        self._act(pycurl.SOCKET_TIMEOUT, 0)

    def _act(self, fd: int, mask: int) -> None:
        self._acting = True
        try:
            self._multi.socket_action(fd, mask)
        finally:
            self._acting = False
        if self._any_done:
            self._drain()

    def _on_notify(self, _what: int, _curl: object) -> None:
        if not self._any_done:
            self._any_done = True
            if not self._acting:
                self._loop.call_soon(self._drain)

    def _drain(self) -> None:
        self._any_done = False
        if self._multi.closed:
            return
        while True:
            left, succeeded, failed = self._multi.info_read()
            for curl in succeeded:
                self._on_done(curl, 0, "")
            for curl, code, detail in failed:
                self._on_done(curl, code, detail)
            if not left:
                return
