"""The console on the admin port, in Debian's Chromium: the translator, the live view of a running application, small screens,
dark mode, malicious text and requests of other web pages. The last line has the counts."""

import contextlib
import http.client
import json
import os
import sys
import threading
import time

from browser import PROGRAMS, console
import servers
from api import CallError
from copies import MIB, Pair

MALFORMED = "PUT / HTTP/1.1\nHost box"
# This must always be shown as text.
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"
COPY = """PUT /k?{query} HTTP/1.1
Host: box-1250000000.cos.ap-beijing.myqcloud.com
x-cos-copy-source: from-1250000000.cos.ap-beijing.myqcloud.com/a
x-cos-storage-class: MAZ_STANDARD
x-cos-copy-source-If-Match: "e"
x-cos-meta-owner: me
Authorization: q-sign-algorithm=sha1&q-signature=tell-nobody
"""


def ask(proxy, method, path, body=None, host=None, **headers):
    """Sends one request to the admin port and returns status, headers and body. Header names have `_` for `-`."""
    connection = http.client.HTTPConnection("127.0.0.1", proxy.admin, timeout=10)
    connection.putrequest(method, path, skip_host=True)
    headers = {name.replace("_", "-"): text for name, text in headers.items()}
    headers["Host"] = host or f"127.0.0.1:{proxy.admin}"
    if body is not None:
        headers["Content-Length"] = str(len(body))
    for name, text in headers.items():
        connection.putheader(name, text)
    connection.endheaders(body)
    response = connection.getresponse()
    result = response.status, {name.lower(): text for name, text in response.getheaders()}, response.read().decode()
    connection.close()
    return result


def choices(page, place):
    return page.run("return [...document.getElementById(arguments[0]).options].map((one) => one.value)", place)


def type_request(page, text):
    """Enters a request and translates it."""
    page.run("const box = document.getElementById('request'); box.value = arguments[0];"
             "box.dispatchEvent(new Event('input')); document.querySelector('#translate button').click()", text)


def choose(page, place, value):
    page.run("const box = document.getElementById(arguments[0]); box.value = arguments[1];"
             "box.dispatchEvent(new Event('change'))", place, value)


def rows(page):
    """The lines of the translation: the line of the request, its mark, and the translated line."""
    found = page.run("""return [...document.querySelectorAll("#lines tbody tr")].map((row) => ({
        request_line: row.querySelector(".request-line code")?.textContent ?? "", mark: row.querySelector(".badge").textContent,
        target_line: row.querySelector(".target-line code")?.textContent ?? "", notes: row.innerText }))""")
    return found


def row(page, begins):
    return next(one for one in rows(page) if (one["request_line"] or one["target_line"]).startswith(begins))


def settled(page):
    """Waits for the response to the latest request."""
    page.wait(lambda: page.run("return document.getElementById('lines').ariaBusy === 'false'"), "an answer")


