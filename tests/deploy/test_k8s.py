"""The Kubernetes manifests: one of everything a service needs, valid, restricted, without a secret in them."""

import copy
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from chassis.service import all_topics
from chassis.settings import Settings
from deploy.access import TOPIC_ADMIN, acls, principal_of
from deploy.generate import check_k8s
from deploy.services import all_services

Json = dict[str, Any]
BASE = check_k8s.base()
OVERLAY = Path(__file__).parents[2] / "deploy/k8s/overlays/example/kustomization.yaml"


def of_kind(kind: str) -> dict[str, Json]:
    return {d["metadata"]["name"]: d for d in BASE if d["kind"] == kind}


def pod_of(name: str) -> Json:
    spec: Json = of_kind("Deployment")[name]["spec"]["template"]["spec"]
    return spec


def files_of(pod: Json) -> dict[str, str]:
    """File under /run/secrets -> the Secret it comes from."""
    sources = pod["volumes"][0]["projected"]["sources"]
    return {item["path"]: s["secret"]["name"] for s in sources for item in s["secret"]["items"]}


def test_they_are_valid() -> None:
    assert list(check_k8s.faults(BASE)) == []


def test_one_of_each_for_every_service() -> None:
    names = {principal_of(s) for s in all_services()}
    for kind in ("Deployment", "Service", "PodDisruptionBudget", "ServiceAccount"):
        assert set(of_kind(kind)) == names
    for service in all_services():
        pod = pod_of(principal_of(service))
        (container,) = pod["containers"]
        assert importlib.import_module(container["args"][0]).service.name == service.name
        assert container["env"] == [{"name": "TRIBUTARY_KAFKA_USER", "value": principal_of(service)}]
        pepper = {"pepper": "tributary-pepper"} if service.makes_pseudonyms else {}
        assert files_of(pod) == pepper | {
            "database_password": f"tributary-database-{principal_of(service)}",
            "kafka_password": principal_of(service),
            "kafka_ca.pem": "tributary-kafka-cluster-ca-cert",
        }


def test_who_prepares_has_every_services_password_and_leaves_the_broker_to_strimzi() -> None:
    pod = of_kind("Job")["prepare"]["spec"]["template"]["spec"]
    assert set(files_of(pod)) == {principal_of(s) for s in all_services()} | {"database_password"}
    assert pod["containers"][0]["command"][-1] == "--database-only"


def test_topics_and_rights_are_those_of_the_services() -> None:
    assert sorted(d["spec"]["topicName"] for d in of_kind("KafkaTopic").values()) == all_topics(all_services())
    given = {
        (user, acl["resource"]["type"], acl["resource"]["name"], acl["resource"]["patternType"], verb.upper())
        for user, d in of_kind("KafkaUser").items()
        for acl in d["spec"]["authorization"]["acls"]
        for verb in acl["operations"]
    }
    assert given == {
        (r.principal, r.resource, r.name, "prefix" if r.prefixed else "literal", verb)
        for r in acls()
        if r.principal != TOPIC_ADMIN
        for verb in r.operations
    }


def test_settings_are_settings_there_are() -> None:
    set_here = {name.removeprefix("TRIBUTARY_").lower() for name in of_kind("ConfigMap")["tributary-settings"]["data"]}
    assert {name for name in set_here if not name.startswith("auth_")} <= set(Settings.model_fields)


def test_the_overlay_changes_what_is_there() -> None:
    overlay = yaml.safe_load(OVERLAY.read_text())
    known = {(d["kind"], d["metadata"]["name"]) for d in BASE}
    for patch in overlay["patches"]:
        assert (patch["target"]["kind"], patch["target"]["name"]) in known
    images = {c["image"] for d in (*of_kind("Deployment").values(), *of_kind("Job").values())
              for c in d["spec"]["template"]["spec"]["containers"]}  # fmt: skip
    assert images == {image["name"] for image in overlay["images"]}


CARELESS: list[Callable[[Json], Any]] = [
    lambda pod: pod["securityContext"].pop("runAsNonRoot"),
    lambda pod: pod["securityContext"].pop("seccompProfile"),
    lambda pod: pod.update(automountServiceAccountToken=True),
    lambda pod: pod["containers"][0]["securityContext"].update(allowPrivilegeEscalation=True),
    lambda pod: pod["containers"][0]["securityContext"].pop("capabilities"),
    lambda pod: pod["containers"][0]["securityContext"].update(readOnlyRootFilesystem=False),
    lambda pod: pod["containers"][0]["resources"].pop("requests"),
    lambda pod: pod["containers"][0]["env"].append({"name": "TRIBUTARY_DATABASE_PASSWORD", "value": "x"}),
    lambda pod: pod["containers"][0].update(livenesProbe={}),
    lambda pod: pod["containers"][0].pop("name"),
]


@pytest.mark.parametrize("spoil", CARELESS)
def test_a_careless_pod_is_found(spoil: Callable[[Json], Any]) -> None:
    spoiled = copy.deepcopy(of_kind("Deployment")["ras"])
    spoil(spoiled["spec"]["template"]["spec"])
    assert len(list(check_k8s.faults([spoiled]))) == 1


@pytest.mark.parametrize(
    ("kind", "spoil"),
    [
        ("KafkaTopic", lambda spec: spec.update(replicas=0)),
        ("KafkaTopic", lambda spec: spec.update(partition=12)),
        ("KafkaUser", lambda spec: spec["authorization"]["acls"][0].update(operations=["All"])),
        ("KafkaUser", lambda spec: spec["authorization"]["acls"][0].pop("host")),
        ("KafkaUser", lambda spec: spec["authentication"].update(type="plain")),
    ],
)
def test_a_wrong_resource_of_strimzi_is_found(kind: str, spoil: Callable[[Json], Any]) -> None:
    spoiled = copy.deepcopy(next(iter(of_kind(kind).values())))
    spoil(spoiled["spec"])
    assert len(list(check_k8s.faults([spoiled]))) == 1


def test_a_secret_and_a_name_twice_are_found() -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {}}
    topic = next(iter(of_kind("KafkaTopic").values()))
    assert len(list(check_k8s.faults([secret, topic, topic]))) == 2
