"""Check deploy/k8s: Kubernetes' own schemas, strictly; Strimzi's resources against what is used of them; house rules.

    python -m deploy.generate.check_k8s

Overlays are rendered by `kubectl kustomize`. Where kubectl is not there they are not checked, and this says so.
"""

import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

Json = dict[str, Any]
FOLDER = Path(__file__).parents[1] / "k8s"
VERSION = "1.34"


def closed(**properties: Json) -> Json:
    """All of these and nothing else."""
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def one_of(*values: str) -> Json:
    return {"enum": list(values)}


NAME = {"type": "string", "pattern": r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$"}
COUNT = {"type": "integer", "minimum": 1}
TOPIC = closed(
    topicName={"type": "string", "pattern": r"^[a-zA-Z0-9._-]{1,249}$"},
    partitions=COUNT,
    replicas={**COUNT, "maximum": 32767},
    config={"type": "object"},
)
ACL = closed(
    resource=closed(
        type=one_of("topic", "group", "cluster", "transactionalId"),
        name={"type": "string", "minLength": 1},
        patternType=one_of("literal", "prefix"),
    ),
    operations={
        "type": "array",
        "minItems": 1,
        "uniqueItems": True,
        "items": one_of("Read", "Write", "Create", "Describe", "DescribeConfigs", "AlterConfigs"),
    },
    host={"const": "*"},
)
USER = closed(
    authentication=closed(type=one_of("scram-sha-512")),
    authorization=closed(type=one_of("simple"), acls={"type": "array", "minItems": 1, "items": ACL}),
)
MONITOR = closed(
    jobLabel={"type": "string"},
    selector={"type": "object"},
    podMetricsEndpoints={
        "type": "array",
        "items": closed(port={"type": "string"}, path={"type": "string"}, interval={"type": "string"}),
    },
)
OWN = {
    ("kafka.strimzi.io/v1", "KafkaTopic"): TOPIC,
    ("kafka.strimzi.io/v1", "KafkaUser"): USER,
    ("monitoring.coreos.com/v1", "PodMonitor"): MONITOR,
}
"""What is used of resources whose schemas no package carries. Stricter than the originals, of which they are a part."""


def faults(documents: Iterable[Json]) -> Iterator[str]:
    """What is wrong, by resource; nothing when all is well."""
    seen: set[tuple[str, str]] = set()
    for document in documents:
        kind, name = str(document.get("kind")), str(document.get("metadata", {}).get("name"))
        if (kind, name) in seen:
            yield f"{kind}/{name}: twice"
        seen.add((kind, name))
        yield from (f"{kind}/{name}: {fault}" for fault in _faults_of(document))


def _faults_of(document: Json) -> Iterator[str]:
    own = OWN.get((str(document.get("apiVersion")), str(document.get("kind"))))
    if own is not None:
        named = {"properties": {"name": NAME}, "required": ["name", "labels"]}
        whole = {"required": ["metadata", "spec"], "properties": {"metadata": named, "spec": own}}
        yield from (f"{f.json_path}: {f.message}" for f in Draft202012Validator(whole).iter_errors(document))
        return
    if document.get("kind") == "Secret":
        yield "a manifest holds no secret, it names one"
        return
    try:
        kubernetes_validate.validate(document, VERSION, strict=True)
    except kubernetes_validate.ValidationError as fault:
        yield f"{fault.json_path}: {fault.message}"
    except kubernetes_validate.SchemaNotFoundError:
        yield "no schema knows this kind"
    pod = document.get("spec", {}).get("template", {}).get("spec")
    if pod is not None:
        yield from _careless(pod)


def _careless(pod: Json) -> Iterator[str]:
    """Where a pod is not as Kubernetes' "restricted" profile wants it, or as this house does."""
    context = pod.get("securityContext", {})
    if not (context.get("runAsNonRoot") and context.get("seccompProfile") == {"type": "RuntimeDefault"}):
        yield "runs as root or without seccomp"
    if pod.get("automountServiceAccountToken") is not False:
        yield "is handed a token for the cluster"
    for container in pod["containers"]:
        own = container.get("securityContext", {})
        if own.get("allowPrivilegeEscalation") is not False or own.get("capabilities") != {"drop": ["ALL"]}:
            yield "may gain rights"
        if own.get("readOnlyRootFilesystem") is not True:
            yield "may write where it should not"
        if not {"memory", "cpu"} <= set(container.get("resources", {}).get("requests", {})):
            yield "asks for no resources"
        if any("PASSWORD" in e["name"] and not e["name"].endswith("_FILE") for e in container.get("env", [])):
            yield "has a password in its environment"


def base() -> list[Json]:
    """Every resource that the base and the components name."""
    found: list[Json] = []
    for file in sorted(FOLDER.glob("[bc]*/**/kustomization.yaml")):
        for name in yaml.safe_load(file.read_text())["resources"]:
            found += yaml.safe_load_all((file.parent / name).read_text())
    return found


def rendered(overlay: Path) -> list[Json]:
    """Raises CalledProcessError where kubectl cannot."""
    made = subprocess.run(["kubectl", "kustomize", str(overlay)], check=True, capture_output=True, text=True)
    return list(yaml.safe_load_all(made.stdout))


def main() -> int:
    found = list(faults(base()))
    overlays = sorted(file.parent for file in (FOLDER / "overlays").glob("*/kustomization.yaml"))
    if shutil.which("kubectl"):
        found += [f"{overlay.name}: {fault}" for overlay in overlays for fault in faults(rendered(overlay))]
    else:
        print("NOT CHECKED: the overlays of deploy/k8s need kubectl; install it for this check", file=sys.stderr)
    print(*found, sep="\n", end="\n" if found else "", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