def translator(binary, running, _):
    proxy = running.demo(binary, "--memory")
    with console(proxy.admin) as page:
        # The initial example is shown completely.
        choose(page, "from", "cos")
        choose(page, "to", "oss")
        settled(page)
        assert row(page, "x-cos-metadata-directive")["target_line"] == "x-oss-metadata-directive: REPLACE", rows(page)
        assert "Tencent Cloud COS, PUT Object - Copy" in page.text("#lines thead")
        assert "Alibaba Cloud OSS, CopyObject" in page.text("#lines thead")

        # Each line of each example, for each target, has a counterpart, a mark or a reason.
        callers, targets = choices(page, "from"), choices(page, "to")
        assert set(callers) == {"s3", "cos", "oss", "jdcloud"} <= set(targets), (callers, targets)
        seen = set()
        for caller in callers:
            choose(page, "from", caller)
            for example in choices(page, "example")[:-1]:
                choose(page, "example", example)
                for target in callers:
                    choose(page, "to", target)
                    settled(page)
                    for one in rows(page):
                        both = one["request_line"] and one["target_line"]
                        assert both or len(one["notes"]) > len(one["request_line"] + one["target_line"] + one["mark"]) + 8, one
                        seen.add(one["mark"])
                    assert page.text("#verdict"), (caller, example, target)
        assert seen == {"native", "emulated", "lost", "rejected", "ends here"}, seen

        # A pasted request has marks, reasons and rules, and shows no secret.
        choose(page, "from", "cos")
        choose(page, "to", "oss")
        type_request(page, COPY.replace("?{query}", ""))
        settled(page)
        assert page.run("return document.getElementById('example').value") == ""
        lost = row(page, "x-cos-storage-class")
        assert lost["mark"] == "lost" and not lost["target_line"] and "OSS has no storage class that corresponds to MAZ_STANDARD." in lost["notes"], lost
        native = row(page, "x-cos-copy-source:")
        assert native["mark"] == "native" and native["target_line"] == "x-oss-copy-source: /from-1250000000/a", native
        assert "412 if it does not hold. Each" in row(page, "x-cos-copy-source-if-match")["notes"]
        assert row(page, "authorization") | {"notes": ""} == {
            "request_line": "authorization: (hidden)", "mark": "ends here", "target_line": "", "notes": ""}
        assert page.text("#verdict").startswith("Rejected, unless"), page.text("#verdict")
        assert "1 lost" in page.text("#counts")
        assert "tell-nobody" not in page.text("main")

        # Without the lost header the request can be sent without loss. For a target without conditions Blobfish evaluates them.
        type_request(page, COPY.replace("?{query}", "").replace("x-cos-storage-class: MAZ_STANDARD\n", ""))
        settled(page)
        assert page.text("#verdict") == "CopyObject can be sent without loss. Nothing was sent.", page.text("#verdict")
        choose(page, "to", "jdcloud")
        settled(page)
        assert row(page, "x-cos-copy-source-if-match")["mark"] == "emulated"
        assert row(page, "x-amz-storage-class")["mark"] == "emulated"
        assert page.text("#verdict") == "CopyObject can be sent without loss. Nothing was sent.", page.text("#verdict")

        # A suggested header is added to the head, and is no longer suggested.
        choose(page, "to", "s3")
        settled(page)
        choose(page, "more", "cache-control: max-age=86400")
        settled(page)
        assert row(page, "cache-control")["request_line"] == "cache-control: max-age=86400"
        choose(page, "more", "x-cos-metadata-directive: Replaced")
        settled(page)
        assert row(page, "cache-control")["target_line"] == "cache-control: max-age=86400"
        assert not any(line.startswith("cache-control") for line in choices(page, "more"))

        # Lines with one meaning are highlighted together: `list-type=2` belongs to the request line.
        choose(page, "from", "s3")
        choose(page, "to", "cos")
        type_request(page, "GET /?list-type=2&prefix=a HTTP/1.1\nHost: box.s3.us-east-1.amazonaws.com\n")
        settled(page)
        lit = page.run("""
            const lit = () => [...document.querySelectorAll("#lines .lit .request-line code")].map((one) => one.textContent);
            const first = document.querySelector("#lines tbody tr");
            first.focus();
            const on = lit();
            first.blur();
            return [on, lit()]""")
        assert lit == [["GET /", "?list-type=2"], []], lit
        assert row(page, "GET /")["mark"] == "emulated"

        # An invalid request shows its error, and the next valid request is translated again.
        choose(page, "from", "cos")
        settled(page)
        page.complaints()
        for text, expected in ((MALFORMED, "neither an HTTP request"), ("", "neither an HTTP request"),
                               (COPY.replace("{query}", "rename"), "rename"), ("x" * 70_000, "larger than")):
            type_request(page, text)
            settled(page)
            assert expected in page.text("#verdict.bad"), page.text("#verdict")
            assert not rows(page)
        complaints = page.complaints()
        assert all("400 (Bad Request)" in one or "413 (" in one for one in complaints), complaints
        type_request(page, COPY.replace("?{query}", ""))
        settled(page)
        assert rows(page)


@contextlib.contextmanager
def app(client, bucket):
    """An application that writes and reads continuously. Some of its requests are rejected, others lose a field."""
    done = threading.Event()
    failures = []

    def work():
        turn = 0
        while not done.is_set():
            turn += 1
            try:
                client.put(bucket, "one", os.urandom(10_000))
                client.get(bucket, "one")
                if turn % 10 == 1:
                    client.put(bucket, "two", b"x", storage_class="ONEZONE_IA")
            except Exception as error:
                failures.append(repr(error))
            if turn % 10 == 1:
                with contextlib.suppress(CallError):
                    client.get("elsewhere-1250000000", "one")
            time.sleep(0.02)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield failures
    finally:
        done.set()
        thread.join()


def progress(page):
    return page.run("return document.querySelector('#copies progress')?.value ?? 0")


