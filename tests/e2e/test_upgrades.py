"""Moving over from another chart in one command, and back.

The release was really installed, with a chart that is equal in identity to the peer's
(tests/e2e/peers), with a claim, a password, and the cache in memory that all three have by default.
"""

import pytest

from e2e.conftest import Measured, Start
from support.peers import PEERS, RISADAMS, STABLE, TWUNI, Peer
from support.upgrading import WAYS, Watch


def in_the_gate(peer: Peer, way: str) -> object:
    """Return a case; each takes more than a minute, so most belong to `make test-full`."""
    gate = {(STABLE, "3-to-3"), (TWUNI, "3-to-4-server-side"), (RISADAMS, "4-to-4")}
    marks = [] if (peer, way) in gate else [pytest.mark.full]
    return pytest.param(peer, way, id=f"{peer.name}-{way}", marks=marks)


@pytest.mark.parametrize(
    ("peer", "way"), [in_the_gate(peer, way) for peer in PEERS for way in WAYS]
)
def test_a_release_moves_over_and_back(
    start: Start, peer: Peer, way: str, measured: Measured
) -> None:
    """Images pull byte for byte, address and claim stay; there, back, and there again.

    Seen to fail: the Service of risadams renamed (no `lookup`); an `app.kubernetes.io` label in the
    selector; another name for the claim.
    """
    moving = start(peer, way)
    images = [moving.push("before")]
    before = moving.standing()

    with Watch(moving.release.port) as there:
        moving.upgrade()

    assert moving.standing() == before
    assert moving.left_over() == []
    moving.assert_pulls(*images)
    images.append(moving.push("after"))
    assert "Deleted" in moving.release.collect()
    moving.wait_until_it_answers()
    moving.assert_pulls(*images)

    with Watch(moving.release.port) as back:
        moving.rollback()

    assert moving.standing() == before
    moving.assert_pulls(*images)
    images.append(moving.push("rolled-back"))

    with Watch(moving.release.port) as again:
        moving.upgrade()
    measured(f"{peer.title}, {way}: there {there}; back {back}; again {again}")

    assert moving.standing() == before
    moving.assert_pulls(*images)
    moving.push("at-last")
