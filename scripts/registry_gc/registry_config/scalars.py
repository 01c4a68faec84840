"""Single values as Go reads and prints them: yaml.v2's scalars, durations, `fmt.Sprint`.

Source: gopkg.in/yaml.v2 v2.4.0, resolve.go; Go's strconv, time.ParseDuration and fmt.
"""

import math
import re
from collections.abc import Mapping
from decimal import Decimal

_WORDS: Mapping[str, object] = {
    **dict.fromkeys(
        ("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True
    ),
    **dict.fromkeys(
        ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False
    ),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_DOT_FLOAT = re.compile(r"\.[0-9]+([eE][-+]?[0-9]+)?")
_INT = re.compile(r"[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|0|[1-9][0-9]*)")
_BASES = {"0x": 16, "0b": 2, "0o": 8}
_MOST = {"-": 2**63, "": 2**64 - 1}  # beyond int64 and uint64 Go's parser gives up


def resolve(text: str) -> object:
    """Return what an unquoted scalar without a tag means: bool, None, int, float or the text.

    A timestamp stays text, as it does wherever the registry's types could meet one.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] == "." and _DOT_FLOAT.fullmatch(text):
        return _float(text)
    if text[0] not in "+-0123456789":
        return text
    plain = text.replace("_", "")
    if (number := _integer(plain)) is not None:
        return number
    if _FLOAT.fullmatch(plain) and not math.isinf(value := float(plain)):
        return value
    return text


def _float(text: str) -> object:
    return text if math.isinf(value := float(text)) else value


def _integer(text: str) -> int | None:
    """Return Go's `strconv.ParseInt(text, 0, 64)`, else ParseUint, else None."""
    if not _INT.fullmatch(text):
        return None
    sign, digits = ("-", text[1:]) if text[0] == "-" else ("", text.lstrip("+"))
    base = _BASES.get(digits[:2].lower())
    value = int(digits[2:], base) if base else int(digits, 8 if digits[0] == "0" else 10)
    # ParseUint knows no sign at all, so +9223372036854775808 is too much for both.
    most = 2**63 - 1 if text[0] == "+" else _MOST[sign]
    if value > most:
        return None
    return -value if sign else value


def whole(value: object) -> int | None:
    """Return the int64 that Go makes of a number, or None."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if math.isnan(value) or value > 2**63 - 1:
        return None
    # Too small a float becomes the least int64 on the machines that registries run on.
    return int(max(value, -(2**63))) if isinstance(value, float) or value >= -(2**63) else None


_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9}
_UNITS |= {"m": 60 * 10**9, "h": 3600 * 10**9}
_DURATION_PART = re.compile(r"([0-9]*)(?:\.([0-9]*))?(ns|us|µs|μs|ms|s|m|h)")


def duration(text: str) -> int | None:
    """Return the nanoseconds of Go's `time.ParseDuration`, or None for what it refuses."""
    sign, rest = (-1 if text.startswith("-") else 1), text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return 0
    total, position = 0, 0
    while position < len(rest):
        match = _DURATION_PART.match(rest, position)
        if not match or not (match[1] or match[2]):
            return None
        unit = _UNITS[match[3]]
        fraction = match[2] or ""
        total += int(match[1] or 0) * unit
        total += int(fraction or 0) * unit // 10 ** len(fraction)
        position = match.end()
    if not rest or total > 2**63 - (sign > 0):
        return None
    return sign * total


def sprint(value: object) -> str:
    """Return Go's `fmt.Sprint`: how a driver turns a parameter of any type into text."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "true" if value else "false"
        case float():
            return _sprint_float(value)
        case dict():
            parts = sorted(f"{sprint(key)}:{sprint(item)}" for key, item in value.items())
            return f"map[{' '.join(parts)}]"
        case list():
            return f"[{' '.join(sprint(item) for item in value)}]"
        case _:
            return str(value)


def _sprint_float(value: float) -> str:
    """Return `%v` of a float64: the shortest digits, an exponent from 1e+06 and below 1e-04."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else f"{'+' if value > 0 else '-'}Inf"
    exact = Decimal(repr(value))
    if exact == 0 or -4 <= exact.adjusted() < 6:
        return format(exact, "f").removesuffix(".0")
    sign, digits, _ = exact.normalize().as_tuple()
    first, rest = str(digits[0]), "".join(str(digit) for digit in digits[1:])
    mantissa = f"{'-' if sign else ''}{first}{'.' if rest else ''}{rest}"
    return f"{mantissa}e{exact.adjusted():+03d}"
