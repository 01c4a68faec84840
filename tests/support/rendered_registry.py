"""What the registry's container of a rendered chart would see, on this machine.

Its files are written below a folder, which stands for the container's root: the configuration, and
what Secrets and ConfigMaps are mounted. Variables that name one of these files name the copy.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from helm_chart_test import Object, containers, pod_template

Data = Mapping[str, Mapping[str, str]]
"""The Secrets of somebody else: name, key, text."""


@dataclass
class RenderedRegistry:
    """The registry's pod among these objects, in a namespace that also has the Secrets `others`."""

    objects: Sequence[Object]
    folder: Path
    others: Data = field(default_factory=dict)

    @property
    def configuration(self) -> str:
        """Return the text of its config.yml."""
        return self._copy(self._container["command"][-1]).read_text("utf-8")

    @property
    def environment(self) -> dict[str, str]:
        """Return its variables, with what they refer to. Raises KeyError where that is missing."""
        self._write_files()
        found = {}
        for entry in self._container["env"]:
            text = entry.get("value")
            if text is None:
                text = self._referred(entry["valueFrom"]["secretKeyRef"])
            if text is not None:
                found[entry["name"]] = self._moved(text)
        return found

    @property
    def _pod(self) -> Object:
        pods = (
            pod_template(each)
            for each in self.objects
            if each["kind"] in ("Deployment", "StatefulSet")
        )
        pod = next(pods)
        assert pod is not None
        return pod

    @property
    def _container(self) -> dict[str, Any]:
        container: dict[str, Any] = containers(self._pod)["docker-registry"]
        return container

    def _referred(self, reference: Mapping[str, Any]) -> str | None:
        data = self._data("Secret", reference["name"], missing_is_fine="optional" in reference)
        if reference.get("optional"):
            return data.get(reference["key"])
        return data[reference["key"]]

    def _data(self, kind: str, name: str, *, missing_is_fine: bool = False) -> Mapping[str, str]:
        for each in self.objects:
            if each["kind"] == kind and each["metadata"]["name"] == name:
                data: dict[str, str] = each.get("data") or {}
                if kind == "ConfigMap":
                    return data
                return {key: base64.b64decode(text).decode() for key, text in data.items()}
        if missing_is_fine:
            return self.others.get(name, {})
        return self.others[name]

    def _copy(self, path: str) -> Path:
        return self.folder / path.lstrip("/")

    def _moved(self, text: str) -> str:
        for mount in self._container["volumeMounts"]:
            place = mount["mountPath"].rstrip("/")
            text = text.replace(place, str(self._copy(place)))
        return text

    def _write_files(self) -> None:
        volumes = {volume["name"]: volume for volume in self._pod["spec"]["volumes"]}
        for mount in self._container["volumeMounts"]:
            folder = self._copy(mount["mountPath"])
            folder.mkdir(parents=True, exist_ok=True)
            volume = volumes.get(mount["name"], {})  # a claim of a StatefulSet is not among them
            for source in volume.get("projected", {}).get("sources", [volume]):
                for name, text in self._files(source).items():
                    (folder / name).write_text(text, "utf-8")

    def _files(self, source: Mapping[str, Any]) -> Mapping[str, str]:
        if "configMap" in source:
            part, data = source["configMap"], self._data("ConfigMap", source["configMap"]["name"])
        elif "secret" in source:
            part = source["secret"]
            data = self._data("Secret", part.get("secretName") or part["name"])
        else:
            return {}
        items = part.get("items") or [{"key": key, "path": key} for key in data]
        return {item["path"]: data[item["key"]] for item in items}
