"""Declarations of reserves, and the figures of a budget year with the rows behind them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Response
from flask_smorest import Blueprint

from marketplace.actors import Permission
from marketplace.database import db
from marketplace.quota import explain, figures, queries, report, service
from marketplace.quota.schemas import (
    DeclarationArgs,
    DeclarationIn,
    DeclarationOut,
    DeclarationWithVersionsOut,
    EntriesArgs,
    EntriesOut,
    FigureArgs,
    MissingArgs,
    MissingListOut,
    PaceArgs,
    PaceOut,
    PeriodOut,
    SummaryArgs,
    SummaryOut,
)
from marketplace.unit_of_work import retrying
from marketplace.web.edge import current_actor, expected_version, once, requires, sent, shown
from marketplace.web.schemas import ReasonIn, page_of

blp = Blueprint("quota", __name__, url_prefix="/api/v1", description="预留份额填报与执行情况")
blueprints = [blp]

DeclarationPage = page_of(DeclarationOut)


@blp.route("/declarations", methods=["GET"])
@requires(Permission.DECLARATION_READ)
@blp.arguments(DeclarationArgs, location="query")
@blp.response(200, DeclarationPage)
def list_declarations(args: dict[str, Any]) -> Response:
    """Declarations in one's scope, the latest year first, each with its newest version."""
    return shown(DeclarationPage, queries.list_declarations(db.session(), current_actor(), **args))


@blp.route("/declarations", methods=["POST"])
@requires(Permission.DECLARATION_FILE)
@blp.arguments(DeclarationIn)
@blp.response(201, DeclarationWithVersionsOut)
@retrying
def file_declaration(fields: dict[str, Any]) -> Response:
    """File the reserve of an agency and year: a draft, or a new version of what was filed."""
    answer = once(DeclarationWithVersionsOut(), status=201)
    return sent(service.file_declaration(current_actor(), **fields, once=answer))


@blp.route("/declarations/missing", methods=["GET"])
@requires(Permission.DECLARATION_READ)
@blp.arguments(MissingArgs, location="query")
@blp.response(200, MissingListOut)
def missing_declarations(args: dict[str, Any]) -> Response:
    """Agencies that owe a declaration and have none approved; members of a shared canteen owe none."""
    rows = queries.missing_declarations(db.session(), current_actor(), **args)
    return shown(MissingListOut(), {"items": rows, "total": len(rows)})


@blp.route("/declarations/<uuid:declaration_id>", methods=["GET"])
@requires(Permission.DECLARATION_READ)
@blp.response(200, DeclarationWithVersionsOut)
def get_declaration(declaration_id: UUID) -> Response:
    """A declaration with all its versions."""
    view = queries.declaration_view(db.session(), current_actor(), declaration_id)
    return shown(DeclarationWithVersionsOut(), view)


@blp.route("/declarations/<uuid:declaration_id>/submit", methods=["POST"])
@requires(Permission.DECLARATION_FILE)
@blp.response(200, DeclarationWithVersionsOut)
@retrying
def submit_declaration(declaration_id: UUID) -> Response:
    """Hand the draft in for review."""
    answer = once(DeclarationWithVersionsOut())
    return sent(
        service.submit_declaration(current_actor(), declaration_id, expected=expected_version(), once=answer)
    )


@blp.route("/declarations/<uuid:declaration_id>/withdraw", methods=["POST"])
@requires(Permission.DECLARATION_FILE)
@blp.response(200, DeclarationWithVersionsOut)
@retrying
def withdraw_declaration(declaration_id: UUID) -> Response:
    """Take a submitted declaration back."""
    answer = once(DeclarationWithVersionsOut())
    return sent(
        service.withdraw_declaration(
            current_actor(), declaration_id, expected=expected_version(), once=answer
        )
    )


@blp.route("/declarations/<uuid:declaration_id>/approve", methods=["POST"])
@requires(Permission.DECLARATION_REVIEW)
@blp.response(200, DeclarationWithVersionsOut)
@retrying
def approve_declaration(declaration_id: UUID) -> Response:
    """Approve the newest version: figures use it from now on. Nobody reviews his own organisation's."""
    answer = once(DeclarationWithVersionsOut())
    return sent(
        service.approve_declaration(current_actor(), declaration_id, expected=expected_version(), once=answer)
    )


@blp.route("/declarations/<uuid:declaration_id>/return", methods=["POST"])
@requires(Permission.DECLARATION_REVIEW)
@blp.arguments(ReasonIn)
@blp.response(200, DeclarationWithVersionsOut)
@retrying
def return_declaration(fields: dict[str, Any], declaration_id: UUID) -> Response:
    """Send it back with a reason, to be filed again."""
    answer = once(DeclarationWithVersionsOut())
    return sent(
        service.return_declaration(
            current_actor(), declaration_id, **fields, expected=expected_version(), once=answer
        )
    )


@blp.route("/quota/summary", methods=["GET"])
@requires(Permission.QUOTA_READ)
@blp.arguments(SummaryArgs, location="query")
@blp.response(200, SummaryOut)
def quota_summary(args: dict[str, Any]) -> Response:
    """Figures of a budget year by a key, now or as of a signed checkpoint, with their 口径."""
    return shown(SummaryOut(), figures.summary(db.session(), current_actor(), **args))


@blp.route("/quota/summary.xlsx", methods=["GET"])
@requires(Permission.QUOTA_READ)
@blp.arguments(FigureArgs, location="query")
@blp.response(200, content_type=report.CONTENT_TYPE)
def quota_summary_file(args: dict[str, Any]) -> Response:
    """The same figures as a spreadsheet, all rows."""
    table = figures.summary(db.session(), current_actor(), **args, limit=100_000)
    name = f"quota-{args['year']}-{args['by'].value}.xlsx"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(report.summary_xlsx(table), mimetype=report.CONTENT_TYPE, headers=headers)


@blp.route("/quota/pace", methods=["GET"])
@requires(Permission.QUOTA_READ)
@blp.arguments(PaceArgs, location="query")
@blp.response(200, PaceOut)
def quota_pace(args: dict[str, Any]) -> Response:
    """What an agency must still buy this year, by when, and why each yuan is not counted yet."""
    return shown(PaceOut(), explain.pace(db.session(), current_actor(), **args))


@blp.route("/quota/entries", methods=["GET"])
@requires(Permission.QUOTA_READ)
@blp.arguments(EntriesArgs, location="query")
@blp.response(200, EntriesOut)
def quota_entries(args: dict[str, Any]) -> Response:
    """The rows behind a figure, down to lot and plot."""
    return shown(EntriesOut(), explain.entries(db.session(), current_actor(), **args))


@blp.route("/quota/periods/<string:period>/close", methods=["POST"])
@requires(Permission.PERIOD_CLOSE)
@blp.response(200, PeriodOut)
@retrying
def close_period(period: str) -> Response:
    """Close an accounting month (YYYY-MM) that has ended."""
    return sent(service.close_period(current_actor(), period, once=once(PeriodOut())))
