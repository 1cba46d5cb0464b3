"""The Service of a stream's folder."""

from pathlib import Path

from chassis.service import Service, everybody
from contracts.streams import StreamDecided
from rulekit.stream import Stream, read_stream
from streamkit.api import router_of
from streamkit.handlers import handlers_of, notices_told

MIGRATIONS = Path(__file__).parent / "migrations"


def stream_service(module: str, file: str) -> Service:
    """`service = stream_service(__name__, __file__)` in a stream's `__init__.py` is all a folder needs to run."""
    return service_of(read_stream(module, Path(file).parent))


def service_of(stream: Stream) -> Service:
    return Service(
        name=stream.name,
        schema=f"stream_{stream.name}",
        title=stream.definition.title,
        migrations=MIGRATIONS,
        publishes=((StreamDecided, everybody),),
        handlers=handlers_of(stream),
        router=lambda deps: router_of(stream, deps),
        commands=lambda tx: notices_told(tx, stream),
        insert_only=("notice",),
    )
