"""The servers: what each needs, and the commands that start it with the app on a port."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUILD = HERE.parents[1] / "build" / "servers"
APPS = HERE / "apps"
TOOLS = BUILD / "tools"
PYTHON_PACKAGES = ["gunicorn==23.0.0", "waitress==3.0.2"]
NODE_PACKAGE = "ssestream@1.1.0"
TOMCAT = Path("/usr/share/tomcat10")


class Skipped(Exception):
    """The server cannot run here; the text says why."""


class Server:
    def __init__(self, name, commands, base="", prepare=lambda: None, starts_within=15, without=()):
        self.name, self.commands, self.base = name, commands, base
        self.prepare, self.starts_within, self.without = prepare, starts_within, without


def program(*names):
    """The first of the programs that is installed."""
    path = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/sbin"])
    for name in names:
        if found := shutil.which(name, path=path):
            return found
    raise Skipped(f"no {names[0]} here")


def needs(*names):
    return lambda: [program(name) for name in names]


# --- CGI ---


def cgi_folder(folder):
    bin_ = folder / "cgi-bin"
    bin_.mkdir()
    shutil.copy(APPS / "app.cgi", bin_ / "app")
    return folder


def busybox(folder, port):
    command = [program("busybox"), "httpd", "-f", "-p", f"127.0.0.1:{port}", "-h", cgi_folder(folder)]
    return [(command, {})]


def python_cgi(folder, port):
    command = [sys.executable, "-m", "http.server", "--cgi", "--bind", "127.0.0.1", str(port)]
    return [(command, {"cwd": cgi_folder(folder)})]


def python_has_cgi():
    # Removed in Python 3.15.
    shown = subprocess.run([sys.executable, "-m", "http.server", "--help"], capture_output=True)
    if b"--cgi" not in shown.stdout:
        raise Skipped("this Python's http.server has no --cgi")


def lighttpd(folder, port, more):
    text = f"""
server.document-root = "{folder}"
server.bind = "127.0.0.1"
server.port = {port}
server.stream-response-body = 2
{more}
"""
    (folder / "lighttpd.conf").write_text(text)
    return [program("lighttpd"), "-D", "-f", folder / "lighttpd.conf"]


def lighttpd_cgi(folder, port):
    more = 'server.modules = ("mod_cgi")\n$HTTP["url"] =~ "^/cgi-bin/" { cgi.assign = ("" => "") }'
    return [(lighttpd(cgi_folder(folder), port, more), {})]


# --- PHP ---


def php(folder, port):
    command = [program("php"), "-S", f"127.0.0.1:{port}", APPS / "app.php"]
    return [(command, {"cwd": folder})]


def php_fpm(folder, port):
    shutil.copy(APPS / "app.php", folder)
    listener = folder / "fpm.sock"
    (folder / "fpm.conf").write_text(f"""
[global]
error_log = /dev/stderr
daemonize = no
[www]
listen = {listener}
pm = static
pm.max_children = 2
""")
    more = f"""
