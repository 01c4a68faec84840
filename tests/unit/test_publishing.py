"""What is published: where to, what of the chart is written anew, versions that are one."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
import yaml

import engine
import images
import programs
import publishing
from publishing import Signature
from shell import StepError
from support.checkout import ROOT
from versions import REGISTRY, REGISTRY_IMAGE

CHART = ROOT / "chart"
TARGETS: dict[str, Callable[[str], Any]] = {
    "push": publishing.push,
    "package": lambda registry: publishing.package(registry, Signature()),
    "push-chart": lambda registry: publishing.push_chart(registry, Signature()),
}


def read(name: str) -> Any:
    return yaml.safe_load((CHART / name).read_text("utf-8"))


class TestWhereTo:
    @pytest.fixture(autouse=True)
    def nothing_starts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise AssertionError("something was started")

        monkeypatch.setattr(engine, "ensure", refuse)
        monkeypatch.setattr(images, "make_collector", refuse)
        monkeypatch.setattr(programs, "program", refuse)

    @pytest.mark.parametrize("target", TARGETS)
    @pytest.mark.parametrize(
        ("registry", "said"),
        [
            ("", "where to"),
            ("https://registry.example.com/tools", "REGISTRY=registry.example.com/tools$"),
            ("oci://registry.example.com", "has a scheme"),
            ("registry.example.com/tools:5.0.0", "without a tag"),
            ("registry.example.com/Tools", "in lower case"),
            ("registry.example.com/a b", "is not a registry"),
            ("registry.example.com//tools", "is not a registry"),
        ],
    )
    def test_what_is_no_registry_is_refused_before_anything_starts(
        self, target: str, registry: str, said: str
    ) -> None:
        """Seen to fail: start the engine first; let a scheme through, which docker then refuses."""
        with pytest.raises(StepError, match=said) as raised:
            TARGETS[target](registry)

        assert f"make {target} REGISTRY=registry.example.com" in str(raised.value)

    @pytest.mark.parametrize(
        "registry",
        ["registry.example.com", "127.0.0.1:5000/", "localhost:5000/a/b-c", "[::1]:5000/a_b.c"],
    )
    def test_what_is_one_is_taken(self, registry: str) -> None:
        assert publishing.checked(registry, "push") == registry.rstrip("/")

    @pytest.mark.parametrize(
        ("registry", "local"),
        [
            ("localhost:5000", True),
            ("127.0.0.1:5000/tools", True),
            ("127.1.2.3", True),
            ("[::1]:5000", True),
            ("localhost.example.com/tools", False),
            ("registry.example.com/localhost", False),
            ("10.127.0.1:5000", False),
        ],
    )
    def test_an_address_of_this_machine_is_known(self, registry: str, local: bool) -> None:
        """No node reaches it. Seen to fail: look for the word anywhere."""
        assert publishing.only_this_machine(registry) is local

    @pytest.mark.parametrize("target", ["push", "push-chart"])
    @pytest.mark.parametrize("registry", ["localhost:5000", "registry.example.com"])
    def test_the_printed_line_keeps_a_releases_values(
        self,
        target: str,
        registry: str,
        monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Seen to fail: print it without `--reset-then-reuse-values`; warn of every registry."""
        monkeypatch.setattr(engine, "ensure", lambda: None)
        monkeypatch.setattr(images, "make_collector", lambda: None)
        monkeypatch.setattr(programs, "program", lambda name: name)
        monkeypatch.setattr(publishing, "run", lambda *_: "")
        monkeypatch.setattr(publishing, "package", lambda *_: "a.tgz")

        TARGETS[target](registry)

        said = capsys.readouterr()
        (line,) = said.out.splitlines()
        assert line.startswith("helm upgrade --install registry ")
        assert "--reset-then-reuse-values" in line.split()
        for name in ("persistence.enabled", "persistence.deleteEnabled", "garbageCollect.enabled"):
            assert f"--set {name}=true" in line
        assert ("is this machine" in said.err) == registry.startswith("localhost")

    @pytest.mark.parametrize(
        ("signature", "said"),
        [
            (Signature(keyring="keyring.gpg"), "add KEY="),
            (Signature(url="https://example.com/key"), "add KEY="),
            (Signature(key="somebody"), "gpg --export-secret-keys"),
            (Signature(key="somebody", keyring="missing.gpg"), "'missing.gpg' is no file"),
        ],
    )
    def test_half_a_signature_is_refused_before_anything_starts(
        self, signature: Signature, said: str
    ) -> None:
        """Or a package would go out unsigned. Seen to fail: sign only where all is given."""
        for publish in (publishing.package, publishing.push_chart):
            with pytest.raises(StepError, match=said):
                publish("registry.example.com", signature)


