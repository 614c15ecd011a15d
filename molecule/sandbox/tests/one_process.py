"""ansible-playbook 2.19 that runs every task in the main process instead of in a forked one, and compiles each template once.

Half of the CPU of a run with stand-ins is forks and repeated compilation (docs/decisions/0012-most-tests-fork-no-workers.md).
"""

import sys

from ansible._internal import _task
from ansible._internal._templating._jinja_bits import AnsibleEnvironment, _TemplateCompileContext
from ansible.cli.playbook import main
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


WorkerProcess.start = start
AnsibleEnvironment.compile = compile_once(AnsibleEnvironment.compile)
sys.argv[0] = "ansible-playbook"
sys.exit(main())
