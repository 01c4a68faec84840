"""The registry's effective configuration: its YAML and its `REGISTRY_*` variables.

A collector that reads another root directory than the registry deletes the wrong store, so this is
computed exactly as the registry does it, and what would stop the registry stops us. Which version
serves a file is not known: where registry 2.8 and 3 differ, one of them does not start, and we read
what the other one runs with. A value of the wrong type in registry 3 is refused for both.
Source: distribution v3.1.1, configuration/ and registry/handlers/app.go (NewApp); v2.8.2, the same.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from posixpath import normpath
from typing import Literal

from registry_gc.errors import ConfigurationError
from registry_gc.registry_config.environment import VariableError, overwrite, service_of
from registry_gc.registry_config.go_types import (
    CONFIGURATION,
    STORAGE_OPTIONS,
    VERSION_ONLY,
    AnyMap,
)
from registry_gc.registry_config.redis_section import RedisOptions, other_address, redis_options
from registry_gc.registry_config.scalars import duration, sprint
from registry_gc.registry_config.yaml_v2 import DecodeError, decode, parse

DEFAULT_PATHS = (
    Path("/etc/distribution/config.yml"),  # the image of registry 3
    Path("/etc/docker/registry/config.yml"),  # the image of registry 2.8
)

Cache = Literal["none", "inmemory", "redis"]


@dataclass(frozen=True, slots=True)
class RegistryConfig:
    """What a collection must know of the registry; `notes` is what the registry would warn about.

    `root` is the file system driver's root directory, without a slash at its end; a relative one
    counts from the registry's working directory. `drain_timeout` is in seconds, 0 for none;
    `certificate` and `key` are the files of its own TLS, read once at its start, empty for none.
    """

    driver: str
    root: str
    parameters: Mapping[str, object]
    cache: Cache
    redis: RedisOptions | None
    read_only: bool
    delete_enabled: bool
    proxy: bool
    drain_timeout: float
    address: str
    net: str
    tls: bool
    certificate: str
    key: str
    prefix: str
    notes: tuple[str, ...]


def load(path: Path, environment: Mapping[str, str]) -> RegistryConfig:
    """Return the effective configuration of the registry that reads this file.

    Raises ConfigurationError, also for a file that is missing or cannot be read.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        looked = " and then ".join(str(default) for default in DEFAULT_PATHS)
        why = error.strerror or str(error) if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(
            f"nothing was touched: the registry's configuration {path} cannot be read",
            why=why,
            next_step=f"name the file as the argument; without one, {looked} are looked at",
        ) from error
    return effective(text, environment)


def effective(text: str, environment: Mapping[str, str]) -> RegistryConfig:
    """Return what the registry would run with, given its YAML and its environment.

    Raises ConfigurationError for what the registry itself would refuse or crash on.
    """
    configuration, notes = _parsed(text, environment)
    storage = _map(configuration.get("Storage"))
    driver = _driver(storage)
    parameters = _map(storage.get(driver))
    http = _map(configuration.get("HTTP"))
    tls = _map(http.get("TLS"))
    _check_options(storage, _map(configuration.get("Tags")), notes)
    root = _root(parameters, notes) if driver == "filesystem" else ""
    _check_purging(storage)
    cache = _cache(storage, notes)
    return RegistryConfig(
        driver=driver,
        root=root,
        parameters=parameters,
        cache=cache,
        redis=_redis(_map(configuration.get("Redis")), notes) if cache == "redis" else None,
        read_only=_read_only(storage),
        delete_enabled=_map(storage.get("delete")).get("enabled") is True,
        proxy=bool(_map(configuration.get("Proxy")).get("RemoteURL")),
        drain_timeout=_number(http.get("DrainTimeout")) / 1e9,
        address=_text(http.get("Addr")),
        net=_net(_text(http.get("Net"))),
        tls=bool(tls.get("Certificate") or _map(tls.get("LetsEncrypt")).get("CacheFile")),
        certificate=_text(tls.get("Certificate")),
        key=_text(tls.get("Key")),
        prefix=_text(http.get("Prefix")),
        notes=tuple(notes),
    )


def _parsed(text: str, environment: Mapping[str, str]) -> tuple[Mapping[str, object], list[str]]:
    try:
        root = parse(text)
        version = _map(decode(root, VERSION_ONLY)).get("Version")
        if version != "0.1":
            raise _refused(
                f"the configuration's version is {version!r}" if version else "it has no version",
                "write `version: 0.1`; no variable can set it",
            )
        decoded = decode(root, CONFIGURATION)
    except DecodeError as error:
        raise _refused(str(error), "correct the registry's configuration file") from error
    configuration: dict[str, object] = dict(_map(decoded))
    try:
        return overwrite(configuration, CONFIGURATION, environment)
    except VariableError as error:
        raise _refused_variable(error, environment[error.name]) from error


def _refused(why: str, next_step: str) -> ConfigurationError:
    return ConfigurationError(
        "nothing was touched: the registry would not start with this configuration",
        why=why,
        next_step=next_step,
    )


def _refused_variable(error: VariableError, value: str) -> ConfigurationError:
    if service := service_of(error.name, value):
        return _refused(
            f"Kubernetes sets {error.name} for a Service called {service}, and the registry reads "
            "it as a part of its configuration",
            f"set `enableServiceLinks: false` in the pod, or give the Service {service} another "
            "name",
        )
    return _refused(
        f"the variable {error.name}: {error.problem}", f"correct or remove {error.name}"
    )


