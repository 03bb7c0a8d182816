"""The decision: what a pass would do, as a value.

What may live here: `plan`, a pure and total function of (desired, recorded, now), the actions it returns, and the
brakes that refuse a plan. What may not: clients, files, clocks, environment, loggers.
"""
