"""A job's life through the generated Python client: `flow.py URL PASSWORD`.

Prints a line for each thing that holds, and ends with an error at the first that does not.
"""

import inspect
import json
import pkgutil
import sys
from datetime import datetime
from importlib import import_module
from typing import Any, TypeVar
from uuid import UUID

from cronapi_client import AuthenticatedClient, Client
from cronapi_client import api as operations
from cronapi_client.api.auth import get_me, login
from cronapi_client.api.jobs import (
    apply_jobs,
    create_job,
    delete_job,
    explain_job,
    get_job,
    list_job_versions,
    list_jobs,
    list_ledger,
    patch_job,
    pause_job,
    put_job,
    resume_job,
)
from cronapi_client.api.runs import create_run, get_run, get_run_logs, list_job_runs, run_job
from cronapi_client.models import (
    Applied,
    Definitions,
    Explanation,
    Issued,
    JobFields,
    JobOrder,
    JobPage,
    JobPatch,
    JobSpec,
    JobView,
    LedgerPage,
    LedgerRow,
    Login,
    Me,
    NewRun,
    Outcome,
    Parameters,
    Problem,
    PythonRunner,
    Remark,
    Retry,
    RetryOn,
    Role,
    Run,
    RunOutput,
    RunPage,
    RunStatus,
    ShellRunner,
    Trigger,
    Verdict,
    VersionPage,
)
from cronapi_client.types import UNSET, Response

URL, PASSWORD = sys.argv[1:]
T = TypeVar("T")


def ok(what: str, holds: bool, seen: Any = "") -> None:
    if not holds:
        sys.exit(f"FAILED Python: {what}: {seen}")
    print(f"ok Python: {what}", flush=True)


def kind(wanted: type[T], value: object) -> T:
    """The value, when it is of the type that was promised."""
    if not isinstance(value, wanted):
        sys.exit(f"FAILED Python: {wanted.__name__} expected: {value}")
    return value


def refused(answer: Response[Any], status: int, code: str) -> Problem:
    problem = kind(Problem, answer.parsed)
    media = answer.headers["content-type"]
    ok(
        f"{status} is a problem, {code}",
        (int(answer.status_code), problem.status, problem.code) == (status, status, code)
        and media == "application/problem+json",
        (answer.status_code, media, problem),
    )
    return problem


def signed_in() -> AuthenticatedClient:
    anyone = Client(base_url=URL)
    wrong = Login(username="admin", password="not this one")
    refused(login.sync_detailed(client=anyone, body=wrong), 401, "unauthenticated")
    issued = kind(
        Issued, login.sync(client=anyone, body=Login(username="admin", password=PASSWORD))
    )
    admin = issued.role is Role.ADMIN
    ok("a login gives a token and the role", admin and bool(issued.access_token))
    nobody = AuthenticatedClient(base_url=URL, token="none")
    problem = refused(list_jobs.sync_detailed(client=nobody), 401, "unauthenticated")
    ok("a problem says what to do", "token" in problem.detail, problem.detail)
    client = AuthenticatedClient(base_url=URL, token=issued.access_token)
    me = kind(Me, get_me.sync(client=client))
    ok("the token is known", (me.user, me.role) == ("admin", Role.ADMIN), me)
    return client


