"""Adult social care eligibility: the council's own stream, and the gateway to an Individual Budget."""

from streamkit.service import stream_service

service = stream_service(__name__, __file__)
