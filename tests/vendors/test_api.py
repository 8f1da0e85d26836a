"""Further operations of each double: values are returned in the vendor's format, and unknown values are rejected."""

import base64
import hashlib
import json
import time
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from .signed_requests import list_rows, only

ARCHIVE = {"cos": "ARCHIVE", "oss": "ColdArchive", "jdcloud": "GLACIER"}


def digest(body):
    return {"content-md5": base64.b64encode(hashlib.md5(body).digest()).decode()}


def send(double, method, bucket, body, key="", headers=None, **params):
    """Sends a document with its digest."""
    body = body.encode()
    return double.ask(method, bucket, key, params, {**digest(body), **(headers or {})}, body)


def by_vendor(double, **values):
    return values[double.vendor]


def names(response, *path):
    """Returns the names of the children of an element."""
    node = ElementTree.fromstring(response.body)
    for name in path:
        node = next(child for child in node if child.tag.rpartition("}")[2] == name)
    return [child.tag.rpartition("}")[2] for child in node]


def texts(response, row, name):
    """Returns the text of one child of every row, in order."""
    return [next((c.text or "" for c in node if c.tag.rpartition("}")[2] == name), None)
            for node in ElementTree.fromstring(response.body) if node.tag.rpartition("}")[2] == row]


# -- deletion of multiple objects


def test_deletion_of_multiple_objects(double, bucket):
    for key in ("a", "b &", "c"):
        double.ask("PUT", bucket, key, body=b"x")
    document = "<Delete><Object><Key>a</Key></Object><Object><Key>b &amp;</Key></Object><Object><Key>none</Key></Object></Delete>"
    plain = document.encode()
    code = by_vendor(double, cos="MissingContentMD5", oss="MissingArgument", jdcloud="InvalidRequest")
    assert double.ask("POST", bucket, params={"delete": ""}, body=plain).is_error(400, code)
    wrong = double.ask("POST", bucket, params={"delete": ""}, body=plain, headers=digest(b"other"))
    assert wrong.is_error(400, "InvalidDigest" if double.vendor == "oss" else "BadDigest")
    for bad in ("<Delete/>", document.replace("Delete>", "Remove>"), document.replace("</Delete>", "<Other/></Delete>"),
                "<Delete>" + "<Object><Key>k</Key></Object>" * 1001 + "</Delete>"):
        assert send(double, "POST", bucket, bad, delete="").is_error(400, "MalformedXML"), bad[:60]
    assert set(double.send_control("GET", f"/objects/{bucket}")) == {"a", "b &", "c"}
    done = send(double, "POST", bucket, document, delete="", **({"encoding-type": "url"} if double.vendor == "oss" else {}))
    assert done.status == 200
    assert texts(done, "Deleted", "Key") == ["a", "b%20%26" if double.vendor == "oss" else "b &", "none"]
    assert set(double.send_control("GET", f"/objects/{bucket}")) == {"c"}
    quiet = send(double, "POST", bucket, "<Delete><Quiet>true</Quiet><Object><Key>c</Key></Object></Delete>", delete="")
    assert quiet.status == 200 and (quiet.body == b"" if double.vendor == "oss" else names(quiet) == [])
    assert double.send_control("GET", f"/objects/{bucket}") == {}
    assert double.send_control("GET", "/requests")[-1]["op"] == "DeleteObjects"


def test_deletion_of_multiple_versions(double, versions):
    first = double.ask("PUT", versions, "k", body=b"1").headers[double.prefix + "version-id"]
    double.ask("PUT", versions, "k", body=b"2")
    marked = send(double, "POST", versions, "<Delete><Object><Key>k</Key></Object></Delete>", delete="")
    marker = marked.text("Deleted", "DeleteMarkerVersionId")
    assert marked.text("Deleted", "DeleteMarker") == "true" and double.ask("GET", versions, "k").status == 404
    both = "".join(f"<Object><Key>k</Key><VersionId>{one}</VersionId></Object>" for one in (first, marker))
    assert send(double, "POST", versions, both.join(("<Delete>", "</Delete>")), delete="").status == 200
    assert double.ask("GET", versions, "k").body == b"2"
    assert double.ask("GET", versions, "k", params={"versionId": first}).is_error(404, "NoSuchVersion")
    bad = "<Delete><Object><Key>k</Key><VersionId>no version</VersionId></Object></Delete>"
    assert send(double, "POST", versions, bad, delete="").is_error(400, "InvalidArgument")


# -- tags


def tagging(*pairs):
    rows = "".join(f"<Tag><Key>{key}</Key><Value>{value}</Value></Tag>" for key, value in pairs)
    return f"<Tagging><TagSet>{rows}</TagSet></Tagging>"


def test_object_tags(double, bucket):
    double.ask("PUT", bucket, "k", body=b"x")
    assert double.ask("HEAD", bucket, "k").headers.get(double.prefix + "tagging-count") is None
    assert names(double.ask("GET", bucket, "k", {"tagging": ""}), "TagSet") == []
    bad = [(tagging(("a", "1"), ("a", "2")), "InvalidTag"), (tagging(("a" * 129, "1")), "InvalidTag"),
           (tagging(("a", "1" * 257)), "InvalidTag"), (tagging(("a", "1!")), "InvalidTag"),
           (tagging(*((f"k{n}", "1") for n in range(11))), "BadRequest" if double.vendor == "jdcloud" else "InvalidTag"),
           ("<Tagging><Tag/></Tagging>", "MalformedXML"), (tagging(("a", "1")).replace("Value", "Worth"), "MalformedXML")]
    for document, code in bad:
        assert send(double, "PUT", bucket, document, "k", tagging="").is_error(400, code), document[:60]
    put = send(double, "PUT", bucket, tagging(("a b", "1"), ("c", "")), "k", tagging="")
    assert put.status == (204 if double.vendor == "cos" else 200)
    got = double.ask("GET", bucket, "k", {"tagging": ""})
    assert [(tag[0].text, tag[1].text or "") for tag in ElementTree.fromstring(got.body)[0]] == [("a b", "1"), ("c", "")]
    assert double.ask("HEAD", bucket, "k").headers[double.prefix + "tagging-count"] == "2"
    assert double.ask("DELETE", bucket, "k", {"tagging": ""}).status == 204
    assert double.ask("HEAD", bucket, "k").headers.get(double.prefix + "tagging-count") is None
    assert double.ask("GET", bucket, "none", {"tagging": ""}).is_error(404, "NoSuchKey")
    twice = double.ask("PUT", bucket, "k", headers={"~tagging": "a=1&a=2"}, body=b"y")
    assert twice.is_error(400, "InvalidArgument") and double.ask("GET", bucket, "k").body == b"x"


