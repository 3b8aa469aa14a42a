"""What joins circuits with the models of `eqprop`: emission, comparison, and circuits that learn."""
