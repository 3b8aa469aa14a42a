"""Speed and accuracy, measured: each module is a command that prints a table, and writes its figures with `--json FILE`."""
