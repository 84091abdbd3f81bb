"""The lists that the service keeps about an account: models, usage, profiles."""

from kiro2api.emulator import credits
from kiro2api.emulator.accounts import Account, AccountKind, ProfileShape
from kiro2api.emulator.behaviour import Operation
from kiro2api.emulator.catalogue import default_model, models_of
from kiro2api.emulator.errors_table import REFUSALS, Refusal
from kiro2api.emulator.hosts import ANY_HOST, Host
from kiro2api.emulator.untyped import members, text
from kiro2api.emulator.world import World

_MOST_MODELS = 100
_MOST_PROFILES = 10
_DAY_S = 86_400


def answer(
    world: World,
    operation: Operation,
    account: Account,
    asked: dict[str, object],
    host: Host = ANY_HOST,
) -> tuple[int, object | Refusal]:
    """Return the status and the JSON value (or the refusal) for one of the lists."""
    match operation:
        case Operation.MODELS:
            return _models(account, asked)
        case Operation.PROFILES:
            return _profiles(account, asked, host)
        case Operation.PROFILE:
            return _profile(account, asked)
        case _:
            return 200, _usage(world, account, asked)


def _models(account: Account, asked: dict[str, object]) -> tuple[int, object | Refusal]:
    if "origin" not in asked:
        return 400, REFUSALS["bad_request"]
    models = models_of(account)
    most = account.spec.models_page or _MOST_MODELS
    size = max(1, min(_number(asked.get("maxResults"), most), most))
    start = _number(asked.get("nextToken"), 0)
    page: dict[str, object] = {
        "models": models[start : start + size],
        "defaultModel": default_model(),
    }
    if start + size < len(models):
        page["nextToken"] = str(start + size)
    return 200, page


def _profiles(
    account: Account, asked: dict[str, object], host: Host
) -> tuple[int, object | Refusal]:
    regions = account.spec.regions
    if regions is not None and host.region and host.region not in regions:
        return 403, REFUSALS["call_not_authorized"]
    refusal = _refusal_of_profiles(account, host)
    if refusal is not None and account.spec.profiles is None:
        return 403, refusal
    listed = [
        profile
        for profile in _profiles_of(account)
        if host.region in ("", *text(members(profile).get("arn")).split(":")[3:4])
    ]
    size = max(1, min(_number(asked.get("maxResults"), _MOST_PROFILES), _MOST_PROFILES))
    start = _number(asked.get("nextToken"), 0)
    page: dict[str, object] = {"profiles": listed[start : start + size]}
    if start + size < len(listed):
        page["nextToken"] = str(start + size)
    return 200, page


def _refusal_of_profiles(account: Account, host: Host) -> Refusal | None:
    """Return what the service says to a kind that has no list of profiles, in each host's words."""
    match account.spec.kind:
        case AccountKind.BUILDER_ID:
            older = "builder_id_unsupported"
            return REFUSALS[older if host.is_older else "feature_not_authorized"]
        case AccountKind.API_KEY:
            older = "token_type_unsupported"
            return REFUSALS[older if host.is_older else "api_key_unsupported"]
        case _:
            return None


def _profiles_of(account: Account) -> list[object]:
    if account.spec.profiles is not None:
        return account.spec.profiles
    if account.spec.kind is AccountKind.SOCIAL or not account.profile_arn:
        return []
    return [_described(account, account.profile_arn)]


def _profile(account: Account, asked: dict[str, object]) -> tuple[int, object | Refusal]:
    """Return one profile; a key need not say which, for it has only one."""
    is_key = account.spec.kind is AccountKind.API_KEY
    arn = asked.get("profileArn", account.profile_arn if is_key else None)
    if arn is None:
        return 400, REFUSALS["profile_required"]
    if arn not in account.profile_arns:
        return 404, REFUSALS["resource_not_found"]
    given = [members(p) for p in account.spec.profiles or () if members(p).get("arn") == arn]
    profile = given[0] if given else _described(account, text(arn))
    nested = account.spec.profile_shape is ProfileShape.NESTED
    return 200, {"profile": profile} if nested else profile


def _described(account: Account, arn: str) -> dict[str, object]:
    return {
        "arn": arn,
        "profileName": f"{account.name} profile",
        "status": "ACTIVE",
        "profileType": "KIRO",
    }


def _usage(world: World, account: Account, asked: dict[str, object]) -> dict[str, object]:
    """Return the usage answer: credits spent so far, and what the account's spec replaces."""
    now = world.clock.now()
    credits.renew(account, now=now)
    resets_at = account.resets_at
    overage = "ENABLED" if account.spec.overage else "DISABLED"
    capable = "OVERAGE_CAPABLE" if account.spec.overage else "OVERAGE_INCAPABLE"
    user: dict[str, object] = {"userId": f"d-0000000000.{account.name}"}
    if str(asked.get("isEmailRequired", "")).lower() == "true":
        user["email"] = account.spec.email
    usage: dict[str, object] = {
        "nextDateReset": resets_at,
        "daysUntilReset": int((resets_at - now) // _DAY_S) + 1,
        "limits": [],
        "usageBreakdownList": [_credits(account, resets_at)],
        "subscriptionInfo": {
            "type": "Q_DEVELOPER_STANDALONE_FREE",
            "subscriptionTitle": "KIRO FREE",
            "upgradeCapability": "UPGRADE_CAPABLE",
            "overageCapability": capable,
            "subscriptionManagementTarget": "PURCHASE",
        },
        "overageConfiguration": {"overageStatus": overage},
        "userInfo": user,
    }
    for name, value in (account.spec.usage or {}).items():
        if value is None:
            usage.pop(name, None)
        else:
            usage[name] = value
    return usage


def _credits(account: Account, resets_at: float) -> dict[str, object]:
    limit, over = credits.limit_of(account), credits.overage_of(account)
    used = account.credits_used - over
    cap = account.spec.overage_cap
    return {
        "resourceType": "CREDIT",
        "displayName": "Credit",
        "displayNamePlural": "Credits",
        "unit": "INVOCATIONS",
        "currentUsage": int(used),
        "currentUsageWithPrecision": round(used, 6),
        "usageLimit": int(limit),
        "usageLimitWithPrecision": limit,
        "currentOverages": int(over),
        "currentOveragesWithPrecision": round(over, 6),
        "overageCap": int(cap),
        "overageCapWithPrecision": cap,
        "overageRate": 0.04,
        "overageCharges": round(over * 0.04, 6),
        "currency": "USD",
        "nextDateReset": resets_at,
        "bonuses": [],
    }


def _number(value: object, otherwise: int) -> int:
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, str) and value.isdigit() else otherwise