def live(binary, running, _):
    """The live view with two targets, lost fields, and copies that are slow enough to watch."""
    limits = "[limits]\ncopy_bytes_per_second = 5242880\ncopy_multipart_threshold_bytes = 5242880\ncopy_part_bytes = 5242880\n"
    pair = Pair(running, binary, "cos", "oss", limits=limits, bucket='unsupported = "report"\n')
    client, source, target = pair.begin()
    client.put(source, "large", os.urandom(MIB) * 30)
    with console(pair.proxy.admin) as page:
        assert page.text("#copies") == "None." and not page.table("#events"), page.text("main")
        rate = float(page.text("#rate"))
        with app(client, source) as failures:
            pairs = page.wait(lambda: [one for one in page.table("#pairs") if one["Dialect and target"] == "s3 → first"
                                       and float(one["Per second"]) > 1], "a rate")
            page.wait(lambda: float(page.text("#rate")) > max(rate, 1), "a rate of all")
            assert pairs[0]["p50"].endswith("ms") and pairs[0]["p99"].endswith("s"), pairs
            requests = int(pairs[0]["Requests"].replace(",", ""))
            page.wait(lambda: int(page.table("#pairs")[0]["Requests"].replace(",", "")) > requests, "more requests")
            events = page.wait(lambda: {one["Kind"]: one for one in page.table("#events")}.keys() >= {"rejected", "lost"}
                               and page.table("#events"), "a rejection and a lost field")
            rejected = next(one for one in events if one["Kind"] == "rejected")
            assert rejected["Reason"] == "NoSuchBucket" and rejected["Caller and target"].startswith("app (s3)"), rejected
            lost = next(one for one in events if one["Kind"] == "lost")
            assert lost["Reason"] == "x-amz-storage-class" and lost["Operation"] == "PutObject", lost
            assert page.text("#lost-fields") != "0" and page.text("#rejections") != "0"
            assert page.run("return document.querySelector('#chart .line').getAttribute('d').split('L').length") >= 2

            copied = []
            copying = threading.Thread(target=lambda: copied.append(client.copy(source, "large", target, "copied")))
            copying.start()
            first = page.wait(lambda: progress(page), "a copy's progress")
            page.wait(lambda: progress(page) > first, "more progress")
            copy = page.table("#copies")[0]
            assert copy["Source and target"] == "first → second" and "of 30 MiB" in copy["Progress"], copy
            copying.join()
            assert copied, "the copy failed"
            page.wait(lambda: page.text("#copies") == "None.", "the copy's end")
        assert not failures, failures
        assert all(one["Health"] == "responding" for one in page.table("#targets")), page.table("#targets")

        # An unreachable target is shown after the next failed request, and the page keeps refreshing.
        pair.backs[1].stop()
        with contextlib.suppress(CallError):
            client.get(target, "copied")
        page.wait(lambda: [one["Health"] for one in page.table("#targets")] == ["responding", "failing"], "a failure")

        # Pause and resume.
        page.run("document.getElementById('pause').click()")
        before = page.text("#live")
        time.sleep(2.5)
        assert page.text("#live") == before
        page.run("document.getElementById('pause').click()")
        page.wait(lambda: page.text("#live") != before, "the page to refresh again")

        # The configuration shows names and no secrets.
        shown = page.text("#configuration")
        for word in ("first", "second", "src-*", "app", "admin: *"):
            assert word in shown, shown
        for secret in (servers.SECRET, servers.TARGET_SECRET, servers.KEY, servers.TARGET_KEY):
            assert secret not in page.run("return document.documentElement.outerHTML"), secret
        assert page.complaints() == []
        asked = page.asked()
        assert asked == {page.origin}, asked

        # After the proxy has stopped, the page shows that.
        pair.proxy.stop()
        page.wait(lambda: page.text("#live").startswith("no response"), "the console to report that there is no response")


