"""Sealing of what must be read back, digests of what must only be recognised, and the key for both."""

import base64
import binascii
import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kiro2api.errors import SetupError, StoreError

KEY_FILE = "secret.key"
_FORMAT = b"\x01"
_KEY_ID_BYTES = 4
_NONCE_BYTES = 12
_OVERHEAD_BYTES = len(_FORMAT) + _KEY_ID_BYTES + _NONCE_BYTES + 16
_MIN_KEY_CHARACTERS = 16


class _Key:
    """One secret key and what is derived from it; lives in its ring."""

    def __init__(self, text: str) -> None:
        material = text.encode()
        self.id = _derive(material, "key id", _KEY_ID_BYTES)
        self.cipher = AESGCM(_derive(material, "seal", 32))
        self.digest_key = _derive(material, "digest", 32)


class KeyRing:
    """The secret keys of one database, newest first; made at start, shared by all who need it.

    New values are sealed and digested with the newest key; values of the older ones are still
    opened and recognised.
    """

    def __init__(
        self, keys: Sequence[str], *, random_bytes: Callable[[int], bytes] = os.urandom
    ) -> None:
        if not keys or any(len(key) < _MIN_KEY_CHARACTERS for key in keys):
            raise SetupError(f"A secret key needs {_MIN_KEY_CHARACTERS} characters or more.")
        self._keys = [_Key(text) for text in keys]
        self._by_id = {key.id: key for key in reversed(self._keys)}
        self._random_bytes = random_bytes

    def seal(self, plain: str, *, row: str, column: str) -> bytes:
        """Return `plain` encrypted and bound to its place: moved elsewhere it does not open.

        Shape: format byte, key id, nonce, AES-256-GCM text with its tag.
        """
        key = self._keys[0]
        nonce = self._random_bytes(_NONCE_BYTES)
        text = key.cipher.encrypt(nonce, plain.encode(), _place(row, column))
        return _FORMAT + key.id + nonce + text

    def open(self, sealed: bytes, *, row: str, column: str) -> str:
        """Return what `seal` was given for the same place.

        Raises:
            StoreError: it was sealed with a key that the ring lacks, for another place, or was
                changed since.
        """
        if len(sealed) < _OVERHEAD_BYTES or sealed[:1] != _FORMAT:
            raise StoreError(f"{column} of {row} is not a sealed value.")
        head = len(_FORMAT) + _KEY_ID_BYTES
        key = self._by_id.get(sealed[len(_FORMAT) : head])
        if key is None:
            raise StoreError(f"{column} of {row} was sealed with another secret key.")
        nonce, text = sealed[head : head + _NONCE_BYTES], sealed[head + _NONCE_BYTES :]
        try:
            return key.cipher.decrypt(nonce, text, _place(row, column)).decode()
        except InvalidTag:
            raise StoreError(f"{column} of {row} was changed outside of this program.") from None

    def digest(self, purpose: str, value: str) -> bytes:
        """Return the keyed digest by which `value` is recognised; purposes do not mix."""
        return _digest(self._keys[0], purpose, value)

    def digests(self, purpose: str, value: str) -> list[bytes]:
        """Return the digests of `value` under all keys, newest first, for looking it up."""
        return [_digest(key, purpose, value) for key in self._keys]


def _derive(material: bytes, use: str, length: int) -> bytes:
    info = f"kiro2api {use} 1".encode()
    return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(material)


def _place(row: str, column: str) -> bytes:
    # The length keeps ("ab", "c") and ("a", "bc") apart.
    return f"{len(row)}:{row}:{column}".encode()


def _digest(key: _Key, purpose: str, value: str) -> bytes:
    return hmac.digest(key.digest_key, f"{len(purpose)}:{purpose}:{value}".encode(), hashlib.sha256)


def new_client_key() -> str:
    """Return a fresh random client key, such as `k2a_` and 32 characters."""
    return "k2a_" + secrets.token_urlsafe(24)


def read_keys(folder: Path, given: str) -> list[str]:
    """Return the secret keys that there are, newest first: the `given` one, then the key file's.

    A key file beside a given key holds older keys: what they sealed stays readable. Each line of
    the file is a key, the newest first.

    Raises:
        SetupError: the file is there but cannot be used.
    """
    return ([given] if given else []) + read_key_file(folder / KEY_FILE)


def read_key_file(path: Path) -> list[str]:
    """Return the keys in the key file at `path`, newest first; none when there is no such file.

    Raises:
        SetupError: the file is there but cannot be used.
    """
    try:
        text = path.read_text("ascii")
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise SetupError(
            f"The secret key {path} cannot be kept private: {error.strerror}."
        ) from None
    except UnicodeDecodeError:
        raise SetupError(f"The secret key {path} is damaged: put it back from a backup.") from None
    lines = text.split()
    if not lines or not all(_is_file_key(line) for line in lines):
        raise SetupError(f"The secret key {path} is damaged: put it back from a backup.")
    return lines


def make_key_file(folder: Path) -> list[str]:
    """Return the keys of the key file in `folder`, which is made, mode 0600, if it is not there.

    Of several programs that start at once one makes it and all read the same.

    Raises:
        SetupError: it cannot be written.
    """
    path = folder / KEY_FILE
    fresh = folder / f".{KEY_FILE}.{secrets.token_hex(4)}"
    line = base64.b64encode(secrets.token_bytes(32)) + b"\n"
    try:
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)  # appears whole, and only if nobody was faster
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
        _sync_folder(folder)
    except OSError as error:
        raise SetupError(f"The secret key {path} cannot be made: {error.strerror}.") from None
    return read_keys(folder, "")


def _is_file_key(line: str) -> bool:
    try:
        return len(base64.b64decode(line, validate=True)) >= _MIN_KEY_CHARACTERS
    except binascii.Error:
        return False


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
