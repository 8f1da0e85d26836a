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
