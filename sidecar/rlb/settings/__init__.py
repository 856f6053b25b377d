"""Settings: the typed tree (`tree`), how it is filled (`source`) and what it says about itself (`description`)."""

from __future__ import annotations

from rlb.settings.description import effective, json_schema, settings_table
from rlb.settings.observing import GenerationSettings, LimitsSettings, MonitorSettings, TraceSettings
from rlb.settings.source import load_settings
from rlb.settings.tree import (
    AppendSettings,
    GroupsSettings,
    LogSettings,
    MetricsSettings,
    RedisSettings,
    Settings,
    SocketSettings,
    StreamSettings,
    TailSettings,
)
from rlb.settings.values import client_socket_path, default_socket_path, redact_url

__all__ = [
    "AppendSettings",
    "GenerationSettings",
    "GroupsSettings",
    "LimitsSettings",
    "LogSettings",
    "MetricsSettings",
    "MonitorSettings",
    "RedisSettings",
    "Settings",
    "SocketSettings",
    "StreamSettings",
    "TailSettings",
    "TraceSettings",
    "client_socket_path",
    "default_socket_path",
    "effective",
    "json_schema",
    "load_settings",
    "redact_url",
    "settings_table",
]
