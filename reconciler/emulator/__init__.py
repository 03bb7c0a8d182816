"""Emulates AWS: EMR Serverless, AWS Batch and STS on loopback, for real boto3 clients.

Allowed here: the HTTP server, its state, AWS's own rules as the services document them, and faults. Not allowed: specs,
plans, ledgers and anything else of the reconciler itself, so that the emulator checks the reconciler independently. The
rest of the program imports this package only when it starts an emulator, and imports none of its modules.
"""

from reconciler.emulator.fault_plan import read_plan
from reconciler.emulator.server import AcceptedRun, Emulator, Plan, Rule, Settings

__all__ = ["AcceptedRun", "Emulator", "Plan", "Rule", "Settings", "read_plan"]
