"""Reports for people: pages with pictures."""

from ectype.reports.html import Annotation, Heading, write_match_report
from ectype.reports.pictures import data_uri

__all__ = ["Annotation", "Heading", "data_uri", "write_match_report"]
