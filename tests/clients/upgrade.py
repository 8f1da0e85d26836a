"""Upgrade and shutdown of a running proxy: no connection is rejected and no request is aborted. The last line has the counts."""

import contextlib
import ctypes
import fcntl
import http.client
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import servers
from live import metric
from operations import authority
from oss_clients import Oss2V4
from s3_clients import Boto3

BUCKET = "upgrade-1250000000"
MIB = 1024 * 1024
PR_SET_CHILD_SUBREAPER = 36


class Upgradable:
    """A proxy in front of a demo, with a control socket. It stops the current process at the end."""

    def __init__(self, binary, running, limits="", extra="", env=None, **more):
        # The new process becomes an orphan. Adopting it here makes its exit and exit code visible.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.back = running.demo(binary, "--memory")
        target = servers.one_target("seaweedfs", self.back.port, key=(servers.DEMO_KEY, servers.DEMO_SECRET))
        self.folder = Path(tempfile.mkdtemp(prefix="blobfish-upgrade-"))
        self.socket, self.file, self.log = (self.folder / name for name in ("control", "blobfish.toml", "log"))
        # A copy of the program, because the test replaces it.
        self.program = self.folder / "blobfish"
        try:
            self.program.hardlink_to(binary)
        except OSError:  # The hard link fails on another file system.
            shutil.copy(binary, self.program)
        self.port, self.admin = servers.free_ports(2)
        text = servers.configuration([target], **more).replace("{port}", str(self.port))
        text = text.replace('{admin}"\n', f'{self.admin}"\ncontrol_socket = "{self.socket}"\n[limits]\n{limits}\n{extra}')
        self.file.write_text(text)
        self.command = [str(self.program), "serve", "--config", str(self.file)]
        self.pids, self.codes, self.children = [], {}, []
        self.start(env)

    def start(self, env=None, **more):
        with self.log.open("a") as log:
            child = subprocess.Popen(self.command, stdout=log, stderr=log, cwd=self.folder,
                                     env={**os.environ, **(env or {})}, **more)
        self.children.append(child)  # Keep the reference: subprocess reaps children without one.
        self.pids.append(child.pid)
        servers.wait_for(lambda: self.get("/readyz")[0] == 200, 15, self.log.read_text()[-2000:])

    @property
    def pid(self):
        return self.pids[-1]

    def upgrade(self, *words):
        words = words or ("--config", str(self.file))
        done = run([str(self.program), "upgrade", *words])
        if found := re.match(r"process (\d+) serves; process (\d+) drains and exits", done.stdout):
            assert done.returncode == 0 and int(found[2]) == self.pid, done
            self.pids.append(int(found[1]))
        return done

    def get(self, path):
        """The status and text of a page on the admin port; status 0 without a response."""
        try:
            connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=5)
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except OSError:
            return 0, ""

    def has_ended(self, pid):
        if pid not in self.codes:
            with contextlib.suppress(ChildProcessError):  # It is still a child of its predecessor.
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended == pid:
                    self.codes[pid] = os.waitstatus_to_exitcode(status)
        return pid in self.codes

    def end_process(self, pid, seconds, word=signal.SIGTERM):
        os.kill(pid, word)
        servers.wait_for(lambda: self.has_ended(pid), seconds, f"the end of {pid}")
        return self.codes[pid]

    def client(self, read_timeout=60):
        return Boto3(self.port, servers.KEY, servers.SECRET, read_timeout)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pid in self.pids:
            if not self.has_ended(pid):
                self.end_process(pid, 5, signal.SIGKILL)
        shutil.rmtree(self.folder)


def run(words, **more):
    return subprocess.run(words, capture_output=True, text=True, timeout=30, **more)


class Loop(threading.Thread):
    """Repeats some work until the block ends, and records every failure."""

    def __init__(self, work, pause=0.0):
        super().__init__()
        self.work, self.pause, self.done, self.failures, self.rounds = work, pause, False, [], 0

    def run(self):
        while not self.done:
            try:
                self.work()
                self.rounds += 1
            except Exception as error:
                self.failures.append(repr(error))
            time.sleep(self.pause)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.done = True
        self.join()


def writes_and_reads(client, key, size):
    body = os.urandom(size)

    def work():
        client.put(BUCKET, key, body)
        assert client.get(BUCKET, key)["body"] == body
        client.copy(BUCKET, key, BUCKET, key + "-copy")
        client.delete(BUCKET, key)
    return work


