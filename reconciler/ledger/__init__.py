"""The append-only log: batches and their chain, the in-memory log over any store, and one module for each store.

What may live here: stores behind `ports.Store`, the format of a batch, `Log`, and the errors of storage libraries
translated. What may not: decisions about what to write, boto3, and calls to AWS services that run jobs.
"""
