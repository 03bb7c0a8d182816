"""Masks secrets and escapes hidden characters in all output.

Allowed here: the rules that detect secrets, and the functions that mask them. Not allowed: output.
"""
