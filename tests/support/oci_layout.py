"""Images that every client takes: valid configs, layers as packed tar files, in an OCI layout."""

import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from support.client import OCI_LAYER, Manifest, digest_of, image, layer


def valid_image(seed: object, *, layers: int = 2, architecture: str = "amd64") -> Manifest:
    """Return an image whose config lists its layers, as clients check; `base` is in all of them."""
    archives = [_tar("base"), *(_tar(f"{seed}/{number}") for number in range(1, layers))]
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Labels": {"seed": str(seed)}},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(each) for each in archives]},
        "history": [{"created_by": f"layer {number}"} for number in range(layers)],
    }
    packed = [gzip.compress(each, mtime=0) for each in archives]
    plain = image(seed, layers=packed, config=json.dumps(config).encode())
    content = plain.content.replace(OCI_LAYER.encode(), f"{OCI_LAYER}+gzip".encode())
    return replace(plain, content=content)


def _tar(name: str) -> bytes:
    buffer = io.BytesIO()
    content = layer(name, 5000)
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo(name.replace("/", "-"))
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def write_layout(folder: Path, manifest: Manifest, tag: str) -> Path:
    """Write a layout that holds one image or index under a tag; return its folder."""
    for content in contents(manifest):
        path = folder / "blobs" / digest_of(content).replace(":", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    descriptor = {
        "mediaType": manifest.media_type,
        "digest": manifest.digest,
        "size": len(manifest.content),
        "annotations": {"org.opencontainers.image.ref.name": tag},
    }
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [descriptor]}))
    return folder


def contents(manifest: Manifest) -> Iterator[bytes]:
    """Return every byte string that a layout of it holds: manifests and blobs."""
    yield manifest.content
    yield from manifest.blobs
    for child in manifest.children:
        yield from contents(child)
