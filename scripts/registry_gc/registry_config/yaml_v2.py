"""YAML as the registry reads it: yaml.v2's scalars and Go's types, which PyYAML's rules are not.

`y` and `off` are booleans, `0123` is octal, `1:30` is a string, `1e3` is a number, and a key inside
a driver's parameters makes a map that no variable can reach.
Source: gopkg.in/yaml.v2 v2.4.0, resolve.go and decode.go.
"""

import base64
import binascii
import re

import yaml

from registry_gc.registry_config.go_types import (
    STORAGE_OPTIONS,
    STRING,
    AnyMap,
    Basic,
    Field,
    Map,
    MapRule,
    Pointer,
    Slice,
    StringMap,
    Struct,
    Type,
)
from registry_gc.registry_config.scalars import duration, resolve, whole


class DecodeError(Exception):
    """The registry would refuse this YAML; the text says where and why, without the value."""


_NO_TYPE = Slice(STRING)  # takes no scalar but null
_TAG = "tag:yaml.org,2002:"
_PLAIN, _QUOTED = "plain", "quoted"  # no tag was written: plain style, or quotes or a block


class _Loader(yaml.CSafeLoader):  # libyaml, of which yaml.v2's parser is a translation
    def resolve(self, kind: type[yaml.Node], _text: str | None, implicit: object) -> str:
        """Leave the scalar's type to us, and keep whether it was quoted."""
        if kind is yaml.ScalarNode and isinstance(implicit, tuple):
            return _PLAIN if implicit[0] else _QUOTED
        return _TAG + ("map" if kind is yaml.MappingNode else "seq")


def parse(text: str) -> yaml.Node | None:
    """Return the first document's root, or None where there is none; later ones are not read.

    Raises DecodeError for what is not YAML.
    """
    try:
        loader = _Loader(text)
    except (yaml.YAMLError, UnicodeError) as error:
        raise DecodeError(f"it is not YAML: {_problem(error)}") from error
    try:
        if not loader.check_node():
            return None
        node = loader.get_node()
    except (yaml.YAMLError, UnicodeError) as error:
        raise DecodeError(f"it is not YAML: {_problem(error)}") from error
    finally:
        loader.dispose()
    return node if isinstance(node, yaml.Node) else None


def _problem(error: Exception) -> str:
    problem = getattr(error, "problem", None) or "a character that YAML does not allow"
    mark = getattr(error, "problem_mark", None)
    return f"line {mark.line + 1}: {problem}" if mark else str(problem)


def decode(node: yaml.Node | None, type_: Type, current: object = None) -> object:
    """Return the value that Go would hold after decoding `node` over `current`.

    Structs are dicts by Go name; None is a zero value, nil or null. Raises DecodeError.
    """
    return _Decoder().value(node, type_, current) if node is not None else current


def _where(node: yaml.Node) -> str:
    return f"line {node.start_mark.line + 1}" if node.start_mark else "here"


def _wrong(node: yaml.Node, wanted: str) -> DecodeError:
    kinds = {"MappingNode": "a map", "SequenceNode": "a list"}
    kind = kinds.get(type(node).__name__) or _kind_of(node)
    return DecodeError(f"{_where(node)}: {kind} stands where {wanted} belongs")


def _kind_of(node: yaml.Node) -> str:
    value = _scalar(node)[0]
    names = {bool: "a boolean", int: "a number", float: "a number", type(None): "nothing"}
    return names.get(type(value), "text")


def _scalar(node: yaml.Node) -> tuple[object, str]:
    """Return what a scalar resolves to, and its text (for !!binary the decoded bytes)."""
    tag, text = node.tag, str(node.value)
    if tag in (_QUOTED, _TAG + "str"):
        return text, text
    if tag == _PLAIN:
        return resolve(text), text
    if tag == _TAG + "binary":
        try:
            text = base64.b64decode(text, validate=True).decode("utf-8", "surrogateescape")
        except (binascii.Error, ValueError) as error:
            raise DecodeError(f"{_where(node)}: !!binary without valid base64") from error
        return text, text
    if tag not in {_TAG + name for name in ("bool", "int", "float", "null", "timestamp")}:
        return text, text
    value = resolve(text)
    expected = {"bool": bool, "int": int, "float": float, "null": type(None), "timestamp": str}
    wanted = expected[tag.removeprefix(_TAG)]
    if wanted is float and type(value) is int:
        return float(value), text
    if type(value) is not wanted:
        raise DecodeError(f"{_where(node)}: the tag is {tag.removeprefix(_TAG)}, the value is not")
    return value, text


