"""What a call is about, as rules see it: service, operation, names of runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.emulator import sts
from reconciler.emulator.protocol import route
from reconciler.emulator.records import BATCH, EMR
from reconciler.emulator.state import State
from reconciler.emulator.wire import AwsError, Call

_NAME = {"StartJobRun": "name", "SubmitJob": "jobName"}


@dataclass(frozen=True, slots=True)
class Subject:
    """`operation` is empty where AWS has none for the call. `labels` are what the path names."""

    service: str
    operation: str
    labels: Mapping[str, str]
    call: Call

    @classmethod
    def of(cls, call: Call) -> Subject:
        """What a call is about."""
        if call.path in ("", "/"):
            return cls(sts.NAME, sts.asked(call).get("Action", ""), {}, call)
        service = BATCH if call.path.startswith("/v1/") else EMR
        try:
            model, labels = route(service, call)
        except AwsError:
            return cls(service, "", {}, call)
        return cls(service, model.name, labels, call)

    def names(self, state: State) -> frozenset[str]:
        """The name of the run it starts, or of the runs whose ids it gives; forgotten ones too."""
        form = self._form()
        own = form.get(_NAME.get(self.operation, ""))
        if isinstance(own, str):
            return frozenset({own})
        ids = [re.split("[:#]", run_id)[0] for run_id in self._ids(form)]
        if not ids:
            return frozenset()
        with state.reading() as records:
            found = [records.run(run_id, None) for run_id in ids]
        return frozenset(run.name for run in found if run is not None)

    def _ids(self, form: Mapping[str, Any]) -> Iterator[str]:
        if "jobRunId" in self.labels:
            yield self.labels["jobRunId"]
        several = form.get("jobs")
        for value in (form.get("jobId"), *(several if isinstance(several, list) else ())):
            if isinstance(value, str):
                yield value

    def _form(self) -> Mapping[str, Any]:
        try:
            form = json.loads(self.call.body or b"{}")
        except (ValueError, RecursionError):
            return {}
        return form if isinstance(form, dict) else {}
