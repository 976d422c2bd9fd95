"""`dapt serve`: serves the models of the repository, with a web page and an API."""

import ipaddress
import os
import socket
from pathlib import Path

from dapt.telling.errors import UserError, short

KEY = "DAPT_API_KEY"
KERNELS = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"  # oneDNN's default is 1,024 kernels, one per shape, which takes many MB


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def run(host: str, port: int, folder: Path, gigabytes: float) -> None:
    os.environ.setdefault(KERNELS, "256")  # before torch is imported
    try:
        import uvicorn

        from dapt.serving.app import Limits, create
    except ImportError as error:
        raise UserError(
            f"the package {error.name} is not installed; run pip install -r requirements-serve.txt"
        ) from error
    from dapt.serving.batcher import GRACE
    from dapt.serving.store import Store, found

    key = os.environ.get(KEY) or None
    if key and not (key.isascii() and key.isprintable()):
        raise UserError(
            f"{KEY} has characters other than printable ASCII, which an HTTP header cannot contain; choose another key"
        )
    if not 0 < gigabytes < float("inf"):
        raise UserError(f"--memory is {gigabytes:g}; it must be a number of GB greater than 0")
    if not is_loopback(host) and not key:
        raise UserError(
            f"{host} can be reached from other machines; set {KEY} to a key that clients must send, or use --host 127.0.0.1"
        )
    if not found(folder):
        raise UserError(f"{folder} contains no models; create them with dvc repro, or download them with dvc pull")
    app = create(Store(folder, int(gigabytes * 1e9)), Limits(key))
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as given:
        given.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            given.bind((host, port))
        except (OSError, OverflowError) as error:  # unknown host name, port in use, or invalid port
            raise UserError(
                f"cannot listen on {host}, port {port} ({short(error)}); choose another --port or --host"
            ) from error
        given.listen()
        shown = f"[{host}]" if ":" in host else host
        print(f"serving http://{shown}:{given.getsockname()[1]}", flush=True)
        settings = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=GRACE)
        uvicorn.Server(settings).run([given])
