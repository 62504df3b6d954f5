"""What touches ad platforms: report, catalog and bulk-sheet readers, reconciliation, platform profiles, upload and audit files."""

from connectors.audit import write_audit
from connectors.bulksheet import BulkReading, read_bulksheet
from connectors.intake import read_any, read_catalog, read_report, recognise
from connectors.profiles import PlatformProfile, profile
from connectors.readings import CatalogReading, FileReading
from connectors.reconciliation import Reconciliation, reconcile
from connectors.upload import Upload, write_upload

__all__ = [
    "BulkReading",
    "CatalogReading",
    "FileReading",
    "PlatformProfile",
    "Reconciliation",
    "Upload",
    "profile",
    "read_any",
    "read_bulksheet",
    "read_catalog",
    "read_report",
    "recognise",
    "reconcile",
    "write_audit",
    "write_upload",
]
