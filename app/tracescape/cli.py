"""The ``tracescape`` command. Every failure a person can cause is one sentence on stderr and exit code 1."""

from __future__ import annotations

import gc
import logging
import os
import resource
import signal
import sys
import threading
import tomllib
from enum import StrEnum
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Final, NoReturn

import typer
from rich.console import Console

from tracescape import __version__, questions
from tracescape.defaults import DEFAULT_GRPC, DEFAULT_HTTP
from tracescape.target import open_target
from tracescape.times import parse_duration
from tracescape_ingest.limits import DEFAULT_MAX_MESSAGE_BYTES, DEFAULT_OBSERVE_S, KERNELS_THREAD
from tracescape_storage.errors import StoreError
from tracescape_storage.limits import DEFAULT_MEMORY_MIB, QueryLimits
from tracescape_storage.retention import DEFAULT_MAX_BYTES, Limits

if TYPE_CHECKING:  # each command loads what it needs: help is there at once, a collector without Numba
    from tracescape.time_shown import TimeShown
    from tracescape_ingest.self_signed import SelfSigned

CONFIG_FILE: Final = Path("tracescape.toml")
DEFAULT_DB: Final = Path("tracescape.db")
DEFAULT_QUERIES: Final = QueryLimits()
_OPEN_FILES: Final = 65_536

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Enter the world of your application: OTLP traces as topology, critical paths and a 3D scene.",
    epilog="Options can also be set as TRACESCAPE_… in the environment or in tracescape.toml.",
)


class Direction(StrEnum):
    """Which way calls are followed."""

    both = "both"
    up = "up"
    down = "down"


out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

SinceOption = Annotated[str | None, typer.Option(help="From when: 15m, ISO time or epoch ns.")]
UntilOption = Annotated[str | None, typer.Option(help="Until when, likewise.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable output.")]


def main() -> None:
    """Run the command line and end the process: the entry point of the installed script."""
    _end(run())


def _end(code: int) -> NoReturn:
    if _compiling():  # Python would end that thread in the middle of LLVM, which aborts or lists what it held
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)
    gc.unfreeze()  # after compiling, whenever it ended: or DuckDB's bindings list what is not collected
    sys.exit(code)


def run() -> int:
    """Run the command line in a process that goes on after it; the exit code."""
    from tracescape_render import RenderError

    try:
        app(prog_name="tracescape", default_map=_configured())
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except (StoreError, RenderError, ValueError, OSError) as error:
        from tracescape.printing import visible

        err.print(f"tracescape: {visible(_words(error))}", markup=False, style="red")
        return 1
    return 0


def _compiling() -> bool:
    return any(thread.name == KERNELS_THREAD for thread in threading.enumerate())


def _words(error: Exception) -> str:
    """What went wrong, without the system's number of it."""
    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{str(error.filename)[:200]}: {error.strerror}"
    return str(error)


@app.callback(invoke_without_command=True)
def _root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        out.print(f"tracescape {__version__}")
        raise typer.Exit
    logging.basicConfig(level=logging.WARNING, format="tracescape: %(message)s")


