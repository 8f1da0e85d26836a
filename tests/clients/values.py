"""Values arrive as sent: checksums, CRC-64, metadata, digests, settings. The vendors' own SDKs and raw requests, with
SeaweedFS, the demo, the doubles, and a target that changes a byte. The last line has the counts."""

import base64
import email.header
import hashlib
import zlib

import boto3
import oss2
from botocore.config import Config
from botocore.exceptions import ClientError
from crcmod import mkCrcFun
from qcloud_cos import CosConfig, CosS3Client
from qcloud_cos.cos_auth import CosS3Auth
from qcloud_cos.cos_exception import CosServiceError
import requests

import servers
from careless import Careless
from servers import KEY, SECRET, TARGET_KEY, TARGET_SECRET, caller_key, configuration, one_target

BUCKET = "values-1250000000"
MIB = 1024 * 1024
HELLO = b"hello world"
CRC64 = mkCrcFun(0x142F0E1EBA9EA3693, initCrc=0, xorOut=2**64 - 1, rev=True)
# Five MiB of a, ten MiB of b.
PARTS = [b"a" * 5 * MIB, b"b" * 10]
SUMS = {
    "CRC32": lambda data: b64(zlib.crc32(data).to_bytes(4, "big")),
    "SHA1": lambda data: b64(hashlib.sha1(data).digest()),
    "SHA256": lambda data: b64(hashlib.sha256(data).digest()),
    "CRC32C": lambda data: b64(mkCrcFun(0x11EDC6F41, initCrc=0, xorOut=0xFFFFFFFF, rev=True)(data).to_bytes(4, "big")),
    "CRC64NVME": lambda data: b64(
        mkCrcFun(0x1AD93D23594C93659, initCrc=0, xorOut=2**64 - 1, rev=True)(data).to_bytes(8, "big")),
}


def b64(data):
    return base64.b64encode(data).decode()


def s3_at(port, key=(KEY, SECRET), **more):
    options = {"request_checksum_calculation": "when_required", **more}
    return boto3.client("s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1", aws_access_key_id=key[0],
                        aws_secret_access_key=key[1],
                        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}, **options))


def cos_at(port, key=(KEY, SECRET)):
    return CosS3Client(CosConfig(Endpoint=f"cos.ap-guangzhou.localhost:{port}", Scheme="http", SecretId=key[0],
                                 SecretKey=key[1]), retry=0)


def oss_at(port, key=(KEY, SECRET), bucket=BUCKET):
    return oss2.Bucket(oss2.Auth(*key), f"http://oss-cn-hangzhou.localhost:{port}", bucket)


def cos_raw(port, method, key, headers=(), body=b"", query=None, caller=(KEY, SECRET)):
    """Sends a request that is signed as by Tencent's SDK, with any headers."""
    url = f"http://{BUCKET}.cos.ap-guangzhou.localhost:{port}/{key}"
    config = CosConfig(Region="ap-guangzhou", SecretId=caller[0], SecretKey=caller[1])
    return requests.request(method, url, params=query, data=body, headers=dict(headers),
                            auth=CosS3Auth(config, key, query or {}), timeout=30)


def fails(call, *codes):
    try:
        call()
    except ClientError as error:
        assert error.response["Error"]["Code"] in codes, error
    except CosServiceError as error:
        assert error.get_error_code() in codes, error
    except oss2.exceptions.OssError as error:
        assert error.code in codes, error
    else:
        raise AssertionError(f"the call succeeded, wanted {codes}")


def flip_byte(handler):
    """Changes a byte before it stores a body, and returns the ETag of the changed body."""
    if handler.command == "PUT" and handler.body and not handler.headers.get("x-amz-copy-source"):
        handler.body = handler.body[:-1] + bytes([handler.body[-1] ^ 1])
    handler.usual()


def form_of(client, key, body):
    post = client.generate_presigned_post(BUCKET, key)
    return requests.post(post["url"], data=post["fields"], files={"file": body}, timeout=30).status_code


