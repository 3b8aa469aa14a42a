"""Speed and accuracy, measured.

Each module is a command that prints a table, and writes its figures with `--json FILE`.
"""
