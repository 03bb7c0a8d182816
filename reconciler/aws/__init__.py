"""AWS: boto3 clients, the adapters of services, and what their answers prove.

What may live here: everything that imports boto3 or botocore, which no other package but the emulator does; it
translates their errors into outcomes, `ServiceError` and `LedgerError`. What may not: decisions.
"""
