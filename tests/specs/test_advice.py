"""Tests what messages suggest for mistakes: the right place of a field, another structure, or another spelling. Each
case contains the text of a mistake and a part of the expected message."""

from __future__ import annotations

from tests.campaigns import in_one_test
from tests.specs.builders import PROJECT, batch, problems, warnings, write

EMR = """\
apiVersion: reconciler/v1
kind: EmrServerlessJobRun
metadata:
  name: job
spec:
  request:
    applicationId: 00f1abcdefgh0001
    executionRoleArn: arn:aws:iam::111122223333:role/emr
    jobDriver:
      sparkSubmit:
        entryPoint: s3://acme/x.py
"""
POLICY = {
    "retries: 3": "unknown field spec.retries; did you mean backoffLimit?",
    "timeout: 60": "did you mean spec.request.timeout?",
    "activeDeadlineSeconds: 60": "did you mean spec.request.timeout.attemptDurationSeconds?",
    "cron: x": "did you mean schedule?",
    "tz: UTC": "did you mean timeZone?",
    "labels: {a: b}": "did you mean metadata.labels?",
    "name: x": "did you mean metadata.name?",
    "tags: {a: b}": "did you mean spec.request.tags?",
    "env: []": "did you mean spec.request.containerOverrides.environment?",
    "xyz: 5": "expected one of revision, targets,",
    "suspend: because": 'expected true or false, got "because"; a mapping has reason, owner, until',
    "dependsOn: other": 'expected a list, got "other": write [{name: "other"}]',
    "dependsOn: [other]": 'expected a mapping, got "other": write {name: "other"}',
    "dependsOn: {name: other}": "put - before its first field",
    "revision: 1.0": "expected an integer, got 1.0 (a number): write 1",
    "schedule: ['0 2 * * *']": 'write "0 2 * * *", without brackets',
    "restartPolicy: Never": 'expected OnFailure or Always, got "Never"; did you mean OnFailure?',
    "deletionPolicy: Retain": "did you mean Orphan?",
    "concurrencyPolicy: Queue": "did you mean Forbid?",
    "max_active_runs: 1": "did you mean concurrencyPolicy?",
    "jobTemplate: {}": "did you mean request?",
    "dependsOn: {a: {condition: Completed}}": 'write [{name: "a", condition: "Completed"}]; each entry has',
}
BATCH_REQUEST = {
    "schedule: x": "unknown field spec.request.schedule; did you mean spec.schedule?",
    "env: []": "did you mean spec.request.containerOverrides.environment?",
    "vcpus: 2": "did you mean spec.request.containerOverrides.vcpus?",
    "arraySize: 5": "did you mean arrayProperties?",
    "overrides: {command: [a]}": "unknown field spec.request.overrides; did you mean containerOverrides?",
    "image: x": "unknown field spec.request.image; expected one of jobName,",
    "completions: 3": "did you mean arrayProperties?",
    "jobDriver: {}": "it is a field of EmrServerlessJobRun, and the kind is BatchJob",
    "containerOverrides: {env: []}": "did you mean environment?",
    "containerOverrides: {timeout: {}}": "did you mean spec.request.timeout?",
    "containerOverrides: {name: x}": "expected one of vcpus, memory,",
    "containerOverrides: {environment: {A: b, C: 5}}": 'write [{name: "A", value: "b"}, {name: "C", value: "5"}]',
    "containerOverrides: {environment: ['A=b']}": 'write {name: "A", value: "b"}',
    "containerOverrides: {environment: {DB_PASSWORD: hunter2}}": "expected a list, got a mapping; each entry has name",
    "containerOverrides: {resourceRequirements: {VCPU: 2}}": 'write [{type: "VCPU", value: "2"}]',
    "timeout: 3600": "write {attemptDurationSeconds: 3600}",
    "arrayProperties: 10": "write {size: 10}",
    "dependsOn: [other]": 'write {spec: "other"}',
    "tags: [{Key: team, Value: b}]": 'write {team: "b"}',
    "tags: ['team=b']": 'write {team: "b"}',
    "parameters: team=b": 'write {team: "b"}',
    "jobQueue: other": "duplicate key jobQueue: remove one of them (the other is in line 7)",
    "jobName: {{ .Values.name }}": "a text that begins with {{ must be in quotes; templates are not evaluated here",
}
EMR_REQUEST = {
    "entryPoint: s3://a/b.py": "did you mean spec.request.jobDriver.sparkSubmit.entryPoint?",
    "timeout: 60": "did you mean executionTimeoutMinutes?",
    "logUri: s3://a/b": "did you mean spec.request.configurationOverrides.monitoringConfiguration.s3Monitoring",
    "flexExecution: true": "expected a mapping, got true (a boolean): write {enabled: true}",
    "retryPolicy: 3": "write {maxAttempts: 3}",
    "configurationOverrides: {monitoringConfiguration: {s3MonitoringConfiguration: s3://a/b}}": 'write {logUri: "s3://a/b"}',
    '    entryPointArguments: \'["--day", "x"]\'': 'write ["--day", "x"]',
    "    entryPointArguments: [{--day: 5}]": 'if it is one text, write "--day: 5" in quotes',
    "    args: [a]": "did you mean entryPointArguments?",
    "configurationOverrides: {applicationConfiguration: {spark-defaults: {a: 4}}}": (
        'write [{classification: "spark-defaults", properties: {"a": "4"}}]; each entry has'
    ),
    "configurationOverrides: {applicationConfiguration: {a: {b.password: hunter2}}}": "expected a list, got a mapping;",
    "jobQueue: q": "it is a field of BatchJob, and the kind is EmrServerlessJobRun",
    "    sparkSubmitParameters: [--conf a=b, --conf c=d]": "expected a string, got a list",
    "    mainClass: x": "did you mean sparkSubmitParameters?",
    "    sparkSubmitParameters: [--conf, a=b]": 'expected a string, got a list: write "--conf a=b"',
}
DOCUMENT = {
    batch() + "schedule: x\n": "unknown field schedule; did you mean spec.schedule?",
    batch() + "name: x\n": "unknown field name; did you mean metadata.name?",
    batch().replace(
        "  name: job", "  name: job\n  suspend: true"
    ): "unknown field metadata.suspend; did you mean spec.",
    batch().replace("apiVersion", "apiversion"): "write apiVersion: reconciler/v1, not apiversion: reconciler/v1",
    batch().replace("reconciler/", "Reconciler/"): "write apiVersion: reconciler/v1, not apiVersion: Reconciler/v1",
    batch().replace("apiVersion: reconciler/v1\n", ""): "apiVersion is missing: write apiVersion: reconciler/v1",
    batch().replace("apiVersion: reconciler/v1\nkind: BatchJob", "kind: [x]"): "not a spec",
    '{"JobName": "x", "JobQueue": "q", "JobDefinition": "d"}': "it is a request of BatchJob without a spec",
    "applicationId: x\nexecutionRoleArn: y\n": "it is a request of EmrServerlessJobRun without a spec",
}
CASES = {
    **{batch(policy=text): part for text, part in POLICY.items()},
    **{batch(request=text): part for text, part in BATCH_REQUEST.items()},
    **{EMR + f"    {text}\n": part for text, part in EMR_REQUEST.items()},
    **DOCUMENT,
}