@app.command()
def serve(
    context: typer.Context,
    db: Annotated[Path, typer.Option(envvar="TRACESCAPE_DB", help="The store file.")] = DEFAULT_DB,
    store: Annotated[
        str | None,
        typer.Option(
            envvar="TRACESCAPE_SERVE_STORE",
            help="Instead of a file: clickhouse://USER:PASSWORD@HOST:PORT/DATABASE, for many collectors.",
        ),
    ] = None,
    grpc: Annotated[
        str, typer.Option(envvar="TRACESCAPE_GRPC", help="OTLP/gRPC at HOST:PORT.")
    ] = DEFAULT_GRPC,
    http: Annotated[
        str,
        typer.Option(envvar="TRACESCAPE_HTTP", help="OTLP/HTTP, questions, /healthz, /readyz at HOST:PORT."),
    ] = DEFAULT_HTTP,
    tls_cert: Annotated[
        Path | None, typer.Option(envvar="TRACESCAPE_TLS_CERT", help="Certificate for both ports (PEM).")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(envvar="TRACESCAPE_TLS_KEY", help="Its private key (PEM).")
    ] = None,
    tls_client_ca: Annotated[
        Path | None,
        typer.Option(
            envvar="TRACESCAPE_TLS_CLIENT_CA", help="CA whose certificates clients must show (PEM)."
        ),
    ] = None,
    tls_self_signed: Annotated[
        bool,
        typer.Option(
            "--tls-self-signed",
            envvar="TRACESCAPE_TLS_SELF_SIGNED",
            help="Make a certificate for both ports, and keep it beside the store.",
        ),
    ] = False,
    tls_name: Annotated[
        list[str] | None,
        typer.Option(
            envvar="TRACESCAPE_TLS_NAME", help="One more name or address that it is for; repeatable."
        ),
    ] = None,
    api_keys: Annotated[
        Path | None,
        typer.Option(envvar="TRACESCAPE_API_KEYS", help="TOML file of keys; each tenant has its own store."),
    ] = None,
    cors_origin: Annotated[
        list[str] | None,
        typer.Option(envvar="TRACESCAPE_CORS_ORIGIN", help="Origin whose pages may send; repeatable."),
    ] = None,
    max_message_mib: Annotated[
        int,
        typer.Option(envvar="TRACESCAPE_MAX_MESSAGE_MIB", min=1, max=1024, help="Largest request in MiB."),
    ] = DEFAULT_MAX_MESSAGE_BYTES >> 20,
    observe_s: Annotated[
        float,
        typer.Option(envvar="TRACESCAPE_OBSERVE_S", min=0, help="Report about itself so often; 0 = never."),
    ] = DEFAULT_OBSERVE_S,
    keep: Annotated[
        str, typer.Option(envvar="TRACESCAPE_KEEP", help="Prune what arrived longer ago: 36h, 14d, forever.")
    ] = "14d",
    max_gib: Annotated[
        float,
        typer.Option(envvar="TRACESCAPE_MAX_GIB", min=0, help="Prune the oldest beyond it; 0 = never."),
    ] = DEFAULT_MAX_BYTES / (1 << 30),
    query_time_s: Annotated[
        float,
        typer.Option(
            envvar="TRACESCAPE_QUERY_TIME_S", min=0.1, max=3600, help="Seconds that a question may take."
        ),
    ] = DEFAULT_QUERIES.time_s,
    query_rows: Annotated[
        int, typer.Option(envvar="TRACESCAPE_QUERY_ROWS", min=1, help="Rows that an answer may have.")
    ] = DEFAULT_QUERIES.rows,
    queries: Annotated[
        int, typer.Option(envvar="TRACESCAPE_QUERIES", min=1, max=256, help="Questions that run at a time.")
    ] = DEFAULT_QUERIES.running,
    memory_mib: Annotated[
        int,
        typer.Option(
            envvar="TRACESCAPE_MEMORY_MIB",
            min=256,
            help="Memory of each store's database, questions and all.",
        ),
    ] = DEFAULT_MEMORY_MIB,
) -> None:
    """Collect: OTLP in over gRPC or HTTP, durable before it is acknowledged, in a file or in ClickHouse."""
    from tracescape.serving import OF_FILES, FileSettings, collector_for
    from tracescape.settings import Settings
    from tracescape_ingest.tls import Tls

    own = _own_certificate(tls_self_signed, tls_name, http, db, (tls_cert, tls_key))
    _allow_many_connections()
    stopped = _on_signals()
    settings = Settings(
        grpc=grpc,
        http=http,
        tls=Tls.checked(tls_cert, tls_key, tls_client_ca)
        if own is None
        else own.tls._replace(client_ca=tls_client_ca),
        api_keys=api_keys,
        cors_origins=cors_origin or (),
        max_message_bytes=max_message_mib << 20,
        observe_s=observe_s,
        queries=DEFAULT_QUERIES._replace(time_s=query_time_s, rows=query_rows, running=queries),
        ready=_on_compiled,
    )
    files = FileSettings(db, _limits(keep, max_gib), memory_mib)
    given = [name for name in OF_FILES if _is_typed(context, name)]
    with collector_for(store, settings, files, given) as collector:
        grpc_url, http_url = collector.grpc_endpoint, collector.http_url
        out.print(f"OTLP/gRPC   {grpc_url}   (OTEL_EXPORTER_OTLP_ENDPOINT={grpc_url})")
        out.print(f"OTLP/HTTP   {http_url}   (and questions: {collector.asked_by})", markup=False)
        for lane in collector.lanes.values():
            out.print(f"store       {lane.location}", markup=False)
        out.print(f"page        {http_url}/   (in a browser)")
        if own is not None:
            _print_certificate(own)
        out.print("Ctrl-C ends it; what was accepted is stored first.")
        stopped.wait()
    out.print("stopped; everything acknowledged is in the store")


