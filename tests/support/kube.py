"""An API for unit tests: the real `Api` over fake objects, without a socket and without sleep."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from registry_gc.kube_api import Api, Reply, UnreachableError
from support.fake_kubernetes import FakeKubernetes, Request


@dataclass
class Direct:
    """A transport into a FakeKubernetes. `meanwhile` is called before each request with its path;
    the next `silent` requests get no answer."""

    fake: FakeKubernetes
    silent: int = 0
    meanwhile: Callable[[str, str], object] = lambda _method, _path: None
    slept: list[float] = field(default_factory=list)

    def __call__(
        self, method: str, path: str, query: Mapping[str, str], body: bytes | None, media_type: str
    ) -> Reply:
        self.meanwhile(method, path)
        if self.silent:
            self.silent -= 1
            raise UnreachableError("nobody listens")
        target = f"{path}?{urlencode(query)}" if query else path
        status, content = self.fake.answer(Request(method, target, "", media_type, body or b""))
        asked = float(self.fake.retry_after) if self.fake.retry_after and status >= 400 else None
        return Reply(status, content, asked)


def api_of(fake: FakeKubernetes, consequence: str = "nothing was changed") -> tuple[Api, Direct]:
    """Return an API whose pauses are only noted."""
    direct = Direct(fake)
    return Api(direct, consequence, sleep=direct.slept.append), direct
