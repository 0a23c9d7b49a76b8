"""The process that opens HDF5 files: ``python -m ectype.challenge.validation.worker MEMORY``.

Reads requests from standard input and answers on standard output, one JSON value a line. It limits its own memory, and
writes nothing: if a file makes the HDF5 library crash, or sends it around in circles, this process alone is lost.
"""

from __future__ import annotations

import json
import resource
import sys

from ectype.challenge.validation.descriptor_track import ExpectedIds, check_descriptors


def main() -> None:
    """Answer requests until there are no more."""
    memory = int(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        resource.setrlimit(limit, (0, 0))
    for line in sys.stdin:
        request = json.loads(line)
        expected = ExpectedIds(
            *(None if ids is None else tuple(ids) for ids in (request["query"], request["reference"]))
        )
        findings = check_descriptors(request["path"], expected)
        problems = [(problem.code, problem.place, problem.message) for problem in findings.problems]
        print(json.dumps({"problems": problems, "counts": findings.counts}), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
