"""Access: canned ACLs, grant headers and ACL documents; anonymous requests; CORS."""

import re
from xml.etree import ElementTree

from . import documents
from .documents import Malformed, element, only
from .server import Response, VendorError

GRANT_HEADERS = {"grant-read": "READ", "grant-write": "WRITE", "grant-read-acp": "READ_ACP", "grant-write-acp": "WRITE_ACP",
                 "grant-full-control": "FULL_CONTROL"}
#: The permissions of all users for each canned ACL.
GROUP_GRANTS = {"public-read": [("AllUsers", "READ")], "authenticated-read": [("AuthenticatedUsers", "READ")],
                "public-read-write": [("AllUsers", "READ"), ("AllUsers", "WRITE")]}
#: The permission that an anonymous request needs.
OPEN_OPERATIONS = {"get": "READ", "list": "READ", "put": "WRITE", "delete": "WRITE"}
XSI = "http://www.w3.org/2001/XMLSchema-instance"
POLICY = documents.shape(
    "AccessControlPolicy(Owner?(ID?, DisplayName?), AccessControlList(Grant*(Grantee(ID^, URI^, DisplayName?), "
    "Permission=READ|WRITE|READ_ACP|WRITE_ACP|FULL_CONTROL)))")


class Access:
    acl_name = "acl"  # The header with an object's canned ACL.
    groups = ""
    acl_owner = ""  # The owner in ACL documents, if it differs from other documents.
    anyone = ()  # Further IDs of the group of all users.
    identity_form = r"\S+"
    bad_acl = "MalformedACLError"
    acl_words_only = False  # Grants are not supported.
    both_acls = ""  # Error code for an ACL in head and body; if empty the head takes precedence.
    cors_credentials, cors_vary = True, False

    # -- ACLs

    def op_bucket_acl(self, request):
        bucket = self.bucket(request)
        return self.policy(bucket.acl, bucket.grants)

    def op_put_bucket_acl(self, request):
        bucket = self.bucket(request)
        word, grants = self.read_acl(request, "acl", self.bucket_acls)
        self.check_public_word(bucket, word, "bucket")
        bucket.acl, bucket.grants = word, grants
        return Response(200)

    def op_object_acl(self, request):
        bucket = self.bucket(request)
        stored = self.find_object(bucket, request.key, request.param("versionId"))
        response = self.object_policy(bucket, stored)
        response.headers.update(self.version_header(stored))
        return response

    def object_policy(self, bucket, stored):
        return self.policy(stored.acl, stored.grants)

    def op_put_object_acl(self, request):
        bucket = self.bucket(request)
        stored = self.find_object(bucket, request.key, request.param("versionId"))
        word, grants = self.read_acl(request, self.acl_name, self.acls)
        self.check_public_word(bucket, word, "object")
        stored.acl, stored.grants = word, grants
        return Response(200, self.version_header(stored))

    def policy(self, word, grants):
        return self.document("AccessControlPolicy", f"<Owner>{self.acl_who()}</Owner>"
                             f"<AccessControlList>{self.grant_list(word, grants)}</AccessControlList>")

    def acl_who(self):
        who = self.acl_owner or self.owner
        return element("ID", who) + element("DisplayName", who.rpartition("/")[2])

    def grant_list(self, word, grants):
        def grant(kind, grantee, permission):
            return (f'<Grant><Grantee xmlns:xsi="{XSI}" xsi:type="{kind}">{grantee}</Grantee>'
                    f'{element("Permission", permission)}</Grant>')

        if grants is None:
            listed = grant("CanonicalUser", self.acl_who(), "FULL_CONTROL")
            grants = [("Group", self.groups + group, permission) for group, permission in GROUP_GRANTS.get(word, [])]
        else:
            listed = ""
        for kind, who, permission in grants:
            grantee = element("URI", who) if kind == "Group" else element("ID", who) + element("DisplayName", who)
            listed += grant(kind, grantee, permission)
        return listed

    def read_acl(self, request, name, words):
        """Returns the canned ACL and the grants in a request for `?acl`."""
        self.check_md5(request)
        word, grants = self.own(request, name), self.header_grants(request)
        if word and word not in words:
            raise VendorError(400, "InvalidArgument", f"{name}: {word}")
        if request.body and (word or grants) and self.both_acls:
            raise VendorError(400, self.both_acls, "an ACL in the head and in the body")
        if word or grants:
            return word or "private", grants
        if not request.body or self.acl_words_only:
            raise VendorError(400, self.missing_acl, f"{self.prefix}{name}")
        return "private", self.document_grants(request)

    missing_acl = "MissingSecurityHeader"

    def header_grants(self, request):
        found = []
        for name, permission in GRANT_HEADERS.items():
            for item in filter(None, (text.strip() for text in self.own(request, name).split(","))):
                match = re.fullmatch(r'(id|uri|uin)="([^"]+)"', item)
                if not match:
                    raise VendorError(400, "InvalidArgument", f"Argument format not recognized: {item}")
                found.append((*self.grantee(match[1] == "uri", match[2]), permission))
        if found and self.own(request, "acl") and self.both_acls:
            raise VendorError(400, "InvalidRequest", "Specifying both Canned ACLs and Header Grants is not allowed")
        return found or None

    def grantee(self, group, who):
        if group and who not in (self.groups + "AllUsers", self.groups + "AuthenticatedUsers"):
            raise VendorError(400, "InvalidArgument", f"Invalid group uri: {who}")
        if not group and not re.fullmatch(self.identity_form, who):
            raise VendorError(400, "InvalidArgument", f"Invalid id: {who}")
        return "Group" if group else "CanonicalUser", who

    def document_grants(self, request):
        found = []
        try:
            document = documents.read(request.body, POLICY)
            kinds = [node.get(f"{{{XSI}}}type") for node in ElementTree.fromstring(request.body).iter()
                     if documents.local(node) == "Grantee"]
        except Malformed as error:
            raise VendorError(400, self.bad_acl, str(error)) from None
        for grant, kind in zip(document["AccessControlList"][0].get("Grant", []), kinds):
            uri = only(grant, "Grantee", "URI")
            made = self.grantee(uri is not None, uri or only(grant, "Grantee", "ID"))
            if kind not in (None, made[0]):
                raise VendorError(400, self.bad_acl, f"a grantee of type {kind}")
            found.append((*made, only(grant, "Permission")))
        return found

    def check_public_word(self, bucket, word, what):
        """Rejects a public ACL if the bucket's public access block forbids it."""
        if self.blocks_public(bucket) and word.startswith("public-"):
            raise VendorError(403, "AccessDenied", f"Put public {what} acl is not allowed")

    def blocks_public(self, bucket):
        return False

    # -- anonymous requests

    def anonymous(self, request):
        """Whether a request is anonymous. The Python SDK of COS then sends an empty Authorization header."""
        in_query = any(name.lower() in self.query_credentials for name, _ in request.query)
        return not request.headers.get("authorization") and not in_query

    def check_open(self, request, operation):
        wanted, bucket = OPEN_OPERATIONS.get(operation), self.store.buckets.get(request.bucket)
        grants = []
        if bucket and wanted:
            holder = bucket.current(request.key, request.param("versionId")) if operation == "get" else None
            holder = holder if holder and (holder.acl != "default" or holder.grants) else bucket
            grants = holder.grants or [("Group", self.groups + group, permission)
                                       for group, permission in GROUP_GRANTS.get(holder.acl, [])]
        everybody = (self.groups + "AllUsers", *self.anyone)
        if not any(who in everybody and permission in (wanted, "FULL_CONTROL") for _, who, permission in grants):
            raise VendorError(403, "AccessDenied", "no credential in the head")

    # -- CORS

    def cors_rule(self, request, method, headers):
        """Returns the first matching rule, and the origin for the response."""
        bucket, origin = self.store.buckets.get(request.bucket), request.headers.get("origin", "")
        document = bucket.settings.get(("cors", ""), {}) if bucket else {}

        def fits(patterns, text):
            return any(re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), text, re.IGNORECASE) for pattern in patterns)

        for rule in document.get("CORSRule", []):
            allowed = rule.get("AllowedHeader", [])
            if fits(rule["AllowedOrigin"], origin) and method in rule["AllowedMethod"] and all(fits(allowed, h) for h in headers):
                return document, rule, "*" if "*" in rule["AllowedOrigin"] else origin
        return None

    def cors_headers(self, document, rule, origin):
        headers = {"Access-Control-Allow-Origin": origin}
        if rule.get("ExposeHeader"):
            headers["Access-Control-Expose-Headers"] = ", ".join(rule["ExposeHeader"])
        if self.cors_credentials and origin != "*":
            headers["Access-Control-Allow-Credentials"] = "true"
        if self.cors_vary:
            headers["Vary"] = "Origin, Access-Control-Request-Headers, Access-Control-Request-Method"
        elif only(document, "ResponseVary") == "true":
            headers["Vary"] = "Origin"
        return headers

    def op_options(self, request):
        method = request.headers.get("access-control-request-method")
        if not request.headers.get("origin") or not method:
            raise VendorError(400, "BadRequest", "Insufficient information. Origin request header needed.")
        text = request.headers.get("access-control-request-headers", "")
        requested_headers = [name.strip().lower() for name in text.split(",") if name.strip()]
        found = self.cors_rule(request, method, requested_headers)
        if not found:
            raise VendorError(403, "AccessForbidden", "CORSResponse: This CORS request is not allowed. This is usually because the "
                              "evalution of Origin, request method / Access-Control-Request-Method or "
                              "Access-Control-Request-Headers are not whitelisted by the resource's CORS spec.")
        headers = self.cors_headers(*found)
        headers["Access-Control-Allow-Methods"] = ", ".join(found[1]["AllowedMethod"])
        if requested_headers:
            headers["Access-Control-Allow-Headers"] = ", ".join(requested_headers)
        if only(found[1], "MaxAgeSeconds") is not None:
            headers["Access-Control-Max-Age"] = only(found[1], "MaxAgeSeconds")
        return Response(200, headers)

    def simple_cors(self, request):
        """Returns the CORS headers for the response to an actual request; none if no rule matches."""
        found = self.cors_rule(request, request.method, []) if request.headers.get("origin") else None
        return self.cors_headers(*found) if found else {}
