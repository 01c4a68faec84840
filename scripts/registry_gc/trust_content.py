"""What a node's container runtime is to read so that it pulls from a registry: text, nothing else.

From a RegistryEndpoint's status, which is not believed blindly: it is written as root on every
node, and who may edit the object must not redirect other registries' images nor reach other
folders.

containerd (hosts.toml): docs/hosts.md of containerd 1.7 and 2.x. `ca` also stands at the top level,
because after a 404 `server` is asked, and a missing image would look like a bad certificate. At
least one [host] table, because a file without any is ignored by 1.7. CRI-O: containers-certs.d(5),
containers-registries.conf(5).
"""

import base64
import json
import ssl
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from registry_gc.addresses import Address
from registry_gc.errors import ConfigurationError

Runtime = Literal["containerd", "crio"]

MARK = "# Made by registry-gc node-trust of "

_PLUGIN_1 = "io.containerd.grpc.v1.cri"  # containerd 1.x: configuration version 2
_PLUGIN_2 = "io.containerd.cri.v1.images"  # containerd 2.x: version 3
_BEGIN, _END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
_SEQUENCE = b"\x30"  # how a certificate in DER begins
_MOST_CERTIFICATES = 16
# Who could write a RegistryEndpoint would have every node's images of these.
_PUBLIC = frozenset(
    {
        "docker.io", "index.docker.io", "registry-1.docker.io", "quay.io", "gcr.io", "ghcr.io",
        "k8s.gcr.io", "registry.k8s.io", "mcr.microsoft.com", "public.ecr.aws",
        "registry.gitlab.com", "registry.access.redhat.com", "registry.redhat.io", "nvcr.io",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Trust:
    """That images of `host` are pulled from `server`, whose certificate `bundle` (PEM) signs.

    `source` is the RegistryEndpoint that says so, as NAMESPACE/NAME.
    """

    host: Address
    server: Address
    scheme: Literal["http", "https"]
    bundle: str
    source: str


@dataclass(slots=True)
class Wanted:
    """Files by their paths below the runtime's folder, and sentences on what was not taken."""

    files: dict[str, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def mark(owner: str, source: str) -> str:
    """Return a file's first line: whose it is, and what it was made from."""
    return f"{MARK}{owner} from {source}; it is written anew, and removed with the release.\n"


def source_of(content: str, owner: str) -> str | None:
    """Return what a file of this owner's was made from, None for a file that is not its own."""
    first = content.partition("\n")[0]
    rest = first.removeprefix(f"{MARK}{owner} from ")
    return None if rest == first else rest.partition(";")[0]


def owner_of(content: str) -> str:
    """Return whose a file is that any release has made, empty for one that none has."""
    first = content.partition("\n")[0]
    return first.removeprefix(MARK).partition(" from ")[0] if first.startswith(MARK) else ""


def trusts_of(
    found: Mapping[str, Any],
    source: str,
    node_address: str,
    problems: list[str],
    hosts: Collection[Address] = (),
) -> list[Trust]:
    """Return what one RegistryEndpoint asks a node to trust; none of it if it is withdrawn.

    Only `hosts`, which no RegistryEndpoint says, may be pulled from elsewhere than their name says:
    who may edit one object would have the images of every registry of every node.
    """
    if (found.get("spec") or {}).get("withdrawn"):
        return []
    status = found.get("status") or {}
    trusts = []
    for entry in status.get("nodes") or ():
        try:
            trust = _trust(entry, status, source, node_address)
        except (ConfigurationError, KeyError, TypeError, ValueError) as error:
            problems.append(f"{source}: an entry is left out: {_first_line(error)}")
            continue
        if trust.host.is_loopback:
            continue  # runtimes trust it as it is
        if any(f".{trust.host.host}".endswith(f".{each}") for each in _PUBLIC):
            problems.append(f"{source}: {trust.host} is a public registry and is left alone")
            continue
        if trust.server != trust.host and trust.host not in hosts:
            problems.append(
                f"{source}: {trust.host} is left alone: it would be pulled from {trust.server}, "
                "and nodeTrust.host does not name it"
            )
            continue
        trusts.append(trust)
    return trusts


def files_of(trusts: Iterable[Trust], owner: str, runtime: Runtime) -> Wanted:
    """Return the files for all that is trusted; of two for one host the first counts."""
    wanted = Wanted()
    hosts: dict[Address, str] = {}
    for trust in trusts:
        if (other := hosts.setdefault(trust.host, trust.source)) != trust.source:
            wanted.problems.append(f"{trust.source}: {trust.host} is {other}'s already")
            continue
        line = mark(owner, trust.source)
        made = _for_containerd(trust) if runtime == "containerd" else _for_crio(trust)
        wanted.files |= {path: line + content for path, content in made.items()}
    return wanted


def _for_containerd(trust: Trust) -> dict[str, str]:
    folder = f"certs.d/{trust.host}"
    url = json.dumps(f"{trust.scheme}://{trust.server}")  # a JSON string is a TOML string
    ca = 'ca = "ca.crt"\n' if trust.bundle else ""
    hosts = f'server = {url}\n{ca}\n[host.{url}]\n  capabilities = ["pull", "resolve"]\n' + (
        f"  {ca}" if ca else ""
    )
    files = {f"{folder}/hosts.toml": hosts}
    if trust.bundle:
        files[f"{folder}/ca.crt"] = trust.bundle
    return files


def _for_crio(trust: Trust) -> dict[str, str]:
    files = {}
    if trust.bundle:
        files[f"certs.d/{trust.server}/ca.crt"] = trust.bundle
    if trust.server != trust.host or trust.scheme == "http":
        name = str(trust.host).replace(":", "-").strip("[]")
        files[f"registries.conf.d/registry-gc-{name}.conf"] = (
            "[[registry]]\n"
            f"prefix = {json.dumps(str(trust.host))}\n"
            f"location = {json.dumps(str(trust.server))}\n"
            f"insecure = {'true' if trust.scheme == 'http' else 'false'}\n"
        )
    return files


def _trust(
    entry: Mapping[str, Any], status: Mapping[str, Any], source: str, node_address: str
) -> Trust:
    host = Address.parse(str(entry["host"]))
    if entry.get("nodePort"):
        server = Address.parse(str(Address(node_address, int(entry["nodePort"]))))
    else:
        server = Address.parse(str(entry.get("server") or entry["host"]))
    scheme = entry["scheme"]
    if scheme == "http":
        return Trust(host, server, "http", "", source)
    if scheme != "https":
        raise ValueError(f"{scheme!r} is no scheme")
    group = {"Pods": "pods", "Clients": "clients"}[entry["trust"]]
    bundle = (status.get(group) or {}).get("caBundle") or ""
    return Trust(host, server, "https", certificates_in(bundle), source)


def certificates_in(bundle: str) -> str:
    """Return the certificates of a PEM text and nothing else of it. Raises ValueError."""
    found: list[str] = []
    for part in bundle.split(_BEGIN)[1:]:
        body, end, _ = part.partition(_END)
        if not end:
            raise ValueError("its caBundle ends within a certificate")
        der = base64.b64decode("".join(body.split()), validate=True)
        if not der.startswith(_SEQUENCE):
            raise ValueError("its caBundle has something else than certificates")
        found.append(ssl.DER_cert_to_PEM_cert(der))
    if bundle.strip() and not found:
        raise ValueError("its caBundle has no certificate")
    if len(found) > _MOST_CERTIFICATES:
        raise ValueError(f"its caBundle has more than {_MOST_CERTIFICATES} certificates")
    return "".join(found)


def config_path_problem(texts: Sequence[Mapping[str, Any]], folder: str) -> str:
    """Return why containerd does not read a folder, empty if it does; `texts` are its parsed
    configuration files, the main one first.

    Two folders with a colon between them are containerd 2.2's own default, and in 2.2 a pull by the
    transfer service then finds neither: https://github.com/containerd/containerd/issues/12808.
    """
    set_to, by = "", ""
    for each in texts:
        plugins = each.get("plugins") or {}
        for name in (_PLUGIN_1, _PLUGIN_2):
            if found := ((plugins.get(name) or {}).get("registry") or {}).get("config_path"):
                set_to, by = found, name
    folders = [part.rstrip("/") for part in set_to.split(":")]
    if folder in folders and (len(folders) == 1 or by == _PLUGIN_1):
        return ""
    version = texts[0].get("version", 2) if texts else 2
    plugin = by or (_PLUGIN_2 if version >= 3 else _PLUGIN_1)
    way_out = (
        f'Write [plugins."{plugin}".registry] config_path = "{folder}" into its config.toml and '
        "restart it once on each node"
    )
    if folder in folders:
        return (
            f"containerd 2.2 may not read {folder}: its config_path names several folders, "
            f"{set_to!r}, in which it then finds nothing (containerd issue 12808). {way_out}"
        )
    is_now = f"is {set_to!r}" if set_to else "is not set"
    return f"containerd does not read {folder}: its config_path {is_now}. {way_out}"


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__
