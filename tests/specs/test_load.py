"""Reading whole projects."""

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.core.identity import Source
from reconciler.errors import SpecErrors, UsageError
from reconciler.model.batch import rules
from reconciler.specs.problems import View
from reconciler.specs.spec import ReadSpec, SpecReader
from tests.campaigns import in_one_test
from tests.specs.builders import BATCH, PROJECT, batch, desired, dumped, load, problems, warnings, wrapped, write

EMR = """\
apiVersion: reconciler/v1
kind: EmrServerlessJobRun
metadata: {name: clicks}
spec:
  request:
    applicationId: 00f1abcdefg
    executionRoleArn: arn:aws:iam::${target.account}:role/emr-jobs
    mode: STREAMING
    jobDriver:
      sparkSubmit:
        entryPoint: s3://${var.bucket}/clicks.py
        sparkSubmitParameters:
          conf: {spark.executor.memory: 8g, spark.dynamicAllocation.enabled: true, spark.memory.fraction: 0.60}
"""


def test_a_spec_is_rendered_for_each_target(tmp_path):
    """Placeholders and the name are filled in for each target, and everything else is unchanged."""
    text = batch(request="parameters: {t: '${target.name}', b: '${var.bucket}/$${x}', e: ''}\ndependsOn: []")
    loaded = load(write(tmp_path, {"jobs/a.yaml": "# a comment\n" + text}))
    assert ["local", "prod"] == list(loaded.specs)
    assert 1 == loaded.count
    prod = loaded.specs["prod"]["job"]
    expected = {
        "jobQueue": "queue",
        "jobDefinition": "definition",
        "parameters": {"t": "prod", "b": "acme/${x}", "e": ""},
        "dependsOn": [],
        "jobName": "job",
    }
    assert expected == prod.request
    assert Source("jobs/a.yaml", 2) == prod.source
    assert {"jobQueue", "jobName"} == set(prod.content.location)
    assert loaded.specs["local"]["job"].digest != prod.digest


def test_a_request_without_placeholders_is_shared(tmp_path):
    """Targets with the same request share one desired spec."""
    loaded = load(write(tmp_path, {"a.yaml": batch()}))
    assert loaded.specs["local"]["job"] is loaded.specs["prod"]["job"]


def test_targets_of_a_spec(tmp_path):
    """A spec runs in the targets that it lists, and a command reads only the targets that it needs."""
    root = write(tmp_path, {"a.yaml": batch("a", "targets: [prod]"), "b.yaml": batch("b")})
    assert {"local": ["b"], "prod": ["a", "b"]} == {name: list(specs) for name, specs in load(root).specs.items()}
    assert ["local"] == list(load(root, targets=["local"]).specs)
    with pytest.raises(UsageError, match="there is no target prd; did you mean prod"):
        load(root, targets=["prd"])


def test_streaming_defaults(tmp_path):
    """A streaming job is replaced and restarted unless its policy says otherwise."""
    spec = desired(write(tmp_path, {"a.yaml": EMR}), "clicks", "prod")
    assert (True, "Replace", "Always") == (
        spec.content.streaming,
        spec.policy.concurrencyPolicy,
        spec.policy.restartPolicy,
    )
    parameters = spec.request["jobDriver"]["sparkSubmit"]["sparkSubmitParameters"]
    assert "--conf spark.dynamicAllocation.enabled=true" in parameters
    assert "--conf spark.memory.fraction=0.60" in parameters
    assert "arn:aws:iam::111122223333:role/emr-jobs" == spec.request["executionRoleArn"]


def test_a_streaming_job_that_forbids_warns(tmp_path):
    """A streaming job with concurrencyPolicy Forbid causes a warning."""
    root = write(tmp_path, {"a.yaml": EMR.replace("spec:\n", "spec:\n  concurrencyPolicy: Forbid\n", 1)})
    (warning,) = warnings(root)
    assert warning.startswith("a.yaml:5:22: spec.concurrencyPolicy: Forbid never deploys a change")


def test_a_scheduled_spec_keeps_its_slot(tmp_path):
    """The slot remains a placeholder in the request, so all slots of the same content have the same digest."""
    text = batch(
        policy='schedule: "0 2 * * *"\ntimeZone: Europe/Madrid',
        request='parameters: {day: "${run.slot:%Y-%m-%d}", b: "${var.bucket}", e: "$${x}"}',
    )
    spec = desired(write(tmp_path, {"a.yaml": text}))
    assert {"day": "${run.slot:%Y-%m-%d}", "b": "acme", "e": "$${x}"} == spec.request["parameters"]
    assert ("Europe/Madrid", frozenset({"schedule", "timeZone"})) == (spec.policy.timeZone, spec.policy.given)


