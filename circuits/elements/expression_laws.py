"""Laws stated by an expression: of any voltages and currents, or of the voltage across alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..units import Array
from .base import TIME, current_of
from .expressions import (
    Constant,
    Current,
    Expression,
    Program,
    SpecialVariable,
    Variable,
    Voltage,
    renamed,
)
from .laws import Law, Term, TwoTerminalLaw, namespace


@dataclass(frozen=True)
class ExpressionLaw(Law):
    """The value of a program of voltages and currents.

    `variables`: for each variable of the program the number of the control that it is, or of the
    two whose difference it is. `constants`: those of the program.
    """

    program: Program
    variables: tuple[tuple[int, ...], ...]
    constants: tuple[Array, ...]

    def evaluate(self, *values):
        inputs = [
            values[k[0]] - values[k[1]] if len(k) == 2 else values[k[0]] for k in self.variables
        ]
        value, slopes = self.program.run(self.constants, inputs)
        by_control: list[Array] = [0.0] * len(values)
        for variable, slope in slopes.items():
            for control, sign in zip(self.variables[variable], (1.0, -1.0), strict=False):
                by_control[control] = by_control[control] + sign * slope
        return value, by_control

    def parameters(self):
        return self.constants

    def with_parameters(self, parameters):
        return ExpressionLaw(self.program, self.variables, tuple(parameters))

    def kind(self):
        return ExpressionLaw, self.program, self.variables


@dataclass(frozen=True)
class ExpressionAcross(TwoTerminalLaw):
    """A current that is an expression of the voltage across its element alone.

    `signs`: for each variable of the program 1 where it is v(plus) − v(minus), −1 where it is the
    other way round.
    """

    program: Program
    signs: tuple[float, ...]
    constants: tuple[Array, ...]

    @classmethod
    def of(cls, expression: Expression, plus: str, minus: str) -> "ExpressionAcross | None":
        """Return the law of a current from `plus` to `minus`, None where it takes other values."""
        program, constants, variables = Program.of(expression)
        signs = {Voltage(plus, minus): 1.0, Voltage(minus, plus): -1.0}
        if not variables or not all(variable in signs for variable in variables):
            return None
        return cls(program, tuple(signs[v] for v in variables), constants)  # pyright: ignore

    def current(self, v):
        return self._run(v)[0] + 0.0 * v

    def conductance(self, v):
        slopes = self._run(v)[1]
        return sum((self.signs[k] * slope for k, slope in slopes.items()), 0.0 * v)

    def cocontent(self, v):
        """Integrate by Gauss and Legendre's rule with 48 points.

        It is exact where i is as good as a polynomial.
        """
        points, weights = np.polynomial.legendre.leggauss(48)
        xp = namespace(v)
        places, weights = (xp.asarray(part.astype(v.dtype)) for part in ((1 + points) / 2, weights))
        spread = self.with_parameters([_on_last_axis(xp, c) for c in self.constants])
        return v / 2 * (spread.current(v[..., None] * places) @ weights)

    def parameters(self):
        return self.constants

    def with_parameters(self, parameters):
        return ExpressionAcross(self.program, self.signs, tuple(parameters))

    def kind(self):
        return ExpressionAcross, self.program, self.signs

    def _run(self, v: Array) -> tuple[Array, dict[int, Array]]:
        """Return the current at v, and its slopes by the variables of the program."""
        return self.program.run(self.constants, [sign * v for sign in self.signs])


def _on_last_axis(xp, constant: Array) -> Array:
    """Return a parameter that broadcasts over one more axis behind that of the elements."""
    return xp.asarray(constant)[..., None] if np.ndim(constant) else constant


def at_temperature(expression: Expression, kelvin: float) -> Expression:
    """Return an expression with a temperature in K in the place of its `temper`."""

    def value(variable: Variable) -> Expression:
        return Constant(kelvin - 273.15) if variable == SpecialVariable("temper") else variable

    return renamed(expression, value)


def current_term(expression: Expression, plus: str, minus: str) -> Term:
    """Return the term of a current in A from `plus` to `minus` that an expression tells.

    Where the expression takes the voltage across it alone, it has a co-content and so an energy.
    """
    law = ExpressionAcross.of(expression, plus, minus)
    if law is not None:
        return Term.between(law, plus, minus)
    return term_of(expression, ((plus, 1.0), (minus, -1.0)))


def term_of(expression: Expression, rows: Sequence[tuple[str, float]]) -> Term:
    """Return the term whose value an expression is, and which enters `rows`."""
    program, constants, variables = Program.of(expression)
    controls: dict[str, int] = {}
    numbers = [
        tuple(controls.setdefault(name, len(controls)) for name in _names(variable))
        for variable in variables
    ]
    return Term(ExpressionLaw(program, tuple(numbers), constants), tuple(controls), tuple(rows))


def _names(variable: Variable) -> tuple[str, ...]:
    """Return the places of which a variable is the value, or the difference."""
    if isinstance(variable, SpecialVariable):
        return (TIME,)
    if isinstance(variable, Current):
        return (current_of(variable.source),)
    return variable.plus, variable.minus
