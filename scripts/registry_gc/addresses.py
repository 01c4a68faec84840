"""Addresses as image names begin with them: a host and maybe a port, never a scheme or a path.

Docker's clients take no sub-path, and what a node's trust is named after becomes a folder's name on
that node: so what is let through here is narrow.
"""

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from registry_gc.errors import ConfigurationError

IP = IPv4Address | IPv6Address

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DNS_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_WITH_PORT = re.compile(r"(?P<host>\[[0-9a-f:.]+\]|[^:\[\]]+)(?::(?P<port>[0-9]{1,5}))?")
_LONGEST_NAME = 253  # characters (RFC 1035)


@dataclass(frozen=True, slots=True, order=True)
class Address:
    """A host (a DNS name in lower case, or an IP address without brackets) and a port or 0."""

    host: str
    port: int = 0

    def __str__(self) -> str:
        """Return it as it stands in an image's name."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}" if self.port else host

    @property
    def is_loopback(self) -> bool:
        """Whether every machine means itself by it: container runtimes trust it as it is."""
        address = ip(self.host)
        return self.host == "localhost" or (address is not None and address.is_loopback)

    @classmethod
    def parse(cls, text: str) -> "Address":
        """Read `host`, `host:port` or `[IPv6]:port`. Raises ConfigurationError."""
        lowered = text.strip().lower()
        if (bare := ip(lowered)) is not None:
            return cls(str(bare))
        found = _WITH_PORT.fullmatch(lowered)
        if found is None:
            raise _wrong(text)
        host = found["host"].strip("[]")
        port = int(found["port"] or 0)
        if found["port"] and not 0 < port < 65536:
            raise _wrong(text)
        if (address := ip(host)) is not None:
            return cls(str(address), port)
        if found["host"].startswith("["):
            raise _wrong(text)
        # What is only digits and dots is an address with a mistake, and a name to nobody.
        if not is_dns_name(host) or re.fullmatch(r"[0-9.]+", host):
            raise _wrong(text)
        return cls(host, port)


def ip(text: str) -> IP | None:
    """Return an IP address, None for what is none."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def is_dns_name(text: str) -> bool:
    """Say whether this is a DNS name in lower case (RFC 1123)."""
    return len(text) <= _LONGEST_NAME and _DNS_NAME.fullmatch(text) is not None


def unique(addresses: Iterable[Address]) -> tuple[Address, ...]:
    """Return each address once, in the order in which they came."""
    return tuple(dict.fromkeys(addresses))


def _wrong(text: str) -> ConfigurationError:
    return ConfigurationError(
        f"{text!r} is not an address",
        why="an address is a host and maybe a port, because clients take neither https:// nor a "
        "path",
        next_step="write it like registry.example.com, 10.0.0.5:30500 or [fd00::5]:30500",
    )
