"""Making the data set of a challenge from photographs."""

from ectype.challenge.making.attack import Attack, AttackMaker, bundled_attack
from ectype.challenge.making.frequencies import ADVERSARIAL_ATTACK, FINAL_TEST_SET, Frequencies, read_kinds
from ectype.challenge.making.make import make_dataset, steps_of
from ectype.challenge.making.photographs import find_photographs
from ectype.challenge.making.plan import DataSetPlan, PhasePlan
from ectype.challenge.making.records import QueryRecord, read_records
from ectype.challenge.making.report import MakeReport, PhaseReport

__all__ = [
    "ADVERSARIAL_ATTACK",
    "FINAL_TEST_SET",
    "Attack",
    "AttackMaker",
    "DataSetPlan",
    "Frequencies",
    "MakeReport",
    "PhasePlan",
    "PhaseReport",
    "QueryRecord",
    "bundled_attack",
    "find_photographs",
    "make_dataset",
    "read_kinds",
    "read_records",
    "steps_of",
]
