"""Requests of the Kafka protocol about users and rights that aiokafka has no call for (kafka.apache.org/protocol).

Each is the class of aiokafka's own negotiation, so that a broker that does not know the version is told apart.
"""

from collections.abc import Iterable
from typing import Any

from aiokafka.protocol.admin import CreateAclsRequest_v1, DeleteAclsRequest_v1, DescribeAclsRequest_v1
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import CompactArray, CompactBytes, CompactString, Int8, Int16, Int32, Schema, TaggedFields

SCRAM_SHA_512 = 2

Binding = tuple[int, str, int, str, str, int, int]
"""Resource type, its name, pattern type, principal, host, operation, permission."""


class CreateAcls(Request[CreateAclsRequest_v1]):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = 30

    def __init__(self, bindings: Iterable[Binding]) -> None:
        self._bindings = list(bindings)

    def build(self, request_struct_class: Any) -> Any:
        return request_struct_class(self._bindings)


class DeleteAcls(Request[DeleteAclsRequest_v1]):  # type: ignore[misc]
    """Each binding exactly."""

    API_KEY = 31

    def __init__(self, bindings: Iterable[Binding]) -> None:
        self._bindings = list(bindings)

    def build(self, request_struct_class: Any) -> Any:
        return request_struct_class(self._bindings)


class DescribeAcls(Request[DescribeAclsRequest_v1]):  # type: ignore[misc]
    """Every binding there is."""

    API_KEY = 29

    def build(self, request_struct_class: Any) -> Any:
        any_one = 1
        return request_struct_class(any_one, None, any_one, None, None, any_one, any_one)


class _ScramResponse(Response):  # type: ignore[misc]
    API_KEY = 51
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "results",
            CompactArray(
                ("user", CompactString("utf-8")),
                ("error_code", Int16),
                ("error_message", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _ScramRequest(RequestStruct):  # type: ignore[misc]
    API_KEY = 51
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _ScramResponse
    SCHEMA = Schema(
        ("deletions", CompactArray(("name", CompactString("utf-8")), ("mechanism", Int8), ("tags", TaggedFields))),
        (
            "upsertions",
            CompactArray(
                ("name", CompactString("utf-8")),
                ("mechanism", Int8),
                ("iterations", Int32),
                ("salt", CompactBytes),
                ("salted_password", CompactBytes),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class AlterScram(Request[_ScramRequest]):  # type: ignore[misc]
    """`added`: user, iterations, salt and salted password. The password itself is never sent."""

    API_KEY = 51

    def __init__(self, removed: Iterable[str] = (), added: Iterable[tuple[str, int, bytes, bytes]] = ()) -> None:
        no_tags: dict[int, bytes] = {}
        self._removed = [(user, SCRAM_SHA_512, no_tags) for user in removed]
        self._added = [(*one[:1], SCRAM_SHA_512, *one[1:], no_tags) for one in added]

    def build(self, request_struct_class: Any) -> Any:
        return request_struct_class(self._removed, self._added, {})