def _is_null(node: yaml.Node) -> bool:
    """Return whether yaml.v2 takes a node for null before it looks at the wanted type."""
    if node.tag == _TAG + "null":
        return True
    if not isinstance(node, yaml.ScalarNode) or node.tag not in (_PLAIN, _QUOTED):
        return False
    return node.value in ("null", "~") or (node.value == "" and node.tag == _PLAIN)


class _Decoder:
    """decode.go's walk over nodes; `_depth` holds the aliases' targets that are being decoded."""

    def __init__(self) -> None:
        self._open: set[int] = set()

    def value(self, node: yaml.Node, type_: Type, current: object) -> object:
        if id(node) in self._open:
            raise DecodeError(f"{_where(node)}: an anchor contains itself")
        self._open.add(id(node))
        try:
            return self._value(node, type_, current)
        finally:
            self._open.discard(id(node))

    def _value(self, node: yaml.Node, type_: Type, current: object) -> object:
        if isinstance(type_, Pointer):
            if _is_null(node):
                # A quoted null is no null to the pointer itself, and Go has no way on from there.
                return self._scalar(node, _NO_TYPE)
            return self._value(node, type_.target, current)
        if not _is_null(node):
            if isinstance(type_, Map) and type_.rule is not MapRule.PLAIN:
                return self._checked_map(node, type_)
            if isinstance(type_, Basic) and type_ in _CHECKS:
                return _CHECKS[type_](node, str(self._scalar(node, STRING) or ""))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, type_, current)
        if isinstance(node, yaml.SequenceNode):
            return self._sequence(node, type_)
        return self._scalar(node, type_)

    def _checked_map(self, node: yaml.Node, type_: Map) -> StringMap:
        """Read `storage` or `auth`: a map, or else the name of its one kind."""
        try:
            found = self._value(node, Map(type_.element), None)
        except DecodeError:
            if not isinstance(node, yaml.ScalarNode):
                raise
            return StringMap({str(self._scalar(node, STRING)): StringMap()})
        parts = StringMap() if not isinstance(found, StringMap) else found
        options = STORAGE_OPTIONS if type_.rule is MapRule.STORAGE else frozenset()
        kinds = sorted(set(parts) - options)
        if len(kinds) > 1:
            what = "storage drivers" if type_.rule is MapRule.STORAGE else "kinds of auth"
            raise DecodeError(f"{_where(node)}: two {what} are named: {', '.join(kinds)}")
        return parts

    def _mapping(self, node: yaml.MappingNode, type_: Type, current: object) -> object:
        if isinstance(type_, Struct):
            return self._struct(node, type_, current)
        if isinstance(type_, Map):
            strings = current if isinstance(current, StringMap) else StringMap()
            self._fill(node, type_, strings)
            return strings
        if type_ is Basic.ANY:
            anything = AnyMap()
            self._fill(node, type_, anything)
            return anything
        raise _wrong(node, _name(type_))

    def _fill(self, node: yaml.MappingNode, type_: Type, into: StringMap | AnyMap) -> None:
        for key, child in node.value:
            if _is_merge(key):
                for merged in _merged(child):
                    self._fill(merged, type_, into)
            elif isinstance(into, StringMap):
                name = str(self._value(key, STRING, None) or "")
                element = type_.element if isinstance(type_, Map) else Basic.ANY
                into[name] = self.value(child, element, None)
            else:
                any_key = self._value(key, Basic.ANY, None)
                if isinstance(any_key, dict | list):
                    raise DecodeError(f"{_where(key)}: a map or a list cannot be a key")
                into[any_key] = self.value(child, Basic.ANY, None)

    def _struct(self, node: yaml.MappingNode, type_: Struct, current: object) -> dict[str, object]:
        values: dict[str, object] = dict(current) if isinstance(current, dict) else {}
        by_key = _by_key(type_)
        for key, child in node.value:
            if _is_merge(key):
                for merged in _merged(child):
                    values = self._struct(merged, type_, values)
                continue
            name = str(self._value(key, STRING, None) or "")
            if name not in by_key:
                continue
            path, field = by_key[name]
            holder = values
            for step in path[:-1]:
                inner = holder.setdefault(step, {})
                assert isinstance(inner, dict)  # noqa: S101 - an inline struct is a dict of ours
                holder = inner
            holder[path[-1]] = self.value(child, field.type, holder.get(path[-1]))
        return values

    def _sequence(self, node: yaml.SequenceNode, type_: Type) -> list[object]:
        if isinstance(type_, Slice):
            return [self.value(child, type_.element, None) for child in node.value]
        if type_ is Basic.ANY:
            return [self.value(child, Basic.ANY, None) for child in node.value]
        raise _wrong(node, _name(type_))

    def _scalar(self, node: yaml.Node, type_: Type) -> object:
        if not isinstance(node, yaml.ScalarNode):
            raise _wrong(node, _name(type_))
        value, text = _scalar(node)
        if value is None:
            return None
        match type_:
            case Basic.ANY:
                return value
            case Basic.BOOL if isinstance(value, bool):
                return value
            case Basic.INT | Basic.DURATION:
                number = whole(value)
                if number is None and type_ is Basic.DURATION and isinstance(value, str):
                    number = duration(value)
                if number is not None:
                    return number
            case Basic.BOOL:
                pass
            case Basic():  # STRING, and the checked kinds when they are handed a quoted null
                return text
        raise _wrong(node, _name(type_))


