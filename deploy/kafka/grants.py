"""Make a broker's users and rights what the table says: what is missing is added, what is beyond it is taken away."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, for_code

from deploy.access import Access, principals
from deploy.child import DeployError
from deploy.kafka.acl_requests import AlterScram, Binding, CreateAcls, DeleteAcls, DescribeAcls
from deploy.kafka.secured import ROUNDS, salted_password

RESOURCES = {"topic": 2, "group": 3}
OPERATIONS = {"READ": 3, "WRITE": 4, "CREATE": 5, "DESCRIBE": 8, "DESCRIBE_CONFIGS": 10, "ALTER_CONFIGS": 11}
LITERAL, PREFIXED, ALLOW, ANYWHERE = 3, 4, 3, "*"
SECONDS = 30.0


class Granting:
    """Use `granting`. Every call raises DeployError with the broker's own words where it refuses."""

    def __init__(self, client: Any) -> None:
        self._client = client

    async def set_users(self, passwords: Mapping[str, str]) -> None:
        """Give these users these passwords, whether they exist or not."""
        added = [(user, ROUNDS, *await asyncio.to_thread(salted_password, word)) for user, word in passwords.items()]
        _check(await self._ask(AlterScram(added=added)), "results", 1)

    async def remove_users(self, users: Iterable[str]) -> None:
        """Their open connections go on until they end; a new one is refused."""
        _check(await self._ask(AlterScram(removed=users)), "results", 1)

    async def set_rights(self, rights: Iterable[Access]) -> None:
        """Exactly these for the principals named in them; of other principals nothing is touched.

        Returns when the broker acts on them, which is a moment after it took them.
        """
        rights = list(rights)
        wanted = {binding for right in rights for binding in bindings(right)}
        mine = {f"User:{name}" for name in principals(rights)}
        limit = asyncio.get_running_loop().time() + SECONDS
        while (present := {binding for binding in await self.rights() if binding[3] in mine}) != wanted:
            if asyncio.get_running_loop().time() > limit:
                raise DeployError(f"Kafka took the rights and does not act on them after {SECONDS:.0f} s: try again")
            if missing := sorted(wanted - present):
                _check(await self._ask(CreateAcls(missing)), "creation_responses", 0)
            if beyond := sorted(present - wanted):
                _check(await self._ask(DeleteAcls(beyond)), "filter_responses", 0)
            await asyncio.sleep(0.05)

    async def rights(self) -> set[Binding]:
        answer = await self._ask(DescribeAcls())
        if answer.error_code:
            raise DeployError(f"Kafka does not list its rights: {for_code(answer.error_code).__name__}")
        return {(kind, name, pattern, *one) for kind, name, pattern, found in answer.resources for one in found}

    async def _ask(self, request: Any) -> Any:
        try:
            async with asyncio.timeout(SECONDS):
                return await self._client.send(self._client.get_random_node(), request)
        except (KafkaError, TimeoutError) as error:
            raise DeployError(f"Kafka did not take {type(request).__name__}: {error!r:.200}") from error


@asynccontextmanager
async def granting(bootstrap: str, security: Mapping[str, Any]) -> AsyncIterator[Granting]:
    """`security`: the super user's, as KafkaBus takes it. Raises DeployError when the broker lets it not in."""
    client: Any = AIOKafkaClient(bootstrap_servers=bootstrap, **security)
    try:
        await client.bootstrap()
        yield Granting(client)
    except KafkaError as error:
        raise DeployError(f"Kafka is not reached as {security.get('sasl_plain_username')}: {error!r:.200}") from error
    finally:
        await client.close()


def bindings(right: Access) -> list[Binding]:
    """As the protocol has them: one an operation."""
    kind, pattern = RESOURCES[right.resource], PREFIXED if right.prefixed else LITERAL
    user = f"User:{right.principal}"
    return [(kind, right.name, pattern, user, ANYWHERE, OPERATIONS[verb], ALLOW) for verb in right.operations]


def _check(answer: Any, field: str, code_at: int) -> None:
    """Every part of the answer; `code_at`: where in a part its error code is, its message follows."""
    for part in getattr(answer, field):
        if part[code_at]:
            raise DeployError(f"Kafka refused: {for_code(part[code_at]).__name__} {part[code_at + 1] or ''}".strip())