def test_fields_without_effect_warn(tmp_path):
    """Fields that require a schedule cause a warning if there is none."""
    root = write(tmp_path, {"a.yaml": batch(policy="catchup: false\nstartingDeadlineSeconds: 0\ntimeZone: UTC")})
    expected = [
        "a.yaml:6:3: spec.catchup has no effect without a schedule",
        "a.yaml:7:3: spec.startingDeadlineSeconds has no effect without a schedule",
        "a.yaml:8:3: spec.timeZone has no effect without a schedule",
    ]
    assert expected == warnings(root)


def test_secrets_warn_without_being_shown(tmp_path):
    """A value that looks like a secret causes a warning at its location, and the warning does not repeat the value."""
    request = "containerOverrides:\n  environment:\n    - {name: DB_PASSWORD, value: hunter2hunter2}"
    (warning,) = warnings(write(tmp_path, {"a.yaml": batch(request=request)}))
    assert warning.startswith("a.yaml:11:38: spec.request.containerOverrides.environment[0].value: looks like a secret")
    assert "hunter2" not in warning


def test_a_refused_secret_is_not_shown(tmp_path):
    """If a secret is refused, neither the message nor the displayed line repeats it."""
    request = (
        "containerOverrides:\n  environment:\n    - {name: DB_PASSWORD, value: 918273}\nparameters: {password: 1_234_5}"
    )
    with pytest.raises(SpecErrors, match="quotes") as caught:
        load(write(tmp_path, {"a.yaml": batch(request=request)}))
    output = "".join(f"{problem} {problem.source_line}" for problem in caught.value.problems)
    assert 2 == len(caught.value.problems)
    assert "918273" not in output
    assert "1_234_5" not in output


def test_a_problem_of_one_target_names_it(tmp_path):
    """A problem in all targets is reported once. The message about a problem in some targets lists them."""
    request = "parameters: {a: '${var.only_local}', b: '${var.nowhere}'}\ntimeout: {attemptDurationSeconds: 1}"
    lines = problems(write(tmp_path, {"a.yaml": batch(request=request)}))
    assert [
        "a.yaml:9:22: spec.request.parameters.a: var.only_local is defined in target local, but not in target "
        "prod (target prod)",
        lines[1],
        "a.yaml:10:39: spec.request.timeout.attemptDurationSeconds must be at least 60",
    ] == lines
    assert lines[1].startswith("a.yaml:9:46: spec.request.parameters.b: unknown placeholder ${var.nowhere}")


def test_a_value_too_long_in_one_target(tmp_path):
    """A rendered value is checked for each target."""
    project = PROJECT.replace("local: {emulator: true, vars: {", "local: {emulator: true, vars: {q: '1', ")
    project = project.replace('"dynamodb://ledger"', '"dynamodb://ledger", vars: {q: a b}')
    text = BATCH.replace("NAME", "job").replace("jobQueue: queue", "jobQueue: q${var.q}")
    (line,) = problems(write(tmp_path, {"a.yaml": text}, project=project))
    assert line.startswith("a.yaml:7:15: spec.request.jobQueue must be the name or the ARN of a job queue")
    assert line.endswith("(target prod)")


def test_a_size_limit_counts_the_tag_of_each_target(tmp_path, monkeypatch):
    """The owner tag contains the name of the target, so a request can be too large only for the longer name."""
    write(tmp_path, {"a.yaml": batch()})
    monkeypatch.setattr(rules, "REQUEST_MAX", 0)
    sizes = [int(size) for line in problems(tmp_path) for size in re.findall(r"has (\d+) bytes", line)]
    monkeypatch.setattr(rules, "REQUEST_MAX", min(sizes))
    (line,) = problems(tmp_path)
    assert line.endswith("(target local)")


LOCATIONS = {
    "plain": ("entryPoint: s3://b/${oops}", "7:26"),
    "double": ('entryPoint: "s3://b/${oops}"', "7:27"),
    "second": ("entryPoint: $${a}${var.bucket}${oops}", "7:37"),
    "block": ("entryPoint: |\n  s3://b/\n  x/${oops}", "9:11"),
    "folded": ("entryPoint: >-\n  s3://b/\n  x/${oops}", "9:11"),
    "anchor": ("entryPoint: &x ${oops}\nentryPointArguments: [*x]", "7:22"),
}


@in_one_test(("lines", "location"), LOCATIONS.values(), ids=LOCATIONS)
def test_a_placeholder_is_located_inside_its_scalar(tmp_path, lines, location):
    """An unknown placeholder is reported at its ``${``, in scalars of every style."""
    head = "apiVersion: reconciler/v1\nkind: EmrServerlessJobRun\nmetadata: {name: a}\nspec:\n  request:\n"
    text = head + "    jobDriver:\n" + "".join(f"      {line}\n" for line in lines.splitlines())
    reported = [line for line in problems(write(tmp_path, {"a.yaml": text})) if "${oops}" in line]
    assert reported
    assert all(line.startswith(f"a.yaml:{location}: ") for line in reported)


