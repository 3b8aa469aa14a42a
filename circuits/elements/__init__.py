"""What circuits are made of: each element states its text, its equations, its noise and its symbol in one class."""
