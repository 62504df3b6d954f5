"""What touches ad platforms: report and catalog readers, reconciliation, platform profiles, the audit file."""

from connectors.intake import read_any, read_catalog, read_report, recognise
from connectors.profiles import PlatformProfile, profile
from connectors.readings import CatalogReading, FileReading

__all__ = [
    "CatalogReading",
    "FileReading",
    "PlatformProfile",
    "profile",
    "read_any",
    "read_catalog",
    "read_report",
    "recognise",
]