def test_bucket_tags(double, bucket):
    unset = double.ask("GET", bucket, params={"tagging": ""})
    assert names(unset, "TagSet") == [] if double.vendor == "oss" else unset.is_error(404, "NoSuchTagSet")
    put = send(double, "PUT", bucket, tagging(("a", "1"), ("b", "2"), ("c", "3")), tagging="")
    assert put.status == (200 if double.vendor == "oss" else 204)
    many = tagging(*((f"k{n}", "1") for n in range(51)))
    assert send(double, "PUT", bucket, many, tagging="").is_error(400, "TooManyTags" if double.vendor == "oss" else "InvalidTag")
    if double.vendor == "oss":
        assert double.ask("DELETE", bucket, params={"tagging": "a,c"}).status == 204
        left = ElementTree.fromstring(double.ask("GET", bucket, params={"tagging": ""}).body)
        assert [tag[0].text for tag in left[0]] == ["b"]
    assert double.ask("DELETE", bucket, params={"tagging": ""}).status == 204
    again = double.ask("GET", bucket, params={"tagging": ""})
    assert names(again, "TagSet") == [] if double.vendor == "oss" else again.is_error(404, "NoSuchTagSet")


# -- ACLs


def without_credential(double, method, bucket, key="", params=None):
    return double.ask(method, bucket, key, params, after={"authorization": ""}).status


def test_canned_acls(double, bucket):
    double.ask("PUT", bucket, "k", body=b"x")
    name = "~object-acl" if double.vendor == "oss" else "~acl"
    assert without_credential(double, "GET", bucket, "k") == 403
    assert double.ask("PUT", bucket, "k", {"acl": ""}, {name: "no-such-word"}).is_error(400, "InvalidArgument")
    missing = by_vendor(double, cos="MissingSecurityHeader", oss="MissingArgument", jdcloud="MissingSecurityHeader")
    assert double.ask("PUT", bucket, "k", {"acl": ""}).is_error(400, missing)
    assert double.ask("PUT", bucket, "k", {"acl": ""}, {name: "public-read"}).status == 200
    assert without_credential(double, "GET", bucket, "k") == 200
    assert without_credential(double, "PUT", bucket, "k") == 403
    assert without_credential(double, "GET", bucket, "k", {"response-content-type": "a/b"}) == 400
    assert without_credential(double, "GET", bucket, "k", {"acl": ""}) == 403
    result = double.ask("GET", bucket, "k", {"acl": ""})
    if double.vendor == "oss":
        assert result.text("AccessControlList", "Grant") == "public-read"
    else:
        assert b"global/AllUsers</URI></Grantee><Permission>READ</Permission>" in result.body
    assert double.ask("PUT", bucket, "k", {"acl": ""}, {name: "private"}).status == 200
    assert without_credential(double, "GET", bucket, "k") == 403
    assert double.ask("PUT", bucket, params={"acl": ""}, headers={"~acl": "public-read"}).status == 200
    assert without_credential(double, "GET", bucket) == 200 and without_credential(double, "GET", bucket, "k") == 403
    double.ask("PUT", bucket, "inherits", body=b"x")
    inherits = double.vendor != "jdcloud"
    assert without_credential(double, "GET", bucket, "inherits") == (200 if inherits else 403)
    if double.vendor == "cos":
        assert double.ask("GET", bucket, "inherits", {"acl": ""}).headers["x-cos-acl"] == "default"
        assert double.ask("PUT", bucket, "k", {"acl": ""}, {name: "public-read-write"}).is_error(400, "InvalidArgument")
    assert double.ask("GET", bucket, "none", {"acl": ""}).is_error(404, "NoSuchKey")


def acl_document(uri, permission="READ", kind="Group"):
    xsi = f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="{kind}"'
    return (f"<AccessControlPolicy><AccessControlList><Grant><Grantee {xsi}><URI>{uri}</URI></Grantee>"
            f"<Permission>{permission}</Permission></Grant></AccessControlList></AccessControlPolicy>")


def test_acl_documents(double, bucket):
    double.ask("PUT", bucket, "k", body=b"x")
    own = by_vendor(double, cos="http://cam.qcloud.com/groups/global/AllUsers", oss="",
                    jdcloud="http://acs.amazonaws.com/groups/global/AllUsers")
    if double.vendor == "oss":
        assert send(double, "PUT", bucket, acl_document("x"), "k", acl="").is_error(400, "MissingArgument")
        return
    foreign = "http://acs.amazonaws.com/groups/global/AllUsers" if double.vendor == "cos" else "http://cam.qcloud.com/x"
    assert send(double, "PUT", bucket, acl_document(foreign), "k", acl="").is_error(400, "InvalidArgument")
    for bad in (acl_document(own, "ALL"), acl_document(own, kind="CanonicalUser"), acl_document(own).replace("URI", "Uri")):
        assert send(double, "PUT", bucket, bad, "k", acl="").is_error(400, "MalformedACLError")
    assert send(double, "PUT", bucket, acl_document(own), "k", acl="").status == 200
    assert without_credential(double, "GET", bucket, "k") == 200
    assert double.ask("GET", bucket, "k", {"acl": ""}).text("AccessControlList", "Grant", "Grantee", "URI") == own
    header = {"~grant-read": 'id="100000000001"'}
    assert double.ask("PUT", bucket, params={"acl": ""}, headers=header).status == 200
    assert double.ask("PUT", bucket, params={"acl": ""}, headers={"~grant-read": "me"}).is_error(400, "InvalidArgument")
    result = double.ask("GET", bucket, params={"acl": ""})
    assert result.text("AccessControlList", "Grant", "Grantee", "ID") == "100000000001"
    if double.vendor == "jdcloud":
        both = send(double, "PUT", bucket, acl_document(own), "k", {"~acl": "private"}, acl="")
        assert both.is_error(400, "UnexpectedContent")


