"""What the wrappers of all SDKs have in common."""

from email.utils import formatdate


class CallError(Exception):
    """A call that failed with an error of the service."""

    def __init__(self, status, code="", message=""):
        super().__init__(f"{status} {code} {message}")
        self.status, self.code = int(status or 0), code


def http_date(at):
    return formatdate(at, usegmt=True)


#: The names of copy conditions in these suites.
CONDITIONS = ("if_match", "if_none_match", "if_modified_since", "if_unmodified_since")


#: The group of all users in a grant of S3 and of COS.
_EVERYBODY = ("http://acs.amazonaws.com/groups/global/AllUsers", "http://cam.qcloud.com/groups/global/AllUsers")


def canned_acl(grants):
    """Returns the canned ACL for grants [(grantee, permission)]; a grantee is an ID or the URI of a group."""
    everybody = sorted(word for who, word in grants if who in _EVERYBODY)
    others = [(who, word) for who, word in grants if who not in _EVERYBODY and word != "FULL_CONTROL"]
    assert not others, f"grants to others: {grants}"
    return {(): "private", ("READ",): "public-read", ("READ", "WRITE"): "public-read-write"}.get(tuple(everybody), str(grants))
