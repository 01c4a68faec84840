"""From bytes to references: every shape, and what cannot be trusted."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_gc.errors import StorageError
from registry_gc.layout import Digest, digest_of, digest_text
from registry_gc.manifests import (
    LARGEST,
    CorruptManifestError,
    DamagedManifestError,
    Manifest,
    Manifests,
    NotAManifestError,
    parse,
)

A, B, C, D = (f"sha256:{letter * 64}" for letter in "abcd")


def parsed(document: object, algorithm: str = "sha256") -> Manifest:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    digest = digest_of(algorithm, hashlib.new(algorithm, content).hexdigest())
    assert digest
    return parse(digest, content)


def texts(digests: frozenset[Digest]) -> set[str]:
    return {digest_text(digest) for digest in digests}


@pytest.mark.parametrize(
    ("document", "references", "children"),
    [
        ({"config": {"digest": A}, "layers": [{"digest": B}, {"digest": C}]}, {A, B, C}, set()),
        ({"manifests": [{"digest": A}, {"digest": B}]}, {A, B}, {A, B}),
        ({"schemaVersion": 1, "fsLayers": [{"blobSum": A}, {"blobSum": B}]}, {A, B}, set()),
        ({"blobs": [{"digest": A}], "subject": {"digest": B}}, {A}, set()),
        (
            {"layers": [{"digest": A, "mediaType": "application/vnd.oci.image.index.v1+json"}]},
            {A},
            {A},
        ),
        (
            {
                "layers": [
                    {
                        "digest": A,
                        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
                    }
                ]
            },
            {A},
            {A},
        ),
        ({"config": {"digest": A}, "x": {"deep": [{"digest": B}]}}, {A, B}, set()),
        ({"layers": [{"digest": "not one"}, {"digest": 5}, None, 7], "config": None}, set(), set()),
        ({"manifests": {"digest": A}}, {A}, {A}),
        ({"Layers": [{"DIGEST": A}]}, {A}, set()),
    ],
)
def test_what_a_manifest_names(document: object, references: set[str], children: set[str]) -> None:
    found = parsed(document)

    assert texts(found.references) == references
    assert texts(found.children) == children


@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_a_manifest_under_any_algorithm(algorithm: str) -> None:
    assert texts(parsed({"layers": [{"digest": A}]}, algorithm).references) == {A}


@pytest.mark.parametrize(
    "content",
    [b"", b"not json", b"[]", b"{}", b'"text"', b"null", b'{"schemaVersion": 2}', b"\xff\xfe",
     b"[" * 100_000, b"1" * 5000, b'{"layers": ' + b" " * LARGEST + b"[]}"],
    ids=range(11),
)  # fmt: skip
def test_what_is_no_manifest(content: bytes) -> None:
    with pytest.raises(NotAManifestError):
        parsed(content)


@given(content=st.binary(max_size=200))
def test_any_bytes_are_a_manifest_or_damage(content: bytes) -> None:
    with pytest.raises(DamagedManifestError):
        parsed(content)


def test_other_bytes_than_its_digest_promises() -> None:
    """Seen to fail: do not hash. A cut write could be valid JSON with fewer layers."""
    with pytest.raises(CorruptManifestError):
        parse(Digest(b"x" * 32), json.dumps({"layers": []}).encode())


class TestKnowing:
    def test_what_is_sound_is_read_once_and_what_is_not_again(self) -> None:
        """What is missing may be pushed, and what failed may be read the next time."""
        content = json.dumps({"layers": []}).encode()
        digest = Digest(hashlib.sha256(content).digest())
        answers: list[bytes | Exception | None] = [
            None,
            StorageError("no", why="a test", next_step="none"),
            content[:-1],
            content,
        ]

        def read(_digest: Digest, _limit: int) -> bytes | None:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        known = Manifests(read)

        assert known.get(digest) is None
        with pytest.raises(DamagedManifestError, match="a test"):
            known.get(digest)
        with pytest.raises(CorruptManifestError):
            known.get(digest)
        assert known.get(digest) == known.get(digest) == Manifest(frozenset(), frozenset(), None)
        assert answers == []
