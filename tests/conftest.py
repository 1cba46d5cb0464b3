"""The two real servers that tests run on. Each is started at most once, when a test first asks for it."""

import os
from collections.abc import Iterator

import pytest

from deploy.child import DeployError
from deploy.kafka import EmbeddedKafka, missing_tools
from deploy.kafka.jars import jars
from deploy.postgres import EmbeddedPostgres

REQUIRE_KAFKA = "TRIBUTARY_REQUIRE_KAFKA"
_why_skipped = pytest.StashKey[str]()


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """PostgreSQL 18 for the whole session; it survives every fault but a crash of the machine."""
    with EmbeddedPostgres.start(throwaway=True, fast=True) as server:
        yield server


@pytest.fixture(scope="session")
def kafka(request: pytest.FixtureRequest) -> Iterator[EmbeddedKafka]:
    """Apache Kafka for the whole session. Whoever kills or stops it must restart it."""
    if problem := _kafka_problem():
        if os.environ.get(REQUIRE_KAFKA) == "1":
            pytest.fail(f"{REQUIRE_KAFKA}=1, but {problem}", pytrace=False)
        request.config.stash[_why_skipped] = problem
        pytest.skip(problem)
    with EmbeddedKafka.start() as broker:
        yield broker


def _kafka_problem() -> str | None:
    """Why there can be no broker on this machine. A broker that is here and does not start is a failure."""
    if problem := missing_tools():
        return problem
    try:
        jars()
    except DeployError as error:
        return str(error).splitlines()[0]
    return None


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """A skipped test looks like a passed one in a long list, so say it in red."""
    if reason := config.stash.get(_why_skipped, None):
        terminalreporter.write_line("")
        terminalreporter.write_line(f"KAFKA TESTS SKIPPED: {reason} - they did NOT pass", red=True, bold=True)