def slow_download(client, key, body, seconds):
    """Reads so slowly that it takes the given time; the rest does not fit into buffers."""
    def work():
        stream, read, steps = client.sdk.get_object(Bucket=BUCKET, Key=key)["Body"], b"", 40
        for _ in range(steps):
            read += stream.read(len(body) // steps)
            time.sleep(seconds / steps)
        assert read + stream.read() == body
    return work


def slow_upload(client, key, body, seconds):
    def work():
        url = urlsplit(client.fourth.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": key}))
        connection = http.client.HTTPConnection(url.netloc, timeout=30)
        connection.putrequest("PUT", f"{url.path}?{url.query}")
        connection.putheader("content-length", str(len(body)))
        connection.endheaders()
        for step in range(40):
            connection.send(body[step * len(body) // 40:(step + 1) * len(body) // 40])
            time.sleep(seconds / 40)
        response = connection.getresponse()
        assert response.status == 200, response.read()
        connection.close()
        assert client.get(BUCKET, key)["body"] == body
    return work


def new_connection(port, context=None):
    """A request without a signature: the proxy itself rejects it, which is a response."""
    def work():
        connection = (http.client.HTTPSConnection("127.0.0.1", port, timeout=10, context=context) if context
                      else http.client.HTTPConnection("127.0.0.1", port, timeout=10))
        connection.request("GET", f"/{BUCKET}/none")
        response = connection.getresponse()
        assert response.status == 403, response.status
        response.read()
        connection.close()
    return work


def persistent_connection(port):
    """Uses one connection until a response has `Connection: close`, then another one."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def work():
        connection.auto_open = connection.sock is None  # A new connection only after `Connection: close`.
        connection.request("GET", f"/{BUCKET}/none")
        response = connection.getresponse()
        assert response.status == 403
        response.read()
        if response.getheader("connection") == "close":
            connection.close()
    work.connection = connection
    return work


def ten_upgrades(binary, running, options):
    """Applications, long transfers and new connections, with HTTP and HTTPS, are not affected by ten upgrades."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        ca, cert, key = authority(folder, ["127.0.0.1.localhost"])
        context = ssl.create_default_context(cafile=ca)
        context.check_hostname = False
        tls = servers.free_ports(1)[0]
        https = f'https = [{{ address = "127.0.0.1:{tls}", cert = "{cert}", key = "{key}" }}]\n'
        proxy = stack.enter_context(Upgradable(binary, running))
        proxy.file.write_text(proxy.file.read_text().replace("[admin]", https + "[admin]"))
        assert proxy.upgrade().returncode == 0, "a new listener needs no restart"
        proxy.client().create_bucket(BUCKET)
        body = os.urandom(24 * MIB)
        proxy.client().put(BUCKET, "large", body)
        oss = Oss2V4(proxy.port, servers.KEY, servers.SECRET)
        loops = [stack.enter_context(Loop(work, pause)) for work, pause in (
            (writes_and_reads(proxy.client(), "one", 3 * MIB), 0.05),
            (writes_and_reads(proxy.client(), "two", 20_000), 0.05),
            (writes_and_reads(oss, "three", 2 * MIB), 0.05), (slow_download(proxy.client(), "large", body, 4), 0),
            (slow_upload(proxy.client(), "up", body[:8 * MIB], 3), 0), (new_connection(proxy.port), 0.005),
            (new_connection(tls, context), 0.01), (persistent_connection(proxy.port), 0.01))]
        time.sleep(1)  # The start time distinguishes processes only by whole seconds.
        for number in range(10):
            before, began = proxy.pid, metric(proxy, "process_start_time_seconds")
            done = proxy.upgrade()
            assert done.returncode == 0 and proxy.pid != before, done
            time.sleep(1)
            started = metric(proxy, "process_start_time_seconds")
            assert started > began > 0, f"the metrics of the new process: {started} after {began}, upgrade {number}"
            assert proxy.get("/readyz")[0] == 200
        for loop in loops:
            loop.done = True
        for loop in loops:
            loop.join()
        assert not [loop.failures[:2] for loop in loops if loop.failures], [loop.failures[:2] for loop in loops]
        rounds = [loop.rounds for loop in loops]
        assert min(rounds) >= 2 and rounds[5] > 200 and rounds[7] > 200, rounds
        for pid in proxy.pids[:-1]:
            servers.wait_for(lambda: proxy.has_ended(pid), 15, f"the end of {pid}\n{proxy.log.read_text()[-3000:]}")
        assert set(proxy.codes.values()) == {0}, proxy.codes
        assert len(set(proxy.pids)) == 12 and not proxy.has_ended(proxy.pid)
        assert proxy.end_process(proxy.pid, 5) == 0 and not proxy.socket.exists()


def control_restart(binary, running, options):
    """The control: a stop and start is noticed."""
    with Upgradable(binary, running) as proxy, Loop(new_connection(proxy.port), 0.005) as loop:
        time.sleep(0.2)
        assert loop.rounds > 5 and not loop.failures, loop.failures[:2]
        assert proxy.end_process(proxy.pid, 5) == 0
        proxy.start()
        loop.done = True
        loop.join()
        assert any("refused" in failure for failure in loop.failures), loop.failures[:2]


def failed_upgrades(binary, running, options):
    """If the new process cannot serve, the old one continues to serve and the command prints the reason."""
    with Upgradable(binary, running) as proxy, Loop(new_connection(proxy.port), 0.01) as loop:
        good, first = proxy.file.read_text(), proxy.pid
        taken = socket.create_server(("127.0.0.1", 0))
        other = servers.free_ports(1)[0]
        listens = f'http = ["127.0.0.1:{proxy.port}", "127.0.0.1:'
        own = f'http = ["127.0.0.1:{proxy.port}'
        for text, why in ((good.replace('dialect = "s3"', 'dialect = "s4"'), 'did you mean "s3"?'),
                          ("nonsense = ", "[admin] control_socket is missing"),
                          (good.replace(own, f"{listens}{taken.getsockname()[1]}"), "cannot listen on"),
                          (good.replace(f'{proxy.socket}"', '/none"'), "no running process listens on this socket")):
            proxy.file.write_text(text)
            done = proxy.upgrade()
            assert done.returncode == 1 and why in done.stderr and not done.stdout, (why, done)
        proxy.file.write_text(good)
        for program, why in (("#!/bin/sh\nexit 7\n", "exit status: 7"), ("nonsense\n", "exit status: 127"),
                             (None, "cannot start"),
                             ("#!/bin/sh\nprintf 'out of order' >&0\n", "out of order")):
            proxy.program.rename(proxy.folder / "aside")
            if program:
                proxy.program.write_text(program)
                proxy.program.chmod(0o755)
            done = run([binary, "upgrade", "--socket", str(proxy.socket)])
            assert done.returncode == 1 and why in done.stderr and "continues to serve" in done.stderr, (why, done)
            (proxy.folder / "aside").rename(proxy.program)
        assert proxy.get("/readyz")[0] == 200 and not proxy.has_ended(first)
        # After the cause is fixed the upgrade works, also with another listener instead of the first one.
        proxy.file.write_text(good.replace(own, f"{listens}{other}"))
        assert proxy.upgrade().returncode == 0
        new_connection(other)()
        loop.done = True
        loop.join()
        proxy.file.write_text(good.replace(f'127.0.0.1:{proxy.port}', f'127.0.0.1:{other}', 1))
        assert proxy.upgrade().returncode == 0
        servers.wait_for(lambda: proxy.has_ended(proxy.pids[-2]), 15, "the end of the old one")
        new_connection(other)()
        assert not servers.connects(proxy.port), "a listener that is no longer configured"
        assert not loop.failures and loop.rounds > 3, (loop.rounds, loop.failures[:3])
        log = proxy.log.read_text()
        assert servers.SECRET not in log and servers.DEMO_SECRET not in log


def request_as_another_user(path):
    """The response to a process of another user."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException), socket.socket(socket.AF_UNIX) as client_socket:
            os.setuid(65534)
            client_socket.connect(str(path))
            client_socket.sendall(b"upgrade\n")
            os.write(write, client_socket.recv(1000))
        os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read, "rb") as response:
        return response.read()


def upgrade_permissions(binary, running, options):
    """Only the same user may request an upgrade; a file at the socket's path is not replaced; demo mode has no upgrade."""
    with Upgradable(binary, running) as proxy:
        assert proxy.socket.stat().st_mode & 0o777 == 0o600
        if os.getuid() == 0:
            proxy.socket.chmod(0o666)
            proxy.folder.chmod(0o755)
            assert b"only the user" in request_as_another_user(proxy.socket)
        with socket.socket(socket.AF_UNIX) as client_socket:
            client_socket.connect(str(proxy.socket))
            client_socket.sendall(b"nonsense")
            assert client_socket.recv(1000) == b"unknown request"
            assert not proxy.log.read_text().count("upgrade requested")
        # Two concurrent requests: the second one fails or upgrades again, and a process serves.
        words = [str(proxy.program), "upgrade", "--socket", str(proxy.socket)]
        both = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
        outputs = [one.communicate(timeout=30) for one in both]
        assert sorted(one.returncode for one in both) in ([0, 0], [0, 1]), outputs
        proxy.pids += [int(pid) for pid in re.findall(r"process (\d+) has taken over", proxy.log.read_text())]
        assert proxy.get("/readyz")[0] == 200
        proxy.end_process(proxy.pid, 5)
        proxy.socket.write_text("precious")
        late = run(proxy.command)
        assert late.returncode == 1 and "is not a socket" in late.stderr and proxy.socket.read_text() == "precious", late
        done = proxy.upgrade()
        assert done.returncode == 1 and "no running process listens on this socket" in done.stderr, done
        demo = proxy.upgrade("--socket", str(Path(proxy.back.folder, "none")))
        assert demo.returncode == 1
        bare = run([binary, "upgrade"])
        assert bare.returncode == 1 and "Demo mode cannot be upgraded" in bare.stderr, bare


def graceful_shutdown(binary, running, options):
    """Shutdown: first not ready, then no new connections; running requests finish within the drain timeout."""
    with Upgradable(binary, running, "shutdown_delay_seconds = 2\ndrain_timeout_seconds = 10") as proxy:
        client, body = proxy.client(), os.urandom(24 * MIB)
        client.create_bucket(BUCKET)
        client.put(BUCKET, "large", body)
        with Loop(slow_download(client, "large", body, 5)) as loop:
            loop.done = True  # One round only.
            persistent = persistent_connection(proxy.port)
            persistent()
            time.sleep(0.5)
            begun = time.monotonic()
            os.kill(proxy.pid, signal.SIGTERM)
            servers.wait_for(lambda: proxy.get("/readyz")[0] == 503, 1, "not to be ready")
            new_connection(proxy.port)()
            assert persistent.connection.sock is not None
            persistent()
            assert persistent.connection.sock is None, "the response has Connection: close"
            servers.wait_for(lambda: not servers.connects(proxy.port), 4, "the listener to close")
            assert time.monotonic() - begun > 1.9
            assert loop.is_alive() and proxy.get("/readyz")[0] == 503
            assert metric(proxy, "blobfish_requests_in_flight") == 1
        assert loop.rounds == 1 and not loop.failures, loop.failures
        servers.wait_for(lambda: proxy.has_ended(proxy.pid), 4, "the end")
        assert proxy.codes[proxy.pid] == 0 and time.monotonic() - begun < 10

    for words, signals in (("drain_timeout_seconds = 1", 1), ("shutdown_delay_seconds = 600\ndrain_timeout_seconds = 1", 2)):
        with Upgradable(binary, running, words) as proxy:
            proxy.client().create_bucket(BUCKET)
            proxy.client().put(BUCKET, "large", body)
            stream = proxy.client().sdk.get_object(Bucket=BUCKET, Key="large")["Body"]
            stream.read(1000)
            begun = time.monotonic()
            for _ in range(signals):
                os.kill(proxy.pid, signal.SIGTERM)
                time.sleep(0.2)
            servers.wait_for(lambda: proxy.has_ended(proxy.pid), 5, "the end of the drain timeout")
            assert proxy.codes[proxy.pid] == 0 and time.monotonic() - begun > 0.9
            assert "the drain timeout expired; 1 open connections are closed" in proxy.log.read_text()

    # A shutdown during an upgrade also ends the new process.
    with Upgradable(binary, running) as proxy:
        proxy.program.rename(proxy.folder / "aside")
        proxy.program.write_text(f'#!/bin/sh\nsleep 1\nexec {proxy.folder}/aside "$@"\n')
        proxy.program.chmod(0o755)
        command = subprocess.Popen([binary, "upgrade", "--socket", str(proxy.socket)], stderr=subprocess.PIPE, text=True)
        servers.wait_for(lambda: "upgrade requested" in proxy.log.read_text(), 3, "the upgrade request")
        time.sleep(0.1)
        assert proxy.end_process(proxy.pid, 3) == 0
        printed = command.communicate(timeout=5)[1]
        assert ("is shutting down" in printed or "did not respond" in printed) and "continues to serve" not in printed, printed
        assert command.returncode == 1
        for _ in range(20):
            assert proxy.get("/readyz")[0] == 0 and not servers.connects(proxy.port)
            time.sleep(0.1)

    # After an upgrade the old process has the long drain timeout, until it gets a signal or the new process exits.
    for hurried in (0, 1):
        with Upgradable(binary, running, "drain_timeout_seconds = 1") as proxy:
            proxy.client().create_bucket(BUCKET)
            proxy.client().put(BUCKET, "large", body)
            stream, first = proxy.client().sdk.get_object(Bucket=BUCKET, Key="large")["Body"], proxy.pid
            stream.read(1000)
            assert proxy.upgrade().returncode == 0
            time.sleep(4)
            assert not proxy.has_ended(first) and proxy.get("/readyz")[0] == 200
            os.kill(proxy.pids[hurried], (signal.SIGTERM, signal.SIGKILL)[hurried])
            servers.wait_for(lambda: proxy.has_ended(first), 3, "the end of the old one")
            assert proxy.codes[first] == 0 and (proxy.get("/readyz")[0] == 200) != hurried
            servers.wait_for(lambda: proxy.has_ended(proxy.pid) == hurried, 1, "the new one to be seen")


def supervisor_notifications(binary, running, options):
    """The notifications to systemd, in order."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(f"{folder}/notify")
        notified.settimeout(5)

        def read_notifications(*leave):
            while (words := notified.recv(4096).decode().split()) in leave:
                pass
            return words

        watchdog = ["WATCHDOG=1"]
        with Upgradable(binary, running, env={"NOTIFY_SOCKET": f"{folder}/notify", "WATCHDOG_USEC": "600000"}) as proxy:
            first = proxy.pid
            assert read_notifications() == ["READY=1"] and [read_notifications(), read_notifications()] == [watchdog] * 2
            before = time.monotonic_ns() // 1000
            os.kill(first, signal.SIGHUP)
            word, stamp = read_notifications(watchdog)
            stamp = int(stamp.removeprefix("MONOTONIC_USEC="))
            assert word == "RELOADING=1" and before <= stamp <= time.monotonic_ns() // 1000
            assert read_notifications(watchdog) == ["READY=1"]
            good = proxy.file.read_text()
            proxy.file.write_text(good + "nonsense = 1\n")
            assert read_notifications(watchdog)[0] == "RELOADING=1" and read_notifications(watchdog) == ["READY=1"], "also when the reload fails"
            assert proxy.upgrade().returncode == 1
            proxy.file.write_text(good)
            assert read_notifications(watchdog)[0] == "RELOADING=1" and read_notifications(watchdog) == ["READY=1"]
            assert proxy.upgrade().returncode == 0
            assert read_notifications(watchdog) == [f"MAINPID={proxy.pid}"], "and no notification from processes that failed"
            servers.wait_for(lambda: proxy.has_ended(first), 6, "the end of the old one")
            os.kill(proxy.pid, signal.SIGTERM)
            assert read_notifications(watchdog) == ["STOPPING=1"], "not from the old process, which would end the service"
            servers.wait_for(lambda: proxy.has_ended(proxy.pid), 5, "the end")


def socket_activation(binary, running, options):
    """Sockets that a supervisor has opened are used, and passed on by an upgrade."""
    with Upgradable(binary, running) as proxy:
        assert proxy.end_process(proxy.pid, 5) == 0
        data, admin = (socket.create_server(("127.0.0.1", port)) for port in (proxy.port, proxy.admin))

        def read_passed_sockets():
            # Move both first, because one may have the number of the other.
            far = [fcntl.fcntl(one.fileno(), fcntl.F_DUPFD, 50) for one in (data, admin)]
            for number, one in enumerate(far, 3):
                os.dup2(one, number)

        wrong = run(proxy.command, close_fds=False, preexec_fn=read_passed_sockets,
                    env={**os.environ, "LISTEN_FDS": "2", "LISTEN_PID": "1"})
        assert wrong.returncode == 1 and "cannot listen on" in wrong.stderr, "the sockets are for another process"
        proxy.start({"LISTEN_FDS": "2"}, close_fds=False, preexec_fn=read_passed_sockets)
        data.close()
        admin.close()
        new_connection(proxy.port)()
        assert proxy.upgrade().returncode == 0
        new_connection(proxy.port)()


ALL = [ten_upgrades, control_restart, failed_upgrades, upgrade_permissions, graceful_shutdown,
       supervisor_notifications, socket_activation]


if __name__ == "__main__":
    servers.main(__doc__, ALL)
