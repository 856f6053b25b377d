"""The calls of operators, in one table: streams, groups, dead letters, and what is pending."""

from __future__ import annotations

from rlb.api import models, pending_models
from rlb.api.manage import MAX_PAGE, ManagementRoutes
from rlb.api.params import ENTRY_ID, MANAGE, MODEL, NAME, PATH, READ, STREAM, number
from rlb.api.pending import PendingRoutes
from rlb.api.routes import JSON_TYPE, Param, Route
from rlb.bridge.streams import SORTS, STATUSES
from rlb.domain.stream_info import StreamInfo, StreamPage


def management_routes(manage: ManagementRoutes) -> tuple[Route, ...]:
    """Calls on streams, groups and dead letters."""
    return (
        Route(
            "PUT",
            "/v1/streams",
            manage.create_stream,
            "Make a stream, with bounds of its own.",
            takes=((JSON_TYPE, models.CreateStream),),
            gives=((200, JSON_TYPE, models.Created), (201, JSON_TYPE, models.Created)),
            problems=MANAGE,
        ),
        Route(
            "GET",
            "/v1/streams",
            manage.list_streams,
            "List streams.",
            gives=((200, JSON_TYPE, StreamPage),),
            params=(
                Param("modelId", MODEL, "Only this model's."),
                Param("status", {"enum": list(STATUSES)}, "Only those on which a group has this status."),
                Param("sort", {"enum": list(SORTS)}, "`key`, or the largest first."),
                Param("limit", number(1, MAX_PAGE, 100), "Streams a page."),
                Param("cursor", {"type": "string"}, "`nextCursor` of the page before."),
            ),
            problems=(400, 503),
        ),
        Route(
            "GET",
            "/v1/streams/{sessionId}/{modelId}",
            manage.stream_info,
            "One stream with its groups and their lag, as it is now.",
            gives=((200, JSON_TYPE, StreamInfo),),
            params=PATH,
            problems=READ,
        ),
        Route(
            "DELETE",
            "/v1/streams/{sessionId}/{modelId}",
            manage.delete_stream,
            "Delete a stream with its groups.",
            gives=((204, "", None),),
            params=PATH,
            problems=READ,
        ),
        Route(
            "POST",
            "/v1/streams/trim",
            manage.trim_stream,
            "Remove the oldest entries.",
            takes=((JSON_TYPE, models.TrimStream),),
            gives=((200, JSON_TYPE, models.Removed),),
            problems=MANAGE,
        ),
        Route(
            "PUT",
            "/v1/groups",
            manage.create_group,
            "Make a consumer group whose lag is known from the start.",
            takes=((JSON_TYPE, models.CreateGroup),),
            gives=((200, JSON_TYPE, models.Created), (201, JSON_TYPE, models.Created)),
            problems=MANAGE,
        ),
        Route(
            "GET",
            "/v1/dead-letters",
            manage.dead_letters,
            "A group's dead letters.",
            gives=((200, JSON_TYPE, models.DeadLetterPage),),
            params=(
                Param("group", NAME, "The group.", required=True),
                Param("after", ENTRY_ID, "Only those behind this one."),
                Param("limit", number(1, MAX_PAGE, 100), "Dead letters a page."),
            ),
            problems=READ,
        ),
        Route(
            "POST",
            "/v1/dead-letters/replay",
            manage.replay,
            "Put dead letters back among the group's pending entries.",
            takes=((JSON_TYPE, models.ChooseDeadLetters),),
            gives=((200, JSON_TYPE, models.Replayed),),
            problems=MANAGE,
        ),
        Route(
            "POST",
            "/v1/dead-letters/drop",
            manage.drop,
            "Delete dead letters for good.",
            takes=((JSON_TYPE, models.ChooseDeadLetters),),
            gives=((200, JSON_TYPE, models.Dropped),),
            problems=MANAGE,
        ),
    )


def pending_routes(pending: PendingRoutes) -> tuple[Route, ...]:
    """Calls on what a group has pending."""
    return (
        Route(
            "GET",
            "/v1/pending",
            pending.pending,
            "A group's pending entries on one stream, without what they hold, the lowest ids first.",
            gives=((200, JSON_TYPE, pending_models.PendingPage),),
            params=(
                *STREAM,
                Param("group", NAME, "The group.", required=True),
                Param("consumer", NAME, "Only what is pending for this one."),
                Param("after", ENTRY_ID, "`nextAfter` of the page before."),
                Param("limit", number(1, MAX_PAGE, 100), "Entries a page."),
            ),
            problems=READ,
        ),
        Route(
            "POST",
            "/v1/pending/claim",
            pending.claim,
            "Hand pending entries to another consumer at once, however short they have been idle.",
            takes=((JSON_TYPE, pending_models.ClaimEntries),),
            gives=((200, JSON_TYPE, pending_models.Claimed),),
            problems=READ,
        ),
        Route(
            "POST",
            "/v1/dead-letters",
            pending.bury,
            "Set pending entries aside: copied to the group's dead letters, then acknowledged.",
            takes=((JSON_TYPE, pending_models.BuryEntries),),
            gives=((200, JSON_TYPE, pending_models.Buried),),
            problems=READ,
        ),
        Route(
            "POST",
            "/v1/consumers/remove",
            pending.remove_consumer,
            "Remove a consumer from its group, if it has nothing pending.",
            takes=((JSON_TYPE, pending_models.RemoveConsumer),),
            gives=((200, JSON_TYPE, pending_models.ConsumerRemoved),),
            problems=READ,
        ),
    )
