"""HTTP/2 on the wire, judged by libcurl and by the h2 library as a client."""

import socket
from urllib.parse import urlsplit

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings
import pycurl
import pytest

from kiro2api.protocol.wire import json
from kiro2api.protocol.wire.eventstream import FrameDecoder
from tests.support.emulator import EmulatedAccount, RunningEmulator
from tests.support.emulator_calls import bearer, body, curl

HTTP2 = {True: pycurl.CURL_HTTP_VERSION_2TLS, False: pycurl.CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE}


class Client:
    """An HTTP/2 client that reads only as much as it is told to; lives as long as its socket."""

    def __init__(self, emulator: RunningEmulator, *, window: int = 65_535) -> None:
        parts = urlsplit(emulator.url)
        self.socket = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10)
        config = h2.config.H2Configuration(client_side=True, header_encoding="utf-8")
        self.wire = h2.connection.H2Connection(config=config)
        values = {h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window}
        self.wire.local_settings = h2.settings.Settings(client=True, initial_values=values)
        self.wire.initiate_connection()
        self.send()

    def send(self) -> None:
        self.socket.sendall(self.wire.data_to_send())

    def call(self, account: EmulatedAccount) -> int:
        """Send a generation call; return the number of its stream."""
        number = self.wire.get_next_available_stream_id()
        head = [
            (":method", "POST"),
            (":path", "/generateAssistantResponse"),
            (":scheme", "http"),
            (":authority", "x"),
            *bearer("tok").items(),
        ]
        self.wire.send_headers(number, head)
        self.wire.send_data(number, json.encode(body(arn=account.profile_arn)), end_stream=True)
        self.send()
        return number

    def events(self) -> list[h2.events.Event]:
        """Return what one read brings; nothing when the emulator is silent or gone."""
        self.socket.settimeout(0.3)
        try:
            data = self.socket.recv(65536)
        except TimeoutError:
            return []
        found = self.wire.receive_data(data)
        self.send()
        return found

    def close(self) -> None:
        self.socket.close()


@pytest.fixture
def account(emulator: RunningEmulator) -> EmulatedAccount:
    return emulator.add_account("a", access_token="tok")


def test_alpn_chooses_http2(tls_emulator: RunningEmulator) -> None:
    account = tls_emulator.add_account("a", access_token="tok")
    frames = FrameDecoder().feed(curl(tls_emulator, account, HTTP2[True]))

    assert frames[0].text(":event-type") == "assistantResponseEvent"
    assert tls_emulator.generations()[0].http_version == "2"


def test_alpn_can_choose_http1(tls_emulator: RunningEmulator) -> None:
    account = tls_emulator.add_account("a", access_token="tok")
    curl(tls_emulator, account, pycurl.CURL_HTTP_VERSION_1_1)

    assert tls_emulator.generations()[0].http_version == "1.1"


def test_http2_without_tls_is_known_by_its_first_bytes(
    emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    curl(emulator, account, HTTP2[False])

    assert emulator.generations()[0].http_version == "2"


@pytest.mark.parametrize("cut", [{"how": "bytes"}, {"how": "inside"}, {"how": "merged"}])
def test_the_bytes_are_the_same_in_any_cut(
    emulator: RunningEmulator, account: EmulatedAccount, cut: dict[str, object]
) -> None:
    bodies = []
    for one in ({"how": "frames"}, cut):
        emulator.queue(scenario="tool", cut=one)
        bodies.append(curl(emulator, account, HTTP2[False]))

    assert bodies[0] == bodies[1]


def test_a_large_answer_passes_the_windows(
    emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    emulator.queue(paced={"events": 20_000, "text": "0123456789"})
    frames = FrameDecoder().feed(curl(emulator, account, HTTP2[False]))

    assert len(frames) == 20_003


def test_a_stream_can_be_reset_while_the_connection_lives(
    emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    emulator.queue(scenario="reset_at_start")
    client = Client(emulator)
    client.call(account)
    resets: list[h2.events.Event] = []
    while not resets:
        resets = [e for e in client.events() if isinstance(e, h2.events.StreamReset)]
    second = client.call(account)
    ended: list[h2.events.Event] = []
    while not ended:
        ended = [e for e in client.events() if isinstance(e, h2.events.StreamEnded)]
    client.close()

    assert [getattr(event, "stream_id", None) for event in ended] == [second]


def test_a_close_takes_the_whole_connection(
    emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    emulator.queue(scenario="close_after_text")

    with pytest.raises(pycurl.error):
        curl(emulator, account, HTTP2[False])


def test_a_client_that_resets_its_stream_is_seen_to_leave(
    emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    emulator.queue(scenario="stall_after_text")
    client = Client(emulator)
    number = client.call(account)
    emulator.wait_for(lambda: len(emulator.generations()) == 1, what="the call")
    client.events()
    client.wire.reset_stream(number, h2.errors.ErrorCodes.CANCEL)
    client.send()
    emulator.wait_for(lambda: emulator.generations()[0].closed_early, what="the reset")
    client.close()

    assert emulator.counters().in_flight == 0


def test_a_full_window_stops_the_stream_until_it_opens(
    emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    emulator.queue(paced={"events": 300, "text": "0123456789" * 10})
    client = Client(emulator, window=1000)
    number = client.call(account)
    got = 0
    while events := client.events():
        got += sum(len(e.data or b"") for e in events if isinstance(e, h2.events.DataReceived))
    stopped_at = got
    client.wire.increment_flow_control_window(1_000_000)
    client.wire.increment_flow_control_window(1_000_000, number)
    client.send()
    ended = False
    while not ended:
        for event in client.events():
            got += len(event.data or b"") if isinstance(event, h2.events.DataReceived) else 0
            ended = ended or isinstance(event, h2.events.StreamEnded)
    client.close()

    assert stopped_at == 1000
    assert got > 50_000


def test_many_streams_share_one_connection(
    emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    emulator.queue(paced={"events": 3, "every_s": 0.02}, times=0)
    client = Client(emulator)
    numbers = {client.call(account) for _ in range(20)}
    ended: set[int] = set()
    while ended < numbers:
        ended |= {e.stream_id for e in client.events() if isinstance(e, h2.events.StreamEnded)}
    client.close()

    assert len({record.connection for record in emulator.generations()}) == 1
    assert emulator.counters().max_in_flight == 20


def test_the_client_is_told_how_many_streams_it_may_have(
    emulator: RunningEmulator, account: EmulatedAccount
) -> None:
    client = Client(emulator)
    client.call(account)
    while client.wire.remote_settings.max_concurrent_streams != 128 and client.events():
        pass
    client.close()

    assert client.wire.remote_settings.max_concurrent_streams == 128


def test_what_breaks_the_rules_of_http2_ends_the_connection(emulator: RunningEmulator) -> None:
    client = Client(emulator)
    # A frame with headers has to belong to a stream; this one names stream 0.
    client.socket.sendall(b"\x00\x00\x01\x01\x04\x00\x00\x00\x00a")
    while True:
        try:
            if not client.socket.recv(65536):
                break
        except ConnectionResetError:
            break
    client.close()

    assert emulator.counters().in_flight == 0
