"""Stopping the real command anywhere: crash points, kill loops and races, judged by what AWS and the ledger hold."""
