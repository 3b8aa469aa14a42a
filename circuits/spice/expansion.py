"""The elements of a deck, with its subcircuits expanded and its models found."""

from collections import ChainMap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from ..elements.base import GROUND, Element, TwoTerminal
from ..elements.controlled import Transconductance, VoltageGain
from ..elements.diodes import DiodeModel
from ..elements.passive import Inductor
from ..elements.sources import VoltageSource
from ..elements.transistors import MosfetModel
from .cards import Card, Setting
from .conditions import chosen_lines
from .element_lines import elements
from .grammar import Number
from .includes import DeckLines, Subcircuit
from .lexer import Line, PlainRun, Token
from .limits import DEEPEST, LARGEST, LONGEST_NAME
from .model_cards import PassiveCard, model
from .parameters import Parameters, define_function, define_parameters, inside
from .plain import plain_resistors
from .scopes import Reading


@dataclass
class Scope:
    """What names mean in the deck or in one instance of a subcircuit.

    `parameters`, `nodes`, `models` and `subcircuits` by their names there; names in the netlist
    begin with `prefix`.
    """

    parameters: Parameters
    prefix: str
    nodes: Mapping[str, str]
    subcircuits: ChainMap[str, Subcircuit]
    models: ChainMap[str, Any] = field(default_factory=lambda: ChainMap({}))


