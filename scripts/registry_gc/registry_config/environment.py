"""`REGISTRY_*` over the YAML, with the registry's own rules and its surprises.

Source: distribution v3.1.1, configuration/parser.go, overwriteFields.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from registry_gc.registry_config.go_types import (
    ANY,
    AnyMap,
    Basic,
    Map,
    Pointer,
    Slice,
    StringMap,
    Struct,
    Type,
)
from registry_gc.registry_config.yaml_v2 import DecodeError, decode, parse

PREFIX = "REGISTRY_"


class VariableError(Exception):
    """The registry does not start with this variable."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: {problem}")
        self.name = name
        self.problem = problem


class _PanicError(Exception):
    """The registry's parser itself would crash here."""


def overwrite(
    configuration: dict[str, object], type_: Struct, environment: Mapping[str, str]
) -> tuple[dict[str, object], list[str]]:
    """Return the configuration with the variables in it, and a note for each without effect.

    Raises VariableError.
    """
    notes: list[str] = []
    # By name, in bytes: REGISTRY_STORAGE comes before what stands below it.
    for name in sorted((n for n in environment if n.startswith(PREFIX)), key=_bytes):
        variable = _Variable(name, environment[name])
        try:
            result = variable.overwrite(type_, configuration, name.split("_")[1:], settable=True)
        except DecodeError as error:
            raise VariableError(name, str(error)) from error
        except _PanicError as error:
            raise VariableError(name, f"the registry crashes on it ({error})") from error
        assert isinstance(result, dict)  # noqa: S101 - a struct stays one
        configuration = result
        notes += variable.notes
    return configuration, notes


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def service_of(name: str, value: str) -> str | None:
    """Return the Service whose link this variable is, as `{NAME}_PORT=tcp://…`, or None."""
    if name.endswith("_PORT") and re.match(r"(tcp|udp|sctp)://", value):
        return name.removesuffix("_PORT").lower().replace("_", "-")
    return None


@dataclass(slots=True)
class _Variable:
    """One variable on its way down; `settable` is what Go's reflection calls so."""

    name: str
    value: str
    notes: list[str] = field(default_factory=list)

    def overwrite(self, type_: Type, current: object, path: list[str], *, settable: bool) -> object:
        """Return the new value of what `current` is."""
        match type_:
            case Pointer():
                return self.overwrite(type_.target, current, path, settable=settable)
            case Struct():
                return self._struct(type_, current, path)
            case Map():
                map_ = current if isinstance(current, StringMap) else StringMap()
                return self._map(type_, map_, path)
            case Slice():
                list_ = current if isinstance(current, list) else []
                return self._slice(type_, list_, path, settable=settable)
            case Basic.ANY:
                return self._any(current, path)
            case _ if not path:
                self._ignore("the registry sets no single text or number of a list")
                return current
            case _:
                self._ignore("it names a part of something that has none")
                return current

    def _any(self, current: object, path: list[str]) -> object:
        match current:
            case None:
                return self._map(Map(ANY), StringMap(), path)
            case StringMap():
                return self._map(Map(ANY), current, path)
            case AnyMap():
                self._ignore("the registry does not look into a map below a driver or an option")
            case list():
                return self._slice(Slice(ANY), current, path, settable=False)
            case _:
                self._ignore("it names a part of something that has none")
        return current

    def _struct(self, type_: Struct, current: object, path: list[str]) -> dict[str, object]:
        values: dict[str, object] = dict(current) if isinstance(current, dict) else {}
        if not path:
            raise _PanicError("it ends in an index")
        for name, each in type_.fields.items():
            if each.inline and isinstance(each.type, Struct):
                inner = {inner_name.upper() for inner_name in each.type.fields}
                if path[0].upper() in inner:
                    values[name] = self._struct(each.type, values.get(name), path)
                    return values
        found = next((n for n in type_.fields if n.upper() == path[0]), None)
        if found is None:
            self._ignore("the registry knows no such name")
            return values
        field_type = type_.fields[found].type
        if len(path) == 1:
            values[found] = self._decoded(field_type, None)
        else:
            values[found] = self.overwrite(field_type, values.get(found), path[1:], settable=True)
        return values

    def _map(self, type_: Map, map_: StringMap, path: list[str]) -> StringMap:
        if not path:
            raise _PanicError("it ends in an index")
        if len(path) > 1:
            for key, value in map_.items():
                if key.upper() != path[0]:
                    continue
                if value is None and not isinstance(type_.element, Slice | Struct):
                    break
                map_[key] = self.overwrite(type_.element, value, path[1:], settable=False)
                return map_
            new = self.overwrite(type_.element, None, path[1:], settable=True)
        else:
            empty = StringMap() if isinstance(type_.element, Map) else None
            new = self._decoded(type_.element, empty)
            if new is None and empty is not None:
                new = empty
        map_[path[0].lower()] = new
        return map_

    def _slice(
        self, type_: Slice, list_: list[object], path: list[str], *, settable: bool
    ) -> list[object]:
        """Set an entry of a list, which registry 3 alone can do."""
        try:
            return self._entry(type_, list_, path, settable=settable)
        except (DecodeError, _PanicError) as error:
            self.notes.append(f"registry 3 does not start: {self.name}: {error} (2.8 ignores it)")
            return list_

    def _entry(
        self, type_: Slice, list_: list[object], path: list[str], *, settable: bool
    ) -> list[object]:
        if not path:
            raise _PanicError("it ends in an index")
        index = _index(path[0])
        if index is None or index > len(list_):
            raise DecodeError(f"{path[0]} is not the number of an entry or of the next one")
        if index == len(list_):
            if not settable:
                raise _PanicError("a list there cannot grow")
            list_ = [*list_, None]
        changed = list(list_)
        changed[index] = self.overwrite(type_.element, list_[index], path[1:], settable=True)
        return changed

    def _decoded(self, type_: Type, current: object) -> object:
        return decode(parse(self.value), type_, current)

    def _ignore(self, why: str) -> None:
        self.notes.append(f"{self.name} has no effect: {why}")


def _index(text: str) -> int | None:
    """Return Go's `strconv.Atoi`, as far as an index can be one."""
    return int(text) if re.fullmatch(r"\+?[0-9]+", text) else None
