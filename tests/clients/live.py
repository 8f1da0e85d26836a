"""Hot reload of a running proxy, without a failed request of an application. The last line has the counts."""

import http.client
import os
import re
import signal
import threading
import time
from pathlib import Path

import servers
from api import CallError
from s3_clients import Boto3
from scenarios import expect_error

BUCKET = "live-1250000000"


def metric(proxy, line):
    connection = http.client.HTTPConnection("127.0.0.1", proxy.admin, timeout=10)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    found = re.search(rf"^{re.escape(line)} (\S+)$", text, re.M)
    return float(found[1]) if found else 0


def reloads(proxy, outcome):
    return metric(proxy, f'blobfish_config_reloads_total{{outcome="{outcome}"}}')


def log_lines(proxy, word):
    return [line for line in servers.read_log(proxy).splitlines() if word in line]


def caller(name, key, secret):
    return (f'[[caller]]\nname = "{name}"\naccess_key = "{key}"\nsecret_key = {secret}\n'
            'grants = [{ buckets = ["*"], access = "admin" }]\n')


class App(threading.Thread):
    """An application that writes, reads, copies and deletes continuously. Every failure is recorded."""

    def __init__(self, port):
        super().__init__()
        self.client, self.done, self.failures, self.rounds = Boto3(port, servers.KEY, servers.SECRET), False, [], 0

    def run(self):
        while not self.done:
            try:
                body = os.urandom(20_000)
                self.client.put(BUCKET, "one", body)
                self.client.copy(BUCKET, "one", BUCKET, "two")
                assert self.client.get(BUCKET, "two")["body"] == body
                self.client.delete(BUCKET, "one")
                self.rounds += 1
            except Exception as error:
                self.failures.append(repr(error))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.done = True
        self.join()


class Changeable:
    """A proxy in front of a double, with a configuration file that can be replaced."""

    def __init__(self, binary, running, **more):
        self.back = running.double("oss")
        self.target = servers.one_target("oss", self.back.port)
        self.proxy = running.proxy(binary, servers.configuration([self.target], **more))
        self.file = Path(self.proxy.folder, "blobfish.toml")
        self.first = self.file.read_text()
        self.client = Boto3(self.proxy.port, servers.KEY, servers.SECRET)

    def rewrite(self, text):
        """Replaces the file by renaming a new one, as editors and orchestrators do."""
        new = self.file.with_suffix(".new")
        new.write_text(text)
        new.rename(self.file)

    def rewrite_and_wait(self, text, outcome="success"):
        before = reloads(self.proxy, outcome)
        self.rewrite(text)
        servers.wait_for(lambda: reloads(self.proxy, outcome) > before, 3, f"a configuration that is {outcome}")


