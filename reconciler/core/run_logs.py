"""The logs of a run: where they are, and the port that finds them."""

from typing import Protocol, runtime_checkable

from reconciler.core.ports import RunRef
from reconciler.values import dataclass


@dataclass(frozen=True, slots=True)
class LogStream:
    """One log of a run, in CloudWatch Logs or, if `in_s3` is set, an object in S3.

    `name` is the name by which users choose it: ``driver/stdout``, ``executor/1/stderr``, or the name of a container.
    `group` is the log group or the bucket, `path` the log stream or the key. `region` is the region of the log group
    if it is not the target's. `usual` is set for logs that are shown unless the user names one.
    """

    name: str
    group: str
    path: str
    in_s3: bool = False
    region: str | None = None
    usual: bool = True

    @property
    def address(self) -> str:
        """The location of the log, for messages."""
        return f"s3://{self.group}/{self.path}" if self.in_s3 else f"log group {self.group}, stream {self.path}"


@dataclass(frozen=True, slots=True)
class RunLogs:
    """The logs of a run that exist now. If there are none, `missing` is a sentence that explains why and how to keep
    logs.

    `expected` is set if logs may still appear, because the run has not started or its logs are written later.
    `warnings` are sentences about log locations that could not be read.
    """

    streams: tuple[LogStream, ...] = ()
    missing: str = ""
    expected: bool = False
    warnings: tuple[str, ...] = ()


@runtime_checkable
class Logs(Protocol):
    """Finds the logs of runs. An adapter may implement it in addition to `Service`; without it, `logs` and the links of
    `open` report that the kind has none."""

    def logs(self, run: RunRef, attempt: int | None) -> RunLogs:
        """Returns the logs of one attempt of a run, by default the newest. `run_id` may be the id of a child or a node.
        Raises `ServiceError`."""
        ...

    def live_page(self, run: RunRef, attempt: int | None) -> str | None:
        """Returns the address of the application's own page for a run, such as the Spark UI, or `None` if there is
        none. The address is a secret, because anybody who has it can open the page. Raises `ServiceError`."""
        ...
