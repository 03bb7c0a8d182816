"""Runs one command of reconciler in a GitHub workflow, and shows its result: summary, comment, outputs and artifacts.

All values come from the environment and the event file and are never inserted into a script. The pages are Markdown
from reconciler, in which text from users and AWS is never markup. Other output is shown in a code block.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from github import PLAN_ID, GitHub, Refused, output

MOST_SUMMARY_BYTES = 900_000  # GitHub refuses more than 1 MiB per step
MOST_OUTPUT_BYTES = 50_000
MOST_FINDINGS_BYTES = 4_000  # below a plan of at most 60,000 bytes
ATTENTION = 3  # the exit code of reconciler if an action is required, or an outcome is unknown


@dataclass(frozen=True)
class Done:
    """The result of a command: its exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    @property
    def page(self) -> str:
        """Returns the page that the command printed or, without a page, its error."""
        return self.out.strip("\n") or fenced(self.err)


class Action:
    """One run of the action."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.environ = environ
        self.github = GitHub(environ, self.input("bot"))
        self.target = self.input("target")
        self.folder = Path(environ["RUNNER_TEMP"]) / "reconciler-output"
        self.folder.mkdir(exist_ok=True)

    def input(self, name: str) -> str:
        """Returns an input of the action, without spaces around it. It is empty if it was not given."""
        return self.environ.get("INPUT_" + name.upper().replace("-", "_"), "").strip()

    def is_set(self, name: str) -> bool:
        """Returns whether an input is true."""
        return self.input(name).lower() == "true"

    # --- commands -----------------------------------------------------------------------------------------------------

    def targets(self) -> int:
        """Lists the targets for a matrix. If the project cannot be read, a comment on the pull request explains why."""
        done = self.reconciler("targets", "--format", "json")
        broken = f"### The project cannot be read\n\n{done.page}\n\n{self.log_link()}"
        body = broken if done.code else "### The project can be read again\n"
        self.comment_on_pull_request("<!-- reconciler project -->", body, create=done.code != 0)
        if done.code:
            self.summarize(broken)
            return done.code
        matrix = chosen(json.loads(done.out)["targets"], self.input("targets"))
        output(self.environ, "targets", json.dumps(matrix))
        return 0

    def approvals(self) -> int:
        """Lists the targets of this workflow run whose plan waits for approval, with the ids of the plans."""
        done = self.reconciler("targets", "--format", "json")
        if done.code:
            return done.code
        names = self.github.artifacts_of_run()
        waiting = []
        for row in rows(json.loads(done.out)["targets"]):
            start = re.escape(self.artifact("approval", str(row["target"])))
            ids = [found[1] for name in names if (found := re.fullmatch(f"{start}-({PLAN_ID.pattern})", name))]
            waiting += [{**row, "expect": plan_id} for plan_id in ids[-1:]]
        output(self.environ, "approvals", json.dumps(waiting))
        return 0

    def validate(self) -> int:
        """Validates every spec, for one target or for all."""
        done = self.reconciler("validate", *self.place(), *(["--strict"] if self.is_set("strict") else []))
        self.summarize(f"### Validation\n\n{fenced(done.out + done.err)}")
        return done.code

    def plan(self) -> int:
        """Shows the plan in the job summary and in a comment on the pull request, which is updated on each push."""
        base = self.input("base") or self.base_of_event()
        snapshot = self.input("snapshot")
        arguments = ["--base", base] if base else []
        if snapshot and not self.is_emulator():
            file = self.snapshot() if snapshot == "latest" else Path(snapshot)
            if file is None:
                self.summarize(
                    f"### No plan for `{self.target}`\n\nNo snapshot of its ledger is published yet. The specs were "
                    "validated. The next pass of the reconcile workflow publishes a snapshot."
                )
                return self.validate()
            arguments += ["--no-refresh", "--ledger-snapshot", str(file)]
            done, made = self.reconciler("plan", *self.where(), "--format", "markdown", *arguments), None
        else:
            done, made = self.made_plan(*arguments)
        page = done.page if not done.code else f"{done.page}\n\n{self.cannot_be_applied(done.code)}"
        if self.is_set("verify") and not snapshot:
            page += self.verified()
        self.summarize(page)
        plan_id = made["plan_id"] if made else "none"
        body = f"<!-- reconciler plan id: {plan_id} -->\n{page}\n"
        self.comment_on_pull_request(self.marker("plan"), body)
        return done.code

    def verified(self) -> str:
        """Returns the findings of `verify`: resources in the specs that AWS lacks. They do not change the result of the
        plan."""
        done = self.reconciler("verify", *self.where(), "--quiet")
        if done.code == 0:
            return "\n\nAWS has everything that the specs name, as far as it could be asked."
        return f"\n\n### Problems found in AWS\n\n{fenced(done.out or done.err, MOST_FINDINGS_BYTES)}"

    def apply(self) -> int:
        """Applies the plan if it is the expected one, and shows the result on the merged pull request."""
        number = self.merged_pull_request()
        done, made = self.made_plan()
        if made is None:
            return self.applied(number, f"{done.page}\n\n{self.cannot_be_applied(done.code)}", done.code or 1)
        plan_id, expect = made["plan_id"], self.input("expect")
        objection = ""
        if expect == "reviewed" and any(not change["stale"] for change in made["changes"]):
            reviewed = self.github.reviewed_plan(number, self.marker("plan")) if number is not None else None
            objection = "" if reviewed == plan_id else difference(number, reviewed, plan_id)
        elif expect not in {"", "reviewed", plan_id}:
            objection = f"The expected plan is `{plain(expect)}`; the plan is now `{plan_id}`."
        if objection:
            return self.not_applied(number, f"{objection}\n\n{self.how_to_go_on(plan_id)}\n\n{done.page}", plan_id)
        done = self.reconciler(
            "apply", *self.where(), *self.limits(), "--yes", "--expect", plan_id, "--format", "markdown"
        )
        self.publish_snapshot()
        return self.applied(number, f"{done.page}\n\n{self.log_link()}", done.code)

    def reconcile(self) -> int:
        """Runs one pass, and publishes a snapshot of the ledger."""
        only = ["--only", self.input("name")] if self.input("name") else []
        unapplied = ["--applied-only"] if self.is_set("applied-only") else []
        done = self.reconciler("reconcile", *self.where(), *self.limits(), *unapplied, *only, "--format", "markdown")
        self.summarize(done.page)
        self.publish_snapshot()
        return done.code

    def show(self) -> int:
        """Shows the status of each spec, or what is suspended."""
        command = self.input("command")
        only = ["--only", self.input("name")] if self.input("name") and command == "status" else []
        where = self.where() if command == "status" else self.place()
        done = self.reconciler(command, *where, *only)
        self.summarize(f"### `{command}` of `{plain(self.target)}`\n\n{fenced(done.out + done.err)}")
        return 0 if done.code == ATTENTION else done.code

    def decide(self) -> int:
        """Records the decision of the user who started the workflow."""
        command = self.input("command")
        options = [f"--{name}={self.input(name)}" for name in OPTIONS[command] if self.input(name)]
        if command == "resolve":
            options += [f"--{self.input('decision') or 'no-decision'}", *(["--force"] if self.is_set("force") else [])]
        reason = [f"--reason={self.input('reason')}"] if self.input("reason") else []
        done = self.reconciler(command, *self.where(), *options, *reason, "--yes", "--", self.input("name"))
        self.summarize(f"### `{command}` in `{plain(self.target)}`\n\n{fenced(done.out + done.err)}")
        return done.code

    # --- plans --------------------------------------------------------------------------------------------------------

    def made_plan(self, *arguments: str) -> tuple[Done, dict[str, Any] | None]:
        """Plans, and keeps the plan as an artifact. Returns the result of the command and the plan, or `None` if there
        is no plan."""
        file = self.folder / "plan.json"
        file.unlink(missing_ok=True)
        done = self.reconciler(
            "plan", *self.where(), *self.limits(), "--format", "markdown", "--out", str(file), *arguments
        )
        if not file.exists():
            return done, None
        made: dict[str, Any] = json.loads(file.read_text("utf-8"))
        output(self.environ, "plan-id", made["plan_id"])
        output(self.environ, "plan-file", str(file))
        if self.input("command") == "apply":
            output(self.environ, "plan-artifact", self.artifact("plan", self.target))
        return done, made

    def not_applied(self, number: int | None, page: str, plan_id: str) -> int:
        """Shows that the plan is not the expected one. Returns 0 if the plan now waits for approval."""
        environment = f"{self.target}-approval"
        waits = self.input("on-difference") == "approve" and self.input("expect") == "reviewed"
        if waits and self.github.has_reviewers(environment):
            output(self.environ, "approval-artifact", f"{self.artifact('approval', self.target)}-{plan_id}")
            page = f"### Waiting for approval to apply to `{plain(self.target)}`\n\n{page}"
            return self.applied(number, page, 0)
        if waits:
            print(f"::warning::the environment {environment} has no required reviewers, so nothing can be approved")
        return self.applied(number, f"### Not applied to `{plain(self.target)}`\n\n{page}", 1)

    def applied(self, number: int | None, page: str, code: int) -> int:
        """Shows the result of an apply in the summary and on the merged pull request. Returns `code`."""
        self.summarize(page)
        if number is not None and self.is_set("comment"):
            try:
                self.github.comment(number, self.marker("apply"), f"{page}\n", self.folder)
            except Refused as error:  # such as a locked conversation; the result of the apply is kept
                print(f"::warning::the result is only in the summary: {plain(str(error))}")
        return code

    def merged_pull_request(self) -> int | None:
        """Returns the merged pull request if it is needed to check the plan or to comment on it."""
        if self.input("expect") != "reviewed" and not self.is_set("comment"):
            return None
        return self.github.merged_pull_request()

    def cannot_be_applied(self, code: int) -> str:
        """Returns the sentence that is shown below the page of a failed plan."""
        return f"**This cannot be applied to `{plain(self.target)}`** (exit code {code}). {self.log_link()}"

    def how_to_go_on(self, plan_id: str) -> str:
        """Returns instructions for applying the plan that is shown."""
        return (
            f"Nothing was submitted. To apply the plan below, start the workflow with the target "
            f"`{plain(self.target)}` and the plan id `{plan_id}`. {self.log_link()}"
        )

    # --- the surroundings ---------------------------------------------------------------------------------------------

    def reconciler(self, *arguments: str) -> Done:
        """Runs reconciler in the working directory, without the token, and shows what it writes to standard error."""
        command = [str(Path(sys.executable).parent / "reconciler"), *arguments]
        env = {name: value for name, value in self.environ.items() if name != "GH_TOKEN"}
        folder = self.input("working-directory") or "."
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, stdin=subprocess.DEVNULL, check=False)
        ended = Done(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
        sys.stderr.write(ended.err)
        sys.stderr.flush()
        if arguments[0] not in {"targets", "ledger"}:
            print(ended.out, flush=True)
        return ended

    def place(self) -> list[str]:
        """Returns the option for the target."""
        return ["-t", self.target] if self.target else []

    def where(self) -> list[str]:
        """Returns the options for the target and its ledger."""
        return [*self.place(), *(["--local-ledger"] if self.is_set("local-ledger") else [])]

    def limits(self) -> list[str]:
        """Returns the options that override the limits of the target."""
        names = ("max-submissions", "max-cancellations")
        return [f"--{name}={self.input(name)}" for name in names if self.input(name)]

    def is_emulator(self) -> bool:
        """Returns whether the target is an emulator, which needs no credentials."""
        done = self.reconciler("targets", "--format", "json")
        listed = json.loads(done.out)["targets"] if done.code == 0 else []
        return any(target["name"] == self.target and target["emulator"] for target in listed)

    def base_of_event(self) -> str:
        """Returns the base commit of the pull request or of the merge group."""
        branch = self.environ.get("GITHUB_BASE_REF", "")
        if branch:
            return f"origin/{branch}"
        return str((self.github.event.get("merge_group") or {}).get("base_sha", ""))

    def snapshot(self) -> Path | None:
        """Returns the newest published snapshot of the ledger."""
        return self.github.download(self.snapshot_name(), self.folder)

    def publish_snapshot(self) -> None:
        """Exports the ledger with masked requests for the upload. A failure is only a warning."""
        if not self.is_set("publish-snapshot"):
            return
        file = self.folder / "ledger.snapshot"
        done = self.reconciler("ledger", "export", *self.place(), "--snapshot", str(file))
        if done.code:
            print("::warning::the snapshot of the ledger for plans of forks could not be written")
            return
        output(self.environ, "snapshot-artifact", self.snapshot_name())
        output(self.environ, "snapshot-file", str(file))

    def snapshot_name(self) -> str:
        """Returns the name of the artifact."""
        return self.artifact("snapshot", self.target)

    def artifact(self, what: str, target: str) -> str:
        """Returns the name of an artifact, which is unique for the target and the project in the repository."""
        folder = self.input("working-directory").strip("./")
        words = re.sub(r"[^A-Za-z0-9]+", "-", folder)
        place = f"-in-{words}-{sha256(folder.encode()).hexdigest()[:8]}" if folder else ""
        return f"reconciler-{what}-{target}{place}"

    def marker(self, what: str) -> str:
        """Returns the hidden first line of the comment for this target and, unless it is the root, this folder."""
        folder = self.input("working-directory").strip("./")
        place = f"{self.target} in {folder}" if folder else self.target
        return f"<!-- reconciler {what}: {plain(place)} -->"

    def comment_on_pull_request(self, marker: str, body: str, *, create: bool = True) -> None:
        """Comments on the pull request of the event, if the token permits it."""
        number = self.github.pull_request
        if number is not None and self.is_set("comment"):
            self.github.comment(number, marker, body, self.folder, create=create)

    def summarize(self, page: str) -> None:
        """Adds a page to the summary of the job."""
        text = page.encode()[:MOST_SUMMARY_BYTES].decode(errors="ignore")
        with open(self.environ.get("GITHUB_STEP_SUMMARY", os.devnull), "a", encoding="utf-8") as file:
            file.write(f"{text}\n\n")

    def log_link(self) -> str:
        """Returns a link to the log of the workflow run."""
        return f"[Log of the run]({self.github.run_url})"


OPTIONS = {
    "cancel": ("slot",),
    "retry": ("slot",),
    "backfill": ("from", "to"),
    "resolve": (),
    "accept": (),
}
COMMANDS: dict[str, Callable[[Action], int]] = {
    "targets": Action.targets,
    "approvals": Action.approvals,
    "validate": Action.validate,
    "plan": Action.plan,
    "apply": Action.apply,
    "reconcile": Action.reconcile,
    "status": Action.show,
    "suspensions": Action.show,
    **dict.fromkeys(OPTIONS, Action.decide),
}


def rows(targets: list[dict[str, Any]]) -> list[dict[str, object]]:
    """Returns the values of a matrix for each target."""
    return [
        {"target": each["name"], **{key: each[key] for key in ("account", "region", "emulator")}} for each in targets
    ]


def chosen(targets: list[dict[str, Any]], names: str) -> list[dict[str, object]]:
    """Returns the named targets. Without names, returns those that are not emulators, or all if there are no others."""
    listed = rows(targets)
    if not names:
        return [row for row in listed if not row["emulator"]] or listed
    wanted = json.loads(names) if names.startswith("[") else names.replace(",", " ").split()
    unknown = sorted(set(wanted) - {str(row["target"]) for row in listed})
    if unknown:
        raise SystemExit(
            f"::error::unknown target {', '.join(map(plain, unknown))}. reconciler.yaml has: "
            + ", ".join(str(row["target"]) for row in listed)
        )
    return [row for row in listed if row["target"] in wanted]


def difference(number: int | None, reviewed: str | None, plan_id: str) -> str:
    """Returns why the plan differs from the reviewed one."""
    if number is None:
        return f"No merged pull request made this commit, so nobody reviewed its plan. The plan is now `{plan_id}`."
    if reviewed is None:
        return f"Pull request #{number} has no plan of this target that could be reviewed. The plan is now `{plan_id}`."
    return f"Pull request #{number} showed the plan `{reviewed}`; the plan is now `{plan_id}`."


def plain(text: str) -> str:
    """Returns text without characters that end a code span, a comment or a line."""
    return re.sub(r"[^\w ./-]|-->", "?", text)


def fenced(text: str, most: int = MOST_OUTPUT_BYTES) -> str:
    """Returns the output of a command as a code block, shortened, with a fence that does not occur in the text.
    Annotations in the output are only for the runner."""
    text = "\n".join(line for line in text.splitlines() if not line.startswith("::"))
    shown = text.encode()[:most].decode(errors="ignore").rstrip("\n")
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall(r"`+", shown)), 3)
    return f"{fence}text\n{shown}\n{fence}"


def main() -> int:
    """Runs the command that the inputs select, and returns its exit code."""
    action = Action(dict(os.environ))
    command = COMMANDS.get(action.input("command"))
    if command is None:
        print(f"::error::unknown command {plain(action.input('command'))}. Use one of: {', '.join(COMMANDS)}")
        return 1
    try:
        return command(action)
    except Refused as error:
        print(f"::error::{plain(str(error))}")
        return 1


if __name__ == "__main__":
    raise SystemExit(main())
