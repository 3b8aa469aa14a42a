"""Simulators of the tests' own."""

import circuits


class OnlyOperatingPoints(circuits.Simulator):
    """A simulator of a test's own, which may be asked for operating points alone: anything else is
    the test's mistake.
    """

    def version(self):
        raise AssertionError("nobody should ask a test's simulator for its version")

    def transient(self, netlist, *, stop, step, start=None):
        raise AssertionError("nobody should ask a test's simulator for a transient")

    def noise(self, netlist, nodes, *, lowest, highest):
        raise AssertionError("nobody should ask a test's simulator for noise")

    def small_signal(self, netlist, *, lowest, highest, points=10):
        raise AssertionError("nobody should ask a test's simulator for a response")
