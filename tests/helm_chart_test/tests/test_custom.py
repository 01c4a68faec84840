"""Custom resources are held against the definitions of those whose they are."""

from pathlib import Path
from typing import Any

import pytest

from helm_chart_test import CustomSchemas, kubernetes_versions, problems

NEWEST = kubernetes_versions()[-1]
_DEFINITION = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  group: example.com
  names:
    kind: Thing
  versions:
    - name: v1
      served: true
      schema:
        openAPIV3Schema:
          type: object
          required: [spec]
          properties:
            apiVersion: {type: string}
            kind: {type: string}
            metadata: {type: object}
            spec:
              type: object
              required: [name]
              properties:
                name: {type: string, pattern: "^[a-z]+$"}
                port: {x-kubernetes-int-or-string: true, anyOf: [{type: integer}, {type: string}]}
                rest: {type: object, x-kubernetes-preserve-unknown-fields: true,
                       properties: {known: {type: string}}}
                labels: {type: object, additionalProperties: {type: string}}
                maybe: {type: string, nullable: true, enum: [a]}
    - name: v0
      served: false
      schema: {openAPIV3Schema: {type: object}}
"""


@pytest.fixture
def schemas(tmp_path: Path) -> CustomSchemas:
    path = tmp_path / "things.yaml"
    path.write_text(_DEFINITION, "utf-8")
    return CustomSchemas((path,))


def thing(version: str = "v1", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": f"example.com/{version}",
        "kind": "Thing",
        "metadata": {"name": "x", "labels": {"a": "b"}},
        "spec": {"name": "x", **spec},
    }


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"port": 5},
        {"port": "http"},
        {"rest": {"known": "a", "anything": [1]}},
        {"labels": {"any": "text"}},
        {"maybe": None},
        {"maybe": "a"},
    ],
)
def test_what_the_definition_allows_is_no_problem(
    schemas: CustomSchemas, spec: dict[str, Any]
) -> None:
    assert problems([thing(**spec)], kube_version=NEWEST, custom=schemas) == []


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ({"nam": "x"}, "'nam' was unexpected"),
        ({"name": "X"}, "spec.name: 'X' does not match"),
        ({"name": 5}, "spec.name: 5 is not of type 'string'"),
        ({"port": []}, "spec.port"),
        ({"rest": {"known": 1}}, "spec.rest.known"),
        ({"labels": {"any": 1}}, "spec.labels.any"),
        ({"maybe": "b"}, "spec.maybe"),
    ],
)
def test_what_it_does_not_is_one(schemas: CustomSchemas, spec: dict[str, Any], told: str) -> None:
    """Seen to fail: strict_schema that leaves objects open, or forgets `x-kubernetes-*`."""
    found = problems([thing(**spec)], kube_version=NEWEST, custom=schemas)
    assert found
    assert all(told in problem and problem.startswith("Thing/x: ") for problem in found)


def test_a_version_that_is_not_served_is_a_problem(schemas: CustomSchemas) -> None:
    (problem,) = problems([thing("v0")], kube_version=NEWEST, custom=schemas)
    assert "serves the version example.com/v0" in problem
