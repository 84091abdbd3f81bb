"""Every way in which the service refuses a call, by a name of ours, in each spelling it uses."""

from enum import StrEnum

import msgspec

from kiro2api.protocol.wire import json

SUSPENDED_TEXT = (
    "Your User ID (d-0000000000.user-1) is temporarily suspended. We detected unusual user "
    "activity and locked it as a security precaution. Contact support to restore access."
)
BEARER_TEXT = "The bearer token included in the request is invalid."
CAPACITY_TEXT = "I am experiencing high traffic, please try again shortly."


class Form(StrEnum):
    """How a refusal is spelled."""

    REST = "rest"  # name in a header, message and reason in the body
    JSON = "json"  # name and namespace in the body
    OUTPUT = "output"  # {"Output": {…}, "Version": "1.0"}
    CAPITAL = "capital"  # {"Message": "…"}
    NESTED = "nested"  # {"error": {"code": "…", "message": "…"}}
    EMPTY = "empty"
    HTML = "html"


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """One refusal: what the service means, whatever the spelling."""

    status: int
    exception: str
    message: str
    # None is an explicit null; UNSET leaves the member out.
    reason: str | msgspec.UnsetType | None = msgspec.UNSET
    retry_after_ms: int | None = None
    retry_after_s: int | None = None
    form: Form | None = None


