"""Names of groups: each group is a pool of its own, and its name a part of paths."""

DEFAULT_GROUP = "default"
# First parts of our own paths; a group of that name could not be reached.
RESERVED_GROUPS = frozenset(
    [
        "v1",
        "api",
        "messages",
        "chat",
        "models",
        "responses",
        "health",
        "livez",
        "readyz",
        "metrics",
        "assets",
        "static",
        "login",
        "admin",
        "docs",
        "openapi",
    ]
)
_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-")
_MOST_CHARACTERS = 64


def is_group_name(name: str) -> bool:
    """Tell whether `name` may name a group."""
    return group_name_problem(name) == ""


def group_name_problem(name: str) -> str:
    """Return why `name` cannot name a group, as a clause; "" when it can."""
    if not name or not _CHARACTERS.issuperset(name):
        return "a group name consists of a-z, 0-9, dot, underscore and hyphen"
    if name[0] in ".-":  # "." and ".." vanish from paths, "-x" looks like a flag
        return "a group name begins with a letter, a digit or an underscore"
    if len(name) > _MOST_CHARACTERS:
        return f"a group name has at most {_MOST_CHARACTERS} characters"
    if name in RESERVED_GROUPS:
        return f'the group name "{name}" is reserved for paths of kiro2api'
    return ""
