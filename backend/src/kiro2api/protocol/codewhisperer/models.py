"""Models: what an account may use, and which of them a client's name means.

Source: docs/reference/upstream.md, models. The names and windows are data, in `models.json`.
"""

import pkgutil
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches

import msgspec

from kiro2api.errors import FaultKind, RequestError, UpstreamError
from kiro2api.protocol.chat.answer import PublicModel
from kiro2api.protocol.wire.json import decode, encode

DEFAULT_WINDOW_TOKENS = 200_000
_NEAREST = 3
# No model has a longer name: to look for its meaning would only cost time.
_MAX_NAME_CHARS = 200
_MOST_RESOLVED = 1_000

_FAMILY = "(?P<family>opus|sonnet|haiku|fable)"
_VERSION = r"(?P<major>\d{1,2})(?:-(?P<minor>\d{1,2}))?"
_DIRECT = re.compile(rf"(?:claude-)?{_FAMILY}(?:-{_VERSION})?")
_INVERTED = re.compile(rf"claude-{_VERSION}-{_FAMILY}")
# What clients add to a model's name and what changes nothing about which model is meant.
_DECORATION = re.compile(r"(?:\[1m\]|-1m|-latest|-thinking)$")
_DATE = re.compile(r"-20\d{6}$")


class UpstreamModel(msgspec.Struct, frozen=True):
    """One model of an account's live list.

    Numbers are 0 where the list does not tell. `schema` describes the extra request members that
    the model takes (None: takes none), `rate` is the factor on credits.
    """

    id: str
    name: str
    window_tokens: int = 0
    max_output_tokens: int = 0
    input_types: tuple[str, ...] = ()
    schema: msgspec.Raw | None = None
    rate: float = 0.0


class ModelPage(msgspec.Struct, frozen=True):
    """One page of a live list; `next_token` "" on the last one, `default` the default model's id."""

    models: tuple[UpstreamModel, ...]
    next_token: str = ""
    default: str = ""


def read_models(body: bytes) -> ModelPage:
    """Return the page of models in `body`; entries without an id are left out.

    Raises:
        UpstreamError: `OVERLOADED`, the body is no JSON object.
    """
    try:
        document = decode(body)
    except RequestError:
        document = None
    if not isinstance(document, dict):
        raise UpstreamError(FaultKind.OVERLOADED, "the list of models is no JSON object")
    entries = document.get("models")
    models = [_read_model(entry) for entry in entries] if isinstance(entries, list) else []
    return ModelPage(
        tuple(model for model in models if model is not None),
        _text(document.get("nextToken")),
        _text(_object(document.get("defaultModel")).get("modelId"))
        or _text(document.get("defaultModelId")),
    )


def write_models(models: Sequence[UpstreamModel]) -> bytes:
    """Return `models` in the upstream's own shape, for `read_models`: several pages as one."""
    return encode({"models": [_write_model(model) for model in models]})


def _read_model(entry: object) -> UpstreamModel | None:
    document = _object(entry)
    model_id = _text(document.get("modelId"))
    if not model_id:
        return None
    limits = _object(document.get("tokenLimits"))
    types = document.get("supportedInputTypes")
    return UpstreamModel(
        model_id,
        _text(document.get("modelName")) or model_id,
        int(_number(limits.get("maxInputTokens"))),
        int(_number(limits.get("maxOutputTokens"))),
        tuple(_text(one) for one in types if _text(one)) if isinstance(types, list) else (),
        _schema(document.get("additionalModelRequestFieldsSchema")),
        _number(document.get("rateMultiplier")),
    )


def _write_model(model: UpstreamModel) -> dict[str, object]:
    document: dict[str, object] = {
        "modelId": model.id,
        "modelName": model.name,
        "supportedInputTypes": model.input_types,
        "tokenLimits": {
            "maxInputTokens": model.window_tokens,
            "maxOutputTokens": model.max_output_tokens,
        },
        "rateMultiplier": model.rate,
    }
    if model.schema is not None:
        document["additionalModelRequestFieldsSchema"] = model.schema
    return document


def _schema(value: object) -> msgspec.Raw | None:
    """Return a schema that came as an object, or as the text of one; None when it is neither."""
    if isinstance(value, str):
        try:
            value = decode(value)
        except RequestError:
            return None
    return msgspec.Raw(encode(value)) if isinstance(value, dict) and value else None


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _number(value: object) -> float:
    """Return a finite number of zero or more; 0 for anything else."""
    return value if isinstance(value, int | float) and 0 <= value < 1e12 else 0


class _Public(msgspec.Struct, frozen=True):
    """A name that we promise: sent as `pinned`, unless the list has one of `listed_as` instead."""

    name: str
    display_name: str
    created_s: int
    pinned: str
    listed_as: tuple[str, ...]


class _Known(msgspec.Struct, frozen=True):
    """An upstream id, and its window while no live list tells it."""

    id: str
    window_tokens: int


class _Data(msgspec.Struct, frozen=True):
    """The data file. `retired` leads from models that are gone to their successors."""

    public: tuple[_Public, ...]
    known: tuple[_Known, ...]
    retired: dict[str, str]


