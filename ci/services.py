"""Images of services that some tests need beside the registry: an object store, Redis, metrics.

    python3 ci/services.py image NAME    have its image, load it into the cluster; print its name
    python3 ci/services.py source NAME   print the folder of its Go module, with its manifests

Apart from `make images`, because only the tests that use them pay for them.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import engine
import images
import kind_cluster
import programs
from shell import StepError, alone, run, say
from versions import PROGRAMS, SERVICE_IMAGES, GoProgram, ServiceImage


def image(name: str) -> str:
    """Have a service's image, pulled or made, and load it into the cluster; return its name."""
    if name not in SERVICE_IMAGES:
        raise StepError(f"there is no service {name!r}; there are {', '.join(SERVICE_IMAGES)}")
    wanted = SERVICE_IMAGES[name]
    engine.ensure()
    with alone(f"service-{name}"):
        if not images.can_pull(wanted.name):
            say(f"  {wanted.name} cannot be pulled: making it")
            _make(name, wanted)
    with alone("load-services"):  # one at a time writes down what was loaded
        kind_cluster.load(wanted.name)
    return wanted.name


def source(name: str) -> Path:
    """Return where the source of a service's program lies."""
    program = PROGRAMS.get(name)
    if not isinstance(program, GoProgram):
        raise StepError(f"{name!r} is not made from a Go module")
    return programs.module_folder(program.module, program.version)


def _make(name: str, wanted: ServiceImage) -> None:
    lines = ["FROM scratch", "ENV PATH=/usr/local/bin:/usr/bin:/bin"]
    with tempfile.TemporaryDirectory() as folder:
        context = Path(folder)
        if wanted.packages:
            shutil.copy(images.root_of(name, wanted.packages), context / "base.tar")
            lines.append("ADD base.tar /")
        if wanted.program:
            shutil.copy(programs.program(wanted.program), context / "program")
            lines += [f"COPY program {wanted.path}", f"ENTRYPOINT {json.dumps([wanted.path])}"]
        for new, old in wanted.links:
            lines.append(f"RUN {json.dumps(['/bin/busybox', 'ln', '-s', old, new])}")
        (context / "Dockerfile").write_text("\n".join([*lines, ""]))
        run(
            "docker", "build", "-q", "-t", wanted.name, context,
            env=engine.build_environment(),
        )  # fmt: skip


def main(arguments: list[str]) -> int:
    """Do what the arguments say; return the exit code."""
    match arguments:
        case ["image", name]:
            print(image(name))
        case ["source", name]:
            print(source(name))
        case _:
            say(__doc__ or "")
            return 2
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except StepError as error:
        say(str(error))
        sys.exit(1)
