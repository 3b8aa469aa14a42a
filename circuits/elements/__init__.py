"""What circuits are made of.

Each element states its text, its equations, its noise and its symbol in one class.
"""
