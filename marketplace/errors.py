"""The kinds of refusal, without HTTP: a stable slug, a Chinese title, and the data of the case.

`web/problems.py` maps a kind to a status by the class hierarchy, so a new error never edits that table.
Beside the six kinds of the design there are three that the edge needs: Throttled, Unavailable and
PreconditionFailed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar


class MarketplaceError(Exception):
    """Root of all refusals. `slug` is stable for clients; `detail` is for this case; `data` is extra members."""

    slug: ClassVar[str] = "error"
    title: ClassVar[str] = "出错了"

    def __init__(self, detail: str | None = None, *, slug: str | None = None, **data: Any) -> None:
        super().__init__(detail or self.title)
        self.detail = detail
        self.data = data
        self.code = slug or self.slug


class NotFound(MarketplaceError):
    """The object is absent, or outside the scope of the one who asks: both answer alike."""

    slug = "not-found"
    title = "找不到这一项"


class Unauthenticated(MarketplaceError):
    slug = "unauthenticated"
    title = "请先登录"


class Forbidden(MarketplaceError):
    """The role never has the permission."""

    slug = "forbidden"
    title = "这个账号没有这项权限"


class Conflict(MarketplaceError):
    """The request is well formed, but the present state stands against it."""

    slug = "conflict"
    title = "与现在的状态冲突"


class AlreadyThere(Conflict):
    """The natural key (a code, a name, a number) is in use; `data` may say which."""

    slug = "already-there"
    title = "这一项已经有了"


class WrongState(Conflict):
    slug = "wrong-state"
    title = "现在的状态不能这样做"


class PreconditionFailed(Conflict):
    """If-Match names another version than the present one."""

    slug = "precondition-failed"
    title = "内容已被别人改过，请重新打开"


class RuleViolation(MarketplaceError):
    """The content is refused by a rule; `errors` lists {pointer, detail} of everything that is wrong."""

    slug = "invalid"
    title = "内容不符合要求"

    def __init__(
        self,
        detail: str | None = None,
        *,
        slug: str | None = None,
        errors: list[dict[str, str]] | None = None,
        **data: Any,
    ) -> None:
        if errors is not None:
            data["errors"] = errors
        super().__init__(detail, slug=slug, **data)


def refuse_fields(problems: Iterable[tuple[str, str | None]], detail: str | None = None) -> None:
    """Raise RuleViolation (`invalid`) with every field that has a problem, each as {pointer, detail}; else nothing."""
    errors = [{"pointer": f"#/{field}", "detail": problem} for field, problem in problems if problem]
    if errors:
        raise RuleViolation(detail, errors=errors)


class Throttled(MarketplaceError):
    """Too many tries; `retry_after` in seconds."""

    slug = "too-many-requests"
    title = "请求太多，请稍后再试"

    def __init__(self, detail: str | None = None, *, retry_after: int, **data: Any) -> None:
        super().__init__(detail, **data)
        self.retry_after = retry_after


class Unavailable(MarketplaceError):
    """We cannot serve this now, and nothing was changed; `retry_after` in seconds."""

    slug = "unavailable"
    title = "系统忙，请稍后再试"

    def __init__(self, detail: str | None = None, *, retry_after: int = 2, **data: Any) -> None:
        super().__init__(detail, **data)
        self.retry_after = retry_after


class UpstreamFailure(MarketplaceError):
    """Another system did not answer as agreed; its effect is unknown until proved."""

    slug = "upstream-failure"
    title = "外部系统没有正常答复"
