"""The append-only log: batches and their chain, the in-memory log over any store, and one module for each store.

This package contains implementations of `ports.Store`, the format of a batch, `Log`, and the conversion of errors of
storage libraries. It must not contain decisions about what to write, imports of boto3, or calls to AWS services that
run jobs.
"""
