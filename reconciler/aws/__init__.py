"""AWS: boto3 clients, the adapters of services, and what their answers prove.

No other package imports boto3 or botocore, except the emulator. Their errors are translated here, into outcomes,
`ServiceError` and `LedgerError`. No decisions are made here.
"""