class TestTheChart:
    @pytest.mark.parametrize("name", ["values.yaml", "defaults.yaml"])
    def test_one_value_is_written_and_every_other_line_is_as_it_was(self, name: str) -> None:
        """`defaults.yaml` too: what `--reuse-values` renders with. Seen to fail: leave it out."""
        before = (CHART / name).read_text("utf-8")
        where = ("garbageCollect", "image", "registry")

        after = publishing.with_value(before, where, "registry.example.com/tools")

        expected = yaml.safe_load(before)
        expected["garbageCollect"]["image"]["registry"] = "registry.example.com/tools"
        assert yaml.safe_load(after) == expected
        pairs = zip(before.splitlines(), after.splitlines(), strict=True)
        assert sum(old != new for old, new in pairs) == 1

    @pytest.mark.parametrize("text", ["a:\n  c: 1\n", "a:\n  b: 1\na:\n  b: 2\n", "a: {b: 1}\n"])
    def test_a_value_that_is_not_there_once_is_said(self, text: str) -> None:
        with pytest.raises(StepError, match=r"a\.b is there"):
            publishing.with_value(text, ("a", "b"), "x")

    def test_what_artifact_hub_reads_is_yaml_of_its_form(self) -> None:
        found = read("Chart.yaml")["annotations"]

        assert {type(value) for value in found.values()} == {str}
        links = yaml.safe_load(found["artifacthub.io/links"])
        assert links
        assert all(link.keys() == {"name", "url"} for link in links)

    def test_the_changes_are_those_of_this_version(self) -> None:
        text = (ROOT / "CHANGELOG.md").read_text("utf-8")

        found = publishing.changes(text, images.version())

        assert {change["kind"] for change in found} <= set(publishing._KINDS.values())
        assert len(found) == text.count("\n- ")
        assert all("\n" not in change["description"] for change in found)
        with pytest.raises(StepError, match="no section for 9"):
            publishing.changes(text, "9.9.9")

    def test_the_added_annotations_end_the_file(self) -> None:
        added = publishing._annotations("registry.example.com/tools", Signature())

        whole = yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8") + added)["annotations"]

        shown = json.loads(whole["artifacthub.io/images"])
        assert [each["image"] for each in shown] == [
            REGISTRY_IMAGE,
            f"registry.example.com/tools/registry-gc:{images.version()}",
        ]
        assert whole["artifacthub.io/prerelease"] == "false"
        assert "artifacthub.io/license" in whole


class TestVersions:
    """Each version is written once, and where a second place needs it, that place is compared."""

    def test_the_versions_of_chart_image_and_package_are_one(self) -> None:
        from registry_gc import __version__

        first = re.search(
            r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE
        )
        assert first
        assert (images.version(), first[1]) == (__version__, __version__)

    def test_documents_name_this_version_of_the_image(self) -> None:
        """Seen to fail: raise the version and forget docs/collect-offline.yaml."""
        named = {
            (path.name, tag)
            for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*")]
            if path.suffix in {".md", ".yaml"}
            for tag in re.findall(r"registry-gc:(\d+\.\d+\.\d+)", path.read_text("utf-8"))
        }

        assert named
        assert {tag for _, tag in named} == {images.version()}, named

    def test_the_registrys_version_is_one(self) -> None:
        assert read("Chart.yaml")["appVersion"] == REGISTRY
        assert read("values.yaml")["image"]["tag"] == REGISTRY
