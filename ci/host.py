"""The machine that all this runs on: what is installed, and what an engine does to its network.

An engine adds bridges and firewall rules, turns on forwarding, and leaves them when it ends.
"""

import json
import os
import re
import shutil
from pathlib import Path

from shell import StepError, alone, run, say, succeeds

_FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")
_BRIDGE = re.compile(r"docker0|br-[0-9a-f]{12}")
_OF_AN_ENGINE = re.compile(rf"\bDOCKER\b|\b(?:{_BRIDGE.pattern})\b")
_FORWARD = ":FORWARD "  # that chain's policy
_FIREWALLS = ("iptables", "ip6tables")


def need(program: str, *packages: str) -> None:
    """Have a program, from the package of its name or those given. Raises StepError."""
    if shutil.which(program) is None:
        install(*(packages or (program,)))


def install(*packages: str) -> None:
    """Install Debian packages, and say so before. Raises StepError where that cannot be done."""
    names = " ".join(packages)
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise StepError(
            f"missing here: {names} (names of Debian's packages). Install them, or run this as "
            "root on Debian, where it is done for you"
        )
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    with alone("apt"):
        say(f"installing with apt-get: {names}")
        run("apt-get", "update", "-q", env=environment)
        run("apt-get", "install", "-y", "-q", "--no-install-recommends", *packages, env=environment)


def note_network(note: Path) -> None:
    """Write down what `undo_network` needs, before an engine starts."""
    before = {
        "links": _links(),
        "forwarding": _FORWARDING.read_text(),
        "rules": {each: run(f"{each}-save") for each in _FIREWALLS if _has_firewall(each)},
    }
    note.write_text(json.dumps(before))


def undo_network(note: Path) -> None:
    """Take away what an engine added since the note; what others added meanwhile stays."""
    if not note.exists():
        say(f"its bridges and firewall rules stay: {note}, which told them from others', is gone")
        return
    before = json.loads(note.read_text())
    for link in set(_links()) - set(before["links"]):
        if _BRIDGE.fullmatch(link):
            run("ip", "link", "delete", link)
    for firewall, rules in before["rules"].items():
        left = without_engine(run(f"{firewall}-save"), rules)
        run(f"{firewall}-restore", input=left.encode())
    _FORWARDING.write_text(before["forwarding"])


def without_engine(now: str, before: str) -> str:
    """Return the rules of now without those of an engine that were not there before.

    Both are in the form of iptables-save. A chain's policy goes back too: an engine that turns on
    forwarding lets the host forward nothing else (`FORWARD DROP`), which breaks it for others.
    """
    known = {(table, _rule(line)) for table, line in _by_table(before)}
    policies = {table: line for table, line in _by_table(before) if line.startswith(_FORWARD)}
    kept = [
        policies.get(table, f"{_FORWARD}ACCEPT [0:0]") if line.startswith(_FORWARD) else line
        for table, line in _by_table(now)
        if (table, _rule(line)) in known or not _OF_AN_ENGINE.search(line)
    ]
    return "".join(f"{line}\n" for line in kept)


def _by_table(rules: str) -> list[tuple[str, str]]:
    """Return each line that says something, with the table that it belongs to."""
    table, lines = "", []
    for line in rules.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if line.startswith("*"):
            table = line
        lines.append((table, line))
    return lines


def _rule(line: str) -> str:
    return line.partition(" [")[0]  # without a chain's counters


def _links() -> list[str]:
    return [link["ifname"] for link in json.loads(run("ip", "-json", "link"))]


def _has_firewall(name: str) -> bool:
    return shutil.which(f"{name}-save") is not None and succeeds(f"{name}-save")
