"""What remains of a store after the registry's own collection and after ours, and on damage."""

import pytest

from support.checkout import ROOT
from support.comparison import Comparison, compare, page
from support.damages import STORES

# There a repository looks like one that was only ever pushed to by digest.
COUNTS_AS_UNTAGGED = "`tags` missing"


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    return compare(tmp_path_factory.mktemp("comparison"))


def test_rule_12_nothing_needless_remains_and_nothing_is_lost(comparison: Comparison) -> None:
    """The reference leaves needless links, folders and repositories, and loses the signature.

    Seen to fail: let an `_uploads` that this run has emptied count as young, offline too.
    """
    found = comparison.deletions
    theirs, ours = found.columns["3.1.1"], found.columns["ours"]

    assert found.lost["ours"] == ()
    assert found.lost["3.1.1"] != (), "the control"
    assert ours["layer links that no manifest of the repository needs"] == "0"
    assert ours["layer links without their blob"] == "0"
    assert ours["tag index entries, stale ones among them"] == "10, 0"
    assert ours["directories with no file below"] == "0"
    assert ours["uploads"] == "0"
    assert ours["repositories in `_catalog`"] == "3"
    assert not found.second_run_changes, "rule 6"
    assert int(theirs["directories with no file below"]) > 50, "the control"
    assert theirs["repositories in `_catalog`"] == "5", "the control"


@pytest.mark.parametrize("name", [kind.name for kind in STORES])
def test_rule_8_a_damaged_store_is_collected_and_loses_nothing(
    comparison: Comparison, name: str
) -> None:
    found = comparison.damage[name]["ours"]

    assert found.run.code == (1 if found.run.says else 0), "an exit code that says so"
    assert not found.orphan_stays
    assert found.deleted == (3 if name == COUNTS_AS_UNTAGGED else 0)


def test_rule_8_the_reference_does_lose_images_on_damage(comparison: Comparison) -> None:
    """The control of the test before."""
    loses = [name for name, row in comparison.damage.items() if row["3.1.1"].deleted]
    stops = [name for name, row in comparison.damage.items() if not row["3.1.1"].changed]

    assert len(loses) >= 5
    assert len(stops) >= 14


def test_the_page_of_the_comparison_is_what_is_measured(comparison: Comparison) -> None:
    """If it is not: python tests/registry/write_comparison.py."""
    assert (ROOT / "docs/comparison.md").read_text("utf-8") == page(comparison)
