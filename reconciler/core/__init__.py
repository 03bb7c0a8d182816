"""The pure core: identity, events and their fold, and the plan.

What may live here: pure functions and values. What may not: I/O, clock, environment, logger, click, boto3. The time and
all other inputs are passed as arguments.
"""
