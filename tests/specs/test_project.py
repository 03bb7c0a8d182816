"""The project file."""

from reconciler.model.project import Target
from reconciler.specs.project import read_project
from tests.campaigns import in_one_test
from tests.specs.builders import PROJECT, batch, problems, warnings, write

HEAD = "apiVersion: reconciler/v1\nkind: Project\nmetadata: {name: p}\n"
LOCAL = "targets: {local: {emulator: true}}"


def project(spec: str, head: str = HEAD) -> str:
    """Returns a project file with these lines as its `spec:`."""
    return head + "spec:\n" + "".join(f"  {line}\n" for line in spec.splitlines())


def test_targets_and_variables(tmp_path):
    """A target's variables override the project's, and all values keep their text as written."""
    text = project(
        "vars: {a: 1.10, b: on, c: 7, d: 2026-11-22, e: 'x', f: true, g: '$${x}'}\n"
        "targets: {local: {emulator: true, vars: {a: 0x1F}}}"
    )
    read = read_project(write(tmp_path, project=text)).project
    expected = {"a": "0x1F", "b": "on", "c": "7", "d": "2026-11-22", "e": "x", "f": "true", "g": "${x}"}
    assert expected == read.variables("local")


def test_the_emulator_needs_no_account(tmp_path):
    """An emulator target has a default account, region and ledger, which the file can override."""
    read = read_project(write(tmp_path)).project
    local = read.target("local")
    expected = ("000000000000", "us-east-1", "sqlite:///.reconciler/local.sqlite")
    assert expected == (local.account, local.region, local.ledger)
    assert "dynamodb://ledger" == read.target("prod").ledger
    assert (True, False) == (local.is_emulator, read.target("prod").is_emulator)


def test_emulator_settings(tmp_path):
    """An emulator's settings are a mapping, or the defaults."""
    text = project("targets: {a: {emulator: {runSeconds: 5, outcomes: {job: Failed}}}, b: {emulator: true}}")
    read = read_project(write(tmp_path, project=text)).project
    assert (5, {"job": "Failed"}) == (
        read.target("a").emulator_settings.runSeconds,
        read.target("a").emulator_settings.outcomes,
    )
    assert {} == read.target("b").emulator_settings.outcomes


WRONG = {
    "no file": (None, ["1:1: cannot read this file: no such file or directory"]),
    "empty": ("", ["1:1: expected one document, got 0"]),
    "two": (PROJECT + "---\n" + PROJECT, ["10:1: expected one document, got 2"]),
    "not YAML": ("a: [\n", None),
    "no apiVersion": ("kind: Project\n", ["1:1: expected apiVersion: reconciler/v1"]),
    "a list": ("[]", ["1:1: expected apiVersion: reconciler/v1"]),
    "another version": (project(LOCAL, HEAD.replace("v1", "v9")), ["1:13: apiVersion: expected reconciler/v1, got"]),
    "no targets": (project("targets: {}"), ["5:12: spec.targets must have at least 1 entry, got 0"]),
    "account as a number": (
        project("targets:\n  prod: {account: 111122223333, region: eu-west-1, ledger: sqlite:///l}"),
        [
            "6:21: spec.targets.prod.account: expected a string, got 111122223333 (a number): "
            'write "111122223333" in quotes'
        ],
    ),
    "missing": (
        project("targets:\n  prod:\n    account: '111122223333'"),
        [
            "7:7: spec.targets.prod.ledger is missing: only emulator targets may omit it",
            "7:7: spec.targets.prod.region is missing: only emulator targets may omit it",
        ],
    ),
    "misspelt": (
        project("targets: {local: {emulatr: true}}"),
        [
            "5:21: unknown field spec.targets.local.emulatr; did you mean emulator?",
        ],
    ),
    "default target": (
        project("defaultTarget: locl\n" + LOCAL),
        ["5:18: spec.defaultTarget: there is no target locl; did you mean local?"],
    ),
    "default target far off": (
        project("defaultTarget: staging\n" + LOCAL),
        ["5:18: spec.defaultTarget: there is no target staging; the targets are local"],
    ),
    "ledger": (
        project("targets: {local: {emulator: true, ledger: 'postgres://x'}}"),
        ["5:45: spec.targets.local.ledger: a ledger is sqlite:///PATH, s3://BUCKET/PREFIX or dynamodb://TABLE"],
    ),
    "emulator's ledger": (
        project("targets: {local: {emulator: true, ledger: 's3://bucket/x'}}"),
        ["5:45: spec.targets.local.ledger: the emulator's ledger is a local file: sqlite:///PATH"],
    ),
    "evaluated variable": (
        project("vars: {a: 's3://${var.b}'}\n" + LOCAL),
        ["5:13: spec.vars.a: variables cannot contain placeholders: write $${ for a literal ${"],
    ),
    "variable's name": (project("vars: {1a: x}\n" + LOCAL), ['5:10: spec.vars["1a"]: a variable']),
    "list as variable": (project("vars: {a: [1]}\n" + LOCAL), ["5:13: spec.vars.a: expected a string, got a list"]),
    "target's name": (project("targets: {Prod_1: {emulator: true}}"), ["5:13: spec.targets.Prod_1: a name is 1 to 63"]),
    "glob": (
        project("specs: [../x/*.yaml, '/abs/*', '{a,b}.yaml']\n" + LOCAL),
        [
            "5:11: spec.specs[0]: ../x/*.yaml: a pattern must be relative to the project folder",
            "5:24: spec.specs[1]: /abs/*: a pattern must be relative to the project folder",
        ],
    ),
    "suspend": (project("suspend: yes\n" + LOCAL), ["5:12: spec.suspend: expected true or false: write true"]),
    "until": (
        project("suspend: {until: '2026-12-01T00:00:00'}\n" + LOCAL),
        ["5:20: spec.suspend.until: '2026-12-01T00:00:00' has no time zone: add Z for UTC"],
    ),
    "until a day": (
        project("suspend: {until: soon}\n" + LOCAL),
        ["5:20: spec.suspend.until: 'soon' is not an ISO 8601 time"],
    ),
    "limits": (
        project("targets: {local: {emulator: true, limits: {maxSubmissions: -1}}}"),
        ["5:62: spec.targets.local.limits.maxSubmissions must be at least 0"],
    ),
    "rates": (
        project("targets: {local: {emulator: true, rates: {StartJobRun: {perSecond: 0, burst: x}}}}"),
        [
            "5:70: spec.targets.local.rates.StartJobRun.perSecond must be more than 0",
            '5:80: spec.targets.local.rates.StartJobRun.burst: expected an integer, got "x"',
        ],
    ),
}


