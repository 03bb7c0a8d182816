"""Tests Spark's options: a mapping is converted to the single string that AWS expects, and a string is shown as
separate settings."""

from __future__ import annotations

import shlex
from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.base import SourceFloat, Unquoted
from reconciler.model.emr_serverless.spark_parameters import OPTIONS
from reconciler.model.emr_serverless.spark_parameters import settings as taken_apart
from reconciler.model.kind import RequestProblems
from tests.campaigns import in_one_test
from tests.model.requests import EMR, emr, spark

PARAMETERS = ("jobDriver", "sparkSubmit", "sparkSubmitParameters")


def rendered(parameters: Any) -> str:
    """Returns the string for a mapping."""
    text = EMR.from_spec(spark(sparkSubmitParameters=parameters))["jobDriver"]["sparkSubmit"]["sparkSubmitParameters"]
    assert isinstance(text, str)
    return text


def remarks(parameters: Any) -> dict[Any, str]:
    """Returns the problems of a mapping, by path below `sparkSubmitParameters`."""
    with pytest.raises(RequestProblems) as raised:
        EMR.from_spec(spark(sparkSubmitParameters=parameters))
    assert {PARAMETERS} == {remark.loc[:3] for remark in raised.value.remarks}
    return {remark.loc[3:]: remark.message for remark in raised.value.remarks}


TEXTS = st.text(st.characters(exclude_characters="'\"\\\t\n\r\v\f", exclude_categories=["Cs"]), max_size=20)
"""Values that can be written in a mapping."""


def shown(parameters: str, **fields: Any) -> dict[str, Any]:
    """Returns the driver in the form that diffs show."""
    driver: dict[str, Any] = EMR.for_display(spark(sparkSubmitParameters=parameters, **fields))["jobDriver"][
        "sparkSubmit"
    ]
    return driver


def test_a_mapping_becomes_the_string():
    """Options are sorted by name, and settings by key. Lists are joined with commas, and flags have no value."""
    expected = (
        "--class com.acme.Main --conf spark.driver.cores=2 --conf spark.executor.memory=8g --executor-cores 4 "
        "--jars s3://b/a.jar,s3://b/b.jar --py-files s3://b/x.py --verbose"
    )
    assert expected == rendered(
        {
            "verbose": True,
            "supervise": False,
            "jars": ["s3://b/a.jar", "s3://b/b.jar"],
            "py-files": "s3://b/x.py",
            "files": [],
            "executor-cores": 4,
            "conf": {"spark.executor.memory": "8g", "spark.driver.cores": 2},
            "class": "com.acme.Main",
        }
    )


def test_a_string_stays_as_it_is():
    """If the parameters are a string, the request is returned unchanged."""
    request = spark(sparkSubmitParameters="--conf  b=1   --conf a=2")
    assert request is EMR.from_spec(request)
    assert emr() == EMR.from_spec(emr())


def test_settings_keep_the_text_they_were_written_as():
    """Plain scalars in `conf` keep their text, whatever type YAML gives them."""
    expected = "--conf a=0.60 --conf b=on --conf c=1e3 --conf d=true --conf e= --conf f=7"
    conf = {
        "a": SourceFloat("0.60"),
        "b": Unquoted("on"),
        "c": SourceFloat("1e3"),
        "d": True,
        "e": Unquoted(""),
        "f": 7,
    }
    assert expected == rendered({"conf": conf})


def test_values_with_spaces_are_quoted():
    """A value with spaces is put in double quotes; in a setting, the quotes start after `=`. Other unusual values are
    not put in quotes."""
    expected = '--archives s3://b/e.tar.gz#env --conf x="-Da=1 -Db=2" --conf y=a=b;c --conf z="a=b c" --name "My job"'
    conf = {"x": "-Da=1 -Db=2", "y": "a=b;c", "z": "a=b c"}
    assert expected == rendered({"archives": ["s3://b/e.tar.gz#env"], "conf": conf, "name": "My job"})


def test_values_with_paired_quotes_are_sent_as_0_1_0_sent_them():
    """Specs with these values can be planned and applied as before. `validate` refuses these values and suggests an
    alternative."""
    parameters = {"conf": {"y": 'say "q" twice', "x": "a b"}, "jars": ["a", '"b"']}
    assert """--conf x="a b" --conf 'y=say "q" twice' --jars 'a,"b"'""" == rendered(parameters)
    refused = {remark.loc[3:]: remark.message for remark in EMR.refused(spark(sparkSubmitParameters=parameters))}
    assert {("conf", "y"), ("jars", 1)} == set(refused)
    assert (
        "set y in configurationOverrides.applicationConfiguration, classification spark-defaults"
        in refused["conf", "y"]
    )
    assert "set spark.jars in configurationOverrides.applicationConfiguration" in refused["jars", 1]


