"""Access to Work: what a disabled person needs to do paid work, screened here and decided by the DWP."""

from streamkit.service import stream_service

service = stream_service(__name__, __file__)
