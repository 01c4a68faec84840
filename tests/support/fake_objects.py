"""The objects of a fake Kubernetes API: who owns which field, as server-side apply does it.

Only what our clients rely on: maps are merged field by field, lists are atomic; what a manager no
longer applies is removed unless another one owns it; without `force` a foreign field is a conflict.
"""

import copy
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

Field = tuple[str, ...]
Answer = tuple[int, dict[str, Any]]

_IDENTITY = {"apiVersion", "kind"}


@dataclass
class FakeObjects:
    """`missing` are plurals that the API does not know, `denied` pairs of a verb and a plural, or
    of a verb and a path's end; `written` has each change: verb, path, query and body."""

    by_path: dict[str, dict[str, Any]] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)
    denied: set[tuple[str, str]] = field(default_factory=set)
    written: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)
    used: set[tuple[str, str]] = field(default_factory=set)
    page: int = 0
    _owners: dict[str, dict[str, set[Field]]] = field(default_factory=dict)
    _version: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def put(self, path: str, body: Mapping[str, Any], manager: str = "somebody") -> dict[str, Any]:
        """Make or replace an object as another client would."""
        with self._lock:
            made = copy.deepcopy(dict(body))
            made.setdefault("metadata", {}).setdefault("name", path.rsplit("/", 1)[1])
            made["metadata"].setdefault("uid", f"uid-{len(self.by_path) + 1}")
            self._owners[path] = {manager: set(_fields(body))}
            return self._store(path, made)

    def answer(self, method: str, target: str, body: bytes) -> Answer:
        with self._lock:
            return self._answer(method, target, body)

    def _answer(self, method: str, target: str, body: bytes) -> Answer:
        parts = urlsplit(target)
        path = parts.path
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        plural = _plural(path)
        if plural in self.missing:
            return 404, {"kind": "Status", "message": "could not find the requested resource"}
        verb = _verb(method, path, plural)
        self.used.add((verb, plural))
        if (verb, plural) in self.denied or any(
            verb == each and path.endswith(end) for each, end in self.denied
        ):
            return 403, {"kind": "Status", "message": f"{plural} is forbidden: cannot {verb}"}
        if method == "GET":
            return self._list(path, query) if verb == "list" else self._get(path)
        content: Any = json.loads(body) if body else None
        self.written.append((verb, path, query, content))
        match method:
            case "POST":
                return self._create(path, content)
            case "DELETE":
                return self._delete(path, content)
            case _:
                return self._patch(path, query, content)

    def _get(self, path: str) -> Answer:
        found = self.by_path.get(path)
        return (200, found) if found else self._not_found(path)

    def _list(self, path: str, query: Mapping[str, str]) -> Answer:
        wanted = dict(pair.split("=") for pair in query.get("labelSelector", "").split(",") if pair)
        items = [
            item
            for each, item in sorted(self.by_path.items())
            if each.startswith(f"{path}/") and "/" not in each[len(path) + 1 :]
            if wanted.items() <= item["metadata"].get("labels", {}).items()
        ]
        if not self.page:
            return 200, {"kind": "List", "items": items}
        start = int(query.get("continue", 0))
        end = start + self.page
        following = str(end) if end < len(items) else ""
        return 200, {"metadata": {"continue": following}, "items": items[start:end]}

    def _create(self, path: str, body: dict[str, Any]) -> Answer:
        name = f"{path}/{body['metadata']['name']}"
        if name in self.by_path:
            return 409, {"kind": "Status", "message": f"{name} already exists"}
        return 201, self.put(name, body, "created")

    def _delete(self, path: str, options: Mapping[str, Any] | None) -> Answer:
        found = self.by_path.get(path)
        if found is None:
            return self._not_found(path)
        uid = ((options or {}).get("preconditions") or {}).get("uid")
        if uid and uid != found["metadata"]["uid"]:
            return 409, {"kind": "Status", "message": "the UID in the precondition does not match"}
        del self.by_path[path]
        self._owners.pop(path, None)
        return 200, {"kind": "Status", "status": "Success"}

    def _patch(self, path: str, query: Mapping[str, str], body: dict[str, Any]) -> Answer:
        status = path.endswith("/status")
        path = path.removesuffix("/status")
        found = self.by_path.get(path)
        if found is None and status:
            return self._not_found(path)
        version = body.get("metadata", {}).get("resourceVersion")
        if found and version and version != found["metadata"]["resourceVersion"]:
            return 409, {"kind": "Status", "message": "the object has been modified"}
        if found is None:
            # Server-side apply that makes an object needs both, by its name (apiserver, patch.go).
            self.used.add(("create", _plural(path)))
            if ("create", _plural(path)) in self.denied:
                return 403, {"kind": "Status", "message": f"{_plural(path)} is forbidden"}
            self._owners.pop(path, None)
            found = {"metadata": {"uid": f"uid-{len(self.by_path) + 1}"}}
            for key in _IDENTITY:
                found[key] = body[key]
        else:
            found = copy.deepcopy(found)
        wanted = {
            each: value for each, value in _fields(body).items() if (each[0] == "status") == status
        }
        return self._applied(path, found, wanted, query, status=status)

    def _applied(
        self,
        path: str,
        found: dict[str, Any],
        wanted: Mapping[Field, Any],
        query: Mapping[str, str],
        *,
        status: bool,
    ) -> Answer:
        manager = query["fieldManager"] + ("/status" if status else "")
        owners = self._owners.setdefault(path, {})
        foreign = {
            each: other
            for other, fields in owners.items()
            if other != manager
            for each in fields & set(wanted)
            if _value(found, each) != wanted[each]
        }
        if foreign and "force" not in query:
            each, other = next(iter(foreign.items()))
            return 409, {
                "kind": "Status",
                "message": f'conflict with "{other}": .{".".join(each)}',
            }
        for each, other in foreign.items():
            owners[other].discard(each)
        for each in owners.get(manager, set()) - set(wanted):
            if not any(each in fields for other, fields in owners.items() if other != manager):
                _remove(found, each)
        for each, value in wanted.items():
            _set(found, each, value)
        owners[manager] = set(wanted)
        return 200, self._store(path, found)

    def merged(self, path: str, query: Mapping[str, str], body: dict[str, Any]) -> Answer:
        """A merge patch; None removes."""
        with self._lock:
            self.used.add(("patch", _plural(path)))
            if ("patch", _plural(path)) in self.denied:
                return 403, {"kind": "Status", "message": "forbidden"}
            found = self.by_path.get(path)
            self.written.append(("patch", path, dict(query), body))
            if found is None:
                return self._not_found(path)
            version = body.get("metadata", {}).get("resourceVersion")
            if version and version != found["metadata"]["resourceVersion"]:
                return 409, {"kind": "Status", "message": "the object has been modified"}
            return 200, self._store(path, _merge(copy.deepcopy(found), body))

    def _store(self, path: str, found: dict[str, Any]) -> dict[str, Any]:
        before = self.by_path.get(path)
        found["metadata"].setdefault("name", path.rsplit("/", 1)[1])
        if before is None or before != found:
            self._version += 1
            found["metadata"]["resourceVersion"] = str(self._version)
        self.by_path[path] = found
        return found

    def _not_found(self, path: str) -> Answer:
        name = path.rsplit("/", 1)[1]
        details = {"name": name, "kind": _plural(path)}
        return 404, {"kind": "Status", "message": f'"{name}" not found', "details": details}


