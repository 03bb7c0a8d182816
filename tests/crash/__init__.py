"""Stops the real command at any point: crash points, kill loops and races. Afterwards checks the runs in AWS and the
ledger."""
