"""Is done at once, but leaves a process behind. The first argument is a mark to find it by."""

import os
import sys
import time
from pathlib import Path

if os.fork() == 0:
    os.setsid()
    time.sleep(60)
Path(sys.argv[4]).write_text("query_id,reference_id,score\n")
