"""Disabled Facilities Grant: screened and tracked here, decided by the housing authority."""

from streamkit.service import stream_service

service = stream_service(__name__, __file__)
