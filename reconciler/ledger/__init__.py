"""Contains the append-only log: batches and their chain, the in-memory log on top of any store, and one module for each
store.

Allowed here: stores behind `ports.Store`, the format of a batch, `Log`, and the translation of errors of storage
libraries. Not allowed: decisions about what to write, boto3, and calls to AWS services that run jobs.
"""

from reconciler.errors import LedgerCorrupt

MOST_BYTES = 256 * 1024**2
"""The maximum size in bytes of a batch or a stored snapshot. Larger ones are neither written nor read. A batch with
tens of thousands of declarations is a tenth of this size.
"""


def too_large(address: str) -> LedgerCorrupt:
    """Returns the error for content that is not read because it is larger than any batch or snapshot."""
    return LedgerCorrupt(
        f"the ledger {address} contains more than {MOST_BYTES // 1024**2} MiB, which reconciler never writes. "
        "Nothing was changed. Restore it from a copy"
    )
