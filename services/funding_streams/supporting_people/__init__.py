"""Supporting People: housing-related support, decided by the council as administering authority."""

from streamkit.service import stream_service

service = stream_service(__name__, __file__)