def a_target_that_changes_a_byte(binary, running, options):
    """A response with the ETag of other bytes is an error for every kind of write; with the right ETag it is a success."""
    for flips in (False, True):
        with Careless(respond_with=flip_byte if flips else None) as back, Careless() as source:
            targets = [f'[[target]]\nname = "{name}"\ndialect = "s3"\nendpoint = "http://127.0.0.1:{server.server_port}"\n'
                       f'region = "us-east-1"\naddressing = "path"\naccess_key = "{TARGET_KEY}"\n'
                       f'secret_key = "{TARGET_SECRET}"\n' for name, server in (("to", back), ("from", source))]
            buckets = ['[[bucket]]\nname = "source-1250000000"\ntarget = "from"\n', '[[bucket]]\nname = "*"\ntarget = "to"\n']
            limits = "[limits]\ncopy_multipart_threshold_bytes = 5242880\ncopy_part_bytes = 5242880\n"
            port = running.proxy(binary, configuration(targets, buckets) + limits).port
            s3, cos, oss = s3_at(port), cos_at(port), oss_at(port)
            s3.put_object(Bucket="source-1250000000", Key="small", Body=HELLO)
            s3.put_object(Bucket="source-1250000000", Key="large", Body=b"x" * (11 * MIB))
            upload = {"Bucket": BUCKET, "Key": "u", "UploadId": "u", "PartNumber": 1}
            paths = {
                "put": lambda: s3.put_object(Bucket=BUCKET, Key="k", Body=HELLO),
                "large put": lambda: s3.put_object(Bucket=BUCKET, Key="k", Body=b"y" * MIB),
                "put by COS": lambda: cos.put_object(Bucket=BUCKET, Key="k", Body=HELLO),
                "put by OSS": lambda: oss.put_object("k", HELLO),
                "part": lambda: s3.upload_part(**upload, Body=HELLO),
                "relayed copy": lambda: s3.copy_object(Bucket=BUCKET, Key="k", CopySource="source-1250000000/small"),
                "relayed part": lambda: s3.upload_part_copy(**upload, CopySource="source-1250000000/small"),
            }
            if flips:
                paths["relay in parts"] = lambda: s3.copy_object(Bucket=BUCKET, Key="k", CopySource="source-1250000000/large")
            for name, call in paths.items():
                print(f"  {name}, {'another byte' if flips else 'as sent'}")
                fails(call, "InternalError") if flips else call()
            assert form_of(s3, "k", HELLO) == (500 if flips else 204), "form"


def checksums(binary, running, options):
    """S3 to S3: the target verifies, stores and returns the caller's checksums, as far as it supports them."""
    for target in ("seaweedfs", "demo"):
        checksums_at(target, *running.front(binary, target))


