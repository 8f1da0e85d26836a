"""What every client can do, whatever SDK it is."""

from email.utils import formatdate


class CallError(Exception):
    """A call that the service refused."""

    def __init__(self, status, code="", message=""):
        super().__init__(f"{status} {code} {message}")
        self.status, self.code = int(status or 0), code


def http_date(at):
    return formatdate(at, usegmt=True)


#: How conditions are called in copies, by this suite.
CONDITIONS = ("if_match", "if_none_match", "if_modified_since", "if_unmodified_since")


#: A group of everybody, as S3 and COS name it in a grant.
_EVERYBODY = ("http://acs.amazonaws.com/groups/global/AllUsers", "http://cam.qcloud.com/groups/global/AllUsers")


def canned(grants):
    """The canned word that grants come to: [(who, permission)], who being an id or the URI of a group."""
    everybody = sorted(word for who, word in grants if who in _EVERYBODY)
    others = [(who, word) for who, word in grants if who not in _EVERYBODY and word != "FULL_CONTROL"]
    assert not others, f"grants to others: {grants}"
    return {(): "private", ("READ",): "public-read", ("READ", "WRITE"): "public-read-write"}.get(tuple(everybody), str(grants))
