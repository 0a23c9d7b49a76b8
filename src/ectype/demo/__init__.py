"""The demonstration on real photographs."""

from ectype.demo.photographs import packaged_photographs
from ectype.demo.run import DemoResult, run_demo

__all__ = ["DemoResult", "packaged_photographs", "run_demo"]
