"""Projects of any size, and a plain read of them to compare commands with.

Plain means one Python process that reads each file with PyYAML's C loader, validates it with the same pydantic models
and hashes its canonical form, with the garbage collector off: no locations, no checks beyond the models, no ledger.
"""

from __future__ import annotations

from pathlib import Path

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
from reconciler.model.kind import kind_named
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
