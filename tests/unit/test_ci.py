"""What thinks in ci/: the order of steps, what is kept under which key, whose process is ended."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import engine
import images
import kind_cluster
import node_image
import programs
import shell
from engine import Process
from host import without_engine
from shell import StepError, key_of, made, run, succeeds
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

    def test_what_a_killed_run_left_is_not_written_on_top_of(self, tmp_path: Path) -> None:
        """Go refuses to overwrite half a program. Seen to fail: leave the unlink out."""
        (tmp_path / ".program.unfinished").write_bytes(b"half")

        with made(tmp_path / "program") as unfinished:
            assert not unfinished.exists()
            unfinished.write_bytes(b"whole")

        assert [path.name for path in tmp_path.iterdir()] == ["program"]

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

    def test_one_that_has_ended_is_not_alive_although_nobody_asked(self) -> None:
        """`down` may end an engine that it started itself. Seen to fail: count zombies as alive."""
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
            process = Process.of(child.pid)
            assert process is not None
            assert child.stdin is not None
            child.stdin.close()
            os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # ended, and left as it is

            assert not process.is_alive


class TestEngine:
    """Only the very process that was started here is ours, and no other is ever ended."""

    @pytest.fixture
    def started(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        record = tmp_path / "started.json"
        monkeypatch.setattr(engine, "_STARTED", record)
        return record

    def test_another_process_with_its_number_is_not_ended(self, started: Path) -> None:
        """After a restart of the machine, say. Seen to fail: compare pids alone."""
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
            process = Process.of(child.pid)
            assert process is not None
            started.write_text(json.dumps({"pid": process.pid, "ticks": process.ticks - 1}))

            assert (engine.stop(), engine.ended_by_itself()) == (False, True)
            assert child.poll() is None
            child.communicate()

    @pytest.mark.parametrize("text", ["", "{}", '{"pid": 1', "[]"])
    def test_a_record_that_cannot_be_read_ends_nothing(self, started: Path, text: str) -> None:
        started.write_text(text)

        assert not engine.stop()

    def test_one_that_was_never_started_is_not_gone(self, started: Path) -> None:
        assert not started.exists()
        assert not engine.ended_by_itself()


class TestFirewall:
    """What an engine adds goes; what was there before, and what others add meanwhile, stays."""

    BEFORE = """\
# Generated by iptables-save
*filter
:INPUT ACCEPT [5:100]
:FORWARD ACCEPT [0:0]
-A FORWARD -s 10.9.9.0/24 -j ACCEPT
COMMIT
"""
    NOW = """\
*filter
:INPUT ACCEPT [9:900]
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -o br-fc478515210b -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -s 10.9.9.0/24 -j ACCEPT
-A FORWARD -i br-lan -j ACCEPT
-A DOCKER-USER -j RETURN
COMMIT
*nat
:POSTROUTING ACCEPT [3:30]
:DOCKER - [0:0]
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A POSTROUTING -s 10.8.0.0/24 -o wg0 -j MASQUERADE
COMMIT
"""

    def test_only_the_engines_rules_go(self) -> None:
        assert without_engine(self.NOW, self.BEFORE).splitlines() == [
            "*filter",
            ":INPUT ACCEPT [9:900]",
            ":FORWARD ACCEPT [0:0]",
            "-A FORWARD -s 10.9.9.0/24 -j ACCEPT",
            "-A FORWARD -i br-lan -j ACCEPT",
            "COMMIT",
            "*nat",
            ":POSTROUTING ACCEPT [3:30]",
            "-A POSTROUTING -s 10.8.0.0/24 -o wg0 -j MASQUERADE",
            "COMMIT",
        ]

    def test_on_a_bare_host_nothing_of_it_stays(self) -> None:
        """There iptables-save says nothing, and restoring nothing removes nothing."""
        left = without_engine(self.NOW, "")

        assert ":FORWARD ACCEPT" in left
        assert not {word for word in ("DOCKER", "docker0", "br-fc478515210b") if word in left}

    def test_what_another_engine_had_made_before_stays(self) -> None:
        """Seen to fail: do not ask what was known before."""
        with_other_counters = self.NOW.replace("[0:0]", "[7:70]")

        assert without_engine(with_other_counters, self.NOW).count("DOCKER") == (
            self.NOW.count("DOCKER")
        )


class TestOwner:
    """`make down` removes what was made from this cache, or lives in an engine that it started."""

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setattr(kind_cluster, "folder", lambda: tmp_path)
        monkeypatch.setattr(kind_cluster, "_engine", lambda: "this engine")
        monkeypatch.setattr(engine, "is_ours", lambda: False)
        return tmp_path

    def test_a_cluster_that_another_made_is_not_ours(self) -> None:
        assert not kind_cluster.is_ours()

    @pytest.mark.parametrize(("where", "is_ours"), [("this engine", True), ("another", False)])
    def test_one_of_that_name_elsewhere_is_not_ours(
        self, folder: Path, where: str, *, is_ours: bool
    ) -> None:
        (folder / "made-in-engine").write_text(where)

        assert kind_cluster.is_ours() == is_ours

    def test_one_in_an_engine_that_we_started_goes_with_it(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(engine, "is_ours", lambda: True)

        assert kind_cluster.is_ours()

    def test_one_that_is_not_ours_is_not_made_anew(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Seen to fail: leave the question out of `up`, which then deletes it."""
        monkeypatch.setattr(kind_cluster, "is_up", lambda: False)
        monkeypatch.setattr(kind_cluster, "nodes", lambda **_: ["a-node"])

        with pytest.raises(StepError, match="not made from this cache"):
            kind_cluster.up(stock=True)


def test_two_that_ask_for_the_same_program_make_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail: make `alone` do nothing."""
    makings: list[Path] = []
    inside = threading.Event()

    def make(_: object, __: Path, target: Path) -> None:
        makings.append(target)
        inside.set()
        # Long enough for the other to come in, if anything let it.
        second.join(timeout=0.5)
        target.write_text("program")

    def ask_too() -> None:
        inside.wait(timeout=10)
        programs.program("kind")

    monkeypatch.setattr(programs, "CACHE", tmp_path)
    monkeypatch.setattr(shell, "CACHE", tmp_path)
    monkeypatch.setattr(programs, "_build", make)
    second = threading.Thread(target=ask_too)
    second.start()

    path = programs.program("kind")
    second.join(timeout=10)

    assert (len(makings), path.read_text()) == (1, "program")


def test_the_root_file_system_is_kept_by_its_packages() -> None:
    assert key_of("trixie", "jq") != key_of("trixie", "jq", "curl") != key_of("trixie", "jqcurl")


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
