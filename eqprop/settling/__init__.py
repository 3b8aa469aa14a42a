"""Settling: from an energy and an input to the state at which the energy is at a minimum, with what certifies it."""
