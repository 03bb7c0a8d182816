"""Generates projects of any size, with ledgers in which each spec has run, and contains simple programs to compare
commands with.

Two programs read the same files. `BARE` reads each with PyYAML's C loader and hashes its JSON. `MODELS` also validates
it with the program's models. Both run in one process without the garbage collector; they compute no locations, check
nothing but the models, and read no ledger.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from reconciler.app.session import SystemClock
from reconciler.apply.intents import Provenance
from reconciler.apply.recording import record_declarations
from reconciler.core import events as e
from reconciler.core.decide import plan
from reconciler.core.desired import Desired, DesiredSpec
from reconciler.core.identity import Place, Source, SubmissionKey, client_token, digest
from reconciler.core.plan import Action, ActionType, Reason
from reconciler.core.settings import project_settings, settings_digest
from reconciler.core.submit_actions import rendered
from reconciler.core.times import time_text
from reconciler.ledger.log import Log
from reconciler.ledger.open import open_store
from reconciler.ledger.sqlite import SqliteStore
from reconciler.model.kind import kind_named
from reconciler.specs.project import load_target, read_project

PLACE = Place("bench", "prod", "111122223333", "eu-west-1")
KIND = "EmrServerlessJobRun"
AT_ONCE = 500
MODEL_NUMBER, MODEL_TEAM = 98765, 77
"""The numbers in the template spec that are replaced in all other specs."""

PROJECT = """\
apiVersion: reconciler/v1
kind: Project
metadata: {{name: bench}}
spec:
  defaultTarget: prod
  targets: {{prod: {{account: "111122223333", region: eu-west-1, ledger: "{ledger}"}}}}
"""

SPEC = """\
# Job number {number} of the benchmark{mark}.
apiVersion: reconciler/v1
kind: EmrServerlessJobRun
metadata:
  name: job-{number}
  labels: {{team: team-{team}, tier: core}}
spec:
  request:
    applicationId: 00f1abcdefg{team:02d}
    executionRoleArn: arn:aws:iam::111122223333:role/emr-job-{team}
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
gc.disable()
for path in sorted(Path(sys.argv[1]).glob("job-*.yaml")):
    document = yaml.load(path.read_bytes(), yaml.CSafeLoader)
    hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
"""

MODELS = """\
import gc, hashlib, json, sys
from pathlib import Path
import yaml
from reconciler.model.kind import kind_named
from reconciler.model.spec import SpecDocument
gc.disable()
for path in sorted(Path(sys.argv[1]).glob("job-*.yaml")):
    document = yaml.load(path.read_bytes(), yaml.CSafeLoader)
    SpecDocument.model_validate(document)
    kind = kind_named(document["kind"])
    kind.model.model_validate(kind.as_sent(document["spec"]["request"], "r1-" + "0" * 48, "bench/prod/job"))
    hashlib.sha256(json.dumps(document["spec"]["request"], sort_keys=True).encode()).hexdigest()
"""

TERRAFORM = 'resource "terraform_data" "job-{number}" {{\n  input = {value}\n}}\n'


def spec_text(number: int, team: int, mark: str = "") -> str:
    """Returns one spec, of about 2 kB. A different `mark` changes its content."""
    arguments = "\n".join(f"          - --option-{i}=value-of-option-{i}{mark}" for i in range(16))
    properties = "\n".join(f'            spark.bench.setting.number{i}: "value {i}"' for i in range(16))
    return SPEC.format(number=number, team=team, arguments=arguments, properties=properties, mark=mark)


def path_of(folder: Path, number: int) -> Path:
    """Returns the file of a spec."""
    return folder / f"job-{number:05d}.yaml"


def ledger_of(folder: Path) -> str:
    """Returns the address of the ledger in a project folder."""
    return f"sqlite:///{folder.resolve()}/ledger.sqlite"


def generate(folder: Path, number: int) -> None:
    """Writes a project of `number` new specs, without a ledger."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "reconciler.yaml").write_text(PROJECT.format(ledger=ledger_of(folder)))
    for i in range(number):
        path_of(folder, i).write_text(spec_text(i, i % 20))


def settled(folder: Path, number: int) -> None:
    """Writes a project of `number` specs, and a ledger in which each has run with its current content."""
    generate(folder, number)
    store = open_store(ledger_of(folder), folder, PLACE)
    with closing(Log(store, PLACE, "0.1.0", SystemClock())) as log:
        specs = _desired(folder, number)
        now = datetime.now(UTC)
        log.append([], always)
        do_not_flush(store)
        events, batch = _runs(specs, time_text(now)), list[e.Event]()
        for event in events:
            batch.append(event)
            if len(batch) == 3 * AT_ONCE:
                log.append(batch, always)
                batch = []
        log.append(batch, always)
        settings = project_settings(read_project(folder).project, PLACE.target)
        wanted = Desired(PLACE, specs, frozenset(specs), settings=settings, settings_digest=settings_digest(settings))
        made = plan(wanted, log.recorded, now)
        assert not made.pending
        by = Provenance(None, "bench", "0.1.0", "bench:1")
        record_declarations(log, made.declarations, [*map(_action, specs.values())], time_text(now), by)


