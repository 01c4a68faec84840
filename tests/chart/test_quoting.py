"""What the user writes comes out as the user wrote it, whatever YAML would make of it."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from helm_chart_test import Object, merged
from helm_chart_test.fixtures import Renderer
from support.leaves import Path, all_leaves, context, nested
from support.rendered import secret_of

NAMES = ("yes", "0123", "1e3", "null")
CANARIES = (*NAMES, "a: b", "# x", 'it\'s "q"', "{a: b}")

_PLAIN = re.compile(r"plain-(\d+)-text")

# Names of objects: other texts are refused by a sentence.
NAMES_OF_OBJECTS = re.compile(r"(Ref|ClassName|Name|Secret|Claim|\.name)$")

# Texts of which only some are allowed, or that become a part of a name, a size, a port.
FORMS = {
    "apiVersion", "dnsPolicy", "namespace", "fullnameOverride", "nameOverride", "storage", "type",
    "digest", "pullPolicy", "tag", "repository", "registry", "imageRegistry", "restart",
    "restartPolicy", "mode", "period", "schedule", "size", "ttl", "timeout", "path", "pathType",
    "accessMode", "configPath", "htpasswd", "keyfile", "jwks", "proxyBodySize", "port", "nodePort",
    "healthCheckNodePort", "sessionAffinity", "clusterIP", "loadBalancerIP", "ipFamilyPolicy",
    "externalTrafficPolicy", "internalTrafficPolicy", "preStopDelay", "remoteurl", "realm",
    "terminationGracePeriodSeconds", "interval", "scrapeTimeout", "timeZone", "activeDeadline",
    "startingDeadline", "gracePeriod", "settlePeriod", "uploadGracePeriod", "quarantine",
    "startDelay", "memoryStartDelay", "className", "fsGroupChangePolicy", "storageClass", "enable",
    "minimumVersion", "lifetime", "authorityLifetime", "duration", "renewBefore", "nodeAddressType",
    "scheme", "host", "via", "runtime", "hostFolder", "removeTimeout", "readOnlyExpires",
    "readOnlyTimeout",
}  # fmt: skip
ONCE = [
    path
    for path, default in all_leaves()
    if (isinstance(default, str) and path[-1] not in FORMS and path[0] != "configData")
    or (isinstance(default, dict) and path[-1] in {"annotations", "podAnnotations"})
    or path == ("commonAnnotations",)
]


def strings(thing: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if isinstance(thing, Mapping):
        for key, value in thing.items():
            yield from strings(value, (*at, key))
    elif isinstance(thing, list):
        for index, value in enumerate(thing):
            yield from strings(value, (*at, index))
    else:
        yield at, thing


def places(objects: list[Object]) -> dict[tuple[Any, ...], Any]:
    """Return every scalar of what was rendered, by where it stands."""
    return {
        (number, thing["kind"], *at): value  # not its name, which may be what is changed
        for number, thing in enumerate(objects)
        for at, value in strings(
            {**thing, "data": secret_of(thing)} if thing["kind"] == "Secret" else thing
        )
    }


def by_context() -> dict[str, list[Path]]:
    """Return the texts by the release in which they mean something: each is rendered at once."""
    groups: dict[str, list[Path]] = {}
    for path in ONCE:
        groups.setdefault(json.dumps(context(path), sort_keys=True), []).append(path)
    return {".".join(paths[0]): paths for paths in groups.values()}


GROUPS = by_context()


def with_texts(paths: list[Path], texts: list[str]) -> dict[str, Any]:
    values = context(paths[0])
    for path, text in zip(paths, texts, strict=True):
        annotated = path[-1].lower().endswith("annotations")
        values = merged(values, nested(path, {"example.com/note": text} if annotated else text))
    return values


def test_texts_are_found() -> None:
    names = {".".join(path) for path in ONCE}
    assert len(names) > 30
    assert names >= {"priorityClassName", "podAnnotations", "persistence.existingClaim"}


@pytest.mark.parametrize("group", GROUPS)
def test_texts_come_out_as_they_went_in(render: Renderer, group: str) -> None:
    """At each place where a plain text comes out, every other text does, and is still a text.

    A variable's text is what the registry reads as YAML again, so there it may have quotes of its
    own around it. Seen to fail: `priorityClassName: {{ . }}`.
    """
    paths = GROUPS[group]
    plain = [f"plain-{number}-text" for number in range(len(paths))]
    first = places(render(with_texts(paths, plain)))
    found = {at: value for at, value in first.items() if _PLAIN.search(str(value))}
    assert found
    for canary in CANARIES:
        texts = [canary if allows(path, canary) else NAMES[0] for path in paths]
        rendered = places(render(with_texts(paths, texts)))
        wanted = {at: put_in(value, texts) for at, value in found.items()}
        wrong = {
            at: (text, rendered.get(at))
            for at, text in wanted.items()
            if rendered.get(at) not in {text, json.dumps(text)}
        }
        assert wrong == {}


def allows(path: Path, text: str) -> bool:
    return text in NAMES or not NAMES_OF_OBJECTS.search(".".join(path))


def put_in(plain: str, texts: list[str]) -> str:
    """Return a text with each plain one in it replaced."""
    return _PLAIN.sub(lambda found: texts[int(found[1])], plain)