DEPENDENCIES = {
    "unknown": ({"a": "b1"}, ["a.yaml:6:22: spec.dependsOn[0].name: there is no spec b1"]),
    "close": ({"extract": "extrct"}, ["spec.dependsOn[0].name: there is no spec extrct; did you mean extract?"]),
    "itself": ({"a": "a"}, ["a.yaml:6:22: spec.dependsOn[0].name: a depends on itself"]),
    "two": ({"a": "b", "b": "a"}, ["a.yaml:6:22: spec.dependsOn[0].name: dependency cycle: a → b → a"]),
    "three": (
        {"c": "a", "a": "b", "b": "c", "d": "a"},
        ["a.yaml:6:22: spec.dependsOn[0].name: dependency cycle: a → b → c → a"],
    ),
}


@in_one_test(("edges", "expected"), DEPENDENCIES.values(), ids=DEPENDENCIES)
def test_dependencies_that_cannot_be_met(tmp_path, edges, expected):
    """Unknown names, a spec that depends on itself and cycles are errors at the name."""
    files = {f"{name}.yaml": batch(name, f"dependsOn: [{{name: {other}}}]") for name, other in edges.items()}
    lines = problems(write(tmp_path, files))
    assert len(expected) == len([line for line in lines if any(part in line for part in expected)])


def test_a_long_chain_of_dependencies_is_fine(tmp_path):
    """A long chain of dependencies is valid; a cycle at its end is an error."""
    files = {f"n{i:03}.yaml": batch(f"n{i:03}", f"dependsOn: [{{name: n{i + 1:03}}}]") for i in range(120)}
    root = write(tmp_path, {**files, "n120.yaml": batch("n120")})
    assert 121 == load(root).count
    write(root, {"n120.yaml": batch("n120", "dependsOn: [{name: n118}]")})
    (line,) = problems(root)
    assert "n118 → n119 → n120 → n118" in line


def test_a_dependency_absent_from_a_target(tmp_path):
    """A dependency must run in every target of the spec."""
    files = {"a.yaml": batch("a", "dependsOn: [{name: b}]"), "b.yaml": batch("b", "targets: [prod]")}
    expected = ["a.yaml:6:22: spec.dependsOn[0].name: b does not run in target local, but a does"]
    assert expected == problems(write(tmp_path, files))


def test_a_batch_dependency_must_be_a_batch_spec(tmp_path):
    """A Batch request can refer only to Batch specs, because it needs their job ids."""
    files = {"a.yaml": batch("a", request="dependsOn: [{spec: clicks}]"), "b.yaml": EMR}
    expected = "a.yaml:9:24: spec.request.dependsOn[0].spec: clicks is of kind EmrServerlessJobRun, and only a BatchJob"
    (line,) = problems(write(tmp_path, files))
    assert line.startswith(expected)


def test_a_duplicate_name(tmp_path):
    """Both locations of a duplicate name are reported, and each message contains the other location."""
    expected = [
        "a.yaml:4:9: metadata.name: job is also the name of the spec at b.yaml:13:9",
        "b.yaml:13:9: metadata.name: job is also the name of the spec at a.yaml:4:9",
    ]
    assert expected == problems(write(tmp_path, {"a.yaml": batch(), "b.yaml": batch("x") + "---\n" + batch()}))


