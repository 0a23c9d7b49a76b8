"""Five processes that share what one of them holds."""

import os
import sys
import time
from pathlib import Path

held = b"x" * (40 * 2**20)
for _ in range(4):
    if os.fork() == 0:
        time.sleep(0.5)
        os._exit(0)
for _ in range(4):
    os.wait()
Path(sys.argv[3]).write_text("query_id,reference_id,score\n")
