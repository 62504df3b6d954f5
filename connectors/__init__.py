"""What touches ad platforms: readers, reconciliation, platform profiles, uploads, and folders as a platform."""

from connectors.audit import write_audit
from connectors.bulkreading import BulkReading
from connectors.bulksheet import read_bulksheet
from connectors.files import FilePlatform
from connectors.intake import read_any, read_catalog, read_report, recognise
from connectors.profiles import PlatformProfile, profile
from connectors.readings import CatalogReading, FileReading
from connectors.reconciliation import Reconciliation, reconcile
from connectors.upload import Upload, write_upload

__all__ = [
    "BulkReading",
    "CatalogReading",
    "FilePlatform",
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