def under_load(binary, running, options):
    """Many reloads, half of them of invalid files, do not affect a running application."""
    live = Changeable(binary, running)
    live.client.create_bucket(BUCKET)
    times = 200
    wrong = [live.first + "\nnonsense = ", live.first.replace('dialect = "oss"', 'dialect = "osss"'), "", live.first + "\n[limits]\nno = 1\n"]
    with App(live.proxy.port) as app:
        for number in range(times):
            outcome = "failure" if number % 2 else "success"
            before = reloads(live.proxy, outcome)
            # Most reloads are triggered by a signal, some only by the changed file.
            live.rewrite(wrong[number // 2 % 4] if number % 2 else live.first + f"\n# {number}\n")
            if number % 20 > 1:
                os.kill(live.proxy.child.pid, signal.SIGHUP)
            servers.wait_for(lambda: reloads(live.proxy, outcome) > before, 5, f"{outcome} {number}")
    assert not app.failures, app.failures[:3]
    assert app.rounds > 20, app.rounds
    logged = log_lines(live.proxy, "the previous configuration stays active")
    assert len(logged) >= times // 2 and any("did you mean" in line and "line " in line for line in logged), logged[:3]
    assert live.proxy.child.poll() is None


def removed_access_keys(binary, running, options):
    """A removed access key is rejected within a second, also on an open connection; a new one is accepted."""
    live = Changeable(binary, running)
    live.client.create_bucket(BUCKET)
    live.client.put(BUCKET, "one", b"x")
    new = Boto3(live.proxy.port, "AKIDROTATED0001", "another-secret-of-the-app")
    assert expect_error(403, new.get, BUCKET, "one").code == "InvalidAccessKeyId"
    begun = time.monotonic()
    live.rewrite(servers_with(live, caller("app", "AKIDROTATED0001", '"another-secret-of-the-app"')))
    while True:
        try:
            live.client.get(BUCKET, "one")
            assert time.monotonic() - begun < 1, "the old key still works"
            time.sleep(0.02)
        except CallError as error:
            assert error.code == "InvalidAccessKeyId", error
            break
    assert new.get(BUCKET, "one")["body"] == b"x"


def servers_with(live, callers):
    """The original configuration with other callers."""
    return live.first[:live.first.index("[[caller]]")] + callers


def secret_files(binary, running, options):
    """A secret in a file is read again when that file changes, although the configuration file does not."""
    live = Changeable(binary, running)
    secret = Path(live.proxy.folder, "secret")
    secret.write_text("the-first-secret\n")
    secret.chmod(0o600)
    live.rewrite_and_wait(servers_with(live, caller("app", servers.KEY, f'{{ file = "{secret}" }}')))
    first, second = (Boto3(live.proxy.port, servers.KEY, f"the-{which}-secret") for which in ("first", "second"))
    first.create_bucket(BUCKET)
    expect_error(403, second.put, BUCKET, "one", b"x")
    secret.write_text("the-second-secret\n")
    servers.wait_for(lambda: reloads(live.proxy, "success") >= 2, 3, "the new secret")
    second.put(BUCKET, "one", b"x")
    expect_error(403, first.get, BUCKET, "one")
    # The file is missing for a while: the active configuration stays.
    secret.rename(secret.with_suffix(".away"))
    servers.wait_for(lambda: reloads(live.proxy, "failure") >= 1, 3, "a failed reload")
    assert second.get(BUCKET, "one")["body"] == b"x"
    secret.with_suffix(".away").rename(secret)
    servers.wait_for(lambda: reloads(live.proxy, "success") >= 3, 3, "the file to be back")
    assert "the-second-secret" not in live.proxy.log.read_text()


def switched_links(binary, running, options):
    """A directory of symbolic links that an orchestrator switches from one version to the next."""
    back = running.double("oss")
    target = servers.one_target("oss", back.port)
    proxy = running.proxy(binary, servers.configuration([target]), linked=True)
    client, folder = Boto3(proxy.port, servers.KEY, servers.SECRET), Path(proxy.folder)
    client.create_bucket(BUCKET)
    text = (folder / "blobfish.toml").read_text()
    for version, key in (("v2", "AKIDSECOND"), ("v3", "AKIDTHIRD")):
        (folder / version).mkdir()
        (folder / version / "blobfish.toml").write_text(text.replace(servers.KEY, key))
        (folder / "..tmp").symlink_to(version)
        (folder / "..tmp").rename(folder / "..data")
        own = Boto3(proxy.port, key, servers.SECRET)

        def works():
            try:
                return own.put(BUCKET, "one", b"x") or True
            except CallError:
                return False

        servers.wait_for(works, 2, f"{version} to be in force")
    expect_error(403, client.get, BUCKET, "one")


def listeners(binary, running, options):
    """Changed addresses require an upgrade, which is logged; all other changes become active."""
    live = Changeable(binary, running)
    other = servers.free_ports(1)[0]
    text = servers_with(live, caller("app", "AKIDOTHER", '"another-secret-of-the-app"'))
    live.rewrite_and_wait(text.replace(f":{live.proxy.port}\"", f":{other}\"", 1))
    assert log_lines(live.proxy, "require `blobfish upgrade`")
    Boto3(live.proxy.port, "AKIDOTHER", "another-secret-of-the-app").create_bucket(BUCKET)


ALL = [under_load, removed_access_keys, secret_files, switched_links, listeners]


if __name__ == "__main__":
    servers.main(__doc__, ALL)