DOCUMENTS = {
    "empty file": ("", ["1:1: no document in this file: write a spec, or remove the file"]),
    "only comments": ("# nothing\n", ["1:1: no document in this file: write a spec, or remove the file"]),
    "empty document": (batch() + "---\n", ["9:1: empty document: write a spec, or remove the ---"]),
    "something else": ("a: b\n", ["1:1: not a spec: expected apiVersion: reconciler/v1."]),
    "text": ("hello\n", ["1:1: not a spec: expected apiVersion: reconciler/v1."]),
    "another API": ("apiVersion: v1\nkind: Pod\n", ["1:13: apiVersion: not a spec: expected apiVersion"]),
    "later version": (
        batch().replace("/v1", "/v2"),
        ["1:13: apiVersion: this version reads reconciler/v1, not reconciler/v2"],
    ),
    "kind": (batch().replace("BatchJob", "BatchJb"), ["2:7: kind: unknown kind BatchJb; did you mean BatchJob?"]),
    "far kind": (batch().replace("BatchJob", "Pod"), ["2:7: kind: unknown kind Pod; expected one of Emr"]),
    "project": (batch().replace("BatchJob", "Project"), ["2:7: kind: a Project is allowed only in reconciler.yaml"]),
    "no kind": (batch().replace("kind: BatchJob\n", ""), ["1:1: kind is missing"]),
    "no request": (batch().split("  request")[0] + "  revision: 2\n", ["6:3: spec.request is missing"]),
    "request is a list": (
        batch().split("  request")[0] + "  request: []\n",
        ["6:12: spec.request: expected a mapping"],
    ),
    "token": (batch(request="clientToken: x"), ["9:5: spec.request.clientToken is set by the reconciler"]),
    "unknown field": (
        batch(request="jobQueu: x"),
        ["9:5: unknown field spec.request.jobQueu; did you mean jobQueue?"],
    ),
    "placeholder as key": (
        batch(request='parameters: {"${var.bucket}": x, k: [{"${z}": 1}]}'),
        [
            '9:18: spec.request.parameters["${var.bucket}"]: placeholders are replaced in values, not in keys',
            "9:41: spec.request.parameters.k: expected a string, got a list",
            '9:43: spec.request.parameters.k[0]["${z}"]: placeholders are replaced in values, not in keys',
        ],
    ),
    "our tags": (
        batch(request='tags: {"reconciler:token": x}'),
        ['9:32: spec.request.tags["reconciler:token"]: keys that start with reconciler: are reserved'],
    ),
    "tag without a key": (
        batch(request='tags: {"": some value}'),
        ['9:12: spec.request.tags[""] must have at least 1 character, got 0'],
    ),
    "tag with a long key": (
        batch(request=f"tags: {{{'k' * 129}: v}}"),
        [f"9:12: spec.request.tags.{'k' * 129} must have at most 128 characters, got 129"],
    ),
    "tag with an odd key": (
        EMR + "    tags: {cost#1: v}\n",
        [
            "14:12: spec.request.tags[\"cost#1\"]: a tag key is letters, digits, spaces and '/ _ . : = + @ -'; "
            'got "cost#1"',
        ],
    ),
    "tags as a list": (batch(request="tags: [a]"), ["9:11: spec.request.tags: expected a mapping, got a list"]),
    "targets": (batch(policy="targets: []"), ["6:12: spec.targets must have at least 1 entry, got 0"]),
    "targets twice": (batch(policy="targets: [prod, prod]"), ["6:12: spec.targets: duplicate 'prod'"]),
    "target": (
        batch(policy="targets: [staging]"),
        ["6:13: spec.targets[0]: there is no target staging; the targets are local, prod"],
    ),
    "cron": (
        batch(policy='schedule: "61 * * * *"'),
        ["6:13: spec.schedule: '61 * * * *' is not a cron schedule: bad minute 61 (write 0 to 59)"],
    ),
    "all fields of a cron": (
        batch(policy='schedule: "61 24 ? * FRIDAY"'),
        [
            "6:13: spec.schedule: '61 24 ? * FRIDAY' is not a cron schedule: bad minute 61 (write 0 to 59), bad "
            "hour 24 (write 0 for midnight), bad day ? (write *"
        ],
    ),
    "a day that does not exist": (
        batch(policy='schedule: "0 2 30 2 *"'),
        ["6:13: spec.schedule: '0 2 30 2 *' is not a cron schedule: none of its months has its days"],
    ),
    "a macro": (
        batch(policy='schedule: "@daily"'),
        [
            "6:13: spec.schedule: a schedule has five fields (minute hour day month weekday), such as "
            "\"0 2 * * *\"; got '@daily'; write '0 0 * * *'"
        ],
    ),
    "misspelt time zone": (
        batch(policy='schedule: "0 2 * * *"\ntimeZone: Europe/Madird'),
        ["7:13: spec.timeZone: 'Europe/Madird' is not an IANA time zone; did you mean Europe/Madrid?"],
    ),
    "six fields": (batch(policy='schedule: "0 0 2 * * *"'), ["6:13: spec.schedule: a schedule has five fields"]),
    "zone": (
        batch(policy='schedule: "0 2 * * *"\ntimeZone: Madrid'),
        ["7:13: spec.timeZone: 'Madrid' is not an IANA time zone"],
    ),
    "zone as a path": (
        batch(policy='schedule: "0 2 * * *"\ntimeZone: ../etc'),
        ["7:13: spec.timeZone: '../etc' is not an IANA time zone"],
    ),
    "evaluated schedule": (batch(policy='schedule: "${var.cron}"'), ["6:13: spec.schedule: a schedule has five fie"]),
    "evaluated name": (
        batch().replace("name: job", 'name: "${var.bucket}"'),
        ["4:9: metadata.name: a name is 1 to 63 lower-case letters"],
    ),
    "choice": (
        batch(policy="concurrencyPolicy: forbid"),
        ['6:22: spec.concurrencyPolicy: expected Allow, Forbid or Replace, got "forbid"; did you mean Forbid?'],
    ),
    "choice of another kind": (
        batch(policy="deletionPolicy: on"),
        ["6:19: spec.deletionPolicy: expected Orphan or Cancel, got on (a boolean)"],
    ),
    "negative": (batch(policy="backoffLimit: -1"), ["6:17: spec.backoffLimit must be at least 0"]),
    "hexadecimal": (
        batch(policy="revision: 0x1F"),
        ["6:13: spec.revision: expected an integer, got 0x1F (a number): write 31"],
    ),
    "date as integer": (
        batch(policy="revision: 2026-11-22"),
        ["6:13: spec.revision: expected an integer, got 2026-11-22 (a date)"],
    ),
    "duration in a field of seconds": (
        batch(policy="backoffSeconds: 1h", request="timeout: {attemptDurationSeconds: 90m}"),
        [
            '6:19: spec.backoffSeconds: expected an integer, got "1h": write 3600',
            '10:39: spec.request.timeout.attemptDurationSeconds: expected an integer, got "90m": write 5400',
        ],
    ),
    "duration in a field of minutes": (
        EMR + "    executionTimeoutMinutes: 1h30m\n",
        ['14:30: spec.request.executionTimeoutMinutes: expected an integer, got "1h30m": write 90'],
    ),
    "duration that is no whole number of minutes": (
        EMR + "    executionTimeoutMinutes: 90s\n",
        ['14:30: spec.request.executionTimeoutMinutes: expected an integer, got "90s"'],
    ),
    "placeholder of a label": (
        batch(request='parameters: {a: "${spec.labels.team}", b: "${metadata.labels.x}"}').replace(
            "  name: job\n", "  name: job\n  labels: {team: a}\n"
        ),
        [
            "10:22: spec.request.parameters.a: unknown placeholder ${spec.labels.team}; did you mean ${spec.label.",
            "10:48: spec.request.parameters.b: unknown placeholder ${metadata.labels.x}; the labels of the spec are "
            "${spec.label.team}",
        ],
    ),
    "placeholder of a label without labels": (
        batch(request='parameters: {a: "${labels.team}"}'),
        [
            "9:22: spec.request.parameters.a: unknown placeholder ${labels.team}; the spec has no labels; "
            "${spec.label.team} is the value of the label team in metadata.labels"
        ],
    ),
    "placeholder of a label beside another problem": (
        batch(policy="backoffLimit: x", request='parameters: {a: "${spec.label.team}"}').replace(
            "  name: job\n", "  name: job\n  labels: {team: a}\n"
        ),
        ['7:17: spec.backoffLimit: expected an integer, got "x"'],
    ),
    "boolean as integer": (
        batch(policy="revision: true"),
        ["6:13: spec.revision: expected an integer, got true (a boolean)"],
    ),
    "text as boolean": (
        batch(policy='catchup: "x"'),
        ['6:12: spec.catchup: expected true or false, got "x"'],
    ),
    "label": (
        batch().replace("name: job", "name: job\n  labels: {a: on}"),
        ['5:15: metadata.labels.a: expected a string, got on (a boolean): write "on" in quotes'],
    ),
    "null": (
        batch(request="parameters: ~"),
        ["9:17: spec.request.parameters: null is not allowed: remove it, or write"],
    ),
    "null for text": (batch().replace("definition", "", 1), None),
    "placeholder for a number": (
        batch(request='arrayProperties: {size: "${target.account}"}'),
        [
            '9:29: spec.request.arrayProperties.size: expected an integer, got "${target.account}"; placeholders are '
            "for text of the request; this is a number: write the value itself; if it differs between targets, write"
        ],
    ),
    "unknown placeholder for a boolean": (
        batch(request='propagateTags: "${var.tags}"'),
        [
            '9:20: spec.request.propagateTags: expected true or false, got "${var.tags}"; placeholders are for text of '
            "the request; this is a boolean",
            "9:21: spec.request.propagateTags: unknown placeholder ${var.tags}",
        ],
    ),
    "placeholder for a mapping": (
        batch(request='tags: "${var.bucket}"'),
        ['9:11: spec.request.tags: expected a mapping, got "${var.bucket}"; placeholders are for text'],
    ),
    "placeholder for the targets": (
        batch(policy='targets: "${var.bucket}"'),
        ['6:12: spec.targets: expected a list, got "${var.bucket}"; placeholders are for text'],
    ),
    "text for a list": (
        batch(request="containerOverrides: {command: python x.py}"),
        ['9:35: spec.request.containerOverrides.command: expected a list, got "python x.py": write ["python", "x.py"]'],
    ),
    "mapping for a list of mappings": (
        batch(request="containerOverrides: {environment: {A: b}}"),
        [
            "9:39: spec.request.containerOverrides.environment: expected a list, got a mapping: write "
            '[{name: "A", value: "b"}]; each entry has name, value'
        ],
    ),
    "text for a mapping": (
        batch(policy="dependsOn: [other]"),
        ['6:15: spec.dependsOn[0]: expected a mapping, got "other": write {name: "other"}; it has name, condition'],
    ),
    "field of the request beside it": (
        batch(policy="jobQueue: high"),
        ["6:3: unknown field spec.jobQueue; did you mean spec.request.jobQueue?"],
    ),
    "placeholder for a list": (
        batch(request='dependsOn: "${var.bucket}"'),
        ['9:16: spec.request.dependsOn: expected a list, got "${var.bucket}"; placeholders are for text'],
    ),
    "placeholder for a policy": (
        batch(policy='backoffLimit: "${var.bucket}"'),
        [
            '6:17: spec.backoffLimit: expected an integer, got "${var.bucket}"; placeholders are for text of the '
            "request; this is a policy field: write the value itself"
        ],
    ),
    "placeholder for a zone": (
        batch(policy='schedule: "0 2 * * *"\ntimeZone: "${var.bucket}"'),
        ["7:13: spec.timeZone: '${var.bucket}' is not an IANA time zone, such as Europe/Madrid; placeholders are for"],
    ),
    "placeholder for a target": (
        batch(policy='targets: ["${target.name}"]'),
        [
            "6:13: spec.targets[0]: a name is 1 to 63 lower-case letters, digits and '-', with a letter or digit at "
            'both ends; got "${target.name}"; placeholders are for text of the request; this is a policy field',
            "6:13: spec.targets[0]: there is no target ${target.name}",
        ],
    ),
    "policy as a mapping": (
        EMR + '    executionIamPolicy: {policy: {Version: "2012-10-17"}}\n',
        ["14:34: spec.request.executionIamPolicy.policy: an inline policy is JSON in a string: put it in single quo"],
    ),
    "other tool's variables": (
        batch(request='parameters: {a: "${hiveconf:x}", b: "${HOME}", c: "${X:-y}", d: "${AWS::Region}"}'),
        [
            "9:22: spec.request.parameters.a: unknown placeholder ${hiveconf:x}. For the literal text, which another "
            "tool reads, write $${hiveconf:x}",
            "9:42: spec.request.parameters.b: unknown placeholder ${HOME}; expected one of",
            "9:56: spec.request.parameters.c: unknown placeholder ${X:-y}. For the literal text",
            "9:70: spec.request.parameters.d: AWS::Region is CloudFormation syntax: write ${target.region}",
        ],
    ),
    "GitHub's expression": (
        batch(request='parameters: {a: "${{ github.sha }}"}'),
        ["9:22: spec.request.parameters.a: ${{ belongs to another tool, such as GitHub Actions, and is not evaluated"],
    ),
    "names inside misspelt names": (
        EMR.replace("jobDriver", "job_driver").replace("sparkSubmit:", "SparkSubmit:").replace("entryP", "EntryP"),
        [
            "9:5: unknown field spec.request.job_driver; did you mean jobDriver?",
            "10:7: unknown field spec.request.job_driver.SparkSubmit; did you mean sparkSubmit?",
            "11:9: unknown field spec.request.job_driver.SparkSubmit.EntryPoint; did you mean entryPoint?",
        ],
    ),
    "names and values inside a misspelt request": (
        batch(request="timeOut: {attemptdurationseconds: 1}").replace("request:", "Request:"),
        [
            "6:3: unknown field spec.Request; did you mean request?",
            "9:5: unknown field spec.Request.timeOut; did you mean timeout?",
            "9:15: unknown field spec.Request.timeOut.attemptdurationseconds; did you mean attemptDurationSeconds?",
            "9:39: spec.Request.timeOut.attemptdurationseconds must be at least 60",
        ],
    ),
    "names in a list": (
        batch(request="containerOverrides:\n  environment: [{Name: A, Value: b}, {Name: C, value: on}]"),
        [
            "10:22: unknown field spec.request.containerOverrides.environment[0].Name; did you mean name?",
            "10:31: unknown field spec.request.containerOverrides.environment[0].Value; did you mean value?",
            "10:43: unknown field spec.request.containerOverrides.environment[1].Name; did you mean name?",
            "10:59: spec.request.containerOverrides.environment[1].value: expected a string, got on (a boolean)",
        ],
    ),
    "names below the beginning of a name": (
        batch(request="eksProperties: {podProperties: {containers: [{Name: x}]}}"),
        [
            "9:5: unknown field spec.request.eksProperties; did you mean eksPropertiesOverride?",
            "9:51: unknown field spec.request.eksProperties.podProperties.containers[0].Name; did you mean name?",
        ],
    ),
    "names below a far name": (
        batch(request="overrides: {Command: [x]}"),
        ["9:5: unknown field spec.request.overrides; did you mean"],
    ),
    "both names": (
        batch(request="JobQueue: x"),
        ["9:5: unknown field spec.request.JobQueue; did you mean jobQueue?"],
    ),
}