def _is_merge(key: yaml.Node) -> bool:
    return (
        isinstance(key, yaml.ScalarNode)
        and key.value == "<<"
        and key.tag in (_PLAIN, _TAG + "merge")
    )


def _merged(node: yaml.Node) -> list[yaml.MappingNode]:
    """Return the maps of a merge in the order in which yaml.v2 writes them: the first one last."""
    nodes = node.value[::-1] if isinstance(node, yaml.SequenceNode) else [node]
    if not all(isinstance(each, yaml.MappingNode) for each in nodes):
        raise DecodeError(f"{_where(node)}: `<<` needs a map or a list of maps")
    return list(nodes)


def _by_key(type_: Struct) -> dict[str, tuple[tuple[str, ...], Field]]:
    """Return a struct's fields by YAML key, with the way to each through inline structs."""
    found: dict[str, tuple[tuple[str, ...], Field]] = {}
    for name, field in type_.fields.items():
        if field.inline and isinstance(field.type, Struct):
            for key, (path, inner) in _by_key(field.type).items():
                found[key] = ((name, *path), inner)
        else:
            found[field.key] = ((name,), field)
    return found


def _name(type_: Type) -> str:
    match type_:
        case Struct() | Map():
            return "a map"
        case Slice():
            return "a list"
        case Pointer():
            return _name(type_.target)
        case Basic.BOOL:
            return "a boolean"
        case Basic.INT:
            return "a whole number"
        case Basic.DURATION:
            return "a duration like 30s"
        case _:
            return "text"


def _version(node: yaml.Node, text: str) -> str:
    major, _, minor = text.partition(".")
    if not (re.fullmatch("[0-9]+", major) and re.fullmatch("[0-9]+", minor)):
        raise DecodeError(f"{_where(node)}: the version is not like 0.1")
    return text


def _log_level(node: yaml.Node, text: str) -> str:
    if text.lower() not in ("error", "warn", "info", "debug"):
        raise DecodeError(f"{_where(node)}: the log level is not error, warn, info or debug")
    return text.lower()


def _platforms(node: yaml.Node, text: str) -> str:
    if text.lower() not in ("all", "none", "list"):
        raise DecodeError(f"{_where(node)}: platforms is not all, none or list")
    return text.lower()


def _client_auth(node: yaml.Node, text: str) -> str:
    if text not in (
        "request-client-cert",
        "require-any-client-cert",
        "verify-client-cert-if-given",
        "require-and-verify-client-cert",
    ):
        raise DecodeError(f"{_where(node)}: this is not one of the kinds of clientauth")
    return text


_CHECKS = {
    Basic.VERSION: _version,
    Basic.LOG_LEVEL: _log_level,
    Basic.PLATFORMS: _platforms,
    Basic.CLIENT_AUTH: _client_auth,
}