def _is_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _own_certificate(
    wanted: bool, more: list[str] | None, http: str, db: Path, given: tuple[Path | None, Path | None]
) -> SelfSigned | None:
    """The certificate that is kept beside the store; never one that nobody asked for."""
    if not wanted:
        if more:
            raise ValueError("--tls-name is for --tls-self-signed; a certificate of your own has its names")
        return None
    if any(given):
        raise ValueError("give either --tls-self-signed or --tls-cert and --tls-key")
    from tracescape_ingest.self_signed import own_names, self_signed

    return self_signed(db.with_name(f"{db.name}.tls"), own_names(http, more or ()))


def _print_certificate(own: SelfSigned) -> None:
    out.print(
        f"certificate {own.tls.cert}   ({'new' if own.made else 'as before'}, until {own.until:%Y-%m-%d})"
    )
    out.print(f"            for {', '.join(own.names)}", markup=False)
    # A pair such as :AB: would become an emoji.
    out.print(f"            SHA-256 {own.fingerprint}", soft_wrap=True, emoji=False, markup=False)
    out.print(
        "            Nobody vouches for it: compare this with what the browser shows before you trust it."
    )


def _on_compiled() -> None:
    """What compiling leaves, hundreds of thousands of objects, stays: no collection looks at it again."""
    gc.collect()
    gc.freeze()
    out.print("decoder     compiled; the slower one served until now")


@app.command()
def explore(
    target: Annotated[
        str, typer.Argument(help="A store file, or HOST:PORT of a collector.")
    ] = "localhost:4318",
    since: SinceOption = None,
    until: UntilOption = None,
    screenshot: Annotated[
        Path | None, typer.Option(help="Write a picture (PNG) instead of opening a window; needs no display.")
    ] = None,
    size: Annotated[str, typer.Option(help="Size of the picture or the window.")] = "1600x900",
    theme: Annotated[str, typer.Option(help="Colours: dark, light or colour-blind.")] = "dark",
    focus: Annotated[
        str | None, typer.Option(help="Show this service and what is near it, nothing else.")
    ] = None,
    hops: Annotated[
        int | None, typer.Option(min=0, max=99, help="How many calls away from it others may be; none: any.")
    ] = None,
    direction: Annotated[
        Direction, typer.Option(help="Follow its callers (up), what it calls (down), or both.")
    ] = Direction.both,
    select: Annotated[str | None, typer.Option(help="Select this service.")] = None,
    view: Annotated[
        str | None, typer.Option(help="Where the camera stands and looks: x,y,z,x,y,z; key k copies it.")
    ] = None,
    at: Annotated[
        str | None, typer.Option(help="The world as it was then: 15m, ISO time or epoch ns.")
    ] = None,
    width: Annotated[str | None, typer.Option(help="How long that moment looks back; else 5m.")] = None,
    trace: Annotated[
        str | None, typer.Option(help="Replay this trace through the world as it was when it ended.")
    ] = None,
    share: Annotated[
        str | None, typer.Option(help="How far its replay is: 0.4 or 40%; else where most is to be seen.")
    ] = None,
    video: Annotated[
        Path | None,
        typer.Option(
            help="Write a film (mp4, mkv, webm, gif, webp): of the trace's replay, of the time from --since"
            " to --until, else of a flight around. Needs no display."
        ),
    ] = None,
    glb: Annotated[
        Path | None, typer.Option(help="Write the world as a GLB file, for Blender and other viewers.")
    ] = None,
    inside: Annotated[
        bool, typer.Option("--inside", help="Step inside that trace: it stands as a wall of spans.")
    ] = False,
    beside: Annotated[
        str | None, typer.Option(help="Inside, with another trace beside it: an id, or typical.")
    ] = None,
    within: Annotated[
        str | None,
        typer.Option(help="Inside, only from when to when, ns, and from lane to lane; key k writes it."),
    ] = None,
    span: Annotated[str | None, typer.Option(help="Inside, with the span of that id selected.")] = None,
    wall_view: Annotated[
        str | None, typer.Option(help="Inside, where the camera stands before the wall, as --view; key k.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(help="Another moment: what grew, shrank, appeared, vanished from one to the other."),
    ] = None,
    split: Annotated[
        bool, typer.Option("--split", help="Both moments beside each other, not blended.")
    ] = False,
    stereo: Annotated[
        bool, typer.Option("--stereo", help="For two eyes: two pictures beside each other; key z.")
    ] = False,
    openxr: Annotated[
        bool,
        typer.Option(
            "--openxr",
            help="In a headset through VTK's OpenXR, where VTK has it (Windows); not tried on hardware.",
        ),
    ] = False,
    web: Annotated[
        bool, typer.Option("--web", help="In a browser, on the collector's page; prints the address, too.")
    ] = False,
) -> None:
    """See the application: a 3D window, live from a collector or from a file."""
    from tracescape import exploring
    from tracescape.time_shown import TimeShown
    from tracescape.view import start_of

    shown = TimeShown(since, until, at, width, trace, against)
    asked = exploring.Asked(
        trace, share, inside, beside, within, span, wall_view, at, against, split, screenshot, video
    )
    asked = asked._replace(stereo=stereo, openxr=openxr, glb=glb)
    request = asked.request()
    start = start_of(
        _pixels(size), theme, view, focus, hops, direction.value, select, split=split, stereo=stereo
    )
    if web:
        only_here = {
            "--screenshot": screenshot,
            "--video": video,
            "--glb": glb,
            "--inside": inside,
            "--focus": focus,
            "--stereo": stereo,
            "--openxr": openxr,
        }
        if refused := [name for name, value in only_here.items() if value]:
            raise ValueError(f"--web and {refused[0]} do not go together")
        _in_browser(target, shown, select, view)
        return
    with open_target(target) as store:
        _prepare_kernels()
        if openxr:
            exploring.headset(store, target, shown, start)
            return
        if screenshot is None and video is None and glb is None:
            exploring.window(store, target, shown, request, start)
            return
        drawn = exploring.drawn(store, target, shown, request, start, screenshot, video, glb)
        for line in drawn.notes:
            err.print(f"tracescape: {line}", markup=False, style="yellow")
        for path in drawn.paths:
            out.print(str(path), markup=False)


def _in_browser(target: str, shown: TimeShown, select: str | None, view: str | None) -> None:
    from tracescape.in_browser import open_browser, world_address

    with open_target(target) as store:
        store.extent()  # whoever does not answer is told of here, and not by a browser
        address = world_address(store, shown, select, view)
    out.print(address, markup=False)
    if not open_browser(address):
        err.print("tracescape: no browser was found here; open the address in one", style="yellow")


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="Parquet span table or OTLP JSON.")],
    endpoint: Annotated[
        str, typer.Option(envvar="OTEL_EXPORTER_OTLP_ENDPOINT", help="Where OTLP/gRPC listens.")
    ] = "http://localhost:4317",
    speed: Annotated[
        str, typer.Option(help="1 = as recorded, 10 = ten times faster, max = as fast as possible.")
    ] = "max",
    now: Annotated[bool, typer.Option("--now", help="Shift the times to end now; new ids.")] = False,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after this many spans.")] = None,
) -> None:
    """Send recorded traces to a collector through the OTLP exporter's protocol."""
    from tracescape.progress import counting
    from tracescape.replay import replay as send

    with counting("sending spans") as progress:
        result = send(file, endpoint, speed=_speed(speed), now=now, limit=limit, progress=progress)
    rate = result.spans_sent / max(result.seconds, 1e-9)
    out.print(f"{result.spans_sent:,} spans acknowledged in {result.seconds:.1f} s ({rate:,.0f} spans/s)")
    if result.spans_failed:
        err.print(f"tracescape: {result.spans_failed:,} spans were not acknowledged", style="red")
        raise typer.Exit(1)