# -- versions, uploads, pages


def versioning(double, bucket, word):
    document = f"<VersioningConfiguration><Status>{word}</Status></VersioningConfiguration>"
    return send(double, "PUT", bucket, document, versioning="")


def test_versioning(double, bucket):
    version = double.prefix + "version-id"
    assert names(double.ask("GET", bucket, params={"versioning": ""})) == []
    assert version not in double.ask("PUT", bucket, "k", body=b"0").headers
    assert versioning(double, bucket, "enabled").is_error(400, "MalformedXML")
    code = by_vendor(double, cos="MalformedXML", oss="InvalidArgument", jdcloud="IllegalVersioningConfigurationException")
    assert send(double, "PUT", bucket, "<VersioningConfiguration/>", versioning="").is_error(400, code)
    assert versioning(double, bucket, "Enabled").status == 200
    assert double.ask("GET", bucket, params={"versioning": ""}).text("Status") == "Enabled"
    first = double.ask("PUT", bucket, "k", body=b"1").headers[version]
    assert double.ask("GET", bucket, "k", {"versionId": "null"}).body == b"0"
    assert versioning(double, bucket, "Suspended").status == 200
    written = double.ask("PUT", bucket, "k", body=b"2")
    assert written.headers.get(version) == (None if double.vendor == "cos" else "null")
    assert double.ask("GET", bucket, "k", {"versionId": "null"}).body == b"2"
    assert double.ask("GET", bucket, "k", {"versionId": first}).body == b"1"
    deleted = double.ask("DELETE", bucket, "k")
    assert (deleted.headers[version], deleted.headers[double.prefix + "delete-marker"]) == ("null", "true")
    listing = double.ask("GET", bucket, params={"versions": ""})
    assert [tag for tag in names(listing) if tag in ("Version", "DeleteMarker")] == ["DeleteMarker", "Version"]
    assert texts(listing, "DeleteMarker", "VersionId") == ["null"] and texts(listing, "Version", "VersionId") == [first]


def test_version_listing(double, bucket):
    double.ask("PUT", bucket, "k", body=b"x")
    alone = double.ask("GET", bucket, params={"versions": ""})
    assert texts(alone, "Version", "VersionId") == ["" if double.vendor == "cos" else "null"]
    versioning(double, bucket, "Enabled")
    for key in ("a/1", "a/2", "b", "b", "c +"):
        double.ask("PUT", bucket, key, body=b"x")
    double.ask("DELETE", bucket, "b")
    found, marks = [], {}
    while True:
        response = double.ask("GET", bucket, params={"versions": "", "max-keys": "1", "encoding-type": "url", **marks})
        row = next(tag for tag in names(response) if tag in ("Version", "DeleteMarker"))
        found.append((unquote(response.text(row, "Key")), row, response.text(row, "IsLatest")))
        if response.text("IsTruncated") == "false":
            break
        marks = {"key-marker": unquote(response.text("NextKeyMarker")), "version-id-marker": response.text("NextVersionIdMarker")}
    assert found == [("a/1", "Version", "true"), ("a/2", "Version", "true"), ("b", "DeleteMarker", "true"),
                     ("b", "Version", "false"), ("b", "Version", "false"), ("c +", "Version", "true"), ("k", "Version", "true")]
    grouped = double.ask("GET", bucket, params={"versions": "", "delimiter": "/", "max-keys": "1"})
    assert texts(grouped, "CommonPrefixes", "Prefix") == ["a/"]
    assert (grouped.text("NextKeyMarker"), grouped.text("NextVersionIdMarker")) == ("a/", "")
    alone = double.ask("GET", bucket, params={"versions": "", "delimiter": "/", "prefix": "a", "max-keys": "1"})
    assert alone.text("IsTruncated") == "false", "the other keys have the same common prefix"
    after = double.ask("GET", bucket, params={"versions": "", "key-marker": "b"})
    assert texts(after, "Version", "Key") == ["c +", "k"]
    unpaired = double.ask("GET", bucket, params={"versions": "", "version-id-marker": "v1"})
    assert unpaired.is_error(400, "InvalidArgument") if double.vendor == "jdcloud" else unpaired.status == 200
    wanted = {
        "cos": ["Key", "VersionId", "IsLatest", "LastModified", "ETag", "Size", "StorageClass", "Owner"],
        "oss": ["Key", "VersionId", "IsLatest", "LastModified", "ETag", "Type", "Size", "StorageClass", "Owner"],
        "jdcloud": ["Key", "VersionId", "IsLatest", "LastModified", "ETag", "Size", "Owner", "StorageClass"]}
    assert names(after, "Version") == wanted[double.vendor]
    assert (names(after)[0] == "Name") and (b"<Delimiter></Delimiter>" in after.body) == (double.vendor == "oss")


def test_upload_listing(double, bucket):
    ids = {key: double.ask("POST", bucket, key, {"uploads": ""}).text("UploadId") for key in ("a/1", "a/2", "b +", "c")}
    second = double.ask("POST", bucket, "c", {"uploads": ""}).text("UploadId")
    found, marks = [], {}
    while True:
        response = double.ask("GET", bucket, params={"uploads": "", "max-uploads": "1", "encoding-type": "url", **marks})
        found.append((unquote(response.text("Upload", "Key")), response.text("Upload", "UploadId")))
        if response.text("IsTruncated") == "false":
            break
        marks = {"key-marker": unquote(response.text("NextKeyMarker")), "upload-id-marker": response.text("NextUploadIdMarker")}
    assert found == [("a/1", ids["a/1"]), ("a/2", ids["a/2"]), ("b +", ids["b +"]),
                     *(("c", one) for one in sorted([ids["c"], second]))]
    assert (b"<Encoding-Type>url" in response.body) == (double.vendor == "cos")
    grouped = double.ask("GET", bucket, params={"uploads": "", "delimiter": "/", "prefix": ""})
    assert texts(grouped, "CommonPrefixes", "Prefix") == ["a/"] and texts(grouped, "Upload", "Key") == ["b +", "c", "c"]
    assert ("NextKeyMarker" in names(grouped)) == (double.vendor != "cos")
    assert ("Owner" in names(grouped, "Upload")) == (double.vendor != "oss")
    after = double.ask("GET", bucket, params={"uploads": "", "key-marker": "b +"})
    assert texts(after, "Upload", "Key") == ["c", "c"]
    large = double.ask("GET", bucket, params={"uploads": "", "max-uploads": "1001"})
    assert large.is_error(400, "InvalidArgument") if double.vendor == "oss" else large.text("MaxUploads") == "1000"


