"""A chat request over HTTP: streamed, whole, left by its client, stopped by the operator."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from kiro2api.errors import FaultKind, UpstreamError
from kiro2api.protocol.wire.http import HttpCall
from kiro2api.server.streams import StreamLimits
from tests.support.asgi import Caller, Plane, ask
from tests.support.fakes import FakeTransfer, payload_event, text_reply
from tests.support.gateway import MODEL
from tests.support.sse import check_anthropic_stream, parse_sse
from tests.support.talk import STREAMS, WAYS, WHOLE, Way, name_of

TEXT = payload_event("assistantResponseEvent", {"content": "Half a sen"})


def asked(way: Way, **more: Any) -> dict[str, Any]:
    messages = [{"role": "user", "content": "Hello"}]
    return {"model": MODEL, "max_tokens": 9, "messages": messages, "stream": way.stream} | more


def request(way: Way, **more: Any) -> Caller:
    return ask("POST", way.path, asked(way, **more))


class Hanging(FakeTransfer):
    """A transfer that says its pieces and then nothing more."""

    async def read(self) -> bytes:
        if self._pieces:
            return await super().read()
        await asyncio.Event().wait()
        raise AssertionError("nobody waits for ever")


def hanging(*pieces: bytes) -> Callable[[HttpCall], FakeTransfer]:
    return lambda call: Hanging(200, *pieces)


def break_off(plane: Plane, caller: Caller, how: Callable[[], None]) -> None:
    """Serve until all that can happen has happened, do `how`, and serve to the end."""

    async def scene() -> None:
        task = asyncio.create_task(plane.serve(caller))
        for _ in range(20):
            await asyncio.sleep(0)
        how()
        await asyncio.wait_for(task, 5)

    asyncio.run(scene())


# ------------------------------------------------------------------------------------- answers


@pytest.mark.parametrize("way", WAYS, ids=name_of)
def test_a_reply_is_streamed_when_that_was_asked(way: Way) -> None:
    plane, caller = Plane(), request(way)
    asyncio.run(plane.serve(caller))

    assert caller.status == 200
    assert caller.headers["content-type"].startswith("text/event-stream") is way.stream
    assert b"Hi" in caller.body
    assert caller.has_ended


@pytest.mark.parametrize("way", WAYS, ids=name_of)
def test_the_log_line_tells_of_the_request(way: Way) -> None:
    plane = Plane()
    asyncio.run(plane.serve(request(way)))
    [line] = plane.lines

    assert (line["model"], line["stream"], line["status"]) == (MODEL, way.stream, 200)
    assert line["outcome"] == "complete"


@pytest.mark.parametrize("way", WAYS, ids=name_of)
def test_a_failure_before_the_status_is_an_answer_of_its_own(way: Way) -> None:
    plane = Plane(lambda call: FakeTransfer(400, b'{"message":"no"}'))
    caller = request(way)
    asyncio.run(plane.serve(caller))

    assert caller.status == 400
    assert caller.headers["content-type"] == "application/json"


@pytest.mark.parametrize("way", STREAMS, ids=name_of)
def test_a_bug_after_the_status_ends_the_stream_with_an_error_and_is_logged(way: Way) -> None:
    plane = Plane(lambda call: FakeTransfer(200, TEXT, RuntimeError("a bug")))
    caller = request(way)
    asyncio.run(plane.serve(caller))
    [(error, _)] = plane.errors

    assert str(error) == "a bug"
    assert b"Half a sen" in caller.body
    assert b"error" in caller.body
    assert b"a bug" not in caller.body
    assert caller.has_ended


class Late(FakeTransfer):
    """A transfer that is silent until the status has gone out, and then fails."""

    plane: Plane

    async def read(self) -> bytes:
        limits = StreamLimits()
        self.plane.clock.advance(limits.status_commit_s)
        for sink in tuple(self.plane.app.streams._sinks):
            await sink.keep_alive(limits)
        raise UpstreamError(FaultKind.BAD_REQUEST, "no", code="A_WORD")


@pytest.mark.parametrize("way", STREAMS, ids=name_of)
def test_a_failure_after_an_early_status_is_noted_by_its_kind(way: Way) -> None:
    transfer = Late()
    transfer.plane = plane = Plane(lambda call: transfer)
    caller = request(way)
    asyncio.run(plane.serve(caller))
    [line] = plane.lines

    assert (caller.status, line["outcome"]) == (200, "bad_request")


@pytest.mark.parametrize("way", WHOLE, ids=name_of)
def test_a_bug_before_the_status_is_a_plain_500(way: Way) -> None:
    plane = Plane(lambda call: FakeTransfer(200, TEXT, RuntimeError("a bug")))
    caller = request(way)
    asyncio.run(plane.serve(caller))

    assert caller.status == 500
    assert len(plane.errors) == 1


# -------------------------------------------------------------------------- clients that leave


@pytest.mark.parametrize("way", WAYS, ids=name_of)
def test_a_client_that_leaves_ends_the_transfer(way: Way) -> None:
    plane, caller = Plane(hanging(TEXT)), request(way)
    break_off(plane, caller, caller.connection.leave)

    assert plane.upstream.transfers[0].cancelled
    assert plane.lines[0]["outcome"] == "client_gone"
    assert plane.app.in_flight == 0
    assert [account.in_flight for account in plane.roster.accounts("default")] == [0]


@pytest.mark.parametrize("way", WAYS, ids=name_of)
def test_nothing_is_kept_of_a_request_that_has_ended(way: Way) -> None:
    plane, caller = Plane(), request(way)
    asyncio.run(plane.serve(caller))

    assert not caller.connection.is_watched
    assert plane.app._chat._running == plane.app._chat._stopped == set()
    assert len(plane.app.streams) == 0


# ------------------------------------------------------------------------------- the end of all


@pytest.mark.parametrize("way", WAYS, ids=name_of)
def test_a_request_without_an_answer_is_told_to_come_again_when_all_must_end(way: Way) -> None:
    plane, caller = Plane(hanging()), request(way)
    break_off(plane, caller, plane.app.stop_running)

    assert caller.status == 503
    assert int(caller.headers["retry-after"]) >= 1
    assert plane.upstream.transfers[0].cancelled
    assert plane.lines[0]["outcome"] == "stopping"


@pytest.mark.parametrize("way", STREAMS, ids=name_of)
def test_a_stream_ends_with_an_error_when_all_must_end(way: Way) -> None:
    plane, caller = Plane(hanging(TEXT)), request(way)
    break_off(plane, caller, plane.app.stop_running)
    events = parse_sse(caller.body)

    assert "stopping" in str(events[-1].data["error"])
    assert caller.has_ended
    assert plane.lines[0]["partial"] is True


def test_a_stream_that_all_must_end_keeps_the_law() -> None:
    plane, caller = Plane(hanging(TEXT)), request(STREAMS[0])
    break_off(plane, caller, plane.app.stop_running)

    check_anthropic_stream(parse_sse(caller.body))


def test_a_request_whose_body_is_still_coming_is_told_to_come_again() -> None:
    plane, caller = Plane(), request(WHOLE[0])

    async def never() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError("nobody waits for ever")

    caller.receive = never  # type: ignore[method-assign]
    break_off(plane, caller, plane.app.stop_running)

    assert caller.status == 503


def test_the_last_answer_is_sent_by_a_task_that_nobody_cancels() -> None:
    plane, caller = Plane(hanging()), request(WHOLE[0])
    cancels: list[int] = []
    send = caller.send

    async def watched(message: Any) -> None:
        task = asyncio.current_task()
        assert task is not None
        cancels.append(task.cancelling())
        await send(message)

    caller.send = watched  # type: ignore[method-assign]
    break_off(plane, caller, plane.app.stop_running)

    assert caller.status == 503
    assert set(cancels) == {0}


def test_a_request_that_came_later_is_not_stopped() -> None:
    plane = Plane(lambda call: FakeTransfer(200, text_reply("Hi")))
    plane.app.stop_running()
    caller = request(WHOLE[0])
    asyncio.run(plane.serve(caller))

    assert caller.status == 200


def test_a_task_that_somebody_else_cancels_is_cancelled() -> None:
    plane, caller = Plane(hanging()), request(WHOLE[0])

    async def scene() -> None:
        task = asyncio.create_task(plane.serve(caller))
        for _ in range(20):
            await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(scene())
    assert caller.sent == []
    assert plane.lines[0]["outcome"] == "stopping"
