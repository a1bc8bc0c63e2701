#!/usr/bin/env python3
"""Checks docker-compose.yml, and charts/cronapi without Helm and without a cluster: lint, the
schema of values, what is rendered from several sets of values, and that against the OpenAPI
schemas of Kubernetes.
`ci/helm.py --write` only writes what cluster-tests/tests/nodes/stateful_set.rs starts its
pods with.

Each check is a line; the last line counts them."""

import base64
import json
import re
import subprocess
import sys
from pathlib import Path

import helm_python
import kubernetes_validate
import yaml
from helm_python import Chart

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "charts" / "cronapi"
PODS = ROOT / "cluster-tests" / "tests" / "nodes" / "stateful_set" / "pods.json"
VERSIONS = ["1.25", "1.28", "1.31", "1.34", "1.37"]
NAME, NAMESPACE = "cron", "jobs"

passed = failed = 0


def check(what, fault=None):
    """Counts one check; `fault` says what is wrong, if anything."""
    global passed, failed
    if fault:
        failed += 1
        print(f"FAILED {what}: {fault}")
    else:
        passed += 1
        print(f"ok {what}")


# Sets of values that people use, and what each of them is for.
SETS = {
    "nothing given": {},
    "one node": {"replicas": 1},
    "five nodes, all optional parts": {
        "replicas": 5,
        "voters": 5,
        "existingSecret": "mine",
        "image": {"repository": "registry.example/cronapi", "digest": "sha256:" + "0" * 64},
        "imagePullSecrets": [{"name": "pull"}],
        "slots": 8,
        "nodeLabels": {"region": "eu", "disk": "ssd"},
        "redis": {"secret": {"name": "redis"}},
        "heartbeat": {"secret": {"name": "watched", "key": "address"}, "every": "30s"},
        "extraEnv": [{"name": "TZ", "value": "UTC"}],
        "extraVolumes": [{"name": "more", "emptyDir": {}}],
        "extraVolumeMounts": [{"name": "more", "mountPath": "/more"}],
        "persistence": {
            "storageClass": "fast",
            "annotations": {"a": "b"},
            "retention": {"whenScaled": "Delete"},
        },
        "service": {"type": "NodePort", "nodePort": 30800, "annotations": {"a": "b"}},
        "ingress": {
            "enabled": True,
            "className": "nginx",
            "annotations": {"a": "b"},
            "hosts": ["cron.example", "cron2.example"],
            "tls": [{"secretName": "tls", "hosts": ["cron.example"]}],
        },
        "networkPolicy": {"from": [{"namespaceSelector": {"matchLabels": {"team": "jobs"}}}]},
        "antiAffinity": "hard",
        "topologySpreadConstraints": [
            {
                "maxSkew": 1,
                "topologyKey": "topology.kubernetes.io/zone",
                "whenUnsatisfiable": "ScheduleAnyway",
            }
        ],
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"key": "jobs", "operator": "Exists"}],
        "priorityClassName": "high",
        "podAnnotations": {"a": "b"},
        "podLabels": {"team": "jobs"},
        "serviceAccount": {"annotations": {"a": "b"}},
        "metrics": {
            "tokenSecret": {"name": "scrape"},
            "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
            "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
            "dashboard": {"enabled": True},
        },
    },
    "metrics at a port of their own": {
        "metrics": {"port": 9090, "serviceMonitor": {"enabled": True}},
    },
    "HTTPS by the nodes": {
        "tls": {"existingSecret": "cert"},
        "metrics": {"tokenSecret": {"name": "scrape"}, "serviceMonitor": {"enabled": True}},
    },
    "without volumes, policies and budgets": {
        "persistence": {"enabled": False},
        "networkPolicy": {"enabled": False},
        "podDisruptionBudget": {"enabled": False},
        "serviceAccount": {"create": False},
        "antiAffinity": "none",
        "preStopSeconds": 0,
        "fullnameOverride": "scheduler",
        "affinity": {},
        "service": {"type": "LoadBalancer"},
    },
}

