"""What a pass asks AWS before it plans: the states of live runs, and the runs of unresolved submissions.

What may live here: which runs are asked about, and what of the answers is new. What may not: clients, and decisions
about what an answer means for the plan.
"""
