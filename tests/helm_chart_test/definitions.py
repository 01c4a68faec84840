"""The CustomResourceDefinitions that a chart has itself, in its folder `crds/`."""

import tarfile
from functools import lru_cache
from pathlib import Path

from helm_chart_test.objects import Object
from helm_chart_test.reading import documents


@lru_cache(maxsize=8)
def definitions(chart: Path) -> tuple[Object, ...]:
    """Return a chart's own definitions; the chart is a folder or a package."""
    if chart.is_dir():
        texts = [path.read_text("utf-8") for path in sorted((chart / "crds").rglob("*.y*ml"))]
    else:
        texts = _packaged(chart)
    found = [document for text in texts for document in documents(text)]
    return tuple(each for each in found if each["kind"] == "CustomResourceDefinition")


def served_versions(chart: Path) -> tuple[str, ...]:
    """Return what a cluster serves once it has them, such as `example.com/v1`."""
    return tuple(sorted(served_kinds(chart)))


def served_kinds(chart: Path) -> dict[str, tuple[str, ...]]:
    """Return the kinds of each version, as `fake_cluster` takes them."""
    found: dict[str, tuple[str, ...]] = {}
    for each in definitions(chart):
        for version in each["spec"]["versions"]:
            name = f"{each['spec']['group']}/{version['name']}"
            if version["served"]:
                found[name] = (*found.get(name, ()), each["spec"]["names"]["kind"])
    return found


def _packaged(chart: Path) -> list[str]:
    texts = []
    with tarfile.open(chart) as package:
        for member in package:
            # NAME/crds/FILE: not those of a chart inside the chart.
            if len(parts := Path(member.name).parts) > 2 and parts[1] == "crds":
                content = package.extractfile(member)
                texts += [content.read().decode()] if content else []
    return texts
