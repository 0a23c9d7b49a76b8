"""Validation of submissions: every problem at once, each with a stable code, its place, and what to do."""

from ectype.challenge.validation.inspector import Inspector
from ectype.challenge.validation.problems import CODES, Problem, ValidationReport
from ectype.challenge.validation.validate import validate_submission

__all__ = ["CODES", "Inspector", "Problem", "ValidationReport", "validate_submission"]