@in_one_test(("text", "expected"), DOCUMENTS.values(), ids=DOCUMENTS)
def test_every_problem_of_a_document_has_its_location(tmp_path, text, expected):
    """Every problem of a document is reported at its location, with what is expected."""
    lines = problems(write(tmp_path, {"a.yaml": text}))
    for line, start in zip(lines, expected or lines, strict=True):
        assert line.removeprefix("a.yaml:").startswith(start.removeprefix("a.yaml:"))


WARNED = {
    "step": (
        batch(policy='schedule: "*/90 * * * *"'),
        ["6:13: spec.schedule: a minute step of 90 means every hour at min"],
    ),
    "placeholder in a label": (
        batch().replace("name: job", 'name: job\n  labels: {a: "${var.bucket}", b: "$${x}"}'),
        ["5:15: metadata.labels.a: placeholders are for text of the request: this one is not replaced"],
    ),
    "placeholder in a reason": (
        batch(policy='suspend: {reason: "${var.bucket}"}'),
        ["6:21: spec.suspend.reason: placeholders are for text of the request"],
    ),
    "queue of one target's account": (
        batch().replace("queue\n", "arn:aws:batch:eu-west-1:999999999999:job-queue/q\n", 1),
        ["7:15: spec.request.jobQueue: the job queue is of account 999999999999, the target is 111122223333: write"],
    ),
}


