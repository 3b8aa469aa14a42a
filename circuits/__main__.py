"""`python -m circuits`."""

from .cli import main

raise SystemExit(main())
