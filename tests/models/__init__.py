"""Checks the models of the protocol in docs/models with the model checker spin."""
