"""Calls AWS: boto3 clients, the adapters of services, and the interpretation of replies.

Allowed here: everything that imports boto3 or botocore (no other package but the emulator does), and the
translation of their errors into outcomes, `ServiceError` and `LedgerError`. Not allowed: decisions.
"""
