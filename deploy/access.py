"""Who may do what on the broker: one principal a service, from the same table as the topics.

What is not here is refused (`allow.everyone.if.no.acl.found=false`). A service reads its own topics in its own group
and writes its own topics; it makes, changes and removes nothing. On Kafka 4 an idempotent producer needs no right
beyond WRITE, and READ or WRITE bring DESCRIBE with them; it is named all the same, for whoever reads the list.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from chassis.service import Service, all_topics
from deploy.services import all_services

SUPER_USER = "admin"
"""Makes users and gives rights; no list limits it. Nothing of Tributary runs as this user but `deploy.prepare`."""

TOPIC_ADMIN = "topic-admin"
"""Makes topics and sets their retention. Reads and writes no record."""

OPERATOR = "operator"
"""`tributary replay` and `tributary allocate`: reads every topic in groups of its own. Writes no record."""

OPERATOR_GROUPS = "tributary-"
"""Groups whose names begin so are the operator's; no service is called that."""

TWIN = "-b"
"""While a password is changed, `name-b` has the rights of `name`: see docs/access.md."""

Operation = Literal["READ", "WRITE", "DESCRIBE", "CREATE", "DESCRIBE_CONFIGS", "ALTER_CONFIGS"]


@dataclass(frozen=True, slots=True, order=True)
class Access:
    """`principal` may do `operations` on one topic or group; with `prefixed` on all whose names begin with `name`."""

    principal: str
    resource: Literal["topic", "group"]
    name: str
    operations: tuple[Operation, ...]
    prefixed: bool = False


def principal_of(service: Service) -> str:
    """The service's user on the broker, named as its container, its secret and its `KafkaUser` are."""
    return service.schema.removeprefix("stream_").replace("_", "-")


def acls(services: Sequence[Service] | None = None, prefix: str = "") -> tuple[Access, ...]:
    """Every right there is, by principal. `prefix`: as in the settings, before topic and group names; before users too,
    so that deployments that share a broker have users of their own."""
    found = services if services is not None else all_services()
    rights = [right for service in found for right in _of_service(service)]
    rights += [*_of_topic_admin(found), *_of_operator(found)]
    return tuple(replace(right, principal=prefix + right.principal, name=prefix + right.name) for right in rights)


def with_twins(rights: Iterable[Access]) -> tuple[Access, ...]:
    """The same rights for each principal's twin; harmless while no such user exists."""
    return tuple(one for right in rights for one in (right, replace(right, principal=right.principal + TWIN)))


def principals(rights: Iterable[Access]) -> list[str]:
    return list(dict.fromkeys(right.principal for right in rights))


def _of_service(service: Service) -> Iterator[Access]:
    me = principal_of(service)
    read, written = set(service.handlers.topics()), set(service.topics_written())
    for topic in sorted(read | written):
        verbs: list[Operation] = ["READ"] if topic in read else []
        verbs += ["WRITE"] if topic in written else []
        yield Access(me, "topic", topic, (*verbs, "DESCRIBE"))
    if read:
        yield Access(me, "group", service.name, ("READ", "DESCRIBE"))


def _of_topic_admin(services: Iterable[Service]) -> Iterator[Access]:
    for topic in all_topics(services):
        yield Access(TOPIC_ADMIN, "topic", topic, ("CREATE", "DESCRIBE", "DESCRIBE_CONFIGS", "ALTER_CONFIGS"))


def _of_operator(services: Sequence[Service]) -> Iterator[Access]:
    for topic in all_topics(services):
        yield Access(OPERATOR, "topic", topic, ("READ", "DESCRIBE"))
    for service in services:
        if service.handlers.subscriptions:
            yield Access(OPERATOR, "group", service.name, ("DESCRIBE",))
    yield Access(OPERATOR, "group", OPERATOR_GROUPS, ("READ", "DESCRIBE"), prefixed=True)
