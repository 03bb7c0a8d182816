"""Tests tags: the limit for users, and the reserved keys."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from reconciler.model.kind import user_tag_problems
from tests.model.requests import BATCH, EMR, batch, emr, sent


@pytest.mark.parametrize(("kind", "request_"), [(EMR, emr()), (BATCH, batch())], ids=["emr", "batch"])
def test_the_message_says_how_many_are_left(kind, request_):
    """The message about too many tags includes our tags in the count, and contains the number of tags that the user may
    set."""
    form = sent(kind, {**request_, "tags": {f"k{number}": "v" for number in range(49)}})
    with pytest.raises(ValidationError) as raised:
        kind.model.model_validate(form)
    (error,) = raised.value.errors()
    expected = ("too_many_tags", ("tags",))
    assert expected == (error["type"], error["loc"])
    assert "51 tags" in error["msg"]
    assert "at most 48 can be yours" in error["msg"]


def test_our_prefix_is_reserved():
    """A user's tag that starts with our prefix is refused at its key. Other tags, and tags of the wrong type, are not
    refused here."""
    problems = user_tag_problems(emr(tags={"reconciler:token": "x", "team": "reconciler:x", "reconciler": "y"}))
    expected = [(("tags", "reconciler:token"), "reserved-tag")]
    assert expected == [(problem.loc, problem.rule) for problem in problems]
    assert not user_tag_problems(emr())
    assert not user_tag_problems(emr(tags=["reconciler:x"]))


@pytest.mark.parametrize("kind", [EMR, BATCH], ids=["emr", "batch"])
def test_the_json_schema_allows_48_tags(kind):
    """The JSON Schema is for specs and allows 48 tags."""
    expected = 48
    assert expected == kind.model.model_json_schema()["properties"]["tags"]["maxProperties"]
