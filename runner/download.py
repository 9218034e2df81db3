# SPDX-License-Identifier: GPL-2.0
"""Downloads a file: python3 -m runner.download URL FILE.

A program of its own, so that Ctrl-C ends it at once. If it fails, one line says why.
"""
from __future__ import annotations

import http.client
import shutil
import sys
import urllib.error
import urllib.request
from typing import List

# without a byte
PATIENCE = 60
# the file is not there
MISSING = 3


def main(arguments: List[str]) -> int:
    """Returns the exit status."""
    url, file = arguments
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer, open(file, "wb") as out:
            shutil.copyfileobj(answer, out)
            length = answer.headers.get("Content-Length")
            if length and int(length) != out.tell():
                print(f"it ended after {out.tell()} of {length} bytes")
                return 1
        return 0
    except urllib.error.HTTPError as error:
        print(f"{error.code} {error.reason}")
        return MISSING if error.code in (404, 410) else 1
    except urllib.error.URLError as error:
        print(error.reason)
        return 1
    except (OSError, http.client.HTTPException, ValueError) as error:
        print(error)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
