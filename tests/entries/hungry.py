"""Eats memory in two processes, neither of which is over the limit alone."""

import os
import time

if os.fork() == 0:
    time.sleep(0.05)
eaten = []
for _ in range(8):
    eaten.append(b"x" * (10 * 2**20))
    time.sleep(0.01)
time.sleep(60)
