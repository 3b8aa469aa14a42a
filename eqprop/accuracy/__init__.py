"""How right a gradient is, held against the exact one, and which settings make it so."""
