"""Test what a Helm chart renders, as plain Python objects. See README.md."""

from helm_chart_test.comparing import differences
from helm_chart_test.custom import CustomSchemas
from helm_chart_test.definitions import definitions, served_kinds, served_versions
from helm_chart_test.fake_cluster import fake_cluster
from helm_chart_test.linting import style_problems
from helm_chart_test.objects import Object, containers, object_id, pod_template
from helm_chart_test.rendering import HelmError, merged, notes, render
from helm_chart_test.rules import rule_problems
from helm_chart_test.security import restricted_problems
from helm_chart_test.validating import kubernetes_versions, problems

__all__ = [
    "CustomSchemas",
    "HelmError",
    "Object",
    "containers",
    "definitions",
    "differences",
    "fake_cluster",
    "kubernetes_versions",
    "merged",
    "notes",
    "object_id",
    "pod_template",
    "problems",
    "render",
    "restricted_problems",
    "rule_problems",
    "served_kinds",
    "served_versions",
    "style_problems",
]
