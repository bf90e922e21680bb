"""How settings are read: names, texts, keys and credentials out of a mapping and the environment.

Every reader raises :class:`~aiguard.errors.SettingsError` with the setting's name and the remedy, and never with its value.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import logging
import os
import stat
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Final, Never
from urllib.parse import parse_qs, urlsplit

from aiguard.errors import SettingsError

logger = logging.getLogger("aiguard")

PREFIX: Final = "AIGUARD_"
KEY_BYTES: Final = 32
"""AES-256 and HMAC-SHA-256 both take 32 bytes."""

_MAX_KEYS_FILE: Final = 1 << 20
VENDOR_NAMES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "openai": ("OPENAI_API_KEY", "OPENAI_BASE_URL"),
        "anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"),
    }
)


class Environment(StrEnum):
    """Where this process runs. Nothing said means :attr:`PRODUCTION`."""

    DEVELOPMENT = "development"
    TEST = "test"
    STAGING = "staging"
    PRODUCTION = "production"

    @property
    def relaxed(self) -> bool:
        """Whether keys and a database may be made up on the spot."""
        return self in (Environment.DEVELOPMENT, Environment.TEST)


class Secret:
    """A credential. It prints as ``Secret(***)``, compares in constant time, and cannot be pickled."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The credential itself, for the line that sends it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> Never:
        raise TypeError("a Secret is not pickled; load Settings again where it is needed")


@dataclass(frozen=True, kw_only=True)
class Source:
    """Reads one setting at a time: the mapping first, then the environment. An empty text is as good as unset."""

    config: Mapping[str, Any]
    environ: Mapping[str, str]

    def raw(self, name: str) -> Any:
        """The value as it was set, or ``None``."""
        value = self.config.get(name)
        if value is None:
            value = self.environ.get(name)
        if isinstance(value, str):
            value = value.strip() or None
        return value

    def text(self, name: str) -> str | None:
        """A printable text."""
        value = self.raw(name)
        if value is None:
            return None
        if isinstance(value, Secret):
            value = value.reveal()
        if not isinstance(value, str):
            raise SettingsError(f"{name} must be a text, not {type(value).__name__}")
        if not value.isprintable():
            raise SettingsError(f"{name} holds a control character; set it again, on one line")
        return value

    def path(self, name: str) -> Path | None:
        """A path."""
        value = self.raw(name)
        return value if isinstance(value, Path) else Path(text) if (text := self.text(name)) else None

    def lines(self, name: str) -> tuple[str, ...]:
        """Texts separated by commas or white space, or a list of texts."""
        value = self.raw(name)
        if value is None:
            return ()
        values = list(value) if isinstance(value, (list, tuple)) else [self.text(name)]
        if not all(isinstance(each, str) and each.isprintable() for each in values):
            raise SettingsError(f"{name} must be a text with commas, or a list of texts")
        return tuple(part for each in values for part in str(each).replace(",", " ").split())

    def environment(self) -> Environment:
        """Where this process runs; unset means production."""
        name = self.text("AIGUARD_ENVIRONMENT")
        if name is None:
            return Environment.PRODUCTION
        try:
            return Environment(name.lower())
        except ValueError:
            known = ", ".join(Environment)
            close = get_close_matches(name.lower()[:40], list(Environment), n=1, cutoff=0.4)
            hint = f'did you mean "{close[0]}"? ' if close else ""
            raise SettingsError(f"AIGUARD_ENVIRONMENT is not one of {known}; {hint}unset means production") from None

    def choice(self, name: str, choices: Sequence[str], *, default: str) -> str:
        """One of a few words."""
        value = self.raw(name)
        if value is None:
            return default
        if value not in choices:
            raise SettingsError(f"{name} must be {', '.join(choices[:-1])} or {choices[-1]}")
        return str(value)

    def switch(self, name: str, *, default: bool) -> bool:
        """True or false, also as a word."""
        value = self.raw(name)
        if value is None or isinstance(value, bool):
            return default if value is None else value
        words = {
            "true": True,
            "yes": True,
            "on": True,
            "1": True,
            "false": False,
            "no": False,
            "off": False,
            "0": False,
        }
        if str(value).lower() not in words:
            raise SettingsError(f"{name} must be true or false")
        return words[str(value).lower()]

    def whole(self, name: str, *, default: int, low: int, high: int) -> int:
        """A whole number in a range."""
        return int(self._number(name, default, low, high, int))

    def seconds(self, name: str, *, default: float) -> float:
        """A time of 10 ms to an hour, in seconds."""
        return float(self._number(name, default, 0.01, 3600, float))

    def _number(self, name: str, default: float, low: float, high: float, kind: Callable[[str], float]) -> float:
        value = self.raw(name)
        if value is None:
            return default
        try:
            if isinstance(value, bool):
                raise ValueError
            number = kind(str(value)[:40])
        except ValueError:
            number = float("nan")
        if not low <= number <= high:
            what = "a whole number" if kind is int else "a number"
            raise SettingsError(f"{name} must be {what} from {low} to {high}")
        return number

    def keys(self) -> tuple[bytes, ...]:
        """Master keys from ``AIGUARD_KEYS`` or the file of ``AIGUARD_KEYS_FILE``."""
        value = self.raw("AIGUARD_KEYS")
        file = self.path("AIGUARD_KEYS_FILE")
        if value is not None and file is not None:
            raise SettingsError(
                "AIGUARD_KEYS and AIGUARD_KEYS_FILE are both set; keep one, so that it is clear which counts"
            )
        if file is not None:
            return read_keys_file(file, private=not self.environment().relaxed)
        if value is None:
            return ()
        if isinstance(value, str):
            return decoded_keys("AIGUARD_KEYS", value.split(","))
        if isinstance(value, (list, tuple)):
            return decoded_keys("AIGUARD_KEYS", value)
        raise SettingsError("AIGUARD_KEYS must be a text with commas, or a list")

    def lookup(self) -> Mapping[str, str]:
        """Every credential and base URL that is set, by its name."""
        vendor = [name for pair in VENDOR_NAMES.values() for name in pair]
        ours = [name for name in (*self.config, *self.environ) if isinstance(name, str) and _of_provider(name)]
        found = {name: text for name in (*vendor, *ours) if (text := self.text(name))}
        return MappingProxyType(found)