def _plural(path: str) -> str:
    parts = path.strip("/").split("/")
    parts = parts[2:] if parts[0] == "api" else parts[3:]
    if parts[0] == "namespaces" and len(parts) > 2:
        parts = parts[2:]
    return "/".join([parts[0], *parts[2:]])


def _verb(method: str, path: str, plural: str) -> str:
    if method != "GET":
        return {"POST": "create", "PATCH": "patch", "DELETE": "delete", "PUT": "update"}[method]
    return "list" if path.endswith(f"/{plural}") else "get"


def _fields(body: Mapping[str, Any], prefix: Field = ()) -> dict[Field, Any]:
    """Return the leaves of an object, without what only names it."""
    found: dict[Field, Any] = {}
    for key, value in body.items():
        path = (*prefix, key)
        if not prefix and key in _IDENTITY:
            continue
        if prefix == ("metadata",) and key not in ("labels", "annotations", "ownerReferences"):
            continue
        if isinstance(value, Mapping) and value:
            found |= _fields(value, path)
        elif path != ("metadata",):
            found[path] = value
    return found


def _value(body: Mapping[str, Any], path: Field) -> Any:
    here: Any = body
    for key in path:
        if not isinstance(here, Mapping) or key not in here:
            return None
        here = here[key]
    return here


def _set(body: dict[str, Any], path: Field, value: Any) -> None:
    for key in path[:-1]:
        body = body.setdefault(key, {})
    body[path[-1]] = copy.deepcopy(value)


def _remove(body: dict[str, Any], path: Field) -> None:
    steps = list(_parents(body, path))
    for holder, key in reversed(steps):
        if (key in holder and (holder, key) == steps[-1]) or holder.get(key) == {}:
            del holder[key]


def _parents(body: dict[str, Any], path: Field) -> Iterator[tuple[dict[str, Any], str]]:
    for key in path:
        yield body, key
        body = body.get(key, {}) if isinstance(body.get(key, {}), dict) else {}


def _merge(found: dict[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        elif isinstance(value, Mapping):
            found[key] = _merge(dict(found.get(key) or {}), value)
        else:
            found[key] = value
    return found