@in_one_test(("text", "part"), CASES.items(), ids=map(str, range(len(CASES))))
def test_the_first_problem_proposes_what_to_write(tmp_path, text, part):
    """The message for each mistake has one suggestion and contains no secret."""
    lines = problems(write(tmp_path, {"a.yaml": text}))
    assert part in lines[0]
    assert "hunter2" not in "".join(lines)


def test_an_arn_instead_of_an_id_is_shortened(tmp_path):
    """The message contains the id, which is the last part of the ARN."""
    arn = "arn:aws:emr-serverless:eu-west-1:111122223333:/applications/00f1abcdefgh0001"
    lines = problems(write(tmp_path, {"a.yaml": EMR.replace("00f1abcdefgh0001", arn)}))
    assert lines[0].endswith("it is an ARN, and only its last part is expected: write 00f1abcdefgh0001")


def test_settings_that_spark_refuses_are_warnings_at_their_place(tmp_path):
    """A warning about a setting is located at the setting, also in a mapping, which is sent as a string."""
    emr = (
        EMR
        + """\
        sparkSubmitParameters:
          conf:
            spark.executor.memory: 4Gi
    configurationOverrides:
      applicationConfiguration:
      - classification: spark-defaults
        properties: {spark.executor.cores: "4.0"}
"""
    )
    mapping = "spec.request.jobDriver.sparkSubmit.sparkSubmitParameters.conf"
    properties = "spec.request.configurationOverrides.applicationConfiguration[0].properties"
    setting = "spark.executor.memory"
    assert [
        f'a.yaml:14:36: {mapping}["{setting}"]: {setting} is a whole number and a unit: write 4g',
        f'a.yaml:18:44: {properties}["spark.executor.cores"]: spark.executor.cores is a whole number: write 4',
    ] == warnings(write(tmp_path, {"a.yaml": emr}))


