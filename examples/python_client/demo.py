#!/usr/bin/python3
"""Talks to a Troupe node from the command line, as a hidden node of its own."""
import argparse
import json
import logging
import signal
import sys
import time

from troupe_client import Call, Down, Exited, Failure, cookie, join, printed

EXIT_CODES = {"noconnection": 3, "closed": 3, "shutting_down": 3, "timeout": 4, "bad_cookie": 5, "not_allowed": 5}


def value(text):
    """JSON, else a text: 5, '["push", {"number": 5}]', +."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def shown(answer):
    return json.dumps(answer, ensure_ascii=False, default=str)


def send(me, options):
    me.send(options.to, value(options.message))


def call(me, options):
    print(shown(me.call(options.to, value(options.message), options.timeout)))


def rpc(me, options):
    try:
        print(shown(me.rpc(options.function, *map(value, options.arguments), timeout=options.timeout)))
    finally:  # what the function printed came before its answer
        show_waiting(me)


def show_waiting(me):
    try:
        while True:
            show(me.receive(0))
    except Failure:  # no more
        pass


def watch(me, options):
    me.monitor(options.to)
    print(f"watching {options.to}", flush=True)
    while not isinstance(item := me.receive(options.timeout), Down):
        show(item)
    print(f"{item.watched} ended: {printed(item.reason)}")


def serve(me, options):
    """Others may now send to NAME, call it, monitor it, and call NAME.add, NAME.sleep and NAME.hello by rpc."""
    def hello(process, who):
        process.print(f"hello, {who}\n")

    me.node.offer(f"{options.to}.add", lambda a, b: a + b)
    me.node.offer(f"{options.to}.sleep", time.sleep)
    me.node.offer(f"{options.to}.hello", hello, with_process=True)
    print(f"serving as {options.to} on {me.node.name}", flush=True)
    while True:
        try:
            item = me.receive(options.timeout)
        except Failure as why:
            if why.name == "timeout":
                continue
            raise
        show(item)
        if isinstance(item, Call):
            item.reply(["echo", item.content])


def show(item):
    content = getattr(item, "content", None)
    if isinstance(content, list) and content[:1] == ["io.put"]:
        print(content[1]["text"], end="", flush=True)
    elif content is not None:
        print(f"{type(item).__name__.lower()}: {shown(content)}", flush=True)
    else:
        print(f"{type(item).__name__.lower()}: {shown(list(item))}", flush=True)


def parse(words):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("node", help="a node of this host (exercise, exercise@localhost) or an endpoint (tcp://…)")
    parser.add_argument("--name", help="of this node: part@host; unique in the cluster (default: a random one)")
    parser.add_argument("--cookie-file", help="default: TROUPE_COOKIE, ~/.troupe/cookie")
    parser.add_argument("--tool", action="store_true", help="prove the control key of the run directory")
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds (default: 5)")
    commands = parser.add_subparsers(dest="command", required=True)
    for run, *arguments in ((send, "to", "message"), (call, "to", "message"), (rpc, "function", "arguments"),
                            (watch, "to"), (serve, "to")):
        command = commands.add_parser(run.__name__)
        command.set_defaults(run=run)
        for argument in arguments:
            command.add_argument(argument, nargs="*" if argument == "arguments" else None)
    return parser.parse_args(words)


def main(words):
    options = parse(words)
    logging.basicConfig(format="%(message)s")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    otherwise = 3  # not reachable; the codes are those of the tool `troupe`
    try:
        secret = cookie(options.cookie_file) if options.cookie_file else None
        with join(options.node, options.name, secret, options.tool, timeout=options.timeout) as node:
            otherwise = 1
            options.run(node.process(options.to if options.run is serve else None), options)
    except (Failure, Exited, OSError) as why:
        print(f"demo.py: {why}", file=sys.stderr)
        return EXIT_CODES.get(getattr(why, "name", None), otherwise)
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