def looks(binary, running, _):
    """Screen widths of phones and desktops, light and dark mode."""
    proxy = running.demo(binary, "--memory")
    with console(proxy.admin) as page:
        colours = {}
        for scheme in ("light", "dark"):
            page.scheme(scheme)
            for width in (320, 390, 768, 1280):
                page.size(width, 800)
                wide, out = page.run("""
                    const out = [...document.querySelectorAll("main *, header *")].filter((one) =>
                        one.checkVisibility() && !one.closest("textarea, pre, .panel, svg, .skip, select")
                        && one.getBoundingClientRect().right > innerWidth + 0.5);
                    return [document.documentElement.scrollWidth, out.map((one) => one.outerHTML.slice(0, 80))]""")
                assert wide <= width and not out, (width, wide, out)
            page.size(390, 800)
            boxes = page.run("""const boxes = document.querySelectorAll("#lines, #pairs, #targets, #config .panel");
                return [...boxes].map((one) => [one.scrollWidth, one.clientWidth])""")
            assert all(inner <= outer for inner, outer in boxes), boxes
            colours[scheme] = page.run("const style = getComputedStyle(document.body);"
                                       "return [style.backgroundColor, style.color]")
            assert contrast(*colours[scheme]) >= 7, colours
            badges = page.run("""return [...document.querySelectorAll(".badge")].map((one) => {
                const style = getComputedStyle(one); return [style.backgroundColor, style.color] })""")
            assert badges and all(contrast(*badge) >= 4.5 for badge in badges), badges
        assert set(colours["light"]).isdisjoint(colours["dark"]), colours
        assert page.complaints() == []


