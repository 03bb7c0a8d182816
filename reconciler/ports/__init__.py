"""The ports: what the effects of a pass need from the world, each one to four methods.

What may live here: protocols and the values that cross them. What may not: implementations, and any AWS or storage
library. Foreign errors never cross a port: they end, wrapped, in the package that met them.
"""

from reconciler.ports.clock import Clock
from reconciler.ports.ledger import Appended, Ledger, Moved, Snapshots, Store, Valid
from reconciler.ports.services import (
    Accepted,
    Ambiguous,
    Deadline,
    Declined,
    Inventory,
    NotSent,
    Outcome,
    Quota,
    Refused,
    RunFacts,
    RunRef,
    RunReport,
    Service,
    Services,
    Wanted,
)

__all__ = [
    "Accepted",
    "Ambiguous",
    "Appended",
    "Clock",
    "Deadline",
    "Declined",
    "Inventory",
    "Ledger",
    "Moved",
    "NotSent",
    "Outcome",
    "Quota",
    "Refused",
    "RunFacts",
    "RunRef",
    "RunReport",
    "Service",
    "Services",
    "Snapshots",
    "Store",
    "Valid",
    "Wanted",
]
