"""The command line is a contract: exit codes, sentences, variables, streams."""

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from registry_gc import lock
from registry_gc.cli import main
from registry_gc.storage import FileStore
from support.store import StoreBuilder, one_live_one_dead, write_configuration


@pytest.fixture
def store(tmp_path: Path) -> StoreBuilder:
    return one_live_one_dead(tmp_path / "store")


@pytest.fixture
def config(store: StoreBuilder, tmp_path: Path) -> Path:
    return write_configuration(tmp_path / "config.yml", store.root)


def call(*arguments: object, env: dict[str, str] | None = None) -> Result:
    clean = {"GC_SETTLE_PERIOD": "0", **(env or {})}
    return CliRunner().invoke(main, [str(each) for each in arguments], env=clean)


def flat(text: str) -> str:
    return " ".join(text.split())


class TestExitCodes:
    def test_0_done(self, config: Path) -> None:
        done = call("collect", config)

        assert done.exit_code == 0, done.output
        assert "Deleted 3 blobs" in done.stdout
        assert "The registry was not restarted." in done.stdout

    def test_1_done_with_problems(self, config: Path, store: StoreBuilder) -> None:
        store.write(store.v2 / "blobs/README", "hi")

        done = call("collect", config)

        assert done.exit_code == 1
        assert "unknown file kept: blobs/README" in done.stdout

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--grace-period", "1"],
            ["--settle-period", "soon"],
            ["--max-delete-ratio", "2"],
            ["--restart", "maybe"],
            ["--no-such-option"],
        ],
    )
    def test_2_wrong_usage(self, config: Path, store: StoreBuilder, arguments: list[str]) -> None:
        before = store.everything()

        done = call("collect", config, *arguments)

        assert done.exit_code == 2
        assert "Usage:" in done.stderr
        assert store.everything() == before

    @pytest.mark.parametrize(
        "text",
        [
            "version: 0.2\nstorage: {filesystem: {}}",
            "version: 0.1\nstorage: {filesystem: {}, inmemory: {}}",
            "version: 0.1",
            "version: 0.1\nstorage: {inmemory: {}}",
            ": : :",
        ],
    )
    def test_2_wrong_configuration(self, config: Path, text: str) -> None:
        """Rule 10."""
        config.write_text(text)

        done = call("collect", config)

        assert done.exit_code == 2, done.output
        assert "next:" in done.stderr

    def test_2_no_configuration(self, tmp_path: Path) -> None:
        done = call("collect", tmp_path / "missing.yml")

        assert done.exit_code == 2
        assert "missing.yml cannot be read" in done.stderr

    def test_3_refused(self, config: Path, store: StoreBuilder) -> None:
        for number in range(40):
            store.image("app", layers=[str(number)])
        store.age()

        done = call("collect", config)

        assert done.exit_code == 3
        assert "--max-delete-ratio 1" in done.stderr
        assert call("collect", config, "--max-delete-ratio", 1).exit_code == 0

    def test_4_locked(self, config: Path, store: StoreBuilder) -> None:
        with lock.held(FileStore(str(store.root)), "the-other-run"):
            done = call("collect", config)

        assert done.exit_code == 4
        assert "the-other-run" in done.stderr

    def test_5_storage(
        self, config: Path, store: StoreBuilder, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = store.files()

        def fail(*_: object) -> None:
            raise OSError(5, "Input/output error")

        monkeypatch.setattr("os.rename", fail)

        done = call("collect", config)

        assert done.exit_code == 5
        assert "Input/output error" in done.stderr
        assert store.files() == before

    def test_they_are_in_the_help(self) -> None:
        for command in ([], ["collect"], ["plan"]):
            assert "6  the registry did not come back" in call(*command, "--help").output


class TestOptions:
    @pytest.mark.parametrize(
        ("variable", "value"),
        [
            ("GC_GRACE_PERIOD", "3h"),
            ("GC_DELETE_UNTAGGED", "false"),
            ("GC_GRACE_PERIOD", "7d"),
        ],
    )
    def test_every_option_is_also_a_variable(self, config: Path, variable: str, value: str) -> None:
        done = call("plan", config, "--output", "json", env={variable: value})

        assert json.loads(done.stdout)["deleted"]["blobs"] == 0
        assert json.loads(call("plan", config, "--output", "json").stdout)["deleted"]["blobs"] == 3

    @pytest.mark.parametrize("verb", ["collect", "plan"])
    def test_no_option_lacks_its_variable(self, verb: str) -> None:
        """Seen to fail: make an option with click's own `option`."""
        options = [each for each in main.commands[verb].params if isinstance(each, click.Option)]

        named = {each.name: each.envvar for each in options}

        assert "grace_period" in named
        assert named == {name: f"GC_{str(name).upper()}" for name in named}

    def test_a_dry_run_can_be_set_too(self, config: Path, store: StoreBuilder) -> None:
        before = store.everything()

        assert "would delete" in call("collect", config, env={"GC_DRY_RUN": "true"}).stdout
        assert store.everything() == before

    def test_the_command_line_wins(self, config: Path) -> None:
        env = {"GC_GRACE_PERIOD": "3h"}
        done = call("plan", config, "--grace-period", "1h", "--output", "json", env=env)

        assert json.loads(done.stdout)["deleted"]["blobs"] == 3

    def test_a_wrong_variable_is_named(self, config: Path) -> None:
        done = call("plan", config, env={"GC_GRACE_PERIOD": "3"})

        assert done.exit_code == 2
        assert "90s, 15m, 1h or 7d" in done.stderr

    def test_a_plan_is_a_dry_run(self, config: Path, store: StoreBuilder) -> None:
        before = store.everything()

        planned, dry = (
            json.loads(call(*command, config, "--output", "json").stdout)
            for command in (["plan"], ["collect", "--dry-run"])
        )

        assert store.everything() == before
        assert planned["deletions"] == dry["deletions"]
        assert planned["dryRun"]
        assert "would delete 3 blobs" in call("plan", config).stdout


class TestJson:
    def test_what_others_rely_on(self, config: Path) -> None:
        env = {"GC_RUN_ID": "my-run"}
        found = json.loads(call("collect", config, "--output", "json", env=env).stdout)

        assert found["run"] == "my-run"
        assert found["outcome"] == "done"
        assert found["deleted"]["blobs"] == 3
        assert found["deleted"]["links"] == 3
        assert found["deleted"]["bytes"] > 0
        assert found["kept"]["blobs"] == 3
        assert (found["problems"], found["restarted"], found["error"]) == ([], 0, None)
        assert found["seconds"] >= 0

    def test_a_failure_is_printed_too(self, tmp_path: Path) -> None:
        done = call("collect", tmp_path / "missing.yml", "--output", "json")

        found = json.loads(done.stdout)
        assert done.exit_code == 2
        assert found["outcome"] == "refused"
        assert "cannot be read" in found["error"]

    def test_the_last_report_is_kept(self, config: Path) -> None:
        assert "has not been collected yet" in call("report", config).stdout
        call("collect", config)

        last = json.loads(call("report", config, "--output", "json").stdout)

        assert (last["deleted"]["blobs"], last["exitCode"]) == (3, 0)
        assert "Deleted 3 blobs" in call("report", config).stdout


class TestTheWayBack:
    def test_quarantine_and_restore(self, config: Path, store: StoreBuilder) -> None:
        before = store.files()
        assert call("collect", config, "--quarantine", "7d").exit_code == 0
        assert store.files() != before

        done = call("restore", config)

        assert done.exit_code == 0
        assert "6 files were restored." in done.stdout
        assert {name: store.files()[name] for name in before} == before
        assert "0 files were restored." in call("restore", config).stdout

    def test_nothing_to_recover(self, config: Path) -> None:
        done = call("recover", config)

        assert (done.exit_code, done.stdout) == (0, "Nothing was left to do.\n")

    def test_preflight(self, config: Path, store: StoreBuilder) -> None:
        before = store.everything()

        done = call("preflight", config, "--write-test")

        assert done.exit_code == 0
        assert str(store.root) in done.stdout
        assert len(done.stdout.splitlines()) == 1
        assert store.everything() == before

    def test_preflight_tells_what_the_registry_ignores(self, config: Path) -> None:
        """Seen to fail: nobody was told what `registry_config` had noted."""
        cache = "storage: {cache: {blobdescriptor: in-memory}, "
        config.write_text(config.read_text().replace("storage: {", cache))

        done = call("preflight", config)

        assert done.exit_code == 0, done.output
        assert "note: storage.cache names no kind of cache" in done.stdout


def test_a_store_without_a_push_is_fine(config: Path, tmp_path: Path) -> None:
    write_configuration(config, tmp_path / "new")

    assert call("collect", config).exit_code == 0
    assert not (tmp_path / "new").exists()


def test_errors_are_sentences_on_standard_error(config: Path) -> None:
    config.write_text("version: 0.1\nstorage: {inmemory: {}}")
    done = call("collect", config)

    assert done.stdout == ""
    assert "cannot be collected yet" in flat(done.stderr)
    assert "Traceback" not in done.output


def test_the_help_cuts_no_sentence() -> None:
    """click ends the first sentences of commands with dots. Seen to fail: a plain click.Group."""
    said = flat(call("--help").stdout)

    assert "..." not in said.replace("[ARGS]...", "")
    for name, command in main.commands.items():
        first = flat(command.help or "").partition(". ")[0].rstrip(".")
        assert f"{name} {first}." in said
