"""One account with all that the background needs to look after it, for tests of the use-cases."""

from collections.abc import Callable

from kiro2api.gateway.control import ControlPlane
from kiro2api.gateway.renewal import Renewal
from kiro2api.gateway.roster import Entry, Roster, make_entry
from kiro2api.gateway.tasks import TaskOwner
from kiro2api.protocol.codewhisperer.endpoints import Endpoints
from kiro2api.protocol.wire.http import HttpCall
from tests.support.fakes import FakeClock, FakeStore, FakeTransfer, FakeUpstream, stored_account


class ControlScene:
    """The account `a` of the store, and the control plane that answers by `answer`."""

    def __init__(
        self, answer: Callable[[HttpCall], FakeTransfer | Exception], **account: object
    ) -> None:
        self.clock = FakeClock()
        self.store = FakeStore(stored_account(**account))
        self.upstream = FakeUpstream(answer)
        self.entry: Entry = make_entry(
            self.store.rows["a"],
            endpoints=Endpoints(),
            wall_to_monotonic_s=self.clock.monotonic() - self.clock.wall(),
        )
        self.roster = Roster([self.entry])
        self.tasks = TaskOwner(lambda error: None)
        self.renewal = Renewal(
            upstream=self.upstream,
            store=self.store,
            roster=self.roster,
            tasks=self.tasks,
            clock=self.clock,
            endpoints=Endpoints(),
            user_agent="kiro2api/test",
            holder="this process",
        )
        self.control = ControlPlane(
            upstream=self.upstream,
            renewal=self.renewal,
            endpoints=Endpoints(),
            user_agent="kiro2api/test",
        )

    def urls(self) -> list[str]:
        """Return the last part of the path of each call."""
        return [call.url.partition("?")[0].rpartition("/")[2] for call in self.upstream.calls]
