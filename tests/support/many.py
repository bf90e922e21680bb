"""Many artifacts at once, made by the database: for what is counted and deleted, and never opened."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Engine, insert, text

from aiguard.store import VaultEntry

_POSTGRESQL = """
INSERT INTO aiguard_artifacts (
    id, decision_id, data_class, feature, actor, subject, tenant, sensitivity, policy_hash, basis, owner, mechanism, retention,
    retention_hash, created_at, expires_at, content)
SELECT 'art_' || :run || i, 'agd_' || (i / 2), CASE WHEN i % 2 = 0 THEN 'prompt' ELSE 'output' END, 'support-reply',
    upper(substr(md5((i % 5000)::text), 1, 26)), upper(substr(md5((i % 5000)::text), 1, 26)), '', 2, 'sha256:' || repeat('0', 64),
    'GDPR Art. 6(1)(f)', 'privacy-office', 'delete', '30d', '', now() - interval '60 days',
    now() + (CASE WHEN i <= :expired THEN -1 - i::bigint * 7919 % 86400 ELSE 2880 + i::bigint * 7919 % 86400 END) * interval '30 seconds',
    decode('41' || repeat(md5(i::text), :size), 'hex')
FROM generate_series(1, :total) AS i
"""
_SQLITE = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :total)
INSERT INTO aiguard_artifacts (
    id, decision_id, data_class, feature, actor, subject, tenant, sensitivity, policy_hash, basis, owner, mechanism, retention,
    retention_hash, created_at, expires_at, content)
SELECT 'art_' || :run || i, 'agd_' || (i / 2), CASE WHEN i % 2 = 0 THEN 'prompt' ELSE 'output' END, 'support-reply',
    'A' || (i % 5000), 'A' || (i % 5000), '', 2, 'sha256:', 'GDPR Art. 6(1)(f)', 'privacy-office', 'delete', '30d', '',
    strftime('%Y-%m-%d %H:%M:%S.000000', 'now', '-60 days'),
    strftime('%Y-%m-%d %H:%M:%S.000000', 'now',
        ((CASE WHEN i <= :expired THEN -1 - i * 7919 % 86400 ELSE 2880 + i * 7919 % 86400 END) * 30) || ' seconds'),
    CAST('A' || hex(randomblob(:size * 8)) AS BLOB)
FROM n
"""


def keep_many(engine: Engine, *, expired: int, staying: int, size: int = 24, run: str = "") -> None:
    """``expired`` artifacts of the last month and ``staying`` ones of the next, none within a day; ``size`` is in units of 16 bytes.

    Their content begins as nothing that is sealed does, so no key is looked for.
    """
    statement = _POSTGRESQL if engine.dialect.name == "postgresql" else _SQLITE
    with engine.begin() as connection:
        values = {"run": f"{run}x", "expired": expired, "total": expired + staying, "size": size}
        connection.execute(text(statement), values)


def keep_values(engine: Engine, count: int, expires_at: datetime, *, subject: str = "A") -> None:
    """Values of tokens that nobody can open, of as many conversations."""
    with engine.begin() as connection:
        connection.execute(
            insert(VaultEntry),
            [
                {
                    "vault": f"vault{number}", "code": f"CODE{number}", "type": "EMAIL_ADDRESS", "tenant": "", "actor": subject,
                    "subject": subject, "decision_id": "agd", "created_at": expires_at, "expires_at": expires_at, "sealed": b"A",
                }
                for number in range(count)
            ],
        )  # fmt: skip
