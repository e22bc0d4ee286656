"""Processes that are killed, stopped or failed at exactly their Nth change of a file.

A small library in C counts the changes that a process makes (`shim.c`; it needs a C compiler and Linux). The parent
never touches LanceDB itself: each try is a process of its own.
"""

import contextlib
import ctypes
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
KILL, FAIL, STOP = 1, 2, 3


def preload(name):
    """Start this program again with the library in front of the system's own.

    `name` is the `__name__` of the campaign: whoever imports one goes on as the program that it is.
    """
    if name != "__main__" or os.environ.get("MOVREC_SHIM"):
        return
    library = Path(tempfile.gettempdir()) / f"movrec-shim-{os.getuid()}-{os.getpid()}.so"
    done = subprocess.run(["cc", "-shared", "-fPIC", "-o", library, HERE / "shim.c", "-ldl"])
    if done.returncode or sys.platform != "linux":
        sys.exit("This campaign needs Linux and a C compiler (cc).")
    changed = {"LD_PRELOAD": str(library), "MOVREC_SHIM": str(library)}
    code = subprocess.run([sys.executable, *sys.argv], env={**os.environ, **changed}).returncode
    library.unlink()
    sys.exit(code)


def shim():
    return ctypes.CDLL(os.environ["MOVREC_SHIM"])


def told(function):
    """What a function returns, or how it fails: ok, refused in a sentence, or a FAULT."""
    from small import is_one_sentence

    try:
        return ["ok", function()]
    except BaseException as error:
        kind = "refused" if is_one_sentence(error) else "FAULT"
        return [kind, f"{type(error).__name__}: {str(error)[:300]}"]


class Child:
    """A process that does one thing: alone, or killed, failed or stopped at its Nth change."""

    def __init__(self, function, how=0, at=-1, error=0, keep=False, quiet=True):
        read, write = os.pipe()
        self.pid, self.result = os.fork(), None
        if self.pid == 0:
            try:
                os.close(read)
                if quiet:
                    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
                library = shim()
                library.shim_count.restype = ctypes.c_long
                library.shim_arm(ctypes.c_long(at), how, error, -1, int(keep))
                said = told(function)
                library.shim_disarm()
                os.write(write, json.dumps([*said, library.shim_count()]).encode())
            finally:
                os._exit(0)
        os.close(write)
        self.pipe = read

    def is_stopped(self):
        """Wait until it has stopped or ended; say whether it has stopped."""
        _, status = os.waitpid(self.pid, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            self.pid = None
            return False
        return True

    def end(self, kill_after=None, patience=120):
        """What came of it: ok, refused, FAULT, killed or HANG, then what it said, then its changes."""
        if self.pid is not None:
            os.kill(self.pid, signal.SIGCONT)
        if kill_after is not None:
            time.sleep(kill_after)
            os.kill(self.pid, signal.SIGKILL)
        ready = select.select([self.pipe], [], [], patience)[0]
        if not ready:
            os.kill(self.pid, signal.SIGKILL)
        content = os.read(self.pipe, 2**20) if ready else b""
        os.close(self.pipe)
        if self.pid is not None:
            os.waitpid(self.pid, 0)
        if content:
            return json.loads(content)
        return ["killed" if ready else "HANG", "", 0]


def run(function, **how):
    return Child(function, **how).end()


MODULES = """
filelock gensim.models.doc2vec huggingface_hub.hf_api lancedb.index lancedb.table model2vec.persistence nltk.tokenize
nltk.stem.snowball pyarrow.parquet rapidfuzz.process safetensors.numpy scipy.io sklearn.decomposition
sklearn.feature_extraction.text sklearn.linear_model tokenizers torch torch.optim torch._dynamo xml.sax
movrec.classifier movrec.doc2vec movrec.recommend movrec.workings.reader
"""


def import_all():
    """Import what each child would have to, and run none of it: LanceDB must not when a process forks."""
    for name in MODULES.split():
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
