"""Emulates AWS: EMR Serverless, AWS Batch and STS on loopback, for real boto3 clients.

This package contains the HTTP server, its state, AWS's own rules as the services document them, and faults. It must not
contain anything of the reconciler's own (specs, plans, ledgers), so that the emulator is an independent check of the
reconciler. Other packages import only this package, not its modules, and only when they start an emulator.
"""

from reconciler.emulator.fault_plan import read_plan
from reconciler.emulator.server import AcceptedRun, Emulator, Plan, Rule, Settings

__all__ = ["AcceptedRun", "Emulator", "Plan", "Rule", "Settings", "read_plan"]
