"""Ours and a real registry log in to the same Redis alike, whatever form its options have.

Both are given the same file and variables, and loopback ports note who says what: which port, as
which user, into which database, and whose master a sentinel is asked for. REDIS_SEED moves all.
"""

import contextlib
import os
import random
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from registry_gc import redis_cache
from registry_gc.errors import ConfigurationError, StorageError
from registry_gc.layout import Entry, Kind, parse_digest
from registry_gc.registry_config import effective
from support.certificates import self_signed, signed_by
from support.checkout import clean_environment
from support.client import Client, Refused
from support.fake_kubernetes import certificate
from support.redis_listener import Listener, Login, redis_listeners
from support.registry_process import free_port, registry_binary
from support.waiting import until

BASE = int(os.environ.get("REDIS_SEED", "0"))
GATE, FULL = range(10), range(10, 100)
DIGEST = "sha256:" + "d" * 64
TEXTS = ("secret", "0123", "yes", "'with: colon'", '"quoted"', "1e3", "~", "null", "''", "5_0")
NUMBERS = ("3", "0x5", "07", "'4'", "~", "2.0")


@dataclass
class Case:
    """What one registry is started with, below its storage section."""

    section: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return f"redis: {{{', '.join(self.section)}}}\n" if self.section else ""


class Grammar:
    """Draws options, each in the file, in a variable, or in both."""

    def __init__(self, seed: int, ports: Sequence[int]) -> None:
        self.dice = random.Random(f"redis {seed}")
        self.addresses = [f"127.0.0.1:{port}" for port in ports]
        self.case = Case()

    def registry_3(self) -> Case:
        self._addresses()
        for name in ("username", "password"):
            self._maybe(name, TEXTS)
        self._maybe("db", NUMBERS)
        if self.dice.random() < 0.4:
            self._put("mastername", self.dice.choice(("theirs", "other")))
            for name in ("sentinelusername", "sentinelpassword"):
                self._maybe(name, TEXTS)
        return self.case

    def registry_2(self) -> Case:
        self._put("addr", self.addresses[0])
        self._maybe("addr", self.addresses[1:2], probability=0.2)
        self._maybe("password", TEXTS)
        self._maybe("db", NUMBERS)
        self._maybe("username", TEXTS, probability=0.2)
        return self.case

    def _addresses(self) -> None:
        first, second = self.dice.sample(self.addresses[:2], 2)
        in_file, variables = self.dice.choice(
            (
                ([first], {}),
                ([first], {"ADDRS_0": second}),
                ([first], {"ADDRS_1": second}),
                ([], {"ADDRS": f"['{first}']"}),
                ([second], {"ADDRS": f"['{first}']"}),
                ([], {"ADDRS_0": first}),
                ([], {"ADDRS_0": first, "ADDRS_1": second}),
                ([], {"OPTIONS_ADDRS": f"['{first}']"}),
                ([second], {"PORT": "tcp://10.96.0.7:6379", "PORT_6379_TCP_ADDR": "10.96.0.7"}),
                ([first, second], {}),
            )
        )
        if in_file:
            quoted = ", ".join(f"'{each}'" for each in in_file)
            self.case.section.append(f"addrs: [{quoted}]")
        self.case.environment |= {
            f"REGISTRY_REDIS_{name}": text for name, text in variables.items()
        }

    def _maybe(self, name: str, values: Sequence[str], probability: float = 0.6) -> None:
        if self.dice.random() < probability:
            self._put(name, self.dice.choice(values))

    def _put(self, name: str, value: str) -> None:
        where = self.dice.choice(("file", "variable", "both"))
        in_file = f"{name}: {value}"
        if where != "variable" and not any(
            each.startswith(f"{name}:") for each in self.case.section
        ):
            self.case.section.append(in_file)
        if where != "file":
            self.case.environment[f"REGISTRY_REDIS_{name.upper()}"] = value


def configuration(folder: Path, section: str) -> str:
    return (
        "version: 0.1\n"
        f"storage: {{filesystem: {{rootdirectory: {folder}}}, cache: {{blobdescriptor: redis}}}}\n"
        f"{section}"
    )


def logins_of_the_registry(
    folder: Path, case: Case, version: str, listeners: Sequence[Listener]
) -> set[Login]:
    """Start the registry, ask it for a blob, and return who logged in; nobody if it ends."""
    port = free_port()
    config = folder / "config.yml"
    config.write_text(configuration(folder, case.text))
    with (folder / "registry.log").open("wb") as log:
        process = subprocess.Popen(
            [registry_binary(version), "serve", config],
            env={
                **clean_environment(),
                "OTEL_TRACES_EXPORTER": "none",
                "REGISTRY_HTTP_ADDR": f"127.0.0.1:{port}",
                **case.environment,
            },
            stdout=log,
            stderr=log,
        )
    client = Client(f"http://127.0.0.1:{port}", timeout=10)

    def settled() -> bool:
        if process.poll() is not None:
            return True
        try:
            return client.request("HEAD", f"/v2/app/blobs/{DIGEST}").status > 0
        except Refused:
            return False

    try:
        until(settled, what="the registry has looked for a blob, or has ended")
    finally:
        client.close()
        process.kill()
        process.wait()
    return taken(listeners)


