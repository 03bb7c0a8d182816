"""Use cases: what each command does with specs, ledger and AWS.

What may live here: the order of a command's steps. What may not: click, boto3, text for people.
"""
