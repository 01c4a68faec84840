"""Schemas of custom resources, out of the CustomResourceDefinitions of the projects that have them.

What a structural schema says is checked; its rules in CEL (`x-kubernetes-validations`) are not.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.protocols import Validator

from helm_chart_test.objects import Object
from helm_chart_test.reading import documents


@dataclass(frozen=True)
class CustomSchemas:
    """The definitions in some YAML files; each file is read when an object first needs one."""

    files: tuple[Path, ...]
    _validators: dict[tuple[str, str], Validator] = field(
        default_factory=dict, compare=False, repr=False
    )

    def knows(self, kind: str) -> bool:
        """Say whether a definition of this kind is there, in whatever version."""
        return kind in self._where

    def problems(self, thing: Object) -> list[str]:
        """Return what the API server would refuse or drop. Raises KeyError for an unknown kind.

        Strict: a field that no definition names is a problem, except where the definition says that
        it keeps such fields (`x-kubernetes-preserve-unknown-fields`).
        """
        validator = self._validator(thing["apiVersion"], thing["kind"])
        if validator is None:
            return [f"no definition of {thing['kind']} serves the version {thing['apiVersion']}"]
        return sorted(
            f"{'.'.join(str(part) for part in error.absolute_path) or 'the object'}: "
            f"{error.message[:300]}"
            for error in validator.iter_errors(thing)
        )

    @cached_property
    def _where(self) -> Mapping[str, Path]:
        found: dict[str, Path] = {}
        for path in self.files:
            for line in path.read_text("utf-8").splitlines():
                # `names.kind` of a definition, which is indented; not the definition's own.
                if line.startswith("    kind: "):
                    found.setdefault(line.removeprefix("    kind: ").strip(), path)
        return found

    def _validator(self, api_version: str, kind: str) -> Validator | None:
        if (api_version, kind) not in self._validators:
            self._validators.update(_validators(self._where[kind]))
        return self._validators.get((api_version, kind))


def _validators(path: Path) -> Iterator[tuple[tuple[str, str], Validator]]:
    for definition in documents(path.read_text("utf-8")):
        if definition.get("kind") != "CustomResourceDefinition":
            continue
        spec = definition["spec"]
        for version in spec["versions"]:
            if version["served"]:
                schema = strict_schema(version["schema"]["openAPIV3Schema"])
                key = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
                yield key, Draft202012Validator(schema)


def strict_schema(schema: Mapping[str, Any], *, top: bool = True) -> dict[str, Any]:
    """Return a structural schema as JSON Schema, with what Kubernetes adds to it and closed.

    `metadata` of the object stays open: its schema is not the definition's.
    """
    result = {key: value for key, value in schema.items() if not key.startswith("x-kubernetes-")}
    for key in ("properties", "patternProperties"):
        if key in schema:
            result[key] = {
                name: strict_schema(part, top=False) for name, part in schema[key].items()
            }
    for key in ("items", "additionalProperties", "not"):
        if isinstance(schema.get(key), Mapping):
            result[key] = strict_schema(schema[key], top=False)
    open_ = schema.get("x-kubernetes-preserve-unknown-fields")
    embedded = schema.get("x-kubernetes-embedded-resource")
    if "properties" in schema and not open_ and not embedded:
        result.setdefault("additionalProperties", False)
    if top:
        result["properties"] = {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            **result.get("properties", {}),
            "metadata": {"type": "object"},
        }
        result["required"] = sorted({"metadata", *result.get("required", [])})
    if schema.get("x-kubernetes-int-or-string"):
        result.pop("type", None)
        result["type"] = ["integer", "string"]
    if schema.get("nullable") and "type" in result:
        kinds = result["type"] if isinstance(result["type"], list) else [result["type"]]
        result["type"] = [*kinds, "null"]
        if "enum" in result:
            result["enum"] = [*result["enum"], None]
    return result
