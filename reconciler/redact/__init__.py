"""Masks secrets and escapes hidden characters in all output.

This package contains the rules that detect secrets, and the functions that mask them. It must not print anything.
"""
