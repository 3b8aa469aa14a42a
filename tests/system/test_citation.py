"""What is cited: entries that parse, one for everything published that the toolkit has, and all
that an object is made of.
"""

import inspect
import re
from pathlib import Path

import diffrax
import jax
import jax.numpy as jnp
import optax
import pytest

import circuits
import circuits.references
import eqprop as ep
import eqprop.references
from circuits.commands.devices import KINDS
from eqprop.citations import TOOLKIT, entries

ROOT = Path(__file__).parents[2]
NEEDED = {
    "article": {"title", "author", "journal", "year"},
    "inproceedings": {"title", "author", "booktitle", "year"},
    "phdthesis": {"title", "author", "school", "year"},
    "techreport": {"title", "author", "institution", "year"},
    "book": {"title", "author", "publisher", "year"},
    "misc": {"title", "author"},
}
OURS, THEIRS = entries(eqprop.references.BIBTEX), entries(circuits.references.BIBTEX)


def keys(text):
    return set(re.findall(r"^@\w+\{([^,]+),", text, re.MULTILINE)) - {TOOLKIT}


@pytest.mark.parametrize(
    "entry", [*OURS.values(), *THEIRS.values()], ids=lambda entry: entry.partition(",")[0]
)
def test_an_entry_is_bibtex(entry):
    kind = re.match(r"@(\w+)\{[a-z0-9_]+,\n", entry)[1]
    depth = 0
    for at, letter in enumerate(entry):
        depth += (letter == "{") - (letter == "}")
        assert depth > 0 or at < entry.index("{") or at == len(entry) - 1
    assert depth == 0
    fields = re.findall(r"^  (\w+) = \{", entry, re.MULTILINE)
    assert NEEDED[kind] <= set(fields)
    assert len(set(fields)) == len(fields)
    assert entry.isascii()
    for year in re.findall(r"year = \{(.*)\}", entry):
        assert 1900 < int(year) < 2030
    for doi in re.findall(r"doi = \{(.*)\}", entry):
        assert re.fullmatch(r"10\.\d{4,5}/\S+", doi)


def test_every_entry_is_there_once_and_used():
    used = {
        key
        for module in (eqprop.references, circuits.references)
        for keys in module.SOURCES.values()
        for key in keys
    }
    assert used | {TOOLKIT} == OURS.keys() | THEIRS.keys()
    assert not OURS.keys() & THEIRS.keys()
    titles = [
        re.search(r" title = \{(.*?)\},$", entry, re.DOTALL | re.MULTILINE)[1].lower().split()
        for entry in (OURS | THEIRS).values()
    ]
    assert len(set(map(tuple, titles))) == len(titles)
    for module, whole in ((eqprop.references, OURS), (circuits.references, THEIRS)):
        assert len(re.findall(r"^@", module.BIBTEX, re.MULTILINE)) == len(whole)


def everything():
    """All public estimators, models, devices, memristors and published devices."""
    yield from (
        kind
        for kind in (getattr(ep, name) for name in ep.__all__)
        if inspect.isclass(kind) and issubclass(kind, ep.Estimator)
    )
    yield from (kind for kind in vars(ep.models).values() if inspect.isclass(kind))
    yield circuits.SpiceEqProp
    yield from (kind for kinds in KINDS.values() for kind in kinds)
    memristors = (circuits.memristors.MemristorModel, circuits.memristors.Window)
    yield from (
        kind
        for kind in vars(circuits.memristors).values()
        if inspect.isclass(kind) and issubclass(kind, memristors)
    )
    yield from circuits.PRESETS.values()


def test_everything_published_says_what_it_rests_on():
    sources = eqprop.references.SOURCES | circuits.references.SOURCES
    published = list(everything())
    assert len(published) > 45
    missing = [
        thing
        for thing in published
        if f"{thing.__module__.partition('.')[0]}.{thing.__qualname__}" not in sources
    ]
    assert not missing, "neither has these an entry, nor is it said that they are the toolkit's own"


