"""Values of the program as text: for terminals, for pull requests, for machines.

What may live here: pure functions from a plan, its results, a status or a story to a string or a JSON value. All of
them mask secrets and escape control characters, except the JSON, which is whole. What may not: files, clocks, printing,
and decisions.
"""
