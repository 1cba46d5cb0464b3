"""`deploy/k8s/base`: Kubernetes manifests from the services' own values, so that a new stream needs nothing here.

Topics and users are Strimzi's resources, made from the same tables as everywhere. No password is in a manifest: each is
a reference to a Secret. What differs between councils is in an overlay.
"""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

import yaml

from chassis.bus import MAX_RECORD_BYTES
from chassis.service import Service, all_topics
from deploy.access import TOPIC_ADMIN, Access, acls, principal_of
from deploy.services import all_services, modules

Json = dict[str, Any]
FOLDER = "deploy/k8s/base"
HEAD = "# Generated from the folders of services/ by `make generate`. Do not edit; what differs goes in an overlay.\n"
PART_OF = {"app.kubernetes.io/part-of": "tributary"}
CLUSTER = {"strimzi.io/cluster": "tributary-kafka"}
STRIMZI = "kafka.strimzi.io/v1"
PORT, KAFKA_PORT, POSTGRES_PORT = 8080, 9093, 5432
USER = 10001
SETTINGS = {
    "TRIBUTARY_HOST": "0.0.0.0",
    "TRIBUTARY_BUS": "kafka",
    "TRIBUTARY_KAFKA_BOOTSTRAP": f"tributary-kafka-kafka-bootstrap:{KAFKA_PORT}",
    "TRIBUTARY_KAFKA_SECURITY": "SASL_SSL",
    "TRIBUTARY_KAFKA_PASSWORD_FILE": "/run/secrets/kafka_password",
    "TRIBUTARY_KAFKA_CA_FILE": "/run/secrets/kafka_ca.pem",
    "TRIBUTARY_DATABASE_HOST": "tributary-postgres",
    "TRIBUTARY_DATABASE_PASSWORD_FILE": "/run/secrets/database_password",
    "TRIBUTARY_AUTH_ISSUER": "https://issuer.example",
    "TRIBUTARY_AUTH_AUDIENCE": "tributary",
    "TRIBUTARY_AUTH_JWKS_URL": "https://issuer.example/jwks.json",
}


def files() -> dict[str, str]:
    """Path from the root -> text."""
    services = all_services()
    parts: dict[str, list[Json]] = {"settings": [_settings()], "network": _network(), "prepare": [_prepare(services)]}
    for module, service in zip(modules(), services, strict=True):
        parts[principal_of(service)] = _of_service(module, service)
    parts |= {"topics": [_topic(topic) for topic in all_topics(services)], "users": _users(services)}
    names = [f"{name}.yaml" for name in parts]
    kustomization = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization", "resources": names}
    made = {f"{FOLDER}/{name}.yaml": _text(documents) for name, documents in parts.items()}
    return made | {f"{FOLDER}/kustomization.yaml": _text([kustomization])}


class _Plain(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(documents: Sequence[Json]) -> str:
    return HEAD + yaml.dump_all(documents, Dumper=_Plain, sort_keys=False, width=120)


def _meta(name: str, **labels: str) -> Json:
    return {"name": name, "labels": {"app.kubernetes.io/name": name, **PART_OF, **labels}}


def _settings() -> Json:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _meta("tributary-settings"), "data": SETTINGS}


def _of_service(module: str, service: Service) -> list[Json]:
    name = principal_of(service)
    chosen = {"matchLabels": {"app.kubernetes.io/name": name, **PART_OF}}
    ports = [{"name": "http", "port": PORT, "targetPort": "http"}]
    return [
        _account(name),
        _deployment(module, service, chosen),
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": _meta(name),
            "spec": {"selector": chosen["matchLabels"], "ports": ports},
        },
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": _meta(name),
            "spec": {"maxUnavailable": 1, "selector": chosen},
        },
    ]


def _account(name: str) -> Json:
    meta = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _meta(name)}
    return meta | {"automountServiceAccountToken": False}


