"""Fingerprints: what an object is, as text that is the same in another process."""

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

Description = tuple[str, list[tuple[str, Any]]]
"""What an object is by itself, and its parts by name."""

_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(...), np.dtype)
_FEW = 8
"""The number of elements up to which the text of an array lists them."""


def fingerprint(value: Any, name: str = "", above: tuple[int, ...] = ()) -> dict[str, str]:
    """Return what determines `value`, by path, as text.

    For example `{"net.conductances.0": "float64(16, 8) 5f2c…", "net.unit": "1e-05", …}`. Arrays
    count by dtype, shape and bytes; functions by their code, defaults, closure, and the functions
    and plain values of their own module that they name; objects by class, code of its methods, and
    fields. Two processes that run the same code return the same.

    **Arguments:**

    - `value`: any object.
    - `name`: the path of `value`.
    - `above`: the `id` of each object that contains it.
    """
    if id(value) in above:  # a function that names itself
        return {name: "what contains it"}
    text, parts = _describe(value)
    lines = {name: text}
    for key, part in parts:
        lines |= fingerprint(part, f"{name}.{key}" if name else key, (*above, id(value)))
    return lines


def differences(now: Mapping[str, str], then: Mapping[str, str]) -> list[str]:
    """Return where two fingerprints differ, in words.

    A path is left out where one that contains it already differs.

    **Arguments:**

    - `now`, `then`: the two, as `fingerprint` returns them.
    """
    sentences: dict[str, str] = {}
    for name in sorted({*now, *then}):
        parts = name.split(".")
        known = any(".".join(parts[:n]) in sentences for n in range(1, len(parts)))
        if now.get(name) != then.get(name) and not known:
            sentences[name] = (
                f"`{name}` is {now.get(name, 'missing')}, and was {then.get(name, 'missing')}"
            )
    return list(sentences.values())


def _describe(value: Any) -> Description:
    """Return what `value` is by itself, and its parts by name."""
    for kinds, describe in _DESCRIBERS:
        if isinstance(value, kinds):
            return describe(value)
    kind = _name(type(value))
    if dataclasses.is_dataclass(value):
        fields = [field.name for field in dataclasses.fields(value)]
        return f"{kind} {_methods(type(value))}", [
            (field, getattr(value, field)) for field in fields if hasattr(value, field)
        ]
    if hasattr(value, "__wrapped__"):  # by jit, a custom derivative, a cache
        return kind, [("wrapped", value.__wrapped__)]
    return f"{kind} {_methods(type(value))}", list(getattr(value, "__dict__", {}).items())


def _array(value: Any) -> Description:
    """Describe an array: by its elements where they are few, else by their digest."""
    kind = f"{value.dtype}{value.shape}"
    plain = np.asarray(jax.random.key_data(value) if is_key(value) else value)
    if plain.size <= _FEW:
        return f"{kind} {plain.tolist()}", []
    return f"{kind} {_digest(np.ascontiguousarray(plain).reshape(-1).view(np.uint8))}", []


def _function(value: types.FunctionType) -> Description:
    """Describe a function: its code, and as parts its closure, globals and defaults."""
    code = value.__code__
    cells = zip(code.co_freevars, value.__closure__ or (), strict=True)
    parts = [(name, cell.cell_contents) for name, cell in cells if cell != types.CellType()]
    parts += [
        (name, value.__globals__[name])
        for name in sorted(set(_names(code)))
        if _is_of_module(value.__globals__.get(name), value)
    ]
    defaults = [value.__defaults__, value.__kwdefaults__]
    if any(defaults):
        parts.append(("defaults", defaults))
    return f"{value.__module__}.{value.__qualname__} {_digest(_bytes(code))}", parts


def _is_of_module(part: Any, function: types.FunctionType) -> bool:
    """Return whether a global belongs to a function's module: a function of it, or a value."""
    if isinstance(part, types.FunctionType):
        return part.__module__ == function.__module__
    return part is not None and (isinstance(part, (*_PLAIN, np.generic)) or eqx.is_array(part))


def _names(code: types.CodeType) -> Iterator[str]:
    """Yield the names that code, and the code inside it, looks up."""
    yield from code.co_names
    for part in code.co_consts:
        if isinstance(part, types.CodeType):
            yield from _names(part)


def _bytes(code: types.CodeType) -> bytes:
    """Return what code does, without where it stands."""
    consts = b"".join(
        _bytes(part) if isinstance(part, types.CodeType) else _constant(part)
        for part in code.co_consts
    )
    return (
        code.co_code + repr((code.co_names, code.co_varnames, code.co_freevars)).encode() + consts
    )


def _constant(part: Any) -> bytes:
    """Return a constant of code as text that does not depend on the order of a set."""
    return repr(sorted(map(repr, part)) if isinstance(part, frozenset) else part).encode()


def _methods(kind: type) -> str:
    """Return a digest of the code of the methods that a class itself defines."""
    members = [
        (name, getattr(member, "method", member)) for name, member in sorted(vars(kind).items())
    ]
    codes = [
        _bytes(member.__code__)
        for name, member in members
        if isinstance(member, types.FunctionType)
        and (name == "__call__" or not name.startswith("__"))
    ]
    return _digest(b"".join(codes))


def _sequence(value: Any) -> Description:
    """Describe a tuple or list: its class, and its elements by field or index."""
    names = getattr(value, "_fields", range(len(value)))
    return _name(type(value)), [(str(key), part) for key, part in zip(names, value, strict=True)]


def _name(value: Any) -> str:
    """Return the module and name of a class, module or function."""
    return f"{getattr(value, '__module__', None)}.{getattr(value, '__qualname__', value.__name__)}"


def _digest(data: Any) -> str:
    """Return 16 hexadecimal digits of the SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()[:16]


_DESCRIBERS: tuple[tuple[Any, Callable[[Any], Description]], ...] = (
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
