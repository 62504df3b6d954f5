"""What touches ad platforms: report and catalog readers, reconciliation, platform profiles, the audit file."""

from connectors.audit import write_audit
from connectors.intake import read_any, read_catalog, read_report, recognise
from connectors.profiles import PlatformProfile, profile
from connectors.readings import CatalogReading, FileReading
from connectors.reconciliation import Reconciliation, reconcile

__all__ = [
    "CatalogReading",
    "FileReading",
    "PlatformProfile",
    "Reconciliation",
    "profile",
    "read_any",
    "read_catalog",
    "read_report",
    "recognise",
    "reconcile",
    "write_audit",
]
