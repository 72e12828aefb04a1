"""Tensors become pixels, words, lines of Python, and files."""
