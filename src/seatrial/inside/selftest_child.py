"""Tries what an interpreter should be able to do, on its own pipe: the probe runs it in its own process."""

import importlib
import importlib.util
import os
import sys
import threading

from seatrial.inside.child import say
from seatrial.inside.handed import ASKED, PATH

STORES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


def tell_modules(names: str) -> None:
    for name in names.split():
        say(begin=name)
        try:
            importlib.import_module(name)
        except BaseException as error:
            absent = isinstance(error, ModuleNotFoundError) and error.name == name
            say(module=name, ok=False, absent=absent, error=f"{type(error).__name__}: {str(error)[:500]}")
        else:
            say(module=name, ok=True)


def tell_trust() -> None:
    say(begin="ssl")
    certificates, file, folder, problem = 0, "", "", ""
    try:
        import ssl

        paths = ssl.get_default_verify_paths()
        file = os.environ.get(paths.openssl_cafile_env) or paths.openssl_cafile
        folder = os.environ.get(paths.openssl_capath_env) or paths.openssl_capath
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.set_default_verify_paths()
        certificates = context.cert_store_stats()["x509_ca"]
        if not certificates and os.path.isdir(folder):
            # A folder's certificates are found by their hash, when a server shows its own.
            hashed = [name for name in os.listdir(folder) if len(name) > 9 and name[8] == "."]
            certificates = len([name for name in hashed if os.path.exists(os.path.join(folder, name))])
    except BaseException as error:
        problem = f"{type(error).__name__}: {str(error)[:500]}"
    lost = [f"{name} names {os.environ[name]}" for name in STORES if not os.path.exists(os.environ.get(name) or "/")]
    say(
        trust={
            "certificates": certificates,
            "file": file,
            "folder": folder,
            "certifi": certifi(),
            "error": problem,
            "lost": lost,
        }
    )


def certifi() -> str:
    """Return certifi's bundle; empty where there is none."""
    try:
        sys.path[:] = sys.path if ASKED["hooked"] else PATH
        spec = importlib.util.find_spec("certifi")
        bundle = os.path.join(os.path.dirname(spec.origin), "cacert.pem") if spec and spec.origin else ""
        return bundle if bundle and os.path.getsize(bundle) > 0 else ""
    except BaseException:
        return ""


def tell_recursion() -> None:
    """Say whether a thread that recurses to the limit gets its RecursionError and goes on."""
    say(begin="a thread that recurses")
    survived = []

    def deeper(_: int) -> "object":
        # Through map, so that the C stack grows too: since 3.11 a plain call does not take any of it.
        return list(map(deeper, (0,)))

    def recurse() -> None:
        try:
            deeper(0)
        except RecursionError:
            survived.append(True)

    thread = threading.Thread(target=recurse)
    thread.start()
    thread.join()
    say(recursion=bool(survived))


tell_modules(ASKED["names"])
tell_trust()
tell_recursion()
os._exit(0)
