"""Paths and what they mean, both ways."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry_gc.layout import (
    Digest,
    Entry,
    Kind,
    digest_of,
    digest_text,
    digests_of,
    entry_in,
    folder_of,
    parse_digest,
    path_of,
    split_digest,
    subject_of_tag,
)
from support.strategies import digests, entries

HEX = "ab" * 32


@given(entry=entries())
def test_a_folder_says_what_it_holds(entry: Entry) -> None:
    """Seen to fail: swap the tag and the repository in `folder_of`."""
    assert entry_in(folder_of(entry)) == entry


@given(digest=digests())
def test_a_digest_is_what_its_text_says(digest: Digest) -> None:
    assert parse_digest(digest_text(digest)) == digest
    assert digest_of(*split_digest(digest)) == digest


@pytest.mark.parametrize(
    ("entry", "path"),
    [
        (Entry(Kind.BLOB, digest=digest_of("sha256", HEX)), f"blobs/sha256/ab/{HEX}/data"),
        (
            Entry(Kind.LAYER_LINK, "a/b", digest_of("sha512", HEX * 2)),
            f"repositories/a/b/_layers/sha512/{HEX * 2}/link",
        ),
        (
            Entry(Kind.REVISION_LINK, "a", digest_of("sha256", HEX)),
            f"repositories/a/_manifests/revisions/sha256/{HEX}/link",
        ),
        (Entry(Kind.TAG, "a", tag="v1"), "repositories/a/_manifests/tags/v1/current/link"),
        (
            Entry(Kind.TAG_INDEX, "a", digest_of("sha256", HEX), "v1"),
            f"repositories/a/_manifests/tags/v1/index/sha256/{HEX}/link",
        ),
    ],
    ids=lambda value: value.kind.value if isinstance(value, Entry) else "",
)
def test_the_registrys_own_paths(entry: Entry, path: str) -> None:
    assert path_of(entry) == path


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256",
        "sha256:",
        f"sha256:{HEX[:-1]}",
        f"sha256:{HEX}0",
        f"sha256:{HEX.upper()}",
        f"md5:{HEX[:32]}",
        f"sha256:{HEX[:-1]}\n",
        f"sha256:{HEX[:-1]}\u0660",
        f":{HEX}",
    ],
)
def test_what_is_no_digest(text: str) -> None:
    assert parse_digest(text) is None


@pytest.mark.parametrize(
    "folder",
    [
        "blobs/sha256/ab",
        f"blobs/sha256/ab/{HEX}/data",
        "repositories/a/_layers/sha256/short",
        "repositories/_layers",
        "repositories/a/_uploads/1",
        f"repositories/a/_manifests/revisions/sha256/{HEX}/signatures",
    ],
)
def test_what_is_no_entry(folder: str) -> None:
    assert entry_in(folder) is None


@pytest.mark.parametrize("suffix", ["", ".sig", ".att", ".sbom"])
def test_a_tag_about_a_digest(suffix: str) -> None:
    assert subject_of_tag(f"sha256-{HEX}{suffix}") == digest_of("sha256", HEX)
    assert subject_of_tag(f"sha512-{HEX * 2}{suffix}") == digest_of("sha512", HEX * 2)


@pytest.mark.parametrize(
    "tag",
    ["v1", "latest", f"sha256-{HEX[:-1]}", f"sha256-{HEX}x", f"sha256-{HEX}.imgpkg", f"x-{HEX}",
     f"sha512-{(HEX * 2)[:121]}", f"sha256-{HEX}.sig.sig"],
)  # fmt: skip
def test_an_ordinary_tag(tag: str) -> None:
    assert subject_of_tag(tag) is None


def test_what_people_call_it() -> None:
    digest = digest_of("sha256", HEX)
    assert str(Entry(Kind.BLOB, digest=digest)) == f"sha256:{HEX}"
    assert str(Entry(Kind.REVISION_LINK, "a/b", digest)) == f"a/b@sha256:{HEX}"
    assert str(Entry(Kind.TAG, "a/b", tag="v1")) == "a/b:v1"


@settings(deadline=None)
@given(found=st.lists(digests()))
def test_many_names_at_once_are_each_by_itself(found: list[Digest]) -> None:
    """Seen to fail: do not look at the names' lengths."""
    names = [split_digest(digest)[1] for digest in found]

    assert digests_of("sha256", [name for name in names if len(name) == 64]) == [
        digest for digest in found if len(digest) == 32
    ]
    if any(len(name) != 64 for name in names):
        assert digests_of("sha256", names) is None


@pytest.mark.parametrize(
    "names",
    [[HEX, "x" * 64], [HEX, HEX.upper()], [HEX, ""], [HEX[:-1], f"{HEX}0"], [f"{HEX[:-2]}  ", HEX],
     [f"{HEX[:-1]}\u0660"], [f"{HEX[:-1]}\udcff"]],
    ids=range(7),
)  # fmt: skip
def test_one_name_that_is_no_digest_among_many(names: list[str]) -> None:
    """Then each has to be looked at by itself. Seen to fail: do not compare with the raw bytes."""
    assert digests_of("sha256", names) is None
    assert digests_of("sha512", [HEX * 2]) is None
