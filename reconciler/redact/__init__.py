"""Masks secrets and escapes hidden characters in all output.

What may live here: the rules that detect secrets, and the functions that mask them. What may not: output.
"""
