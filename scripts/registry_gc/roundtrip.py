"""Whether images survive: pushes one, pulls it back byte for byte, and deletes it.

What `helm test` runs. The image is the same each time, so that where nothing can be deleted there
is never more than one; and bytes that were deleted and collected before are what a registry with a
stale memory takes without keeping them (distribution issue 4269).
"""

import hashlib
import io
import json
import ssl
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus

from registry_gc.errors import AnswerError, RefusedError, UnreachableError
from registry_gc.registry_client import Answer, Registry

TAG = "test"
_PAUSE = 1.0  # seconds between two tries to reach the registry
_BROKEN_OFF = (ssl.SSLEOFError, ssl.SSLZeroReturnError)
_NOT_YET = (HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT)
_REPOSITORIES = 20  # of a cache, looked through for one with a tag
_LARGEST = 1 << 20  # bytes of a blob that is read back from a cache
_IMAGE = "application/vnd.oci.image.manifest.v1+json"
_ACCEPT = {
    "Accept": ", ".join(
        (
            _IMAGE,
            "application/vnd.oci.image.index.v1+json",
            "application/vnd.docker.distribution.manifest.v2+json",
            "application/vnd.docker.distribution.manifest.list.v2+json",
        )
    )
}

Echo = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class RoundtripOptions:
    """What is tried. `push_nothing`: nothing is pushed; `expect_refusal`: only that nobody gets in
    without credentials; `must_delete`: that the registry deletes counts too.
    """

    repository: str = "registry-gc/roundtrip"
    timeout: timedelta = timedelta(minutes=1)
    push_nothing: bool = False
    expect_refusal: bool = False
    must_delete: bool = False


@dataclass(frozen=True, slots=True)
class _Image:
    """The image: its blobs, config first, and the manifest that names them."""

    blobs: tuple[bytes, ...]
    manifest: bytes


def roundtrip(registry: Registry, options: RoundtripOptions, echo: Echo) -> None:
    """Try the registry and tell each step. Raises CollectorError with what is wrong."""
    try:
        _roundtrip(registry, options, echo)
    except OSError as error:
        raise UnreachableError(
            f"the registry at {registry.url} went away in the middle",
            why=str(error),
            next_step="kubectl logs its pod, and --previous; then try again",
        ) from error
    for note in registry.trust.notes:
        echo(f"note: {note}")


def _roundtrip(registry: Registry, options: RoundtripOptions, echo: Echo) -> None:
    first = _first_answer(registry, options)
    is_open = first.status == HTTPStatus.OK
    if options.expect_refusal or registry.has_credentials:
        if is_open:
            raise _open_to_anybody(registry)
        _expect(first, HTTPStatus.UNAUTHORIZED, "neither lets anybody in nor asks for credentials")
    if options.expect_refusal:
        echo(f"{registry.url} lets nobody in without credentials, as it should")
        echo(
            "nothing was pushed: set tests.username and tests.password, or tests.secretRef, and "
            "images are tried too"
        )
        return
    _expect(registry.request("GET", "/v2/"), HTTPStatus.OK, "does not answer as a registry does")
    echo(f"{registry.url} answers{', and lets the user in' if registry.has_credentials else ''}")
    if options.push_nothing:
        _read(registry, echo)
        return
    image = _image()
    digest = _push(registry, options.repository, image)
    echo(f"pushed {options.repository}:{TAG} ({digest})")
    _pull(registry, options.repository, image)
    echo("pulled it back, byte for byte")
    echo(_delete(registry, options, image))


