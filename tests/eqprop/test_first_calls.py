"""What a first call compiles, and which programs are compiled quickly."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.networks import examples, network

import eqprop as ep
from eqprop.data import Data, Split
from eqprop.settling import compilation, default, descent
from eqprop.settling.default import DefaultMethod
from eqprop.settling.structure import Dependence, dependences

COST = ep.SquaredError()
COMPILED = "/jax/core/compile/backend_compile_duration"


@pytest.fixture
def compiled():
    """The names of the programs that are compiled from here on, nothing being compiled yet."""
    jax.clear_caches()
    names = []

    def listen(event, duration, **details):
        del duration
        if event == COMPILED:
            names.append(details.get("fun_name"))

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield names
    jax.monitoring.unregister_event_duration_listener(listen)


def test_a_first_estimate_compiles_its_program_and_that_of_the_nudge_bound(compiled):
    net, (xs, ys) = network(), examples()
    compiled.clear()
    ep.EqProp.centred(1e-3)(net, COST, xs, ys)
    copies = [name for name in compiled if name in ("jit(stage)", "jit(convert_element_type)")]
    assert len(compiled) - len(copies) == 2
    assert len(copies) <= 8  # arrays of NumPy's that become JAX's, some ms each
    compiled.clear()
    ep.EqProp.centred(2e-3)(net, COST, xs + 0.01, ys)
    assert compiled == []


def test_a_first_relaxation_compiles_one_program(compiled):
    net, (xs, _) = network(), examples()
    compiled.clear()
    ep.relax(net, xs[0])
    assert len([name for name in compiled if name != "jit(stage)"]) == 1


@pytest.mark.parametrize(
    ("size", "often", "flags", "level"),
    [
        (8, False, "", 0),
        (8, True, "", 1),
        (2000, False, "", 1),
        (200_000, False, "", None),
        (8, False, "--xla_backend_optimization_level=3", None),
    ],
)
def test_programs_are_compiled_sooner_the_smaller_they_are_unless_part_of_another(
    monkeypatch, size, often, flags, level
):
    compile_options = []

    class Jitted:
        lower = None

        def __init__(self, function, compiler_options=None):
            self.options = compiler_options

        def __call__(self, *args):
            compile_options.append(self.options)

    monkeypatch.setenv("XLA_FLAGS", flags)
    monkeypatch.setattr(compilation.eqx, "filter_jit", Jitted)
    function = compilation.jit_by_size(jnp.sum, often=often)
    function(jnp.ones(size))
    jax.vmap(lambda x: function(x) or x)(jnp.ones((2, size)))
    first, within = (
        options and options["xla_backend_optimization_level"] for options in compile_options
    )
    assert (first, within) == (level, None)


def test_quick_compilation_gives_the_same_numbers():
    net, (xs, ys) = network(), tuple(map(jnp.asarray, examples()))
    estimator = ep.EqProp.centred(1e-3)
    quick = estimator(net, COST, xs, ys).grad
    fast = jax.jit(lambda: estimator.estimate(net, COST, xs, ys).grad)()
    assert ep.relative_error(quick, fast) < 1e-10


@pytest.mark.parametrize("stiffness", [1.0, 300.0])
def test_newtons_steps_are_compiled_only_where_sweeps_do_not_settle(monkeypatch, stiffness):
    """The outputs of a stiff network are tied to its hidden nodes, and sweeps hardly contract."""
    traced = []

    def descend(*args):
        traced.append(args)
        return descent.descend(*args)

    monkeypatch.setattr(default, "descend", descend)
    jax.clear_caches()
    net, (xs, _) = network(), examples()
    net = eqx.tree_at(lambda n: n.conductances[1], net, replace_fn=lambda g: stiffness * g)
    assert bool(ep.relax(net, xs[0]).settled)
    assert bool(traced) == (stiffness > 1)


def test_what_sweeps_leave_unsettled_is_settled_in_training_and_evaluation_too():
    """The stiff network above, whose sweeps alone do not settle."""
    net, (xs, ys) = network(), examples()
    net = eqx.tree_at(lambda n: n.conductances[1], net, replace_fn=lambda g: 300.0 * g)
    split = Split(xs, ys)
    brief = DefaultMethod(briefly=True)
    with pytest.raises(ep.NotSettledError):  # the control
        ep.evaluate(net, COST, split, method=brief)
    assert np.isfinite(ep.evaluate(net, COST, split).loss)
    settings = {"rates": {"biases*": 1e-6}, "epochs": 1, "batch": len(xs), "key": jax.random.key(0)}
    fit = ep.fit(net, COST, Data(split, split, None), ep.EqProp.centred(1e-3), **settings)
    assert fit.history["unsettled"].tolist() == [0]


ONES = np.ones((3, 3))


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (lambda a, b: (jnp.tanh(a) * b + 1, b), [Dependence.ENTRY_BY_ENTRY, Dependence.NONE]),
        (lambda a, b: jnp.where(a > 0, a, b), [Dependence.ENTRY_BY_ENTRY]),
        (lambda a, b: jax.jit(jnp.maximum)(a, b).reshape(3), [Dependence.ENTRY_BY_ENTRY]),
        (lambda a, b: ONES @ a + b, [Dependence.ANY]),
        (lambda a, b: a[::-1] + b, [Dependence.ANY]),
        (lambda a, b: jnp.sum(a) * b, [Dependence.ANY]),
        (lambda a, b: jax.lax.cond(b[0] > 0, lambda: a, lambda: b), [Dependence.ANY]),
        (lambda a, b: jax.nn.relu(a) - b, [Dependence.ENTRY_BY_ENTRY]),
    ],
)
def test_a_program_tells_on_what_its_results_depend(function, expected):
    assert dependences(function, [jnp.ones(3), jnp.ones(3)], 0) == expected
