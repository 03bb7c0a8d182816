"""Tags of runs and of other resources, the same for both services."""

from __future__ import annotations

from reconciler.emulator.operations import Context, Params
from reconciler.emulator.records import BATCH, EMR, Run
from reconciler.emulator.wire import Invalid, Missing

MAX_TAGS = 50
_RUN_MARK = {EMR: "/jobruns/", BATCH: ":job/"}


def tag(params: Params, context: Context) -> Params:
    """Adds tags, over the ones that are there. Raises `Invalid` above 50, `Missing` for an unknown run."""
    tags = {**_tags(params["resourceArn"], context), **params["tags"]}
    if len(tags) > MAX_TAGS:
        raise Invalid(f"tags: a resource has at most {MAX_TAGS}")
    if any(key.lower().startswith("aws:") for key in tags):
        raise Invalid("tags: keys must not start with aws:")
    return _put(params["resourceArn"], tags, context)


def untag(params: Params, context: Context) -> Params:
    """Removes tags; keys that are not there are fine."""
    tags = {key: value for key, value in _tags(params["resourceArn"], context).items() if key not in params["tagKeys"]}
    return _put(params["resourceArn"], tags, context)


def list_tags(params: Params, context: Context) -> Params:
    """The tags of a resource."""
    return {"tags": _tags(params["resourceArn"], context)}


def _tags(arn: str, context: Context) -> dict[str, str]:
    run = _tagged_run(arn, context)
    return run.tags if run else context.records.tags(arn)


def _put(arn: str, tags: dict[str, str], context: Context) -> Params:
    run = _tagged_run(arn, context)
    if run:
        context.records.change(run, tags=tags)
    else:
        context.records.put_tags(arn, tags)
    return {}


def _tagged_run(arn: str, context: Context) -> Run | None:
    """The run an ARN names; `None` for other resources. Raises `Missing` for a run that is not known."""
    for service, mark in _RUN_MARK.items():
        if f":{service}:" in arn and mark in arn:
            run_id = arn.rpartition(mark)[2]
            run = context.records.run(run_id, context.now)
            if run is None or run.service != service:
                raise Missing(f"{arn} does not exist")
            return run
    return None
