"""Calls AWS: boto3 clients, the adapters of services, and the interpretation of replies.

This package contains everything that imports boto3 or botocore (except the emulator), and the conversion of their
errors to outcomes, `ServiceError` and `LedgerError`. It must not contain decisions.
"""