@pytest.mark.parametrize(("text", "expected"), WARNED.values(), ids=WARNED)
def test_what_is_valid_and_cannot_be_meant_has_a_location(tmp_path, text, expected):
    """Policies and ARNs that are valid but probably not intended cause a warning at their location."""
    lines = warnings(write(tmp_path, {"a.yaml": text}))
    for line, start in zip(lines, expected, strict=True):
        assert line.removeprefix("a.yaml:").startswith(start)


def test_the_account_of_an_emulator_is_not_compared(tmp_path):
    """Targets without an account accept ARNs of every account. The warning for other targets contains the name of the
    target."""
    text = batch().replace("queue\n", "arn:aws:batch:eu-west-1:111122223333:job-queue/q\n", 1)
    assert warnings(write(tmp_path, {"a.yaml": text})) == []
    (line,) = warnings(write(tmp_path, {"a.yaml": text.replace("1111", "2222")}))
    assert line.endswith("(target prod)")


SIZES = {
    "other size": ("{size: 3}", "it has 3, this one 2"),
    "no array": (None, "it is not an array job"),
    "same": ("{size: 2}", None),
}


@pytest.mark.parametrize(("size", "expected"), SIZES.values(), ids=SIZES)
def test_arrays_that_wait_for_each_other_have_one_size(tmp_path, size, expected):
    """N_TO_N causes a warning at the reference if the arrays of the two specs differ, or if one is not an array."""
    files = {
        "a.yaml": batch("a", request="arrayProperties: {size: 2}\ndependsOn: [{spec: b, type: N_TO_N}]"),
        "b.yaml": batch("b", request=f"arrayProperties: {size}" if size else ""),
    }
    lines = warnings(write(tmp_path, files))
    assert [line.startswith("a.yaml:10:24: spec.request.dependsOn[0].spec: b: N_TO_N pairs") for line in lines] == (
        [True] if expected else []
    )
    assert all(line.endswith(expected or "") for line in lines)


