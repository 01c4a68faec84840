"""Real clients on this machine, with credentials of their own: crane and skopeo."""

import base64
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

from support.checkout import tool
from support.client import Manifest, digest_of
from support.oci_layout import write_layout
from support.run import run


@dataclass(frozen=True)
class HostClients:
    """Somebody who is logged in as `user`, or nobody."""

    folder: Path
    address: str
    user: str = ""
    password: str = ""

    def crane(self, *arguments: str | Path, check: bool = True) -> CompletedProcess[str]:
        """Run crane, which uses plain HTTP for loopback by itself."""
        config = self._docker_config()
        environment = {"DOCKER_CONFIG": str(config.parent), "HOME": str(self.folder)}
        return run(tool("crane"), *arguments, env=environment, timeout=120, check=check)

    def skopeo(self, *arguments: str | Path, check: bool = True) -> CompletedProcess[str]:
        program = shutil.which("skopeo")
        assert program, "skopeo is missing: install Debian's package skopeo, as `make test` does"
        return run(
            program, arguments[0], "--authfile", self._docker_config(), *arguments[1:],
            timeout=120, check=check,
        )  # fmt: skip

    def layout(self, manifest: Manifest) -> Path:
        """Return a folder with an image, as both take it."""
        folder = self.folder / "images" / digest_of(manifest.content)[7:19]
        return write_layout(folder, manifest, "only")

    def push(self, manifest: Manifest, name: str, *, check: bool = True) -> CompletedProcess[str]:
        """Push with crane to `repository:tag`."""
        return self.crane("push", self.layout(manifest), f"{self.address}/{name}", check=check)

    def pull_digest(self, name: str) -> str:
        """Pull all of an image with crane, check it, and return its digest."""
        self.crane("validate", "--remote", f"{self.address}/{name}")
        return self.crane("digest", f"{self.address}/{name}").stdout.strip()

    def _docker_config(self) -> Path:
        folder = self.folder / f"as-{self.user or 'nobody'}"
        folder.mkdir(parents=True, exist_ok=True)
        both = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        logins = {self.address: {"auth": both}} if self.user else {}
        path = folder / "config.json"
        path.write_text(json.dumps({"auths": logins}))
        return path
