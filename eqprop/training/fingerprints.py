"""Fingerprints: what an object is, as text that another process finds again, down to the code of functions."""

import dataclasses
import functools
import hashlib
import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import equinox as eqx
import jax
import numpy as np

from .checkpoints import is_key

_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(...), np.dtype)
_FEW = 8  # numbers up to which an array is told in full


def fingerprint(value: Any, name: str = "", above: tuple[int, ...] = ()) -> dict[str, str]:
    """What determines `value`, by path: `{"net.conductances.0": "float64(16, 8) 5f2c…", "net.unit": "1e-05", …}`.

    Arrays count by dtype, shape and bytes; functions by their code, defaults, closure, and the functions and plain values of their own
    module that they name; objects by class, code of its methods, and fields. Two processes that run the same code find the same.
    """
    if id(value) in above:  # a function that names itself
        return {name: "what contains it"}
    text, children = _look(value)
    found = {name: text}
    for key, child in children:
        found |= fingerprint(child, f"{name}.{key}" if name else key, (*above, id(value)))
    return found


def differences(now: Mapping[str, str], then: Mapping[str, str]) -> list[str]:
    """Where two fingerprints differ, in words; a path is left out where one that it lies in already differs."""
    found: dict[str, str] = {}
    for name in sorted({*now, *then}):
        parts = name.split(".")
        if now.get(name) != then.get(name) and not any(
            ".".join(parts[:n]) in found for n in range(1, len(parts))
        ):
            found[name] = (
                f"`{name}` is {now.get(name, 'missing')}, and was {then.get(name, 'missing')}"
            )
    return list(found.values())


def _look(value: Any) -> tuple[str, list[tuple[str, Any]]]:
    """What `value` is by itself, and its parts by name."""
    for types_, tell in _TOLD:
        if isinstance(value, types_):
            return tell(value)
    kind = _name(type(value))
    if dataclasses.is_dataclass(value):
        fields = [field.name for field in dataclasses.fields(value)]
        return f"{kind} {_methods(type(value))}", [
            (field, getattr(value, field)) for field in fields if hasattr(value, field)
        ]
    if hasattr(value, "__wrapped__"):  # by jit, a custom derivative, a cache
        return kind, [("wrapped", value.__wrapped__)]
    return f"{kind} {_methods(type(value))}", list(getattr(value, "__dict__", {}).items())


def _array(value: Any) -> tuple[str, list[tuple[str, Any]]]:
    kind = f"{value.dtype}{value.shape}"
    plain = np.asarray(jax.random.key_data(value) if is_key(value) else value)
    if plain.size <= _FEW:
        return f"{kind} {plain.tolist()}", []
    return f"{kind} {_short(np.ascontiguousarray(plain).reshape(-1).view(np.uint8))}", []


def _function(value: types.FunctionType) -> tuple[str, list[tuple[str, Any]]]:
    code = value.__code__
    cells = zip(code.co_freevars, value.__closure__ or (), strict=True)
    parts = [(name, cell.cell_contents) for name, cell in cells if cell != types.CellType()]
    parts += [
        (name, value.__globals__[name])
        for name in sorted(set(_names(code)))
        if _is_own(value.__globals__.get(name), value)
    ]
    defaults = [value.__defaults__, value.__kwdefaults__]
    return f"{value.__module__}.{value.__qualname__} {_short(_bytes(code))}", [
        *parts,
        *([("defaults", defaults)] if any(defaults) else []),
    ]


def _is_own(part: Any, function: types.FunctionType) -> bool:
    """Whether a global that a function names belongs to its module: a function of it, or a value."""
    if isinstance(part, types.FunctionType):
        return part.__module__ == function.__module__
    return part is not None and (isinstance(part, (*_PLAIN, np.generic)) or eqx.is_array(part))


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for part in code.co_consts:
        if isinstance(part, types.CodeType):
            yield from _names(part)


def _bytes(code: types.CodeType) -> bytes:
    """What the code does, without where it stands."""
    consts = b"".join(
        _bytes(part) if isinstance(part, types.CodeType) else _constant(part)
        for part in code.co_consts
    )
    return (
        code.co_code + repr((code.co_names, code.co_varnames, code.co_freevars)).encode() + consts
    )


def _constant(part: Any) -> bytes:
    return repr(sorted(map(repr, part)) if isinstance(part, frozenset) else part).encode()


def _methods(kind: type) -> str:
    """A digest of the code of the methods that a class itself defines."""
    members = [
        (name, getattr(member, "method", member)) for name, member in sorted(vars(kind).items())
    ]
    found = [
        _bytes(member.__code__)
        for name, member in members
        if isinstance(member, types.FunctionType)
        and (name == "__call__" or not name.startswith("__"))
    ]
    return _short(b"".join(found))


def _sequence(value: Any) -> tuple[str, list[tuple[str, Any]]]:
    names = getattr(value, "_fields", range(len(value)))
    return _name(type(value)), [(str(key), part) for key, part in zip(names, value, strict=True)]


def _name(value: Any) -> str:
    return f"{getattr(value, '__module__', None)}.{getattr(value, '__qualname__', value.__name__)}"


def _short(data: Any) -> str:
    return hashlib.sha256(data).hexdigest()[:16]


_TOLD: tuple[tuple[Any, Callable[[Any], tuple[str, list[tuple[str, Any]]]]], ...] = (
    (_PLAIN, lambda value: (repr(value), [])),
    (np.generic, lambda value: (repr(value.item()), [])),
    ((jax.Array, np.ndarray), _array),
    (
        (type, types.ModuleType, types.BuiltinFunctionType, np.ufunc),
        lambda value: (_name(value), []),
    ),
    (types.FunctionType, _function),
    (
        types.MethodType,
        lambda value: ("method", [("function", value.__func__), ("self", value.__self__)]),
    ),
    (
        functools.partial,
        lambda value: (
            "partial",
            [("function", value.func), ("arguments", value.args), ("keywords", value.keywords)],
        ),
    ),
    (
        Mapping,
        lambda value: (_name(type(value)), [(str(key), part) for key, part in value.items()]),
    ),
    ((set, frozenset), lambda value: (f"set {sorted(map(repr, value))}", [])),
    ((tuple, list), _sequence),
)
