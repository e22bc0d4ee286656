"""How long a campaign is: its share of all tries, or what fits into some seconds."""

import time

_ends = [float("inf")]


def add_sizes(parser, of="counts"):
    """Give a parser the two options that every campaign has."""
    parser.add_argument("--share", type=float, default=1.0, help=f"of all {of}; 1 is all")
    parser.add_argument("--seconds", type=float, help="begin nothing more after so many")


def begin(options):
    """Start the clock."""
    if options.seconds is not None:
        _ends[0] = time.monotonic() + options.seconds


def in_time(tries):
    """Go through some tries as long as there is time."""
    for each in tries:
        if time.monotonic() > _ends[0]:
            print("    the time is over", flush=True)
            return
        yield each