def test_pages_by_default(double, bucket):
    for number in range(101):
        double.ask("PUT", bucket, f"{number:03}", body=b"")
    size = 100 if double.vendor == "oss" else 101
    assert len(list_rows(double.ask("GET", bucket))) == size
    assert len(texts(double.ask("GET", bucket, params={"versions": ""}), "Version", "Key")) == size


def test_part_numbers_beyond_a_page(double, bucket):
    upload = double.ask("POST", bucket, "m", {"uploads": ""}).text("UploadId")
    assert double.ask("PUT", bucket, "m", {"partNumber": "10000", "uploadId": upload}, body=b"x").status == 200
    assert double.ask("PUT", bucket, "m", {"partNumber": "10001", "uploadId": upload}, body=b"x").status == 400


# -- settings of buckets

CORS = ("<CORSConfiguration><CORSRule><AllowedOrigin>http://a.example</AllowedOrigin><AllowedMethod>PUT</AllowedMethod>"
        "<AllowedMethod>GET</AllowedMethod><AllowedHeader>x-*</AllowedHeader><ExposeHeader>ETag</ExposeHeader>"
        "<MaxAgeSeconds>30</MaxAgeSeconds></CORSRule></CORSConfiguration>")
ENCRYPTION = ("<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm>"
              "</ApplyServerSideEncryptionByDefault></Rule></ServerSideEncryptionConfiguration>")
LIFECYCLE = ("<LifecycleConfiguration><Rule><ID>r</ID><Filter><Prefix>a/</Prefix></Filter><Status>Enabled</Status><Transition>"
             "<Days>30</Days><StorageClass>STANDARD_IA</StorageClass></Transition><AbortIncompleteMultipartUpload>"
             "<DaysAfterInitiation>3</DaysAfterInitiation></AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>")
WEBSITE = ("<WebsiteConfiguration><IndexDocument><Suffix>i.html</Suffix></IndexDocument><ErrorDocument><Key>e.html</Key>"
           "</ErrorDocument></WebsiteConfiguration>")
LOGGING = ("<BucketLoggingStatus><LoggingEnabled><TargetBucket>{}</TargetBucket><TargetPrefix>l/</TargetPrefix></LoggingEnabled>"
           "</BucketLoggingStatus>")

#: Vendors, sub-resource, document, invalid document, status and error code while it is absent.
SETTINGS = [
    *(("cos jdcloud oss", "cors", CORS, ("<MaxAgeSeconds>30<", "<MaxAgeSeconds>soon<"), (404, "NoSuchCORSConfiguration")),
      ("cos jdcloud oss", "cors", CORS, ("<AllowedMethod>GET<", "<AllowedMethod>PATCH<"), (404, "NoSuchCORSConfiguration")),
      ("cos jdcloud oss", "cors", CORS, ("AllowedOrigin", "Origin"), (404, "NoSuchCORSConfiguration"))),
    ("cos jdcloud", "lifecycle", LIFECYCLE, ("STANDARD_IA", "IA"), (404, "NoSuchLifecycleConfiguration")),
    ("cos jdcloud", "lifecycle", LIFECYCLE, ("<Days>30</Days>", ""), (404, "NoSuchLifecycleConfiguration")),
    ("oss", "lifecycle", "<LifecycleConfiguration><Rule><ID>r</ID><Prefix>a/</Prefix><Status>Enabled</Status><Tag><Key>k</Key>"
     "<Value>v</Value></Tag><Transition><Days>30</Days><StorageClass>IA</StorageClass></Transition><AbortMultipartUpload>"
     "<Days>3</Days></AbortMultipartUpload></Rule></LifecycleConfiguration>", (">IA<", ">STANDARD_IA<"),
     (404, "NoSuchLifecycle")),
    ("oss", "lifecycle", "<LifecycleConfiguration><Rule><ID>r</ID><Prefix/><Status>Enabled</Status><AbortMultipartUpload>"
     "<Days>3</Days></AbortMultipartUpload></Rule></LifecycleConfiguration>",
     ("AbortMultipartUpload", "AbortIncompleteMultipartUpload"), (404, "NoSuchLifecycle")),
    ("cos", "encryption", ENCRYPTION, ("AES256", "aws:kms"), (404, "NoSuchEncryptionConfiguration")),
    ("jdcloud", "encryption", ENCRYPTION, ("AES256", "KMS"), (404, "ServerSideEncryptionConfigurationNotFoundError")),
    ("oss", "encryption", "<ServerSideEncryptionRule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>KMS</SSEAlgorithm>"
     "<KMSMasterKeyID>id</KMSMasterKeyID></ApplyServerSideEncryptionByDefault></ServerSideEncryptionRule>",
     ("ServerSideEncryptionRule>", "ServerSideEncryptionConfiguration>"), (404, "NoSuchServerSideEncryptionRule")),
    ("cos jdcloud oss", "website", WEBSITE, ("ErrorDocument>", "Error>"), (404, "NoSuchWebsiteConfiguration")),
    ("cos", "referer", "<RefererConfiguration><Status>Enabled</Status><RefererType>White-List</RefererType><DomainList>"
     "<Domain>*.a.example</Domain></DomainList><EmptyReferConfiguration>Allow</EmptyReferConfiguration></RefererConfiguration>",
     ("White-List", "white"), (404, "NoSuchRefererConfiguration")),
    ("oss", "referer", "<RefererConfiguration><AllowEmptyReferer>false</AllowEmptyReferer><RefererList><Referer>http://a.example"
     "</Referer></RefererList></RefererConfiguration>", ("RefererList", "DomainList"), (200, "")),
    ("cos", "object-lock", "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled></ObjectLockConfiguration>",
     ("Enabled<", "true<"), (404, "NoSuchObjectLockConfiguration")),
    ("cos", "accelerate", "<AccelerateConfiguration><Status>Enabled</Status><Type>COS</Type></AccelerateConfiguration>",
     ("COS", "S3"), (200, "")),
    ("oss", "transferAcceleration", "<TransferAccelerationConfiguration><Enabled>true</Enabled>"
     "</TransferAccelerationConfiguration>", ("true", "Enabled"), (404, "NoSuchTransferAccelerationConfiguration")),
    ("oss", "accessmonitor", "<AccessMonitorConfiguration><Status>Enabled</Status></AccessMonitorConfiguration>",
     ("Enabled<", "On<"), (200, "")),
    ("oss", "bucketArchiveDirectRead", "<ArchiveDirectReadConfiguration><Enabled>true</Enabled>"
     "</ArchiveDirectReadConfiguration>", ("true", "Enabled"), (200, "")),
    ("oss", "resourceGroup", "<BucketResourceGroupConfiguration><ResourceGroupId>rg-1</ResourceGroupId>"
     "</BucketResourceGroupConfiguration>", ("ResourceGroupId", "Id"), (200, "")),
    ("oss", "httpsConfig", "<HttpsConfiguration><TLS><Enable>true</Enable><TLSVersion>TLSv1.2</TLSVersion></TLS>"
     "</HttpsConfiguration>", ("Enable>", "Enabled>"), (200, "")),
    ("oss", "requestPayment", "<RequestPaymentConfiguration><Payer>Requester</Payer></RequestPaymentConfiguration>",
     ("Requester<", "Me<"), (200, "")),
    ("oss", "publicAccessBlock", "<PublicAccessBlockConfiguration><BlockPublicAccess>true</BlockPublicAccess>"
     "</PublicAccessBlockConfiguration>", ("BlockPublicAccess>", "BlockPublicAcls>"), (200, "")),
    ("jdcloud", "publicAccessBlock", "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls>"
     "</PublicAccessBlockConfiguration>", ("BlockPublicAcls>", "BlockPublicAccess>"),
     (404, "NoSuchPublicAccessBlockConfiguration")),
]


