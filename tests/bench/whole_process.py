"""Measures whole commands against a bare read of the same specs: `make bench`, or with a number of specs as argument.

Bare means one Python process that reads each file with PyYAML's C loader, validates it with the same pydantic models
and hashes its canonical form, with the garbage collector off: no places, no checks beyond the models, no ledger.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROUNDS = 3
DEFAULT_SPECS = 1000
COMMAND = Path(sys.executable).parent / "reconciler"

PROJECT = """\
apiVersion: reconciler/v1
kind: Project
metadata: {name: bench}
spec:
  defaultTarget: local
  targets: {local: {emulator: true}}
"""

SPEC = """\
# Job number {number} of the benchmark.
apiVersion: reconciler/v1
kind: EmrServerlessJobRun
metadata:
  name: job-{number}
  labels: {{team: team-{team}, tier: core}}
spec:
  request:
    applicationId: 00f1abcdefg{team:02d}
    executionRoleArn: arn:aws:iam::000000000000:role/emr-job-{team}
    executionTimeoutMinutes: 90
    jobDriver:
      sparkSubmit:
        entryPoint: s3://bench/jobs/job_{number}.py
        entryPointArguments:
          - --day
          - "2026-11-21"
{arguments}
        sparkSubmitParameters: >-
          --class shop.Job{number}
          --conf spark.executor.memory=8g --conf spark.driver.memory=4g --conf spark.executor.cores=4
    configurationOverrides:
      applicationConfiguration:
        - classification: spark-defaults
          properties:
{properties}
      monitoringConfiguration:
        s3MonitoringConfiguration: {{logUri: s3://bench/logs/}}
    tags: {{cost-centre: analytics}}
"""

BARE = """\
import gc, hashlib, json, sys
from pathlib import Path
import yaml
from reconciler.model.kinds import kind_named
from reconciler.model.spec import SpecDocument
gc.disable()
for path in sorted(Path(sys.argv[1]).glob("*.yaml")):
    if path.name != "reconciler.yaml":
        document = yaml.load(path.read_bytes(), yaml.CSafeLoader)
        SpecDocument.model_validate(document)
        kind = kind_named(document["kind"])
        kind.model.model_validate(kind.as_sent(document["spec"]["request"], "r1-" + "0" * 48, "bench/local/job"))
        hashlib.sha256(json.dumps(document["spec"]["request"], sort_keys=True).encode()).hexdigest()
"""


def generate(folder: Path, number: int) -> int:
    """Writes a project of `number` specs and returns the size of one in bytes."""
    (folder / "reconciler.yaml").write_text(PROJECT)
    arguments = "\n".join(f"          - --option-{i}=value-of-option-{i}" for i in range(16))
    properties = "\n".join(f'            spark.bench.setting.number{i}: "value {i}"' for i in range(16))
    for i in range(number):
        text = SPEC.format(number=i, team=i % 20, arguments=arguments, properties=properties)
        (folder / f"job-{i:05d}.yaml").write_text(text)
    return len(text)


def measured(arguments: Sequence[str | Path], folder: Path) -> tuple[float, float]:
    """The best of some runs, in seconds, and the largest memory of any of them, in MB."""
    times, memory = [], 0.0
    for _ in range(ROUNDS):
        start = time.perf_counter()
        process = subprocess.Popen(arguments, cwd=folder, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        times.append(time.perf_counter() - start)
        if os.waitstatus_to_exitcode(status) != 0:
            raise SystemExit(f"{' '.join(map(str, arguments))} failed")
        memory = max(memory, usage.ru_maxrss / 1024)
    return min(times), memory


def main(number: int) -> None:
    """Prints one line for each command: seconds, its ratio to the bare read, and memory."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = generate(folder, number)
        print(f"{number} specs of {size / 1000:.1f} kB, best of {ROUNDS}")
        bare, memory = measured([sys.executable, "-c", BARE, folder], folder)
        print(f"{'bare parse, validate, hash':32}{bare:8.2f} s{1.0:8.2f} x{memory:8.0f} MB")
        for arguments in (["--version"], ["validate"], ["plan", "--no-refresh"]):
            taken, memory = measured([COMMAND, *arguments], folder)
            print(f"{'reconciler ' + ' '.join(arguments):32.32}{taken:8.2f} s{taken / bare:8.2f} x{memory:8.0f} MB")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_SPECS)
