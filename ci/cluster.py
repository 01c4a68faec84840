"""The cluster and the images of the tests; the Makefile calls this.

    python3 ci/cluster.py up          start the cluster or find it; the last line is its kubeconfig
    python3 ci/cluster.py images      build the collector's image, have the registry's, load both
    python3 ci/cluster.py down        remove the cluster, and the engine if it was started here
    python3 ci/cluster.py tool NAME   print where a program is, making it on first use
    python3 ci/cluster.py push REGISTRY=R
    python3 ci/cluster.py package REGISTRY=R [KEY=K KEYRING=FILE PASSPHRASE_FILE=FILE KEY_URL=URL]
    python3 ci/cluster.py push-chart REGISTRY=R [KEY=K …] [PUSH_FLAGS=FLAGS]

All talk is on standard error. Ends with 1 and one sentence when something cannot be had.
"""

import sys
import time

import engine
import images
import kind_cluster
import node_image
import programs
import publishing
from shell import CACHE, StepError, alone, say
from steps import Step, run_steps, table
from versions import REGISTRY_IMAGE, STOCK_NODE_IMAGE


def up() -> None:
    """Start the cluster, or find it; print its kubeconfig's path."""
    engine.ensure()
    if not kind_cluster.is_up():
        say(f"starting the cluster {kind_cluster.NAME}: two nodes")
        stock = _uses_stock_nodes()
        steps = [Step("kind", lambda: programs.program("kind"))] if stock else node_image.steps()
        with alone("node-image"):  # what another checkout makes meanwhile is done when we begin
            seconds = run_steps(steps)
        began = time.monotonic()
        kind_cluster.up(stock=stock)
        seconds["kind create cluster"] = time.monotonic() - began
        _report(seconds)
    print(kind_cluster.kubeconfig())


def build_images() -> None:
    """Make both images, and load them into the cluster if it is up; print their names."""
    engine.ensure()
    collector = f"{images.REPOSITORY}:{images.content_tag()}"
    is_new = not node_image.has_image(collector)
    seconds = run_steps(
        [
            Step("registry's image", images.make_registry),
            Step("collector's image", images.make_collector),
        ]
    )
    if kind_cluster.nodes():
        began = time.monotonic()
        images.load_all()
        seconds["load into the cluster"] = time.monotonic() - began
    else:
        say(
            f"no cluster {kind_cluster.NAME} runs, so the images were loaded into none: "
            "`make cluster` starts one, and then `make images` loads them"
        )
    if is_new:
        on_disk, compressed = images.size(collector)
        say(f"{collector}: {on_disk / 1e6:.0f} MB, compressed {compressed / 1e6:.0f} MB")
        _report(seconds)
    print(REGISTRY_IMAGE)
    print(f"{images.REPOSITORY}:{images.version()}")
    print(collector)


def down() -> None:
    """Remove the cluster, and end the engine if it was started here."""
    if engine.ended_by_itself() and not engine.answers():
        say("the engine that was started here is gone: starting it once more, to remove all of it")
        engine.ensure()
    if not engine.answers():
        say("no engine answers, so no cluster is up")
        return
    if kind_cluster.nodes(stopped=True):
        if kind_cluster.is_ours():
            kind_cluster.delete()
            say(f"removed the cluster {kind_cluster.NAME}")
        else:
            say(
                f"the cluster {kind_cluster.NAME} was not made from this cache ({CACHE}), so it "
                f"stays; to remove it: kind delete cluster --name {kind_cluster.NAME}"
            )
    engine.stop()


def publish(target: str, settings: dict[str, str]) -> None:
    """Push or package, as the Makefile's variables say; an empty one is none."""
    registry = settings.get("REGISTRY", "")
    signature = publishing.Signature(
        settings.get("KEY", ""),
        settings.get("KEYRING", ""),
        settings.get("PASSPHRASE_FILE", ""),
        settings.get("KEY_URL", ""),
    )
    if target == "push":
        publishing.push(registry)
    elif target == "package":
        print(publishing.package(registry, signature))
    else:
        publishing.push_chart(registry, signature, settings.get("PUSH_FLAGS", "").split())


def _uses_stock_nodes() -> bool:
    if node_image.has_image(node_image.image_name()):
        return False
    stock = images.pulls_work() and images.can_pull(STOCK_NODE_IMAGE)
    say(
        "images can be pulled: using the stock node image"
        if stock
        else "images cannot be pulled: making the node image from Debian and Go modules, which "
        f"takes up to twenty minutes once and is kept in {CACHE}"
    )
    return stock


def _report(seconds: dict[str, float]) -> None:
    if text := table(seconds):
        say(text)


def main(arguments: list[str]) -> int:
    """Do what the arguments say; return the exit code."""
    match arguments:
        case ["up"]:
            up()
        case ["images"]:
            build_images()
        case ["down"]:
            down()
        case ["tool", name]:
            print(programs.program(name))
        case ["push" | "package" | "push-chart" as target, *rest] if all("=" in x for x in rest):
            publish(target, dict(each.split("=", 1) for each in rest))
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
