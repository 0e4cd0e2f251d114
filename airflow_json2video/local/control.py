"""Endpoints under ``/_control`` that control the service. They need no key and serve only this machine."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

if TYPE_CHECKING:
    from starlette.requests import Request

    from airflow_json2video.local.backend import Backend

__all__ = ["control_routes"]

_LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1", "localhost", "testclient"}


def control_routes(backend: Backend) -> list[Route]:
    """Return the routes that control *backend*."""

    async def requests(request: Request) -> Any:
        if request.method == "DELETE":
            backend.journal.clear()
        return {"requests": backend.journal.describe()}

    async def faults(request: Request) -> Any:
        if request.method == "POST":
            rules = await _json(request)
            return {"faults": [backend.add_fault(rule) for rule in (rules if isinstance(rules, list) else [rules])]}
        if request.method == "DELETE":
            backend.faults.clear(request.query_params.get("id"))
        return {"faults": [fault.describe() for fault in backend.faults.all()]}

    async def clock(request: Request) -> Any:
        if request.method == "POST":
            _set_clock(backend, await _json(request))
        return backend.clock.describe()

    async def settings(request: Request) -> Any:
        if request.method == "POST":
            changes = await _json(request)
            if not isinstance(changes, dict):
                raise ValueError("settings must be an object")
            backend.settings.update(changes)
        return backend.settings.describe()

    async def renders(request: Request) -> Any:  # noqa: ARG001 - a handler takes a request
        return {"renders": [backend.describe_render(r) for r in backend.store.all()]}

    async def reset(request: Request) -> Any:  # noqa: ARG001
        backend.reset()
        return {"success": True}

    return [
        Route("/_control/requests", _guarded(requests), methods=["GET", "DELETE"]),
        Route("/_control/faults", _guarded(faults), methods=["GET", "POST", "DELETE"]),
        Route("/_control/clock", _guarded(clock), methods=["GET", "POST"]),
        Route("/_control/settings", _guarded(settings), methods=["GET", "POST"]),
        Route("/_control/renders", _guarded(renders), methods=["GET"]),
        Route("/_control/reset", _guarded(reset), methods=["POST"]),
    ]


def _guarded(handler: Callable[[Request], Awaitable[Any]]) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        if request.client is None or request.client.host not in _LOOPBACK:
            return JSONResponse({"message": "the control endpoints serve only this machine"}, status_code=403)
        # A web page in a browser on this machine must not control the service.
        if request.headers.get("origin"):
            return JSONResponse({"message": "the control endpoints do not serve web pages"}, status_code=403)
        try:
            return JSONResponse(await handler(request))
        except (ValueError, TypeError) as error:
            return JSONResponse({"message": str(error)}, status_code=400)

    return handle


async def _json(request: Request) -> Any:
    try:
        return await request.json()
    except ValueError:
        raise ValueError("the body is not JSON") from None


def _set_clock(backend: Backend, orders: Any) -> None:
    """Move the clock: ``scale``, ``freeze``, ``resume``, ``move_to``, ``advance``, in that order."""
    known = {"scale", "freeze", "resume", "move_to", "advance"}
    if not isinstance(orders, dict) or not set(orders) <= known:
        raise ValueError(f"a clock takes {', '.join(sorted(known))}")
    clock = backend.clock
    if "scale" in orders:
        clock.set_scale(float(orders["scale"]))
    if orders.get("freeze"):
        clock.freeze()
    if orders.get("resume"):
        clock.resume()
    if "move_to" in orders:
        clock.move_to(orders["move_to"])
    if "advance" in orders:
        clock.advance(float(orders["advance"]))