def provider_stem(name: str) -> str:
    """A provider as it stands in a setting's name."""
    return name.upper().replace("-", "_")


def _of_provider(name: str) -> bool:
    """Whether a name is ``AIGUARD_<PROVIDER>_API_KEY[_<ENVIRONMENT>]`` or ``AIGUARD_<PROVIDER>_BASE_URL``."""
    if not name.startswith(PREFIX):
        return False
    stem = name.removeprefix(PREFIX)
    for environment in Environment:
        stem = stem.removesuffix(f"_{environment.value.upper()}") if "_API_KEY_" in stem else stem
    provider = stem.removesuffix("_API_KEY") if stem.endswith("_API_KEY") else stem.removesuffix("_BASE_URL")
    return provider not in ("", stem) and provider.replace("_", "").isalnum() and provider == provider.upper()


def refuse_unknown(
    names: Iterable[str],
    known: Collection[str],
    where: str,
    *,
    tolerate: Callable[[str], bool] | None = None,
) -> None:
    """Refuse the first of ``names`` that starts like one of ours and is none."""
    for name in names:
        if not isinstance(name, str) or not name.upper().startswith(PREFIX) or name in known or _of_provider(name):
            continue
        if tolerate is not None and tolerate(name):
            continue
        close = get_close_matches(name.upper()[:80], known, n=1, cutoff=0.7)
        hint = f"did you mean {close[0]}?" if close else "docs/configuration.md lists all settings"
        shown = name[:80].encode("unicode_escape").decode("ascii")
        raise SettingsError(f"{shown} in {where} is not a setting of aiguard; {hint}")


def injected_by_orchestrators(name: str) -> bool:
    """Names that Kubernetes and Docker links inject when a service happens to be called ``aiguard``."""
    return name == "AIGUARD_PORT" or name.startswith(("AIGUARD_PORT_", "AIGUARD_SERVICE_"))


