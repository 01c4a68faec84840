"""From bytes to references: every shape, and what cannot be trusted."""

import hashlib
import json

import pytest
from hypothesis import event, given, settings
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
    _parse_any,
    _parse_plain,
    packed,
    parse,
    unpacked,
)
from registry_gc.storage import Stat
from support.strategies import digests

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
        ({"layers": [{"DIGEST": A}]}, {A}, set()),
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


_WORDS = st.sampled_from([A, B, C, "sha512:" + "ab" * 64, "no digest", "manifests", "subject", ""])
_TYPES = st.sampled_from(["application/vnd.oci.image.manifest.v1+json", "a.index.b", "text/plain"])
_KEYS = st.sampled_from(
    ["digest", "mediaType", "size", "DIGEST", "blobSum", "d\u0131gest", "manifests", "subject", "x"]
)
_TOP = st.sampled_from(
    ["config", "layers", "manifests", "blobs", "fsLayers", "mediaType", "digest", "subject",
     "Manifests", "LAYERS", "annotations", "con\ufb01g"]
)  # fmt: skip


def objects(keys: st.SearchStrategy[str], values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Draw the text of JSON objects, in which a key may come twice."""
    spelled = st.tuples(keys, st.sampled_from([":", " : "]), values, st.booleans())
    pairs = spelled.map(lambda p: f"{json.dumps(p[0], ensure_ascii=p[3])}{p[1]}{p[2]}")
    return st.lists(pairs, max_size=4).map(lambda found: "{" + ",".join(found) + "}")


def lists(values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(values, max_size=3).map(lambda found: "[" + ", ".join(found) + "]")


_TEXTS = (_WORDS | _TYPES).map(json.dumps)
_ORDINARY = st.sampled_from([A, B, C, D]).map(
    lambda name: f'{{"mediaType": "application/octet-stream", "digest": "{name}", "size": 7}}'
)
_DESCRIPTORS = _ORDINARY | objects(
    _KEYS, _TEXTS | st.sampled_from(["7", "null"]) | objects(_KEYS, _TEXTS) | lists(_TEXTS)
)
_ODD = objects(_TOP, _DESCRIPTORS | lists(_ORDINARY) | lists(_DESCRIPTORS) | _TEXTS)
_EVEN = objects(
    st.sampled_from(["config", "layers", "manifests", "mediaType", "x"]),
    _ORDINARY | lists(_ORDINARY) | st.just(json.dumps("application/vnd.oci.image.index.v1+json")),
)


class TestTheFastWay:
    @settings(max_examples=500, deadline=None)
    @given(text=_ODD | _EVEN)
    def test_it_finds_what_the_slow_one_does_or_leaves_it_alone(self, text: str) -> None:
        """Seen to fail: let it take any index; count no media types; do not look for a subject."""
        plain = _parse_plain(text.encode())
        event("left alone" if plain is None else "found")

        assert plain is None or plain == _parse_any(text.encode())

    @pytest.mark.parametrize(
        "document",
        [
            {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": A},
                "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": B}],
                "annotations": {"org.opencontainers.image.base.digest": C},
            },
            {
                "schemaVersion": 2,
                "mediaType": "application/vnd.docker.distribution.manifest.list.v2+json",
                "manifests": [
                    {
                        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
                        "digest": digest,
                        "platform": {"architecture": "amd64", "os": "linux"},
                    }
                    for digest in (A, B)
                ],
            },
        ],
    )
    def test_what_people_push_goes_it(self, document: object) -> None:
        content = json.dumps(document).encode()

        assert _parse_plain(content) == _parse_any(content)

    @pytest.mark.parametrize(
        "text",
        [
            '{"layers": [{"d\\u0069gest": "<A>"}]}',
            '{"layers": [], "con\ufb01g": {"digest": "<A>"}}',
            '{"layers": [], "subject": {"digest": "<A>"}}',
            '{"layers": [], "Subject": {"digest": "<A>"}}',
            '{"layers": [{"mediaType": "x.index.y", "digest": "<A>"}]}',
            '{"manifests": [{"digest": "<A>", "digest": "<B>"}]}',
            '{"manifests": [{"digest": "<A>"}], "Manifests": [{"digest": "<B>"}]}',
            '{"manifests": [{"digest": "<A>"}], "config": {"digest": "<B>"}}',
            '{"manifests": {"digest": "<A>"}}',
            '{"manifests": [{"digest": {"digest": "<A>"}}]}',
        ],
    )
    def test_what_needs_a_closer_look_does_not(self, text: str) -> None:
        content = text.replace("<A>", A).replace("<B>", B).encode()

        assert parsed(content), "sound"
        assert _parse_plain(content) is None


class TestPacking:
    @settings(deadline=None)
    @given(
        references=st.frozensets(digests(), max_size=5),
        data=st.data(),
        subject=st.none() | digests(),
        signed=st.booleans(),
        numbers=st.tuples(*[st.integers(0, 2**62)] * 4),
    )
    def test_what_is_unpacked_is_what_was_packed(
        self,
        references: frozenset[Digest],
        data: st.DataObject,
        subject: Digest | None,
        signed: bool,
        numbers: tuple[int, int, int, int],
    ) -> None:
        children = (
            data.draw(st.frozensets(st.sampled_from(sorted(references)))) if references else ()
        )
        manifest = Manifest(references, frozenset(children), subject, signed)

        record = packed(manifest, Stat(*numbers))

        short = all(len(each) == 32 for each in [*references, *([subject] if subject else [])])
        assert (record is not None) == short
        assert record is None or unpacked(record) == manifest


class TestKnowing:
    def test_what_is_sound_is_read_once_and_what_is_not_again(self) -> None:
        """What is missing may be pushed, and what failed may be read the next time."""
        content = json.dumps({"layers": []}).encode()
        digest = Digest(hashlib.sha256(content).digest())
        file = Stat(len(content), 1, 1, 1)
        answers: list[bytes | Exception | None] = [
            None,
            StorageError("no", why="a test", next_step="none"),
            content[:-1],
            content,
        ]

        def read(_digest: Digest, _limit: int) -> tuple[bytes, Stat] | None:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return None if answer is None else (answer, file)

        known = Manifests(read)

        assert known.get(digest) is None
        with pytest.raises(DamagedManifestError, match="a test"):
            known.get(digest)
        with pytest.raises(CorruptManifestError):
            known.get(digest)
        assert known.get(digest) == known.get(digest) == Manifest(frozenset(), frozenset(), None)
        assert answers == []
