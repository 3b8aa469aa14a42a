"""What joins circuits and the networks of `eqprop`: emission, comparison, and learning."""
