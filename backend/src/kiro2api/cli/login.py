"""`kiro2api login`: a new account, without another program."""

import asyncio
import sys
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

import msgspec
import typer

from kiro2api.cli.output import one_line, print_json
from kiro2api.cli.target import EXIT_NO, AsJson, EnvFile, Target, on_new_store, read_target, refuse
from kiro2api.compose import open_logins
from kiro2api.errors import RequestError, UpstreamError
from kiro2api.gateway.intake import free_name
from kiro2api.gateway.login import (
    DeviceLogin,
    Logins,
    LoginState,
    PendingLogin,
    SocialLogin,
    Wish,
)
from kiro2api.gateway.ports import Outcome
from kiro2api.gateway.tasks import TaskOwner
from kiro2api.pool.group import DEFAULT_GROUP, group_name_problem
from kiro2api.protocol.codewhisperer.endpoints import is_region
from kiro2api.protocol.codewhisperer.login import SocialProvider
from kiro2api.store.opening import Store

_TICK_S = 1.0


class Social(StrEnum):
    """The social providers as they are typed."""

    GOOGLE = "google"
    GITHUB = "github"


class Way(StrEnum):
    """How a person logs in; the value is the name of the account if none is given."""

    GOOGLE = "Google"
    GITHUB = "GitHub"
    BUILDER_ID = "Builder ID"
    IDC = "Identity Center"


_SOCIAL = {
    Way.GOOGLE: SocialProvider.GOOGLE,
    Way.GITHUB: SocialProvider.GITHUB,
}
_OUTCOMES = {
    Outcome.ADDED: "added",
    Outcome.UPDATED: "there already, and has the new login now",
    Outcome.UNCHANGED: "there already, with this login",
}


def login(
    social: Annotated[Social | None, typer.Option(help="Log in with Google or GitHub.")] = None,
    idc: Annotated[
        str, typer.Option(metavar="START_URL", help="Log in at an organisation's Identity Center.")
    ] = "",
    builder_id: Annotated[
        bool, typer.Option("--builder-id", help="Log in with a Builder ID.")
    ] = False,
    region: Annotated[
        str, typer.Option(help="The region of the Identity Center (KIRO_REGION, us-east-1).")
    ] = "",
    name: Annotated[str, typer.Option(help="What to call the account.")] = "",
    group: Annotated[str, typer.Option(help="The group that it goes to.")] = DEFAULT_GROUP,
    json: AsJson = False,
    env_file: EnvFile = None,
) -> None:
    """Log in and add the account, or bring it up to date; a running gateway takes it at once.

    Exit code 1 when the login was refused or ran out of time.
    """
    target = read_target(env_file)
    way = _way(social, idc, builder_id=builder_id)
    region = region or target.settings.region
    if not is_region(region):
        refuse("--region is not a region such as us-east-1")
    if problem := group_name_problem(group):
        refuse(problem)
    done, called = _run(target, way, Wish(name=name, group=group), start_url=idc, region=region)
    if json:
        print_json(
            {
                "state": done.state,
                "reason": done.reason,
                "id": done.became.id if done.became else None,
                "name": called or None,
                "outcome": done.became.outcome if done.became else None,
            }
        )
    elif done.became:
        outcome = _OUTCOMES[done.became.outcome]
        print(one_line(f"The account {called} ({done.became.id}) was {outcome}."))
    else:
        _tell(f"No account: {done.reason}.")
    if done.state is not LoginState.APPROVED:
        raise typer.Exit(EXIT_NO)


def _way(social: Social | None, idc: str, *, builder_id: bool) -> Way:
    if sum((social is not None, bool(idc), builder_id)) != 1:
        refuse("say how to log in: one of --social, --idc and --builder-id")
    if idc and not idc.startswith("https://"):
        refuse("--idc is the start address of your organisation, which begins with https://")
    if social is not None:
        return Way.GOOGLE if social is Social.GOOGLE else Way.GITHUB
    return Way.IDC if idc else Way.BUILDER_ID


def _run(
    target: Target, way: Way, wish: Wish, *, start_url: str, region: str
) -> tuple[PendingLogin, str]:
    """Return the login at its end, and the name of the account that it became; "" for none."""

    async def work(store: Store) -> tuple[PendingLogin, str]:
        named = wish if wish.name else await _named(store, way, wish)
        async with open_logins(target.settings, store) as logins:
            done = await _finish(logins, way, named, start_url=start_url, region=region)
        account = await store.accounts.account(done.became.id) if done.became else None
        # An account that was there keeps the name that it has.
        return done, account.name if account else ""

    return on_new_store(target, work)


async def _named(store: Store, way: Way, wish: Wish) -> Wish:
    taken = {account.name for account in await store.accounts.accounts()}
    name = free_name(way.value, taken, first=2) if way.value in taken else way.value
    return msgspec.structs.replace(wish, name=name)


async def _finish(
    logins: Logins, way: Way, wish: Wish, *, start_url: str, region: str
) -> PendingLogin:
    if way in _SOCIAL:
        return await _social(logins.start_social(_SOCIAL[way], wish))
    try:
        if way is Way.IDC:
            device = await logins.start_idc(start_url, region, wish)
        else:
            device = await logins.start_builder_id(wish)
    except UpstreamError as error:
        return _not_started(error)
    return await _device(device, logins)


def _not_started(error: UpstreamError) -> PendingLogin:
    ended = PendingLogin(address="", until=0.0)
    ended.fail(f"the login could not be started: {error.message}")
    return ended


async def _device(device: DeviceLogin, logins: Logins) -> PendingLogin:
    _tell(f"Open     {device.address}")
    if device.user_code:
        _tell(f"Compare  {device.user_code}")
    left_s = device.until - logins.clock.wall()
    if not sys.stderr.isatty():
        _tell(f"Waiting for {_minutes(left_s)} at most ...")
        await device.finish()
        return device
    from rich.console import Console
    from rich.live import Live
    from rich.text import Text

    with Live(console=Console(stderr=True), transient=True) as live:
        tasks = TaskOwner(lambda error: None)
        tasks.start(_count_down(device, logins, lambda line: live.update(Text(line))))
        try:
            await device.finish()
        finally:
            await tasks.close()
    return device


async def _count_down(device: DeviceLogin, logins: Logins, show: Callable[[str], None]) -> None:
    while True:
        show(f"Waiting, {_minutes(max(device.until - logins.clock.wall(), 0))} left")
        await logins.clock.sleep(_TICK_S)


def _minutes(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


async def _social(social: SocialLogin) -> PendingLogin:
    _tell(f"Open  {social.address}")
    _tell("Log in there. At the end the browser is sent to an address that begins with kiro://")
    _tell("and that it cannot open: copy the whole of it from the address bar, and paste it here.")
    while social.state is LoginState.PENDING:
        _tell("Address:")
        line = await _line()
        if not line:
            social.fail("no address was pasted")
            break
        try:
            await social.redeem(line)
        except RequestError as error:
            _tell(error.message)
    return social


async def _line() -> str:
    """Return the next line of standard input, "" at its end; Ctrl-C works meanwhile."""
    loop = asyncio.get_running_loop()
    is_there = asyncio.Event()
    try:
        loop.add_reader(sys.stdin, is_there.set)
    except (OSError, ValueError):
        return sys.stdin.readline()  # a file, which never makes anybody wait
    try:
        await is_there.wait()
    finally:
        loop.remove_reader(sys.stdin)
    return sys.stdin.readline()


def _tell(line: str) -> None:
    # A reason may be the upstream's text: it must not steer the terminal.
    print(one_line(line), file=sys.stderr, flush=True)
