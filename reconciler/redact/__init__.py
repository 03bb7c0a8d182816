"""Masks secrets and escapes hidden characters in everything that people read.

What may live here: rules for what looks like a secret, and how it is masked. What may not: output.
"""