def checksums_at(target, proxy, back):
    key = caller_key(target)
    s3 = s3_at(proxy.port, key)
    straight = s3_at(back.port, (TARGET_KEY, TARGET_SECRET)) if back else s3
    s3.create_bucket(Bucket=BUCKET)
    for name, of in SUMS.items():
        field, value = f"Checksum{name}", of(HELLO)
        result = s3.put_object(Bucket=BUCKET, Key=name, Body=HELLO, **{field: value})
        assert result.get(field) == value, (name, result)
        for client in (s3, straight):
            assert client.head_object(Bucket=BUCKET, Key=name, ChecksumMode="ENABLED").get(field) == value, name
        assert s3.get_object(Bucket=BUCKET, Key=name, ChecksumMode="ENABLED").get(field) == value, name
        assert field not in s3.head_object(Bucket=BUCKET, Key=name), "returned without ChecksumMode"
        fails(lambda: s3.put_object(Bucket=BUCKET, Key="wrong", Body=HELLO, **{field: of(b"other")}), "BadDigest")
        found, there = (client.get_object_attributes(Bucket=BUCKET, Key=name, ObjectAttributes=["Checksum", "ObjectSize"])
                        for client in (s3, straight))
        assert (found.get("Checksum"), found["ObjectSize"]) == (there.get("Checksum"), len(HELLO)), (found, there)
        assert back or found["Checksum"][field] == value, found
    # The trailing checksum of a small object is sent to the target in the request head.
    trailing = b"b\r\nhello world\r\n0\r\nx-amz-checksum-sha256:" + SUMS["SHA256"](HELLO).encode() + b"\r\n\r\n"
    status = chunked_put(proxy.port, key, "trailing", trailing, len(HELLO), "x-amz-checksum-sha256")
    assert status == 200, status
    stored = straight.head_object(Bucket=BUCKET, Key="trailing", ChecksumMode="ENABLED")
    assert stored.get("ChecksumSHA256") == SUMS["SHA256"](HELLO), stored
    for algorithm, kind, whole in (("SHA256", "COMPOSITE", "zTBnwsNWVkdz0PwZObp0pDCxhYpP8sndExucneRKiO0=-2"),
                                   ("CRC32", "COMPOSITE", "meG8JQ==-2"), ("CRC32", "FULL_OBJECT", "1FimjA=="),
                                   ("CRC64NVME", "FULL_OBJECT", "om/L0dM0gF4=")):
        field, at = f"Checksum{algorithm}", {"Bucket": BUCKET, "Key": f"{algorithm}-{kind}"}
        begun = s3.create_multipart_upload(**at, ChecksumAlgorithm=algorithm, ChecksumType=kind)
        assert (begun.get("ChecksumAlgorithm"), begun.get("ChecksumType")) == (algorithm, kind), begun
        at["UploadId"], parts = begun["UploadId"], []
        for number, body in enumerate(PARTS, 1):
            own = {field: SUMS[algorithm](body)}
            part = s3.upload_part(**at, PartNumber=number, Body=body, **own)
            assert part.get(field) == own[field], part
            parts.append({"PartNumber": number, "ETag": part["ETag"], **own})
        listed, there = ([part.get(field) for part in client.list_parts(**at)["Parts"]] for client in (s3, straight))
        assert listed == (there if back else [part[field] for part in parts]), (listed, there)
        done = s3.complete_multipart_upload(**at, MultipartUpload={"Parts": parts}, ChecksumType=kind)
        assert done.get(field) == whole, done
        del at["UploadId"]
        found = s3.head_object(**at, ChecksumMode="ENABLED")
        assert (found.get(field), found.get("ChecksumType")) == (whole, kind), found
    copied = s3.copy_object(Bucket=BUCKET, Key="copy", CopySource=f"{BUCKET}/SHA256", ChecksumAlgorithm="SHA256")
    assert back or copied["CopyObjectResult"]["ChecksumSHA256"] == SUMS["SHA256"](HELLO), copied


