"""`docs/access.md` and `deploy/kafka/acls.sh`: who may do what on the broker, for people and for Kafka's own tool."""

from collections.abc import Iterable, Iterator
from itertools import groupby

from chassis.service import Service
from deploy.access import OPERATOR, OPERATOR_GROUPS, SUPER_USER, TOPIC_ADMIN, TWIN, Access, acls, principal_of
from deploy.services import all_services

HEAD = """# Who may do what on the broker

Generated from the services' own values by `make generate`. Do not edit.

Each service is a user of its own. What is not in this table is refused: the broker runs with `StandardAuthorizer` and
`allow.everyone.if.no.acl.found=false`. `tests/deploy/test_access.py` tries every user against every topic and group of
a real broker, in both directions.

| user | topics it reads | topics it writes | groups |
|---|---|---|---|"""

REST = f"""
* `{SUPER_USER}` is the broker's super user, made when its storage is formatted. It makes users and gives rights
  (`python -m deploy.prepare`); no service has its password.
* `{TOPIC_ADMIN}` makes the topics above and sets their retention. It can read and write no record.
* `{OPERATOR}` is for `tributary replay` and `tributary allocate`: it reads every topic, in groups whose names begin
  with `{OPERATOR_GROUPS}`, and sees how far the services' groups are. It writes nothing.
* Deployments that share a broker have users of their own: `TRIBUTARY_KAFKA_PREFIX` stands before users as before topics
  and groups.
* An idempotent producer needs no right beyond WRITE.
* Every stream answers on the same topic, and Kafka keeps no author of a record: whoever has one stream's password could
  write an answer in another's name. Where streams belong to different bodies, that is a risk to know of.

## Setting it up

`python -m deploy.prepare` sets users and rights as in this table, over the network, as `{SUPER_USER}`: it adds what is
missing and takes away what is beyond it, for these users only. With Kafka's own tool the rights are
`deploy/kafka/acls.sh SERVER:PORT admin.properties`. With Strimzi they are the `KafkaUser` resources of `deploy/k8s`.

A service is told by settings, the password in a file:

| setting | for example |
|---|---|
| `TRIBUTARY_KAFKA_SECURITY` | `SASL_SSL`; `SASL_PLAINTEXT` only where nobody else is on the network |
| `TRIBUTARY_KAFKA_MECHANISM` | `SCRAM-SHA-512`, which it is by default |
| `TRIBUTARY_KAFKA_USER` | `dfg` |
| `TRIBUTARY_KAFKA_PASSWORD_FILE` | `/run/secrets/kafka_password` |
| `TRIBUTARY_KAFKA_CA_FILE` | `/run/secrets/kafka_ca.pem`; without it the machine's own authorities |

## Changing a password

A user has one password at a time, so two users take turns. Every right above also stands for `user{TWIN}`, which does
not exist until it is made.

1. Make `dfg{TWIN}` with a new password: a file `kafka-dfg{TWIN}` beside the others, and `python -m deploy.prepare` (or
   `kafka-configs.sh --alter --entity-type users`).
2. Give the service the new user and password file, and restart it. Its group and its offsets stay: they are not the
   user's.
3. Remove `dfg` (`kafka-configs.sh --alter --delete-config SCRAM-SHA-512 …`). Its open connections
   last until they end: restart what should be cut off at once.

Next time it is the other way round.
"""

SCRIPT = """#!/bin/sh
# Generated from the services' own values by `make generate`. Do not edit.
# usage: acls.sh SERVER:PORT admin.properties   (Kafka's kafka-acls.sh on the path, or KAFKA_ACLS naming it)
set -eu
add() {{ "${{KAFKA_ACLS:-kafka-acls.sh}}" --bootstrap-server "$server" --command-config "$login" --add "$@"; }}
server=$1 login=$2
{lines}
"""


def text() -> str:
    rows = [_row(principal_of(service), service) for service in all_services()]
    return "\n".join([HEAD, *rows]) + "\n" + REST


def script() -> str:
    return SCRIPT.format(lines="\n".join(_commands(acls())))


def _row(principal: str, service: Service) -> str:
    mine = [right for right in acls() if right.principal == principal]
    topics = [right for right in mine if right.resource == "topic"]
    reads = [right.name for right in topics if "READ" in right.operations]
    writes = [right.name for right in topics if "WRITE" in right.operations]
    groups = [right.name for right in mine if right.resource == "group"]
    return f"| `{principal}` ({service.title}) | {_listed(reads)} | {_listed(writes)} | {_listed(groups)} |"


def _listed(names: Iterable[str]) -> str:
    return "<br>".join(f"`{name}`" for name in names) or "-"


def _commands(rights: Iterable[Access]) -> Iterator[str]:
    """One call for all names with the same user, kind and operations: each costs a second."""
    for (principal, kind, verbs, prefixed), alike in groupby(sorted(rights, key=_alike), key=_alike):
        said = [f"--allow-principal User:{principal}", *(f"--operation {_spelt(verb)}" for verb in verbs)]
        said += ["--resource-pattern-type prefixed"] if prefixed else []
        yield " ".join(["add", *said, *(f"--{kind} {right.name}" for right in alike)])


def _alike(right: Access) -> tuple[str, str, tuple[str, ...], bool]:
    return right.principal, right.resource, right.operations, right.prefixed


def _spelt(verb: str) -> str:
    return "".join(word.capitalize() for word in verb.split("_"))
