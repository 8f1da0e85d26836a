"""Tests the doubles with the vendors' own SDKs, without the proxy, because a wrong double would make other tests useless."""

import http.client
import uuid
from types import SimpleNamespace

import cos_clients
import oss_clients
import pytest
import s3_clients
import scenarios
import servers

CLIENTS = {"cos": [cos_clients.CosPython], "oss": [oss_clients.Oss2V1, oss_clients.Oss2V4], "jdcloud": [s3_clients.Boto3JdDirect]}

#: JD Cloud has no conditions on copies, and neither has its double. The doubles reject presigned URLs.
WITHOUT = {"jdcloud": ["copy_conditions", "copy_pairs", "multipart"]}


@pytest.fixture(scope="module")
def doubles():
    with servers.Servers() as running:
        yield {vendor: running.double(vendor) for vendor in CLIENTS}


CASES = [(vendor, make, scenario) for vendor, makes in CLIENTS.items() for make in makes for scenario in scenarios.ALL
         if scenario is not scenarios.presigned_urls and scenario.__name__ not in WITHOUT.get(vendor, [])]


@pytest.mark.parametrize("vendor,make,scenario", CASES, ids=lambda value: getattr(value, "__name__", value))
def test_scenario(doubles, vendor, make, scenario):
    port = doubles[vendor].port
    client = make(port, servers.TARGET_KEY, servers.TARGET_SECRET)
    run = SimpleNamespace(target=vendor, port=port, long=False, slow_clock=False, again=lambda key=None, secret=None: make(
        port, key or servers.TARGET_KEY, secret or servers.TARGET_SECRET))
    bucket = f"d{uuid.uuid4().hex[:10]}-1250000000"
    client.create_bucket(bucket)
    scenario(client, bucket, run)


def test_jdcloud_has_no_conditions(doubles):
    client = s3_clients.Boto3JdDirect(doubles["jdcloud"].port, servers.TARGET_KEY, servers.TARGET_SECRET)
    client.create_bucket("conditions")
    client.put("conditions", "from", b"x")
    client.copy("conditions", "from", "conditions", "to")
    error = scenarios.expect_error(400, client.copy, "conditions", "from", "conditions", "to",
                                   conditions={"if_match": client.head("conditions", "from")["etag"]})
    assert error.code == "UnsupportedHeader"


@pytest.mark.parametrize("vendor", CLIENTS)
def test_foreign_headers_and_changed_requests_are_rejected(doubles, vendor):
    """A signed request is accepted; with a change, or with a header of another vendor, it is rejected."""
    client = CLIENTS[vendor][0](doubles[vendor].port, servers.TARGET_KEY, servers.TARGET_SECRET)
    bucket = f"f{vendor}-1250000000"
    client.create_bucket(bucket)
    client.put(bucket, "k", b"x")
    doubles[vendor].ask("POST", "/reset", {})
    client.head(bucket, "k")
    [seen] = doubles[vendor].ask("GET", "/requests")
    assert seen["verified"] and seen["status"] == 200

    def again(path="/k", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", doubles[vendor].port)
        connection.putrequest("HEAD", path, skip_host=True, skip_accept_encoding=True)
        for name, value in {**seen["headers"], **headers}.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        return connection.getresponse().status

    assert again() == 200
    assert again("/other") == 403
    own = {"cos": "x_cos_meta_a", "oss": "x_oss_meta_a", "jdcloud": "x_amz_meta_a"}[vendor]
    assert again(**{own: "1"}) == 403
    foreign = {"cos": "x_amz_acl", "oss": "x_cos_acl", "jdcloud": "x_oss_object_acl"}[vendor]
    assert again(**{foreign: "private"}) == 400
