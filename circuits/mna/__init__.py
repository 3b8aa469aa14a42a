"""The modified nodal equations of a netlist, and what follows from them: certificates, reduction, reciprocity, noise."""
