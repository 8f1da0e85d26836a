"""The vendors' formats of times."""

import email.utils
import time
from datetime import datetime, timezone


def http_date(at):
    return email.utils.formatdate(at, usegmt=True)


def iso(at, end=".000Z"):
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + end


def timestamp(text):
    """Parses an HTTP date or an ISO 8601 date; returns None for other texts."""
    try:
        return email.utils.parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError):
        pass
    try:
        return datetime.fromisoformat(text).astimezone(timezone.utc).timestamp()
    except ValueError:
        return None
