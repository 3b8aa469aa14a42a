"""How right a gradient is: estimators held against exact gradients, and which nudge and tolerance to take."""
