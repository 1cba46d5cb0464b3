"""Independent Living Fund, 1993 to 2015: screened and prepared here, decided by its trustees."""

from streamkit.service import stream_service

service = stream_service(__name__, __file__)