app.add_typer(questions.commands)


@app.command()
def export(
    trace_id: Annotated[str | None, typer.Argument(help="32 hexadecimal digits; none: everything.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file. Without one a trace is printed.")
    ] = None,
    target: Annotated[
        str,
        typer.Option("--store", envvar="TRACESCAPE_STORE", help="A store file, HOST:PORT or clickhouse://…"),
    ] = "localhost:4318",
    parquet: Annotated[
        Path | None,
        typer.Option(help="Write everything into this folder as Parquet, a file an hour; again: the new."),
    ] = None,
    since: Annotated[str | None, typer.Option(help="With --parquet: from when, whole hours.")] = None,
    until: Annotated[str | None, typer.Option(help="With --parquet: until when, likewise.")] = None,
) -> None:
    """Write one trace as OTLP JSON, which replay and every OTLP/HTTP receiver take.

    Without a trace, copy the whole store into a new file: consistent, also while a collector writes it. With
    --parquet, write a folder that Polars, DuckDB, Spark and others read.
    """
    if parquet is not None:
        if trace_id is not None or output is not None:
            raise ValueError("--parquet writes a folder of everything: it goes with no trace and no --output")
        _to_parquet(target, parquet, since, until)
        return
    if since is not None or until is not None:
        raise ValueError("--since and --until are for --parquet")
    if trace_id is None:
        _copy(target, output)
        return
    with open_target(target) as store:
        text = store.trace(trace_id).to_otlp_json(indent=None if output is None else 1) + "\n"
    if output is None:
        sys.stdout.write(text)
        return
    output.write_text(text, encoding="utf-8")
    out.print(str(output), markup=False)