class ModelMap:
    """From a client's name of a model to the upstream's; one for the whole program.

    `overrides` is the operator's own map: it wins over everything, and what it names is sent as it
    stands. `data` replaces the built-in `models.json`.
    """

    def __init__(
        self, overrides: Mapping[str, str] | None = None, *, data: bytes | None = None
    ) -> None:
        packaged = pkgutil.get_data(__package__, "models.json") if data is None else data
        self._data = decode(packaged or b"", _Data)
        self._overrides = {name.lower(): to for name, to in (overrides or {}).items()}
        self._public = {entry.name: entry for entry in self._data.public}
        self._known = {entry.id: entry for entry in self._data.known}
        self._pinned = {entry.pinned for entry in self._data.public}
        # Clients ask for the same few models again and again, of lists that rarely change.
        self._resolved: dict[tuple[str, frozenset[str] | None], str] = {}

    def resolve(self, name: str, listed: frozenset[str] | None) -> str:
        """Return the upstream id that `name` means for an account.

        `listed` has the ids of the account's live list, None while no list is known.

        Raises:
            RequestError: 404 `model_not_found`; the message has the nearest names.
        """
        asked = (name, listed)
        known = self._resolved.get(asked)
        if known is not None:
            return known
        if len(name) > _MAX_NAME_CHARS:
            raise self._not_found(name, listed)
        if len(self._resolved) >= _MOST_RESOLVED:
            self._resolved.clear()
        found = self._resolved[asked] = self._resolve(name, listed)
        return found

    def _resolve(self, name: str, listed: frozenset[str] | None) -> str:
        bare = _undecorated(name)
        plain = _DATE.sub("", bare)
        for spelling in (name.lower(), bare, plain):
            if spelling in self._overrides:
                return self._overrides[spelling]
        public = self._public.get(name.lower()) or self._public.get(bare)
        if public is not None:
            return _pick((public.pinned, *public.listed_as), listed or ()) or public.pinned
        available = self._ids() if listed is None else listed
        found = _pick((name, bare, plain, *self._meant(plain, available)), available)
        if found is None:
            raise self._not_found(name, listed)
        return found

    def _not_found(self, name: str, listed: frozenset[str] | None) -> RequestError:
        name = name[:_MAX_NAME_CHARS]
        return RequestError(
            f"The model {name!r} is not available. "
            f"Nearest: {', '.join(self.nearest(name, listed))}.",
            status=404,
            code="model_not_found",
            path="model",
        )

    def nearest(self, name: str, listed: frozenset[str] | None) -> tuple[str, ...]:
        """Return the available names that resemble `name` most, the best one first."""
        names = list(dict.fromkeys([*self._public, *self._ordered(listed or self._known)]))
        close = get_close_matches(_undecorated(name), names, n=_NEAREST, cutoff=0.4)
        return tuple(close or names[:_NEAREST])

    def window_tokens(self, model_id: str, listed: Sequence[UpstreamModel]) -> int:
        """Return how many tokens of input `model_id` takes; the live list knows best."""
        for model in listed:
            if model.id == model_id and model.window_tokens:
                return model.window_tokens
        known = self._known.get(model_id)
        return known.window_tokens if known else DEFAULT_WINDOW_TOKENS

    def public_names(self) -> tuple[PublicModel, ...]:
        """Return the models that are always offered."""
        return tuple(
            PublicModel(entry.name, entry.display_name, entry.created_s)
            for entry in self._data.public
        )

    def public_names_for(self, listed: Iterable[UpstreamModel]) -> tuple[PublicModel, ...]:
        """Return the models always offered, then those that some live list has.

        The order is the same whichever account listed what first.
        """
        names = {model.id: model.name for model in sorted(listed, key=_id_and_name)}
        others = [
            PublicModel(model_id, names[model_id])
            for model_id in self._ordered(names)
            if model_id not in self._public
        ]
        return (*self.public_names(), *others)

    def _ids(self) -> frozenset[str]:
        return frozenset(self._known) | self._pinned

    def _ordered(self, ids: Iterable[str]) -> list[str]:
        """Return `ids` in the order of the data file, then those that it does not know."""
        places = {model_id: place for place, model_id in enumerate(self._known)}
        return sorted(ids, key=lambda model_id: (places.get(model_id, len(places)), model_id))

    def _meant(self, plain: str, available: Iterable[str]) -> Iterator[str]:
        """Yield the ids that `plain` can mean, the likeliest first."""
        key = _key(plain)
        match = _DIRECT.fullmatch(key) or _INVERTED.fullmatch(key)
        if match is None:
            yield from (model_id for model_id in sorted(available) if _key(model_id) == key)
            return
        family, major, minor = match["family"], match["major"], match["minor"]
        if major is None:
            yield from _newest_first(family, available)
            return
        version = major if minor in (None, "0") else f"{major}.{minor}"
        model_id = f"claude-{family}-{version}"
        for one in (model_id, self._data.retired.get(model_id)):
            if one is not None:
                yield one
                yield from (e.pinned for e in self._data.public if one in e.listed_as)


def _undecorated(name: str) -> str:
    """Return `name` in lower case without vendor prefix and without what changes no meaning."""
    name = name.strip().lower().rpartition("/")[2]
    while match := _DECORATION.search(name):
        name = name[: match.start()]
    return name


def _key(name: str) -> str:
    """Return `name` so that 4.5 and 4-5 compare equal."""
    return name.lower().replace(".", "-")


def _pick(candidates: Iterable[str], available: Iterable[str]) -> str | None:
    """Return the first of `candidates` that is available."""
    known = frozenset(available)
    return next((one for one in candidates if one in known), None)


def _newest_first(family: str, available: Iterable[str]) -> list[str]:
    """Return the ids of a family, the highest version first."""
    versions: list[tuple[int, int, str]] = []
    for model_id in available:
        match = _DIRECT.fullmatch(_key(model_id))
        if match is not None and match["family"] == family and match["major"]:
            versions.append((int(match["major"]), int(match["minor"] or 0), model_id))
    return [model_id for _, _, model_id in sorted(versions, reverse=True)]


def _id_and_name(model: UpstreamModel) -> tuple[str, str]:
    return model.id, model.name