@in_one_test(("text", "expected"), WRONG.values(), ids=WRONG)
def test_every_problem_of_the_project_file_has_its_location(tmp_path, text, expected):
    """Every problem of the project file is reported at its location, and no specs are read."""
    write(tmp_path, {"job.yaml": "not read"}, project=text or "")
    if text is None:
        (tmp_path / "reconciler.yaml").unlink()
    lines = problems(tmp_path)
    assert all(line.startswith("reconciler.yaml:") for line in lines)
    for line, start in zip(lines, expected or lines, strict=True):
        assert line.removeprefix("reconciler.yaml:").startswith(start.removeprefix("reconciler.yaml:"))


def test_a_pattern_without_files_warns(tmp_path):
    """A pattern that matches no file causes a warning."""
    text = project("specs: ['jobs/*.yaml', '*.{yml,yaml}']\n" + LOCAL)
    write(tmp_path, {"a.yaml": batch()}, project=text)
    assert ["reconciler.yaml:5:11: spec.specs[0]: no file matches jobs/*.yaml"] == warnings(tmp_path)


@in_one_test(
    ("target", "overridden", "safe"),
    [
        (Target(settleSeconds=1500), False, True),
        (Target(settleSeconds=1499), False, False),
        (Target(settleSeconds=1500, claimSeconds=31), False, False),
        (Target(settleSeconds=1770, claimSeconds=300), False, True),
        (Target(settleSeconds=1500, claimSeconds=1), False, True),
        (Target(settleSeconds=1), True, True),
        (Target(settleSeconds=1, emulator=True), False, True),
        (Target(settleSeconds=1, allowUnsafeSettling=True), False, True),
    ],
)
def test_unsafe_settling(target, overridden, safe):
    """A short settleSeconds is a problem in AWS, unless the target allows it."""
    problem = target.settling_problem(overridden=overridden)
    assert safe == (problem is None)
    assert safe or "allowUnsafeSettling" in str(problem)


def test_a_region_that_does_not_exist_warns(tmp_path):
    """A region that does not exist causes a warning that suggests an existing one. An existing region causes no
    warning."""
    project = PROJECT.replace("region: eu-west-1", "region: eu-west-9")
    (line,) = warnings(write(tmp_path, {"a.yaml": batch()}, project))
    assert line.startswith(
        "reconciler.yaml:8:45: spec.targets.prod.region: there is no AWS region eu-west-9; did you mean"
    )
    assert warnings(write(tmp_path, {"a.yaml": batch()}, PROJECT.replace("eu-west-1", "cn-north-1"))) == []


def test_placeholders_in_the_project_file(tmp_path):
    """If a field refuses a placeholder, or a text keeps it, the message says that the placeholder is not replaced."""
    project = PROJECT.replace('"111122223333"', '"${ACCOUNT}"')
    (line,) = problems(write(tmp_path, project=project))
    assert line.endswith("; placeholders are for text of the request; this is outside of it: write the value itself")
    project = PROJECT.replace('"dynamodb://ledger"', '"sqlite:///${HOME}/x"')
    (line,) = warnings(write(tmp_path, {"a.yaml": batch()}, project))
    assert "prod.ledger: placeholders are for text of the request: this one is not replaced" in line


def test_a_region_in_another_spelling(tmp_path):
    """A region with wrong capitals or separators is an error that suggests the intended region."""
    (line,) = problems(write(tmp_path, project=PROJECT.replace("eu-west-1", "EU_WEST_1")))
    assert line.endswith("there is no AWS region EU_WEST_1; did you mean eu-west-1?")