def _first_answer(registry: Registry, options: RoundtripOptions) -> Answer:
    """Wait until something answers; return what it answers to who brings no credentials."""
    ends = time.monotonic() + options.timeout.total_seconds()
    while True:
        try:
            answer = registry.ask()
            why = f"it answered {answer.said}"
        except OSError as error:
            if isinstance(error, ssl.SSLError) and not isinstance(error, _BROKEN_OFF):
                raise AnswerError(
                    f"what answers at {registry.url} does not speak HTTPS with us",
                    why=str(error),
                    next_step="compare the scheme with the registry's TLS values; a registry that "
                    "wants clients' certificates cannot be tried like this",
                ) from error
            answer, why = None, str(error)
        if answer and answer.status not in _NOT_YET:
            break
        if time.monotonic() >= ends:
            raise UnreachableError(
                f"no registry answers at {registry.url}",
                why=f"tried for {options.timeout}, the last time: {why}",
                next_step="kubectl get endpointslices, to see whether the Service has a pod that "
                "is ready; then that pod's log",
            )
        time.sleep(_PAUSE)
    if "docker-distribution-api-version" not in answer.headers:
        raise AnswerError(
            f"what answers at {registry.url} is not a registry",
            why=f"it answered {answer.said}",
            next_step="look at what the Service selects, and at http.prefix and TLS in the values",
        )
    return answer


def _push(registry: Registry, repository: str, image: _Image) -> str:
    scope = _scope(repository)
    for content in image.blobs:
        # Without asking whether it is there: that the registry takes bytes is what is tried.
        begun = registry.request("POST", f"/v2/{repository}/blobs/uploads/", scope=scope)
        _expect(begun, HTTPStatus.ACCEPTED, "takes no upload", _why_not_pushed(begun))
        location = begun.headers.get("location", "")
        separator = "&" if "?" in location else "?"
        done = registry.request(
            "PUT",
            f"{location}{separator}digest={_digest(content)}",
            scope=scope,
            headers={"Content-Type": "application/octet-stream"},
            body=content,
        )
        _expect(
            done,
            HTTPStatus.CREATED,
            "lost an upload",
            "several replicas need one store and one haSharedSecret; a volume needs room",
        )
    done = registry.request(
        "PUT",
        f"/v2/{repository}/manifests/{TAG}",
        scope=scope,
        headers={"Content-Type": _IMAGE},
        body=image.manifest,
    )
    _expect(done, HTTPStatus.CREATED, "refuses the image's manifest", _SEVERAL)
    return _digest(image.manifest)


_SEVERAL = "several replicas need one store that all of them reach; then the registry's log"


def _why_not_pushed(answer: Answer) -> str:
    if answer.status == HTTPStatus.METHOD_NOT_ALLOWED:
        return "it is a pull-through cache or read-only: try it with --push-nothing"
    return "look at the registry's log; a volume that it cannot write to answers like this"


def _pull(registry: Registry, repository: str, image: _Image) -> None:
    scope = _scope(repository)
    for reference in (TAG, _digest(image.manifest)):
        path = f"/v2/{repository}/manifests/{reference}"
        _same(registry.request("GET", path, scope=scope, headers=_ACCEPT), image.manifest, path)
    for content in image.blobs:
        path = f"/v2/{repository}/blobs/{_digest(content)}"
        _same(registry.request("GET", path, scope=scope), content, path)


def _same(answer: Answer, content: bytes, path: str) -> None:
    _expect(answer, HTTPStatus.OK, f"does not give back what was pushed ({path})", _SEVERAL)
    _check(answer.body, _digest(content), path)


def _check(content: bytes, digest: str, path: str) -> None:
    """Raise AnswerError when bytes are not what their digest says; a sha512 is taken on trust."""
    if digest.startswith("sha256:") and _digest(content) != digest:
        raise AnswerError(
            f"{path} came back changed",
            why=f"its {len(content)} bytes are {_digest(content)} and not {digest}",
            next_step="check the store: registry-gc check --read-data",
        )


def _delete(registry: Registry, options: RoundtripOptions, image: _Image) -> str:
    scope = f"repository:{options.repository}:delete"
    manifests = f"/v2/{options.repository}/manifests"
    try:
        answer = registry.request("DELETE", f"{manifests}/{_digest(image.manifest)}", scope=scope)
    except RefusedError:
        if options.must_delete:
            raise
        return f"this user may not delete, so {options.repository}:{TAG} stays; it stays one"
    if answer.status == HTTPStatus.METHOD_NOT_ALLOWED and not options.must_delete:
        return (
            f"nothing can be deleted here, so {options.repository}:{TAG} stays; it is the same "
            "image each time, so it stays one"
        )
    _expect(
        answer,
        HTTPStatus.ACCEPTED,
        "does not delete",
        "persistence.deleteEnabled lets it; a variable of extraEnvVars may say otherwise",
    )
    # By the tag: by its digest, another replica may still have it in its memory.
    path = f"{manifests}/{TAG}"
    left = registry.request("GET", path, scope=_scope(options.repository), headers=_ACCEPT)
    _expect(left, HTTPStatus.NOT_FOUND, "still has what was deleted")
    for content in image.blobs:
        path = f"/v2/{options.repository}/blobs/{_digest(content)}"
        _expect(registry.request("DELETE", path, scope=scope), HTTPStatus.ACCEPTED, "keeps a layer")
    return "deleted it; a collection frees its last bytes"


