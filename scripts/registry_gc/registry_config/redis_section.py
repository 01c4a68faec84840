"""The registry's Redis, as registry 3 and registry 2.8 are told where it is.

Source: distribution v3.1.1, registry/handlers/app.go, configureRedis; v2.8.3,
configuration/configuration.go, Redis.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RedisOptions:
    """Where a Redis is and how to log in; addresses are `host:port`, files are paths.

    With a master's name the addresses are those of sentinels, several without one are a cluster's.
    """

    addresses: tuple[str, ...]
    username: str = ""
    password: str = ""
    database: int = 0
    master_name: str = ""
    sentinel_username: str = ""
    sentinel_password: str = ""
    tls: bool = False
    certificate: str = ""
    key: str = ""
    root_cas: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Name the addresses only: the rest may be secret."""
        return f"RedisOptions({', '.join(self.addresses)})"


def redis_options(section: Mapping[str, object]) -> RedisOptions | None:
    """Return what the registry uses, from its decoded section; None without an address.

    Registry 3 looks at `addrs` alone, registry 2.8 at `addr` alone.
    """
    options, tls = _map(section.get("Options")), _map(section.get("TLS"))
    # REGISTRY_REDIS_ADDRS_0 makes an empty one, for which go-redis has a default.
    addresses = tuple(each or "localhost:6379" for each in _texts(options.get("Addrs")))
    old_address = _text(section.get("Addr"))
    password, database = _text(options.get("Password")), _number(options.get("DB"))
    if not addresses and old_address:
        return RedisOptions((old_address,), password=password, database=database)
    if not addresses:
        return None
    certificate, key = _text(tls.get("Certificate")), _text(tls.get("Key"))
    root_cas = _texts(tls.get("RootCAs"))
    whole = bool(certificate and key)  # one without the other is left out, with a warning
    sentinel_password = _text(options.get("SentinelPassword"))
    # Without a password go-redis does not log in at all.
    return RedisOptions(
        addresses,
        username=_text(options.get("Username")) if password else "",
        password=password,
        database=database,
        master_name=_text(options.get("MasterName")),
        sentinel_username=_text(options.get("SentinelUsername")) if sentinel_password else "",
        sentinel_password=sentinel_password,
        tls=bool(certificate or key or root_cas),
        certificate=certificate if whole else "",
        key=key if whole else "",
        root_cas=root_cas,
    )


def other_address(section: Mapping[str, object]) -> str:
    """Return the server that registry 2.8 uses if registry 3 uses others, else nothing."""
    addresses = _texts(_map(section.get("Options")).get("Addrs"))
    old_address = _text(section.get("Addr"))
    return old_address if addresses and old_address not in addresses else ""


def _map(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(_text, value)) if isinstance(value, list) else ()


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
