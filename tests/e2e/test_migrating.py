"""The pages about moving over, run as they are written: every command of each, in its order."""

import re

import pytest

from e2e.conftest import Start
from e2e.test_readme import shell
from support.checkout import ROOT
from support.peers import PEERS, TWUNI, Peer

_REVISION = "1"  # the only one of the old chart


def commands(peer: Peer) -> list[str]:
    """Return the lines of all shell blocks of a page."""
    text = (ROOT / "docs" / "migrating" / f"{peer.name}.md").read_text("utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


@pytest.mark.parametrize(
    "peer",
    [
        pytest.param(peer, id=peer.name, marks=[] if peer is TWUNI else [pytest.mark.full])
        for peer in PEERS
    ],
)
def test_every_command_of_a_page(start: Start, peer: Peer) -> None:
    """Images pull after each; the Secret's key is what the page says that it is.

    Seen to fail: another release's name in one of them.
    """
    moving = start(peer, "4-to-4")
    release = moving.release
    images = [moving.push("before")]
    said: dict[str, str] = {}

    for line in commands(peer):
        asked = line.replace("REVISION", _REVISION).replace("NAME", release.name)
        asked = asked.replace(">values-of", f">{release.scratch}/values-of")
        said[line] = shell(release.cluster, release, asked)
        if "--wait" in line:
            moving.wait_until_it_answers()
            moving.assert_pulls(*images)
            images.append(moving.push(f"after-{len(images)}"))

    assert len(images) == 4, list(said)  # one move, one with a collector, one back
    looked = next(text for line, text in said.items() if "--dry-run" in line)
    assert "Garbage collection" in looked
    values = (release.scratch / f"values-of-{release.name}.yaml").read_text()
    assert "deleteEnabled: true" in values
    key = next(text for line, text in said.items() if line.startswith("kubectl get secret"))
    assert re.fullmatch(r"[A-Za-z0-9]{16,}", key), key
