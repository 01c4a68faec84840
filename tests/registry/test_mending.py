"""A registry serves again what its empty links had hidden (attack 1)."""

import os

import pytest

from registry.conftest import StartRegistry
from registry_gc.inventory import View
from registry_gc.mending import mend_empty_links
from registry_gc.storage import FileStore
from support.client import image, index


@pytest.mark.parametrize("version", ["2.8", "3.0"])
def test_an_image_pulls_again_once_its_links_are_mended(
    start_registry: StartRegistry, version: str
) -> None:
    registry = start_registry(version=version)
    client = registry.client()
    client.push("app", image("older"), "v1")
    both = index([image("a"), image("b")])
    client.push("app", both, "v1")
    contents = {link: link.read_text() for link in registry.v2.rglob("link")}
    # When a tag's entries were written says which is its current one, so these stay whole.
    links = [link for link in contents if "/index/" not in str(link)]
    registry.stop()
    for link in links:
        os.truncate(link, 0)
    registry.start()
    assert client.pull("app", "v1").missing, "this damage does no harm"

    mended = mend_empty_links(View(FileStore(str(registry.root))))

    pulled = client.pull("app", "v1")
    assert (pulled.digest, pulled.missing) == (both.digest, ())
    assert {link: link.read_text() for link in contents} == contents
    assert len(mended) == len(links)
