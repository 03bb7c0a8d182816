"""The append-only log: batches, their chain, the in-memory log over any store, and one module for each store.

What may live here: stores behind `ports.Store`, the form of a batch, and `Log`. Errors of storage libraries end here.
What may not: decisions about what to write, and AWS services that run jobs.
"""
