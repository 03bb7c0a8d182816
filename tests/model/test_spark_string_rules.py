"""Tests the warnings about mistakes in the string of Spark parameters. Each warning contains the wrong word and the
correction."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.base import Remark
from reconciler.model.emr_serverless.spark_parameters import ALL, NO_RUN, NOT_TAKEN
from reconciler.model.emr_serverless.spark_string_rules import MOST
from tests.campaigns import examples, in_one_test
from tests.model.requests import EMR, emr, rows, sent, spark

NBSP, ZERO_WIDTH = "\N{NO-BREAK SPACE}", "\N{ZERO WIDTH SPACE}"
BACKSLASH = "\\"


def remarks(parameters: str) -> list[Remark]:
    """Returns the warnings about a string."""
    return list(EMR.warn(sent(EMR, spark(sparkSubmitParameters=parameters))))


MISTAKES = [
    # values that Spark refuses
    ("--conf spark.executor.memory=4Gi", "spark.executor.memory=4Gi", "is a whole number and a unit: write 4g"),
    ("--executor-memory 1.5g", "1.5g", "--executor-memory is a whole number and a unit: write 1536m"),
    ("--conf spark.driver.memory=4", "spark.driver.memory=4", "needs at least 450 MiB: write 4g"),
    ("--executor-cores 4.5", "4.5", "--executor-cores is a whole number, such as 4"),
    ("--conf spark.speculation.enabled=yes", "spark.speculation.enabled=yes", "is true or false: write true"),
    ("--conf spark.x=1 --conf spark.x=2", "spark.x=2", "spark.x is set twice, and the last value counts"),
    # unbalanced quotes
    ('--conf spark.x="a b', "spark.x=", "unbalanced double quote"),
    ("--conf spark.x='a b --class c", "spark.x=", "unbalanced single quote"),
    ('--class a.B" --conf spark.x=1', "a.B", "unbalanced double quote"),
    ("--conf spark.x=1,spark.y=2 --class c", "spark.x=1,spark.y=2", "a --conf has one setting: write another --conf"),
    # made by word processors
    ("––conf spark.x=1", "––conf", "an en dash is not an option's dash: write --conf"),
    ("–conf spark.x=1", "–conf", "an en dash is not an option's dash: write --conf"),
    ("—class a.B", "—class", "an em dash is not an option's dash: write --class"),
    ("--conf spark.x=1 -–jars a.jar", "-–jars", "an en dash is not an option's dash: write --jars"),
    ('--conf spark.x="-XX:+A –Db=c"', "–Db=c", "an en dash is not an option's dash: write - instead"),
    ("--conf spark.x=−5", "−5", "a minus sign is not an option's dash: write - instead"),
    ("--conf “spark.x=a b”", "“spark.x=a", 'typographic quotes are part of the value: write " instead'),
    ("--conf spark.x=‘a b’ --class c", "‘a", "typographic quotes are part of the value"),
    ("--conf spark.x=«a»", "«a»", "typographic quotes are part of the value"),
    (f"--conf{NBSP}spark.x=1", NBSP, "a non-breaking space does not separate words: write an ordinary space"),
    (f"--class a.B{ZERO_WIDTH}", ZERO_WIDTH, "an invisible character (U+200B) is part of the word: remove it"),
    # quotes that EMR Serverless does not read
    ("--conf spark.x='a b'", "spark.x=", "does not read single quotes, they are part of the value"),
    ("--conf 'spark.x=a b'", "spark.x=a", "does not read single quotes"),
    (f'--conf spark.x={BACKSLASH}"a b{BACKSLASH}"', "spark.x=", "the backslash before a quote is part of the value"),
    (f'--conf spark.x="a {BACKSLASH}"b{BACKSLASH}" c"', "spark.x=", "classification spark-defaults"),
    ('"--conf spark.x=1"', "--conf", "quote only the value"),
    # = with spaces
    ("--conf spark.x = 1", "spark.x", "= with spaces around it: write spark.x=VALUE without spaces"),
    ("--conf spark.x= 1", "spark.x=", "= with spaces around it"),
    ("--conf spark.x =1 --class a", "spark.x", "= with spaces around it"),
    ("--conf = spark.x=1", "--conf", "spaces around = after --conf: write --conf KEY=VALUE"),
    ("--class= a.B", "--class=", "spaces around = after --class: write --class VALUE"),
    # --conf without KEY=VALUE
    (
        "--conf spark.executor.memory 4g",
        "spark.executor.memory",
        "wants KEY=VALUE: write spark.executor.memory=",
    ),
    ("--conf spark.x", "spark.x", "--conf wants KEY=VALUE"),
    ("-c spark.x:1 --class a", "spark.x:1", "--conf wants KEY=VALUE: write spark.x=VALUE"),
    ('--conf "spark.x 1"', "spark.x", "--conf wants KEY=VALUE: write spark.x=VALUE"),
    # values with spaces and no quotes
    ("--conf spark.x=-XX:+A -Db=c", "-Db=c", '-Db=c is a word of its own: quote the value, --conf spark.x="VALUE"'),
    ("--conf spark.app.name=My Job --class a", "Job", 'quote the value, --conf spark.app.name="VALUE"'),
    ("--name My Job Of Jobs", "Job", 'quote the value, --name "VALUE"'),
    ("--driver-java-options -XX:+A -Db=c", "-Db=c", 'quote the value, --driver-java-options "VALUE"'),
    ("--conf spark.x=-Da=b --add-opens=java.base/a=b", "--add-opens=java.base/a=b", "which is Java's: quote the value"),
    ("--jars s3://b/a.jar, s3://b/b.jar", "s3://b/b.jar", "write the list of --jars with commas and without spaces"),
    ("--jars s3://b/a.jar ,s3://b/b.jar -v", ",s3://b/b.jar", "write the list of --jars with commas"),
    ("--py-files a.zip b.zip --class c", "b.zip", "write the list of --py-files with commas and without spaces"),
    ("--conf spark.x=1, --conf spark.y=2", "spark.x=1,", "the , at the end is part of the value: remove it"),
    ("--jars s3:/b/a.jar --class c", "s3:/b/a.jar", "s3:// has two slashes"),
    ("--conf spark.jars=s3://<BUCKET>/a.jar", "spark.jars=s3://<BUCKET>/a.jar", "<BUCKET> must be filled in"),
    (
        "--conf executor.memory=4g",
        "executor.memory=4g",
        "spark-submit ignores executor.memory: write spark.executor.me",
    ),
    ("--conf fs.s3.x=1 --class c", "fs.s3.x=1", "or spark.hadoop.fs.s3.x if it is Hadoop's"),
    # unknown options
    ("--config spark.x=1", "--config", "unknown option --config; did you mean --conf?"),
    ("--executor_memory 4g", "--executor_memory", "did you mean --executor-memory?"),
    ("--Class=a.B", "--Class=a.B", "unknown option --Class; did you mean --class?"),
    ("--spark.x=1", "--spark.x=1", "write --conf spark.x=VALUE"),
    ("--confspark.x=1", "--confspark.x=1", "write --conf with a space after it"),
    ("--zzzzzz 1 --class a", "--zzzzzz", "remove it, or write a setting, --conf KEY=VALUE"),
    ("-config spark.x=1", "-config", "unknown option -config; did you mean --conf?"),
    ("-C spark.x=1", "-C", "unknown option -C; did you mean -c?"),
    ("--conf:spark.x=1", "--conf:spark.x=1", "write --conf with a space after it"),
    # one dash, three dashes, or a space after the dashes
    ("-conf spark.x=1", "-conf", "an option has two dashes: write --conf"),
    ("--conf spark.x=1 -class a.B", "-class", "an option has two dashes: write --class"),
    ("---conf spark.x=1", "---conf", "an option has two dashes: write --conf"),
    ("-- conf spark.x=1", "--", "a space after its dashes"),
    # missing values
    ("--class --conf spark.x=1", "--class", "--class has no value, --conf follows: write --class VALUE"),
    ("--conf spark.x=1 --class", "--class", "--class has no value: write --class VALUE, or remove it"),
    ("--conf", "--conf", "--conf has no value: write --conf KEY=VALUE"),
    ("--jars -v", "--jars", "--jars has no value, -v follows"),
    ("--verbose=true", "--verbose=true", "--verbose takes no value: write --verbose"),
    # stray words
    ("spark.x=1 --conf spark.y=2", "spark.x=1", "spark.x=1 belongs to no option: write --conf before it"),
    ("--conf spark.x=1 spark.y=2", "spark.y=2", "spark.y=2 belongs to no option: write --conf before it"),
    ("--conf spark.x=1 spark.y 2", "spark.y", "spark.y belongs to no option: write --conf spark.y=VALUE"),
    ("spark.x: 1 --class a.B", "spark.x:", "spark.x: belongs to no option: write --conf spark.x=VALUE"),
    ("spark-submit --class a.B", "spark-submit", "write only the options of spark-submit"),
    ("--class a.B s3://b/x.jar", "s3://b/x.jar", "belongs to no option: spark-submit treats it as the entry point"),
    ("--conf spark.x=1 s3://b/x.py", "s3://b/x.py", "belongs to no option: spark-submit treats it as the entry point"),
    ("--class a.B 10", "10", "belongs to no option"),
    ("-XX:+UseG1GC", "-XX:+UseG1GC", "unknown option -XX:+UseG1GC: options have two dashes"),
    # line continuations and comments
    (f"--class a.B {BACKSLASH}\n--conf spark.x=1", BACKSLASH, "a backslash at the end of a line is a word of its own"),
    (f"--class a.B {BACKSLASH} --conf spark.x=1", BACKSLASH, "remove it, the string may have several lines without it"),
    (f"--class a.B{BACKSLASH}\n--conf spark.x=1", "a.B", "the backslash after a word is part of it"),
    ("--class a.B ` --conf spark.x=1", "`", "` at the end of a line is a word of its own"),
    ("# memory --conf spark.x=1", "#", "# does not start a comment here"),
    ("--conf spark.x=1 #four cores --class a.B", "#four", "# does not start a comment here"),
    ("--conf spark.x=1\n# --conf spark.y\n--class a.B", "#", "# does not start a comment here"),
]


@in_one_test(("parameters", "word", "message"), MISTAKES, ids=[each[0] for each in MISTAKES])
def test_a_mistake_is_one_warning_at_its_word(parameters: str, word: str, message: str):
    """Each mistake causes exactly one warning, which quotes a word of the string and explains the correction."""
    (remark,) = remarks(parameters)
    assert message in remark.message
    assert word == remark.word
    assert remark.nth < parameters.count(word)
    assert ("jobDriver", "sparkSubmit", "sparkSubmitParameters") == remark.loc


GOOD = [
    '--class a.B --conf spark.x="a b" --conf spark.executor.memory=4g --jars=s3://b/a.jar',
    '--conf "spark.executor.extraJavaOptions=-XX:+UseG1GC -Da=b" -c spark.y=2 -v',
    '--conf spark.driver.extraJavaOptions="-Dx=1 --add-opens=java.base/java.lang=ALL-UNNAMED"',
    '--driver-java-options "--add-opens=java.base/java.lang=ALL-UNNAMED -Dx=1" --class a.B',
    "--driver-java-options -Xss4m --name spark.job",
    "--conf spark.x= --conf spark.y=a=b --conf spark.z=a;b,c",
    "  --conf spark.executor.cores=4\n      --conf spark.executor.memory=16g \n\t--conf spark.driver.cores=4\n",
    "--packages a:b:1,c:d:2 --exclude-packages x:y --repositories https://r --py-files=s3://b/l.zip,s3://b/m.py",
    "--archives s3://b/env.tar.gz#environment --files s3://b/a#b --properties-file s3://b/p",
    '--name "Café – daily" --conf spark.app.name="it’s “fine”" --conf spark.z="select \'a\' from b"',
    "--name it’s --conf spark.path=C:\\jobs\\x --conf spark.day=2024–2025",
    "--executor-cores 4 --executor-memory 8g --driver-memory 4g --driver-cores 2 --proxy-user me",
    '--conf spark.x="" --conf spark.regex=^a.*$',
]


@in_one_test("parameters", GOOD)
def test_a_good_string_has_no_warning(parameters: str):
    """Strings that spark-submit reads as intended cause no warnings."""
    assert [] == remarks(parameters)


def test_several_mistakes_are_all_reported_in_order():
    """All mistakes in a string are reported, from left to right. One mistake does not hide the next one."""
    words = [each.word for each in remarks("--cnf spark.a=1 –jars a.jar --conf spark.b --master yarn spark.c=1")]
    assert ["--cnf", "–jars", "spark.b", "--master", "spark.c=1"] == words


def test_a_repeated_word_is_the_right_one():
    """A warning contains the number of earlier occurrences of its word, so that the right occurrence can be located in
    the file."""
    (remark,) = remarks("--class a.B --conf spark.class=1 --class")
    assert ("--class", 1) == (remark.word, remark.nth)


@in_one_test("option", sorted(NOT_TAKEN))
def test_options_for_other_clusters_are_reported(option: str):
    """Warnings about options that select another cluster manager, or need one, suggest an alternative."""
    value = "" if option == "supervise" else " x"
    (remark,) = remarks(f"--{option}{value} --conf spark.x=1")
    assert f"--{option} has no place here: EMR Serverless chooses the cluster itself" in remark.message


@in_one_test("option", sorted(NO_RUN))
def test_options_that_run_nothing_are_reported(option: str):
    """Options that only print information, or that control another submission, run no job."""
    value = " x" if option in {"kill", "status"} else ""
    (remark,) = remarks(f"--conf spark.x=1 --{option}{value}")
    assert "runs nothing: remove it" in remark.message


def test_a_mapping_is_checked_as_it_is_sent():
    """A mapping has no quoting mistakes. Its options are checked in the same way as the options in a string."""
    good = {"conf": {"spark.x": "-XX:+A -Db=c", "spark.y": "#a", "spark.z": ""}, "class": "a.B", "jars": ["a", "b"]}
    assert not EMR.warn(EMR.from_spec(spark(sparkSubmitParameters=good)))
    (remark,) = EMR.warn(EMR.from_spec(spark(sparkSubmitParameters={"master": "yarn"})))
    assert "--master has no place here" in remark.message


def test_a_request_without_parameters_has_no_warning():
    """A Hive driver is not checked, and neither is a driver without parameters."""
    assert not EMR.warn(emr())
    assert not EMR.warn(emr(jobDriver={"hive": {"query": "s3://b/q.sql"}}))


def driver_string(case: dict[str, Any]) -> str | None:
    """Returns the string of Spark parameters in a case of the corpus, if the case is about them or is known to be
    valid."""
    driver = case.get("request", {}).get("jobDriver", {}).get("sparkSubmit", {})
    parameters = driver.get("sparkSubmitParameters")
    about = case.get("id", "").startswith("ssp-") or "verdict" in case
    return parameters if about and isinstance(parameters, str) else None


CASES = [each for each in rows("field", "emr_serverless") if driver_string(each) is not None]


@pytest.mark.skipif(not CASES, reason="the corpus is not here")
@in_one_test("case", CASES, ids=lambda case: case["id"])
def test_strings_from_the_field(case: dict[str, Any]):
    """Real strings cause no warnings, and each of the collected mistakes causes the expected warning."""
    messages = [remark.message for remark in remarks(driver_string(case) or "")]
    if case.get("want") == "warning":
        assert any(case["say"] in message for message in messages)
    else:
        assert [] == messages


PIECES = [*"ab=\"'\\#,–“” \n-", "--conf", " spark.x=1", "--", *sorted(ALL)]


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_any_string_is_read(parameters: str):
    """Any string causes a limited number of warnings, and each quotes a word of the string."""
    made = remarks(parameters)
    assert len(made) <= MOST
    assert all(remark.word in parameters and parameters.count(remark.word) > remark.nth for remark in made)
