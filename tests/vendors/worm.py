"""Retention policies of OSS buckets: a policy must be locked within a day, and can then only be extended."""

import secrets
import time
from dataclasses import dataclass, field

from . import documents
from .documents import element, only
from .server import Response, VendorError
from .text import iso

DAY = 86400
INITIATE = documents.shape("InitiateWormConfiguration(RetentionPeriodInDays=#)")
EXTEND = documents.shape("ExtendWormConfiguration(RetentionPeriodInDays=#)")


@dataclass
class Policy:
    days: int
    identity: str = field(default_factory=lambda: secrets.token_hex(16).upper())
    state: str = "InProgress"  # Or Locked.
    created: int = field(default_factory=lambda: int(time.time()))

    def holds(self):
        """Returns the policy. A policy that is not locked within a day is deleted."""
        return self.state == "Locked" or time.time() < self.created + DAY


class Worm:
    def worm_of(self, request, identity=None):
        policy = self.bucket(request).worm
        if not policy or not policy.holds() or identity not in (None, policy.identity):
            raise VendorError(404, "NoSuchWORMConfiguration", "The WORM Configuration does not exist.")
        return policy

    def worm_days(self, request, shape):
        days = int(only(self.body_of(request, shape), "RetentionPeriodInDays"))
        if days < 1:
            raise VendorError(400, "InvalidWORMConfiguration", "RetentionPeriodInDays")
        return days

    def op_worm(self, request):
        policy = self.worm_of(request)
        result = {"WormId": policy.identity, "State": policy.state, "RetentionPeriodInDays": policy.days,
                  "CreationDate": iso(policy.created), "ExpirationDate": iso(policy.created + DAY)}
        return self.document("WormConfiguration", "".join(element(name, value) for name, value in result.items()))

    def op_put_worm(self, request):
        bucket = self.bucket(request)
        days = self.worm_days(request, INITIATE)
        if bucket.worm and bucket.worm.holds():
            raise VendorError(409, "WORMConfigurationAlreadyExists")
        bucket.worm = Policy(days)
        return Response(200, {"x-oss-worm-id": bucket.worm.identity})

    def op_delete_worm(self, request):
        if self.worm_of(request).state == "Locked":
            raise VendorError(403, "WORMConfigurationLocked")
        self.bucket(request).worm = None
        return Response(204)

    def op_lock_worm(self, request):
        policy = self.worm_of(request, request.param("wormId"))
        if not request.has("wormExtend"):
            policy.state = "Locked"
            return Response(200)
        days = self.worm_days(request, EXTEND)
        if policy.state != "Locked" or days < policy.days:
            raise VendorError(400, "InvalidWORMConfiguration", "only a locked policy can become longer")
        policy.days = days
        return Response(200)

    def check_locked(self, request, bucket, key, version=None):
        super().check_locked(request, bucket, key, version)
        stored = bucket.current(key, version)
        lost = stored and (version or bucket.versioning != "Enabled")
        if lost and bucket.worm and bucket.worm.holds() and time.time() < stored.modified + bucket.worm.days * DAY:
            raise VendorError(*self.locked)