def spell_refusal(refusal: Refusal, form: Form) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of `refusal`, in `form` unless it insists on its own."""
    headers = {"content-type": "application/json"}
    if refusal.retry_after_s is not None:
        headers["retry-after"] = str(refusal.retry_after_s)
    plain: dict[str, object] = {"message": refusal.message}
    if refusal.reason is not msgspec.UNSET:
        plain["reason"] = refusal.reason
    if refusal.retry_after_ms is not None:
        plain["retryAfterMilliseconds"] = refusal.retry_after_ms
    name = f"com.amazon.kiro.runtimeservice#{refusal.exception}"
    match refusal.form or form:
        case Form.REST:
            origin = "http://internal.amazon.com/coral/com.amazon.kiro.runtimeservice/"
            headers["x-amzn-errortype"] = f"{refusal.exception}:{origin}"
            return headers, json.encode(plain)
        case Form.JSON:
            headers["content-type"] = "application/x-amz-json-1.0"
            return headers, json.encode({"__type": name, **plain})
        case Form.OUTPUT:
            return headers, json.encode({"Output": {"__type": name, **plain}, "Version": "1.0"})
        case Form.CAPITAL:
            return headers, json.encode({"Message": refusal.message})
        case Form.NESTED:
            inner = {"code": "validation_error", "message": refusal.message}
            return headers, json.encode({"error": inner})
        case Form.EMPTY:
            return {**headers, "content-type": "text/plain"}, b""
        case Form.HTML:
            page = f"<html><head><title>{refusal.status}</title></head><body></body></html>\n"
            return {**headers, "content-type": "text/html"}, page.encode()


def _validation(message: str, reason: str | msgspec.UnsetType | None) -> Refusal:
    return Refusal(status=400, exception="ValidationException", message=message, reason=reason)


def _denied(message: str, reason: str | msgspec.UnsetType = msgspec.UNSET) -> Refusal:
    return Refusal(status=403, exception="AccessDeniedException", message=message, reason=reason)


def _throttled(
    message: str,
    reason: str | msgspec.UnsetType = msgspec.UNSET,
    *,
    retry_after_ms: int | None = None,
    retry_after_s: int | None = None,
) -> Refusal:
    return Refusal(
        status=429,
        exception="ThrottlingException",
        message=message,
        reason=reason,
        retry_after_ms=retry_after_ms,
        retry_after_s=retry_after_s,
    )


def _quota(reason: str) -> Refusal:
    message = "You have reached the limit."
    return Refusal(
        status=402, exception="ServiceQuotaExceededException", message=message, reason=reason
    )


def _server(
    status: int,
    message: str,
    *,
    exception: str = "InternalServerException",
    reason: str | msgspec.UnsetType = msgspec.UNSET,
    form: Form | None = None,
) -> Refusal:
    return Refusal(status=status, exception=exception, message=message, reason=reason, form=form)


_TOO_MANY = "Too many requests, please wait before trying again."

REFUSALS: dict[str, Refusal] = {
    # 400
    "context_too_long": _validation("Input is too long.", "CONTENT_LENGTH_EXCEEDS_THRESHOLD"),
    "prompt_too_long": _validation("The prompt exceeds the limit.", "PROMPT_TOO_LONG"),
    "signature_invalid": _validation(
        "Invalid `signature` in `thinking` block.", "THINKING_SIGNATURE_INVALID"
    ),
    "invalid_model": _validation(
        "Invalid model. Please select a different model to continue.", "INVALID_MODEL_ID"
    ),
    "profile_required": _validation("profileArn is required for this request.", msgspec.UNSET),
    "profile_invalid": _validation("Invalid profileArn.", msgspec.UNSET),
    "monthly_quota_400": Refusal(
        status=400,
        exception="ThrottlingException",
        message="Maximum Request reached for this month.",
        reason="MONTHLY_REQUEST_COUNT",
    ),
    "invalid_token_400": Refusal(
        status=400, exception="AccessDeniedException", message="Invalid token"
    ),
    "bad_request": _validation("Improperly formed request.", "REQUEST_BODY_INVALID"),
    "bad_request_old": _validation("Improperly formed request.", None),
    "tool_use_mismatch": _validation(
        "messages.2: `tool_use` ids were found without `tool_result` blocks",
        "TOOL_USE_RESULT_MISMATCH",
    ),
    "tool_schema_invalid": _validation("Invalid tool schema.", "TOOL_SCHEMA_INVALID"),
    "image_too_large": _validation("Image is too large.", "IMAGE_SIZE_EXCEEDED"),
    # 401, 402
    "unauthorized": Refusal(status=401, exception="UnauthorizedException", message="Unauthorized"),
    "quota_monthly": _quota("MONTHLY_REQUEST_COUNT"),
    "quota_overage": _quota("OVERAGE_REQUEST_LIMIT_EXCEEDED"),
    "conversation_limit": _quota("CONVERSATION_LIMIT_EXCEEDED"),
    # 403
    "token_expired": _denied("Token expired"),
    "bearer_invalid": _denied(BEARER_TEXT),
    "unauthenticated": _denied("Request is unauthenticated"),
    "suspended": _denied(SUSPENDED_TEXT, "TEMPORARILY_SUSPENDED"),
    "feature_not_supported": _denied(
        "Feature is not supported for this user.", "FEATURE_NOT_SUPPORTED"
    ),
    "feature_not_authorized": _denied("User is not authorized to access this feature"),
    "builder_id_unsupported": _denied("AWS Builder ID is not supported for this operation."),
    "call_not_authorized": _denied("User is not authorized to make this call."),
    "subscription_unsupported": _denied("Your subscription does not support this application"),
    "token_type_unsupported": _denied("Unsupported token type"),
    "api_key_unsupported": _denied("API key authentication is not supported for this operation."),
    # 404 … 422
    "unknown_operation": Refusal(
        status=404, exception="UnknownOperationException", message="unknown operation"
    ),
    "resource_not_found": Refusal(
        status=404, exception="ResourceNotFoundException", message="Resource not found."
    ),
    "request_timeout": Refusal(
        status=408, exception="RequestTimeoutException", message="Request timed out."
    ),
    "kms_key_disabled": Refusal(
        status=409,
        exception="ConflictException",
        message="The key is disabled.",
        reason="CUSTOMER_KMS_KEY_DISABLED",
    ),
    "body_too_large": Refusal(
        status=413, exception="RequestEntityTooLargeException", message="Request too large."
    ),
    "length_limit": Refusal(
        status=400,
        exception="ValidationException",
        message="Failed to buffer the request body: length limit exceeded",
        form=Form.NESTED,
    ),
    "unprocessable": Refusal(
        status=422, exception="UnprocessableEntityException", message="Unprocessable content."
    ),
    # 429
    "model_capacity": _throttled(CAPACITY_TEXT, "INSUFFICIENT_MODEL_CAPACITY", retry_after_ms=5000),
    "model_capacity_text": _throttled(
        "The model you've selected is experiencing a high volume of traffic. Try again later."
    ),
    "throttled_month": _throttled("Limit reached.", "MONTHLY_REQUEST_COUNT"),
    "throttled_week": _throttled("Limit reached.", "WEEKLY_REQUEST_COUNT"),
    "throttled_day": _throttled("Limit reached.", "DAILY_REQUEST_COUNT"),
    "throttled_hour": _throttled("Limit reached.", "HOURLY_REQUEST_COUNT"),
    "usage_limit": _throttled("Limit reached.", "USAGE_LIMIT_REACHED"),
    "credit_rate": _throttled(
        _TOO_MANY, "CREDIT_CONSUMPTION_RATE_EXCEEDED", retry_after_ms=300_000
    ),
    "credit_rate_text": _throttled("60-minute credit limit exceeded"),
    "user_rate": _throttled(_TOO_MANY, "USER_REQUEST_RATE_EXCEEDED", retry_after_ms=2000),
    "user_rate_header": _throttled(_TOO_MANY, "USER_REQUEST_RATE_EXCEEDED", retry_after_s=2),
    "rate_plain": _throttled(_TOO_MANY),
    "service_rate": _throttled("Rate exceeded", "SERVICE_REQUEST_RATE_EXCEEDED"),
    # 500 …
    "high_load": _server(500, "Encountered unexpectedly high load when processing the request."),
    "unavailable_inside": _server(
        500, "Service unavailable.", exception="ServiceUnavailableException"
    ),
    "model_unavailable": _server(
        500, "The model is temporarily unavailable.", reason="MODEL_TEMPORARILY_UNAVAILABLE"
    ),
    "model_unavailable_503": _server(
        503,
        "The model is temporarily unavailable.",
        exception="ServiceUnavailableException",
        reason="MODEL_TEMPORARILY_UNAVAILABLE",
    ),
    "internal": _server(500, "Internal server error"),
    "internal_empty": _server(500, "", form=Form.EMPTY),
    "bad_gateway": _server(502, "Bad gateway", form=Form.HTML),
    "unavailable": _server(503, "Service unavailable.", exception="ServiceUnavailableException"),
    "gateway_timeout": _server(504, "Gateway timeout", form=Form.HTML),
}


# What the sign-in services say: the code, the exception's name, the status.
class SignInRefusal(msgspec.Struct, frozen=True):
    """One refusal of the sign-in services, which have a spelling of their own."""

    status: int
    error: str
    exception: str
    description: str


SIGN_IN_REFUSALS: dict[str, SignInRefusal] = {
    refusal.error: refusal
    for refusal in (
        SignInRefusal(
            400, "invalid_grant", "InvalidGrantException", "Invalid refresh token provided"
        ),
        SignInRefusal(401, "invalid_client", "InvalidClientException", "Invalid client provided"),
        SignInRefusal(400, "expired_token", "ExpiredTokenException", "The token has expired"),
        SignInRefusal(400, "slow_down", "SlowDownException", "Polling too fast"),
        SignInRefusal(400, "access_denied", "AccessDeniedException", "Access denied"),
        SignInRefusal(
            400, "authorization_pending", "AuthorizationPendingException", "Not signed in yet"
        ),
        SignInRefusal(
            400, "unauthorized_client", "UnauthorizedClientException", "Grant not allowed"
        ),
        SignInRefusal(400, "invalid_request", "InvalidRequestException", "Malformed request"),
        SignInRefusal(400, "invalid_scope", "InvalidScopeException", "Invalid scope"),
        SignInRefusal(
            400, "unsupported_grant_type", "UnsupportedGrantTypeException", "Unknown grant type"
        ),
        SignInRefusal(500, "server_error", "InternalServerException", "Internal error"),
    )
}


def spell_sign_in(refusal: SignInRefusal) -> tuple[dict[str, str], bytes]:
    """Return the headers and the body of a refusal of the sign-in services."""
    headers = {"content-type": "application/json", "x-amzn-errortype": refusal.exception}
    body = {"error": refusal.error, "error_description": refusal.description}
    return headers, json.encode(body)
