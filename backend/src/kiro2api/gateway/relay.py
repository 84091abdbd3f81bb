"""One upstream response, read to its end: bytes to frames to events to the client."""

from collections.abc import Callable

from kiro2api.errors import FaultKind, TransferError, UpstreamError
from kiro2api.gateway.ports import ReplySink, Transfer
from kiro2api.protocol.codewhisperer.read import Ending, Reader
from kiro2api.protocol.wire.eventstream import FrameDecoder


async def relay(
    transfer: Transfer,
    reader: Reader,
    sink: ReplySink,
    on_first_event: Callable[[], None],
) -> Ending:
    """Return how the response ended, after all its events but the last ones were delivered.

    What one read brings leaves in one delivery. `on_first_event` is called before the first one.

    Raises:
        UpstreamError: the upstream said so in the stream, or the stream broke off or fell silent.
        FramingError: the bytes are not frames.
    """
    decoder = FrameDecoder()
    feed, read_frames, read_bytes = decoder.feed, reader.read, transfer.read
    deliver = sink.deliver
    is_silent = True
    try:
        while data := await read_bytes():
            events = read_frames(feed(data))
            if events:
                if is_silent:
                    is_silent = False
                    on_first_event()
                await deliver(events)
            if reader.is_over:
                return reader.end()
            if decoder.lost is not None:
                raise decoder.lost
    except TransferError as error:
        # What the stream has said decides, not how HTTP ended. An orderly close is an end like any
        # other when the client has begun to read; until then another attempt serves it better.
        is_end = reader.has_tail or (error.closed and sink.content_committed)
        if not is_end or not decoder.is_empty:
            raise _broken(error) from None
    except UpstreamError:
        if sink.content_committed and (said := reader.salvage()):
            # The frames before the failing one were whole: what they said is the client's.
            await deliver(said)
        raise
    if not decoder.is_empty:
        raise UpstreamError(FaultKind.BROKEN_STREAM, "the stream ended inside a frame")
    return reader.end()


def _broken(error: TransferError) -> UpstreamError:
    if error.timed_out:
        return UpstreamError(FaultKind.NETWORK, error.message, status=504)
    return UpstreamError(FaultKind.BROKEN_STREAM, error.message)
