"""Carries out one Python job of CronAPI inside a fresh interpreter.

Started by a short bootstrap with one name set: `request`, the JSON object found on
standard input (name, code, params, result_max). Standard input is a file in memory; the
answer is appended to that same file: one line of JSON about the end, then the result's
JSON text. The module itself sees the parameters on standard input instead.
"""

import json
import os
import sys

MODULE = "cronapi_job"

# The daemon cuts again, once secrets are masked: what it cuts at is less.
ERROR_CHARACTERS_MAX = 50_000


class Report:
    """The way back to the daemon, out of sight of the job."""

    def __init__(self, params):
        self.channel = os.dup(0)  # duplicates are not inherited by other programs
        self.pid = os.getpid()
        stdin = os.memfd_create("cronapi-params")
        with open(stdin, "wb", closefd=False) as file:
            file.write(json.dumps(params).encode())
        os.lseek(stdin, 0, os.SEEK_SET)
        os.dup2(stdin, 0)
        os.close(stdin)

    def send(self, error=None, result=None):
        if os.getpid() != self.pid:
            return  # a process that the job forked has no say in how the attempt ended
        about = json.dumps({"error": error, "peak_rss_bytes": peak_rss_bytes()})
        os.lseek(self.channel, 0, os.SEEK_END)
        with open(self.channel, "wb", closefd=False) as file:
            file.write(about.encode() + b"\n" + (result or b""))


def peak_rss_bytes():
    try:
        with open("/proc/self/status", "rb") as file:
            for line in file:
                if line.startswith(b"VmHWM:"):
                    return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    return None


def note(text):
    print("cronapi: " + text, file=sys.stderr)


def load(code, filename):
    module = type(sys)(MODULE)
    sys.modules[MODULE] = module
    exec(compile(code, filename, "exec", 0, True), module.__dict__)
    return module.__dict__


def find(names, code, filename):
    """job_function, else the first function the module defines, else None."""
    if callable(names.get("job_function")):
        return names["job_function"]
    only_ast = 0x400
    tree = compile(code, filename, "exec", only_ast, True)
    for name in defined(tree.body):
        if callable(names.get(name)):
            return names[name]
    return None


def defined(body):
    """Names of functions at the top level, also under its if, try, with and loops."""
    for statement in body:
        if type(statement).__name__ in ("FunctionDef", "AsyncFunctionDef"):
            yield statement.name
        elif type(statement).__name__ != "ClassDef":
            for part in ("body", "handlers", "orelse", "finalbody"):
                yield from defined(getattr(statement, part, ()))


def arguments(function, params):
    """The positional and keyword arguments that hand `params` to `function`."""
    code = getattr(function, "__code__", None)
    if code is not None and not hasattr(function, "__wrapped__"):
        variable = code.co_flags & 0x0C
        if not variable and code.co_argcount + code.co_kwonlyargcount == 0:
            return [], {}
    import inspect

    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return [], {}
    return bind(function, list(signature.parameters.values()), params)


def bind(function, parameters, params):
    named = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    required = [p for p in named if p.default is p.empty]
    needed = required + [
        p for p in parameters if p.kind is p.KEYWORD_ONLY and p.default is p.empty
    ]
    values = dict(params)
    # All of them, as serverless platforms and the first examples of CronAPI hand them over.
    if len(needed) == 1 and required and needed[0].name in ("event", "params"):
        values.setdefault(needed[0].name, params)
    missing = [p.name for p in needed if p.name not in values]
    if missing:
        raise TypeError(
            "%s() needs %s; the run's parameters have %s%s"
            % (
                getattr(function, "__name__", "job"),
                ", ".join(map(repr, missing)),
                ", ".join(map(repr, params)) or "none",
                close_to(missing, params),
            )
        )
    positional = []
    for p in parameters:
        if p.kind is p.POSITIONAL_ONLY:
            positional.append(values.pop(p.name) if p.name in values else p.default)
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return positional, values
    takes = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    return positional, {name: value for name, value in values.items() if name in takes}


def close_to(missing, params):
    import difflib

    pairs = [(difflib.get_close_matches(name, params, 1), name) for name in missing]
    said = ["%r is close to %r" % (found[0], name) for found, name in pairs if found]
    return "; " + ", ".join(said) if said else ""


def call(function, params):
    positional, named = arguments(function, params)
    value = function(*positional, **named)
    if hasattr(value, "__await__"):
        import asyncio

        async def finish():
            return await value

        value = asyncio.run(finish())
    return value


def encode(value, result_max):
    """The result's JSON text, or None with a note on standard error."""
    if value is None:
        return None
    try:
        text = whole(json.dumps(value, allow_nan=False, ensure_ascii=False)).encode()
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        note("no result: the returned value is not JSON: %s" % error)
        return None
    if len(text) > result_max:
        note("no result: it has %d bytes, more than %d" % (len(text), result_max))
        return None
    return text


def whole(text):
    """The text with what is no character, half of a surrogate pair, replaced by U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def sentence(error):
    kind = type(error)
    name = kind.__qualname__
    if kind.__module__ not in ("builtins", MODULE):
        name = kind.__module__ + "." + name
    try:
        text = str(error)
    except Exception:
        text = ""
    text = "%s: %s" % (name, text) if text else name
    return whole(text[:ERROR_CHARACTERS_MAX])


def show(error, code, filename):
    """The traceback from the job's first frame on, with its source lines."""
    import linecache
    import traceback

    linecache.cache[filename] = (len(code), None, code.splitlines(True), filename)
    frame = error.__traceback__
    while frame is not None and frame.tb_frame.f_code.co_filename != filename:
        frame = frame.tb_next
    sys.stdout.flush()
    traceback.print_exception(type(error), error, frame)


def main(request):
    code, params = request["code"], request["params"]
    filename = "<%s>" % request["name"]
    report = Report(params)
    sys.argv = [request["name"]]
    sys.stdout.reconfigure(line_buffering=True)
    try:
        names = load(code, filename)
        function = find(names, code, filename)
        value = None if function is None else call(function, params)
        result = encode(value, request["result_max"])
    except SystemExit:
        report.send()
        raise
    except BaseException as error:
        report.send(error=sentence(error))
        show(error, code, filename)
        sys.exit(1)
    report.send(result=result)
