"""The append-only log: batches and their chain, the in-memory log over any store, and one module for each store.

It holds stores behind `ports.Store`, the format of a batch, and `Log`, and translates the errors of storage libraries.
It makes no decisions about what to write, imports no boto3, and calls no AWS service that runs jobs.
"""
