"""Runs the local cloud (ministack) until standard input closes.

The launcher holds the other end of standard input, so that nothing stays behind however the launcher
ends, `kill -9` included: the state is saved, then the functions' processes end with the emulator.
"""

import os
import signal
import sys
import threading

# How long saving the state may take before the whole group is ended regardless.
GRACE_SECONDS = 15


def end_with_launcher():
    while os.read(0, 4096):
        pass
    threading.Timer(GRACE_SECONDS, end_group).start()
    os.kill(os.getpid(), signal.SIGTERM)


def end_group():
    os.killpg(0, signal.SIGKILL)


def fail_alone(invoke):
    """A process whose start failed fails its own call, as in Lambda. The emulator would kill all processes
    of the function for that, and those that start in their place kill each other on and on."""

    def call(worker, *arguments, **options):
        try:
            return invoke(worker, *arguments, **options)
        except Exception as error:  # whatever it is, the emulator reports it as the function's
            payload = {"errorMessage": str(error), "errorType": "Runtime.ExitError"}
            return {"status": "error", "error": str(error), "error_payload": payload, "log": ""}

    return call


def carry_traces(sqs):
    """The emulator's batch call leaves out the system attributes of its messages, in which their trace travels."""
    send, send_batch = sqs._act_send_message, sqs._act_send_message_batch
    left = threading.local()

    def one(data, url):
        if getattr(left, "entries", None):
            data = {**data, "MessageSystemAttributes": left.entries.pop(0).get("MessageSystemAttributes")}
        return send(data, url)

    def batch(data, url):
        left.entries = list(data.get("Entries") or [])
        try:
            return send_batch(data, url)
        finally:
            left.entries = None

    sqs._act_send_message = one
    for name, action in sqs._HANDLERS.items():
        if action is send_batch:
            sqs._HANDLERS[name] = batch


def main():
    # Its own group: Ctrl-C in the terminal reaches the launcher alone, and the group is ours to end.
    os.setpgid(0, 0)
    threading.Thread(target=end_with_launcher, daemon=True).start()
    from ministack.app import main as ministack
    from ministack.core.lambda_runtime import ProvidedWorker, Worker
    from ministack.services import sqs

    carry_traces(sqs)
    # After each call the emulator waits 50 ms for a log line. Ours go to files (see deploy.py).
    Worker._drain_stderr_bounded = lambda *_arguments, **_options: ""
    ProvidedWorker.invoke = fail_alone(ProvidedWorker.invoke)
    if calls_file := os.environ.get("CALLS_FILE"):
        sys.dont_write_bytecode = True  # this folder belongs to the repository
        import roles

        roles.install(calls_file)
    sys.argv = ["ministack"]
    try:
        ministack()
    finally:
        sys.stdout.flush()
        end_group()


if __name__ == "__main__":
    main()
