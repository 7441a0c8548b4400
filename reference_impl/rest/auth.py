"""Signing in over REST: links, tokens, devices (TOK-1..5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import AfterValidator, Field, WithJsonSchema
from starlette.responses import Response

from reference_impl.auth.desk import Reused
from reference_impl.domain.accounts import is_email
from reference_impl.rest.bodies import Body, Text
from reference_impl.rest.caller import Caller, User, json_body, optional_json_body
from reference_impl.web.answers import success
from reference_impl.web.operations import operation, schema

if TYPE_CHECKING:
    from reference_impl.auth.desk import AccountDesk, SignedIn
    from reference_impl.parts import Core
    from reference_impl.settings import Auth

_TOKENS: Final = schema("tokens.json")
_OBJECT: Final = {"type": "object"}


def _email(value: str) -> str:
    if not is_email(value):
        raise ValueError("must be an e-mail address")
    return value


Email = Annotated[str, AfterValidator(_email), WithJsonSchema({"type": "string", "format": "email", "maxLength": 254})]


class MagicLinkRequest(Body):
    """The address to send a sign-in link to."""

    email: Email


class VerifyRequest(Body):
    """The token from a sign-in mail."""

    token: Text


class RefreshRequest(Body):
    """The refresh token to use up."""

    refresh_token: Text


class LogoutRequest(Body):
    """The refresh token whose session is to end besides that of the access token."""

    refresh_token: Text = Field(default_factory=str)


class DeviceAuthorizationRequest(Body):
    """What a device may say of itself."""

    client_id: str = Field(default_factory=str)
    scope: str = Field(default_factory=str)


class DeviceTokenRequest(Body):
    """One poll of a device."""

    device_code: Text
    grant_type: Literal["urn:ietf:params:oauth:grant-type:device_code"] = Field(
        default="urn:ietf:params:oauth:grant-type:device_code"
    )
    client_id: str = Field(default_factory=str)


class DeviceConfirmRequest(Body):
    """The user code that a signed-in user approves."""

    user_code: Text


def auth(core: Core) -> APIRouter:
    """Make the routes."""
    desk = core.accounts
    router = APIRouter(prefix="/auth", tags=["Auth"])
    _links(router, desk)
    _sessions(router, desk)
    _devices(router, desk, core.parts.settings.auth)
    return router


def _links(router: APIRouter, desk: AccountDesk) -> None:
    @router.post(
        "/magic-link",
        dependencies=[Depends(json_body)],
        **operation("requestMagicLink", data=_OBJECT, body=True, public=True),
    )
    async def request_magic_link(body: MagicLinkRequest) -> Response:
        """Send a sign-in link; the answer is the same for every address (TOK-3)."""
        await desk.send_link(body.email)
        return success({"sent": True})

    @router.post(
        "/verify",
        dependencies=[Depends(json_body)],
        **operation("verifyMagicLink", data=_TOKENS, also=(401,), body=True, public=True),
    )
    async def verify_magic_link(body: VerifyRequest, request: Request) -> Response:
        """Turn the token of a link into tokens, once."""
        return _tokens(request, await desk.follow_link(body.token))


def _sessions(router: APIRouter, desk: AccountDesk) -> None:
    @router.post(
        "/refresh",
        dependencies=[Depends(json_body)],
        **operation("refreshTokens", data=_TOKENS, also=(401,), body=True, public=True),
    )
    async def refresh_tokens(body: RefreshRequest, request: Request) -> Response:
        """Turn a refresh token into new tokens, once."""
        try:
            return _tokens(request, await desk.refresh(body.refresh_token))
        except Reused as refusal:
            request.state.acting = refusal.user_id
            raise

    @router.post("/logout", dependencies=[Depends(optional_json_body)], **operation("logout", data={}, body=True))
    async def logout(caller: Caller, body: LogoutRequest | None = None) -> Response:
        """End the session."""
        return success({"sessionsEnded": await desk.sign_out(caller, body.refresh_token if body else None)})

    @router.get("/me", **operation("getMe", data=schema("user.json"), checked=False))
    async def get_me(caller: Caller) -> Response:
        """Who the token belongs to."""
        return success({"id": caller.user_id, "email": await desk.email_of(caller)})


def _devices(router: APIRouter, desk: AccountDesk, settings: Auth) -> None:
    @router.post(
        "/device/authorize",
        dependencies=[Depends(optional_json_body)],
        **operation("authorizeDevice", data=schema("device-authorization.json"), body=True, public=True),
    )
    async def authorize_device(_body: DeviceAuthorizationRequest | None = None) -> Response:
        """Begin a device grant."""
        device_code, user_code, grant = await desk.begin_device()
        shown: dict[str, Any] = {
            "deviceCode": device_code,
            "userCode": user_code,
            "verificationUri": settings.device_url,
            "verificationUriComplete": f"{settings.device_url}?user_code={user_code}",
            "expiresIn": settings.device_ttl_s,
            "interval": grant.interval_ms / 1000,
        }
        return success(shown)

    @router.post(
        "/device/confirm",
        dependencies=[Depends(json_body)],
        **operation("confirmDevice", data={}, also=(404, 409), body=True),
    )
    async def confirm_device(body: DeviceConfirmRequest, user: User) -> Response:
        """Approve a device by its user code."""
        await desk.confirm_device(user, body.user_code)
        return success({"confirmed": True})

    @router.post(
        "/device/token",
        dependencies=[Depends(json_body)],
        **operation("pollDeviceToken", data=_TOKENS, body=True, public=True),
    )
    async def poll_device_token(body: DeviceTokenRequest, request: Request) -> Response:
        """Ask whether the device was approved."""
        return _tokens(request, await desk.poll_device(body.device_code))


def _tokens(request: Request, given: SignedIn) -> Response:
    request.state.acting = given.user_id
    response = success(given.shown())
    response.headers["Cache-Control"] = "no-store"
    return response
