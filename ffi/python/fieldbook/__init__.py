"""Fieldbook for Python: a client that works without network, over the generated bindings.

    with fieldbook.Client.open(folder, store_key) as client:
        lead = client.create_lead("City Hospital")
        client.sync_now(timeout=10)
"""

from ._generated.fieldbook import CancelToken, Change, FieldbookError, LeadSummary, SyncReport
from .client import CHANGES_HELD, Changes, Client

__all__ = [
    "CHANGES_HELD",
    "CancelToken",
    "Change",
    "Changes",
    "Client",
    "FieldbookError",
    "LeadSummary",
    "SyncReport",
]
