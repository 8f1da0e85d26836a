"""Takes the screenshot of the README: the console of a proxy with two targets, while applications of three dialects run for
two minutes. `python tests/console/screenshot.py docs/console.png`"""

import argparse
import contextlib
import io
import math
import os
import threading
import time
from pathlib import Path

from PIL import Image

from browser import console
import servers
from api import CallError
from console import choose, settled, type_request
from copies import MIB, Pair

PICTURE_BYTES_MAX = 200 * 1024
CHART_SECONDS = 120
REQUEST = """PUT /copies/cat.jpg HTTP/1.1
Host: photos.s3.us-east-1.amazonaws.com
x-amz-copy-source: /photos/originals/cat.jpg
x-amz-copy-source-if-none-match: "5b3c1a2e053d763e1b002cc607c5a0fe"
x-amz-metadata-directive: REPLACE
x-amz-meta-owner: me
x-amz-tagging-directive: REPLACE
x-amz-tagging: team=web
x-amz-storage-class: ONEZONE_IA
"""


def app(client, bucket, done, pause):
    """Writes and reads, in waves."""
    begin = time.monotonic()
    while not done.wait(pause * (1.5 + math.sin((time.monotonic() - begin) / 9))):
        client.put(bucket, "cat.jpg", os.urandom(30_000))
        client.get(bucket, "cat.jpg")
        client.copy(bucket, "cat.jpg", bucket, "copy of cat.jpg")


def picture(binary):
    limits = "[limits]\ncopy_bytes_per_second = 2097152\ncopy_multipart_threshold_bytes = 5242880\ncopy_part_bytes = 5242880\n"
    with servers.Servers() as running:
        pair = Pair(running, binary, "oss", "cos", limits=limits, bucket='unsupported = "report"\n',
                    names=("aliyun", "tencent"))
        client, source, target = pair.begin()
        client.put(source, "backup.tar", os.urandom(MIB) * 64)
        done = threading.Event()
        apps = [threading.Thread(target=app, args=(pair.client(dialect), bucket, done, pause))
                for dialect, bucket, pause in (("s3", source, 0.05), ("cos", source, 0.1), ("oss", target, 0.15))]
        with console(pair.proxy.admin, width=1120) as page:
            for one in apps:
                one.start()
            client.put(source, "report.pdf", os.urandom(20_000), storage_class="ONEZONE_IA")
            with contextlib.suppress(CallError):
                client.head("elsewhere-1250000000", "cat.jpg")
            time.sleep(CHART_SECONDS)
            copying = threading.Thread(target=lambda: client.copy(source, "backup.tar", target, "backup.tar"))
            copying.start()
            choose(page, "from", "s3")
            choose(page, "to", "oss")
            type_request(page, REQUEST)
            settled(page)
            page.wait(lambda: page.run("return document.querySelector('#copies progress')?.value"), "a copy's progress")
            taken = page.picture("#lines")
        done.set()
        for one in [copying, *apps]:
            one.join()
    return taken


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", default="target/debug/blobfish")
    parser.add_argument("path", type=Path)
    given = parser.parse_args()
    small = io.BytesIO()
    # The page has few colours, so a palette of 96 has no visible loss.
    Image.open(io.BytesIO(picture(given.binary))).convert("RGB").quantize(96, dither=Image.Dither.NONE).save(
        small, "PNG", optimize=True)
    assert len(small.getvalue()) <= PICTURE_BYTES_MAX, len(small.getvalue())
    given.path.write_bytes(small.getvalue())
    print(f"{given.path}: {len(small.getvalue())} bytes")