def definitions(client: AuthenticatedClient) -> None:
    shell = ShellRunner(type_="shell", command='echo "hello $CRONAPI_JOB"; echo oh >&2')
    spec = JobSpec(
        name="hello",
        description="Says hello",
        expr="0 7 * * mon-fri",
        timezone="Europe/Berlin",
        runner=shell,
        retry=Retry(max_attempts=2, on=[RetryOn.FAILED]),
        tags=["greetings"],
    )
    answer = create_job.sync_detailed(client=client, body=spec)
    job = kind(JobView, answer.parsed)
    ok("a job is created", answer.status_code == 201 and answer.headers["etag"] == '"1"', answer)
    ok("an id is a UUID", isinstance(job.uid, UUID), job.uid)
    ok("a time is aware of its zone", kind(datetime, job.next_fire_at).utcoffset() is not None)
    ran = kind(ShellRunner, job.runner)
    ok("a runner comes back as its own type", ran.command == shell.command, ran)
    ok("what was left out is unset, not null", job.timeout is UNSET, job.timeout)
    refused(create_job.sync_detailed(client=client, body=spec), 409, "exists")
    bad = JobSpec(name="bad", expr="61 * * * *", retry=Retry(max_attempts=0))
    problem = refused(create_job.sync_detailed(client=client, body=bad), 422, "invalid")
    places = {fault.pointer for fault in problem.errors}
    ok("each fault is told", {"/expr", "/retry/max_attempts"} <= places, places)
    planned = create_job.sync_detailed(client=client, body=JobSpec(name="plan"), dry_run=True)
    ok("a plan creates nothing", planned.status_code == 200, planned)
    refused(get_job.sync_detailed("plan", client=client), 404, "not-found")


def pages(client: AuthenticatedClient) -> None:
    names = [f"page-{number}" for number in range(7)]
    body = Definitions(items=[JobSpec(name=name, tags=["pages"]) for name in names])
    applied = kind(Applied, apply_jobs.sync(client=client, body=body))
    ok("a set is applied", (applied.created, applied.refused) == (7, 0), applied)
    seen: list[str] = []
    sizes: list[int] = []
    cursor: str | None = None
    while True:
        page = kind(
            JobPage,
            list_jobs.sync(
                client=client,
                limit=3,
                tag=["pages"],
                sort=JobOrder.NAME_DOWN,
                cursor=cursor if cursor is not None else UNSET,
            ),
        )
        seen += [job.name for job in page.items]
        sizes.append(len(page.items))
        cursor = page.next_cursor
        if cursor is None:
            break
    ok("a list is read to its end", seen == names[::-1] and max(sizes) == 3, (seen, sizes))
    strange = list_jobs.sync_detailed(client=client, cursor="nonsense")
    refused(strange, 400, "invalid-parameter")


def runs(client: AuthenticatedClient) -> None:
    run = kind(Run, run_job.sync("hello", client=client, wait="30s"))
    ok("a run is waited for", run.status is RunStatus.SUCCEEDED, run)
    ok("it says why it exists", run.trigger is Trigger.MANUAL and run.nominal_time is None)
    output = kind(RunOutput, get_run_logs.sync(run.id, client=client))
    texts = {(line.stream.value, line.text) for line in output.items}
    wanted = {("stdout", "hello hello\n"), ("stderr", "oh\n")}
    ok("its output is read", wanted <= texts and output.closed, texts)
    code = "def double(number):\n    return {'twice': number * 2}\n"
    spec = JobSpec(name="double", runner=PythonRunner(type_="python", code=code))
    kind(JobView, create_job.sync(client=client, body=spec))
    numbers = NewRun(parameters=Parameters.from_dict({"number": 21}))
    answers = [
        run_job.sync_detailed(
            "double", client=client, body=numbers, wait="30s", idempotency_key="once"
        )
        for _ in range(2)
    ]
    first, second = (kind(Run, answer.parsed) for answer in answers)
    ok("parameters go in, a result comes out", first.result == {"twice": 42}, first)
    ok("a repeated key starts nothing", first.id == second.id, (first.id, second.id))
    kept = kind(RunPage, list_job_runs.sync("double", client=client))
    ok("the run is kept", [one.id for one in kept.items] == [first.id], kept)
    started = kind(Run, create_run.sync("hello", client=client))
    found = kind(Run, get_run.sync(started.id, client=client))
    ok("a run is found by its id", found.job == "hello", found)