@pytest.mark.parametrize(
    ("parameters", "first"),
    [
        ({"conf": {"x": "a b", "y": "c"}, "name": "My job"}, "--conf 'x=a b' --conf y=c --name 'My job'"),
        ({"conf": {"x": "a b", "y": 'say "q"'}}, """--conf 'x=a b' --conf 'y=say "q"'"""),
        ({"conf": {"x": "${run.slot:%Y %m} b"}}, "--conf 'x=${run.slot:%Y %m} b'"),
        ({"conf": {"x": "a"}}, "--conf x=a"),
    ],
    ids=["spaces", "quotes", "slot", "plain"],
)
def test_digests_are_made_from_the_first_form(parameters: Any, first: str):
    """The string of a mapping can be converted to the string that version 0.1.0 sent for the mapping."""
    form = EMR.first_form(EMR.from_spec(spark(sparkSubmitParameters=parameters)))
    assert first == form["jobDriver"]["sparkSubmit"]["sparkSubmitParameters"]


@in_one_test("text", ['--conf "x=a b"', '--conf x="a', "--conf 'x=a b'", '--conf  x="a b"', '--conf x="\\"b"'])
def test_strings_of_no_mapping_have_one_form(text: str):
    """A string that cannot come from a mapping is unchanged, and so is a request without a string."""
    request = spark(sparkSubmitParameters=text)
    assert request is EMR.first_form(request)
    assert EMR.first_form(emr()) == emr()


@given(
    conf=st.dictionaries(st.text("aXYZ09_.-", min_size=1, max_size=9), TEXTS, min_size=1, max_size=4),
    name=TEXTS.filter(bool),
)
def test_splitting_gives_every_word_back(conf: dict[str, str], name: str):
    """Splitting the string returns exactly the expected words, in an order that does not depend on the order of the
    keys."""
    expected = [word for key in sorted(conf) for word in ("--conf", f"{key}={conf[key]}")] + ["--name", name]
    text = rendered({"name": name, "conf": conf})
    assert expected == shlex.split(text)
    assert text == rendered({"conf": dict(reversed(conf.items())), "name": name})
    again = {"entryPoint": "s3://bucket/pi.py", "conf": conf, "parameters": {"--name": name}}
    assert again == shown(text)


WRONG = [
    ({}, (), "has no options"),
    ({"verbose": False, "jars": []}, (), "has no options"),
    ({"jar": "x"}, ("jar",), "did you mean jars?"),
    ({"zzzzzz": "x"}, ("zzzzzz",), "no option --zzzzzz"),
    ({"--class": "X"}, ("--class",), "without their dashes: class"),
    ({"spark.executor.memory": "8g"}, ("spark.executor.memory",), "write it below conf"),
    ({1: "x"}, (1,), "no option --1"),
    ({"class": True}, ("class",), 'write "true" in quotes'),
    ({"class": Unquoted("on")}, ("class",), 'write "on" in quotes'),
    ({"name": SourceFloat("1.10")}, ("name",), 'write "1.10" in quotes'),
    ({"class": None}, ("class",), 'write "null" in quotes'),
    ({"class": ["A"]}, ("class",), "--class takes one string"),
    ({"jars": {"a": "b"}}, ("jars",), "--jars takes a string or a list of strings"),
    ({"jars": ["a", ["b"]]}, ("jars", 1), "--jars takes a string or a list of strings"),
    ({"jars": ["a,b"]}, ("jars", 0), "write each entry by itself"),
    ({"packages": [""]}, ("packages", 0), "none empty"),
    ({"verbose": "yes"}, ("verbose",), "takes no value"),
    ({"conf": ["a=b"]}, ("conf",), "expected a mapping of settings"),
    ({"conf": {"a": ["b"]}}, ("conf", "a"), "takes one value"),
    ({"conf": {"spark": {"x": 1}}}, ("conf", "spark"), "in full"),
    ({"conf": {"a": None}}, ("conf", "a"), "takes one value"),
    ({"conf": {"a=b": "c"}}, ("conf", "a=b"), "must not contain '=' or white space"),
    ({"conf": {"a b": "c"}}, ("conf", "a b"), "must not contain '=' or white space"),
    ({"conf": {"": "c"}}, ("conf", ""), "must not contain '=' or white space"),
    ({"conf": {"a'b": "c"}}, ("conf", "a'b"), "must not contain quotes or backslashes"),
    ({"conf": {"a": "it's"}}, ("conf", "a"), "does not accept quotes in a value here: set a in configurationOverrides"),
    ({"conf": {"a": '5" disk'}}, ("conf", "a"), "does not accept quotes"),
    ({"conf": {"a": '"C:\\x"'}}, ("conf", "a"), "does not accept quotes"),
    ({"conf": {"a": "C:\\x"}}, ("conf", "a"), "does not accept backslashes in a value here"),
    ({"conf": {"a": "b\nc"}}, ("conf", "a"), "does not accept line breaks or tabs in a value here"),
    ({"name": "it's"}, ("name",), "set spark.app.name in configurationOverrides.applicationConfiguration"),
    ({"queue": "a\\b"}, ("queue",), "set the property in configurationOverrides.applicationConfiguration"),
    ({"jars": ["a", "it's"]}, ("jars", 1), "classification spark-defaults"),
    ({"name": ""}, ("name",), "is empty: add a value, or remove the option"),
]


