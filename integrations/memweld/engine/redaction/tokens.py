"""Keys and tokens of well-known forms: they say by their beginning what they are."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["private_keys", "service_keys", "tokens"]

_W, _A = "[A-Za-z0-9_-]", "[A-Za-z0-9]"
_FORMS = (
    rf"sk-(?=[A-Za-z_-]{{0,64}}[0-9]){_W}{{20,}}",  # OpenAI, Anthropic, OpenRouter, DeepSeek
    rf"[sr]k_(?:live|test)_{_A}{{16,}}",  # Stripe
    rf"whsec_{_A}{{24,}}",
    rf"gh[pousr]_{_A}{{36,}}",  # GitHub
    r"github_pat_[A-Za-z0-9_]{22,}",
    rf"gl(?:pat|ptt|dt|rt|soat|ft)-{_W}{{20,}}",  # GitLab
    r"xox[abeoprs]-[A-Za-z0-9-]{10,}",  # Slack
    r"xapp-[0-9]-[A-Za-z0-9-]{10,}",
    r"(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])",  # AWS
    rf"AIza{_W}{{35}}(?!{_W})",  # Google
    rf"ya29\.{_W}{{20,}}",
    rf"GOCSPX-{_W}{{28}}(?!{_W})",
    rf"npm_{_A}{{36}}(?!{_A})",
    rf"pypi-{_W}{{50,}}",
    rf"hf_{_A}{{30,}}",  # Hugging Face
    rf"SG\.{_W}{{16,64}}\.{_W}{{16,}}",  # SendGrid
    r"SK[0-9a-f]{32}(?![A-Za-z0-9])",  # Twilio
    rf"[0-9]{{8,10}}:{_W}{{35}}(?!{_W})",  # Telegram
    r"do[opr]_v1_[0-9a-f]{64}",  # DigitalOcean
    rf"gsk_{_A}{{20,}}",  # Groq
    rf"(?:xai|pplx|tvly|m0)-(?=[A-Za-z_-]{{0,64}}[0-9]){_W}{{20,}}",
    rf"r8_{_A}{{30,}}",  # Replicate
    rf"(?:ntn|secret)_{_A}{{40,}}",  # Notion
    rf"lin_api_{_A}{{30,}}",  # Linear
    rf"ls(?:v2_pt|v2_sk)_{_A}[A-Za-z0-9_]{{31,}}",  # LangSmith
    r"dapi[0-9a-f]{32}(?![A-Za-z0-9])",  # Databricks
    rf"hv[sb]\.{_W}{{24,}}",  # Vault
    r"shp(?:at|ca|pa|ss)_[0-9a-fA-F]{32}",  # Shopify
    r"key-[0-9a-f]{32}(?![A-Za-z0-9])",  # Mailgun
    rf"dckr_[op]at_{_W}{{24,}}",  # Docker
    r"sbp_[0-9a-f]{40}",  # Supabase
    rf"(?:figd_|ATATT3|glsa_|sq0[ac]\w{{1,2}}-){_W}{{20,}}",  # Figma, Atlassian, Grafana, Square
    r"PMAK-[0-9a-f]{24}-[0-9a-f]{34}",  # Postman
    r"AGE-SECRET-KEY-1[0-9A-Z]{58}",
)
_SERVICE_KEY = re.compile(rf"(?<![A-Za-z0-9_-])(?:{'|'.join(_FORMS)})")
_SLACK_HOOK = re.compile(r"hooks\.slack\.com/services/[A-Za-z0-9/]{20,}")
_JWT = re.compile(r"(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_.-]{16,}")
_BEARER = re.compile(
    r"(?<![A-Za-z0-9_-])(?:bearer\s{1,3}|authorization:\s{0,3}[a-z-]{1,20}\s{1,3})[\w.~+/=-]{12,}", re.IGNORECASE
)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,2}PRIVATE KEY(?: BLOCK)?-----(?:[A-Za-z0-9+/=\s\\:,.()]|-(?!-))*"
    r"(?:-----END [A-Z0-9 ]{0,48}-----)?"
)


def private_keys(text: str) -> Iterator[tuple[int, int]]:
    """Where private keys stand, from their first line to their last; to their end, if the last one is missing."""
    for found in _PRIVATE_KEY.finditer(text):
        yield found.start(), found.start() + len(found[0].rstrip())


def service_keys(text: str) -> Iterator[tuple[int, int]]:
    """Where keys of well-known services stand."""
    for pattern in (_SERVICE_KEY, _SLACK_HOOK):
        yield from (found.span() for found in pattern.finditer(text))


def tokens(text: str) -> Iterator[tuple[int, int]]:
    """Where JSON web tokens stand, and what follows ``Bearer``."""
    for found in _JWT.finditer(text):
        parts = found[0].rstrip(".").split(".")
        if len(parts) in (3, 5) and all(parts[each] for each in (0, -1)):
            yield found.start(), found.start() + len(found[0].rstrip("."))
    for found in _BEARER.finditer(text):
        start = found.start() + len(found[0]) - len(found[0].split()[-1])
        token = text[start : found.end()].rstrip(".")
        # "bearer of good news" is no token.
        if any(map(str.isdigit, token)):
            yield start, start + len(token)