@pytest.mark.parametrize("vendors,name,document,change,unset", SETTINGS, ids=lambda value: str(value)[:24])
def test_settings(double, bucket, vendors, name, document, change, unset):
    only(double, *vendors.split())

    def is_unset():
        response = double.ask("GET", bucket, params={name: ""})
        assert response.is_error(*unset) if unset[1] else response.status == unset[0]
        return response.body

    before = is_unset()
    old, new = change
    assert old in document
    assert send(double, "PUT", bucket, document.replace(old, new), **{name: ""}).is_error(400, "MalformedXML")
    assert send(double, "PUT", bucket, document[:-3], **{name: ""}).is_error(400, "MalformedXML")
    is_unset()
    assert double.ask("PUT", bucket, params={name: ""}, body=document.encode(), headers=digest(b"other")).status == 400
    assert send(double, "PUT", bucket, document, **{name: ""}).status == 200
    got = double.ask("GET", bucket, params={name: ""})

    def tree(text):
        def bare(node):
            return node.tag.rpartition("}")[2], node.text or "", sorted(map(bare, node))
        return bare(ElementTree.fromstring(text))

    assert got.status == 200 and tree(got.body) == tree(document)
    assert got.headers["content-type"] == "application/xml" and (b"xmlns" in got.body) == (double.vendor == "jdcloud")
    deleted = double.ask("DELETE", bucket, params={name: ""})
    if deleted.status == 204:
        assert is_unset() == before or unset[1]
    else:
        assert deleted.is_error(405, "MethodNotAllowed") and double.ask("GET", bucket, params={name: ""}).body == got.body
    assert double.ask("GET", "nowhere-1250000000", params={name: ""}).is_error(404, "NoSuchBucket")


def test_policy(double, bucket):
    assert double.ask("GET", bucket, params={"policy": ""}).is_error(404, "NoSuchBucketPolicy")
    code = "InvalidPolicyDocument" if double.vendor == "oss" else "MalformedPolicy"
    assert send(double, "PUT", bucket, "<Policy/>", policy="").is_error(400, code)
    policy = json.dumps({"Version": "1", "Statement": []})
    assert send(double, "PUT", bucket, policy, policy="").status == (200 if double.vendor == "oss" else 204)
    got = double.ask("GET", bucket, params={"policy": ""})
    assert got.body.decode() == policy and got.headers["content-type"] == "application/json"
    assert double.ask("DELETE", bucket, params={"policy": ""}).status == 204
    assert double.ask("GET", bucket, params={"policy": ""}).status == 404


def test_logging(double, bucket):
    assert names(double.ask("GET", bucket, params={"logging": ""})) == []
    nowhere = send(double, "PUT", bucket, LOGGING.format("nowhere-1250000000"), logging="")
    assert nowhere.is_error(400, "InvalidTargetBucketForLogging")
    assert send(double, "PUT", bucket, LOGGING.format(bucket), logging="").status == 200
    assert double.ask("GET", bucket, params={"logging": ""}).text("LoggingEnabled", "TargetBucket") == bucket
    if double.vendor == "oss":
        assert double.ask("DELETE", bucket, params={"logging": ""}).status == 204
    else:
        assert double.ask("DELETE", bucket, params={"logging": ""}).is_error(405, "MethodNotAllowed")
        assert send(double, "PUT", bucket, "<BucketLoggingStatus/>", logging="").status == 200
    assert names(double.ask("GET", bucket, params={"logging": ""})) == []


