"""Community equipment: prescribed aids and minor adaptations, free to the person."""

from streamkit.service import stream_service

service = stream_service(__name__, __file__)
