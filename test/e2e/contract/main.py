# SPDX-License-Identifier: Apache-2.0
"""main.py GROUP [ATTACH [SUBTEST...]]: run the sub-tests of a group inside a node of lab.sh.

Each ends by proving that it left no endpoint, link and namespace behind.
"""
import importlib
import os
import sys
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.dont_write_bytecode = True
sys.path[:0] = [HERE, os.path.dirname(HERE)]

import node  # noqa: E402 (the path comes first)


def main():

    node.DAEMON.attach = sys.argv[2] if len(sys.argv) > 2 else "auto"
    group = importlib.import_module(sys.argv[1])
    wanted = sys.argv[3:]
    failed = 0
    node.DAEMON.start(*getattr(group, "DAEMON_OPTIONS", []))
    for test in group.TESTS:
        if wanted and test.__name__ not in wanted:
            continue
        begin = time.monotonic()
        try:
            test()
            node.expect_nothing_left()
        except Exception:  # pylint: disable=broad-except
            traceback.print_exc()
            failed += 1
        print(f"{'FAIL' if failed else 'ok'} {sys.argv[1]}.{test.__name__} "
              f"{time.monotonic() - begin:.1f} s", flush=True)
        if failed:
            break
    node.DAEMON.stop()
    return 1 if failed else 0


sys.exit(main())
