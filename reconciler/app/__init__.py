"""Use cases: what each command does with specs, ledger and AWS.

Allowed here: the order of a command's steps. Not allowed: click, boto3, and text output. An import inside a function
loads what only some commands need, such as AWS's SDK, so that the other commands start fast
(tests/project/test_startup.py).
"""
