"""What is secret in the values is in Secrets alone, and not in what the user is told either."""

import re
from base64 import b64encode
from typing import Any

import pytest

from helm_chart_test import merged, object_id
from helm_chart_test.fixtures import Renderer
from support.leaves import Path, all_leaves, context, nested
from support.rendered import secret_of

# A value whose name says that it may be secret; the rest of the test is about those.
_SOUNDS_SECRET = re.compile(r"(?i)pass|secret|token|key|htpasswd|crt|jwks|credential")
NOT_SECRET = {
    "auth.htpasswd.realm": "what a browser shows",
    "auth.token.realm": "where clients get a token",
    "auth.token.service": "what the registry calls itself",
    "auth.token.issuer": "what the token server calls itself",
    "auth.token.rootCertBundle": "public, as a certificate is",
    "auth.token.jwks": "public keys",
    "auth.token.autoredirect": "yes or no",
    "auth.token.signingAlgorithms": "names",
    "global.imagePullSecrets": "names",
    "imagePullSecrets": "names",
    "automountServiceAccountToken": "yes or no",
    "serviceAccount.automountServiceAccountToken": "yes or no",
    "tls.clientCA.key": "where a certificate is in a Secret",
    "tlsSecretName": "a name",
    "existingSecret": "a name",
}
_NAMES_ALONE = re.compile(r"(secretRef|secretKeys\.\w+|Ref\.(name|key)|(ca|cert)Secret)$")
MORE = [  # below maps that are open, such as a driver's options
    ("s3", "accesskey"),
    ("s3", "secretkey"),
    ("azure", "credentials", "secret"),
    ("configSecret", "http", "secret"),
]
_USER = {"user", "username", "accountName", "container"}
COMPANIONS: dict[str, dict[str, Any]] = {
    "s3.accesskey": {"s3": {"secretkey": "s"}},
    "s3.secretkey": {"s3": {"accesskey": "a"}},
    "azure.credentials.secret": {
        "azure": {"credentials": {"type": "client_secret", "clientid": "c", "tenantid": "t"}}
    },
    "haSharedSecret": {"secrets": {"haSharedSecret": ""}},
    "secrets.azure.accountKey": {"azure": {"credentials": None}},
}
CANARY = "hidden-canary-4711"


def is_secret(path: Path, default: Any) -> bool:
    name = ".".join(path)
    quiet = name in NOT_SECRET or _NAMES_ALONE.search(name) or path[-1] in _USER
    return bool(isinstance(default, str) and _SOUNDS_SECRET.search(name) and not quiet)


SECRET = [path for path, default in all_leaves() if is_secret(path, default)] + MORE


def text_for(path: Path) -> str:
    forms = {"htpasswd": f"user:{CANARY}", "keyfile": f'{{"private_key": "{CANARY}"}}'}
    return forms.get(path[-1], CANARY)


def test_the_secret_values_are_found() -> None:
    """Fails when the search finds none, or one of those that must be there is not."""
    names = {".".join(path) for path in SECRET}
    assert len(names) > 14
    assert names >= {"secrets.haSharedSecret", "proxy.password", "redis.password", "tls.key"}
    assert NOT_SECRET.keys() <= {".".join(path) for path, _ in all_leaves()}


@pytest.mark.parametrize("path", SECRET, ids=".".join)
def test_a_secret_value_is_in_secrets_alone(render: Renderer, path: Path) -> None:
    """In clear and as base64, in no other object, annotation, variable or sentence.

    Seen to fail: REGISTRY_REDIS_PASSWORD as a plain `value`; effectiveConfig in the ConfigMap.
    """
    name = ".".join(path)
    around = merged(context(path), COMPANIONS.get(name, {}))
    values = merged(around, nested(path, text_for(path)))
    rendered = render(values)
    encoded = b64encode(text_for(path).encode()).decode()
    holders = {
        object_id(thing)
        for thing in rendered
        if CANARY in str(thing)
        or encoded in str(thing)
        or (thing["kind"] == "Secret" and CANARY in str(secret_of(thing)))
    }
    assert holders, f"{name} is nowhere"
    assert {owner.partition("/")[0] for owner in holders} == {"Secret"}
    assert CANARY not in render.notes(values)
    # A Secret has it encoded: in clear it could only be in a label, a name or an annotation.
    assert CANARY not in str(rendered)