def test_default_encryption(double, bucket):
    header = double.prefix + "server-side-encryption"
    assert header not in double.ask("PUT", bucket, "k", body=b"x").headers
    document = ENCRYPTION
    if double.vendor == "oss":
        document = document.replace("Configuration>", "Rule>").replace("<Rule>", "").replace("</Rule>", "")
    if double.vendor == "cos":
        document = document.replace("AES256", "KMS")
    assert send(double, "PUT", bucket, document, encryption="").status == 200
    double.ask("PUT", bucket, "k", body=b"x")
    assert double.ask("HEAD", bucket, "k").headers[header] == ("cos/kms" if double.vendor == "cos" else "AES256")


def inventory(double, identity):
    target = {"cos": "<COSBucketDestination><Bucket>qcs::cos:ap-guangzhou::b-1</Bucket><Format>CSV</Format>"
              "</COSBucketDestination>",
              "oss": "<OSSBucketDestination><Format>CSV</Format><AccountId>1</AccountId><RoleArn>acs:ram::1:role/r</RoleArn>"
              "<Bucket>acs:oss:::b</Bucket></OSSBucketDestination>",
              "jdcloud": "<S3BucketDestination><Bucket>arn:aws:s3:::b</Bucket><Format>CSV</Format></S3BucketDestination>"}
    return (f"<InventoryConfiguration><Id>{identity}</Id><IsEnabled>true</IsEnabled><Destination>{target[double.vendor]}"
            "</Destination><Schedule><Frequency>Daily</Frequency></Schedule><IncludedObjectVersions>All</IncludedObjectVersions>"
            "</InventoryConfiguration>")


def test_inventories(double, bucket):
    name = "inventoryId" if double.vendor == "oss" else "id"
    code = by_vendor(double, cos="InventoryConfigurationNotFoundError", oss="NoSuchInventory", jdcloud="NoSuchConfiguration")
    assert double.ask("GET", bucket, params={"inventory": "", name: "none"}).is_error(404, code)
    other = send(double, "PUT", bucket, inventory(double, "one"), inventory="", **{name: "other"})
    assert other.is_error(400, "IdMismatch" if double.vendor == "jdcloud" else "InvalidArgument")
    for number in range(101):
        one = f"{number:03}"
        assert send(double, "PUT", bucket, inventory(double, one), inventory="", **{name: one}).status == 200
    assert double.ask("GET", bucket, params={"inventory": "", name: "007"}).text("Id") == "007"
    page = double.ask("GET", bucket, params={"inventory": ""})
    assert len(texts(page, "InventoryConfiguration", "Id")) == 100 and page.text("IsTruncated") == "true"
    more = {"inventory": "", "continuation-token": page.text("NextContinuationToken")}
    assert texts(double.ask("GET", bucket, params=more), "InventoryConfiguration", "Id") == ["100"]
    assert double.ask("DELETE", bucket, params={"inventory": "", name: "007"}).status == 204
    assert double.ask("GET", bucket, params={"inventory": "", name: "007"}).is_error(404, code)


def test_public_access_block(double, bucket):
    only(double, "oss", "jdcloud")
    child = "BlockPublicAccess" if double.vendor == "oss" else "BlockPublicAcls"
    document = f"<PublicAccessBlockConfiguration><{child}>true</{child}></PublicAccessBlockConfiguration>"
    public = {"params": {"acl": ""}, "headers": {"~acl": "public-read"}}
    assert double.ask("PUT", bucket, **public).status == 200
    assert send(double, "PUT", bucket, document, publicAccessBlock="").status == 200
    assert double.ask("PUT", bucket, **public).is_error(403, "AccessDenied")
    double.ask("DELETE", bucket, params={"publicAccessBlock": ""})
    assert double.ask("PUT", bucket, **public).status == 200


def test_bucket_info_and_stat(double, bucket):
    only(double, "oss")
    double.ask("PUT", bucket, "k", body=b"12345")
    double.ask("PUT", bucket, "i", body=b"12", headers={"~storage-class": "IA"})
    info = double.ask("GET", bucket, params={"bucketInfo": ""})
    assert info.text("Bucket", "Name") == bucket and "Versioning" not in names(info, "Bucket")
    assert info.text("Bucket", "ServerSideEncryptionRule", "SSEAlgorithm") == "None"
    versioning(double, bucket, "Enabled")
    double.ask("PUT", bucket, params={"acl": ""}, headers={"~acl": "public-read"})
    info = double.ask("GET", bucket, params={"bucketInfo": ""})
    assert info.text("Bucket", "Versioning") == "Enabled"
    assert info.text("Bucket", "AccessControlList", "Grant") == "public-read"
    stat = double.ask("GET", bucket, params={"stat": ""})
    assert (stat.text("Storage"), stat.text("ObjectCount"), stat.text("InfrequentAccessStorage")) == ("7", "2", "2")
    meta = double.ask("HEAD", bucket, "k", {"objectMeta": ""})
    assert meta.headers["content-length"] == "5" and "content-type" not in meta.headers
    assert double.ask("HEAD", bucket, "none", {"objectMeta": ""}).status == 404


# -- restores, appends, locks


def restore(double, bucket, tier="Standard", days=2):
    parent = by_vendor(double, cos="CASJobParameters", oss="JobParameters", jdcloud="GlacierJobParameters")
    document = f"<RestoreRequest><Days>{days}</Days><{parent}><Tier>{tier}</Tier></{parent}></RestoreRequest>"
    return send(double, "POST", bucket, document, "k", restore="")


