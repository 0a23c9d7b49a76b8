"""Reports for people: pages with pictures, drawings of pairs, and their evidence in words."""

from ectype.reports.drawing import draw_pair, pair_png, write_pair
from ectype.reports.html import Annotation, Heading, write_match_report
from ectype.reports.json_form import match_to_json
from ectype.reports.page import write_page
from ectype.reports.pictures import data_uri
from ectype.reports.reasons import reasons

__all__ = [
    "Annotation",
    "Heading",
    "data_uri",
    "draw_pair",
    "match_to_json",
    "pair_png",
    "reasons",
    "write_match_report",
    "write_page",
    "write_pair",
]
