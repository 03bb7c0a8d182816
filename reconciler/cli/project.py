"""`reconciler init`, `validate`, `targets`, `schema` and `completion`: commands that need no ledger."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reconciler.cli.exit_codes import DONE, ERROR
from reconciler.cli.options import cache_option, directory_options, format_option, place_options, takes_options
from reconciler.cli.output import annotate, echo_error, out, out_json, print_problems, project_folder
from reconciler.errors import SpecErrors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.app.options import CommandOptions
    from reconciler.errors import Problem
    from reconciler.specs.project import Loaded, ProjectFile

COMPLETION_VARIABLE = "_RECONCILER_COMPLETE"


@click.command("init")
@click.argument("folder", required=False, metavar="[DIR]", type=click.Path(path_type=Path, file_okay=False))
@click.option("--name", metavar="NAME", help="Name of the project; part of the identity of every run.")
@directory_options
@takes_options
def init(options: CommandOptions, folder: Path | None, name: str | None) -> int:
    """Start a project in DIR, which is created if necessary: reconciler.yaml with an emulator target, an example of
    each kind, and the schema for editors. In the root of a git repository, the specs are in a folder of their own. Adds
    ledgers and plan files to an existing .gitignore; any other file that exists already is an error.

    \b
    Examples:
      reconciler init specs
      reconciler init specs --name analytics
    """
    from reconciler.core.suggestions import Invocation
    from reconciler.redact.escape import lines_text
    from reconciler.render.text import plain
    from reconciler.specs.new_files import init

    root = (options.directory or Path()) / (folder or Path())
    for file, done in init(Path.cwd() / root, name).items():
        out(lines_text([f"{done} {plain(str(root / file.relative_to(Path.cwd() / root)))}"]))
    by = Invocation(directory=None if root in {Path(), Path("specs")} else str(root))
    out(f"\nNext: {plain(by.command('validate'))}, then {plain(by.command('plan'))}")
    return DONE


@click.command("validate")
@click.argument("paths", nargs=-1, metavar="[PATH]...", type=click.Path(path_type=Path))
@format_option("json", "junit")
@click.option("--strict", is_flag=True, help="Treat warnings as errors, such as values that look like secrets.")
@cache_option
@place_options
@takes_options
def validate(options: CommandOptions, paths: tuple[Path, ...], output_format: str, *, strict: bool) -> int:
    """Check every spec, offline, for every target or for the target of -t.

    With PATHs, only these files and folders are checked, together with the specs that they refer to.

    \b
    Examples:
      reconciler validate
      reconciler validate orders.yaml clicks/
      reconciler validate --strict
    """
    from reconciler.app.stored_output import StoredOutput

    stored = StoredOutput(options, "validate", used=not paths and output_format == "text")
    if (earlier := stored.find()) is not None:
        out(earlier)
        return DONE
    from reconciler.render.text import count

    file = _project_file(options)
    try:
        loaded = _load(options, file, paths)
    except SpecErrors as error:
        # For machines, on standard output. For people, `program` prints the error to standard error.
        _print_problems(options, output_format, error.specs, error.problems)
        raise
    print_problems(loaded.warnings)
    annotate(loaded.warnings, options)
    if output_format != "text":
        _print_problems(options, output_format, loaded.listed, loaded.warnings)
    else:
        text = f"{count(loaded.count, 'spec')} valid"
        out(text)
        if not loaded.warnings:
            stored.keep(text, file)
    if strict and loaded.warnings:
        echo_error(f"Error: {count(len(loaded.warnings), 'warning')}, and --strict allows none")
        return ERROR
    return DONE


def _project_file(options: CommandOptions) -> ProjectFile:
    from reconciler.specs.project import find_root, read_project

    return read_project(find_root(options.directory, Path.cwd()))


def _load(options: CommandOptions, file: ProjectFile, paths: Sequence[Path]) -> Loaded:
    from reconciler.app.options import target_name
    from reconciler.specs.project import load

    targets = [target_name(options, {}, None, file.project.spec.targets)] if options.target is not None else None
    return load(file, targets=targets, only_paths=[Path.cwd() / path for path in paths] or None)


def _print_problems(
    options: CommandOptions, output_format: str, specs: Sequence[tuple[str, str, int]], problems: Sequence[Problem]
) -> None:
    """Prints the specs and the problems in a format for machines; in text, the problems are on standard error only."""
    if output_format == "json":
        from reconciler.render.problems import problems_json

        out_json(problems_json(specs, problems))
    elif output_format == "junit":
        from reconciler.core.identity import Source
        from reconciler.render.junit import problems_junit

        sources = [(name, Source(path, line)) for name, path, line in specs]
        out(problems_junit("validate", sources, problems, project_folder(options)))


@click.command("targets")
@format_option("json")
@directory_options
@takes_options
def targets(options: CommandOptions, output_format: str) -> int:
    """Print the targets of the project, one per line, in the order of reconciler.yaml. Reads only that file.

    \b
    Examples:
      reconciler targets
      reconciler targets --format json
    """
    from reconciler.redact.escape import lines_text
    from reconciler.render.text import columns, plain

    project = _project_file(options).project
    rows = [(name, project.target(name)) for name in project.spec.targets]
    if output_format == "json":
        default = project.spec.defaultTarget
        form = [
            {"name": n, "account": t.account, "region": t.region, "emulator": t.is_emulator, "default": n == default}
            for n, t in rows
        ]
        out_json({"targets": form})
    else:
        cells = [(plain(n), plain("emulator" if t.is_emulator else f"{t.account} {t.region}")) for n, t in rows]
        out(lines_text(columns(cells)))
    return DONE


@click.command("schema")
@directory_options
@takes_options
def schema(_options: CommandOptions) -> int:
    """Print the JSON Schema of the project file and of every kind of spec, with descriptions, for editors.

    \b
    Example:
      reconciler schema > specs/.schema.json

    and at the top of a spec:

    \b
      # yaml-language-server: $schema=./.schema.json
    """
    import json

    from reconciler.specs.schema import schema

    out(json.dumps(schema(), indent=2, ensure_ascii=False))
    return DONE


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@directory_options
@takes_options
def completion(_options: CommandOptions, shell: str) -> int:
    """Print the script that completes commands and options in a shell.

    \b
    Examples:
      eval "$(reconciler completion bash)"         in ~/.bashrc
      eval "$(reconciler completion zsh)"          in ~/.zshrc
      reconciler completion fish > ~/.config/fish/completions/reconciler.fish
    """
    from click.shell_completion import get_completion_class

    root = click.get_current_context().find_root()
    script = get_completion_class(shell)
    if script is None:
        raise click.UsageError(f"there is no completion for {shell}")
    out(script(root.command, {}, "reconciler", COMPLETION_VARIABLE).source())
    return DONE
