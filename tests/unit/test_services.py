"""Images of services beside the registry, made where they cannot be pulled."""

from pathlib import Path

import pytest

import images
import programs
import services
from shell import StepError
from versions import SERVICE_IMAGES


@pytest.fixture
def dockerfile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the lines of the last Dockerfile, filled when an image is made."""
    lines: list[str] = []

    def build(*command: str | Path, **_: object) -> str:
        lines[:] = (Path(command[-1]) / "Dockerfile").read_text().splitlines()
        return ""

    some_file = tmp_path / "file"
    some_file.write_text("content")
    monkeypatch.setattr(services, "run", build)
    monkeypatch.setattr(programs, "program", lambda _: some_file)
    monkeypatch.setattr(images, "root_of", lambda *_: some_file)
    return lines


@pytest.mark.parametrize("name", SERVICE_IMAGES)
def test_an_image_that_is_made_starts_as_the_official_one(name: str, dockerfile: list[str]) -> None:
    """Manifests give arguments alone, or a program by its name.

    Seen to fail: without the entrypoint metrics-server's pod has nothing to run.
    """
    wanted = SERVICE_IMAGES[name]

    services._make(name, wanted)

    assert dockerfile[0] == "FROM scratch"
    if wanted.program:
        assert f'ENTRYPOINT ["{wanted.path}"]' in dockerfile
    else:
        assert "ADD base.tar /" in dockerfile
        for new, _ in wanted.links:
            assert any(new in line for line in dockerfile)


def test_a_service_that_there_is_none_of_is_named_with_those_there_are() -> None:
    with pytest.raises(StepError, match="no service 'minio'; there are metrics-server"):
        services.image("minio")


def test_only_a_go_module_has_a_source() -> None:
    with pytest.raises(StepError, match="'weed' is not made from a Go module"):
        services.source("weed")
