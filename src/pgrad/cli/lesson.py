"""`pgrad lesson`: open the lesson in a browser."""

import webbrowser
from contextlib import suppress
from pathlib import Path

from pgrad.cli.parser import Parser
from pgrad.lesson.pack import pack
from pgrad.lesson.serve import new_server, on_loopback

PORT = 8_642
LOOPBACK = "127.0.0.1"


def command(argv: list[str]) -> int:
    """Run `pgrad lesson`."""
    parser = Parser(
        "lesson",
        "[flags]",
        "Open the lesson on policy gradients in a browser. Everything is computed there, and this Python checks the\n"
        "answers to its exercises; nothing leaves the machine.",
    )
    parser.add_argument("--port", default=PORT, help=f"where to listen; 0 for any that is free (default {PORT})")
    parser.add_argument(
        "--host", default=LOOPBACK, help=f"address to listen on (default {LOOPBACK}: this machine alone)"
    )
    parser.add_argument("--no-open", action="store_true", help="only print the address")
    parser.add_argument("--zip", metavar="FILE", help="write the page to a zip instead, for any web host")
    parser.add_argument("--solutions", action="store_true", help="leave the exercises' solutions in the zip")
    arguments = parser.checked(argv)
    if arguments.zip is not None:
        pack(Path(arguments.zip), arguments.solutions)
        print(f"the lesson is in {arguments.zip}, {'with' if arguments.solutions else 'without'} solutions")
        return 0
    with new_server(arguments.host, arguments.port) as server, suppress(KeyboardInterrupt):
        print(f"the lesson is at {server.address} until you press Ctrl-C", flush=True)
        if not on_loopback(arguments.host):
            print("everybody who reaches this machine can read it there; it is files and checks no answers", flush=True)
        if not arguments.no_open and not webbrowser.open(server.address):
            print("no browser opened: open the address yourself", flush=True)
        server.serve_forever()
    return 0
