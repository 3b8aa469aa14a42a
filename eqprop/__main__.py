"""`python -m eqprop`."""

from .cli import main

raise SystemExit(main())
