"""Where the two packages meet: models become netlists, and simulators are held against models. All of it imports JAX."""