# Values that are refused, and the name that the refusal has to say.
REFUSED = [
    ({"replicas": "three"}, "replicas"),
    ({"replicas": 0}, "replicas"),
    ({"voters": 4}, "voters"),
    ({"replica": 3}, "replica"),
    ({"image": {"tags": "1"}}, "tags"),
    ({"image": {"pullPolicy": "Sometimes"}}, "pullPolicy"),
    ({"image": {"digest": "latest"}}, "digest"),
    ({"drain": "soon"}, "drain"),
    ({"redis": {"url": "redis://:pw@redis"}}, "url"),
    ({"heartbeat": {"every": "now and then"}}, "every"),
    ({"persistence": {"size": "8 GB"}}, "size"),
    ({"service": {"port": 70000}}, "port"),
    ({"antiAffinity": "maybe"}, "antiAffinity"),
    ({"ingress": {"hosts": [{"host": "cron.example"}]}}, "hosts"),
    ({"nodeLabels": {"rack": 7}}, "nodeLabels"),
    ({"tmpSize": "a lot"}, "tmpSize"),
    ({"networkPolicy": {"to": ["everybody"]}}, "to"),
    ({"metrics": {"serviceMonitor": {"enabled": "yes"}}}, "enabled"),
]


def render(chart, values):
    """The objects, and the notes."""
    objects, notes = [], ""
    for path, text in sorted(chart.render(values, name=NAME, namespace=NAMESPACE).items()):
        if path.endswith("NOTES.txt"):
            notes = text
        else:
            objects += [obj for obj in yaml.safe_load_all(text) if obj]
    return objects, notes


def one(objects, kind, name=None):
    found = [o for o in objects if o["kind"] == kind and name in (None, o["metadata"]["name"])]
    return found[0] if found else None


def valid(name, objects):
    for version in VERSIONS:
        faults = []
        for obj in objects:
            if obj["apiVersion"].startswith("monitoring.coreos.com/"):
                continue
            try:
                kubernetes_validate.validate(obj, version, strict=True)
            except kubernetes_validate.ValidationError as error:
                where = ".".join(map(str, error.path))
                faults.append(f"{obj['kind']} {where}: {error.message}")
        check(f"{name}: valid for Kubernetes {version}", "; ".join(faults))


def pods(objects):
    for obj in objects:
        if obj["kind"] == "Pod":
            yield obj["metadata"]["name"], obj["spec"]
        elif obj["kind"] == "StatefulSet":
            yield obj["metadata"]["name"], obj["spec"]["template"]["spec"]


def hardened(name, objects):
    """What every pod has to have, whatever the values."""
    faults = []

    def wants(pod, what, holds):
        if not holds:
            faults.append(f"{pod}: {what}")

    for pod, spec in pods(objects):
        security = spec.get("securityContext", {})
        wants(pod, "runs as 65532, not root", security.get("runAsUser") == 65532)
        wants(pod, "runAsNonRoot", security.get("runAsNonRoot") is True)
        profile = security.get("seccompProfile", {}).get("type")
        wants(pod, "seccomp RuntimeDefault", profile == "RuntimeDefault")
        wants(pod, "no account token", spec.get("automountServiceAccountToken") is False)
        for volume in spec.get("volumes", []):
            wants(pod, "no hostPath", "hostPath" not in volume)
            bounded = "emptyDir" not in volume or "sizeLimit" in volume["emptyDir"]
            wants(pod, f"a size limit of {volume['name']}", bounded or volume["name"] == "more")
            chosen = "secret" not in volume or volume["secret"].get("items")
            wants(pod, f"keys of {volume['name']} by name, not the whole Secret", chosen)
        for container in spec["containers"]:
            own = container.get("securityContext", {})
            wants(pod, "readOnlyRootFilesystem", own.get("readOnlyRootFilesystem") is True)
            wants(pod, "no escalation", own.get("allowPrivilegeEscalation") is False)
            wants(pod, "drops ALL", own.get("capabilities", {}).get("drop") == ["ALL"])
            resources = container.get("resources", {})
            for what in ("memory", "ephemeral-storage"):
                wants(pod, f"a limit of {what}", what in resources.get("limits", {}))
                wants(pod, f"a request of {what}", what in resources.get("requests", {}))
            for variable in container.get("env", []):
                secret = any(w in variable["name"] for w in ("KEY", "PASSWORD", "TOKEN", "SECRET"))
                # A path is where a secret is, not the secret.
                literal = not variable.get("value", "/").startswith("/")
                wants(pod, f"no secret in {variable['name']}", not (secret and literal))
    check(f"{name}: pods are hardened", "; ".join(faults))


