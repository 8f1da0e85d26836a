"""Four caller dialects x four targets x the two copy operations. Every cell must pass. The last line has the counts."""

import argparse
import os
import sys
import uuid

import cos_clients
import oss_clients
import s3_clients
import servers
from scenarios import bare, expect_error

CALLERS = [s3_clients.Boto3, s3_clients.Boto3Jd, cos_clients.CosPython, oss_clients.Oss2V4]
TARGETS = ["seaweedfs", "jdcloud", "cos", "oss"]
PART = 5 * 1024 * 1024


def copy_object(client, bucket):
    client.put(bucket, "源 +?.txt", b"matrix", content_type="text/html", metadata={"owner": "me"})
    etag = client.head(bucket, "源 +?.txt")["etag"]
    client.copy(bucket, "源 +?.txt", bucket, "to", "REPLACE", {"color": "red"}, "text/css", {"if_match": etag})
    result = client.get(bucket, "to")
    assert (result["body"], result["content_type"], result["metadata"]) == (b"matrix", "text/css", {"color": "red"}), result
    expect_error(304 if client.dialect == "oss" else 412, client.copy, bucket, "源 +?.txt", bucket, "to",
                 conditions={"if_none_match": etag})


def upload_part_copy(client, bucket):
    body = os.urandom(PART + 10)
    client.put(bucket, "源 +?.bin", body)
    etag = client.head(bucket, "源 +?.bin")["etag"]
    upload = client.create_multipart(bucket, "made", "text/css", {"color": "red"})
    first = client.upload_part_copy(bucket, "源 +?.bin", bucket, "made", upload, 1, (5, PART + 4), {"if_match": etag})
    expect_error(304 if client.dialect == "oss" else 412, client.upload_part_copy, bucket, "源 +?.bin", bucket, "made",
                 upload, 2, conditions={"if_none_match": etag})
    second = client.upload_part_copy(bucket, "源 +?.bin", bucket, "made", upload, 2)
    assert [bare(row[1]) for row in client.list_parts(bucket, "made", upload)] == [bare(first), bare(second)]
    client.complete(bucket, "made", upload, [(1, first), (2, second)])
    result = client.get(bucket, "made")
    assert result["body"] == body[5:PART + 5] + body
    assert (result["content_type"], result["metadata"]) == ("text/css", {"color": "red"}), result["metadata"]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True)
    options = parser.parse_args()
    passed, failures, cells = 0, [], {}
    for target in TARGETS:
        with servers.Servers() as running:
            front, _ = running.front(options.binary, target)
            for make in CALLERS:
                client = make(front.port, servers.KEY, servers.SECRET)
                for cell in (copy_object, upload_part_copy):
                    bucket = f"m{uuid.uuid4().hex[:10]}-1250000000"
                    try:
                        client.create_bucket(bucket)
                        cell(client, bucket)
                        passed += 1
                        cells[(make.dialect, target, cell)] = "passed"
                    except Exception as error:
                        failures.append(f"{make.dialect} -> {target}: {cell.__name__}: {type(error).__name__}: {str(error)[:600]}")
                        cells[(make.dialect, target, cell)] = "FAILED"
    for cell in (copy_object, upload_part_copy):
        names = {"seaweedfs": "s3"}
        print(f"\n{cell.__name__:<20}" + "".join(f"{names.get(target, target):>12}" for target in TARGETS))
        for make in CALLERS:
            print(f"{make.dialect:<20}" + "".join(f"{cells[(make.dialect, target, cell)]:>12}" for target in TARGETS))
    print("\n".join(["", *failures]))
    print(f"{passed} passed, {len(failures)} failed")
    sys.exit(1 if failures or passed != 32 else 0)


if __name__ == "__main__":
    main()