class Expansion:
    """The `elements` of a deck, and their SPICE `names` by those in lower case.

    **Arguments:**

    - `deck`: its lines.
    - `global_nodes`: the nodes that mean the same in all subcircuits.
    - `setting`: what the deck says of all its elements.
    - `kinds`: classes of elements that X lines may name besides the deck's subcircuits.
    """

    def __init__(
        self,
        deck: DeckLines,
        global_nodes: set[str],
        setting: Setting,
        kinds: Sequence[type[Element]] = (),
    ):
        self.deck, self.global_nodes, self.setting = deck, global_nodes, setting
        self.kinds = {kind.subcircuit.lower(): kind for kind in kinds}
        self.elements: list[Element] = []
        self.names: dict[str, str] = {}
        self.root = Scope(deck.parameters, "", {}, ChainMap(deck.subcircuits))
        self.inductors: dict[str, Inductor] = {}  # by name without the letter, in lower case
        self._couplings: list[tuple[Line, Scope]] = []
        self._complete = False
        self._measured: dict[str, Line] = {}  # elements whose current is asked for
        self._models: dict[str, Any] = {}  # by name in lower case
        self._renamed: dict[Any, Any] = {}  # models of one name, told apart
        self._count: dict[str, int] = {}

    def run(self) -> None:
        """Append all elements. Raises `DeckError` for what is not understood."""
        self._expand(self.deck.body, self.root, 0)
        self._complete = True
        for line, scope in self._couplings:
            self._read(line, scope, self._sources([], scope.prefix), 0)
        if self._measured:
            self.elements = self._with_ammeters()

    def _with_ammeters(self) -> list[Element]:
        """Return the elements with a source of 0 V in series with each whose current is asked for.

        As in ngspice, the source that measures `R1` is called `V_r1`.
        """
        elements, nodes = [], {node for element in self.elements for node in element.nodes}
        for element in self.elements:
            name = element.letter + element.name
            # a source may stand for an element of another letter, as BR1 for R1
            written = name if name.lower() in self._measured else element.name
            line = self._measured.pop(written.lower(), None)
            if line is not None:
                name = written
            if line is None:
                elements.append(element)
                continue
            if not isinstance(element, TwoTerminal | VoltageGain | Transconductance):
                raise line.error(f"the current of {name} cannot be measured: it has many nodes")
            count = 0
            while (inner := f"{element.plus}_vmeas_{count}") in nodes:
                count += 1
            nodes.add(inner)
            ammeter = VoltageSource(f"_{name.lower()}", element.plus, inner, 0.0)
            elements += [ammeter, replace(element, plus=inner)]  # pyright: ignore[reportArgumentType]
            self.names[f"v_{name.lower()}"] = f"V_{name.lower()}"
        for name, line in self._measured.items():
            raise line.error(f"{name!r} must be an element of the deck whose current is measured")
        return elements

    def card(self, line: Line, scope: Scope) -> Card:
        """Return a line to be read in `scope`."""
        return Card(
            line,
            scope.parameters,
            lambda name: self.node(name, scope),
            scope.prefix,
            self.setting,
        )

    def node(self, name: str, scope: Scope) -> str:
        """Return what a node of `scope` is called in the netlist."""
        name = name.lower()
        if name in (GROUND, "gnd") or name in self.global_nodes:
            return GROUND if name == "gnd" else name
        if name in scope.nodes:
            return scope.nodes[name]
        return f"x{scope.prefix}{name}".lower() if scope.prefix else name

    def _expand(self, lines: Sequence[Line | PlainRun], scope: Scope, depth: int) -> None:
        """Append the elements of `lines`, as they are named in `scope`."""
        lines = chosen_lines(lines, scope.parameters)
        single = [line for line in lines if isinstance(line, Line)]
        if models := self._models_of(single, scope):
            scope.models = scope.models.new_child(models)
        sources = self._sources(single, scope.prefix)
        for line in lines:
            if isinstance(line, Line):
                self._read(line, scope, sources, depth)
            elif (resistors := plain_resistors(line, self.names)) is None:
                for one in line.lines():  # something is wrong with one of them, and will be said
                    self._read(one, scope, sources, depth)
            else:
                self.elements += resistors.values()
                pairs = zip(resistors, resistors.values(), strict=True)
                self.names |= {key: "R" + one.name for key, one in pairs}

    def _read(
        self, line: Line, scope: Scope, sources: Callable[[str, Line], str], depth: int
    ) -> None:
        """Append the elements of one line."""
        letter = line.text[0].lower()
        if letter == ".":
            word = line.word
            if word.startswith((".model", ".param", ".func")):
                return
            raise line.error(f"{line.text.split(None, 1)[0]} is not supported within a subcircuit")
        card = self.card(line, scope)
        if letter == "x":
            self._instance(card, scope, depth)
            return
        if letter == "k" and not self._complete:
            self._couplings.append((line, scope))  # its inductors may stand further down
            return
        try:
            reading = Reading(scope.models, lambda name: sources(name, line), self.inductors)
            fresh = elements(card, reading)
        except RecursionError:
            raise line.error("an expression nests too deep") from None
        for element in fresh:
            self._add(element, line)

    def _add(self, element: Element, line: Line) -> None:
        name = element.letter + element.name
        longest = max(map(len, (name, *element.nodes)))
        if longest > LONGEST_NAME:
            raise line.error(
                f"names may have {LONGEST_NAME} characters, but one here has {longest}"
            )
        if name.lower() in self.names:
            raise line.error(f"element {name} stands twice")
        self.names[name.lower()] = name
        if isinstance(element, Inductor):
            self.inductors[element.name.lower()] = element
        self.elements.append(element)
        if len(self.elements) > LARGEST:  # a run of plain resistors leaves its last one to this
            raise line.error(f"a deck may expand to {LARGEST} elements")

    def _sources(self, lines: Sequence[Line], prefix: str) -> Callable[[str, Line], str]:
        """Return what tells the netlist's name of the source that measures a current.

        A voltage source measures its own; for another element one is put in series with it.
        """
        named = {line.word: line.text.split(None, 1)[0] for line in lines if line.text[0] in "vV"}

        def key(name: str, line: Line) -> str:
            if name[:1] in "vV":
                return "V" + prefix + named.get(name.lower(), name)[1:]
            element = (name[:1] + prefix + name[1:]).lower()
            self._measured.setdefault(element, line)
            return f"V_{element}"

        return key

    # --- models

    def _models_of(self, lines: Sequence[Line], scope: Scope) -> dict[str, Any]:
        """Return the models that lines define, by their names in lower case."""
        models: dict[str, Any] = {}
        for line in lines:
            if line.word != ".model":
                continue
            key, card = model(self.card(line, scope))
            if key in models:
                raise line.error(f"model {key!r} is defined twice")
            kept = isinstance(card, PassiveCard)
            models[key] = card if kept else replace(card, law=self._unique(card.law))
        return models

    def _unique(self, law: DiodeModel | MosfetModel) -> DiodeModel | MosfetModel:
        """Return the model under a name that no other has: in several scopes one may mean several.

        The first keeps its name, the others are called `name_2`, `name_3`, …
        """
        if law in self._renamed:
            return self._renamed[law]
        unique, key = law, law.name.lower()
        while self._models.setdefault(unique.name.lower(), unique) != unique:
            self._count[key] = self._count.get(key, 1) + 1
            unique = replace(law, name=f"{law.name}_{self._count[key]}")
        self._renamed[law] = unique
        return unique

    # --- instances of subcircuits

    def _instance(self, card: Card, scope: Scope, depth: int) -> None:
        """Append the elements of an instance of a subcircuit."""
        first, tokens = card.take("a name"), card.tokens[1:]
        equals = next((k for k, token in enumerate(tokens) if token.text == "="), None)
        words = tokens if equals is None else tokens[: equals - 1]
        given = [] if equals is None else tokens[equals - 1 :]
        words = [token for token in words if token.text.lower() != "params:"]
        if not words:
            raise card.error("an instance must name its nodes and its subcircuit", first)

        chosen = scope.subcircuits.get(words[-1].text.lower())
        if chosen is None and words[-1].text.lower() in self.kinds:
            self._add(self._element(card, words, scope), card.line)
            return
        if chosen is None:
            raise card.error(
                f"{words[-1].text!r} must be a subcircuit that the deck defines", words[-1]
            )
        if len(words) - 1 != len(chosen.ports):
            raise card.error(
                f"{words[-1].text} has {len(chosen.ports)} ports, "
                f"but is given {len(words) - 1} nodes",
                first,
            )
        if depth >= DEEPEST:
            raise card.error(f"subcircuits may nest {DEEPEST} deep", first)
        prefix = f"{scope.prefix}{first.text[1:]}."
        if len(prefix) > LONGEST_NAME:
            raise card.error(
                f"names may have {LONGEST_NAME} characters, as that of an instance", first
            )
        self.deck.budget.spend(
            len(chosen.body) + 1, chosen.characters, lambda text: card.error(text, first)
        )

        parameters = self._parameters(card, given, chosen, scope)
        ends = (self.node(token.text, scope) for token in words[:-1])
        nodes = dict(zip(chosen.ports, ends, strict=True))
        for port in {GROUND, "gnd"}.intersection(nodes):
            if nodes[port] != GROUND:
                card.note(f"port {port} of {chosen.name} is ground, not {nodes[port]}")
        known = _defined_at(chosen, scope.subcircuits)
        inner = Scope(parameters, prefix, nodes, known.new_child(chosen.inner), scope.models)
        self._expand(chosen.body, inner, depth + 1)

    def _element(self, card: Card, words: Sequence[Token], scope: Scope) -> Element:
        """Return an element of one of the `kinds`: its nodes, and numbers by the fields' names."""
        kind = self.kinds[words[-1].text.lower()]
        name = scope.prefix + card.tokens[0].text[1:]
        ends = [self.node(token.text, scope) for token in words[:-1]]
        names = [field.name for field in fields(kind)]  # pyright: ignore[reportArgumentType]
        card.at = card.tokens.index(words[-1]) + 1
        card.accept("params:")
        numbers = card.assignments(dict.fromkeys(names[1 + len(ends) :], Number("a number")))
        try:
            return kind(name, *ends, **numbers)  # pyright: ignore[reportCallIssue]
        except (TypeError, ValueError) as error:
            raise card.error(
                f"{words[-1].text} must be given as {', '.join(names)}: {error}", words[-1]
            ) from error

    def _parameters(
        self, card: Card, given: Sequence[Token], chosen: Subcircuit, scope: Scope
    ) -> Parameters:
        """Return the parameters of an instance: those given, defaults, and those of its body."""
        parameters = Parameters(self.deck.parameters)
        for name, (line, token) in chosen.defaults.items():
            parameters.texts[name] = (line, *inside(token), parameters)
        for k in range(0, len(given), 3):
            known = given[k].text.lower() in chosen.defaults
            if len(given) < k + 3 or given[k + 1].text != "=" or not known:
                raise card.error(
                    f"parameters must be name=value pairs of {list(chosen.defaults)[:50]}", given[k]
                )
            place = inside(given[k + 2])
            parameters.texts[given[k].text.lower()] = (card.line, *place, scope.parameters)
        for line in chosen.body:
            if line.text.lower().startswith(".param"):
                define_parameters(line, parameters)
            elif line.word == ".func":
                define_function(line, parameters)
        return parameters


def _defined_at(
    chosen: Subcircuit, subcircuits: ChainMap[str, Subcircuit]
) -> ChainMap[str, Subcircuit]:
    """Return the subcircuits that are seen where one of them is defined."""
    for depth, known in enumerate(subcircuits.maps):
        if known.get(chosen.name) is chosen:
            return ChainMap(*subcircuits.maps[depth:])
    return subcircuits