def consistent(name, objects, values):
    faults = []
    fullname = values.get("fullnameOverride", f"{NAME}-cronapi")
    sts = one(objects, "StatefulSet", fullname)
    template = sts["spec"]["template"]
    labels = template["metadata"]["labels"]
    container = template["spec"]["containers"][0]
    env = {v["name"]: v.get("value") for v in container["env"]}
    replicas = values.get("replicas", 3)

    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        if probe not in container:
            faults.append(f"no {probe}")
    names = [v["name"] for v in container["env"]]
    if len(names) != len(set(names)):
        faults.append(f"a variable twice in {names}")
    selectors = {"StatefulSet": sts["spec"]["selector"]["matchLabels"]}
    for obj in objects:
        if obj["kind"] == "Service":
            selectors[obj["metadata"]["name"]] = obj["spec"]["selector"]
            for port in obj["spec"]["ports"]:
                if port.get("protocol") != "TCP":
                    faults.append(f"{obj['metadata']['name']}: a port without protocol: TCP")
                if port["targetPort"] not in [p["name"] for p in container["ports"]]:
                    faults.append(f"{obj['metadata']['name']}: no port {port['targetPort']}")
        if obj["kind"] in ("PodDisruptionBudget", "NetworkPolicy"):
            key = "selector" if obj["kind"] == "PodDisruptionBudget" else "podSelector"
            selectors[obj["kind"]] = obj["spec"][key]["matchLabels"]
        if obj["metadata"].get("namespace") != NAMESPACE:
            faults.append(f"{obj['kind']}: not in the namespace of the release")
    for what, selector in selectors.items():
        if not selector.items() <= labels.items():
            faults.append(f"{what} selects {selector}, pods have {labels}")
        test = one(objects, "Pod")["metadata"]["labels"]
        if selector.items() <= test.items():
            faults.append(f"{what} selects the pod of helm test")
    if any(p.get("protocol") != "TCP" for p in container["ports"]):
        faults.append("a port of the container without protocol: TCP")

    headless = one(objects, "Service", sts["spec"]["serviceName"])
    if not headless or headless["spec"]["clusterIP"] != "None":
        faults.append("no headless service of the name that the set has")
    elif headless["spec"].get("publishNotReadyAddresses") is not True:
        faults.append("nodes have to find each other before they are ready")
    domain = f"{headless['metadata']['name']}.{NAMESPACE}.svc.cluster.local"
    want = [f"{fullname}-{n}.{domain}:8001" for n in range(min(3, replicas))] + [f"{domain}:8001"]
    if env["CRONAPI_JOIN"].split(",") != want:
        faults.append(f"CRONAPI_JOIN is {env['CRONAPI_JOIN']}")
    if env["CRONAPI_ADVERTISE"] != f"$(POD_NAME).{domain}:8001":
        faults.append(f"CRONAPI_ADVERTISE is {env['CRONAPI_ADVERTISE']}")
    if names.index("POD_NAME") > names.index("CRONAPI_ADVERTISE"):
        faults.append("POD_NAME stands after what needs it, and would not be replaced")
    grace = template["spec"]["terminationGracePeriodSeconds"]
    if grace <= values.get("preStopSeconds", 3) + 25:
        faults.append(f"{grace} s are too short to drain")
    mounts = {m["name"] for m in container["volumeMounts"]}
    volumes = {v["name"] for v in template["spec"].get("volumes", [])}
    volumes |= {c["metadata"]["name"] for c in sts["spec"].get("volumeClaimTemplates", [])}
    if mounts != volumes:
        faults.append(f"volumes {volumes}, mounts {mounts}")
    secret = next(v for v in template["spec"]["volumes"] if v["name"] == "secrets")
    used, made = secret["secret"]["secretName"], one(objects, "Secret")
    if "existingSecret" in values:
        if made or used != values["existingSecret"]:
            faults.append("an existing secret is not what is used")
    elif not made or made["metadata"]["name"] != used or len(made["data"]) != 3:
        faults.append("no secret is made")
    elif len(base64.b64decode(base64.b64decode(made["data"]["secrets-key"]))) != 32:
        faults.append("the key of secrets is not 32 bytes in base64")
    if (one(objects, "PodDisruptionBudget") is not None) != (
        replicas > 1 and values.get("podDisruptionBudget", {}).get("enabled", True)
    ):
        faults.append("the budget is not as asked")
    check(f"{name}: the parts fit together", "; ".join(faults))


