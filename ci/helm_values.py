#!/usr/bin/env python3
"""values.schema.json says what each value of the chart is, and what it is by default. Of it are
made values.yaml and the table in the chart's README: `ci/helm_values.py` writes them, with
--check it only says whether they are up to date."""

import json
import re
import sys
import textwrap
from pathlib import Path

CHART = Path(__file__).resolve().parent.parent / "charts" / "cronapi"
WIDTH = 98
HEAD = "# Made of values.schema.json by ci/helm_values.py.\n"


def literal(value):
    return json.dumps(value, ensure_ascii=False)


def group(schema):
    """Whether a value has named parts, rather than a content of its own."""
    return schema["type"] == "object" and "properties" in schema


def comment(text, indent):
    pad = "  " * indent + "# "
    return textwrap.fill(text, WIDTH, initial_indent=pad, subsequent_indent=pad) + "\n"


def values(properties, indent=0):
    lines = ""
    for name, schema in properties.items():
        if indent == 0:
            lines += "\n"
        lines += comment(schema["description"], indent)
        lines += "  " * indent + name + ":"
        if group(schema):
            lines += "\n" + values(schema["properties"], indent + 1)
        else:
            lines += " " + literal(schema["default"]) + "\n"
    return lines


def rows(properties, before=""):
    for name, schema in properties.items():
        if group(schema):
            yield from rows(schema["properties"], f"{before}{name}.")
        else:
            text = schema["description"].replace("|", "\\|")
            yield f"| `{before}{name}` | `{literal(schema['default'])}` | {text} |"


def main():
    schema = json.loads((CHART / "values.schema.json").read_text())
    head = ["| value | default | is |", "|---|---|---|"]
    table = "\n".join([*head, *rows(schema["properties"])])
    readme = CHART / "README.md"
    text = re.sub(
        r"(<!-- values -->\n).*(\n<!-- end -->)",
        lambda found: found[1] + table + found[2],
        readme.read_text(),
        flags=re.S,
    )
    wanted = {CHART / "values.yaml": HEAD + values(schema["properties"]), readme: text}
    stale = [p for p, text in wanted.items() if not p.exists() or p.read_text() != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.name} is not what values.schema.json says: run ci/helm_values.py")
        return 1 if stale else 0
    for path in stale:
        path.write_text(wanted[path])
    return 0


if __name__ == "__main__":
    sys.exit(main())
