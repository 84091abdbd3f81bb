"""Do Python, the libraries, the certificates and the limits of this machine suffice?"""

import platform
import resource
import sqlite3
import ssl
from pathlib import Path

import certifi
import pycurl

from kiro2api import __version__
from kiro2api.doctor.finding import Finding, fault, good, note

# A request may hold two connections; the database, the log and the listener hold some files.
_FILES_PER_STREAM = 2
_FILES_BESIDE = 64


def check_versions(curl_features: int | None = None) -> Finding:
    """Return which versions run, and whether libcurl can do what the upstream wants."""
    facts = pycurl.version_info()
    features = int(facts[4]) if curl_features is None else curl_features
    what = (
        f"kiro2api {__version__}, Python {platform.python_version()}, libcurl {facts[1]} "
        f"({facts[5]}), SQLite {sqlite3.sqlite_version}"
    )
    again = "install pycurl from its wheel: delete backend/.venv and start again"
    if not features & pycurl.VERSION_SSL:
        return fault("versions", what, why="this libcurl has no TLS", cure=again)
    if not features & pycurl.VERSION_HTTP2:
        why = "this libcurl has no HTTP/2: each stream takes a connection of its own"
        return note("versions", what, why=why, cure=again)
    return good("versions", what)


def check_files(max_streams: int, limit: int | None = None) -> Finding:
    """Return whether the process may open as many files as its streams can take."""
    if limit is None:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    needed = max_streams * _FILES_PER_STREAM + _FILES_BESIDE
    if limit in (resource.RLIM_INFINITY, -1) or limit >= needed:
        return good("open files", "as many as KIRO_MAX_STREAMS may take")
    return note(
        "open files",
        f"{limit} allowed; KIRO_MAX_STREAMS={max_streams} may take {needed}",
        why="under load connections would be refused before the gateway can say that it is busy",
        cure=f"ulimit -n {needed} (systemd: LimitNOFILE), or a lower KIRO_MAX_STREAMS",
    )


def check_certificates(ca_file: str) -> Finding:
    """Return whether the file of certificate authorities ("": the one of certifi) is usable."""
    path = Path(ca_file or certifi.where())
    try:
        context = ssl.create_default_context(cafile=str(path))
    except (ssl.SSLError, OSError) as error:
        reason = getattr(error, "reason", None) or error.strerror or str(error)
        return fault(
            "certificates",
            f"{path} has no certificates that can be read: {reason}",
            why="without them no host can be trusted, so every call fails",
            cure="name a PEM file in SSL_CERT_FILE, or unset it to use the ones of certifi",
        )
    return good("certificates", f"{len(context.get_ca_certs())} authorities in {path}")
