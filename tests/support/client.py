"""A client of a registry that pushes as docker does, which is where collections lose images.

It asks for each blob first and does not upload what the registry says it has. Images are made from
a seed, so that a test can push the same bytes again. One client is for one thread.
"""

import hashlib
import http.client
import json
import random
import select
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"

_ACCEPT = ", ".join((OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST))


class Refused(Exception):  # noqa: N818 - an answer, and an expected one beside a collection
    """The registry did not acknowledge a request: its status, 0 if it could not be reached."""

    def __init__(self, request: str, status: int, body: str) -> None:
        super().__init__(f"{request}: {status} {body[:300]}")
        self.status = status
        self._method = request.partition(" ")[0]
        self._body = body

    @property
    def kind(self) -> str:
        """Return what several of them have in common: `PUT 400 MANIFEST_BLOB_UNKNOWN`."""
        try:
            code = json.loads(self._body)["errors"][0]["code"]
        except (ValueError, LookupError, TypeError):
            code = ""
        return f"{self._method} {self.status} {code}".strip()


def digest_of(content: bytes) -> str:
    """Return the sha256 digest, `sha256:<hex>`."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a push acknowledges: an image or an index, with the blobs that it names itself."""

    content: bytes
    media_type: str
    blobs: tuple[bytes, ...] = ()
    children: tuple["Manifest", ...] = ()

    @property
    def digest(self) -> str:
        """Return the digest of the manifest's own bytes."""
        return digest_of(self.content)


@dataclass(frozen=True, slots=True)
class Pushed:
    """An acknowledged push, and which of its blobs the registry said it had already."""

    repository: str
    reference: str
    digest: str
    uploaded: tuple[str, ...]
    existing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pulled:
    """A pull that went through to its end; `missing` names what was not there or not itself."""

    digest: str
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the registry."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def layer(seed: object, size: int = 2000) -> bytes:
    """Return the same bytes for the same seed, and other bytes for another one."""
    return random.Random(f"layer {seed}").randbytes(size)


def image(
    seed: object,
    *,
    layers: Iterable[bytes] | int = 2,
    note: str = "",
    subject: Manifest | None = None,
    config: bytes = b"",
    docker: bool = False,
) -> Manifest:
    """Return the image of a seed; another `note` makes another manifest with the same blobs.

    With `docker` its types are Docker's (schema 2).
    """
    media_type = DOCKER_MANIFEST if docker else OCI_MANIFEST
    contents = (
        tuple(layer(f"{seed}/{number}") for number in range(layers))
        if isinstance(layers, int)
        else tuple(layers)
    )
    config = (
        config or json.dumps({"architecture": "amd64", "os": "linux", "seed": str(seed)}).encode()
    )
    document: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": _descriptor(config, DOCKER_CONFIG if docker else OCI_CONFIG),
        "layers": [_descriptor(each, DOCKER_LAYER if docker else OCI_LAYER) for each in contents],
    }
    if note:
        document["annotations"] = {"note": note}
    if subject:
        document["subject"] = _descriptor(subject.content, subject.media_type)
    return Manifest(json.dumps(document).encode(), media_type, (config, *contents))


def index(children: Sequence[Manifest], *, note: str = "", docker: bool = False) -> Manifest:
    """Return an index of these manifests, which are pushed with it; with `docker` a list."""
    media_type = DOCKER_LIST if docker else OCI_INDEX
    document: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "manifests": [
            {
                **_descriptor(child.content, child.media_type),
                "platform": {"os": "linux", "architecture": f"cpu{number}"},
            }
            for number, child in enumerate(children)
        ],
    }
    if note:
        document["annotations"] = {"note": note}
    return Manifest(json.dumps(document).encode(), media_type, children=tuple(children))


def referrer(subject: Manifest, seed: object) -> Manifest:
    """Return an artifact about `subject`, as a signature or an SBOM is one."""
    content, empty = layer(seed, 200), b"{}"
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": "application/vnd.example.sbom",
        "config": _descriptor(empty, OCI_EMPTY),
        "layers": [_descriptor(content, "application/vnd.example.sbom")],
        "subject": _descriptor(subject.content, subject.media_type),
    }
    return Manifest(json.dumps(document).encode(), OCI_MANIFEST, (empty, content))


def _descriptor(content: bytes, media_type: str) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def fallback_tag(subject: str) -> str:
    """Return the tag that lists the referrers of a digest where there is no referrers API."""
    return subject.replace(":", "-")


