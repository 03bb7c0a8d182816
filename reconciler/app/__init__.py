"""Use cases: what each command does with specs, ledger and AWS.

Allowed here: the order of a command's steps. Not allowed: click, boto3, and text output.
"""
