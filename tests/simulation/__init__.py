"""Simulates stories of several reconciler processes in virtual time. Each story is generated from one seed.

The stories run the shipped code: `apply.protocol`, `apply.executor` and `apply.interpreter`, `core.decide`,
`core.fold`, `ledger.log.Log`, `aws.observe`, and the adapters in `aws`, with the guard against a second transmission
and the list of outcomes. They simulate AWS, the network, the store below the log, the clocks, and the machine on which
a process stops. Allowed here: the simulated world, the oracle that checks it without the shipped fold, campaigns over
many seeds, and mutants, which show that a campaign detects a broken rule.

``python -m tests.simulation SEED`` prints the story of one seed.
"""
