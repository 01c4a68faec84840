"""The stores that are measured, made once in the cache folder, outside the checkout.

`BENCH_STORES` names another folder: on /dev/shm other programs' work on the disk does not matter.

They are what a registry 3.1.1 writes: blobs, layer links, revisions, tags with their index. The
content is small, because nobody who collects reads a layer.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "docker-registry-chart"
STORES = Path(os.environ.get("BENCH_STORES") or CACHE / "bench")

IMAGE = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


@dataclass(frozen=True)
class Shape:
    """So many repositories, images in each and layers in an image; `untagged` of ten have no tag.

    Every third layer is shared by three images of the repository.
    """

    repositories: int
    images: int
    layers: int
    untagged: int = 1

    @property
    def name(self) -> str:
        garbage = "" if self.untagged == 1 else f"-{self.untagged}0percent"
        return f"{self.repositories}x{self.images}x{self.layers}{garbage}"

    @property
    def inodes(self) -> int:
        """Return about how many files and folders it takes."""
        each = 4 * self.layers + 4 + 2 + 6  # blobs and layer links; manifest and revision; tag
        return self.repositories * self.images * each


@dataclass(frozen=True)
class Store:
    """A store on disk and the configuration of a registry that serves it."""

    root: Path
    shape: Shape

    @property
    def config(self) -> Path:
        return self.root / "config.yml"

    @property
    def tree(self) -> Path:
        """Return the folder that holds all of the registry's data."""
        return self.root / "docker"

    def count_blobs(self) -> int:
        fanouts = (self.tree / "registry/v2/blobs/sha256").iterdir()
        return sum(len(os.listdir(fanout)) for fanout in fanouts)

    def forget(self) -> None:
        """Remove what our collections remember of it."""
        shutil.rmtree(self.tree / "registry-gc", ignore_errors=True)


def made(shape: Shape) -> Store:
    """Return the store of a shape; make it if it is not there yet."""
    store = Store(STORES / shape.name, shape)
    if not (store.root / ".complete").exists():
        say(f"making the store {shape.name} in {store.root}")
        shutil.rmtree(store.root, ignore_errors=True)
        check_room(shape)
        make_repositories(store)
        (store.root / ".complete").touch()
    write_config(store)
    return store


@contextmanager
def made_for_now(shape: Shape) -> Iterator[Store]:
    """Make a store that is too large to be kept, and remove it in the end."""
    store = made(shape)
    try:
        yield store
    finally:
        say(f"removing the store {shape.name}")
        remove(store.root)


@contextmanager
def copied(store: Store, name: str) -> Iterator[Store]:
    """Copy a store, file by file, so that it can be collected; remove the copy in the end."""
    copy = Store(store.root.with_name(f"{store.root.name}.{name}"), store.shape)
    remove(copy.root)
    subprocess.run(["cp", "-a", "--reflink=auto", store.root, copy.root], check=True)
    write_config(copy)
    os.sync()  # else its writing would go on beside what is measured
    try:
        yield copy
    finally:
        remove(copy.root)


def remove(root: Path) -> None:
    # Not shutil: it takes minutes for a million files.
    subprocess.run(["rm", "-rf", root], check=True)


def write_config(store: Store) -> None:
    store.config.write_text(
        f"version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {store.root}\n"
        "  delete:\n    enabled: true\n"
    )


def check_room(shape: Shape) -> None:
    STORES.mkdir(parents=True, exist_ok=True)
    free = os.statvfs(STORES)
    # A folder and a small file take a block each.
    if free.f_favail < shape.inodes * 1.1 or free.f_bavail < shape.inodes * 1.1:
        sys.exit(f"no room in {STORES} for {shape.name}: it takes {shape.inodes:,} inodes")


def make_repositories(store: Store) -> None:
    numbers = range(store.shape.repositories)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        for _ in pool.map(partial(make_repository, store), numbers, chunksize=4):
            pass


def make_repository(store: Store, number: int) -> None:
    shape = store.shape
    registry = f"{store.tree}/registry/v2"
    home = f"{registry}/repositories/team-{number % 7}/app-{number}"

    def blob(content: bytes) -> str:
        digest = hashlib.sha256(content).hexdigest()
        write(f"{registry}/blobs/sha256/{digest[:2]}/{digest}", "data", content)
        return digest

    def link(folder: str, digest: str) -> None:
        write(f"{folder}/sha256/{digest}", "link", f"sha256:{digest}".encode())

    for image in range(shape.images):
        layers = [
            blob(f"layer {number} {image // (3 if layer % 3 == 0 else 1)} {layer}".encode())
            for layer in range(shape.layers)
        ]
        config = blob(f"config {number} {image}".encode())
        manifest = blob(manifest_of(config, layers))
        for digest in (config, *layers):
            link(f"{home}/_layers", digest)
        link(f"{home}/_manifests/revisions", manifest)
        if image % 10 >= shape.untagged:
            tag = f"{home}/_manifests/tags/v{image}"
            link(f"{tag}/index", manifest)
            write(f"{tag}/current", "link", f"sha256:{manifest}".encode())


def manifest_of(config: str, layers: list[str]) -> bytes:
    descriptors = [
        {"mediaType": LAYER, "size": 30_000_000, "digest": f"sha256:{layer}"} for layer in layers
    ]
    document = {
        "schemaVersion": 2,
        "mediaType": IMAGE,
        "config": {"mediaType": CONFIG, "size": 7_000, "digest": f"sha256:{config}"},
        "layers": descriptors,
    }
    return json.dumps(document, indent=3).encode()


def write(folder: str, name: str, content: bytes) -> None:
    try:
        descriptor = os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT, 0o644)
    except FileNotFoundError:
        Path(folder).mkdir(parents=True, exist_ok=True)
        descriptor = os.open(f"{folder}/{name}", os.O_WRONLY | os.O_CREAT, 0o644)
    os.write(descriptor, content)
    os.close(descriptor)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