def logins_of_ours(folder: Path, case: Case, listeners: Sequence[Listener]) -> set[Login]:
    """Let the collector clear a key by the same configuration, and return who logged in."""
    try:
        found = effective(configuration(folder, case.text), case.environment)
    except ConfigurationError:
        return set()
    link = Entry(Kind.LAYER_LINK, "app", digest=parse_digest(DIGEST))
    # Nobody is a whole Redis here, and the sentinel may not know the master.
    with contextlib.suppress(StorageError):
        redis_cache.forget(found.redis, {link})
    return taken(listeners)


def taken(listeners: Sequence[Listener]) -> set[Login]:
    found = {login for listener in listeners for login in listener.logins}
    for listener in listeners:
        listener.logins.clear()
    return found


def without_choice(logins: set[Login]) -> set[Login]:
    """Leave out which of a cluster's nodes or sentinels was asked first, and their details.

    A client of a cluster asks any of them, and has no database.
    """
    clustered = any(each.role == "cluster" for each in logins)
    return {
        Login(
            0 if clustered or each.role == "sentinel" else each.port,
            "cluster" if clustered else each.role,
            each.username,
            each.password,
            each.database,
        )
        for each in logins
    }


@pytest.mark.parametrize("version", ["3.1.1", "2.8"])
@pytest.mark.parametrize(
    "seed", [*GATE, *(pytest.param(seed, marks=pytest.mark.full) for seed in FULL)]
)
def test_rule_13_ours_and_the_registry_log_in_to_the_same_redis(
    tmp_path: Path, seed: int, version: str
) -> None:
    """Seen to fail: take REGISTRY_REDIS_ADDRS_0 for an address, as its name says."""
    with redis_listeners(4) as listeners:
        agree(tmp_path, BASE + seed, version, listeners)


@pytest.mark.parametrize("by_variable", [False, True], ids=["file", "variable"])
def test_rule_13_a_redis_with_tls_is_reached_by_both(tmp_path: Path, by_variable: bool) -> None:
    """Seen to fail: leave `rootcas` out of what is read."""
    authority = certificate(tmp_path)
    case = Case(["password: p"])
    if by_variable:
        case.environment["REGISTRY_REDIS_TLS_ROOTCAS"] = f"[{authority}]"
    else:
        case.section.append(f"tls: {{rootcas: [{authority}]}}")
    with redis_listeners(1, authority) as (listener,):
        case.section.append(f"addrs: ['127.0.0.1:{listener.port}']")

        found = compare(tmp_path, case, "3.1.1", [listener])

        assert found == {Login(listener.port, "server", password="p")}


def test_rule_13_a_certificate_that_the_registry_takes_is_taken(tmp_path: Path) -> None:
    """Its own, named as an authority, though another one has signed it: Go takes any of them.

    Seen to fail: without `ssl_include_verify_flags`; nothing could be collected. The other flag
    shows in tests/e2e/test_redis.py: it needs the Python of the collector's image.
    """
    issuer = self_signed(tmp_path, "DNS:issuer", authority=True, name="issuer")
    its = signed_by(issuer, tmp_path, "IP:127.0.0.1", name="its")
    both = tmp_path / "both.pem"
    both.write_text(its.crt.read_text() + its.key.read_text())
    case = Case(["password: p", f"tls: {{rootcas: [{its.crt}]}}"])
    with redis_listeners(1, both) as (listener,):
        case.section.append(f"addrs: ['127.0.0.1:{listener.port}']")

        found = compare(tmp_path, case, "3.1.1", [listener])

        assert found == {Login(listener.port, "server", password="p")}


def agree(folder: Path, seed: int, version: str, listeners: Sequence[Listener]) -> set[Login]:
    """Check the case of a seed; the last two ports are masters that a sentinel knows."""
    for listener in listeners:
        listener.masters = {"theirs": listeners[2].port, "other": listeners[3].port}
    grammar = Grammar(seed, [listener.port for listener in listeners])
    case = grammar.registry_3() if version == "3.1.1" else grammar.registry_2()
    return compare(folder, case, version, listeners)


def compare(folder: Path, case: Case, version: str, listeners: Sequence[Listener]) -> set[Login]:
    """Check that both log in alike, and return how."""
    theirs = logins_of_the_registry(folder, case, version, listeners)
    ours = logins_of_ours(folder, case, listeners)

    log = (folder / "registry.log").read_text(errors="replace")[-1500:]
    told = f"ours {ours}\ntheirs {theirs}\n{case.text}{case.environment}\n{log}"
    assert without_choice(ours) == without_choice(theirs), told
    return theirs
