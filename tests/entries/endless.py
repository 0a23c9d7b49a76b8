"""Runs for ever, in a grandchild of a session of its own, too. The last argument is a mark to find them by."""

import os
import time

if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
while True:
    time.sleep(1)
