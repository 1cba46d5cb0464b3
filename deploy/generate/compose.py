"""`docker-compose.yml`: what is written by hand in deploy/compose.template.yml, and one container per service found."""

from collections.abc import Callable, Iterable
from pathlib import Path

from chassis.service import Service
from deploy.access import acls, principal_of, principals
from deploy.kafka import secured
from deploy.prepare import kafka_password_file
from deploy.services import all_services, modules

TEMPLATE = Path(__file__).parents[1] / "compose.template.yml"
FIRST_PORT = 8001
HEAD = "# Generated from deploy/compose.template.yml and the folders of services/. Do not edit; run `make generate`.\n"


def text() -> str:
    lines = HEAD + TEMPLATE.read_text()
    services = all_services()
    for mark, write in _PARTS.items():
        if lines.count(mark) != 1:
            raise SystemExit(f"{TEMPLATE.name} must hold `{mark}` once")
        lines = lines.replace(mark, "\n".join(write(services)))
    return lines


def _broker(_: Iterable[Service]) -> list[str]:
    """The same settings as the secured broker of the tests, named as the image wants them."""
    settings = secured.settings(f"${{directory:/run/secrets:kafka-{secured.CONTROLLER}}}")
    quoted = {name: value.replace("$", "$$").replace("'", "''") for name, value in settings.items()}
    return [f"      {environment_name(name)}: '{value}'" for name, value in quoted.items()]


def environment_name(setting: str) -> str:
    """Of a broker's setting, for the image apache/kafka: `__` is an underscore, `___` a dash, `_` a dot."""
    return "KAFKA_" + setting.replace("_", "__").replace("-", "___").replace(".", "_").upper()


def _containers(services: Iterable[Service]) -> list[str]:
    found = []
    for i, (module, service) in enumerate(zip(modules(), services, strict=True)):
        name, pepper = principal_of(service), ", pepper" if service.makes_pseudonyms else ""
        mine = f"{{source: {name}, target: database_password}}, {{source: kafka-{name}, target: kafka_password}}"
        found += [
            f"  {name}:",
            "    <<: *service",
            f"    command: [{module}]",
            f"    environment: {{<<: *settings, TRIBUTARY_KAFKA_USER: {name}}}",
            f"    secrets: [{mine}{pepper}]",
            f'    ports: ["127.0.0.1:{FIRST_PORT + i}:8080"]',
        ]
    return found


def _names(services: Iterable[Service]) -> list[str]:
    """Every secret but the superusers': a service's for the database, a user's for the broker."""
    services = list(services)
    users = principals(acls(services))
    return [*(principal_of(s) for s in services), *(kafka_password_file(user).name for user in users)]


def _passwords(services: Iterable[Service]) -> list[str]:
    return [f"      - {name}" for name in _names(services)]


def _secrets(services: Iterable[Service]) -> list[str]:
    return [f"  {name}: {{file: deploy/secrets/{name}}}" for name in _names(services)]


_PARTS: dict[str, Callable[[Iterable[Service]], list[str]]] = {
    "      # <broker>": _broker,
    "  # <services>": _containers,
    "      # <passwords>": _passwords,
    "  # <secrets>": _secrets,
}
