"""Rules for each task of the roles, checked in the task files."""

import pytest
import yaml
from conftest import ROOT

TASKS = sorted((ROOT / "roles").glob("*/tasks/*.yml"))
# Modules that always run on the control node, or only print or set something.
HERE = {
    "add_host", "assert", "debug", "fail", "group_by", "import_role", "import_tasks", "include_role", "include_tasks", "meta", "set_fact", "set_stats",
    "validate_argument_spec",
}  # fmt: skip
# These files are included by the named file, in a block that sets the user.
UNDER = {"backup_check_rds.yml": "rds.yml", "backup_rds_snapshot.yml": "rds.yml", "backup_rds_wait.yml": "rds.yml"}


def tasks(path):
    """Each task of a file that calls a module, with the variables that it and its blocks set."""

    def walk(listed, variables):
        for task in listed:
            mine = variables | task.get("vars", {})
            for part in ("block", "rescue", "always"):
                yield from walk(task.get(part, []), mine)
            if "block" not in task:
                yield task, mine

    yield from walk(yaml.safe_load(path.read_text()), {})


def module(task):
    """The name of the task's module, without the collection."""
    [name] = [word for word in task if "." in word or word.startswith("seqera_crypto_rotation")]
    return name.rpartition(".")[2]


@pytest.mark.parametrize("path", TASKS, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_each_task_says_who_it_becomes(path):
    """An inventory variable has precedence over `become`, so each task sets the variable: off on the control node, the compose user on the VM."""
    wrong = []
    for task, variables in tasks(path):
        become = variables.get("ansible_become")
        if "delegate_to" in task and path.name not in UNDER and become is not False:
            wrong.append(f"{task['name']}: on the control node it must not become another user")
        if "delegate_to" not in task and module(task) not in HERE and become is None:
            wrong.append(f"{task['name']}: on the VM it must set the user that it becomes")
    assert wrong == []


def test_a_file_that_leaves_that_to_another_is_run_by_that_one_alone():
    for name, other in UNDER.items():
        calls = [(path, task) for path in TASKS for task, variables in tasks(path) if name in str(task) + str(variables)]
        assert calls and {(task["ansible.builtin.include_tasks"], task["vars"]["seqera_crypto_rotation__with"]) for _, task in calls} == {(other, name)}


def set_by(task):
    """The names that a task sets with register, with set_fact, and as its loop variable."""
    facts = task.get("ansible.builtin.set_fact", {})
    return {task.get("register"), task.get("loop_control", {}).get("loop_var"), *(facts if isinstance(facts, dict) else {})} - {None}


def worked_out():
    """The names of the role's variables."""
    files = [path for path in (ROOT / "roles").glob("*/vars/main/*.yml") if path.name != "names.yml"]
    names = {name for path in files for name in yaml.safe_load(path.read_text().replace("!unsafe", ""))}
    assert len(names) > 50
    return names


def test_no_task_sets_a_name_that_is_worked_out_at_each_use():
    """A registered variable has precedence over the role's variables for the rest of the play."""
    assert {(path.name, name) for path in TASKS for task, _ in tasks(path) for name in set_by(task) & worked_out()} == set()


def test_a_task_replaces_only_these_variables_of_the_role():
    """A variable of a task replaces the role's variable of the same name, also if that was an accident."""
    replaced = {(path.name, name.removeprefix("seqera_crypto_rotation__")) for path in TASKS for _, variables in tasks(path) for name in variables.keys() & worked_out()}
    assert replaced == {
        ("abort.yml", "left_down"),
        ("abort.yml", "previewed_steps"),
        ("failed.yml", "stale"),
        ("failed.yml", "with_database"),
        ("migrate.yml", "words_of_cause"),
        ("preflight_vm.yml", "ran_before"),
        ("start_as_it_was.yml", "with_database"),
        ("steps.yml", "with_database"),
    }