def optional(objects, notes):
    """Of the set with everything in it."""
    monitor = one(objects, "ServiceMonitor")["spec"]
    service = one(objects, "Service", f"{NAME}-cronapi-nodes")
    fits = monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    check("the monitor selects the headless service", None if fits else str(monitor))
    ingress = one(objects, "Ingress")["spec"]
    hosts = [rule["host"] for rule in ingress["rules"]]
    check("every host has its rule", None if len(hosts) == 2 else str(hosts))
    policy = one(objects, "NetworkPolicy")["spec"]["ingress"]
    nodes = [rule for rule in policy if rule["ports"][0]["port"] == "cluster"]
    closed = len(nodes) == 1 and len(nodes[0]["from"]) == 1
    check("only nodes reach the cluster's port", None if closed else str(nodes))
    container = one(objects, "StatefulSet")["spec"]["template"]["spec"]["containers"][0]
    env = {v["name"]: v for v in container["env"]}
    of = {
        name: env.get(name, {}).get("valueFrom", {}).get("secretKeyRef")
        for name in ("REDIS_URL", "CRONAPI_HEARTBEAT_URL")
    }
    want = {
        "REDIS_URL": {"name": "redis", "key": "url"},
        "CRONAPI_HEARTBEAT_URL": {"name": "watched", "key": "address"},
    }
    every = env.get("CRONAPI_HEARTBEAT_EVERY", {}).get("value")
    right = of == want and every == "30s"
    check("addresses that are secrets come from Secrets", None if right else f"{of}, {every}")
    check("the notes name the secret", None if "generic mine" in notes else notes)
    for file, kind in (("alerts.yaml", "PrometheusRule"), ("dashboard.json", "ConfigMap")):
        there = (CHART / "files" / file).exists()
        check(f"{file} and its {kind}", None if there == bool(one(objects, kind)) else "only one")


def outward(chart):
    """Whom pods may reach."""

    def policy(values):
        objects, notes = render(chart, values)
        return one(objects, "NetworkPolicy")["spec"], notes

    told, _ = policy({})
    both = sorted(told["policyTypes"]) == ["Egress", "Ingress"]
    check("the policy has both directions", None if both else str(told["policyTypes"]))
    rules = [peer["ipBlock"] for rule in told["egress"] for peer in rule.get("to", [])
             if "ipBlock" in peer]
    bare = [block["cidr"] for block in rules if "169.254.0.0/16" not in block.get("except", [])
            and ":" not in block["cidr"]]
    check("credentials of the machine are out of reach", None if rules and not bare else str(rules))
    open_rules = [rule for rule in told["egress"] if not rule.get("to") and not rule.get("ports")]
    check("no rule lets everything out", str(open_rules) if open_rules else None)
    for rule in told["egress"]:
        if not rule.get("to"):
            dns = all(port["port"] == 53 for port in rule["ports"])
            check("to everybody, DNS only", None if dns else str(rule))
    closed, notes = policy({"networkPolicy": {"to": []}})
    left = closed["egress"]
    ports = sorted({str(port["port"]) for rule in left for port in rule["ports"]})
    only = len(left) == 2 and ports == ["53", "cluster"]
    check("closed: DNS and nodes", None if only else str(left))
    check("closed: the notes say so", None if "networkPolicy.to is empty" in notes else notes)
    asked = [{"ipBlock": {"cidr": "192.0.2.7/32"}}]
    listed, _ = policy({"networkPolicy": {"to": asked}})
    last = listed["egress"][-1]["to"]
    check("what is listed is let out", None if last == asked else str(last))