def _driver(storage: Mapping[str, object]) -> str:
    drivers = sorted(set(storage) - STORAGE_OPTIONS)
    if len(drivers) > 1:
        raise _refused(
            f"two storage drivers are named in the file and the variables: {', '.join(drivers)}",
            "keep one; REGISTRY_STORAGE=<driver> replaces the whole section before the variables "
            "below it add to it",
        )
    if not drivers or not drivers[0]:
        raise _refused(
            "it names no storage driver",
            "add a `storage` section, for example `storage: {filesystem: {rootdirectory: "
            "/var/lib/registry}}`",
        )
    return drivers[0]


def _root(parameters: Mapping[str, object], notes: list[str]) -> str:
    """Return the root directory as the driver joins it with its paths (filesystem/driver.go)."""
    _check_threads(parameters)
    if "rootdirectory" not in parameters:
        return "/var/lib/registry"
    root = sprint(parameters["rootdirectory"])
    if root == "<nil>":
        notes.append(
            "storage.filesystem.rootdirectory is set to nothing, and the registry takes that for a "
            "directory called <nil>"
        )
    if not root:
        return "/"
    # Two slashes at the start are one for Go, but mean something to POSIX.
    root = re.sub("^//+", "/", normpath(root))
    if not root.startswith("/"):
        notes.append(f"the root directory {root} counts from the registry's working directory")
    return root


def _check_threads(parameters: Mapping[str, object]) -> None:
    """Refuse what base.GetLimitFromParameter refuses."""
    value = parameters.get("maxthreads")
    number = value is None or (isinstance(value, int) and not isinstance(value, bool))
    text = isinstance(value, str) and re.fullmatch(
        r"0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO]?[0-7_]+|[1-9][0-9_]*|0", value
    )
    if not (number or text):
        raise _refused(
            "storage.filesystem.maxthreads is not a whole number", "write a number, or remove it"
        )


def _read_only(storage: Mapping[str, object]) -> bool:
    """Return whether every PUT, POST, PATCH and DELETE answers 405."""
    maintenance = _map(storage.get("maintenance"))
    if "readonly" not in maintenance:
        return False
    section = maintenance["readonly"]
    way_out = (
        'set REGISTRY_STORAGE_MAINTENANCE_READONLY to {"enabled":true} or {"enabled":false}; '
        "REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED does not work"
    )
    # What a longer variable made is another kind of map, and the registry wants this one.
    if not isinstance(section, AnyMap):
        raise _refused("storage.maintenance.readonly is not a map of the file's kind", way_out)
    enabled = section.get("enabled", False)
    if not isinstance(enabled, bool):
        raise _refused("storage.maintenance.readonly.enabled is not a boolean", way_out)
    return enabled


def _check_purging(storage: Mapping[str, object]) -> None:
    """Refuse what startUploadPurger refuses: once the section is there, all of it must be."""
    maintenance = _map(storage.get("maintenance"))
    if "uploadpurging" not in maintenance:
        return
    section = maintenance["uploadpurging"]
    complete = isinstance(section, AnyMap) and (
        section.get("enabled") is False
        or (
            all(
                isinstance(value := section.get(key), str) and duration(value) is not None
                for key in ("age", "interval")
            )
            and isinstance(section.get("dryrun"), bool)
        )
    )
    if not complete:
        raise _refused(
            "storage.maintenance.uploadpurging is there but not complete",
            "give it enabled, age, interval and dryrun in the file, or remove it",
        )


def _check_options(
    storage: Mapping[str, object], tags: Mapping[str, object], notes: list[str]
) -> None:
    if _number(tags.get("MaxTags")) < 0:
        notes.append("registry 3 does not start: tags.maxtags is below 0 (2.8 does not know it)")
    if "redirect" in storage and not isinstance(_map(storage["redirect"]).get("disable"), bool):
        raise _refused("storage.redirect.disable is not a boolean", "write true or false")
    tag = _map(storage.get("tag"))
    limit = tag.get("concurrencylimit", 0)
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
        raise _refused("storage.tag.concurrencylimit is not a number from 0 on", "write a number")


def _cache(storage: Mapping[str, object], notes: list[str]) -> Cache:
    """Return where blob descriptors are cached; `layerinfo` is the old name of `blobdescriptor`."""
    if "cache" not in storage:
        return "none"
    section = _map(storage["cache"])
    kind = section["blobdescriptor"] if "blobdescriptor" in section else section.get("layerinfo")
    if kind == "inmemory":
        size = sprint(section.get("blobdescriptorsize", 0))
        if not re.fullmatch(r"[-+]?[0-9]+", size):
            notes.append(
                "registry 3 does not start: storage.cache.blobdescriptorsize is not a number (2.8 "
                "does not know it)"
            )
        return "inmemory"
    if kind == "redis":
        return "redis"
    if kind != "":
        notes.append(
            "storage.cache names no kind of cache that the registry knows, so nothing is cached"
        )
    return "none"


def _redis(section: Mapping[str, object], notes: list[str]) -> RedisOptions:
    """Return the Redis that a cache is kept in."""
    if other := other_address(section):
        raise _refused(
            f"registry 2.8 keeps its cache at redis.addr, {other}, which redis.addrs of registry 3 "
            "does not name",
            "keep one of the two",
        )
    found = redis_options(section)
    if found is None:
        raise _refused(
            "storage.cache wants Redis, and no address of one is given", "set redis.addrs"
        )
    if section.get("Addr"):
        notes.append("redis.addr is the form of registry 2.8: registry 3 wants redis.addrs")
    return found


def _net(net: str) -> str:
    if net not in ("", "tcp", "unix"):
        raise _refused(f"http.net is {net!r}", "write tcp or unix, or remove it")
    return net or "tcp"


def _map(value: object) -> Mapping[str, object]:
    """Return a map, an empty one for nothing or for what is none."""
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0
