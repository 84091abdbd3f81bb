"""The lists that the service keeps about an account: models, usage, profiles."""

from kiro2api.emulator.accounts import Account, AccountKind
from kiro2api.emulator.behaviour import Operation
from kiro2api.emulator.catalogue import default_model, models_of
from kiro2api.emulator.errors_table import REFUSALS, Refusal
from kiro2api.emulator.world import World

_MOST_MODELS = 100
_MOST_PROFILES = 10
_DAY_S = 86_400
_PERIOD_DAYS = 30


def answer(
    world: World, operation: Operation, account: Account, asked: dict[str, object]
) -> tuple[int, object | Refusal]:
    """Return the status and the JSON value (or the refusal) for one of the three lists."""
    match operation:
        case Operation.MODELS:
            return _models(account, asked)
        case Operation.PROFILES:
            return _profiles(account)
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


def _profiles(account: Account) -> tuple[int, object | Refusal]:
    if account.spec.profiles is not None:
        return 200, {"profiles": account.spec.profiles[:_MOST_PROFILES]}
    match account.spec.kind:
        case AccountKind.SOCIAL:
            return 200, {"profiles": []}
        case AccountKind.BUILDER_ID:
            return 403, REFUSALS["feature_not_authorized"]
        case AccountKind.API_KEY:
            return 403, REFUSALS["api_key_unsupported"]
        case _:
            profile = {
                "arn": account.profile_arn,
                "profileName": f"{account.name} profile",
                "status": "ACTIVE",
                "profileType": "KIRO",
            }
            return 200, {"profiles": [profile] if account.profile_arn else []}


def _usage(world: World, account: Account, asked: dict[str, object]) -> dict[str, object]:
    """Return the usage answer: credits spent so far, and what the account's spec replaces."""
    resets_at = float(int(world.clock.now() // _DAY_S + _PERIOD_DAYS) * _DAY_S)
    user: dict[str, object] = {"userId": f"d-0000000000.{account.name}"}
    if str(asked.get("isEmailRequired", "")).lower() == "true":
        user["email"] = account.spec.email
    usage: dict[str, object] = {
        "nextDateReset": resets_at,
        "daysUntilReset": _PERIOD_DAYS,
        "limits": [],
        "usageBreakdownList": [_credits(account, resets_at)],
        "subscriptionInfo": {
            "type": "Q_DEVELOPER_STANDALONE_FREE",
            "subscriptionTitle": "KIRO FREE",
            "upgradeCapability": "UPGRADE_CAPABLE",
            "overageCapability": "OVERAGE_INCAPABLE",
            "subscriptionManagementTarget": "PURCHASE",
        },
        "overageConfiguration": {"overageStatus": "DISABLED"},
        "userInfo": user,
    }
    for name, value in (account.spec.usage or {}).items():
        if value is None:
            usage.pop(name, None)
        else:
            usage[name] = value
    return usage


def _credits(account: Account, resets_at: float) -> dict[str, object]:
    used, limit = account.credits_used, account.spec.credits_limit
    return {
        "resourceType": "CREDIT",
        "displayName": "Credit",
        "displayNamePlural": "Credits",
        "unit": "INVOCATIONS",
        "currentUsage": int(used),
        "currentUsageWithPrecision": round(used, 6),
        "usageLimit": int(limit),
        "usageLimitWithPrecision": limit,
        "currentOverages": 0,
        "currentOveragesWithPrecision": 0.0,
        "overageCap": 10_000,
        "overageCapWithPrecision": 10_000.0,
        "overageRate": 0.04,
        "overageCharges": 0.0,
        "currency": "USD",
        "nextDateReset": resets_at,
        "bonuses": [],
    }


def _number(value: object, otherwise: int) -> int:
    if isinstance(value, int):
        return value
    return int(value) if isinstance(value, str) and value.isdigit() else otherwise