@dataclass(slots=True)
class Client:
    """Talks to one registry. `pace` is called between the requests of a push: a slow client.

    With `pieces` above 1 it also sends each upload's body in so many pieces, and paces those.
    `connect` makes its connections where there is more to say than the URL's host: TLS, a proxy.
    """

    url: str
    timeout: float = 30
    pace: Callable[[], None] = lambda: None
    pieces: int = 1
    connect: Callable[[], http.client.HTTPConnection] | None = None
    _connection: http.client.HTTPConnection | None = field(default=None, repr=False)

    def push(
        self,
        repository: str,
        manifest: Manifest,
        tag: str = "",
        *,
        chunks: int = 1,
        assume_existing: bool = False,
        mount_from: str = "",
    ) -> Pushed:
        """Push blobs, then children, then the manifest, by tag or else by digest.

        With `chunks` above 1, each blob goes up in so many PATCH requests. `mount_from` names a
        repository to mount blobs from. With `assume_existing` nothing is looked at or uploaded:
        the client has looked before. Raises Refused unless all of it was acknowledged.
        """
        uploaded: list[str] = []
        existing: list[str] = []
        for child in manifest.children:
            done = self.push(
                repository,
                child,
                chunks=chunks,
                assume_existing=assume_existing,
                mount_from=mount_from,
            )
            uploaded += done.uploaded
            existing += done.existing
        for content in () if assume_existing else manifest.blobs:
            name = digest_of(content)
            if self.has_blob(repository, name):
                existing.append(name)
            elif self._bring(repository, content, mount_from, chunks):
                uploaded.append(name)
            self.pace()
        reference = tag or manifest.digest
        self.put_manifest(repository, manifest, reference)
        return Pushed(repository, reference, manifest.digest, tuple(uploaded), tuple(existing))

    def _bring(self, repository: str, content: bytes, mount_from: str, chunks: int) -> bool:
        """Mount a blob, or upload it where that was begun instead; say whether it was uploaded."""
        begun = ""
        if mount_from:
            begun = self._mount_or_begin(repository, digest_of(content), mount_from)
            if not begun:
                return False
        self.upload(repository, content, chunks=chunks, begun=begun)
        return True

    def put_manifest(self, repository: str, manifest: Manifest, reference: str) -> None:
        """Put a manifest and nothing else."""
        self._expect(
            "PUT",
            f"/v2/{repository}/manifests/{reference}",
            201,
            body=manifest.content,
            headers={"Content-Type": manifest.media_type},
        )

    def push_referrer(self, repository: str, artifact: Manifest, subject: str) -> Manifest:
        """Push an untagged artifact and name it in its subject's fallback tag; return that."""
        self.push(repository, artifact)
        tag = fallback_tag(subject)
        found = self.request("GET", f"/v2/{repository}/manifests/{tag}")
        known = json.loads(found.body)["manifests"] if found.status == 200 else []
        document = {
            "schemaVersion": 2,
            "mediaType": OCI_INDEX,
            "manifests": [*known, _descriptor(artifact.content, artifact.media_type)],
        }
        named = Manifest(json.dumps(document).encode(), OCI_INDEX)
        self.put_manifest(repository, named, tag)
        return named

    def has_blob(self, repository: str, digest: str) -> bool:
        """Ask for a blob as a push does; anything but yes and no is refused."""
        answer = self.request("HEAD", f"/v2/{repository}/blobs/{digest}")
        if answer.status not in (200, 404):
            raise Refused(f"HEAD {digest}", answer.status, "")
        return answer.status == 200

    def upload(
        self, repository: str, content: bytes, *, chunks: int = 1, digest: str = "", begun: str = ""
    ) -> None:
        """Upload a blob that the registry does not have; `digest` if not its sha256.

        `begun` is the location of an upload that has begun already.
        """
        location = begun or self.start_upload(repository)
        size = max(1, -(-len(content) // chunks))
        parts = [content[at : at + size] for at in range(0, len(content), size)] or [b""]
        for part in parts if chunks > 1 else ():
            answer = self._send("PATCH", location, 202, part)
            location = answer.headers["location"]
            self.pace()
        location = _with_query(location, digest=digest or digest_of(content))
        self._send("PUT", location, 201, b"" if chunks > 1 else content)

    def _send(self, method: str, location: str, status: int, content: bytes) -> Answer:
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(len(content))}
        body = content if self.pieces == 1 else self._trickle(content)
        return self._expect(method, location, status, body=body, headers=headers)

    def _trickle(self, content: bytes) -> Iterator[bytes]:
        size = max(1, -(-len(content) // self.pieces))
        for at in range(0, len(content), size):
            yield content[at : at + size]
            self.pace()

    def start_upload(self, repository: str) -> str:
        """Begin an upload and return its location."""
        answer = self._expect("POST", f"/v2/{repository}/blobs/uploads/", 202)
        return answer.headers["location"]

    def mount(self, repository: str, digest: str, source: str) -> bool:
        """Take a blob over from another repository; False if the registry would not."""
        if begun := self._mount_or_begin(repository, digest, source):
            self.request("DELETE", begun)  # nobody will finish it
        return not begun

    def _mount_or_begin(self, repository: str, digest: str, source: str) -> str:
        """Mount a blob; return the location of the upload that began in its place, else nothing."""
        query = urlencode({"mount": digest, "from": source})
        answer = self.request("POST", f"/v2/{repository}/blobs/uploads/?{query}")
        if answer.status not in (201, 202):
            raise Refused(f"mount {digest} from {source}", answer.status, answer.body.decode())
        return answer.headers["location"] if answer.status == 202 else ""

    def delete_manifest(self, repository: str, digest: str) -> None:
        """Delete a manifest, and with it every tag on it."""
        self._expect("DELETE", f"/v2/{repository}/manifests/{digest}", 202)

    def delete_tag(self, repository: str, tag: str) -> None:
        """Delete a tag and leave its manifest."""
        self._expect("DELETE", f"/v2/{repository}/manifests/{tag}", 202)

    def pull(self, repository: str, reference: str) -> Pulled:
        """Pull everything that a reference leads to, and check every digest.

        Raises Refused if the registry cannot be reached.
        """
        answer = self._get(f"/v2/{repository}/manifests/{reference}")
        if answer.status != 200:
            return Pulled("", (f"manifest {repository}:{reference}: {answer.status}",))
        name = digest_of(answer.body)
        if reference.startswith("sha256:") and name != reference:
            return Pulled(name, (f"manifest {repository}@{reference}: other bytes",))
        document = json.loads(answer.body)
        missing: list[str] = []
        for child in document.get("manifests", []):
            missing += self.pull(repository, child["digest"]).missing
        blobs = [document["config"]] if "config" in document else []
        for blob in (*blobs, *document.get("layers", [])):
            missing += self._check_blob(repository, blob["digest"])
        return Pulled(name, tuple(missing))

    def _check_blob(self, repository: str, digest: str) -> list[str]:
        answer = self._get(f"/v2/{repository}/blobs/{digest}")
        if answer.status != 200:
            return [f"blob {repository}@{digest}: {answer.status}"]
        algorithm = digest.partition(":")[0]
        if f"{algorithm}:{hashlib.new(algorithm, answer.body).hexdigest()}" != digest:
            return [f"blob {repository}@{digest}: other bytes ({len(answer.body)})"]
        return []

    def _get(self, path: str) -> Answer:
        """Get a manifest or a blob; one that breaks off counts as the bytes that came.

        A registry that remembers a blob which is gone answers 200 with its length and no bytes.
        """
        try:
            return self.request("GET", path, headers={"Accept": _ACCEPT})
        except Refused as error:
            if isinstance(error.__cause__, http.client.IncompleteRead):
                return Answer(200, {}, error.__cause__.partial)
            raise

    def tags(self, repository: str) -> list[str]:
        """Return a repository's tags, none for an unknown one."""
        answer = self.request("GET", f"/v2/{repository}/tags/list")
        return sorted(json.loads(answer.body)["tags"] or []) if answer.status == 200 else []

    def repositories(self) -> list[str]:
        """Return the catalog, up to the most that a registry gives at once."""
        answer = self._expect("GET", "/v2/_catalog?n=1000", 200)
        return sorted(json.loads(answer.body)["repositories"] or [])

    def request(
        self,
        method: str,
        path: str,
        *,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request over the kept connection. Raises Refused with status 0 if it breaks."""
        parts = urlsplit(path)
        target = f"{parts.path}?{parts.query}" if parts.query else parts.path
        self._drop_if_closed()
        if self._connection is None:
            self._connection = self._connected()
        try:
            self._connection.request(method, target, body=body, headers=dict(headers or {}))
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise Refused(f"{method} {path}", 0, repr(error)) from error
        found = {name.lower(): value for name, value in response.getheaders()}
        if response.will_close:
            self.close()
        return Answer(response.status, found, content)

    def _connected(self) -> http.client.HTTPConnection:
        if self.connect is not None:
            return self.connect()
        host = urlsplit(self.url)
        assert host.hostname is not None, f"{self.url} has no host"
        return http.client.HTTPConnection(host.hostname, host.port, timeout=self.timeout)

    def _drop_if_closed(self) -> None:
        """Open a new connection where the registry has closed the kept one, as clients do."""
        if self._connection is None or self._connection.sock is None:
            return
        # Nothing was asked, so only its end can be there to read.
        if select.select([self._connection.sock], [], [], 0)[0]:
            self.close()

    def close(self) -> None:
        """Close the kept connection; the next request opens another one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _expect(
        self,
        method: str,
        path: str,
        status: int,
        *,
        body: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        answer = self.request(method, path, body=body, headers=headers)
        if answer.status != status:
            raise Refused(f"{method} {path}", answer.status, answer.body.decode(errors="replace"))
        return answer


def _with_query(location: str, **query: str) -> str:
    return f"{location}{'&' if '?' in location else '?'}{urlencode(query)}"
