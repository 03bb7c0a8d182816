"""What is known: the events of the ledger and their fold.

What may live here: event types with their JSON form, and the pure fold of events into the state of each spec. What
may not: stores, clients, clocks, and decisions about what to do next.
"""
