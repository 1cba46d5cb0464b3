"""NHS continuing healthcare: screened and prepared here, decided by the NHS commissioner."""

from streamkit.service import stream_service

service = stream_service(__name__, __file__)
