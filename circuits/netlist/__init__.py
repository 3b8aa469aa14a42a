"""A circuit as elements between named nodes: its check, its text in SPICE, its drawing."""