def _deployment(module: str, service: Service, chosen: Json) -> Json:
    name = principal_of(service)
    secrets = [
        _secret(f"tributary-database-{name}", {"password": "database_password"}),
        _secret(name, {"password": "kafka_password"}),  # made by Strimzi for the KafkaUser
        _secret("tributary-kafka-cluster-ca-cert", {"ca.crt": "kafka_ca.pem"}),
    ]
    if service.makes_pseudonyms:
        secrets.append(_secret("tributary-pepper", {"pepper": "pepper"}))
    container = _container(name, secrets_in="secrets") | {
        "args": [module],
        "env": [{"name": "TRIBUTARY_KAFKA_USER", "value": name}],
        "ports": [{"name": "http", "containerPort": PORT}],
        "startupProbe": _probe("/livez", 5, 24),
        "livenessProbe": _probe("/livez", 15, 4),
        "readinessProbe": _probe("/readyz", 10, 2),
    }
    spread = {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "ScheduleAnyway"}
    pod = _pod(name, container, secrets) | {"topologySpreadConstraints": [spread | {"labelSelector": chosen}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _meta(name),
        "spec": {
            "replicas": 2,
            "selector": chosen,
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": {"metadata": {"labels": _meta(name)["labels"]}, "spec": pod},
        },
    }


def _probe(path: str, seconds: int, failures: int) -> Json:
    asked = {"path": path, "port": "http"}
    return {"httpGet": asked, "periodSeconds": seconds, "timeoutSeconds": 6, "failureThreshold": failures}


def _secret(name: str, keys: dict[str, str]) -> Json:
    """One source of the volume at /run/secrets: key of the Secret -> file."""
    return {"secret": {"name": name, "items": [{"key": key, "path": path} for key, path in keys.items()]}}


def _container(name: str, *, secrets_in: str) -> Json:
    """No limit of processor time: a throttled consumer misses its heartbeats."""
    return {
        "name": name,
        "image": "tributary",
        "envFrom": [{"configMapRef": {"name": "tributary-settings"}}],
        "resources": {"requests": {"cpu": "100m", "memory": "160Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": secrets_in, "mountPath": "/run/secrets", "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},
        ],
    }


def _pod(name: str, container: Json, secrets: Iterable[Json]) -> Json:
    return {
        "serviceAccountName": name,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 30,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [
            {"name": "secrets", "projected": {"defaultMode": 0o440, "sources": list(secrets)}},
            {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}},
        ],
    }


def _prepare(services: Sequence[Service]) -> Json:
    """Roles, schemas, migrations and grants. Users, rights and topics are Strimzi's work."""
    names = [principal_of(service) for service in services]
    secrets = [_secret(f"tributary-database-{name}", {"password": name}) for name in names]
    secrets.append(_secret("tributary-database-superuser", {"password": "database_password"}))
    container = _container("prepare", secrets_in="secrets")
    container |= {"command": ["python", "-m", "deploy.prepare", "--database-only"]}
    pod = _pod("default", container, secrets) | {"restartPolicy": "OnFailure"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _meta("prepare"),
        "spec": {
            "backoffLimit": 5,
            "activeDeadlineSeconds": 900,
            "ttlSecondsAfterFinished": 86400,
            "template": {"metadata": {"labels": _meta("prepare")["labels"]}, "spec": pod},
        },
    }


def _network() -> list[Json]:
    """Nothing in and nothing out but what is named. Ingress and monitoring live in namespaces with these labels."""
    ours = {"matchLabels": PART_OF}
    out = [
        {"to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}],
         "ports": [{"protocol": protocol, "port": 53} for protocol in ("UDP", "TCP")]},
        {"to": [{"podSelector": {"matchLabels": CLUSTER}}], "ports": [{"protocol": "TCP", "port": KAFKA_PORT}]},
        {"to": [{"podSelector": {"matchLabels": {"app.kubernetes.io/name": "postgresql"}}}],
         "ports": [{"protocol": "TCP", "port": POSTGRES_PORT}]},
    ]  # fmt: skip
    rooms = [{"namespaceSelector": {"matchLabels": {"tributary.example/may-call": "true"}}}]
    calls = [{"from": rooms, "ports": [{"protocol": "TCP", "port": PORT}]}]
    return [
        _policy("tributary-nothing", {"podSelector": ours, "policyTypes": ["Ingress", "Egress"]}),
        _policy("tributary-calls", {"podSelector": ours, "policyTypes": ["Ingress"], "ingress": calls}),
        _policy("tributary-needs", {"podSelector": ours, "policyTypes": ["Egress"], "egress": out}),
    ]


def _policy(name: str, spec: Json) -> Json:
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": _meta(name), "spec": spec}


def _topic(topic: str) -> Json:
    return {
        "apiVersion": STRIMZI,
        "kind": "KafkaTopic",
        "metadata": {"name": topic.replace("_", "-"), "labels": {**CLUSTER, **PART_OF}},
        "spec": {
            "topicName": topic,
            "partitions": 12,
            "replicas": 3,
            "config": {"min.insync.replicas": 2, "max.message.bytes": max(1 << 20, MAX_RECORD_BYTES)},
        },
    }


def _users(services: Sequence[Service]) -> list[Json]:
    """Of the services and of the operator. Strimzi makes the topics, so nobody is topic-admin."""
    rights = [right for right in acls(services) if right.principal != TOPIC_ADMIN]
    return [_user(name, list(its)) for name, its in groupby(rights, key=lambda right: right.principal)]


def _user(name: str, rights: Sequence[Access]) -> Json:
    return {
        "apiVersion": STRIMZI,
        "kind": "KafkaUser",
        "metadata": {"name": name, "labels": {**CLUSTER, **PART_OF}},
        "spec": {
            "authentication": {"type": "scram-sha-512"},
            "authorization": {"type": "simple", "acls": [_acl(right) for right in rights]},
        },
    }


def _acl(right: Access) -> Json:
    pattern = "prefix" if right.prefixed else "literal"
    return {
        "resource": {"type": right.resource, "name": right.name, "patternType": pattern},
        "operations": ["".join(word.capitalize() for word in verb.split("_")) for verb in right.operations],
        "host": "*",
    }
