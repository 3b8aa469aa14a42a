"""The command `circuits doctor`."""

import re

import circuits.commands.cli
from circuits.commands import doctor


def test_what_is_here_is_said(simulator, capsys):
    assert circuits.commands.cli.main(["doctor"]) == 0
    printed = dict(
        re.split(r"\s{2,}", line, maxsplit=1) for line in capsys.readouterr().out.splitlines()
    )
    assert printed["ngspice"].startswith(f"{simulator.version()} at /")
    assert re.search(r"a divider is right within (0|\de-1\d) V", printed["ngspice"])
    assert (
        printed["ngspice KLU"].startswith("yes")
        or "install ngspice 42 or later" in printed["ngspice KLU"]
    )
    assert re.fullmatch(r"\d+\.\d+.*", printed["jax"])
    assert {"Python", "numpy", "scipy", "ngspice OSDI"} < printed.keys()


def test_what_ngspice_answers_is_what_is_said(simulator, capsys, monkeypatch):
    """The control: another answer to the same question, as later versions give it."""
    for log, klu, osdi in (
        ("Using KLU as Direct Linear Solver\nError: no such file: none.osdi", "yes", "yes"),
        (
            "Using SPARSE 1.3\nosdi: no such command available in ngspice",
            "no: large",
            "no: Verilog-A",
        ),
    ):
        monkeypatch.setattr(doctor, "_answer", lambda command, log=log: log)
        doctor.examine(print)
        printed = capsys.readouterr().out
        assert f"ngspice KLU   {klu}" in re.sub(r"  +", "   ", printed)
        assert f"ngspice OSDI   {osdi}" in re.sub(r"  +", "   ", printed)


def test_what_is_missing_is_named_with_what_mends_it(capsys, monkeypatch):
    monkeypatch.setattr(
        doctor,
        "requires",
        lambda name: ["no-such-package>=1", "not-here>=2; extra == 'plot'", "numpy>=2"],
    )
    monkeypatch.setenv("PATH", "")
    assert circuits.commands.cli.main(["doctor"]) == 1
    printed = capsys.readouterr().out
    assert re.search(r"no-such-package +missing; NEEDED: pip install no-such-package", printed)
    assert re.search(r"not-here +missing; optional: pip install 'eqprop-circuits\[plot\]'", printed)
    assert re.search(r"ngspice .*NEEDED: apt install ngspice", printed)
    assert re.search(r"numpy +2\.", printed)
