"""Form uploads: fields, policy and response."""

import base64
import json
import re
import time
from dataclasses import replace
from urllib.parse import quote, urlencode

from . import documents
from .documents import element
from .extras import TAGGING
from .server import Response, VendorError
from .store import Object, md5
from .text import timestamp

#: Fields that control the form upload, and are not headers of the object.
CONTROL = ("key", "policy", "file", "bucket", "success_action_status", "success_action_redirect", "redirect", "submit")


class Forms:
    signature_fields = ()  # In lower case.
    uncovered = ()  # Fields that need no condition.
    covers_all = False  # Whether every field must have a condition.
    acl_field = "acl"
    bad_files = "IncorrectNumberOfFilesInPostRequest"
    missing_key = "UserKeyMustBeSpecified"
    bad_form_type = (400, "RequestIsNotMultiPartContent")
    post_order = ("Location", "Bucket", "Key", "ETag")

    def is_form(self, request):
        return request.method == "POST" and bool(request.bucket) and not request.key and not request.query

    def op_form(self, request):
        bucket = self.bucket(request)
        fields, data, filename = self.form_fields(request)
        if not fields.get("key"):
            raise VendorError(400, self.missing_key, "Bucket POST must contain a field named 'key'.")
        fields["key"] = fields["key"].replace("${filename}", filename)
        if "policy" in fields or any(name in fields for name in self.signature_fields):
            self.check_form(request, fields)
            self.check_policy(request, fields, len(data))
        else:
            self.check_open(request, "put")
        made = self.form_object(replace(request, key=fields["key"], headers=self.form_headers(fields), body=data), fields)
        bucket.put(fields["key"], made)
        return self.form_answer(request, fields, made)

    def form_object(self, request, fields):
        """Creates the object as a PUT with these headers would."""
        self.reject_foreign(request)
        self.check_md5(request)
        self.check_overwrite(request, self.bucket(request))
        made = self.describe_object(request, Object(request.body, md5(request.body)))
        made.tags = self.header_tags(request)
        if "tagging" in fields:
            try:
                pairs = self.pairs(documents.read(fields["tagging"].encode(), TAGGING))
            except documents.Malformed as error:
                raise VendorError(400, "MalformedXML", str(error)) from None
            self.check_tags(pairs, self.object_tags)
            made.tags = urlencode(pairs, quote_via=quote)
        return made

    def form_headers(self, fields):
        headers = {name: value for name, value in fields.items() if name not in CONTROL + self.signature_fields}
        if self.acl_field in headers:
            headers[self.prefix + self.acl_name] = headers.pop(self.acl_field)
        return {**headers, "content-length": "0"}

    def form_fields(self, request):
        """Returns the fields, where `file` is the type of that part, the file, and its name."""
        match = re.fullmatch(r'multipart/form-data;.*?boundary="?([^";]+)"?.*', request.headers.get("content-type", ""))
        if not match:
            raise VendorError(*self.bad_form_type, "Bucket POST must be of the enclosure-type multipart/form-data")
        pieces = (b"\r\n" + request.body).split(b"\r\n--" + match[1].encode())
        if len(pieces) < 3 or not pieces[-1].startswith(b"--"):
            raise VendorError(400, "MalformedPOSTRequest", "The body of your POST request is not well-formed multipart/form-data.")
        fields, files = {}, []
        for piece in pieces[1:-1]:
            head, parted, data = piece.partition(b"\r\n\r\n")
            name = re.search(r'[; ]name="([^"]*)"', head.decode())
            if not parted or not name:
                raise VendorError(400, "MalformedPOSTRequest", "a part without a name")
            filename = re.search(r'filename="([^"]*)"', head.decode())
            if name[1].lower() == "file":
                files.append((data, filename[1].rpartition("/")[2] if filename else ""))
                kind = re.search(r"(?im)^content-type:\s*(\S+)", head.decode())
                fields["file"] = kind[1] if kind else ""
            elif not files:  # Fields after the file are ignored.
                fields[name[1].lower()] = data.decode()
        if len(files) != 1:
            raise VendorError(400, self.bad_files, "POST requires exactly one file upload per request.")
        return fields, *files[0]

    # -- the policy

    def check_form(self, request, fields):
        """Verifies the signature, and returns the identity."""
        missing = [name for name in (*self.needed_fields(fields), "policy") if name not in fields]
        if missing:
            raise VendorError(400, "InvalidArgument", f"Bucket POST must contain a field named '{missing[0]}'.  If it is specified, "
                              "please check the order of the fields.")
        key_id, signature, wanted = self.form_signature(fields)
        if key_id != self.key_id:
            raise VendorError(403, "InvalidAccessKeyId")
        if signature != wanted:
            raise VendorError(403, "SignatureDoesNotMatch")
        request.verified = True

    def needed_fields(self, fields):
        return self.signature_fields

    def form_signature(self, fields):
        """Returns the access key ID, the signature in the form, and the correct one."""
        raise NotImplementedError

    def check_policy(self, request, fields, size):
        try:
            policy = json.loads(base64.b64decode(fields["policy"], validate=True))
            end, conditions = timestamp(policy["expiration"]), policy["conditions"]
        except (ValueError, KeyError, TypeError):
            raise VendorError(400, "InvalidPolicyDocument", "Invalid Policy: not a policy") from None
        if end is None or not isinstance(conditions, list):
            raise VendorError(400, "InvalidPolicyDocument", "Invalid Policy: expiration or conditions")
        if not conditions:
            raise VendorError(400, "InvalidPolicyDocument",
                              "You must provide condition if you specify a policy in post object request.")
        if end < time.time():
            raise VendorError(403, "AccessDenied", "Invalid according to Policy: Policy expired.")
        given = {**fields, "bucket": request.bucket, **self.rename_fields(fields)}
        named = set()
        for condition in conditions:
            for operator, name, value in self.read_condition(condition):
                if operator == "content-length-range":
                    if size < int(name) or size > int(value):
                        raise VendorError(400, "EntityTooSmall" if size < int(name) else "EntityTooLarge")
                    continue
                named.add(name)
                held = given.get(name)
                fits = held == value if operator == "eq" else held is not None and held.startswith(value)
                if not fits:
                    raise VendorError(403, "AccessDenied", f"Invalid according to Policy: Policy Condition failed: "
                                      f"{json.dumps(condition)}")
        for name in self.required_conditions(fields):
            if name not in named:
                raise VendorError(403, "AccessDenied", f"Invalid according to Policy: Extra input fields: {name}")

    def rename_fields(self, fields):
        """Renames fields that have another name in conditions."""
        return {}

    def required_conditions(self, fields):
        if not self.covers_all:
            return ()
        return [name for name in fields if name not in (*self.uncovered, "policy", "file") and not name.startswith("x-ignore-")]

    def read_condition(self, condition):
        if isinstance(condition, dict):
            return [("eq", name.lower(), str(value)) for name, value in condition.items()]
        fits = isinstance(condition, list) and len(condition) == 3
        if fits and condition[0] == "content-length-range" and all(isinstance(one, int) for one in condition[1:]):
            return [tuple(condition)]
        if fits and condition[0] in ("eq", "starts-with") and str(condition[1]).startswith("$"):
            return [(condition[0], condition[1][1:].lower(), str(condition[2]))]
        raise VendorError(400, "InvalidPolicyDocument", f"Invalid Policy: {json.dumps(condition)}")

    # -- the response

    def form_answer(self, request, fields, made):
        place = f"http://{request.host}/{quote(fields['key'])}"
        headers = {**self.object_headers(made, new=True), "Location": place}
        target = fields.get("success_action_redirect") or fields.get("redirect")
        if target:
            more = urlencode({"bucket": request.bucket, "key": fields["key"], "etag": self.quote_etag(made.etag)}, quote_via=quote)
            return Response(303, {**headers, "Location": target + ("&" if "?" in target else "?") + more})
        status = fields.get("success_action_status")
        if status == "201":
            result = {"Location": place, "Bucket": request.bucket, "Key": fields["key"], "ETag": self.quote_etag(made.etag)}
            rows = "".join(element(name, result[name]) for name in self.post_order)
            body = f'<?xml version="1.0" encoding="UTF-8"?>\n<PostResponse>{rows}</PostResponse>'
            return Response(201, headers, body.encode())
        return Response(200 if status == "200" else 204, headers)
