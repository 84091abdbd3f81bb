"""The loop that drives libcurl: completion, removal, no watchers left behind."""

import asyncio

import pycurl
import pytest

from kiro2api.errors import SetupError
from kiro2api.upstream.loop import CurlLoop
from tests.upstream.peers import answers, peer, reply, run


def easy(url: str) -> pycurl.Curl:
    curl = pycurl.Curl()
    curl.setopt(pycurl.URL, url)
    curl.setopt(pycurl.PROXY, "")
    curl.setopt(pycurl.WRITEFUNCTION, lambda data: None)
    return curl


def test_each_handle_is_told_done_once_with_its_code() -> None:
    async def work() -> list[tuple[bool, int]]:
        done: asyncio.Queue[tuple[pycurl.Curl, int, str]] = asyncio.Queue()
        curls = CurlLoop(lambda *outcome: done.put_nowait(outcome))
        async with peer(answers(reply())) as server:
            good = easy(server.url)
            curls.add(good)
            first = await asyncio.wait_for(done.get(), 5)
            curls.remove(good)
        bad = easy(server.url)
        curls.add(bad)
        second = await asyncio.wait_for(done.get(), 5)
        curls.remove(bad)
        await asyncio.sleep(0.05)
        assert done.empty()
        curls.close()
        return [(first[0] is good, first[1]), (second[0] is bad, second[1])]

    assert run(work()) == [(True, 0), (True, pycurl.E_COULDNT_CONNECT)]


def test_closing_leaves_no_timer_and_no_watcher() -> None:
    async def work() -> tuple[int, int]:
        curls = CurlLoop(lambda *outcome: None)

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()

        async with peer(silent) as server:
            held = [easy(server.url) for _ in range(5)]
            for curl in held:
                curls.add(curl)
            await asyncio.sleep(0.2)
            watched = len(curls.watched)
            for curl in held:
                curls.remove(curl)
            curls.close()
            return watched, len(curls.watched)

    before, after = run(work())
    assert before >= 5
    assert after == 0


def test_an_old_libcurl_is_refused_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(pycurl, "M_NOTIFYFUNCTION")

    async def work() -> None:
        with pytest.raises(SetupError, match=r"libcurl 8\.17"):
            CurlLoop(lambda *outcome: None)

    run(work())