def _read(registry: Registry, echo: Echo) -> None:
    """Read one image that is there, whichever; a cache that is new has none."""
    answer = registry.request("GET", f"/v2/_catalog?n={_REPOSITORIES}", scope="registry:catalog:*")
    _expect(answer, HTTPStatus.OK, "does not list its repositories")
    for repository in _listed(answer, "repositories"):
        scope = f"repository:{repository}:pull"
        tags = registry.request("GET", f"/v2/{repository}/tags/list", scope=scope)
        for tag in _listed(tags, "tags")[:1]:
            path = f"/v2/{repository}/manifests/{tag}"
            found = registry.request("GET", path, scope=scope, headers=_ACCEPT)
            _expect(found, HTTPStatus.OK, f"does not serve {repository}:{tag}, which it lists")
            _check(found.body, found.headers.get("docker-content-digest", ""), path)
            if blob := _smallest_blob(found.body):
                path = f"/v2/{repository}/blobs/{blob}"
                content = registry.request("GET", path, scope=scope)
                _expect(content, HTTPStatus.OK, f"does not serve a layer of {repository}:{tag}")
                _check(content.body, blob, path)
            echo(f"read {repository}:{tag}, and its bytes are their digests; nothing was pushed")
            return
    echo("it holds no image yet, so none was read; nothing was pushed")


def _listed(answer: Answer, name: str) -> list[str]:
    """Return a list of an answer; none where it says `null` or nothing that is understood."""
    try:
        return [str(each) for each in json.loads(answer.body)[name] or []]
    except (ValueError, LookupError, TypeError):
        return []


def _smallest_blob(manifest: bytes) -> str:
    """Return the digest of the smallest blob that a manifest names; empty for an index."""
    try:
        document = json.loads(manifest)
        named = [document["config"], *document["layers"]]
        sizes = {str(each["digest"]): int(each["size"]) for each in named}
    except (ValueError, LookupError, TypeError):
        return ""
    fitting = {d: size for d, size in sizes.items() if size <= _LARGEST and d.startswith("sha256:")}
    return min(fitting, key=lambda digest: fitting[digest], default="")


def _expect(answer: Answer, status: HTTPStatus, what: str, next_step: str = "") -> None:
    if answer.status != status:
        raise AnswerError(
            f"the registry {what}",
            why=f"it answered {answer.said}",
            next_step=next_step or "look at the registry's log",
        )


def _open_to_anybody(registry: Registry) -> AnswerError:
    return AnswerError(
        f"{registry.url} lets anybody in",
        why="it answered /v2/ without credentials, and its values ask for some",
        next_step="look at what the Service selects, and at variables that turn REGISTRY_AUTH off",
    )


def _scope(repository: str) -> str:
    return f"repository:{repository}:pull,push"


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _image() -> _Image:
    """Return an image with one file, the same bytes each time."""
    text = b"pushed by `registry-gc roundtrip`, which tries whether images survive\n"
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        entry = tarfile.TarInfo("registry-gc-roundtrip.txt")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    content = layer.getvalue()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [_digest(content)]},
        }
    ).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": _IMAGE,
        "config": _descriptor("application/vnd.oci.image.config.v1+json", config),
        "layers": [_descriptor("application/vnd.oci.image.layer.v1.tar", content)],
    }
    return _Image((config, content), json.dumps(manifest).encode())


def _descriptor(media_type: str, content: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": _digest(content), "size": len(content)}