server.modules = ("mod_fastcgi")
fastcgi.server = (".php" => (("socket" => "{listener}")))
"""
    fpm = [program(*FPM), "-y", folder / "fpm.conf", "-F"] + (["-R"] if os.getuid() == 0 else [])
    return [(fpm, {}), (lighttpd(folder, port, more), {})]


FPM = ["php-fpm", *(f"php-fpm8.{minor}" for minor in range(9, 0, -1))]


def prepare_fpm():
    program("lighttpd")
    program(*FPM)


# --- Python ---


def prepare_python():
    venv = TOOLS / "venv"
    stamp = venv / "packages"
    if not stamp.exists() or stamp.read_text().split() != PYTHON_PACKAGES:
        install([sys.executable, "-m", "venv", "--clear", venv])
        install([venv / "bin" / "pip", "install", "--quiet", *PYTHON_PACKAGES])
        stamp.write_text("\n".join(PYTHON_PACKAGES))


def install(command, **options):
    done = subprocess.run(command, capture_output=True, text=True, **options)
    if done.returncode:
        raise Skipped(f"failed to run {command[0]}: {done.stderr.strip().splitlines()[-1:]}")


def gunicorn(*options):
    def commands(_, port):
        command = [TOOLS / "venv" / "bin" / "gunicorn", "--bind", f"127.0.0.1:{port}", *options]
        return [([*command, "wsgi:app"], {"cwd": APPS, "env": no_bytecode()})]

    return commands


def waitress(_, port):
    command = [TOOLS / "venv" / "bin" / "waitress-serve", f"--listen=127.0.0.1:{port}", "wsgi:app"]
    # Without it, up to 18,000 bytes of a response are held back.
    command.insert(1, "--send-bytes=1")
    return [(command, {"cwd": APPS, "env": no_bytecode()})]


def no_bytecode():
    return {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}


# --- Node, Go, Java ---


def prepare_node():
    program("node")
    folder = TOOLS / "node"
    if not (folder / "node_modules" / "ssestream").exists():
        folder.mkdir(parents=True, exist_ok=True)
        install([program("npm"), "install", "--silent", "--prefix", folder, NODE_PACKAGE])


def node(_, port):
    modules = TOOLS / "node" / "node_modules"
    environment = {**os.environ, "PORT": str(port), "NODE_PATH": str(modules)}
    return [([program("node"), APPS / "app.js"], {"env": environment})]


def prepare_go():
    built = TOOLS / "go" / "app"
    if not built.exists() or built.stat().st_mtime < (APPS / "app.go").stat().st_mtime:
        install([program("go"), "build", "-o", built, APPS / "app.go"])


def go(_, port):
    return [([TOOLS / "go" / "app"], {"env": {**os.environ, "PORT": str(port)}})]


def prepare_tomcat():
    program("java")
    if not TOMCAT.exists():
        raise Skipped("no tomcat10 here")


def tomcat(folder, port):
    for part in ["conf", "logs", "temp", "work", "webapps/ROOT/WEB-INF"]:
        (folder / part).mkdir(parents=True)
    (folder / "conf" / "server.xml").write_text(f"""
<Server port="-1"><Service name="Catalina">
  <Connector port="{port}" address="127.0.0.1" protocol="HTTP/1.1"/>
  <Engine name="Catalina" defaultHost="localhost"><Host name="localhost" appBase="webapps"/></Engine>
</Service></Server>
""")
    shutil.copy("/etc/tomcat10/web.xml", folder / "conf")
    root = folder / "webapps" / "ROOT"
    shutil.copy(APPS / "app.jsp", root)
    (root / "WEB-INF" / "web.xml").write_text("""
<web-app xmlns="https://jakarta.ee/xml/ns/jakartaee" version="6.0">
  <servlet><servlet-name>app</servlet-name><jsp-file>/app.jsp</jsp-file></servlet>
  <servlet-mapping><servlet-name>app</servlet-name><url-pattern>/*</url-pattern></servlet-mapping>
</web-app>
""")
    jars = ":".join(str(TOMCAT / "bin" / name) for name in ["bootstrap.jar", "tomcat-juli.jar"])
    homes = [f"-Dcatalina.home={TOMCAT}", f"-Dcatalina.base={folder}"]
    start = ["org.apache.catalina.startup.Bootstrap", "start"]
    return [([program("java"), "-cp", jars, *homes, *start], {})]


SERVERS = [
    # Lenient heads: the first two end lines with LF, as the script does; ssestream in `node` sends
    # `Transfer-Encoding: identity`.
    Server("busybox-cgi", busybox, "/cgi-bin/app", needs("busybox")),
    # It sends 200 whatever the script's status, and closes only after it has read the rest of a
    # refused request, which takes two system calls a byte.
    Server(
        "python-cgi", python_cgi, "/cgi-bin/app", python_has_cgi, without=["early close", "missing"]
    ),
    Server("lighttpd-cgi", lighttpd_cgi, "/cgi-bin/app", needs("lighttpd")),
    Server("php", php, prepare=needs("php")),
    Server("php-fpm", php_fpm, "/app.php", prepare_fpm),
    Server("gunicorn-sync", gunicorn(), prepare=prepare_python),
    Server("gunicorn-gthread", gunicorn("--threads", "2", "--worker-class", "gthread"), prepare=prepare_python),
    Server("waitress", waitress, prepare=prepare_python),
    Server("node", node, prepare=prepare_node),
    Server("go", go, prepare=prepare_go),
    Server("tomcat", tomcat, prepare=prepare_tomcat, starts_within=90),
]
