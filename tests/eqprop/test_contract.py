"""One contract for every model, method and estimator: exact gradient, fixed point, order of error.

`make test` runs every model with some methods and estimators, and some models with all;
`make test-full` all with all.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.tiers import IN_FULL

import eqprop as ep
from eqprop.accuracy.problems import ORDERS, problems
from eqprop.accuracy.verification import coupled_reference, has_order, order_of_error
from eqprop.settling.equilibrium import free_hessian

PROBLEMS = problems()
METHODS = {
    "newton": ep.Newton(tolerance=1e-12),
    "flow": ep.GradientFlow(tolerance=1e-11),
    "flow, then newton": ep.Chain(ep.GradientFlow(tolerance=1e-2), ep.Newton(tolerance=1e-12)),
}
SOME = list(PROBLEMS) if IN_FULL else ["resistive, ideal diodes", "Hopfield, tanh"]
FLOWING = SOME if IN_FULL else SOME[:1]
MODELS_OF_THEIR_OWN = {
    "Hopfield, convolutional",
    "oscillators",
    "Ising",
    "attention",
    "springs",
    "Hopfield, local",
}  # test_models asks the same of them
CENTRED = [name for name in PROBLEMS if IN_FULL or name not in MODELS_OF_THEIR_OWN]
each_problem = pytest.mark.parametrize("name", PROBLEMS)
some_problems = pytest.mark.parametrize("name", SOME)


def exact(problem):
    return ep.Implicit()(*problem.batch).grad


@each_problem
def test_the_free_state_is_a_minimum(name):
    problem = PROBLEMS[name]
    for x in problem.xs[:2]:
        free = ep.relax(problem.net, x)
        assert float(free.error) < 1e-9
        assert ep.stability(problem.net, x, free.state) == "minimum"


@some_problems
@pytest.mark.parametrize("method", METHODS)
def test_the_free_state_does_not_depend_on_the_method(name, method):
    problem = PROBLEMS[name]
    x = problem.xs[0]
    reference = ep.relax(problem.net, x).state
    state = ep.relax(problem.net, x, method=METHODS[method]).state
    for a, b in zip(jax.tree.leaves(state), jax.tree.leaves(reference), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-8)


@some_problems
def test_blocks_by_colour_settle_as_leaves_do(name):
    problem = PROBLEMS[name]
    x = problem.xs[0]
    method = ep.BlockNewton(tolerance=1e-11, sweeps=3000, blocks=ep.colour(problem.net, x))
    reference = ep.relax(problem.net, x).state
    for a, b in zip(
        jax.tree.leaves(ep.relax(problem.net, x, method=method).state),
        jax.tree.leaves(reference),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, atol=1e-8)


@some_problems
def test_the_exact_gradient_is_the_slope_of_the_settled_cost(name):
    """Central differences along random directions of the parameters."""
    problem = PROBLEMS[name]
    gradient, tight = exact(problem), ep.default_method()
    params, rest = jax.tree.flatten(problem.net)
    random = np.random.default_rng(0)
    learns = [g is not None for g in jax.tree.leaves(gradient, is_leaf=lambda leaf: leaf is None)]
    assert sum(learns) >= 2
    towards = [
        jnp.asarray(random.standard_normal(np.shape(p))) if hasattr(p, "shape") else 0
        for p in params
    ]

    def cost(step):
        moved = [
            p + step * t if hasattr(p, "shape") else p for p, t in zip(params, towards, strict=True)
        ]
        return float(ep.Implicit(tight)(jax.tree.unflatten(rest, moved), *problem.batch[1:]).loss)

    slope = (cost(1e-5) - cost(-1e-5)) / 2e-5
    along = sum(
        float(jnp.vdot(g, t))
        for g, t in zip(jax.tree.leaves(gradient), [t for t in towards if np.ndim(t)], strict=True)
    )
    np.testing.assert_allclose(along, slope, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize(
    ("name", "flows"), [(name, False) for name in CENTRED] + [(name, True) for name in FLOWING]
)
def test_centred_nudges_find_the_exact_gradient(name, flows):
    problem = PROBLEMS[name]
    chosen = ep.GradientFlow(tolerance=1e-9) if flows else None
    strength = 1e-3 * problem.strongest
    estimate = ep.EqProp.centred(strength, chosen)(*problem.batch)
    assert ep.relative_error(estimate.grad, exact(problem)) < 1e-5
    mirrored = 2 * jax.vmap(problem.net.outputs)(estimate.free.state) - problem.ys
    reverse = ep.EqProp.centred(strength, chosen)(
        problem.net, problem.cost, problem.xs, mirrored
    ).grad
    assert ep.cosine(estimate.grad, reverse) < 0.9  # the control: targets mirrored at the outputs


IN_BRIEF = [("Hopfield, tanh", kind) for kind in ORDERS] + [("a function: quartic", "centred")]


@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name in SOME for kind in ORDERS] if IN_FULL else IN_BRIEF
)
def test_errors_fall_at_the_order_of_the_formula(name, kind):
    problem, (make, order, suits) = PROBLEMS[name], ORDERS[kind]
    if not suits(problem):
        pytest.skip(f"{kind} does not suit {name}")
    reference = coupled_reference(*problem.batch) if "coupled" in kind else None
    strongest = problem.strongest if reference is None else 0.5
    assert has_order(
        order_of_error(make, *problem.batch, strongest=strongest, exact=reference)[0], order
    )


def test_an_estimator_of_another_order_fails():
    """The negative control: weights that are a little off have an error that does not fall."""
    problem = PROBLEMS["Hopfield, tanh"]

    def off(beta):
        estimator = ep.EqProp.centred(beta)
        return eqx.tree_at(
            lambda e: e.stencil.weights, estimator, 1.001 * estimator.stencil.weights
        )

    assert not has_order(order_of_error(off, *problem.batch, strongest=problem.strongest)[0], 2)


@some_problems
def test_unrolling_agrees_where_it_settles(name):
    problem = PROBLEMS[name]
    free = [(x, ep.relax(problem.net, x).state) for x in problem.xs]
    stiffest = max(
        float(jnp.linalg.eigvalsh(free_hessian(problem.net, x, s)[0])[-1]) for x, s in free
    )
    grad = ep.Unrolled(1500, step=1 / stiffest)(*problem.batch).grad
    assert ep.relative_error(grad, exact(problem)) < 1e-3
