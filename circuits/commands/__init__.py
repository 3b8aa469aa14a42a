"""The command line `circuits`."""