def test_names_are_of_things_that_are_there():
    """No class is renamed and forgotten: each name is met somewhere."""
    names = {
        f"{package}.{name}" for package in ("eqprop", "circuits") for name in _names(ROOT / package)
    }
    for module in (eqprop.references, circuits.references):
        ours = {
            name
            for name in (*module.SOURCES, *module.FURTHER)
            if name.startswith(("eqprop.", "circuits."))
        }
        assert ours <= names


def _names(folder):
    for path in folder.rglob("*.py"):
        kind = ""
        for indent, word, name in re.findall(
            r"^( *)(class|def) (\w+)", path.read_text(), re.MULTILINE
        ):
            kind = name if word == "class" and not indent else kind
            yield f"{kind}.{name}" if indent else name


def test_an_object_brings_what_it_is_made_of():
    net = ep.Resistive.init(jax.random.key(0), (2, 3, 2), device=circuits.SingleDiode(1e-9))
    assert keys(ep.citation(net)) == {"millar1951", "kendall2020", "scellier2024"}
    assert keys(ep.citation(circuits.emit(net))) == {"nagel1975"}
    assert keys(ep.citation(ep.EqProp.centred(0.1), ep.EqProp.centred)) == {
        "scellier2017",
        "laborieux2021",
    }
    assert keys(ep.citation(ep.EqProp.one_sided(0.1))) == {"scellier2017"}
    assert keys(ep.citation(ep.CoupledLearning.contrastive())) == {"stern2021", "movellan1991"}
    flow = ep.EqProp.one_sided(0.1, ep.GradientFlow(solver=diffrax.Tsit5()))
    assert keys(ep.citation(flow)) == {"scellier2017", "kidger2021", "tsitouras2011"}
    assert keys(ep.citation(optax.adam(1e-3))) == {"deepmind2020", "kingma2015"}
    assert keys(ep.citation(ep.data.digits, ep.data.two_moons)) == {"alpaydin1998", "pedregosa2011"}
    convolution = ep.models.Convolution(jnp.ones((1, 1, 2, 2)), pooling=ep.models.MaxPooling(2))
    assert keys(ep.citation(convolution)) == {"ernoult2019", "laborieux2021"}
    window = circuits.memristors.IonDrift(window=circuits.memristors.Biolek())
    assert keys(ep.citation(window)) == {"strukov2008", "biolek2009"}
    preset = circuits.PRESETS["pcm-nandakumar2019@1"]
    assert (
        keys(ep.citation(preset))
        == keys(ep.citation(preset()))
        == {"nandakumar2018", "nandakumar2019"}
    )
    relaxer = circuits.SpiceEqProp.centred(0.1)
    assert keys(ep.citation(relaxer)) == {"scellier2017", "laborieux2021", "ngspice"}
    variation = circuits.Programming(0.1) + circuits.ThresholdMismatch(3e-9)
    assert keys(ep.citation(variation)) == {"pelgrom1989"}


def test_an_energy_of_ones_own_is_the_toolkits():
    class Mine(ep.Energy):
        def __call__(self, state, x):
            return jnp.sum(state**2)

        def init_state(self, x):
            return jnp.zeros(1)

        def outputs(self, state):
            return state

    assert ep.citation(Mine()) == ep.citation() == OURS[TOOLKIT]


def test_what_nothing_is_known_of_is_named():
    with pytest.raises(ValueError, match=r"these are none: \[3, 'digits'\]"):
        ep.citation(ep.SquaredError(), 3, "digits")


def test_the_toolkits_own_entry_has_the_facts_of_the_citation_file():
    facts = dict(
        re.findall(
            r'^ *-? ?(title|name|version|license): "?(.*?)"?$',
            (ROOT / "CITATION.cff").read_text(),
            re.MULTILINE,
        )
    )
    assert facts.keys() == {"title", "name", "version", "license"}
    entry = " ".join(OURS[TOOLKIT].split())
    assert all(fact in entry for fact in facts.values())