def unencrypted(url: str) -> bool:
    """Whether what is said to the PostgreSQL or Redis of ``url`` may go over a network without TLS.

    What a PostgreSQL URL leaves open, libpq's environment variables say; what is in a service file is not looked at.
    """
    try:
        parts = urlsplit(url)
        asked = {name: ",".join(values) for name, values in parse_qs(parts.query).items()}
        host = parts.hostname or ""
    except ValueError:
        return False  # whoever opens it says what is wrong
    if parts.scheme == "redis":
        return not _here(host)
    if parts.scheme.partition("+")[0] != "postgresql":
        return False
    mode = asked.get("sslmode") or os.environ.get("PGSSLMODE") or "prefer"  # libpq's own: TLS if the server likes
    if mode not in ("disable", "allow", "prefer"):
        return False
    at = asked.get("hostaddr") or os.environ.get("PGHOSTADDR") or asked.get("host") or host
    if not at and "service" not in asked:
        at = os.environ.get("PGHOST", "")
    return not all(_here(each) for each in at.split(","))


def _here(host: str) -> bool:
    """Whether a host is this machine: nothing said, a socket's path, a loopback address; its port does not count."""
    name = host.strip()
    if not name or name[0] in "/@":
        return True
    for each in (name, name.rpartition(":")[0]):
        if each == "localhost":
            return True
        with suppress(ValueError):
            return ipaddress.ip_address(each.strip("[]")).is_loopback
    return False


def decoded_keys(name: str, encoded: Collection[object]) -> tuple[bytes, ...]:
    """Keys of 32 bytes from bytes or base64; :class:`SettingsError` names the setting and the place in the list."""
    keys: list[bytes] = []
    for position, item in enumerate(encoded, start=1):
        key = item if isinstance(item, bytes) else None
        text = item.reveal() if isinstance(item, Secret) else item
        if isinstance(text, str):
            try:
                key = base64.b64decode(text.strip().translate({ord("-"): "+", ord("_"): "/"}), validate=True)
            except (binascii.Error, ValueError):
                key = None
        if key is None or len(key) != KEY_BYTES:
            raise SettingsError(
                f"{name}: key {position} is not base64 of {KEY_BYTES} bytes; make one with: openssl rand -base64 32"
            )
        if key in keys:
            raise SettingsError(f"{name}: key {position} is there twice; the newest key must be a new one")
        keys.append(key)
    if not keys:
        raise SettingsError(f"{name} holds no key; make one with: openssl rand -base64 32")
    return tuple(keys)


def read_keys_file(path: Path, *, private: bool) -> tuple[bytes, ...]:
    """The keys in a file, one a line, newest last; :class:`SettingsError` says why not.

    One that everybody may write to is refused, and where it has to be ``private``, one that everybody may read, too; elsewhere the log says so.
    """
    return decoded_keys("AIGUARD_KEYS_FILE", _read_keys(path, private=private).split())


def check_mode(name: str, path: Path, file: IO[bytes], *, private: bool) -> None:
    """Refuse a file of keys (of the setting ``name``, opened) that everybody may write to, and where it has to be ``private``, read.

    Its group may: that is how secrets are mounted for a container. Elsewhere the log says what is refused in production.
    """
    mode = os.fstat(file.fileno()).st_mode if os.name == "posix" else 0
    if mode & stat.S_IWOTH:
        raise SettingsError(f"{name}: everybody may write to {path}; run: chmod o-w {path}")
    if mode & stat.S_IROTH:
        problem = f"{name}: everybody on this machine may read {path}, and with it all that its keys protect; run: chmod o-r {path}"
        if private:
            raise SettingsError(f"{problem} (of a mounted secret, set the mode of the mount to 0440)")
        logger.warning("%s; in production it is refused", problem)


def _read_keys(path: Path, *, private: bool) -> str:
    try:
        with path.open("rb") as file:
            check_mode("AIGUARD_KEYS_FILE", path, file, private=private)
            data = file.read(_MAX_KEYS_FILE)
        return data.decode("ascii")
    except OSError as error:
        raise SettingsError(f"AIGUARD_KEYS_FILE: {path} cannot be read ({error.strerror})") from None
    except ValueError:
        raise SettingsError(f"AIGUARD_KEYS_FILE: {path} is not a text file of base64 keys") from None