def test_an_empty_project_warns(tmp_path):
    """A project without specs is valid but causes a warning."""
    root = write(tmp_path)
    assert 0 == load(root).count
    assert ["no file matches"] == [line.split(": ")[-1].rsplit(" ", 1)[0] for line in warnings(root)]


def test_only_some_files(tmp_path):
    """With PATH arguments, only the problems, warnings and specs in these files are reported."""
    root = write(
        tmp_path,
        {
            "a.yaml": batch("a", "dependsOn: [{name: c}]"),
            "sub/b.yaml": batch("b", "catchup: true"),
            "sub/c.yaml": batch("c", request="nope: 1"),
        },
    )
    assert 1 == load(root, only_paths=[root / "a.yaml"]).count
    warned, unknown = problems(root, only_paths=[root / "sub"])
    assert warned.startswith("sub/b.yaml:6:3: spec.catchup")
    # the warning about another file is still reported
    assert unknown.startswith("sub/c.yaml:9:5: unknown field spec.request.nope; expected one of")
    (warning,) = load(root, only_paths=[root / "sub/b.yaml"]).warnings
    assert "sub/b.yaml" == warning.path
    with pytest.raises(UsageError, match="no such file"):
        load(root, only_paths=[root / "d.yaml"])
    with pytest.raises(UsageError, match="is not in the project"):
        load(root, only_paths=[tmp_path.parent])


