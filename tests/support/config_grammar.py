"""Configurations of a registry, file and variables, drawn from a small grammar by a seed.

Weighted towards what has misled people: replaced sections, service links, maps of two kinds, typed
scalars, two names of the cache. Every root directory lies below the folder that a case is given.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

NAMES = ("a", "b", "c")


@dataclass(frozen=True)
class Case:
    """What a registry would be started with."""

    text: str
    environment: Mapping[str, str]


def draw(seed: int, folder: Path) -> Case:
    """Return the case of a seed, with its directories below `folder`."""
    return _Grammar(random.Random(f"configuration {seed}"), folder).case()


_CACHES = (
    "{blobdescriptor: inmemory}",
    "{layerinfo: inmemory}",
    "{layerinfo: inmemory, blobdescriptor: ''}",
    "{blobdescriptor: inmemory, blobdescriptorsize: 20}",
    "{blobdescriptor: inmemory, blobdescriptorsize: many}",
    "{blobdescriptor: InMemory}",
    "{blobdescriptor: off}",
    "{}",
    "",
)
_MAINTENANCE = (
    "{readonly: {enabled: true}}",
    "{readonly: {enabled: true}}",
    "{readonly: {enabled: yes}}",
    "{readonly: {enabled: on}}",
    "{readonly: {enabled: 'true'}}",
    "{readonly: {enabled: off}}",
    "{readonly: {}}",
    "{readonly: }",
    "{readonly: {enabled: false}}",
    "{uploadpurging: {enabled: false}}",
    "{uploadpurging: {enabled: true}}",
    "{uploadpurging: {enabled: true, age: 168h, interval: 24h, dryrun: no}}",
)
_OTHERS = (
    "tags: {maxtags: 100}",
    "tags: {maxtags: -1}",
    "http: {secret: x, net: udp}",
    "health: {storagedriver: {enabled: yes, interval: 10s, threshold: 3}}",
    "health: {storagedriver: {enabled: maybe}}",
    "unknown: {storage: {filesystem: {rootdirectory: /nowhere}}}",
    "---\nstorage: inmemory",
)
_LINKS = ("AUTH", "HEALTH", "LOG", "MIDDLEWARE", "NOTIFICATIONS", "PROXY", "REDIS", "TAGS")
_BOOLEANS = ("true", "true", "no", "on", "y", "'yes'", "false", "1", "")


class _Grammar:
    def __init__(self, dice: random.Random, folder: Path) -> None:
        self._dice = dice
        self._folder = folder

    def case(self) -> Case:
        parts = [self._maybe("version: 0.1", 0.98, "version: 0.2")]
        if self._dice.random() < 0.95:
            parts.append(self._storage())
        if self._dice.random() < 0.3:
            parts.append(
                f"http: {{secret: x, draintimeout: {self._pick('5s', '5s', '1e9', 'soon')}}}"
            )
        if self._dice.random() < 0.2:
            parts.append(f"log: {{level: {self._pick('warn', 'INFO', 'loud')}, fields: {{a: 1}}}}")
        if self._dice.random() < 0.15:
            parts.append(str(self._pick(*_OTHERS)))
        variables: dict[str, str] = {}
        for _ in range(self._dice.choice((0, 0, 1, 1, 2, 3))):
            name, value = self._variable()
            variables[f"REGISTRY_{name}"] = value
        return Case("\n".join(parts) + "\n", variables)

    def _pick(self, *choices: object) -> object:
        return self._dice.choice(choices)

    def _maybe(self, text: str, probability: float, otherwise: str = "") -> str:
        return text if self._dice.random() < probability else otherwise

    def _place(self) -> str:
        return f"{self._folder}/{self._dice.choice(NAMES)}"

    def _root(self) -> str:
        """Return a root directory as YAML writes it."""
        place = self._place()
        return str(
            self._pick(
                *(place,) * 6,
                f"{place}/",
                f"{self._folder}//x/../{Path(place).name}",
                f"'{place}'",
                Path(place).name,
                "0123",
                "1e3",
                "yes",
                "'n'",
                "1:30",
            )
        )

    def _threads(self) -> str:
        return str(self._pick("50", '"0x40"', "few"))

    def _storage(self) -> str:
        driver = self._pick(
            *(f"filesystem: {{rootdirectory: {self._root()}}}",) * 6,
            f"filesystem: {{rootdirectory: {self._root()}, maxthreads: {self._threads()}}}",
            f"filesystem: &here {{rootdirectory: {self._root()}}}",
            f"filesystem: {{<<: {{rootdirectory: {self._place()}, maxthreads: 50}}}}",
            f"filesystem: {{RootDirectory: {self._place()}}}",
            f"filesystem: {{? rootdirectory : !!str {self._root()}}}",
            f"Filesystem: {{rootdirectory: {self._place()}}}",
            "filesystem: ",
            "inmemory: ",
            "s3: {bucket: b}",
            "unknown: {x: 1}",
        )
        if self._dice.random() < 0.08:
            return f"storage: {self._pick('filesystem', 'inmemory', 's3', '[filesystem]', '')}"
        lines = [str(driver)]
        if self._dice.random() < 0.5:
            lines.append(f"cache: {self._pick(*_CACHES)}")
        if self._dice.random() < 0.4:
            lines.append(f"maintenance: {self._pick(*_MAINTENANCE)}")
        if self._dice.random() < 0.4:
            lines.append(f"delete: {{enabled: {self._pick(*_BOOLEANS)}}}")
        if self._dice.random() < 0.1:
            lines.append(f"redirect: {{disable: {self._pick(*_BOOLEANS)}}}")
        if self._dice.random() < 0.05:
            lines.append(f"tag: {{concurrencylimit: {self._pick('5', '-1', 'x')}}}")
        self._dice.shuffle(lines)
        if self._dice.random() < 0.05:
            lines.append(f"filesystem: {{rootdirectory: {self._place()}}}")  # once more
        return "storage:\n" + "\n".join(f"  {line}" for line in lines)

    def _variable(self) -> tuple[str, str]:
        choices: tuple[Callable[[], tuple[str, str]], ...] = (
            *(lambda: ("STORAGE_FILESYSTEM_ROOTDIRECTORY", self._root()),) * 5,
            lambda: ("STORAGE_FILESYSTEM_ROOTDIRECTORY", ""),
            lambda: ("STORAGE_FILESYSTEM", f"{{rootdirectory: {self._place()}}}"),
            lambda: ("STORAGE_FILESYSTEM", str(self._pick("", "~", "{}", "text"))),
            lambda: ("STORAGE", f"{{filesystem: {{rootdirectory: {self._place()}}}}}"),
            lambda: ("STORAGE", str(self._pick("filesystem", "filesystem", "inmemory", "s3", ""))),
            *(lambda: ("STORAGE_CACHE_BLOBDESCRIPTOR", str(self._pick("inmemory", "", "x"))),) * 2,
            lambda: ("STORAGE_CACHE_LAYERINFO", "inmemory"),
            lambda: ("STORAGE_CACHE", str(self._pick(*_CACHES))),
            *(lambda: ("STORAGE_MAINTENANCE_READONLY", '{"enabled":true}'),) * 4,
            lambda: ("STORAGE_MAINTENANCE_READONLY", "{enabled: on}"),
            lambda: ("STORAGE_MAINTENANCE_READONLY_ENABLED", "true"),
            lambda: ("STORAGE_MAINTENANCE", str(self._pick(*_MAINTENANCE))),
            lambda: ("STORAGE_DELETE_ENABLED", str(self._pick(*_BOOLEANS))),
            lambda: ("STORAGE_REDIRECT_DISABLE", str(self._pick(*_BOOLEANS))),
            lambda: ("STORAGE_S3_BUCKET", "b"),
            lambda: ("STORAGE_PORT", "tcp://10.96.0.7:5000"),
            lambda: ("STORAGE_FILESYSTEM_ROOTDIRECTORY_X", "y"),
            lambda: ("PORT_5000_TCP_ADDR", "10.96.0.7"),
            lambda: ("HTTP_PORT", "tcp://10.96.0.7:5000"),
            lambda: (f"{self._pick(*_LINKS)}_PORT", "tcp://10.96.0.7:5000"),
            lambda: ("HTTP_TLS_CLIENTCAS_0", str(self._pick("ca.pem", "{a: b}"))),
            lambda: (f"NOTIFICATIONS_ENDPOINTS_{self._pick(0, 1)}_NAME", "x"),
            lambda: ("TAGS_MAXTAGS", str(self._pick("5", "-1"))),
            lambda: ("HTTP_DRAINTIMEOUT", str(self._pick("5s", "0", "soon"))),
            lambda: ("LOG_LEVEL", str(self._pick("warn", "loud"))),
            lambda: ("VERSION", str(self._pick("0.1", "0.2"))),
        )
        return self._dice.choice(choices)()
