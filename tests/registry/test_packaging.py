"""The chart as others get it: packaged, signed, pushed to a registry, pulled and rendered."""

import base64
import json
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

import images
import publishing
from registry.conftest import StartRegistry
from registry.test_roundtrip import HTPASSWD, Guarded, tried
from shell import StepError
from support.checkout import ROOT, tool
from support.run import run
from support.waiting import until

WHERE = "registry.example.com/tools"


@dataclass(frozen=True)
class Keys:
    """A key that was made for this run, as Helm reads it: the secret part and the public one."""

    name: str
    fingerprint: str
    secret: Path
    public: Path
    passphrase: Path


@pytest.fixture(scope="module")
def keys() -> Iterator[Keys]:
    """Make a key in a home of its own, and end the agent that GnuPG starts for it."""
    home = Path(tempfile.mkdtemp(prefix="gnupg-"))  # short: it holds a socket
    passphrase = home / "passphrase"
    passphrase.write_text("thrown away")
    gpg = (
        "gpg", "--homedir", str(home), "--batch", "--pinentry-mode", "loopback",
        "--passphrase-file", str(passphrase),
    )  # fmt: skip
    try:
        run(*gpg, "--quick-generate-key", "Thrown Away <test@example.com>", "rsa2048", "sign")
        run(*gpg, "--output", home / "secret.gpg", "--export-secret-keys")
        run(*gpg, "--output", home / "public.gpg", "--export")
        listed = run(*gpg, "--with-colons", "--list-keys").stdout.splitlines()
        fingerprint = next(line.split(":")[9] for line in listed if line.startswith("fpr"))
        yield Keys("Thrown Away", fingerprint, home / "secret.gpg", home / "public.gpg", passphrase)
    finally:
        run("gpgconf", "--homedir", home, "--kill", "gpg-agent", check=False)
        shutil.rmtree(home, ignore_errors=True)  # the agent removes its sockets meanwhile


@pytest.fixture
def signature(keys: Keys) -> publishing.Signature:
    return publishing.Signature(
        keys.name, str(keys.secret), str(keys.passphrase), "https://example.com/key.asc"
    )


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Package a copy of this checkout, so that `dist/` is the test's own."""
    root = tmp_path / "checkout"
    shutil.copytree(ROOT / "chart", root / "chart")
    shutil.copyfile(ROOT / "CHANGELOG.md", root / "CHANGELOG.md")
    monkeypatch.setattr(publishing, "ROOT", root)
    return root


def member(package: Path, name: str) -> str:
    with tarfile.open(package) as archive:
        file = archive.extractfile(f"docker-registry/{name}")
        assert file is not None
        return file.read().decode()


def test_a_signed_package_is_verified_by_both_helms(
    checkout: Path, signature: publishing.Signature, keys: Keys
) -> None:
    made = publishing.package(WHERE, signature)

    for helm in ("helm", "helm3"):
        said = run(tool(helm), "verify", made, "--keyring", keys.public).stdout
        assert "Thrown Away" in said
        assert keys.fingerprint in said
    key = yaml.safe_load(member(made, "Chart.yaml"))["annotations"]["artifacthub.io/signKey"]
    assert json.loads(key) == {
        "fingerprint": keys.fingerprint,
        "url": "https://example.com/key.asc",
    }


def test_a_package_that_was_changed_is_not_verified(
    checkout: Path, signature: publishing.Signature, keys: Keys
) -> None:
    made = publishing.package(WHERE, signature)
    with made.open("ab") as file:
        file.write(b"more")

    for helm in ("helm", "helm3"):
        done = run(tool(helm), "verify", made, "--keyring", keys.public, check=False)
        assert done.returncode != 0
        assert "sha256 sum does not match" in done.stdout + done.stderr


def test_a_key_that_is_not_there_leaves_no_package_that_looks_signed(
    checkout: Path, keys: Keys
) -> None:
    nobody = publishing.Signature("Nobody", str(keys.secret), str(keys.passphrase))

    with pytest.raises(StepError, match="has no key of 'Nobody'"):
        publishing.package(WHERE, nobody)

    assert not list(checkout.rglob("*.tgz"))


def test_the_signature_of_a_package_before_goes(
    checkout: Path, signature: publishing.Signature
) -> None:
    """Seen to fail: leave the old provenance beside a new package without one."""
    publishing.package(WHERE, signature)

    made = publishing.package(WHERE, publishing.Signature())

    assert list(made.parent.iterdir()) == [made]


def test_pushed_to_our_registry_it_comes_back_and_installs_the_image_beside_it(
    start_registry: StartRegistry,
    checkout: Path,
    signature: publishing.Signature,
    keys: Keys,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """As OCI, with its provenance. Whoever installs it sets no image."""
    registry = start_registry()
    where = f"127.0.0.1:{registry.port}/tools"
    pushed: list[str] = []
    monkeypatch.setattr(publishing, "_push_image", pushed.append)
    monkeypatch.setattr("engine.ensure", lambda: None)

    publishing.push_chart(where, signature, ["--plain-http"])

    assert pushed == [where]
    for helm in (tool("helm"), tool("helm3")):
        folder = tmp_path / helm.name
        folder.mkdir()
        chart = f"oci://{where}/docker-registry"
        version = ("--version", images.version())
        run(
            helm, "pull", chart, *version, "--plain-http", "--verify", "--keyring", keys.public,
            "--destination", folder,
        )  # fmt: skip
        rendered = run(
            helm, "template", "rel", chart, *version, "--plain-http",
            "--set", "garbageCollect.enabled=true",
        )  # fmt: skip
        assert (folder / f"docker-registry-{images.version()}.tgz").exists()
        assert f"{where}/registry-gc:{images.version()}" in rendered.stdout


def test_who_has_logged_in_with_docker_may_push(
    checkout: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """So does the release workflow. Seen to fail: without auths in Docker's configuration."""
    (tmp_path / "htpasswd").write_text(HTPASSWD)
    login = base64.b64encode(b"user:U*U").decode()
    environment = {
        "REGISTRY_AUTH": "htpasswd",
        "REGISTRY_AUTH_HTPASSWD_REALM": "Registry Realm",
        "REGISTRY_AUTH_HTPASSWD_PATH": str(tmp_path / "htpasswd"),
    }
    monkeypatch.setattr(publishing, "_push_image", lambda _: None)
    monkeypatch.setattr("engine.ensure", lambda: None)
    with Guarded(tmp_path / "guarded", environment=environment) as registry:
        host = f"127.0.0.1:{registry.port}"
        until(lambda: tried(registry.url, "--expect-refusal").exit_code == 0, what="it answers")
        (tmp_path / "config.json").write_text(json.dumps({"auths": {host: {"auth": login}}}))
        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
        monkeypatch.setenv("HELM_REGISTRY_CONFIG", str(tmp_path / "none.json"))

        publishing.push_chart(f"{host}/tools", publishing.Signature(), ["--plain-http"])

        monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "nobody"))
        with pytest.raises(StepError, match=r"401|basic credential not found"):
            publishing.push_chart(f"{host}/tools", publishing.Signature(), ["--plain-http"])
