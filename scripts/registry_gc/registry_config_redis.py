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
    """Return what registry 3 uses, from its decoded section; None without an address."""
    options, tls = _map(section.get("Options")), _map(section.get("TLS"))
    addresses = _texts(options.get("Addrs"))
    if not addresses:
        return None
    certificate, key = _text(tls.get("Certificate")), _text(tls.get("Key"))
    root_cas = _texts(tls.get("RootCAs"))
    whole = bool(certificate and key)  # one without the other is left out, with a warning
    return RedisOptions(
        addresses,
        username=_text(options.get("Username")),
        password=_text(options.get("Password")),
        database=_number(options.get("DB")),
        master_name=_text(options.get("MasterName")),
        sentinel_username=_text(options.get("SentinelUsername")),
        sentinel_password=_text(options.get("SentinelPassword")),
        tls=bool(certificate or key or root_cas),
        certificate=certificate if whole else "",
        key=key if whole else "",
        root_cas=root_cas,
    )


def old_redis_options(
    section: Mapping[str, object], environment: Mapping[str, str]
) -> RedisOptions | None:
    """Return what registry 2.8 uses, whose fields registry 3 does not know."""

    def field(name: str) -> str:
        given = environment.get(f"REGISTRY_REDIS_{name.upper()}", section.get(name))
        return "" if given is None else str(given)

    if not field("addr"):
        return None
    database = field("db")
    return RedisOptions(
        (field("addr"),),
        password=field("password"),
        database=int(database) if database.isdigit() else 0,
    )


def _map(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
