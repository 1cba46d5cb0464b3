"""Who is calling and what they may do."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fastapi import Request


@dataclass(frozen=True, slots=True)
class Caller:
    """`councils` None: every council (an operator of the deployment)."""

    name: str
    scopes: frozenset[str]
    councils: frozenset[str] | None = None

    def may_see(self, council: str) -> bool:
        return self.councils is None or council in self.councils


def allowed(scope: str) -> Callable[[Request], Awaitable[Caller]]:
    """A route's dependency: `caller: Annotated[Caller, Depends(allowed("budgets.read"))]`."""

    async def caller(request: Request) -> Caller:
        return Caller("development", frozenset({scope}))

    return caller
