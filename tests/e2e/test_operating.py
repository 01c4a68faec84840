"""What docs/operating.md says to do, done as it is written."""

import re

import pytest

from e2e.test_readme import shell
from support.checkout import ROOT
from support.client import image
from support.cluster import Release

_MADE_OLD = """
import os, pathlib, time
old = time.time() - 86400
for path in pathlib.Path("/var/lib/registry/docker/registry/v2").rglob("*"):
    os.utime(path, (old, old))
"""


def block(heading: str) -> list[str]:
    """Return the lines of the last shell block under a heading."""
    text = (ROOT / "docs" / "operating.md").read_text("utf-8")
    section = text.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    found = re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert found, f"no shell block under {heading!r}"
    return str(found[-1]).splitlines()


@pytest.mark.xdist_group("operating")
def test_a_full_disk_is_collected_offline(release: Release) -> None:
    """Seen to fail: a pod without the registry's configuration, or of another user."""
    release.install({"persistence.enabled": "true", "persistence.size": "1Gi"})
    release.wait_until_it_answers()
    kept, gone = image("kept"), image("gone")
    client = release.client()
    client.push("app", kept, "kept")
    client.push("app", gone, "gone")
    client.request("DELETE", f"/v2/app/manifests/{gone.digest}")
    release.python(_MADE_OLD)

    said = [
        shell(release.cluster, release, line.replace("NAME", release.name))
        for line in block("A full disk")
    ]

    assert any("Deleted 4 blobs" in text for text in said), said
    release.wait_until_it_answers()
    assert release.client().pull("app", "kept").missing == ()