def new_ledger(folder: Path) -> None:
    """Creates a ledger that contains only the event that opens it."""
    with closing(Log(open_store(ledger_of(folder), folder, PLACE), PLACE, "0.1.0", SystemClock())) as log:
        log.create()


def always(_: object) -> None:
    """Returns no objection, because nothing else writes to these ledgers."""


def do_not_flush(store: object) -> None:
    """Makes appends to a file fast, by giving up durability. Use it only if only reads are measured."""
    if isinstance(store, SqliteStore):
        store._open_writer(2).execute("PRAGMA synchronous = OFF")


def _desired(folder: Path, number: int) -> dict[str, DesiredSpec]:
    """Returns the specs of a project as `load` does. It reads one template spec and changes its numbers, because
    reading all specs would take most of the preparation time."""
    with TemporaryDirectory() as name:
        (Path(name) / "reconciler.yaml").write_text(PROJECT.format(ledger=ledger_of(folder)))
        (Path(name) / "job.yaml").write_text(spec_text(MODEL_NUMBER, MODEL_TEAM))
        (model,) = load_target(read_project(Path(name)), "prod").values()
    text = json.dumps([model.content.request, model.content.location, dict(model.labels)])
    return {spec.name: spec for spec in (_like(model, text, i) for i in range(number))}


def _like(model: DesiredSpec, text: str, number: int) -> DesiredSpec:
    team = number % 20
    for before, after in (
        (f"cdefg{MODEL_TEAM}", f"cdefg{team:02d}"),
        (f"-{MODEL_TEAM}", f"-{team}"),
        (str(MODEL_NUMBER), str(number)),
    ):
        text = text.replace(before, after)
    request, location, labels = json.loads(text)
    content = replace(
        model.content, request=request, location=location, digest=digest(KIND, model.content.revision, request),
        source=Source(f"job-{number:05d}.yaml", 2),
    )  # fmt: skip
    return replace(model, name=f"job-{number}", content=content, labels=labels)


def _key(spec: DesiredSpec) -> tuple[SubmissionKey, str]:
    """Returns the key and the token of the run of a spec."""
    key = SubmissionKey(spec.name, 1)
    return key, client_token(PLACE, KIND, key, spec.digest)


def _action(spec: DesiredSpec) -> Action:
    """Returns the action that submitted a spec, so that its request is not looked up in the ledger."""
    key, token = _key(spec)
    content = spec.content
    return Action(spec.name, KIND, ActionType.SUBMIT, Reason.NEW, key=key, content=content, client_token=token, send=1)


def _runs(specs: Mapping[str, DesiredSpec], at: str) -> Iterator[e.Event]:
    """Yields the events of one successful run of each spec."""
    for number, spec in enumerate(specs.values()):
        (key, token), run_id = _key(spec), f"00f{number:013x}"
        sent = kind_named(KIND).as_sent(rendered(spec, None, {}), token, PLACE.owner(spec.name))
        yield e.Intended(
            at=at, token=token, kind=KIND, key=key, content=replace(spec.content, request=sent), send=1,
            not_after=at, owner="bench:1:0", reason="new", actor="bench", tool_version="0.1.0",
        )  # fmt: skip
        yield e.Submitted(at=at, name=spec.name, token=token, send=1, run_id=run_id)
        yield e.Observed(
            at=at, name=spec.name, token=token, run_id=run_id, state="succeeded", aws_state="SUCCESS",
            started_at=at, finished_at=at, usage={"billedResourceUtilization": {"vCPUHour": 0.25}},
        )  # fmt: skip


def terraform(folder: Path, number: int) -> None:
    """Writes a Terraform project without pending changes: a static block for each spec, which contains prepared JSON.
    This is the form that Terraform plans fastest."""
    import yaml

    folder.mkdir()
    blocks, resources = list[str](), list[dict[str, Any]]()
    for i in range(number):
        form = json.dumps(yaml.load(spec_text(i, i % 20), yaml.CSafeLoader)["spec"]["request"])
        blocks.append(TERRAFORM.format(number=i, value=json.dumps(form)))
        value = {"type": "string", "value": form}
        attributes = {"id": f"00000000-0000-0000-0000-{i:012}", "input": value, "output": value}
        resources.append(
            {
                "mode": "managed",
                "type": "terraform_data",
                "name": f"job-{i}",
                "provider": 'provider["terraform.io/builtin/terraform"]',
                "instances": [{"schema_version": 0, "attributes": {**attributes, "triggers_replace": None}}],
            }
        )
    (folder / "main.tf").write_text("".join(blocks))
    state = {"version": 4, "terraform_version": "1.5.0", "serial": 1, "lineage": "bench", "outputs": {}}
    (folder / "terraform.tfstate").write_text(json.dumps({**state, "resources": resources}))
