"""Resource definitions of other projects, for the schemas of the objects that the chart makes.

    python3 ci/crds.py       prints the folder that holds them, made on first use

From the projects' Go modules, because the definitions that are published elsewhere are downloads
without a checksum.
"""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from programs import module_folder
from shell import CACHE, StepError, alone, key_of, say


@dataclass(frozen=True)
class Definitions:
    """The definitions that one module has: a folder in it, and the files that we need."""

    module: str
    version: str
    folder: str
    files: tuple[str, ...]


SOURCES = (
    Definitions(
        "github.com/prometheus-operator/prometheus-operator",
        "v0.85.0",
        "example/prometheus-operator-crd",
        (
            "monitoring.coreos.com_podmonitors.yaml",
            "monitoring.coreos.com_prometheusrules.yaml",
            "monitoring.coreos.com_servicemonitors.yaml",
        ),
    ),
    Definitions(
        "sigs.k8s.io/gateway-api",
        "v1.6.3",
        "config/crd/standard",
        # The last four for a Gateway that runs (tests/support/edge.py): it watches them all.
        (
            "gateway.networking.k8s.io_httproutes.yaml",
            "gateway.networking.k8s.io_gatewayclasses.yaml",
            "gateway.networking.k8s.io_gateways.yaml",
            "gateway.networking.k8s.io_grpcroutes.yaml",
            "gateway.networking.k8s.io_referencegrants.yaml",
        ),
    ),
    Definitions(
        "github.com/cert-manager/cert-manager",
        "v1.21.2",
        "deploy/crds",
        ("cert-manager.io_certificates.yaml",),
    ),
)


def folder() -> Path:
    """Return where the definitions are kept. Raises StepError where Go or its proxy is missing."""
    target = CACHE / "crds" / key_of(*(str(source) for source in SOURCES))
    if not target.exists():
        with alone("crds"):
            if not target.exists():
                _fill(target)
    return target


def _fill(target: Path) -> None:
    unfinished = target.with_name(f".{target.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for source in SOURCES:
        say(f"  resource definitions of {source.module} {source.version}")
        made_by = module_folder(source.module, source.version) / source.folder
        for name in source.files:
            shutil.copyfile(made_by / name, unfinished / name)
    unfinished.rename(target)


if __name__ == "__main__":
    try:
        print(folder())
    except StepError as error:
        say(str(error))
        sys.exit(1)
