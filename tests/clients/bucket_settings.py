"""Bucket settings with unmodified SDKs: each target stores a caller's setting, or the proxy rejects it by name. A setting is
read before it is set, set, read back, deleted, and read again. The expectations are from the vendors' documents:
TARGET_SETTINGS and CALLER_SETTINGS list the settings of each dialect, and SAME_FAMILY_ONLY those with a vendor's own values.
Prints a table. The last line has the counts."""

import argparse
import json
import sys
import traceback
import uuid
from copy import deepcopy

import oss2
from oss2 import models

import cos_clients
import node_client
import oss_clients
import s3_clients
import servers
from api import CallError
from run import TARGETS, parse_names, start

#: The pairs of client and server that work without the proxy.
DIRECT_PAIRS = {("boto3", "seaweedfs"), ("cos-python", "cos"), ("cos-node", "cos"), ("oss2", "oss"), ("ali-oss", "oss")}
FAMILY = {"demo": "s3", "seaweedfs": "s3", "jdcloud": "s3", "s3": "s3", "cos": "cos", "oss": "oss"}

COMMON_SETTINGS = {"versioning", "cors", "lifecycle", "tagging", "website", "logging", "encryption"}
#: Settings with values, accounts or names of one vendor.
SAME_FAMILY_ONLY = {"policy", "inventory", "referer"}

#: From the API references of Amazon S3, COS and OSS; JD Cloud documents no more than its double has. The demo has the
#: settings of S3 except policies, because it does not enforce them.
TARGET_SETTINGS = {
    "s3": COMMON_SETTINGS | {"public access", "payment", "acceleration", "policy", "inventory", "metrics", "tiering",
                             "ownership"},
    "cos": COMMON_SETTINGS | {"acceleration", "policy", "inventory", "referer"},
    "oss": COMMON_SETTINGS | {"public access", "payment", "acceleration", "policy", "inventory", "referer", "monitor", "archive",
                        "group", "stat"},
    "jdcloud": COMMON_SETTINGS | {"public access", "policy", "inventory"},
}
TARGET_SETTINGS["demo"] = TARGET_SETTINGS["s3"] - {"policy"}
#: The settings that SeaweedFS stores, as `--direct` verifies.
TARGET_SETTINGS["seaweedfs"] = {"versioning", "cors", "lifecycle", "tagging", "encryption", "policy", "ownership"}
#: JD Cloud's callers use the SDKs of S3.
CALLER_SETTINGS = {**TARGET_SETTINGS, "jdcloud": TARGET_SETTINGS["s3"]}


class Setting:
    """The calls of one SDK that put, get and delete a setting (None if the vendor has no such call), the value to put, and the
    value or error code of a get before it is set. `list_ids` lists the IDs of settings that a bucket can have several of."""

    def __init__(self, put, get, delete, wanted, absent, list_ids=None):
        self.put, self.get, self.delete, self.wanted, self.absent, self.list_ids = put, get, delete, wanted, absent, list_ids


# ---- S3

_RULE = {"AllowedMethods": ["GET", "PUT"], "AllowedOrigins": ["https://app.example"], "AllowedHeaders": ["*"],
         "ExposeHeaders": ["ETag"], "MaxAgeSeconds": 60}
_ALL_BLOCKS = {"BlockPublicAcls": True, "IgnorePublicAcls": True, "BlockPublicPolicy": True, "RestrictPublicBuckets": True}