@in_one_test(("parameters", "loc", "message"), WRONG, ids=[str(case[0]) for case in WRONG])
def test_invalid_mappings_are_refused(parameters, loc, message):
    """A mapping that is empty, or that contains something that spark-submit does not support, is an error at its
    path."""
    assert message in remarks(parameters)[loc]


def test_all_problems_are_reported_together():
    """Two wrong options and one wrong setting are three problems."""
    expected = {("clas",), ("conf", "a b"), ("jars", 0)}
    assert expected == set(remarks({"clas": "X", "conf": {"a b": 1}, "jars": [True]}))


def test_the_request_given_stays_as_it_is():
    """Rendering and displaying do not modify the given request."""
    request = spark(sparkSubmitParameters={"conf": {"a": "b"}})
    before = deepcopy(request)
    EMR.for_display(EMR.from_spec(request))
    assert before == request


def test_a_string_is_shown_as_single_settings():
    """Settings are shown below `conf` and other options below `parameters`, instead of the string."""
    expected = {
        "entryPoint": "s3://bucket/pi.py",
        "conf": {"spark.executor.memory": "8g", "spark.x": "a=b c"},
        "parameters": {"--class": "Main", "--jars": ["a.jar", "b.jar"], "--verbose": True, "--archives": ["e.tgz#env"]},
        "entryPointArguments": ["1"],
    }
    text = (
        "--class Main --conf spark.executor.memory=8g\n  --jars a.jar,b.jar -v --archives=e.tgz#env -c 'spark.x=a=b c'"
    )
    assert expected == shown(text, entryPointArguments=["1"])


def test_repeated_settings_stay_visible():
    """If a setting or an option is repeated, both values are shown, in order."""
    expected = {"conf": {"a": ["1", "2"], "b": "3"}, "parameters": {"--jars": ["x", "y,z"], "--class": "C"}}
    driver = shown("--conf a=1 --conf b=3 --conf a=2 --jars x --class C --jars y,z")
    assert expected == {key: driver[key] for key in expected}


def test_unknown_options_are_shown():
    """The word after an unknown option is its value, unless the word is an option itself."""
    expected = {"--new": "value", "--bare": True, "--last": True}
    assert expected == shown("--new value --bare --last")["parameters"]
    assert "conf" not in shown("--new value")


@in_one_test("text", ["it's", "local.py --class X", "--conf nothing", "--conf", "--class", "-x 1", "-- x", "--=x"])
def test_other_strings_are_shown_whole(text):
    """A string that is not a list of options is shown unchanged."""
    assert text == shown(text)["sparkSubmitParameters"]


def test_a_run_without_spark_is_shown_as_it_is():
    """Without Spark parameters, the request is returned unchanged."""
    request = emr(jobDriver={"hive": {"query": "q"}})
    assert request is EMR.for_display(request)


def test_editors_are_offered_both_forms():
    """The JSON Schema accepts a string, or a mapping with known options only."""
    field = EMR.model.model_json_schema()["$defs"]["SparkSubmit"]["properties"]["sparkSubmitParameters"]
    text, mapping = field["anyOf"]
    expected = sorted(OPTIONS)
    assert expected == list(mapping["properties"])
    assert [text["type"], mapping["type"]] == ["string", "object"]
    assert mapping["additionalProperties"] is False
    assert field["description"]


def test_settings_of_nothing_are_nothing():
    """An empty string has no settings and no options."""
    expected: tuple[dict[str, Any], dict[str, Any]] = ({}, {})
    assert expected == taken_apart("")
