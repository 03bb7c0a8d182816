"""Submits requests to a stub, once with bare boto3 and once as an apply does, with durable intents and outcomes.

Run as a program, it is the measured process: ``submitting.py bare|ours emr|batch WORKERS NUMBER``. It prints JSON.
It imports nothing of the tests, so that it can run with another revision of the program on `PYTHONPATH`.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from threading import Lock, Thread
from typing import Any

JSON = dict[str, Any]
KINDS = {"emr": "EmrServerlessJobRun", "batch": "BatchJob"}
NO_QUOTA = {"perSecond": 100_000, "burst": 100_000}


def request(kind: str, number: int) -> JSON:
    """Returns one request of about 2 kB."""
    options = [f"--option-{i}=value-of-option-{i}" for i in range(16)]
    if kind == "batch":
        settings = [{"name": f"SETTING_{i}", "value": f"value {i}"} for i in range(16)]
        return {
            "jobName": f"job-{number}",
            "jobQueue": f"queue-{number % 5}",
            "jobDefinition": "jobs:1",
            "containerOverrides": {"command": ["run", *options], "environment": settings},
        }
    properties = {f"spark.bench.setting.number{i}": f"value {i}" for i in range(16)}
    return {
        "name": f"job-{number}",
        "applicationId": f"00f1abcdefg{number % 20:02d}",
        "executionRoleArn": "arn:aws:iam::111122223333:role/emr",
        "jobDriver": {
            "sparkSubmit": {
                "entryPoint": "s3://bench/jobs/job.py",
                "entryPointArguments": options,
                "sparkSubmitParameters": "--class shop.Job --conf spark.executor.memory=8g",
            }
        },
        "configurationOverrides": {
            "applicationConfiguration": [{"classification": "spark-defaults", "properties": properties}]
        },
    }


def bare(kind: str, requests: Sequence[JSON], workers: int) -> Callable[[], None]:
    """Makes the same calls in a bare loop, without retries."""
    import boto3
    from botocore.config import Config

    service, method = {"emr": ("emr-serverless", "start_job_run"), "batch": ("batch", "submit_job")}[kind]
    call = getattr(boto3.client(service, config=Config(retries={"total_max_attempts": 1})), method)
    call(**requests[0])
    left, lock = iter(requests[1:]), Lock()

    def work() -> None:
        while True:
            with lock:
                one = next(left, None)
            if one is None:
                return
            call(**one)

    def loop() -> None:
        threads = [Thread(target=work) for _ in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    return loop


def connections() -> Any:
    """Returns the class of AWS connections, which is in another module in some revisions."""
    try:
        return import_module("reconciler.app.connections").AwsConnections
    except ImportError:
        return import_module("reconciler.app.session").AwsConnections


def ours(kind: str, requests: Sequence[JSON], workers: int, folder: Path) -> Callable[[], None]:
    """Executes the actions of a plan with a ledger in a file."""
    from reconciler.app import session
    from reconciler.apply.executor import execute
    from reconciler.apply.intents import Provenance
    from reconciler.core.identity import Content, Place, Source, SubmissionKey, client_token, digest
    from reconciler.core.plan import Action, ActionType, Plan, Reason
    from reconciler.ledger.open import open_ledger
    from reconciler.model.kind import kind_named
    from reconciler.model.project import Target

    place, clock, name_of = Place("bench", "prod", "111122223333", "eu-west-1"), session.SystemClock(), KINDS[kind]
    operations = ("StartJobRun", "SubmitJob")
    target = Target(
        account=place.account,
        region=place.region,
        ledger="sqlite:///ledger.sqlite",
        rates=dict.fromkeys(operations, NO_QUOTA),  # type: ignore[arg-type]  # pydantic converts it
    )
    aws = connections()(folder, place, target, clock)
    ledger = open_ledger("sqlite:///ledger.sqlite", folder, place, "0", clock, founds=True)
    actions = []
    for number, one in enumerate(requests):
        name, content = f"job-{number}", digest(name_of, 1, one)
        key = SubmissionKey(name, 1)
        actions.append(
            Action(
                name, name_of, ActionType.SUBMIT, Reason.NEW, key=key, ledger_head=0,
                content=Content(
                    content, 1, request=one, location=kind_named(name_of).location(one),
                    source=Source(f"{name}.yaml", 1),
                ),
                client_token=client_token(place, name_of, key, content),
            )
        )  # fmt: skip

    def apply(some: Sequence[Action]) -> None:
        results = execute(
            Plan(place=place, created_at="2026-11-29T00:00:00Z", ledger_position=0, actions=tuple(some)),
            ledger=ledger, services=aws.service, clock=clock, workers=workers, quota=aws.quota, check=aws.check_clock,
            provenance=Provenance("c" * 40, "bench", "0", "host:1:x"), claim_seconds=30, settle_seconds=1500,
        )  # fmt: skip
        assert {str(result.outcome) for result in results} == {"submitted"}

    apply(actions[:1])
    return lambda: apply(actions[1:])


def main(what: str, kind: str, workers: int, number: int) -> None:
    """Measures all calls except the first."""
    requests = [request(kind, n) for n in range(number + 1)]
    with tempfile.TemporaryDirectory() as name:
        if what == "bare":
            from reconciler.model.kind import kind_named

            sent = [kind_named(KINDS[kind]).as_sent(each, "r1-" + "0" * 48, "bench/prod/job") for each in requests]
            call = bare(kind, sent, workers)
        else:
            call = ours(kind, requests, workers, Path(name))
        before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        call()
        wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(json.dumps({"cpu": cpu / number * 1000, "wall": wall / number * 1000}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