def of_s3(bucket):
    policy = {"Version": "2012-10-17", "Statement": [{"Sid": "read", "Effect": "Allow", "Principal": "*",
                                                      "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/public/*"}]}
    inventory = {"Destination": {"S3BucketDestination": {"Bucket": "arn:aws:s3:::lists", "Format": "CSV"}}, "IsEnabled": True,
                 "Id": "one", "IncludedObjectVersions": "All", "Schedule": {"Frequency": "Daily"}}
    tiering = {"Id": "one", "Status": "Enabled", "Filter": {"Prefix": "old/"},
               "Tierings": [{"Days": 90, "AccessTier": "ARCHIVE_ACCESS"}]}
    none = "NoSuchConfiguration"
    rows = {
        # name: (call, argument, value, value or error code before it is set, whether it can be deleted, other arguments)
        "versioning": ("bucket_versioning", "VersioningConfiguration", {"Status": "Enabled"}, {}, False),
        "cors": ("bucket_cors", "CORSConfiguration", {"CORSRules": [_RULE]}, "NoSuchCORSConfiguration", True),
        "lifecycle": ("bucket_lifecycle_configuration", "LifecycleConfiguration", {"Rules": [
            {"ID": "logs", "Status": "Enabled", "Filter": {"Prefix": "logs/"}, "Expiration": {"Days": 30}}]},
            "NoSuchLifecycleConfiguration", "delete_bucket_lifecycle"),
        "tagging": ("bucket_tagging", "Tagging", {"TagSet": [{"Key": "team", "Value": "one"}]}, "NoSuchTagSet", True),
        "website": ("bucket_website", "WebsiteConfiguration", {"IndexDocument": {"Suffix": "index.html"},
                                                               "ErrorDocument": {"Key": "404.html"}},
                    "NoSuchWebsiteConfiguration", True),
        "logging": ("bucket_logging", "BucketLoggingStatus", {"LoggingEnabled": {"TargetBucket": bucket, "TargetPrefix": "log/"}},
                    {}, False),
        "encryption": ("bucket_encryption", "ServerSideEncryptionConfiguration", {"Rules": [
            {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]},
            "ServerSideEncryptionConfigurationNotFoundError", True),
        "public access": ("public_access_block", "PublicAccessBlockConfiguration", _ALL_BLOCKS, "NoSuchPublicAccessBlockConfiguration",
                          True),
        "payment": ("bucket_request_payment", "RequestPaymentConfiguration", {"Payer": "Requester"}, {"Payer": "BucketOwner"},
                    False),
        "acceleration": ("bucket_accelerate_configuration", "AccelerateConfiguration", {"Status": "Enabled"}, {}, False),
        "ownership": ("bucket_ownership_controls", "OwnershipControls", {"Rules": [{"ObjectOwnership": "ObjectWriter"}]},
                      "OwnershipControlsNotFoundError", True),
        "policy": ("bucket_policy", "Policy", policy, "NoSuchBucketPolicy", True),
        "inventory": ("bucket_inventory_configuration", "InventoryConfiguration", inventory, none, True, {"Id": "one"}),
        "metrics": ("bucket_metrics_configuration", "MetricsConfiguration", {"Id": "one", "Filter": {"Prefix": "a/"}}, none, True,
                    {"Id": "one"}),
        "tiering": ("bucket_intelligent_tiering_configuration", "IntelligentTieringConfiguration", tiering, none, True,
                    {"Id": "one"}),
    }

    def setting(call, argument, wanted, absent, deletes, more=None):
        given = {"Bucket": bucket, **(more or {})}
        value = json.dumps(wanted) if argument == "Policy" else wanted
        delete = f"delete_{call}" if deletes is True else deletes

        def get(client):
            result = {name: value for name, value in client.call(f"get_{call}", **given).items() if name != "ResponseMetadata"}
            result.pop("TransitionDefaultMinimumObjectSize", None)
            return json.loads(result["Policy"]) if "Policy" in result else result.get(argument, result)

        def list_ids(client):
            return [row["Id"] for row in client.call(f"list_{call}s", Bucket=bucket).get(f"{argument}List", [])]

        return Setting(lambda client: client.call(f"put_{call}", **given, **{argument: value}), get,
                       delete and (lambda client: client.call(delete, **given)), wanted, absent, more and list_ids)

    return {name: setting(*row) for name, row in rows.items()}


# ---- COS

COS_INVENTORY = {"Destination": {"COSBucketDestination": {"AccountId": "100000000001", "Format": "CSV",
                                                          "Bucket": "qcs::cos:ap-guangzhou::lists-1250000000"}},
                 "IsEnabled": "true", "IncludedObjectVersions": "All", "Schedule": {"Frequency": "Daily"},
                 "OptionalFields": {"Field": ["Size"]}}


def cos_policy(bucket):
    return {"version": "2.0", "Statement": [{"Effect": "allow", "Principal": {"qcs": ["qcs::cam::anyone:anyone"]},
                                             "Action": ["name/cos:GetObject"],
                                             "Resource": [f"qcs::cos:ap-guangzhou:uid/1250000000:{bucket}/*"]}]}


def of_cos(bucket):
    rows = {
        "versioning": ("versioning", "Status", "Enabled", {}, False),
        "cors": ("cors", "CORSConfiguration", {"CORSRule": [
            {"AllowedOrigin": ["https://app.example"], "AllowedMethod": ["GET", "PUT"], "AllowedHeader": ["*"],
             "ExposeHeader": ["ETag"], "MaxAgeSeconds": "60"}]}, "NoSuchCORSConfiguration", True),
        "lifecycle": ("lifecycle", "LifecycleConfiguration", {"Rule": [
            {"ID": "logs", "Filter": {"Prefix": "logs/"}, "Status": "Enabled", "Expiration": {"Days": "30"}}]},
            "NoSuchLifecycleConfiguration", True),
        "tagging": ("tagging", "Tagging", {"TagSet": {"Tag": [{"Key": "team", "Value": "one"}]}}, "NoSuchTagSet", True),
        "website": ("website", "WebsiteConfiguration", {"IndexDocument": {"Suffix": "index.html"},
                                                        "ErrorDocument": {"Key": "404.html"}}, "NoSuchWebsiteConfiguration", True),
        "logging": ("logging", "BucketLoggingStatus", {"LoggingEnabled": {"TargetBucket": bucket, "TargetPrefix": "log/"}}, {},
                    False),
        "encryption": ("encryption", "ServerSideEncryptionConfiguration", {"Rule": [
            {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}, "NoSuchEncryptionConfiguration", True),
        "referer": ("referer", "RefererConfiguration", {"Status": "Enabled", "RefererType": "White-List", "DomainList": {
            "Domain": ["app.example"]}, "EmptyReferConfiguration": "Deny"}, "NoSuchRefererConfiguration", True),
        "policy": ("policy", "Policy", cos_policy(bucket), "NoSuchBucketPolicy", True),
        "inventory": ("inventory", "InventoryConfiguration", COS_INVENTORY, "InventoryConfigurationNotFoundError", True, {"Id": "one"}),
    }

    def setting(call, argument, wanted, absent, deletes, more=None):
        given = {"Bucket": bucket, **(more or {})}

        def get(client):
            result = client.call(f"get_bucket_{call}", **given)
            result = json.loads(result["Policy"]) if call == "policy" else result
            # The SDK returns an empty document as its root element without children.
            result = {name: value for name, value in result.items() if value is not None and name != "Id"}
            return result["Status"] if call == "versioning" and result else result

        def list_ids(client):
            result = client.call(f"list_bucket_{call}_configurations", Bucket=bucket)
            rows = result.get(argument, [])  # The SDK returns a single row without a list.
            return [row["Id"] for row in (rows if isinstance(rows, list) else [rows])]

        # The SDK adds the ID to its argument.
        return Setting(lambda client: client.call(f"put_bucket_{call}", **given, **{argument: deepcopy(wanted)}), get,
                       deletes and (lambda client: client.call(f"delete_bucket_{call}", **given)), wanted, absent,
                       more and list_ids)

    return {name: setting(*row) for name, row in rows.items()}


# ---- OSS

def to_plain(result):
    """Converts a model of oss2 to lists and dictionaries, without the fields of the response itself."""
    if isinstance(result, list):
        return [to_plain(row) for row in result]
    if hasattr(result, "__dict__"):
        names = {"status", "resp", "headers", "request_id", "versionid", "delete_marker", "etag", "server_crc", "client_crc"}
        keep = {name for name in vars(result) if isinstance(result, models.RequestResult) and name in names}
        return {name: to_plain(value) for name, value in vars(result).items() if name not in keep}
    return result


def oss_policy(bucket):
    return {"Version": "1", "Statement": [{"Effect": "Allow", "Principal": ["*"], "Action": ["oss:GetObject"],
                                           "Resource": [f"acs:oss:*:1:{bucket}/*"]}]}


def of_oss(bucket):
    policy = oss_policy(bucket)
    rule = models.CorsRule(["https://app.example"], ["GET", "PUT"], ["*"], ["ETag"], 60)
    life = models.LifecycleRule("logs", "logs/", status="Enabled", expiration=models.LifecycleExpiration(days=30))
    tags = models.Tagging(models.TaggingRule())
    tags.tag_set.add("team", "one")
    place = models.InventoryBucketDestination("1", "acs:ram::1:role/r", "lists", "CSV", prefix="p")
    inventory = models.InventoryConfiguration("one", True, "All", models.InventoryFilter("p"), models.InventoryDestination(place),
                                              models.InventorySchedule("Daily"), ["Size"])
    status = oss2.BUCKET_VERSIONING_ENABLE
    rows = {
        # name: (call, argument, part of the result to compare, its value, value or error code before it is set, whether it
        # can be deleted)
        "versioning": ("versioning", models.BucketVersioningConfig(status), lambda result: result.status, status, None, False),
        "cors": ("cors", models.BucketCors([rule]), lambda result: to_plain(result.rules), to_plain([rule]),
                 "NoSuchCORSConfiguration", True),
        "lifecycle": ("lifecycle", models.BucketLifecycle([life]),
                      lambda result: [(row.id, row.prefix, row.status, row.expiration.days) for row in result.rules],
                      [("logs", "logs/", "Enabled", 30)], "NoSuchLifecycle", True),
        "tagging": ("tagging", tags, lambda result: dict(result.tag_set.tagging_rule), {"team": "one"}, {}, True),
        "website": ("website", models.BucketWebsite("index.html", "404.html"),
                    lambda result: (result.index_file, result.error_file),
                    ("index.html", "404.html"), "NoSuchWebsiteConfiguration", True),
        "logging": ("logging", models.BucketLogging(bucket, "log/"), lambda result: (result.target_bucket, result.target_prefix),
                    (bucket, "log/"), ("", ""), True),
        "encryption": ("encryption", models.ServerSideEncryptionRule("AES256"), lambda result: result.sse_algorithm, "AES256",
                       "NoSuchServerSideEncryptionRule", True),
        "public access": ("public_access_block", True, lambda result: result.block_public_access, True, False, True),
        "payment": ("request_payment", "Requester", lambda result: result.payer, "Requester", "BucketOwner", False),
        "acceleration": ("transfer_acceleration", "true", lambda result: result.enabled, "true",
                         "NoSuchTransferAccelerationConfiguration", False),
        "referer": ("referer", models.BucketReferer(False, ["http://app.example"]),
                    lambda result: (result.allow_empty_referer, result.referers), (False, ["http://app.example"]), (True, []),
                    False),
        "policy": ("policy", json.dumps(policy), lambda result: json.loads(result.policy), policy, "NoSuchBucketPolicy", True),
        "inventory": ("inventory_configuration", inventory, lambda result: result.inventory_destination.bucket_destination.bucket,
                      "lists", "NoSuchInventory", True, ("one",)),
        "monitor": ("access_monitor", "Enabled", lambda result: result.access_monitor.status, "Enabled", "Disabled", False),
        "archive": ("archive_direct_read", True, lambda result: result.enabled, True, False, False),
        "group": ("resource_group", "rg-one", lambda result: result.resource_group_id, "rg-one", "rg-default", False),
    }

    def setting(call, value, seen, wanted, absent, deletes, names=()):
        def list_ids(client):
            return [row.inventory_id for row in client.call(bucket, f"list_bucket_{call}s").inventory_configurations]

        return Setting(lambda client: client.call(bucket, f"put_bucket_{call}", value),
                       lambda client: seen(client.call(bucket, f"get_bucket_{call}", *names)),
                       deletes and (lambda client: client.call(bucket, f"delete_bucket_{call}", *names)), wanted, absent,
                       names and list_ids)

    settings = {name: setting(*row) for name, row in rows.items()}
    # Read-only.
    settings["stat"] = Setting(None, lambda client: client.call(bucket, "get_bucket_stat").object_count, None, 0, 0)
    return settings


# ---- The SDKs of Node

def of_cos_node(bucket):
    inventory = {**COS_INVENTORY, "Id": "one", "OptionalFields": ["Size"]}
    rows = {
        # name: (call, argument, value, value before it is set: the SDK returns an empty list for some error codes)
        "versioning": ("Versioning", "VersioningConfiguration", {"Status": "Enabled"}, {}, False),
        "cors": ("Cors", "CORSRules", [{"AllowedOrigins": ["https://app.example"], "AllowedMethods": ["GET", "PUT"],
                                        "AllowedHeaders": ["*"], "ExposeHeaders": ["ETag"], "MaxAgeSeconds": "60"}], [], True),
        "lifecycle": ("Lifecycle", "Rules", [{"ID": "logs", "Filter": {"Prefix": "logs/"}, "Status": "Enabled",
                                              "Expiration": {"Days": "30"}}], [], True),
        "tagging": ("Tagging", "Tags", [{"Key": "team", "Value": "one"}], [], True),
        "website": ("Website", "WebsiteConfiguration", {"IndexDocument": {"Suffix": "index.html"},
                                                        "ErrorDocument": {"Key": "404.html"}}, {}, True),
        "logging": ("Logging", "BucketLoggingStatus", {"LoggingEnabled": {"TargetBucket": bucket, "TargetPrefix": "log/"}}, {}, False),
        "encryption": ("Encryption", "ServerSideEncryptionConfiguration", {"Rule": [
            {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}, {}, True),
        "referer": ("Referer", "RefererConfiguration", {"Status": "Enabled", "RefererType": "White-List", "DomainList": {
            "Domains": ["app.example"]}, "EmptyReferConfiguration": "Deny"}, {}, False),
        "acceleration": ("Accelerate", "AccelerateConfiguration", {"Status": "Enabled"}, {}, False),
        "policy": ("Policy", "Policy", cos_policy(bucket), "NoSuchBucketPolicy", True),
        "inventory": ("Inventory", "InventoryConfiguration", inventory, "InventoryConfigurationNotFoundError", True, {"Id": "one"}),
    }

    def setting(call, argument, wanted, absent, deletes, more=None):
        given = {"Bucket": bucket, **(more or {})}

        def run(client, verb, **arguments):
            return client.call("sdk", name=f"{verb}Bucket{call}", args={**given, **arguments})

        def get(client):
            result = run(client, "get").get(argument) or type(wanted)()
            if isinstance(result, dict) and isinstance(result.get("Rule"), dict):  # A single rule has no list.
                result["Rule"] = [result["Rule"]]
            return result

        return Setting(lambda client: run(client, "put", **{argument: wanted}), get,
                       deletes and (lambda client: run(client, "delete")), wanted, absent)

    return {name: setting(*row) for name, row in rows.items()}


def of_ali_oss(bucket):
    policy = oss_policy(bucket)
    inventory = {"id": "one", "isEnabled": True, "prefix": "p", "frequency": "Daily", "includedObjectVersions": "All",
                 "optionalFields": {"field": ["Size"]},
                 "OSSBucketDestination": {"format": "CSV", "accountId": "1", "rolename": "r", "bucket": "lists", "prefix": "p"}}
    cors = [{"allowedOrigin": "https://app.example", "allowedMethod": ["GET", "PUT"], "allowedHeader": "*",
             "exposeHeader": "ETag", "maxAgeSeconds": "60"}]
    rule = {"id": "logs", "prefix": "logs/", "status": "Enabled", "expiration": {"days": 30}}
    rows = {
        # name: (call, argument, part of the result to compare, its value, value or error code before it is set, whether it
        # can be deleted)
        "versioning": ("Versioning", ["Enabled"], lambda result: result.get("versionStatus"), "Enabled", None, False),
        "cors": ("CORS", [cors], lambda result: result["rules"], cors, "NoSuchCORSConfiguration", True),
        "lifecycle": ("Lifecycle", [[rule]], lambda result: [(row["id"], row["prefix"], row["status"], row["expiration"]["days"])
                                                             for row in result["rules"]],
                      [("logs", "logs/", "Enabled", "30")], "NoSuchLifecycle", True),
        "tagging": ("Tags", [{"team": "one"}], lambda result: result["tag"], {"team": "one"}, {}, True),
        "website": ("Website", [{"index": "index.html", "error": "404.html"}], lambda result: (result["index"], result["error"]),
                    ("index.html", "404.html"), "NoSuchWebsiteConfiguration", True),
        "logging": ("Logging", ["log/"], lambda result: (result["enable"], result["prefix"]), (True, "log/"), (False, None),
                    True),
        "encryption": ("Encryption", [{"SSEAlgorithm": "AES256"}], lambda result: result["encryption"]["SSEAlgorithm"], "AES256",
                       "NoSuchServerSideEncryptionRule", True),
        "payment": ("RequestPayment", ["Requester"], lambda result: result["payer"], "Requester", "BucketOwner", False),
        "referer": ("Referer", [False, ["http://app.example"]], lambda result: (result["allowEmpty"], result["referers"]),
                    (False, ["http://app.example"]), (True, None), False),
        "policy": ("Policy", [policy], lambda result: result["policy"], policy, None, True),
        "inventory": ("Inventory", [inventory], lambda result: result["inventory"]["OSSBucketDestination"]["bucket"], "lists",
                      "NoSuchInventory", True, ["one"]),
        "stat": ("Stat", None, lambda result: result["stat"]["ObjectCount"], None, "0", False),
    }

    def setting(call, values, seen, wanted, absent, deletes, names=()):
        def run(client, verb, *arguments):
            return client.call("sdk", name=f"{verb}Bucket{call}", args=[bucket, *arguments])

        return Setting(values and (lambda client: run(client, "put", *values)), lambda client: seen(run(client, "get", *names)),
                       deletes and (lambda client: run(client, "delete", *names)), wanted or absent, absent)

    return {name: setting(*row) for name, row in rows.items()}


#: name: (SDK, dialect, settings)
CALLERS = {
    "boto3": (s3_clients.Boto3, "s3", of_s3), "boto3-jd": (s3_clients.Boto3Jd, "jdcloud", of_s3),
    "cos-python": (cos_clients.CosPython, "cos", of_cos), "cos-node": (node_client.CosNode, "cos", of_cos_node),
    "oss2": (oss_clients.Oss2V4, "oss", of_oss), "ali-oss": (node_client.AliOssV4, "oss", of_ali_oss),
}


#: The initial value of settings that are never absent at a target.
_AES256 = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}, "BucketKeyEnabled": False}]}
_NO_BLOCKS = dict.fromkeys(_ALL_BLOCKS, False)
TARGET_DEFAULTS = {
    ("s3", "demo", "encryption"): _AES256, ("jdcloud", "demo", "encryption"): _AES256,
    ("cos", "demo", "encryption"): {"Rule": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]},
    ("oss", "demo", "encryption"): "AES256",
    ("s3", "oss", "public access"): _NO_BLOCKS, ("jdcloud", "oss", "public access"): _NO_BLOCKS,
    ("oss", "demo", "public access"): "NoSuchPublicAccessBlockConfiguration",
    ("oss", "jdcloud", "public access"): "NoSuchPublicAccessBlockConfiguration",
    # SeaweedFS returns acceleration as suspended and cannot enable it.
    ("s3", "seaweedfs", "acceleration"): {"Status": "Suspended"}, ("oss", "seaweedfs", "acceleration"): "false",
    ("jdcloud", "seaweedfs", "acceleration"): {"Status": "Suspended"},
    ("cos", "seaweedfs", "acceleration"): {"Status": "Suspended", "Type": "COS"},
    ("s3", "seaweedfs", "ownership"): {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
    ("jdcloud", "seaweedfs", "ownership"): {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
}


def holds(found, wanted):
    """Whether all values that were set are present; a target may add defaults."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        return all(holds(found.get(name), value) for name, value in wanted.items())
    if isinstance(wanted, list) and isinstance(found, list):
        return len(found) == len(wanted) and all(map(holds, found, wanted))
    return found == wanted


def is_supported(caller, target, name):
    """Whether a caller can put a setting at a target."""
    has = name in CALLER_SETTINGS[caller] and name in TARGET_SETTINGS[target]
    return has and (name not in SAME_FAMILY_ONLY or FAMILY[caller] == FAMILY[target])


def call_or_code(call, client):
    """Returns the result of a call, or its error code."""
    try:
        return call(client)
    except CallError as error:
        return error.code


def cell(client, caller, target, name, setting):
    if not is_supported(caller, target, name):
        if setting.put:
            code = call_or_code(setting.put, client)
            assert code == "NotImplemented", f"put: {code}"
        # The setting is absent, whether or not the target has such a setting.
        code = call_or_code(setting.get, client)
        assert code in ("NotImplemented", setting.absent, TARGET_DEFAULTS.get((caller, target, name))), f"get: {code}"
        return "rejected"
    absent = call_or_code(setting.get, client)
    assert absent in (setting.absent, TARGET_DEFAULTS.get((caller, target, name))), f"before: {absent}"
    if setting.put:
        setting.put(client)
    found = call_or_code(setting.get, client)
    assert holds(found, setting.wanted), f"set: {found}"
    if setting.list_ids:
        assert setting.list_ids(client) == ["one"], f"listed: {setting.list_ids(client)}"
    if setting.delete:
        setting.delete(client)
        after = call_or_code(setting.get, client)
        assert after == absent, f"after: {after}"
    return "stored"


def one_target(options, target, results):
    with servers.Servers() as running:
        front, key, secret = start(running, target, options)
        for caller, (make, dialect, settings) in CALLERS.items():
            if options.direct and (caller, target) not in DIRECT_PAIRS:
                continue
            client = make(front.port, key, secret)
            for name in settings(""):
                bucket = f"s{uuid.uuid4().hex[:10]}-1250000000"
                try:
                    client.create_bucket(bucket)
                    results[(caller, target, name)] = cell(client, dialect, target, name, settings(bucket)[name])
                except Exception as error:
                    results[(caller, target, name)] = "FAILED"
                    line = traceback.extract_tb(error.__traceback__)[-1].lineno
                    print(f"{caller} -> {target}: {name}: {type(error).__name__}: {str(error)[:500]} (line {line})", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default="target/debug/blobfish")
    parser.add_argument("--targets", default="all")
    parser.add_argument("--direct", action="store_true", help="send requests directly to the targets, without the proxy")
    options = parser.parse_args()
    targets, results = parse_names(parser, "target", options.targets, TARGETS), {}
    for target in targets:
        one_target(options, target, results)
    for caller in CALLERS:
        names = [name for name in CALLERS[caller][2]("")]
        print(f"\n{'from ' + caller:<16}" + "".join(f"{target:>11}" for target in targets))
        for name in names:
            print(f"{name:<16}" + "".join(f"{results.get((caller, target, name), '-'):>11}" for target in targets))
    failed = sum(result == "FAILED" for result in results.values())
    print(f"{len(results) - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
