"""SPICE decks read as data.

A deck from outside becomes elements, and nothing of it reaches a simulator but through them.
"""
