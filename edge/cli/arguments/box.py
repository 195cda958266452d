"""The arguments of the commands of the box: `run`, `serve`, `web`, `doctor`."""

from __future__ import annotations

from pathlib import Path

from edge.cli.arguments import Commands, add_command, add_config_option
from edge.doctor import PARTS

_RUN_EPILOG = """\
signals:
  TERM, INT  shut down within five seconds; no finding is lost
  HUP        reload the settings
exit status:
  0  shut down as requested
  1  a part of the program failed
  2  wrong usage, or the daemon cannot start
"""


def add_run(commands: Commands) -> None:
    """Describe the command."""
    command = add_command(
        commands,
        "run",
        "edge.cli.run:run",
        "run the appliance daemon: button, camera, USB sticks, inbox",
        details="Runs the appliance daemon until it is stopped: it judges recordings of the "
        "camera, clips on USB sticks and files in the inbox.",
        epilog=_RUN_EPILOG,
    )
    command.add_argument(
        "--panel",
        choices=("hardware", "terminal", "none"),
        help="where button, lamps and display are: on the Pi's header, in this terminal, nowhere",
    )
    command.add_argument(
        "--camera", type=Path, metavar="FILE", help="play this clip or picture as the camera"
    )
    command.add_argument(
        "--inbox", type=Path, metavar="DIR", help="judge files that are put into this folder"
    )
    command.add_argument(
        "--store", type=Path, metavar="DIR", help="keep history and recordings in this folder"
    )
    add_config_option(command)


_SERVE_EPILOG = """\
examples:
  truelight serve                            for this machine alone
  truelight serve --address 0.0.0.0          for the local network, over TLS
"""


def add_serve(commands: Commands) -> None:
    """Describe the command."""
    command = add_command(
        commands,
        "serve",
        "edge.cli.serve:run",
        "serve the page and the API",
        details="Serves the page, on which clips are sent and findings are read, and the API. "
        "Only paired devices may use them: a code is printed here.",
        epilog=_SERVE_EPILOG,
    )
    command.add_argument(
        "--address", help="listen at this address (default: this machine alone, 127.0.0.1)"
    )
    command.add_argument("--port", type=int, help="listen at this port (default 8443)")
    command.add_argument(
        "--no-tls",
        action="store_true",
        help="without encryption: for a proxy that encrypts, or an older app in a network of yours",
    )
    command.add_argument(
        "--box",
        type=Path,
        metavar="SOCKET",
        help="the socket of a daemon that runs; without it, one is started",
    )
    command.add_argument(
        "--camera", type=Path, metavar="FILE", help="play this clip or picture as the camera"
    )
    command.add_argument(
        "--store", type=Path, metavar="DIR", help="keep history, uploads and devices in this folder"
    )
    add_config_option(command)


def add_web(commands: Commands) -> None:
    """Describe the command."""
    command = add_command(
        commands,
        "web",
        "edge.cli.web:run_status",
        "switch the box's page on or off, pair devices",
        details="The page of the box is off until it is switched on. This says whether it is on.",
    )
    actions = command.add_subparsers(title="actions", metavar="on|off|status|pair")
    add_command(actions, "on", "edge.cli.web:run_on", "switch the page on, now and at every start")
    add_command(actions, "off", "edge.cli.web:run_off", "switch the page off")
    add_command(
        actions, "status", "edge.cli.web:run_status", "say whether it is on, and where it is"
    )
    add_command(actions, "pair", "edge.cli.web:run_pair", "print a code that pairs a device")


_DOCTOR_EPILOG = f"""\
parts:
  {" ".join(PARTS[:8])}
  {" ".join(PARTS[8:])}

exit status:
  0  all checks passed
  1  there are warnings
  2  a check failed
"""


def add_doctor(commands: Commands) -> None:
    """Describe the command."""
    command = add_command(
        commands,
        "doctor",
        "edge.cli.doctor:run",
        "check every part of the box, and say how to mend what is wrong",
        details="Checks every part of the box, and says how to mend what is wrong. In a terminal "
        "it asks what you see and asks you to press the button.",
        epilog=_DOCTOR_EPILOG,
    )
    command.add_argument("--json", action="store_true", help="print one JSON object, ask nothing")
    command.add_argument(
        "--only",
        action="append",
        choices=PARTS,
        metavar="PART",
        default=[],
        help="check only this part; may be repeated",
    )
    command.add_argument("--no-questions", action="store_true", help="ask nothing")
    add_config_option(command)