def test_a_chosen_file_is_checked_with_the_specs_that_it_names(tmp_path, monkeypatch):
    """Files whose specs are not referenced, directly or indirectly, are not read as specs."""
    root = write(
        tmp_path,
        {
            "alone.yaml": batch("alone"),
            "first.yaml": batch("first", "dependsOn: [{name: second}]"),
            "second.yaml": batch("second", "dependsOn: [{name: third}]"),
            "third.yaml": batch("third", "dependsOn: [{name: first}]"),
            "missing.yaml": batch("missing", "dependsOn: [{name: alnoe}]"),
            "broken.yaml": "kind: [",
        },
    )
    reads: list[str] = []
    real = SpecReader.read

    def read(self: SpecReader, view: View) -> ReadSpec:
        reads.append(view.source.path)
        return real(self, view)

    monkeypatch.setattr(SpecReader, "read", read)
    assert 1 == load(root, only_paths=[root / "alone.yaml"]).count
    assert ["alone.yaml"] == reads
    reads.clear()
    (cycle,) = problems(root, only_paths=[root / "first.yaml"])
    assert "dependency cycle: first → second → third → first" in cycle
    assert {"first.yaml", "second.yaml", "third.yaml"} == set(reads)
    (missing,) = problems(root, only_paths=[root / "missing.yaml"])
    assert "there is no spec alnoe; did you mean alone?" in missing


def digest_of(root: Path, text: str, path: str = "a.yaml") -> str:
    """Returns the digest of the only spec in a project that has one file."""
    for old in root.glob("**/*.yaml"):
        old.unlink()
    for old in root.glob("**/*.json"):
        old.unlink()
    return desired(write(root, {path: text})).digest


SAME = {
    "comments": (batch().replace("spec:", "# why\nspec: # what"), "a.yaml"),
    "quotes": (batch().replace("jobQueue: queue", "\"jobQueue\": 'queue'"), "a.yaml"),
    "file": (batch(), "deep/er/b.yml"),
    "order": (batch().replace("    jobQueue: queue\n", "") + "    jobQueue: queue\n", "a.yaml"),
    "JSON": (dumped(wrapped({"jobQueue": "queue", "jobDefinition": "definition"})), "a.json"),
    "labels": (batch().replace("name: job", "name: job\n  labels: {a: b}\n  annotations: {c: d}"), "a.yaml"),
    "policy": (batch(policy="backoffSeconds: 5\ndeletionPolicy: Cancel\nsuspend: true"), "a.yaml"),
    "schedule": (batch(policy='schedule: "0 2 * * *"'), "a.yaml"),
    "tags": (batch(request="tags: {a: b}"), "a.yaml"),
    "jobName": (batch(request="jobName: other"), "a.yaml"),
    "revision of 1": (batch(policy="revision: 1"), "a.yaml"),
    "BOM and CRLF": ("\ufeff" + batch().replace("\n", "\r\n"), "a.yaml"),
}


@pytest.mark.parametrize(("text", "path"), SAME.values(), ids=SAME)
def test_cosmetic_changes_keep_the_digest(tmp_path, text, path):
    """Comments, quotes, order, file, format, labels, policy, tags and names do not affect a digest."""
    expected = digest_of(tmp_path, batch())
    assert expected == digest_of(tmp_path, text, path)


COMMANDS = st.lists(st.text(alphabet="ab -=$\u00e9\"'\\\n#:", min_size=1, max_size=6), min_size=1, max_size=4)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(COMMANDS, COMMANDS)
def test_any_change_of_an_argument_changes_the_digest(tmp_path, one, other):
    """Two commands have the same digest only if they are equal. Commands are not changed when they are read."""

    def spec(command: list[str]) -> str:
        request = {"jobQueue": "q", "jobDefinition": "d", "containerOverrides": {"command": command}}
        return digest_of(tmp_path, dumped(wrapped(request)), "a.json")

    first = spec(one)
    assert one == desired(tmp_path).request["containerOverrides"]["command"]
    assert (one == other) == (first == spec(other))


def test_requests_that_grow_without_bound_are_refused(tmp_path):
    """Neither aliases nor variables can turn a small file into a request that fills the memory."""
    # a long text with many aliases, and a long variable that is used many times
    long = "x" * 10_000
    aliased = batch("a", request=f"parameters: {{k: &k {long}, {', '.join(f'k{i}: *k' for i in range(200))}}}")
    entries = ", ".join(f"k{i}: '${{var.long}}${{var.long}}'" for i in range(200))
    used = batch("b", request=f"parameters: {{{entries}}}")
    project = PROJECT.replace("bucket: acme", f"bucket: acme, long: {long}")
    # both are problems at the first value that exceeds the limit
    first, second = problems(write(tmp_path, {"a.yaml": aliased, "b.yaml": used}, project=project))
    assert first.endswith(": aliases expand to more than 1,048,576 characters")
    assert second.endswith("k52: the values of placeholders make the request larger than 1 MiB")
    assert second.startswith("b.yaml:9:")