def schedule(client: AuthenticatedClient) -> None:
    runner = ShellRunner(type_="shell", command="true")
    spec = JobSpec(name="often", expr="@every 1s", runner=runner)
    streams = client.get_httpx_client()
    question = {"jobs": "often", "types": "run.succeeded"}
    with streams.stream("GET", "/events", params=question, timeout=60) as events:
        kind(JobView, create_job.sync(client=client, body=spec))
        data = (line.removeprefix("data:") for line in events.iter_lines() if line[:5] == "data:")
        event = json.loads(next(data))
    ok("an event tells of a scheduled run", event["type"] == "run.succeeded", event)
    ledger = kind(LedgerPage, list_ledger.sync("often", client=client))
    rows = [row for row in ledger.items if str(row.run_id) == event["run_id"]]
    row = kind(LedgerRow, rows[0] if rows else None)
    ok("the ledger has its time", row.outcome is Outcome.FIRED and row.reason is None, row)
    why = kind(Explanation, explain_job.sync("often", client=client, at=row.nominal_time))
    ok("the time is explained", why.verdict is Verdict.FIRED and bool(why.summary), why)
    ok("with its run", str(kind(Run, why.run).id) == event["run_id"], why)
    remark = Remark(reason="enough of it")
    paused = kind(JobView, pause_job.sync("often", client=client, body=remark))
    ok("a job is paused", paused.enabled is False, paused)
    resumed = kind(JobView, resume_job.sync("often", client=client))
    ok("and resumed", resumed.enabled is True, resumed)


def versions(client: AuthenticatedClient) -> None:
    read = get_job.sync_detailed("hello", client=client)
    tag = read.headers["etag"]
    changed = JobFields(expr="@daily", runner=kind(JobView, read.parsed).runner)
    written = put_job.sync_detailed("hello", client=client, body=changed, if_match=tag)
    ok("the version that was read is replaced", kind(JobView, written.parsed).version == 2)
    late = put_job.sync_detailed("hello", client=client, body=changed, if_match=tag)
    refused(late, 412, "precondition-failed")
    same = get_job.sync_detailed("hello", client=client, if_none_match=written.headers["etag"])
    ok("what has not changed is not sent again", same.status_code == 304, same)
    patched = kind(
        JobView,
        patch_job.sync("hello", client=client, body=JobPatch(expr=None, timeout="5m")),
    )
    ok("a null takes a field out", patched.expr is UNSET and patched.timeout == "5m", patched)
    listed = kind(VersionPage, list_job_versions.sync("hello", client=client))
    ok("every version is kept", [one.version for one in listed.items] == [3, 2, 1], listed)


def removal(client: AuthenticatedClient) -> None:
    for name in ["hello", "often"]:
        gone = delete_job.sync_detailed(name, client=client)
        ok(f"{name} is deleted", gone.status_code == 204 and gone.parsed is None, gone)
    refused(get_job.sync_detailed("hello", client=client), 404, "not-found")
    refused(delete_job.sync_detailed("hello", client=client), 404, "not-found")


def every_plain_read(client: AuthenticatedClient) -> None:
    """Whatever can be asked without an argument answers with what it promises."""
    asked = 0
    for module in pkgutil.walk_packages(operations.__path__, operations.__name__ + "."):
        call = getattr(import_module(module.name), "sync_detailed", None)
        name = module.name.rsplit(".", 1)[-1]
        # A stream does not end.
        if call is None or not name.startswith(("get_", "list_", "verify_")):
            continue
        needed = [
            parameter
            for parameter in inspect.signature(call).parameters.values()
            if parameter.default is inspect.Parameter.empty and parameter.name != "client"
        ]
        if not needed:
            answer = call(client=client)
            fine = answer.status_code == 200 and not isinstance(answer.parsed, Problem | None)
            ok(f"{name} answers", fine, answer)
            asked += 1
    ok("there are many of them", asked > 12, asked)


def main() -> None:
    client = signed_in()
    definitions(client)
    pages(client)
    runs(client)
    schedule(client)
    versions(client)
    removal(client)
    every_plain_read(client)


main()
