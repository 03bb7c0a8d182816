"""Stops the real command at any point: at crash points, in kill loops and in races. Afterwards, checks the runs in AWS
and the ledger."""
