"""ansible-playbook 2.19 that runs every task in the main process instead of in a forked one, and compiles templates and modules once.

Half of the CPU of a run with stand-ins is forks and repeated compilation (docs/decisions/0012-most-tests-fork-no-workers.md).
"""

import base64
import dataclasses
import importlib.util
import io
import marshal
import pathlib
import sys
import zipfile

from ansible import constants
from ansible._internal import _task
from ansible._internal._templating._jinja_bits import AnsibleEnvironment, _TemplateCompileContext
from ansible.cli.playbook import main
from ansible.executor import module_common
from ansible.executor.process.worker import TaskExecutor, WorkerProcess, _RawTaskResult


def start(worker):
    """Runs the task now. Task, variables and play context are copies, as they are in a fork."""
    task = worker._task.copy(exclude_parent=True, exclude_tasks=True)
    task._parent = worker._task._parent
    executor = TaskExecutor(
        worker._host,
        task,
        dict(worker._task_vars),
        worker._play_context.copy(),
        worker._loader,
        worker._shared_loader_obj,
        worker._final_q,
        worker._variable_manager,
    )
    with _task.TaskContext(task):
        result = executor.run()
    worker._final_q.send_task_result(_RawTaskResult(host=worker._host, task=task, return_data=result, task_fields=task.dump_attrs()))


def compile_once(compiler):
    """Wraps AnsibleEnvironment.compile. An overlay has options of its own, so its templates are not kept."""
    compiled = {}

    def compile_template(environment, source, *args, **kwargs):
        if not isinstance(source, str) or environment.overlayed:
            return compiler(environment, source, *args, **kwargs)
        context = _TemplateCompileContext.current(optional=True)
        key = str(source), context and context.escape_backslashes
        if key not in compiled:
            compiled[key] = compiler(environment, source, *args, **kwargs)
        return compiled[key]

    return compile_template


def keep_modules():
    """Makes all runs share the modules that Ansible builds from Python files, and adds bytecode to them (the format of PEP 552)."""
    shared = pathlib.Path(sys.prefix, "built_modules")
    shared.mkdir(exist_ok=True)
    pathlib.Path(constants.DEFAULT_LOCAL_TMP, "ansiballz_cache").symlink_to(shared)
    save = module_common._CachedModule.dump
    unchecked = importlib.util.MAGIC_NUMBER + b"\1" + bytes(11)

    def dump(module, path):
        data = io.BytesIO(base64.b64decode(module.zip_data))
        with zipfile.ZipFile(data, "a", zipfile.ZIP_DEFLATED) as file:
            for name in file.namelist():
                file.writestr(f"{name}c", unchecked + marshal.dumps(compile(file.read(name), name, "exec", dont_inherit=True)))
        save(dataclasses.replace(module, zip_data=base64.b64encode(data.getvalue())), path)

    module_common._CachedModule.dump = dump


WorkerProcess.start = start
AnsibleEnvironment.compile = compile_once(AnsibleEnvironment.compile)
keep_modules()
sys.argv[0] = "ansible-playbook"
sys.exit(main())