def compose():
    """What every service of docker-compose.yml has to have, and every base image."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    faults = []
    for name, service in services.items():
        wanted = {
            "read_only": service.get("read_only") is True,
            "mem_limit": "mem_limit" in service,
            "pids_limit": "pids_limit" in service,
            "cap_drop ALL": service.get("cap_drop") == ["ALL"],
            "no-new-privileges": "no-new-privileges" in service.get("security_opt", []),
            "bounded tmpfs": all("size=" in one for one in service.get("tmpfs", [])),
            "bounded log": "logging" in service or service.get("network_mode") == "none",
        }
        faults += [f"{name}: {what}" for what, holds in wanted.items() if not holds]
    check("compose: every service is bounded", "; ".join(faults))
    tags = re.findall(r"^ARG (?:RUST|DEBIAN)=(.*)$", (ROOT / "Dockerfile").read_text(), re.M)
    tags += [s["image"].split(":")[1] for s in services.values() if not s["image"].startswith("$")]
    exact = [tag for tag in tags if not re.match(r"\d+\.\d+", tag)]
    check("base images have exact versions", "; ".join(exact) if len(tags) == 3 else str(tags))


def https(name, objects, notes, values):
    """Whoever speaks to a node speaks what it speaks."""
    on = "tls" in values
    faults = []
    container = one(objects, "StatefulSet")["spec"]["template"]["spec"]["containers"][0]
    env = {v["name"] for v in container["env"]}
    if ("CRONAPI_ALLOW_HTTP" in env) == on or ("CRONAPI_TLS_KEY" in env) != on:
        faults.append(f"variables {env}")
    scheme = "https" if on else "http"
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        if container[probe]["httpGet"]["scheme"] != scheme.upper():
            faults.append(f"{probe} does not speak {scheme}")
    test = one(objects, "Pod")["spec"]["containers"][0]["args"]
    if not any(arg.startswith(f"{scheme}://") for arg in test):
        faults.append(f"helm test asks {test}")
    monitor = one(objects, "ServiceMonitor")
    if monitor and (monitor["spec"]["endpoints"][0].get("scheme") == "https") != on:
        faults.append("the monitor asks otherwise")
    if f"{scheme}://127.0.0.1" not in notes:
        faults.append("the notes ask otherwise")
    check(f"{name}: all speak {scheme}", "; ".join(faults))


def tested(chart):
    """The command line and the environment of pods, for tests with real processes."""
    pods = {}
    for replicas in (1, 3, 5):
        objects, _ = render(chart, {"replicas": replicas})
        container = one(objects, "StatefulSet")["spec"]["template"]["spec"]["containers"][0]
        env = {v["name"]: v["value"] for v in container["env"] if "value" in v}
        pods[str(replicas)] = {"args": container["args"], "env": env}
    return json.dumps(pods, indent=2) + "\n"


def main():
    if "--write" in sys.argv[1:]:
        PODS.write_text(tested(Chart.load(str(CHART))))
        return 0
    stale = subprocess.run([ROOT / "ci/helm_values.py", "--check"], capture_output=True, text=True)
    check("values.yaml and the README are what the schema says", stale.stdout.strip())

    report = helm_python.lint(str(CHART), strict=True)
    bad = [m["error"] for m in report["messages"] if m["severity"] >= 2] + report["errors"]
    check("lint --strict", "; ".join(map(str, bad)))

    chart = Chart.load(str(CHART))
    for values, name in REFUSED:
        try:
            chart.validate_schema(values)
            check(f"refuses {values}", "it was taken")
        except helm_python.HelmError as error:
            told = None if name in str(error) else f"does not name {name}: {error}"
            check(f"refuses {values} by name", told)

    for name, values in SETS.items():
        chart.validate_schema(values)
        objects, notes = render(chart, values)
        valid(name, objects)
        hardened(name, objects)
        consistent(name, objects, values)
        https(name, objects, notes, values)
        if "all optional" in name:
            optional(objects, notes)
    outward(chart)
    compose()
    same = PODS.exists() and PODS.read_text() == tested(chart)
    check("tests start pods as the chart does", None if same else "run ci/helm.py --write")
    small, large = ({"replicas": n} for n in (3, 5))
    sets = [one(render(chart, values)[0], "StatefulSet") for values in (small, large)]
    templates = [found["spec"]["template"] for found in sets]
    same = None if templates[0] == templates[1] else "they would all be started again"
    check("pods stay as they are when the set grows from 3 to 5", same)

    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