def chunked_put(port, access, key, framed, length, trailer):
    """Sends an aws-chunked upload without chunk signatures."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    url = f"http://127.0.0.1:{port}/{BUCKET}/{key}"
    payload = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
    request = AWSRequest("PUT", url, headers={
        "content-encoding": "aws-chunked", "x-amz-content-sha256": payload, "x-amz-trailer": trailer,
        "x-amz-decoded-content-length": str(length)})
    auth = SigV4Auth(Credentials(*access), "s3", "us-east-1")
    auth.payload = lambda _: payload
    auth.add_auth(request)
    return requests.put(url, data=framed, headers=dict(request.headers), timeout=30).status_code


def crc64_at_seaweedfs(binary, running, options):
    """COS and OSS callers get the CRC-64 of parts, of completed uploads and of small objects, from every replica."""
    proxy, back = running.front(binary, "seaweedfs")
    other = running.proxy(binary, configuration([one_target("seaweedfs", back.port)]))
    s3_at(proxy.port).create_bucket(Bucket=BUCKET)
    straight = s3_at(back.port, (TARGET_KEY, TARGET_SECRET))
    want = str(CRC64(HELLO))
    oss, cos = oss_at(proxy.port), cos_at(proxy.port)
    for name, put, head, get in (
        ("x-oss-hash-crc64ecma", lambda: oss.put_object("k", HELLO, headers={"x-oss-meta-a": "1"}).headers,
         lambda: oss.head_object("k").headers, lambda: oss.get_object("k").headers),
        ("x-cos-hash-crc64ecma", lambda: cos.put_object(Bucket=BUCKET, Key="k", Body=HELLO, Metadata={"x-cos-meta-a": "1"}),
         lambda: cos.head_object(Bucket=BUCKET, Key="k"), lambda: cos.get_object(Bucket=BUCKET, Key="k")),
    ):
        for call in (put, head, get):
            assert call().get(name) == want, (name, call())
        assert not [header for header in head() if "blobfish" in header.lower()], head()
        assert s3_at(proxy.port).head_object(Bucket=BUCKET, Key="k")["Metadata"] == {"a": "1"}
        # A copy has the same bytes. Other bytes that are written directly with the old metadata have no CRC-64.
        s3_at(proxy.port).copy_object(Bucket=BUCKET, Key="c", CopySource=f"{BUCKET}/k")
        assert oss.head_object("c").headers.get("x-oss-hash-crc64ecma") == want
        stored = straight.head_object(Bucket=BUCKET, Key="k")["Metadata"]
        straight.put_object(Bucket=BUCKET, Key="k", Body=b"other", Metadata=stored)
        assert head().get(name) is None, "a CRC-64 of other bytes"
    fails(lambda: s3_at(proxy.port).put_object(Bucket=BUCKET, Key="k", Body=b"x", Metadata={"blobfish-crc64": "1-2"}),
          "InvalidArgument")
    # The metadata that another Blobfish in front of this one stores is not returned.
    s3_at(proxy.port).put_object(Bucket=BUCKET, Key="k", Body=b"x", Metadata={"blobfish-crc64": f"1-{hashlib.md5(b'x').hexdigest()}"})
    assert s3_at(proxy.port).head_object(Bucket=BUCKET, Key="k")["Metadata"] == {}
    whole = str(CRC64(b"".join(PARTS)))
    upload = oss.init_multipart_upload("m").upload_id
    parts = []
    for number, body in enumerate(PARTS, 1):
        part = oss_at(other.port if number == 2 else proxy.port).upload_part("m", upload, number, body)
        assert part.crc == CRC64(body), part.crc
        parts.append(oss2.models.PartInfo(number, part.etag, size=len(body), part_crc=part.crc))
    listed = [part.etag for part in oss2.PartIterator(oss, "m", upload)]
    assert listed == [hashlib.md5(body).hexdigest().upper() for body in PARTS], listed
    assert oss.complete_multipart_upload("m", upload, parts).headers.get("x-oss-hash-crc64ecma") == whole
    upload = cos.create_multipart_upload(Bucket=BUCKET, Key="m")["UploadId"]
    parts = []
    for number, body in enumerate(PARTS, 1):
        part = cos.upload_part(Bucket=BUCKET, Key="m", UploadId=upload, PartNumber=number, Body=body)
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    done = cos_at(other.port).complete_multipart_upload(
        Bucket=BUCKET, Key="m", UploadId=upload, MultipartUpload={"Part": parts})
    assert done.get("x-cos-hash-crc64ecma") == whole, done
    assert cos.get_object(Bucket=BUCKET, Key="m")["Body"].get_raw_stream().read() == b"".join(PARTS)
    # A resumed upload has the ETags of a listing: the object is read to compute its CRC-64. A changed suffix is rejected.
    for change in (lambda tag: tag.split("-")[0] + '"', lambda tag: tag[:-2] + ("0" if tag[-2] != "0" else "1") + '"'):
        upload = cos.create_multipart_upload(Bucket=BUCKET, Key="n")["UploadId"]
        part = cos.upload_part(Bucket=BUCKET, Key="n", UploadId=upload, PartNumber=1, Body=HELLO)
        call = lambda: cos.complete_multipart_upload(  # noqa: E731
            Bucket=BUCKET, Key="n", UploadId=upload,
            MultipartUpload={"Part": [{"PartNumber": 1, "ETag": change(part["ETag"])}]})
        if change(part["ETag"]).count("-"):
            fails(call, "InvalidPart")
        else:
            assert call().get("x-cos-hash-crc64ecma") == str(CRC64(HELLO))
    upload = cos.create_multipart_upload(Bucket=BUCKET, Key="r")["UploadId"]
    for number, body in enumerate(PARTS, 1):
        cos.upload_part(Bucket=BUCKET, Key="r", UploadId=upload, PartNumber=number, Body=body)
    listed = cos.list_parts(Bucket=BUCKET, Key="r", UploadId=upload)["Part"]
    done = cos_at(other.port).complete_multipart_upload(
        Bucket=BUCKET, Key="r", UploadId=upload,
        MultipartUpload={"Part": [{"PartNumber": int(part["PartNumber"]), "ETag": part["ETag"]} for part in listed]})
    assert done.get("x-cos-hash-crc64ecma") == whole, done


def metadata_in_every_encoding(binary, running, options):
    """S3 callers get encoded words, COS and OSS callers get bytes, for every writer and target."""
    value = "值 é"
    for target in ("seaweedfs", "demo", "cos", "oss"):
        port = running.front(binary, target)[0].port
        key = caller_key(target)
        s3, cos, oss = s3_at(port, key), cos_at(port, key), oss_at(port, key)
        s3.create_bucket(Bucket=BUCKET)
        word = email.header.Header(value, "utf-8").encode()
        s3.put_object(Bucket=BUCKET, Key="s3", Body=b"x", Metadata={"n": word})
        written = {"cos": cos_raw(port, "PUT", "cos", {"x-cos-meta-n": value.encode()}, b"x", caller=key)}
        assert written["cos"].status_code == 200, written["cos"].text
        oss.put_object("oss", b"x", headers={"x-oss-meta-n": value.encode()})
        for name in ("s3", "cos", "oss"):
            result = s3.head_object(Bucket=BUCKET, Key=name)["Metadata"]["n"]
            read = "".join(part if isinstance(part, str) else part.decode(charset or "ascii")
                           for part, charset in email.header.decode_header(result))
            assert result.isascii() and read == value, (target, name, result)
            for raw in (cos_raw(port, "HEAD", name, caller=key).headers["x-cos-meta-n"],
                        oss.head_object(name).headers["x-oss-meta-n"]):
                assert raw.encode("latin1") == value.encode(), (target, name, raw)


def digests_of_requests(binary, running, options):
    """A wrong digest is rejected, a right one is accepted."""
    port = running.front(binary, "seaweedfs")[0].port
    s3, oss = s3_at(port), oss_at(port)
    s3.create_bucket(Bucket=BUCKET)
    for of, status in ((HELLO, 200), (b"other", 400)):
        put = cos_raw(port, "PUT", "sha1", {"x-cos-content-sha1": hashlib.sha1(of).hexdigest()}, HELLO)
        assert put.status_code == status, put.text
        assert status == 200 or "InvalidSHA1Digest" in put.text
        sha256 = {"x-oss-content-sha256": hashlib.sha256(of).hexdigest()}
        call = lambda: oss.put_object("sha256", HELLO, headers=sha256)  # noqa: E731
        call() if status == 200 else fails(call, "InvalidDigest")
    assert cos_raw(port, "PUT", "sha1", {"x-cos-content-sha1": "abc"}, HELLO).status_code == 400
    for name, of in (("sha512", hashlib.sha512), ("md5", hashlib.md5)):
        for data, status in ((HELLO, 200), (b"other", 400)):
            assert s3_raw_put(port, name, {f"x-amz-checksum-{name}": b64(of(data).digest())}) == status, name
    # XXH64 of the empty input with seed 0 is EF46DB3751D8E999 (xxHash specification); XXH3 and XXH128 are from its test suite.
    empty = {"xxhash64": "ef46db3751d8e999", "xxhash3": "2d06800538d394c2",
             "xxhash128": "99aa06d3014798d86001c324468d497f"}
    for name, digits in empty.items():
        assert s3_raw_put(port, name, {f"x-amz-checksum-{name}": b64(bytes.fromhex(digits))}, b"") == 200, name
        assert s3_raw_put(port, name, {f"x-amz-checksum-{name}": b64(bytes.fromhex(digits))}, b"x") == 400, name
    # The Content-MD5 of CompleteMultipartUpload is of its document.
    upload = cos_at(port).create_multipart_upload(Bucket=BUCKET, Key="m")["UploadId"]
    part = cos_at(port).upload_part(Bucket=BUCKET, Key="m", UploadId=upload, PartNumber=1, Body=HELLO)["ETag"]
    document = (f"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>{part}</ETag></Part>"
                "</CompleteMultipartUpload>").encode()
    for of, status in ((b"other", 400), (document, 200)):
        done = cos_raw(port, "POST", "m", {"Content-MD5": b64(hashlib.md5(of).digest())}, document, {"uploadId": upload})
        assert done.status_code == status, done.text


def s3_raw_put(port, key, headers, body=HELLO):
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    url = f"http://127.0.0.1:{port}/{BUCKET}/{key}"
    request = AWSRequest("PUT", url, headers={"x-amz-content-sha256": "UNSIGNED-PAYLOAD", **headers}, data=body)
    auth = SigV4Auth(Credentials(KEY, SECRET), "s3", "us-east-1")
    auth.payload = lambda _: "UNSIGNED-PAYLOAD"
    auth.add_auth(request)
    return requests.put(url, data=body, headers=dict(request.headers), timeout=30).status_code


def between_equal_dialects(binary, running, options):
    """Between equal dialects documents and values are not changed."""
    port = running.front(binary, "seaweedfs")[0].port
    s3 = s3_at(port)
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"x", ContentEncoding="deflate, gzip")
    assert s3.head_object(Bucket=BUCKET, Key="k")["ContentEncoding"] == "deflate, gzip"
    rules = {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "AllowedHeaders": ["X-Amz-Meta-B"],
                            "ExposeHeaders": ["etag", "x-amz-meta-A"]}]}
    s3.put_bucket_cors(Bucket=BUCKET, CORSConfiguration=rules)
    result = s3.get_bucket_cors(Bucket=BUCKET)["CORSRules"][0]
    assert (result["ExposeHeaders"], result["AllowedHeaders"]) == (["etag", "x-amz-meta-A"], ["X-Amz-Meta-B"]), result
    fails(lambda: s3.put_object_lock_configuration(
        Bucket=BUCKET, ObjectLockConfiguration={"ObjectLockEnabled": "Enabled"}), "InvalidBucketState")
    # A COS caller without a Content-Type gets its vendor's default.
    assert cos_raw(port, "PUT", "typeless", body=b"plain text").status_code == 200
    assert s3.head_object(Bucket=BUCKET, Key="typeless")["ContentType"] == "application/octet-stream"
    upload = s3.create_multipart_upload(Bucket=BUCKET, Key="m")["UploadId"]
    for span, code in (("0-1", "InvalidArgument"), ("5-6", "InvalidRequest")):
        fails(lambda: s3.upload_part_copy(Bucket=BUCKET, Key="m", UploadId=upload, PartNumber=1,
                                          CopySource=f"{BUCKET}/k", CopySourceRange=f"bytes={span}"), code)


CHECKS = [a_target_that_changes_a_byte, checksums, crc64_at_seaweedfs, metadata_in_every_encoding,
          digests_of_requests, between_equal_dialects]

if __name__ == "__main__":
    servers.main(__doc__, CHECKS)