def test_restores(double, bucket):
    double.ask("PUT", bucket, "k", body=b"x")
    assert restore(double, bucket).is_error(*by_vendor(
        double, cos=(405, "RestoreNonArchiveObject"), oss=(400, "OperationNotSupported"), jdcloud=(403, "InvalidObjectState")))
    double.ask("PUT", bucket, "k", body=b"x", headers={"~storage-class": ARCHIVE[double.vendor]})
    assert double.ask("GET", bucket, "k").is_error(403, "InvalidObjectState")
    assert double.copy(bucket, "k", "to").is_error(403, "InvalidObjectState")
    wrong = restore(double, bucket, tier="Slow")
    assert wrong.is_error(400, "InvalidArgument" if double.vendor == "oss" else "MalformedXML")
    foreign = send(double, "POST", bucket, "<RestoreRequest><Days>1</Days><Job/></RestoreRequest>", "k", restore="")
    assert foreign.is_error(400, "MalformedXML")
    header = double.prefix + "restore"
    assert header not in double.ask("HEAD", bucket, "k").headers
    assert restore(double, bucket).status == 202
    assert double.ask("HEAD", bucket, "k").headers[header] == 'ongoing-request="true"'
    assert restore(double, bucket).is_error(409, "RestoreAlreadyInProgress")
    assert double.ask("GET", bucket, "k").is_error(403, "InvalidObjectState")
    time.sleep(1.1)
    assert double.ask("HEAD", bucket, "k").headers[header].startswith('ongoing-request="false", expiry-date="')
    assert double.ask("GET", bucket, "k").body == b"x"
    assert restore(double, bucket).status == (202 if double.vendor == "cos" else 200)
    if double.vendor == "oss":
        double.ask("PUT", bucket, "k", body=b"x", headers={"~storage-class": "Archive"})
        assert restore(double, bucket).is_error(400, "MalformedXML")
        assert double.ask("POST", bucket, "k", {"restore": ""}).status == 202


def test_appends(double, bucket):
    if double.vendor == "jdcloud":
        assert double.ask("POST", bucket, "k", {"append": "", "position": "0"}, body=b"x").is_error(501, "NotImplemented")
        return
    append = {"append": ""}
    code = by_vendor(double, cos="InvalidArgument", oss="MissingArgument")
    assert double.ask("POST", bucket, "k", append, body=b"x").is_error(400, code)
    one = double.ask("POST", bucket, "k", {**append, "position": "0"}, {"~meta-a": "1"}, b"12345")
    assert one.status == 200 and one.headers[double.prefix + "next-append-position"] == "5"
    wrong = double.ask("POST", bucket, "k", {**append, "position": "4"}, body=b"6789")
    assert wrong.is_error(409, by_vendor(double, cos="AppendPositionErr", oss="PositionNotEqualToLength"))
    assert wrong.headers[double.prefix + "next-append-position"] == "5"
    two = double.ask("POST", bucket, "k", {**append, "position": "5"}, body=b"6789")
    assert two.headers[double.prefix + "hash-crc64ecma"] == "11051210869376104954"
    got = double.ask("GET", bucket, "k")
    assert got.body == b"123456789" and got.headers[double.prefix + "meta-a"] == "1"
    assert got.headers[double.prefix + "hash-crc64ecma"] == "11051210869376104954"
    assert got.headers["x-oss-object-type" if double.vendor == "oss" else "x-cos-object-type"].lower() == "appendable"
    if double.vendor == "cos":
        assert two.headers["x-cos-content-sha1"] == hashlib.md5(b"6789").hexdigest()
    double.ask("PUT", bucket, "normal", body=b"x")
    assert double.ask("POST", bucket, "normal", {**append, "position": "1"}, body=b"x").is_error(409, "ObjectNotAppendable")


RETENTION = "<Retention><Mode>COMPLIANCE</Mode><RetainUntilDate>{}</RetainUntilDate></Retention>"


def test_locks(double, bucket):
    double.ask("PUT", bucket, "k", body=b"x")
    document = RETENTION.format("2099-01-01T00:00:00.000Z")
    if double.vendor == "jdcloud":
        assert send(double, "PUT", bucket, document, "k", retention="").is_error(501, "NotImplemented")
        return
    name, root = by_vendor(double, cos=("object-lock", "ObjectLock"), oss=("objectWorm", "ObjectWorm"))
    assert send(double, "PUT", bucket, document, "k", retention="").status in (400, 404)
    enabled = f"<{root}Configuration><{root}Enabled>Enabled</{root}Enabled></{root}Configuration>"
    assert send(double, "PUT", bucket, enabled, **{name: ""}).status == 200
    assert double.ask("GET", bucket, "k", {"retention": ""}).is_error(404, "NoSuchObjectLockConfiguration")
    past = send(double, "PUT", bucket, RETENTION.format("2001-01-01T00:00:00.000Z"), "k", retention="")
    assert past.is_error(*by_vendor(double, cos=(409, "InvalidLockedTime"), oss=(400, "InvalidArgument")))
    assert send(double, "PUT", bucket, document.replace("COMPLIANCE", "SOFT"), "k", retention="").is_error(400, "MalformedXML")
    assert send(double, "PUT", bucket, document, "k", retention="").status == 200
    assert double.ask("GET", bucket, "k", {"retention": ""}).text("RetainUntilDate") == "2099-01-01T00:00:00.000Z"
    locked = by_vendor(double, cos="ObjectLocked", oss="FileImmutable")
    assert double.ask("PUT", bucket, "k", body=b"y").is_error(409, locked)
    assert double.ask("DELETE", bucket, "k").is_error(409, locked)
    many = send(double, "POST", bucket, "<Delete><Object><Key>k</Key></Object></Delete>", delete="")
    assert texts(many, "Deleted", "Key") == [] and (b"ObjectLocked" in many.body) == (double.vendor == "cos")
    assert double.ask("GET", bucket, "k").body == b"x"
    if double.vendor == "oss":
        double.ask("PUT", bucket, "held", body=b"x")
        hold = "<LegalHold><Status>{}</Status></LegalHold>"
        assert double.ask("GET", bucket, "held", {"legalHold": ""}).text("Status") == "OFF"
        assert send(double, "PUT", bucket, hold.format("ON"), "held", legalHold="").status == 200
        assert double.ask("DELETE", bucket, "held").is_error(409, "FileImmutable")
        assert send(double, "PUT", bucket, hold.format("OFF"), "held", legalHold="").status == 200
        own = {"~object-worm-mode": "GOVERNANCE", "~object-worm-retain-until-date": "2099-01-01T00:00:00.000Z"}
        assert double.ask("PUT", bucket, "own", body=b"x", headers={"~object-worm-mode": "GOVERNANCE"}).status == 400
        assert double.ask("PUT", bucket, "own", body=b"x", headers=own).status == 200
        assert double.ask("HEAD", bucket, "own").headers["x-oss-object-worm-mode"] == "GOVERNANCE"
        assert double.ask("DELETE", bucket, "own").is_error(409, "FileImmutable")
        assert double.ask("DELETE", bucket, "own", headers={"~bypass-governance-retention": "true"}).status == 204
        assert double.ask("DELETE", bucket, "held").status == 204


