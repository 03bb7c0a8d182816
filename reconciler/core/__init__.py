"""The pure core: identity, events and their fold, and the plan.

Allowed here: pure functions and values. Not allowed: I/O, clock, environment, logger, click, boto3. The time and
all other inputs are passed as arguments.
"""
