# Copyright (c) 2026, The netops.conntrack developers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This plugin_util is PRIVATE to this collection: it can change without notice.

"""Sending a message to a webhook, whose URL is a secret."""

from __future__ import annotations

import ipaddress
import json
import re
import typing as t
import urllib.error
import urllib.parse

from ansible.module_utils.urls import open_url
from ansible_collections.netops.conntrack.plugins.module_utils._errors import OptionError, UnavailableError
from ansible_collections.netops.conntrack.plugins.module_utils._printable import visible

_SECONDS = 10
"""That the service may take for each step of an answer."""

_NOT_SHOWN = "(not shown, because it is a secret)"


class _NotShown:
    """The value of an option that an error does not show."""

    def __repr__(self) -> str:
        return _NOT_SHOWN


def check(url: str) -> None:
    """Raise OptionError if ``url`` cannot be a webhook's, without telling it."""
    remedy = "Give the URL as the service shows it, such as https://hooks.example.net/services/..."
    try:
        parts = urllib.parse.urlsplit(url)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise OptionError("webhook", _NotShown(), "is no URL", remedy) from None
    if not host or parts.scheme not in {"http", "https"} or not url.isascii() or re.search(r"[\s\x00-\x1f]", url):
        raise OptionError("webhook", _NotShown(), "is no URL", remedy)
    if parts.scheme == "http" and not _is_this_machine(host):
        problem = f"would be sent to {host} for all on the way to read"
        raise OptionError("webhook", _NotShown(), problem, "Give a URL that begins with https://.")


def send(url: str, message: t.Mapping[str, t.Any]) -> None:
    """Send ``message`` as JSON. Raise UnavailableError if the service does not take it, without telling the URL.

    The certificate has to be valid, and no redirection is followed: the message is for nobody else.
    """
    host = urllib.parse.urlsplit(url).hostname
    try:
        answer = open_url(
            url,
            data=json.dumps(message).encode(),
            headers={"Content-Type": "application/json"},
            method="POST",
            timeout=_SECONDS,
            http_agent="netops.conntrack",
            follow_redirects="none",
            use_netrc=False,
        )
        answer.close()
    except urllib.error.HTTPError as error:
        told = error.read(200).decode("utf-8", "replace") if error.fp else ""
        raise UnavailableError(_failure(host, f"it answered {error.code} {error.reason} {told}", url)) from None
    except Exception as error:  # whatever a library raises: the report is written, and the URL must not be told
        reason = getattr(error, "reason", error)
        raise UnavailableError(_failure(host, f"{type(error).__name__}: {reason}", url)) from None


def _failure(host: str | None, reason: str, url: str) -> str:
    secret = urllib.parse.urlsplit(url).path
    told = reason.replace(url, "...")
    if len(secret) > 1:
        told = told.replace(secret, "/...")
    return visible(f"the webhook at {host} was not told ({' '.join(told.split())[:300]})")


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
