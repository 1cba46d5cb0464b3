"""`docker-compose.yml`: what is written by hand in deploy/compose.template.yml, and one container per service found."""

from collections.abc import Callable, Iterable
from pathlib import Path

from chassis.service import Service
from deploy.prepare import password_file
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


def container(service: Service) -> str:
    """The container's name, and that of its password's file."""
    return password_file(service).name


def _containers(services: Iterable[Service]) -> list[str]:
    found = []
    for i, (module, service) in enumerate(zip(modules(), services, strict=True)):
        name, pepper = container(service), ", pepper" if service.makes_pseudonyms else ""
        found += [
            f"  {name}:",
            "    <<: *service",
            f"    command: [{module}]",
            f"    secrets: [{{source: {name}, target: database_password}}{pepper}]",
            f'    ports: ["127.0.0.1:{FIRST_PORT + i}:8080"]',
        ]
    return found


def _passwords(services: Iterable[Service]) -> list[str]:
    return [f"      - {container(s)}" for s in services]


def _secrets(services: Iterable[Service]) -> list[str]:
    return [f"  {container(s)}: {{file: deploy/secrets/{container(s)}}}" for s in services]


_PARTS: dict[str, Callable[[Iterable[Service]], list[str]]] = {
    "  # <services>": _containers,
    "      # <passwords>": _passwords,
    "  # <secrets>": _secrets,
}
