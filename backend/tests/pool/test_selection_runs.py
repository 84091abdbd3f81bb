"""Laws of the pool over random runs: many requests, many outcomes, every strategy."""

from collections.abc import Iterator

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from kiro2api.errors import FaultKind
from kiro2api.pool.account import Account
from kiro2api.pool.selection import Chosen, Need, availability, choose, in_force
from kiro2api.pool.strategy import Strategy, Turn
from kiro2api.pool.transitions import Fault, after_fault, after_login_refused, after_success

MODEL = "claude-sonnet-4.5"
SOFT = (FaultKind.OVERLOADED, FaultKind.NETWORK, FaultKind.BROKEN_STREAM)
STICKY = (Strategy.ROUND_ROBIN, Strategy.LEAST_IN_FLIGHT)
# What one upstream call comes to: a fault, a refused login, or (None) a good answer.
LOGIN_REFUSED = "login refused"
FAULTS = st.builds(
    Fault,
    st.sampled_from(FaultKind),
    model=st.just(MODEL),
    reason=st.sampled_from(["", "this model"]),
    retry_after_s=st.none() | st.floats(0, 1e4),
    resets_at=st.none() | st.floats(0, 1e5),
)
OUTCOMES = st.none() | FAULTS | st.just(LOGIN_REFUSED)


class Request(msgspec.Struct, frozen=True):
    """One request of a run: it comes `after_s` the one before, and its calls go as `outcomes`."""

    after_s: float
    key: str
    outcomes: list[Fault | str | None]


class Step(msgspec.Struct, frozen=True):
    """One call of a run: the pool as it was, what was chosen, and the pool afterwards."""

    now: float
    need: Need
    before: list[Account]
    chosen: Account
    trial: bool
    outcome: Fault | str | None
    after: list[Account]


def requests(
    outcomes: st.SearchStrategy[Fault | str | None] = OUTCOMES,
) -> st.SearchStrategy[Request]:
    return st.builds(
        Request,
        after_s=st.floats(0, 300),
        key=st.sampled_from(["", "one", "two", "three"]),
        outcomes=st.lists(outcomes, min_size=1, max_size=5),
    )


POOLS = st.lists(
    st.tuples(
        st.integers(0, 3),  # requests in flight
        st.integers(0, 2),  # the soft cap
        st.none() | st.floats(0, 100),  # credits
    ),
    min_size=1,
    max_size=5,
)
STRATEGIES = st.sampled_from(Strategy)
RUNS = st.lists(requests(), max_size=12)
SOFT_OUTCOMES = st.builds(Fault, st.sampled_from(SOFT))
SOFT_RUNS = st.lists(requests(SOFT_OUTCOMES), max_size=12)


def pool_of(members: list[tuple[int, int, float | None]]) -> list[Account]:
    return [
        Account(
            f"a{place}",
            f"account {place}",
            "default",
            place,
            in_flight=in_flight,
            soft_cap=soft_cap,
            credits=left,
        )
        for place, (in_flight, soft_cap, left) in enumerate(members)
    ]


def moved(account: Account, outcome: Fault | str | None, now: float) -> Account:
    condition = account.condition
    if outcome is None:
        condition = after_success(condition, model=MODEL, now=now)
    elif isinstance(outcome, Fault):
        condition = after_fault(condition, outcome, now=now)
    else:
        condition = after_login_refused(condition, outcome, now=now)
    return msgspec.structs.replace(account, condition=condition)


def steps(
    pool: list[Account],
    strategy: Strategy,
    run: list[Request],
    *,
    immune: frozenset[str] = frozenset(),
) -> Iterator[Step]:
    """Yield the calls of a run; those on the `immune` accounts all go well."""
    now, turn = 1000.0, Turn()
    for request in run:
        now += request.after_s
        need = Need("default", MODEL, key=request.key, strategy=strategy, turn=turn.take("default"))
        for planned in request.outcomes:
            choice = choose(pool, need, now=now)
            if not isinstance(choice, Chosen):
                break
            outcome = None if choice.account.id in immune else planned
            after = [moved(a, outcome, now) if a.id == choice.account.id else a for a in pool]
            yield Step(now, need, pool, choice.account, choice.trial, outcome, after)
            pool = after
            if outcome is None:
                break
            need = msgspec.structs.replace(need, tried=need.tried | {choice.account.id})


@given(POOLS, STRATEGIES, RUNS)
def test_nobody_is_asked_while_out_but_the_last_one_that_rests_softly(
    members: list[tuple[int, int, float | None]], strategy: Strategy, run: list[Request]
) -> None:
    for step in steps(pool_of(members), strategy, run):
        state = availability(step.chosen, model=MODEL, now=step.now)
        others = [
            availability(a, model=MODEL, now=step.now).usable
            for a in step.before
            if a.id not in step.need.tried
        ]

        assert state.usable or (step.trial and state.soft and not any(others))


@given(POOLS, STRATEGIES, RUNS)
def test_nobody_is_asked_twice_by_one_request(
    members: list[tuple[int, int, float | None]], strategy: Strategy, run: list[Request]
) -> None:
    for step in steps(pool_of(members), strategy, run):
        assert step.chosen.id not in step.need.tried


@given(POOLS, STRATEGIES, RUNS, st.integers(0, 4))
def test_a_healthy_account_serves_every_request_that_the_others_fail(
    members: list[tuple[int, int, float | None]],
    strategy: Strategy,
    run: list[Request],
    place: int,
) -> None:
    pool = pool_of(members)
    healthy = pool[place % len(pool)].id
    # As many calls as there are accounts: the last one at the latest is on the healthy one.
    run = [
        msgspec.structs.replace(request, outcomes=(request.outcomes * 5)[: len(pool)])
        for request in run
    ]

    made = list(steps(pool, strategy, run, immune=frozenset({healthy})))

    last_calls = {step.need.turn: step.outcome for step in made}
    assert last_calls == dict.fromkeys(range(len(run)))
    assert not any(step.trial for step in made)


@given(POOLS, STRATEGIES, RUNS)
def test_the_longer_rest_wins_whatever_follows(
    members: list[tuple[int, int, float | None]], strategy: Strategy, run: list[Request]
) -> None:
    for step in steps(pool_of(members), strategy, run):
        for before, after in zip(step.before, step.after, strict=True):
            if in_force(before.condition, now=step.now):
                assert in_force(after.condition, now=step.now)
                assert after.condition.until is None or (
                    before.condition.until is not None
                    and after.condition.until >= before.condition.until
                )


@given(POOLS, STRATEGIES, SOFT_RUNS)
def test_soft_reasons_never_remove_the_last_account(
    members: list[tuple[int, int, float | None]], strategy: Strategy, run: list[Request]
) -> None:
    pool = pool_of(members)
    for step in steps(pool, strategy, run):
        fresh = msgspec.structs.replace(step.need, tried=frozenset())

        assert isinstance(choose(step.after, fresh, now=step.now), Chosen)


@given(st.integers(1, 5), st.sampled_from(STICKY), RUNS)
def test_a_conversation_leaves_its_account_only_while_that_is_out(
    number: int, strategy: Strategy, run: list[Request]
) -> None:
    pool = pool_of([(0, 0, None)] * number)
    for step in steps(pool, strategy, run):
        if not step.need.key or step.need.tried:
            continue
        home = choose(pool, step.need, now=0.0)
        assert isinstance(home, Chosen)
        (now_home,) = (a for a in step.before if a.id == home.account.id)
        if availability(now_home, model=MODEL, now=step.now).usable:
            assert step.chosen.id == home.account.id
