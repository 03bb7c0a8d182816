"""The decision, pure: identity, events and their fold, the plan.

What may live here: pure functions and values. What may not: I/O, clock, environment, logger, click, boto3. Time and
everything else come in as arguments.
"""