PROJECTS = {
    "prices: {vCPUHour: '0.04'}": "expected a number: write 0.04 without quotes",
    "prices: {vCPUHour: 4e-2}": "got 4e-2 (a number): write 0.04",
    "rates: {SubmitJob: 5}": "write {perSecond: 5}",
    "vars: [{name: bucket, value: acme}]": 'write {bucket: "acme"}',
    "vars: {bucket: '${target.name}'}": "variables cannot contain placeholders: write $${ for a literal ${",
    "region: ${var.region}": "expected ',' or '}'",
    "ledger: s3:/acme/x": "did you mean s3://acme/x?",
    "ledger: ledger.db": "did you mean sqlite:///ledger.db?",
    "ledger: sqlite:ledger.db": "did you mean sqlite:///ledger.db?",
    "ledger: 'arn:aws:dynamodb:eu-west-1:111122223333:table/runs'": "did you mean dynamodb://runs?",
    "ledger: gs://a/b": 's3://BUCKET/PREFIX or dynamodb://TABLE; got "gs://a/b"',
}


@in_one_test("text", PROJECTS)
def test_problems_of_the_project_file_propose_what_to_write(tmp_path, text):
    """Messages about the values of a target have the same suggestions."""
    lines = problems(write(tmp_path, project=PROJECT.replace("{emulator: true,", f"{{{text}, emulator: true,", 1)))
    assert PROJECTS[text] in lines[0]
    assert lines[0].count("placeholders") < 2


def test_variables_with_secrets_and_misspelt_quotas_are_warned_of(tmp_path):
    """Variables have no effect on masking, so a warning is the only notice of a secret in one."""
    text = PROJECT.replace("day: 1.10", "day: 1.10, db_password: hunter2, secret_name: prod/db")
    text = text.replace("{emulator: true,", "{rates: {submitJob: {perSecond: 1, burst: 1}}, emulator: true,", 1)
    lines = warnings(write(tmp_path, {"a.yaml": batch()}, text))
    assert [line.split(": ", 2)[1] for line in lines] == [
        "spec.vars.db_password",
        "spec.targets.local.rates.submitJob",
    ]
    assert "did you mean SubmitJob?" in lines[1]
    assert "hunter2" not in "".join(lines)


def test_entries_with_the_same_name_are_warned_of(tmp_path):
    """Only one of two variables or requirements of the same name has an effect."""
    request = (
        "containerOverrides: {environment: [{name: A, value: b}, {name: B, value: b}, {name: A, value: c}], "
        "resourceRequirements: [{type: VCPU, value: '1'}, {type: VCPU, value: '2'}]}"
    )
    lines = warnings(write(tmp_path, {"a.yaml": batch(request=request)}))
    assert [line.rpartition("spec.request.containerOverrides.")[2] for line in lines] == [
        "environment[2].name: environment[0] has the same name: remove one of them",
        "resourceRequirements[1].type: resourceRequirements[0] has the same type: remove one of them",
    ]
