"""Makes Docker's schema 1 manifests, which a registry takes only if they are signed (libtrust)."""

import base64
import hashlib
import json
import subprocess
from pathlib import Path

from support.client import Manifest, digest_of

MEDIA_TYPE = "application/vnd.docker.distribution.manifest.v1+prettyjws"


def schema1(folder: Path, repository: str, tag: str, layers: list[bytes]) -> tuple[Manifest, str]:
    """Return a signed manifest, and the digest of what was signed, which is what is stored.

    The key is made in `folder`. Needs openssl.
    """
    document = {
        "schemaVersion": 1,
        "name": repository,
        "tag": tag,
        "architecture": "amd64",
        "fsLayers": [{"blobSum": digest_of(layer)} for layer in layers],
        "history": [
            {"v1Compatibility": json.dumps({"id": f"{n:064x}"})} for n in range(len(layers))
        ],
    }
    payload = json.dumps(document, indent=3)
    body, tail = payload[:-2], payload[-2:]  # up to the newline before the last brace
    protected = _encoded(
        json.dumps(
            {
                "formatLength": len(body),
                "formatTail": _encoded(tail.encode()),
                "time": "2016-01-01T00:00:00Z",
            }
        ).encode()
    )
    key = folder / "schema1.pem"
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
    public = _openssl("ec", "-in", key, "-pubout", "-outform", "DER")
    signed = f"{protected}.{_encoded(payload.encode())}".encode()
    signature = {
        "header": {
            "alg": "ES256",
            "jwk": {
                "crv": "P-256",
                "kid": _key_id(public),
                "kty": "EC",
                "x": _encoded(public[-64:-32]),
                "y": _encoded(public[-32:]),
            },
        },
        "signature": _encoded(_raw(_openssl("dgst", "-sha256", "-sign", key, content=signed))),
        "protected": protected,
    }
    content = f'{body},\n   "signatures": [{json.dumps(signature)}]{tail}'
    return Manifest(content.encode(), MEDIA_TYPE, tuple(layers)), digest_of(payload.encode())


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _key_id(public: bytes) -> str:
    """Return libtrust's name of a key: twelve groups of four letters."""
    name = base64.b32encode(hashlib.sha256(public).digest()[:30]).decode()
    return ":".join(name[at : at + 4] for at in range(0, len(name), 4))


def _raw(signature: bytes) -> bytes:
    """Return r and s of a DER signature, 32 bytes each."""
    length = signature[3]
    first = signature[4 : 4 + length]
    second = signature[6 + length :]
    return b"".join(each[-32:].rjust(32, b"\0") for each in (first, second))


def _openssl(*arguments: object, content: bytes = b"") -> bytes:
    command = ["openssl", *(str(each) for each in arguments)]
    return subprocess.run(command, input=content, capture_output=True, check=True).stdout
