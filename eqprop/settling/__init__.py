"""Settling: from an energy and an input to a state at a minimum, with what certifies it."""
