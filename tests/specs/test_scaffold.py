"""Writing a first project."""

import pytest

from reconciler.errors import ReconcilerError, UsageError
from reconciler.specs.new_files import init
from reconciler.specs.project import read_project
from tests.specs.builders import load


def test_a_new_project_is_valid(tmp_path):
    """The new project has a spec of each kind and passes validation without a warning."""
    files = init(tmp_path / "shop", "shop")
    assert all(path.is_file() for path in files)
    loaded = load(tmp_path / "shop")
    assert ("shop", 2, ()) == (read_project(tmp_path / "shop").project.name, loaded.count, loaded.warnings)
    assert {"EmrServerlessJobRun", "BatchJob"} == {spec.kind for spec in loaded.specs["local"].values()}


@pytest.mark.parametrize(("folder", "name"), [("My Jobs!", "my-jobs"), ("___", "my-project"), ("a" * 80, "a" * 63)])
def test_a_project_is_called_like_its_folder(tmp_path, folder, name):
    """Without a name, the project is named after its folder, without invalid characters."""
    init(tmp_path / folder)
    assert name == read_project(tmp_path / folder).project.name


def test_nothing_is_overwritten(tmp_path):
    """If one of the files already exists, nothing is written."""
    (tmp_path / "word-count.yaml").write_text("mine")
    with pytest.raises(UsageError, match="word-count"):
        init(tmp_path, "p")
    assert ["word-count.yaml"] == [path.name for path in tmp_path.iterdir()]
    assert "mine" == (tmp_path / "word-count.yaml").read_text()


def test_a_broken_symlink_is_not_written_through(tmp_path):
    """A broken symlink counts as an existing file."""
    (tmp_path / ".gitignore").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="gitignore exists already and is not a regular file"):
        init(tmp_path, "p")
    assert not (tmp_path / "nowhere").exists()
    assert not (tmp_path / "reconciler.yaml").exists()


def test_ledgers_and_plan_files_are_ignored(tmp_path):
    """A new .gitignore lists ledgers, plan files and the state of the emulator."""
    assert "created" == init(tmp_path, "p")[tmp_path / ".gitignore"]
    expected = ["/.reconciler/", "*.sqlite", "*.sqlite-*", "plan.json", "*.plan", "*.plan.json"]
    assert expected == (tmp_path / ".gitignore").read_text().splitlines()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("*.pyc\n.reconciler/", "*.pyc\n.reconciler/\n*.sqlite\n*.sqlite-*\nplan.json\n*.plan\n*.plan.json\n"),
        ("/.reconciler/\n*.sqlite\n*.sqlite-*\nplan.json\n*.plan\n*.plan.json\n", None),
    ],
)
def test_a_gitignore_is_extended_by_what_it_lacks(tmp_path, before, after):
    """An existing .gitignore keeps its lines, and each missing line is added once."""
    (tmp_path / ".gitignore").write_text(before)
    files = init(tmp_path, "p")
    assert (after or before) == (tmp_path / ".gitignore").read_text()
    assert ("extended" if after else None) == files.get(tmp_path / ".gitignore")


@pytest.mark.parametrize(
    ("existing", "folder"), [((), "specs"), (("specs",), "jobs"), (("specs", "jobs"), "reconciler")]
)
def test_the_root_of_a_repository_has_other_files(tmp_path, existing, folder):
    """In the root of a repository, the specs are put in a subfolder, so that other YAML files cause no errors."""
    for name in (".git", *existing):
        (tmp_path / name).mkdir()
    (tmp_path / "docker-compose.yml").write_text("services: {}\n")
    files = init(tmp_path, "p")
    loaded = load(tmp_path)
    assert (2, ()) == (loaded.count, loaded.warnings)
    assert tmp_path / folder / "word-count.yaml" in files
    assert (
        (tmp_path / folder / "word-count.yaml")
        .read_text()
        .startswith("# yaml-language-server: $schema=../.schema.json\n")
    )


def test_invalid_names(tmp_path):
    """An invalid project name is an error."""
    with pytest.raises(UsageError, match="invalid project name"):
        init(tmp_path, "My project")


def test_a_folder_that_cannot_be_created(tmp_path):
    """If a file has the name of the folder, the error contains this name."""
    (tmp_path / "file").write_text("")
    with pytest.raises(ReconcilerError, match="cannot write"):
        init(tmp_path / "file" / "p", "p")
