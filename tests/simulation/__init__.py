"""Whole stories of several reconcilers in virtual time, each made from one seed.

What is driven is what ships: `apply.protocol` as `apply.execute` makes it and `apply.driver` carries it out, `plan`,
`recorded.fold`, `ledger.log.Log`, the adapters of `services` with their one-transmission guard and their list of
outcomes, and `observe.look`. What is imitated: AWS, the network between, the store under the log, clocks, the machine
that stops a process. Allowed here: that world, the oracle that judges it without the shipped fold, campaigns over
seeds, and the mutants that show that a campaign would find a broken rule.

``python -m tests.simulation SEED`` tells the story of one seed.
"""
