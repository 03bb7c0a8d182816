"""Checks the models of the protocol in docs/models with spin."""