def contrast(one, other):
    """The contrast ratio by WCAG."""
    def light(colour):
        parts = [int(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
        parts = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2] + 0.05
    return max(light(one), light(other)) / min(light(one), light(other))


def malicious_text(binary, running, _):
    """Keys, values and names with markup and control characters are always shown as text."""
    proxy = running.demo(binary, "--memory")
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
    for method, path, headers in (("GET", f"/{HOSTILE.replace(' ', '%20')}", {}),
                                  ("PUT", "/box-1250000000/k", {"x-amz-storage-class": HOSTILE, "x-amz-acl": HOSTILE}),
                                  ("GET", "/box-1250000000/%00%1b%3Cscript%3E?<b>x</b>", {"Authorization": HOSTILE})):
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        assert answer.status >= 400, (path, answer.status)
        answer.read()
    connection.close()
    with console(proxy.admin) as page:
        own = page.run("return document.querySelectorAll('script, img, b, iframe').length")
        page.wait(lambda: len(page.table("#events")) == 3, "three rejections")
        choose(page, "from", "s3")
        choose(page, "to", "cos")
        hostile = ("PUT /%00%1b%3Cscript%3Ealert(3)%3C/script%3E%E2%80%AE HTTP/1.1\n"
                   f"Host: box.s3.us-east-1.amazonaws.com\nx-amz-meta-a: {HOSTILE}\n"
                   f"x-amz-copy-source: /from/{HOSTILE.replace(' ', '%20')}\n")
        type_request(page, hostile.replace("%00%1b", ""))
        settled(page)
        assert row(page, "x-amz-meta-a")["request_line"] == f"x-amz-meta-a: {HOSTILE}"
        assert "<script>alert(3)</script>" in page.text("#meaning"), page.text("#meaning")
        assert HOSTILE in page.text("#meaning")
        for text in (hostile, f"PUT /k HTTP/1.1\nHost: {HOSTILE}\n", f"{HOSTILE} /k HTTP/1.1\nHost: box\n"):
            type_request(page, text)
            settled(page)
            assert page.text("#verdict")
        assert page.run("return document.querySelectorAll('script, img, b, iframe').length") == own
        assert all("400 (Bad Request)" in one for one in page.complaints())

        # The Content Security Policy blocks inline scripts and requests to other origins, and the browser logs it.
        elsewhere = running.demo(binary, "--memory")
        assert page.asked() == {page.origin}
        stopped = page.run("""
            const inline = document.createElement("script");
            let refused = false;
            try { inline.textContent = "window.ran = true" } catch { refused = true }
            document.body.append(inline);
            return refused && !window.ran""")
        assert stopped
        failed = page.run("return fetch(arguments[0]).then(() => 'answered', () => 'stopped')",
                          f"http://127.0.0.1:{elsewhere.admin}/healthz")
        assert failed == "stopped" and page.run("return fetch('/healthz').then((answer) => answer.status)") == 200
        assert any("Content Security Policy" in one for one in page.complaints()), "the control"


def other_pages(binary, running, _):
    """Requests of other web pages, host names and programs, compared with those of the console."""
    target = servers.one_target("cos", running.double("cos").port)
    proxy = running.proxy(binary, servers.configuration([target]))
    kinds = {"/": "text/html", "/console.js": "text/javascript", "/console.css": "text/css",
             "/icon.svg": "image/svg+xml", "/metrics": "text/plain", "/healthz": "text/plain"}
    kinds |= {f"/api/{name}": "application/json" for name in ("status", "copies", "events", "config", "examples")}
    for path, kind in kinds.items():
        status, headers, body = ask(proxy, "GET", path)
        assert status == 200 and headers["content-type"].startswith(kind), (path, status, headers)
        assert "default-src 'none'" in headers["content-security-policy"], headers
        assert "unsafe" not in headers["content-security-policy"], headers
        assert headers["x-content-type-options"] == "nosniff" and headers["cache-control"] == "no-store", headers
        assert "access-control-allow-origin" not in headers, headers
        for secret in (servers.SECRET, servers.TARGET_SECRET, servers.KEY, servers.TARGET_KEY):
            assert secret not in body, (path, secret)
        assert ask(proxy, "HEAD", path)[::2] == (200, ""), path
        assert ask(proxy, "GET", path, host="rebound.example.com")[0] == 403, path
        assert ask(proxy, "GET", path, host=f"localhost:{proxy.admin}")[0] == 200, path
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            assert ask(proxy, method, path, body=b"{}", Content_Type="application/json")[0] == 405, (method, path)
    assert ask(proxy, "GET", "/api/nothing")[0] == 404 and ask(proxy, "GET", "/api/explain")[0] == 405

    head = "GET /k HTTP/1.1\nHost: box.s3.us-east-1.amazonaws.com\n"
    question = json.dumps({"from": "s3", "to": "cos", "request": head}).encode()
    own = {"Content_Type": "application/json", "Origin": f"http://127.0.0.1:{proxy.admin}",
           "Sec_Fetch_Site": "same-origin"}
    assert ask(proxy, "POST", "/api/explain", question, **own)[0] == 200
    for other, status in (({"Origin": "http://example.com"}, 403), ({"Origin": "null"}, 403),
                          ({"Sec_Fetch_Site": "cross-site"}, 403), ({"Content_Type": "text/plain"}, 415),
                          ({"Content_Type": "multipart/form-data"}, 415), ({"host": "rebound.example.com"}, 403)):
        assert ask(proxy, "POST", "/api/explain", question, **{**own, **other})[0] == status, other
    for body, status in ((b"x" * 65_537, 413), (b"x" * 65_536, 400), (b"", 400), (b"[" * 60_000, 400), (b"{}", 400),
                         (b"\xff", 400), (question[:-1] + b', "more": 1}', 400),
                         (question.replace(b'"cos"', b'"no"'), 400)):
        response = ask(proxy, "POST", "/api/explain", body, **own)
        assert response[0] == status and json.loads(response[2])["error"], (body[:20], response)
    # No response contains a customer-provided key, whether the request is valid or not.
    name = "x-amz-server-side-encryption-customer"
    for key in ("dGVsbC1ub2JvZHktdGVsbC1ub2JvZHktdGVsbC1ubyE=", "tell-nobody", "tell-nobody\u00e9"):
        text = (f"{head.replace('GET', 'PUT')}{name}-algorithm: AES256\n{name}-key: {key}\n"
                f"{name}-key-MD5: hRasmdxgYDKV3nvbahU1MA==\nx-amz-security-token: {key}\n")
        for target in ("s3", "cos", "oss", "jdcloud"):
            body = json.dumps({"from": "s3", "to": target, "request": text}).encode()
            response = ask(proxy, "POST", "/api/explain", body, **own)[2]
            assert key not in json.dumps(json.loads(response), ensure_ascii=False), (key, target)
    # A request with the maximum number of lines is translated quickly.
    begin = time.monotonic()
    many = head.replace("GET", "PUT") + "".join(f"x-amz-meta-{at}:1\n" for at in range(2500))
    body = json.dumps({"from": "s3", "to": "cos", "request": many}).encode()
    assert len(body) < 65_536 and ask(proxy, "POST", "/api/explain", body, **own)[0] in (200, 400)
    assert time.monotonic() - begin < 5, time.monotonic() - begin


ALL = [translator, live, looks, malicious_text, other_pages]

if __name__ == "__main__":
    if not all(PROGRAMS):
        print("skipped: there is no chromium and chromedriver, and no apt-get to install them", flush=True)
        # In CI the suite must not be skipped.
        sys.exit(1 if os.environ.get("CI") else 0)
    servers.main(__doc__, ALL)