def _to_parquet(target: str, folder: Path, since: str | None, until: str | None) -> None:
    with open_target(target) as store:
        written = store.export_parquet(folder, since=since, until=until)
    kept = f", {written.kept:,} were there" if written.kept else ""
    out.print(f"{folder}   {written.rows:,} rows in {written.files:,} files{kept}", markup=False)


def _copy(target: str, output: Path | None) -> None:
    if output is None:
        raise ValueError("a copy of a store is a file: name it with --output, or name a trace to print")
    with open_target(target) as store:
        rows = store.backup(output)
    out.print(f"{output}   {rows:,} rows", markup=False)


@app.command()
def doctor(
    target: Annotated[
        str, typer.Argument(help="A store file, or HOST:PORT of a collector.")
    ] = "localhost:4318",
    as_json: JsonOption = False,
    compact: Annotated[
        bool, typer.Option("--compact", help="Give free room in a closed file back to the file system first.")
    ] = False,
) -> None:
    """See how a store and its collector are: what is there, what it costs, what was refused."""
    from tracescape import printing
    from tracescape.doctor import compacted, examine, report

    if compact:
        err.print(compacted(target), markup=False)
    with open_target(target) as store:
        found = examine(store)
    if as_json:
        printing.print_json([found])
        return
    for line in report(found):
        out.print(line, markup=False)


@app.command()
def demo(
    db: Annotated[Path, typer.Option(help="The store file; made anew at every start.")] = Path(
        "tracescape-demo.db"
    ),
    grpc: Annotated[str, typer.Option(help="OTLP/gRPC at HOST:PORT.")] = DEFAULT_GRPC,
    http: Annotated[str, typer.Option(help="OTLP/HTTP and questions at HOST:PORT.")] = DEFAULT_HTTP,
    picture: Annotated[Path, typer.Option(help="Where the picture goes.")] = Path("tracescape-demo.png"),
    fault: Annotated[
        str, typer.Option(metavar="NAME[@WHERE]", help="What goes wrong; a wrong name lists what can.")
    ] = "slow-dependency",
    off_screen: Annotated[bool, typer.Option("--off-screen", help="No window, even with a display.")] = False,
) -> None:
    """A collector, a shop of a dozen services that sends real OTLP, and the window."""
    from tracescape.demo import run_demo

    run_demo(db, grpc=grpc, http=http, picture=picture, off_screen=off_screen, console=out, fault=fault)


def _prepare_kernels() -> None:
    from tracescape_analytics.warm_up import warm_up

    with err.status("preparing the kernels (compiled once after installation, then cached) …"):
        warm_up()


def _limits(keep: str, max_gib: float) -> Limits:
    age = None if keep.strip().lower() == "forever" else parse_duration(keep)
    if age == 0:
        raise ValueError("--keep 0 would keep nothing; write 14d, or forever")
    if not max_gib * (1 << 30) < 1 << 63:
        raise ValueError(f"--max-gib {max_gib:g} is more than any disk has; write 0 for no limit")
    return Limits(age, round(max_gib * (1 << 30)) or None)


def _pixels(size: str) -> tuple[int, int]:
    width, _, height = size.lower().partition("x")
    if width.isdigit() and height.isdigit() and 64 <= int(width) <= 16_384 and 64 <= int(height) <= 16_384:
        return int(width), int(height)
    raise ValueError(f"{size!r} is no size; write WIDTHxHEIGHT in pixels, such as 1600x900")


def _speed(text: str) -> float | None:
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = -1.0
    if not 0 < speed < float("inf"):
        raise ValueError(f"{text!r} is no speed; write 1, 10, 0.5 or max")
    return speed


def _configured() -> dict[str, object]:
    """The options in ``tracescape.toml`` here, a table a command; none without the file."""
    if not CONFIG_FILE.exists():
        return {}
    try:
        return tomllib.loads(CONFIG_FILE.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{CONFIG_FILE} is not valid TOML: {error}") from error


def _allow_many_connections() -> None:
    """Raise the limit of open files: a shell's usual 1,024 is less than idle exporters may take."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _on_signals() -> threading.Event:
    """An event that SIGINT and SIGTERM set; a second Ctrl-C interrupts at once."""
    stopped = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        if stopped.is_set():
            raise KeyboardInterrupt
        stopped.set()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    return stopped
