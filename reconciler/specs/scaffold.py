"""A first project that passes `validate`, and runs on the emulator without an AWS account."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

from reconciler.errors import ReconcilerError, UsageError
from reconciler.model.project import STATE_FOLDER
from reconciler.model.spec import NAME_PATTERN
from reconciler.specs.files import PROJECT_FILE
from reconciler.specs.messages import HINTS
from reconciler.specs.schema import schema

_NAME = re.compile(NAME_PATTERN)
SCHEMA_FILE = ".schema.json"

_PROJECT = f"""\
# yaml-language-server: $schema=./{SCHEMA_FILE}
apiVersion: reconciler/v1
kind: Project
metadata:
  name: NAME
spec:
  defaultTarget: local
  vars:
    bucket: my-bucket
  targets:
    local:
      emulator: true             # an embedded AWS: nothing leaves this machine
      vars:
        application_id: 00example0application
    # prod:
    #   account: "111122223333"
    #   region: eu-west-1
    #   ledger: s3://my-ledger-bucket/NAME
    #   vars:
    #     application_id: 00f1abcdefg
"""

_SPARK = f"""\
# yaml-language-server: $schema=./{SCHEMA_FILE}
apiVersion: reconciler/v1
kind: EmrServerlessJobRun
metadata:
  name: word-count
  labels:
    team: examples
spec:
  request:                       # every field of EMR Serverless StartJobRun
    applicationId: ${{var.application_id}}
    executionRoleArn: arn:aws:iam::${{target.account}}:role/emr-jobs
    jobDriver:
      sparkSubmit:
        entryPoint: s3://${{var.bucket}}/jobs/word_count.py
        entryPointArguments: ["s3://${{var.bucket}}/books/", "s3://${{var.bucket}}/counts/"]
        sparkSubmitParameters:
          conf:
            spark.executor.cores: 2
            spark.executor.memory: 4g
"""

_BATCH = f"""\
# yaml-language-server: $schema=./{SCHEMA_FILE}
apiVersion: reconciler/v1
kind: BatchJob
metadata:
  name: resize-images
  labels:
    team: examples
spec:
  request:                       # every field of AWS Batch SubmitJob
    jobQueue: default
    jobDefinition: resize-images
    containerOverrides:
      command: [resize, "--width", "800", "s3://${{var.bucket}}/images/"]
"""


def init(root: Path, name: str | None = None) -> list[Path]:
    """Writes a project into a folder, which is made if need be, and returns the files.

    `name` is the project's; `None`: made from the folder's. Raises `UsageError` for a name that is none, and naming the
    first file that is there already: then nothing is written.
    """
    name = _name_of(root) if name is None else name
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} cannot be a project's name: {HINTS[NAME_PATTERN]}")
    files = {
        PROJECT_FILE: _PROJECT.replace("NAME", name),
        "word-count.yaml": _SPARK,
        "resize-images.yaml": _BATCH,
        SCHEMA_FILE: json.dumps(schema(), indent=1, ensure_ascii=False) + "\n",
        ".gitignore": f"/{STATE_FOLDER}/\n",
    }
    for file in files:
        if os.path.lexists(root / file):
            raise UsageError(f"{root / file} is there already: nothing was written")
    try:
        root.mkdir(parents=True, exist_ok=True)
        for file, text in files.items():
            with (root / file).open("x", encoding="utf-8") as written:
                written.write(text)
    except OSError as error:
        raise ReconcilerError(f"cannot write {error.filename}: {error.strerror}") from None
    return [root / file for file in files]


def _name_of(root: Path) -> str:
    """A project name like the folder's."""
    words = re.sub(r"[^a-z0-9]+", "-", root.resolve().name.lower())[:63].strip("-")
    return words or "my-project"
