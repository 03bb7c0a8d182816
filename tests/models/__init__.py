"""The models of the protocol in docs/models, checked with spin: which flags there are, and running them all."""
