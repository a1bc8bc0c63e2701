#!/usr/bin/env python3
"""What the program is made of.

    ci/supply.py check        licences, bans and sources of every dependency, by deny.toml
    ci/supply.py sbom FILE    a bill of materials of the binary (CycloneDX 1.5, JSON)

Needs cargo and Python 3.11; no network once the dependencies are there."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = "x86_64-unknown-linux-gnu"


def metadata(*more):
    words = ["cargo", "metadata", "--format-version", "1", "--locked", *more]
    return json.loads(subprocess.run(words, cwd=ROOT, check=True, capture_output=True).stdout)


class Expression:
    """An SPDX expression: whether some choice in it is allowed. `/` is an old way to say OR."""

    def __init__(self, text, allowed):
        self.words = re.findall(r"\(|\)|[^\s()]+", text.replace("/", " OR "))
        self.allowed = allowed

    def holds(self):
        result = self.either()
        return result and not self.words

    def either(self):
        result = self.both()
        while self.words[:1] == ["OR"]:
            self.words.pop(0)
            result = self.both() or result
        return result

    def both(self):
        result = self.one()
        while self.words[:1] == ["AND"]:
            self.words.pop(0)
            result = self.one() and result
        return result

    def one(self):
        word = self.words.pop(0)
        if word == "(":
            result = self.either()
            self.words.pop(0)
            return result
        if self.words[:1] == ["WITH"]:
            self.words.pop(0)
            word += " WITH " + self.words.pop(0)
        return word in self.allowed


def check():
    rules = tomllib.loads((ROOT / "deny.toml").read_text())
    allowed = set(rules["licenses"]["allow"])
    exceptions = {one["crate"]: set(one["allow"]) for one in rules["licenses"]["exceptions"]}
    registries = {f"registry+{url}" for url in rules["sources"]["allow-registry"]}
    banned = {one["crate"]: one.get("version") for one in rules["bans"]["deny"]}
    faults, used = [], set()
    packages = metadata("--all-features", "--filter-platform", TARGET)["packages"]
    for package in packages:
        name, version = package["name"], package["version"]
        who = f"{name} {version}"
        if package["source"] is None:
            for dependency in package["dependencies"]:
                if dependency["req"] == "*" and not dependency.get("path"):
                    faults.append(f"{who}: {dependency['name']} has no version")
            continue
        if package["source"] not in registries:
            faults.append(f"{who} is from {package['source']}")
        licence = package["license"] or "none"
        more = exceptions.get(name, set())
        if not Expression(licence, allowed).holds():
            if not Expression(licence, allowed | more).holds():
                faults.append(f"{who} has the licence {licence}")
            used.add(name)
        if name in banned and not (banned[name] and version_is_newer(version, banned[name])):
            faults.append(f"{who} is banned")
    faults += [f"deny.toml excepts {name}, which needs it not" for name in exceptions.keys() - used]
    for fault in faults:
        print(f"FAILED supply: {fault}")
    print(f"{len(packages)} packages: {len(faults)} faults")
    return 1 if faults else 0


def version_is_newer(version, bound):
    numbers = [int(part) for part in re.findall(r"\d+", version)[:3]]
    return numbers >= [int(part) for part in re.findall(r"\d+", bound)]


def sbom(path):
    data = metadata("--filter-platform", TARGET)
    by_id = {package["id"]: package for package in data["packages"]}
    nodes = {node["id"]: node for node in data["resolve"]["nodes"]}
    root = next(p for p in data["packages"] if p["name"] == "cronapi" and p["source"] is None)

    def needed(node):
        kinds = lambda dep: {kind["kind"] for kind in dep["dep_kinds"]}
        # What is only for tests or for the build is not in the binary.
        return [dep["pkg"] for dep in nodes[node]["deps"] if None in kinds(dep)]

    found, todo = set(), [root["id"]]
    while todo:
        node = todo.pop()
        if node not in found:
            found.add(node)
            todo += needed(node)
    lock = tomllib.loads((ROOT / "Cargo.lock").read_text())["package"]
    digests = {(one["name"], one["version"]): one.get("checksum") for one in lock}

    def component(package, kind="library"):
        purl = f"pkg:cargo/{package['name']}@{package['version']}"
        entry = {
            "type": kind,
            "bom-ref": purl,
            "name": package["name"],
            "version": package["version"],
            "purl": purl,
        }
        if package["license"]:
            expression = package["license"].replace(" / ", " OR ").replace("/", " OR ")
            entry["licenses"] = [{"expression": expression.replace("MPL-2.0+", "MPL-2.0-or-later")}]
        digest = digests.get((package["name"], package["version"]))
        if digest:
            entry["hashes"] = [{"alg": "SHA-256", "content": digest}]
        return entry

    ref = lambda node: f"pkg:cargo/{by_id[node]['name']}@{by_id[node]['version']}"
    bom = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": component(root, "application")},
        "components": sorted(
            (component(by_id[node]) for node in found if node != root["id"]),
            key=lambda entry: entry["bom-ref"],
        ),
        "dependencies": sorted(
            ({"ref": ref(node), "dependsOn": sorted({ref(dep) for dep in needed(node)})}
             for node in found),
            key=lambda entry: entry["ref"],
        ),
    }
    Path(path).write_text(json.dumps(bom, indent=1) + "\n")
    print(f"{path}: {len(found)} packages")
    return 0


if __name__ == "__main__":
    if sys.argv[1:2] == ["sbom"] and len(sys.argv) == 3:
        sys.exit(sbom(sys.argv[2]))
    if sys.argv[1:] == ["check"]:
        sys.exit(check())
    sys.exit(__doc__)
