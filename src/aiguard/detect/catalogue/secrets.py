"""Credentials with a shape of their own: one recognizer a kind, all of type SECRET."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from typing import Final

from aiguard.detect.catalogue import assignments
from aiguard.detect.entropy import random_token
from aiguard.scan import Recognizer
from aiguard.scan.recognizer import EXTEND_REACH

_KEY_CAP: Final = EXTEND_REACH

_KEY_END: Final = re.compile(r"-----END[ A-Z0-9]{0,40}PRIVATE KEY(?: BLOCK)?-----")
_KEY_BODY: Final = re.compile(r"(?:[A-Za-z0-9+/=\s:,.\-\"'|>]|\\[nr])*")
_TOKEN_TAIL: Final = re.compile(r"[A-Za-z0-9_\-.=]*")


def _whole_key(text: str, start: int, end: int) -> int:
    """To the END line, or without one over everything that can be a part of the key, at most the cap."""
    limit = min(len(text), end + _KEY_CAP)
    closing = _KEY_END.search(text, end, limit)
    if closing is not None:
        return closing.end()
    body = _KEY_BODY.match(text, end, limit)
    return end if body is None else max(end, start + len(text[start : body.end()].rstrip()))


def _key_ended(text: str, _start: int, end: int) -> bool:
    return _KEY_END.search(text, end, min(len(text), end + _KEY_CAP)) is not None


def _tail(text: str, start: int, end: int) -> int:
    match = _TOKEN_TAIL.match(text, end, min(len(text), end + _KEY_CAP))
    return end if match is None else start + len(text[start : match.end()].rstrip(".-="))


def _tail_ended(text: str, _start: int, end: int) -> bool:
    match = _TOKEN_TAIL.match(text, end)
    return match is not None and match.end() < len(text)


def _jwt(text: str) -> bool:
    header = text.partition(".")[0]
    try:
        fields = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
        return isinstance(fields, dict) and ("alg" in fields or "typ" in fields or "kid" in fields)
    except (binascii.Error, ValueError, RecursionError):
        return False


# SHA-256 (the first 16 digits) of keys that Google publishes as samples in its Firebase SDK for Android: no secrets.
_PUBLISHED: Final = frozenset(
    {
        "2037abcaffb2b777", "27a9a42931dff7eb", "37f8f09bdf12c2f2", "3a8b61d0f636b007", "3f370c9dd8225c63",
        "49f777db995e8260", "4c98242dcadc8b29", "8731261cb72d8626", "a19f89ab3555eac1", "a6c814bc555ae62c",
        "dc0fcf046c61640c", "e4a5542bb7fd7b67", "ea9bb1082cf95663", "eb540d2b6ee2a0a4", "f56e323494a6ffc2",
    }
)  # fmt: skip


def _google_key(text: str) -> bool:
    return random_token(text) and hashlib.sha256(text.encode()).hexdigest()[:16] not in _PUBLISHED


def _aws_id(text: str) -> bool:
    return "EXAMPLE" not in text and random_token(text)


def _url_password(text: str) -> bool:
    user, _, password = text.partition(":")
    return not (password.startswith(("$", "<", "{", "%", "*", "[")) or user.startswith(("$", "<", "{", "%")))


# name, pattern, source, example. Bodies are bounded: a token that goes on is taken whole by _tail.
_TOKENS: Final = (
    # model servers
    ("anthropic_key", r"\bsk-ant-(?:api|admin|sid|oat|ort)\d{2}-[A-Za-z0-9_\-]{30,200}", "Anthropic", "sk-ant-api03-{64}"),
    ("openai_key", r"\bsk-(?:proj|svcacct|admin|service|None)-[A-Za-z0-9_\-]{20,240}", "OpenAI", "sk-proj-{48}"),
    ("openai_key_legacy", r"\bsk-[A-Za-z0-9]{20,64}", "OpenAI, DeepSeek and compatible servers", "sk-{48}"),
    ("openrouter_key", r"\bsk-or-(?:v\d-)?[A-Za-z0-9]{32,80}", "OpenRouter", "sk-or-v1-{64}"),
    ("huggingface_token", r"\b(?:hf_|api_org_)[A-Za-z0-9]{30,60}", "Hugging Face", "hf_{34}"),
    ("google_api_key", r"\bAIza[A-Za-z0-9_\-]{35}", "Google", "AIza{35}"),
    ("groq_key", r"\bgsk_[A-Za-z0-9]{40,80}", "Groq", "gsk_{52}"),
    ("xai_key", r"\bxai-[A-Za-z0-9]{40,120}", "xAI", "xai-{80}"),
    ("perplexity_key", r"\bpplx-[A-Za-z0-9]{32,80}", "Perplexity", "pplx-{48}"),
    ("replicate_token", r"\br8_[A-Za-z0-9]{30,60}", "Replicate", "r8_{37}"),
    ("fireworks_key", r"\bfw_[A-Za-z0-9]{20,40}", "Fireworks AI", "fw_{24}"),
    ("together_key", r"\btgp_v1_[A-Za-z0-9_\-]{30,80}", "Together AI", "tgp_v1_{43}"),
    ("langsmith_key", r"\blsv2_(?:pt|sk)_[A-Za-z0-9_]{32,60}", "LangSmith", "lsv2_pt_{42}"),
    ("tavily_key", r"\btvly-(?:dev-|prod-)?[A-Za-z0-9]{24,60}", "Tavily", "tvly-{32}"),
    ("nvidia_key", r"\bnvapi-[A-Za-z0-9_\-]{40,100}", "NVIDIA", "nvapi-{64}"),
    ("pinecone_key", r"\bpcsk_[A-Za-z0-9_]{40,100}", "Pinecone", "pcsk_{64}"),
    # clouds
    ("aws_access_key_id", r"\b(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])[A-Z0-9]{16}\b", "AWS IAM", "AKIA{16U}"),
    ("aws_bedrock_key", r"\bABSK[A-Za-z0-9+/]{100,270}={0,2}", "AWS Bedrock", "ABSK{110}"),
    ("aws_bedrock_short", r"\bbedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t", "AWS Bedrock", "bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t"),
    ("google_oauth", r"\bya29\.[A-Za-z0-9_\-]{20,400}", "Google OAuth", "ya29.{60}"),
    ("google_oauth_secret", r"\bGOCSPX-[A-Za-z0-9_\-]{28}", "Google OAuth", "GOCSPX-{28}"),
    ("azure_ad_secret", r"\b[A-Za-z0-9_.\-]{3}\dQ~[A-Za-z0-9_~.\-]{31,34}", "Microsoft Entra", "abc8Q~{34}"),
    ("azure_storage_key", r"\b[A-Za-z0-9+/]{86}==", "Azure Storage, Cosmos DB, Service Bus", "{86}=="),
    ("alibaba_key_id", r"\bLTAI[A-Za-z0-9]{12,30}", "Alibaba Cloud", "LTAI{20}"),
    ("digitalocean_token", r"\bdo[opr]_v1_[a-f0-9]{64}", "DigitalOcean", "dop_v1_{64h}"),
    ("heroku_key", r"\bHRKU-[A-Za-z0-9_\-]{58,64}", "Heroku", "HRKU-{60}"),
    ("flyio_token", r"\b(?:fo1_[A-Za-z0-9_\-]{43}|fm[12][ar]?_[A-Za-z0-9+/]{100,400})", "Fly.io", "fo1_{43}"),
    ("vercel_token", r"\b(?:vercel_blob_rw_|vc[apkit]_)[A-Za-z0-9_]{24,80}", "Vercel", "vcp_{56}"),
    ("supabase_key", r"\b(?:sbp_[a-f0-9]{40}|sb_(?:secret|publishable)_[A-Za-z0-9_\-]{20,60})", "Supabase", "sbp_{40h}"),
    ("cloudflare_origin_ca", r"\bv1\.0-[a-f0-9]{24}-[a-f0-9]{146}", "Cloudflare", "v1.0-{24h}-{146h}"),
    ("databricks_token", r"\bdapi[a-f0-9]{32}(?:-\d)?", "Databricks", "dapi{32h}"),
    ("terraform_token", r"\b[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=\-]{60,70}", "HashiCorp Terraform", "{14}.atlasv1.{64}"),
    ("vault_token", r"\b(?:hv[sb]\.[A-Za-z0-9_\-]{24,300}|s\.[A-Za-z0-9]{24}\b)", "HashiCorp Vault", "hvs.{96}"),
    ("pulumi_token", r"\bpul-[a-f0-9]{40}\b", "Pulumi", "pul-{40h}"),
    ("planetscale_token", r"\bpscale_(?:pw|tkn|oauth)_[A-Za-z0-9=_.\-]{32,64}", "PlanetScale", "pscale_pw_{43}"),
    ("yandex_key", r"\b(?:YC[A-Za-z0-9_\-]{38}\b|AQVN[A-Za-z0-9_\-]{35,38}\b|t1\.[A-Za-z0-9_\-]{20,200}={0,2}\.[A-Za-z0-9_\-]{80,100})", "Yandex Cloud", "AQVN{36}"),
    ("scalingo_token", r"\btk-us-[A-Za-z0-9_\-]{48}", "Scalingo", "tk-us-{48}"),
    # code
    ("github_token", r"\b(?:gh[pousr]_[A-Za-z0-9]{30,255}|github_pat_[A-Za-z0-9_]{36,255})", "GitHub", "ghp_{36}"),
    ("gitlab_token", r"\b(?:gl(?:pat|dt|ft|imt|oas|soat|agent|rt|ffct|cbt|ptt|pct)-[A-Za-z0-9_\-]{16,100}(?:\.[A-Za-z0-9_.]{7,40})?|GR1348941[A-Za-z0-9_\-]{20})", "GitLab", "glpat-{20}"),
    ("gitlab_session", r"\b_gitlab_session=[0-9a-z]{32}", "GitLab", "_gitlab_session={32h}"),
    ("bitbucket_token", r"\bATBB[A-Za-z0-9]{24,40}", "Bitbucket", "ATBB{32}"),
    ("atlassian_token", r"\bATATT3[A-Za-z0-9_\-=]{180,250}", "Atlassian", "ATATT3{186}"),
    ("npm_token", r"\bnpm_[A-Za-z0-9]{36}\b", "npm", "npm_{36}"),
    ("npm_auth", r"//[^\s/]{1,100}/(?:[^\s]{0,60}/)?:_authToken=([A-Za-z0-9_\-]{20,100})", "npm", "//registry.npmjs.org/:_authToken={36}"),
    ("pypi_token", r"\bpypi-AgE[A-Za-z0-9_\-]{60,400}", "PyPI", "pypi-AgEIcHlwaS5vcmc{80}"),
    ("rubygems_token", r"\brubygems_[a-f0-9]{48}", "RubyGems", "rubygems_{48h}"),
    ("clojars_token", r"\bCLOJARS_[A-Za-z0-9]{60}", "Clojars", "CLOJARS_{60}"),
    ("cargo_token", r"\bcio[A-Za-z0-9]{32}\b", "crates.io", "cio{32}"),
    ("nuget_key", r"\boy2[a-z0-9]{43}\b", "NuGet", "oy2{43h}"),
    ("docker_pat", r"\bdckr_(?:pat|oat)_[A-Za-z0-9_\-]{27,36}", "Docker Hub", "dckr_pat_{27}"),
    ("artifactory_key", r"\b(?:AKCp[A-Za-z0-9]{60,75}|AP[0-9A-F][A-Za-z0-9_]{8,80}|cmVmd[A-Za-z0-9]{59})\b", "JFrog", "AKCp{69}"),
    ("sourcegraph_token", r"\bsgp_(?:(?:[a-fA-F0-9]{16}|local)_)?[a-fA-F0-9]{40}\b", "Sourcegraph", "sgp_{40h}"),
    ("sonar_token", r"\bsq[upa]_[a-z0-9=_\-]{40}", "SonarQube", "squ_{40h}"),
    ("postman_key", r"\bPMAK-[a-fA-F0-9]{24}-[a-fA-F0-9]{34}", "Postman", "PMAK-{24h}-{34h}"),
    ("openshift_token", r"\bsha256~[A-Za-z0-9_\-]{43}", "OpenShift", "sha256~{43}"),
    ("octopus_key", r"\bAPI-[A-Z0-9]{26}\b", "Octopus Deploy", "API-{26U}"),
    ("harness_key", r"\b(?:pat|sat)\.[A-Za-z0-9]{22}\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{20}", "Harness", "pat.{22}.{24}.{20}"),
    ("doppler_token", r"\bdp\.(?:pt|ct|st|sa|scim|audit)\.(?:[a-z0-9_\-]{2,35}\.)?[A-Za-z0-9]{40,44}", "Doppler", "dp.pt.{43}"),
    ("infracost_key", r"\bico-[A-Za-z0-9]{32}\b", "Infracost", "ico-{32}"),
    ("prefect_key", r"\bpn[ub]_[A-Za-z0-9]{36}\b", "Prefect", "pnu_{36}"),
    ("readme_key", r"\brdme_[a-z0-9]{70}", "ReadMe", "rdme_{70h}"),
    # communication
    ("slack_token", r"\bxox[abeoprs](?:\.xox[bp])?-(?:\d{1,2}-)?[A-Za-z0-9\-]{14,250}", "Slack", "xoxb-781236542736-2364535789652-{24}"),
    ("slack_app_token", r"\bxapp-\d-[A-Z0-9]{5,20}-\d{5,20}-[a-z0-9]{20,80}", "Slack", "xapp-1-A052FGTS2DL-5171572773297-{64h}"),
    ("slack_webhook", r"\bhooks\.slack\.com/(?:services|workflows|triggers)/[A-Za-z0-9+/]{20,80}", "Slack", "hooks.slack.com/services/T0/B0/{24}"),
    ("teams_webhook", r"\bwebhook\.office\.com/webhookb2/[A-Za-z0-9@\-/]{60,250}", "Microsoft Teams", "webhook.office.com/webhookb2/{80h}"),
    ("discord_token", r"\b[MNO][A-Za-z0-9_\-]{23,25}\.[A-Za-z0-9_\-]{6}\.[A-Za-z0-9_\-]{27,38}", "Discord", "MTk4{20}.Cl2FMQ.{27}"),
    ("discord_webhook", r"\bdiscord(?:app)?\.com/api/webhooks/\d{17,20}/[A-Za-z0-9_\-]{60,80}", "Discord", "discord.com/api/webhooks/123456789012345678/{68}"),
    ("telegram_token", r"\b\d{8,10}:AA[A-Za-z0-9_\-]{33}\b", "Telegram", "721380886:AA{33}"),
    ("twilio_key", r"\b(?:SK|AC)[0-9a-fA-F]{32}\b", "Twilio", "SK{32h}"),
    ("sendgrid_key", r"\bSG\.[A-Za-z0-9_\-=]{20,24}[.\-][A-Za-z0-9_\-=]{39,50}", "SendGrid", "SG.{22}.{43}"),
    ("sendinblue_key", r"\bxkeysib-[a-f0-9]{64}-[A-Za-z0-9]{16}", "Brevo", "xkeysib-{64h}-{16}"),
    ("mailgun_key", r"\b(?:pub)?key-[a-f0-9]{32}\b", "Mailgun", "key-{32h}"),
    ("mailchimp_key", r"\b[0-9a-f]{32}-us\d{1,2}\b", "Mailchimp", "{32h}-us20"),
    # money and commerce
    ("stripe_key", r"\b(?:sk|rk)_(?:live|test|prod)_[A-Za-z0-9]{16,200}|\bwhsec_[A-Za-z0-9+/]{24,80}", "Stripe", "sk_live_{24}"),
    ("square_token", r"\b(?:EAAA|sq0atp-|sq0csp-)[A-Za-z0-9_\-]{22,80}", "Square", "EAAA{60}"),
    ("shopify_token", r"\bshp(?:ss|at|ca|pa|tka)_[a-fA-F0-9]{32}", "Shopify", "shpat_{32h}"),
    ("shippo_token", r"\bshippo_(?:live|test)_[a-fA-F0-9]{40}", "Shippo", "shippo_live_{40h}"),
    ("easypost_key", r"\bEZ[AT]K[A-Za-z0-9]{54}", "EasyPost", "EZAK{54}"),
    ("plaid_token", r"\baccess-(?:sandbox|development|production)-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "Plaid", "access-production-6e2d7b24-2ddd-8bcc-f697-e41459fb74c4"),
    ("flutterwave_key", r"\bFLW(?:PUBK|SECK)_TEST-[a-h0-9]{12,32}(?:-X)?", "Flutterwave", "FLWSECK_TEST-{32h}-X"),
    ("duffel_token", r"\bduffel_(?:test|live)_[A-Za-z0-9_\-=]{43}", "Duffel", "duffel_test_{43}"),
    ("lob_key", r"\b(?:live|test)_(?:pub_)?[a-f0-9]{31,36}\b", "Lob", "live_{35h}"),
    # operations and data
    ("grafana_token", r"\b(?:glc_[A-Za-z0-9+/]{32,400}={0,2}|glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}|eyJrIjoi[A-Za-z0-9]{60,400}={0,2})", "Grafana", "glc_{60}"),
    ("newrelic_key", r"\bNR(?:AK|JS|II|AL|RA)-[A-Za-z0-9\-]{19,40}", "New Relic", "NRAK-{27}"),
    ("dynatrace_token", r"\bdt0[a-z]\d\d\.[A-Za-z0-9]{24}\.[A-Za-z0-9]{64}", "Dynatrace", "dt0c01.{24}.{64}"),
    ("sentry_token", r"\bsntry[su]_[A-Za-z0-9+/=_\-]{60,400}", "Sentry", "sntryu_{64h}"),
    ("sumologic_id", r"\bsu[A-Za-z0-9]{12}\b", "Sumo Logic", "suFj66zSnwxJ4a"),
    ("linear_key", r"\blin_(?:api|oauth)_[A-Za-z0-9]{40}", "Linear", "lin_api_{40}"),
    ("notion_token", r"\b(?:ntn_\d{11}[A-Za-z0-9]{32,38}|secret_[A-Za-z0-9]{43})\b", "Notion", "ntn_45647615172{35}"),
    ("airtable_token", r"\bpat[A-Za-z0-9]{14}\.[a-f0-9]{64}", "Airtable", "pat{14}.{64h}"),
    ("asana_token", r"\b[0-9]/[0-9]{16}(?:/[0-9]{16})?:[a-z0-9]{32}", "Asana", "1/1200000000000000:{32h}"),
    ("typeform_token", r"\btfp_[A-Za-z0-9_\-=.]{40,70}", "Typeform", "tfp_{59}"),
    ("frameio_token", r"\bfio-u-[A-Za-z0-9_\-=]{64}", "Frame.io", "fio-u-{64}"),
    ("mapbox_token", r"\b[ps]k\.[a-z0-9]{60}\.[a-z0-9]{22}", "Mapbox", "pk.{60h}.{22h}"),
    ("figma_token", r"\bfig[dopu]r?_[A-Za-z0-9_\-]{36,60}", "Figma", "figd_{40}"),
    ("dropbox_token", r"\bsl\.[A-Za-z0-9_\-=]{130,250}", "Dropbox", "sl.{140}"),
    ("facebook_token", r"\b(?:EAA[A-Za-z0-9]{80,400}|\d{15,16}\|[A-Za-z0-9_\-]{27,40})", "Meta", "EAA{120}"),
    ("clickhouse_key", r"\b4b1d[A-Za-z0-9]{38}\b", "ClickHouse Cloud", "4b1d{38}"),
    ("onepassword_key", r"\bA3-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})(?:-[A-Z0-9]{5}){3}", "1Password", "A3-XRILAV-FV9CYK21KKP-HI6EY-SNO0F-NZRVC"),
    ("onepassword_service", r"\bops_eyJ[A-Za-z0-9+/]{100}", "1Password", "ops_eyJ{250}"),
    ("age_key", r"\bAGE-SECRET-KEY-1[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}", "age", "AGE-SECRET-KEY-1{58A}"),
    ("defined_token", r"\bdnkey-[A-Za-z0-9=_\-]{26}-[A-Za-z0-9=_\-]{52}", "Defined Networking", "dnkey-{26}-{52}"),
    ("authress_key", r"\b(?:sc|ext|scauth|authress)_[A-Za-z0-9]{5,30}\.[A-Za-z0-9]{4,6}\.acc[_\-][A-Za-z0-9\-]{10,32}\.[A-Za-z0-9+/_=\-]{30,120}", "Authress", "sc_{10}.{4}.acc_{12}.{44}"),
    ("intra42_secret", r"\bs-s4t2(?:ud|af)-[a-fA-F0-9]{64}", "42", "s-s4t2ud-{64h}"),
    ("settlemint_token", r"\bsm_(?:pat|aat|sat)_[A-Za-z0-9]{16}", "SettleMint", "sm_pat_{16}"),
    ("launchdarkly_key", r"\b(?:sdk|api|mob)-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "LaunchDarkly", "sdk-6e2d7b24-2ddd-4bcc-b697-e41459fb74c4"),
    ("twitter_bearer", r"\bA{20,24}[A-Za-z0-9%]{80,120}", "X", "AAAAAAAAAAAAAAAAAAAAAA{96}"),
    ("secret_google_refresh", r"\b1//0[A-Za-z0-9_\-]{40,120}", "Google OAuth", "1//0{60}"),
)  # fmt: skip

_SAMPLE: Final = {
    "A": "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
    "": "aB3dE5fG7hJ9kL2mN4pQ6rS8tU1vW0xYzC",
    "h": "9cb8fe9b3b6222bd9714ae3148c9ed9b",
    "U": "Q3EXR7WPLK5TZ9MB",
}


def _example(shape: str) -> str:
    """``{36}``, ``{40h}``, ``{16U}`` -> that many letters and digits, hexadecimal digits, capitals and digits.

    Examples are put together here, so that no scanner takes this file for a leak.
    """

    def fill(match: re.Match[str]) -> str:
        size, kind = int(match[1]), match[2]
        return (_SAMPLE[kind] * (size // len(_SAMPLE[kind]) + 1))[:size]

    return re.sub(r"\{(\d+)([hUA]?)\}", fill, shape)


def _recognizer(name: str, pattern: str, source: str, shape: str) -> Recognizer:
    return Recognizer(
        name=name,
        type="SECRET",
        pattern=pattern,
        extend=_tail if name == "onepassword_service" else None,
        settled=_tail_ended if name == "onepassword_service" else None,
        validate={"aws_access_key_id": _aws_id, "google_api_key": _google_key}.get(name, random_token),
        priority=95,
        source=source,
        examples=(f"use {_example(shape)} please",) if shape else (),
    )


RECOGNIZERS = (
    Recognizer(
        name="private_key",
        type="SECRET",
        pattern=r"-----BEGIN[ A-Z0-9]{0,40}PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File-\d:",
        extend=_whole_key,
        settled=_key_ended,
        boundary=False,
        priority=99,
        source="RFC 7468, RFC 4880",
        examples=(
            "-----BEGIN RSA PRIVATE KEY-----\nMIIEow==\n-----END RSA PRIVATE KEY-----",
            "-----BEGIN PRIVATE KEY-----\nMIIE",
        ),
        counter_examples=("-----BEGIN PUBLIC KEY-----",),
    ),
    Recognizer(
        name="jwt",
        type="SECRET",
        pattern=r"\b(?:eyJ|ewog)[A-Za-z0-9_\-]{8,500}\.[A-Za-z0-9_\-]{2,8}",
        validate=_jwt,
        extend=_tail,
        settled=_tail_ended,
        priority=95,
        source="RFC 7519",
        examples=("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.SflKxwRJSMeKKF2QT4fw",),
        counter_examples=("eyJhbGciOiJIUzI1NiJ9",),
    ),
    Recognizer(
        name="url_credentials",
        type="SECRET",
        pattern=(
            r"\b[A-Za-z][A-Za-z0-9+.\-]{1,20}://"
            r"([^\s:@/\"'<>]{0,100}:[^\s@/\"'<>]{1,200}@[A-Za-z0-9\[][A-Za-z0-9.\-]{0,100})"
        ),
        validate=_url_password,
        boundary=False,
        priority=90,
        source="RFC 3986, section 3.2.1",
        examples=("postgres://app:hunter2xx@db.internal:5432/x",),
        counter_examples=("https://example.com:8080/a@b", "postgres://$USER:$PASS@db"),
    ),
    *(_recognizer(*row) for row in _TOKENS),
    *assignments.RECOGNIZERS,
)