def test_retention_policy_of_a_bucket(double, bucket):
    only(double, "oss")

    def worm(method, root="", days=1, **params):
        document = f"<{root}WormConfiguration><RetentionPeriodInDays>{days}</RetentionPeriodInDays></{root}WormConfiguration>"
        return send(double, method, bucket, document if root else "", **params)

    double.ask("PUT", bucket, "k", body=b"x")
    assert worm("GET", worm="").is_error(404, "NoSuchWORMConfiguration")
    assert worm("POST", "Extend", worm="").is_error(400, "MalformedXML")
    first = worm("POST", "Initiate", worm="").headers["x-oss-worm-id"]
    assert worm("POST", "Initiate", worm="").is_error(409, "WORMConfigurationAlreadyExists")
    assert double.ask("DELETE", bucket, "k").is_error(409, "FileImmutable")
    assert worm("DELETE", worm="").status == 204 and double.ask("PUT", bucket, "k", body=b"y").status == 200
    assert worm("POST", wormId=first).is_error(404, "NoSuchWORMConfiguration")
    one = worm("POST", "Initiate", worm="").headers["x-oss-worm-id"]
    assert worm("POST", "Extend", 2, wormId=one, wormExtend="").is_error(400, "InvalidWORMConfiguration")
    assert worm("POST", wormId=one).status == 200
    assert worm("DELETE", worm="").is_error(403, "WORMConfigurationLocked")
    assert worm("POST", "Extend", 2, wormId=one, wormExtend="").status == 200
    result = worm("GET", worm="")
    assert (result.text("State"), result.text("RetentionPeriodInDays"), result.text("WormId")) == ("Locked", "2", one)
    assert double.ask("PUT", bucket, "k", body=b"z").is_error(409, "FileImmutable")


# -- checksums


def test_checksums(double, bucket):
    """The CRC of the object, and digests of requests."""
    header = double.prefix + "hash-crc64ecma"
    upload = double.ask("POST", bucket, "m", {"uploads": ""}).text("UploadId")
    etag = double.ask("PUT", bucket, "m", {"partNumber": "1", "uploadId": upload}, body=b"123456789").headers["etag"]
    parts = double.ask("GET", bucket, "m", {"uploadId": upload})
    assert ("HashCrc64ecma" in names(parts, "Part")) == (double.vendor == "oss")
    rows = f"<Part><PartNumber>1</PartNumber><ETag>{etag}</ETag></Part>"
    done = send(double, "POST", bucket, f"<CompleteMultipartUpload>{rows}</CompleteMultipartUpload>", "m", uploadId=upload)
    for response in (done, double.ask("HEAD", bucket, "m")):
        assert response.headers.get(header) == (None if double.vendor == "jdcloud" else "11051210869376104954")
    assert double.ask("PUT", bucket, "k", headers={"content-md5": "short"}, body=b"x").is_error(400, "InvalidDigest")
    if double.vendor == "oss":
        assert double.ask("PUT", bucket, "k", headers={"~hash-crc64ecma": "1"}, body=b"x").is_error(400, "InvalidCRC64")
        right = {"~hash-crc64ecma": "11051210869376104954"}
        assert double.ask("PUT", bucket, "k", headers=right, body=b"123456789").status == 200


def test_referers_are_deleted_by_an_empty_list(double, bucket):
    only(double, "cos")
    document = SETTINGS[[row[1] for row in SETTINGS].index("referer")][2]
    assert send(double, "PUT", bucket, document, referer="").status == 200
    assert send(double, "PUT", bucket, "<RefererConfiguration/>", referer="").status == 200
    assert double.ask("GET", bucket, params={"referer": ""}).is_error(404, "NoSuchRefererConfiguration")


# -- CORS


def test_cors(double, bucket):
    def options(**headers):
        head = {"access-control-request-method": "PUT", "origin": "http://a.example", "authorization": ""}
        head |= {name.replace("_", "-"): value for name, value in headers.items()}
        return double.ask("OPTIONS", bucket, "k", after=head)

    assert options().is_error(403, "AccessForbidden")
    assert send(double, "PUT", bucket, CORS, cors="").status == 200
    done = options(access_control_request_headers="X-A, x-b")
    assert (done.status, done.headers["access-control-allow-origin"]) == (200, "http://a.example")
    assert done.headers["access-control-allow-methods"] == "PUT, GET" and done.headers["access-control-max-age"] == "30"
    assert done.headers["access-control-allow-headers"] == "x-a, x-b"
    assert done.headers.get("access-control-allow-credentials") == (None if double.vendor == "oss" else "true")
    assert options(access_control_request_headers="content-type").is_error(403, "AccessForbidden")
    assert options(access_control_request_method="DELETE").is_error(403, "AccessForbidden")
    assert options(origin="http://b.example").is_error(403, "AccessForbidden")
    assert options(origin="").is_error(400, "BadRequest")
    double.ask("PUT", bucket, "k", body=b"x")
    one, other = (double.ask("GET", bucket, "k", headers={"origin": f"http://{name}.example"}).headers for name in "ab")
    assert one["access-control-expose-headers"] == "ETag" and "access-control-allow-origin" not in other
    many = CORS.replace("</CORSConfiguration>", "") + CORS.partition("<CORSConfiguration>")[2].replace(
        "</CORSConfiguration>", "") * 100 + "</CORSConfiguration>"
    code = "CORSRuleBeyondLimit" if double.vendor == "oss" else "InvalidRequest"
    assert send(double, "PUT", bucket, many, cors="").is_error(400, code)
