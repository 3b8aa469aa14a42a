"""The modified nodal equations of a netlist, and what follows from them.

Certificates, reduction, reciprocity, noise, the small-signal response.
"""
