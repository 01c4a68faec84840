"""What thinks in ci/: the order of steps, what is kept under which key, whose process is ended."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

import images
import node_image
import programs
from engine import Process
from shell import StepError, made, run, succeeds
from steps import Step, run_steps, table
from versions import PROGRAMS


class TestSteps:
    def test_a_step_starts_when_all_that_it_needs_have_ended(self) -> None:
        order: list[str] = []

        run_steps(
            [
                Step("last", lambda: order.append("last"), ("first", "second")),
                Step("second", lambda: order.append("second"), ("first",)),
                Step("first", lambda: order.append("first")),
            ]
        )

        assert order == ["first", "second", "last"]

    def test_two_steps_go_on_side_by_side(self) -> None:
        """Seen to fail: run_steps(..., workers=1)."""
        both = threading.Barrier(2, timeout=10)

        run_steps([Step("a", both.wait), Step("b", both.wait)])

    def test_what_is_done_is_skipped_and_costs_nothing(self) -> None:
        ran: list[str] = []

        seconds = run_steps(
            [
                Step("done", lambda: ran.append("done"), is_done=lambda: True),
                Step("new", lambda: ran.append("new"), ("done",)),
            ]
        )

        assert (ran, list(seconds)) == (["new"], ["new"])

    def test_a_failure_stops_what_has_not_begun_and_names_its_step(self) -> None:
        ran: list[str] = []

        def fail() -> None:
            raise StepError("no disk")

        with pytest.raises(StepError, match=r"bad failed: no disk"):
            run_steps([Step("bad", fail), Step("after", lambda: ran.append("after"), ("bad",))])

        assert ran == []

    @pytest.mark.parametrize("needs", [("unknown",), ("self",)])
    def test_a_need_that_cannot_be_met_is_a_mistake_of_ours(self, needs: tuple[str, ...]) -> None:
        with pytest.raises(ValueError, match=r"unknown|circle"):
            run_steps([Step("self", lambda: None, needs)])

    def test_the_table_has_the_longest_first(self) -> None:
        assert table({"short": 1, "long": 60}).splitlines()[1].split() == ["60", "s", "long"]


class TestMade:
    def test_nothing_half_made_stands_under_its_name(self, tmp_path: Path) -> None:
        """An interruption in the middle leaves no file that the next run would take for whole."""
        target = tmp_path / "program"

        def interrupted() -> None:
            with made(target) as unfinished:
                unfinished.write_bytes(b"half")
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupted()

        assert list(tmp_path.iterdir()) == []

    def test_what_went_well_does(self, tmp_path: Path) -> None:
        with made(tmp_path / "program") as unfinished:
            unfinished.write_bytes(b"whole")

        assert (tmp_path / "program").read_bytes() == b"whole"


class TestRun:
    """What cannot be had is one sentence, never a traceback."""

    def test_a_program_that_is_missing(self) -> None:
        with pytest.raises(StepError, match="no-such-program cannot be started"):
            run("no-such-program", "--version")
        assert not succeeds("no-such-program")

    def test_a_program_that_does_not_end(self) -> None:
        with pytest.raises(StepError, match=r"did not end within 0\.1 s"):
            run(sys.executable, "-c", "import signal; signal.pause()", timeout=0.1)


class TestProcess:
    def test_the_same_number_later_is_another_process(self) -> None:
        """Seen to fail: compare pids alone."""
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
            process = Process.of(child.pid)
            assert process is not None
            assert process.is_alive
            assert not Process(process.pid, process.ticks - 1).is_alive
            child.communicate()
        assert not process.is_alive


def test_programs_are_kept_by_their_version() -> None:
    paths = [programs.path_of(name) for name in PROGRAMS]

    assert len(set(paths)) == len(paths)
    assert programs.path_of("helm").name == "helm-4.3.1"


def test_kubernetes_own_folders_become_published_versions() -> None:
    assert programs.staged("\tk8s.io/api => ./staging/src/k8s.io/api").endswith(
        "=> k8s.io/api v0.34.4"
    )
    assert programs.staged("require golang.org/x/net v0.38.0") == "require golang.org/x/net v0.38.0"


def test_the_collectors_tag_changes_with_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two checkouts may share a cluster, so a tag stands for one content."""
    (tmp_path / "scripts/registry_gc").mkdir(parents=True)
    for name in ("requirements.txt", "pyproject.toml", "scripts/registry_gc/cli.py"):
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(images, "ROOT", tmp_path)
    before = images.content_tag()

    (tmp_path / "scripts/registry_gc/cli.py").write_text("changed")
    after = images.content_tag()
    (tmp_path / "scripts/registry_gc/__pycache__").mkdir()
    (tmp_path / "scripts/registry_gc/__pycache__/cli.pyc").write_text("made by a run")

    assert before != after == images.content_tag()


def test_the_node_images_name_changes_with_its_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    before = node_image.image_name()
    monkeypatch.setattr(node_image, "KUBERNETES", "v9.9.9")

    assert node_image.image_name() != before


@pytest.mark.parametrize("target", [images.push, images.package])
def test_without_a_registry_the_sentence_says_what_to_write(target: object) -> None:
    with pytest.raises(StepError, match=r"REGISTRY=registry\.example\.com"):
        target("")  # type: ignore[operator]  # one of two functions


def test_the_versions_of_chart_image_and_package_are_one() -> None:
    from registry_gc import __version__

    assert images.version() == __version__
