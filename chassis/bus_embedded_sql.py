"""The statements of the embedded bus.

Each is one round trip and its own transaction, and those that lock several rows lock them sorted by
(topic, part), so that they cannot deadlock.
"""

import re

from sqlalchemy import TextClause, text

DDL = """
SELECT pg_advisory_xact_lock(hashtext('bus.install'), hashtext('{schema}'));
CREATE SCHEMA IF NOT EXISTS {schema};
CREATE TABLE IF NOT EXISTS {schema}.log_head (
    topic text NOT NULL, part integer NOT NULL, next bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (topic, part)) WITH (fillfactor = 50);
CREATE TABLE IF NOT EXISTS {schema}.log (
    topic text NOT NULL, part integer NOT NULL, off bigint NOT NULL,
    key bytea NOT NULL, value bytea NOT NULL, headers json NOT NULL,
    ts timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (topic, part, off));
CREATE TABLE IF NOT EXISTS {schema}.log_group (
    grp text NOT NULL, topic text NOT NULL, part integer NOT NULL, next_off bigint NOT NULL,
    owner text, epoch bigint NOT NULL, lease_until timestamptz,
    PRIMARY KEY (grp, topic, part)) WITH (fillfactor = 50);
CREATE TABLE IF NOT EXISTS {schema}.log_member (
    grp text NOT NULL, member text NOT NULL, topics text[] NOT NULL, alive_until timestamptz NOT NULL,
    PRIMARY KEY (grp, member)) WITH (fillfactor = 50);
"""
"""`headers` is json, not jsonb: json keeps the text as given, so even a NUL in a header survives."""

CREATE_TOPICS = """
INSERT INTO {schema}.log_head (topic, part)
SELECT t, p FROM unnest(CAST(:topics AS text[])) t, generate_series(0, :partitions - 1) p ORDER BY t, p
ON CONFLICT DO NOTHING"""

HEADS = """
SELECT topic, part, next FROM {schema}.log_head
WHERE topic = ANY(CAST(:topics AS text[])) ORDER BY topic, part"""

# The head rows stay locked until commit: offsets have no gap and become visible in order. `rn` is the place
# of the record among those of its partition in this batch.
APPEND = """
WITH l AS MATERIALIZED (
    SELECT g.topic, g.part, c.n FROM {schema}.log_head g
    JOIN unnest(CAST(:head_topic AS text[]), CAST(:head_part AS int[]), CAST(:head_n AS bigint[]))
         c(topic, part, n)
      ON g.topic = c.topic AND g.part = c.part
    ORDER BY g.topic, g.part FOR UPDATE OF g),
h AS (
    UPDATE {schema}.log_head g SET next = g.next + l.n FROM l WHERE g.topic = l.topic AND g.part = l.part
    RETURNING g.topic, g.part, g.next - l.n AS base)
INSERT INTO {schema}.log (topic, part, off, key, value, headers)
SELECT h.topic, h.part, h.base + x.rn, x.key, x.value, CAST(x.headers AS json)
FROM unnest(CAST(:topic AS text[]), CAST(:part AS int[]), CAST(:rn AS bigint[]), CAST(:key AS bytea[]),
            CAST(:value AS bytea[]), CAST(:headers AS text[])) x(topic, part, rn, key, value, headers)
JOIN h ON h.topic = x.topic AND h.part = x.part"""

# ORDER BY i, off does not sort everything: the ordinality is known to be sorted, so partitions are read one
# after the other and LIMIT stops the reading. A LIMIT without the order could return rows with a gap.
POLL = """
SELECT a.i, l.off, l.key, l.value, CAST(l.headers AS text)
FROM unnest(CAST(:topic AS text[]), CAST(:part AS int[]), CAST(:off AS bigint[]))
     WITH ORDINALITY AS a(topic, part, off, i)
CROSS JOIN LATERAL (
    SELECT g.off, g.key, g.value, g.headers FROM {schema}.log g
    WHERE g.topic = a.topic AND g.part = a.part AND g.off >= a.off ORDER BY g.off LIMIT :n) l
ORDER BY a.i, l.off LIMIT :n"""

# A renewal that a crash of the server forgets only ends a lease early, so it need not wait for the disk.
BEAT = """
WITH me AS (
    INSERT INTO {schema}.log_member (grp, member, topics, alive_until)
    VALUES (:grp, :member, CAST(:topics AS text[]), clock_timestamp() + make_interval(secs => :lease))
    ON CONFLICT (grp, member) DO UPDATE SET alive_until = excluded.alive_until, topics = excluded.topics
    RETURNING set_config('synchronous_commit', 'off', true)),
l AS MATERIALIZED (
    SELECT topic, part FROM {schema}.log_group WHERE grp = :grp AND owner = :member
    ORDER BY topic, part FOR UPDATE),
mine AS (
    UPDATE {schema}.log_group g SET lease_until = clock_timestamp() + make_interval(secs => :lease)
    FROM l WHERE g.grp = :grp AND g.topic = l.topic AND g.part = l.part AND g.owner = :member
    RETURNING g.topic, g.part, g.epoch, g.next_off)
SELECT 'mine' AS kind, NULL AS member, topic, part, epoch, next_off FROM mine
UNION ALL SELECT 'me', set_config, NULL, NULL, NULL, NULL FROM me
UNION ALL SELECT 'member', m.member, t.topic, NULL, NULL, NULL
FROM {schema}.log_member m CROSS JOIN LATERAL unnest(m.topics) t(topic)
WHERE m.grp = :grp AND m.alive_until > clock_timestamp()"""

CLAIM = """
INSERT INTO {schema}.log_group AS g (grp, topic, part, next_off, owner, epoch, lease_until)
SELECT :grp, x.topic, x.part, 0, :member, 1, clock_timestamp() + make_interval(secs => :lease)
FROM unnest(CAST(:topic AS text[]), CAST(:part AS int[])) x(topic, part) ORDER BY x.topic, x.part
ON CONFLICT (grp, topic, part) DO UPDATE
SET owner = excluded.owner, epoch = g.epoch + 1, lease_until = excluded.lease_until
WHERE g.owner IS NULL OR g.lease_until < clock_timestamp()
RETURNING g.topic, g.part, g.epoch, g.next_off"""

# Owner and epoch are both asked for: after a crash of the server an epoch number may be given a second time.
_HELD = """
WITH l AS MATERIALIZED (
    SELECT g.topic, g.part, x.off FROM {{schema}}.log_group g
    JOIN unnest(CAST(:topic AS text[]), CAST(:part AS int[]),
                CAST(:epoch AS bigint[]), CAST(:off AS bigint[])) x(topic, part, epoch, off)
      ON g.topic = x.topic AND g.part = x.part AND g.epoch = x.epoch
    WHERE g.grp = :grp AND g.owner = :member
    ORDER BY g.topic, g.part FOR UPDATE OF g)
UPDATE {{schema}}.log_group g SET {change}
FROM l WHERE g.grp = :grp AND g.topic = l.topic AND g.part = l.part RETURNING g.topic, g.part"""

COMMIT = _HELD.format(change="next_off = greatest(g.next_off, l.off)")
RELEASE = _HELD.format(change="owner = NULL, lease_until = NULL")

LEAVE = """
DELETE FROM {schema}.log_member WHERE grp = :grp AND (member = :member OR alive_until < clock_timestamp())"""


def ddl(schema: str) -> list[str]:
    """The statements that create the tables that are absent; run them in one transaction."""
    return [part for part in DDL.format(schema=checked(schema)).split(";") if part.strip()]


def statement(template: str, schema: str) -> TextClause:
    return text(template.format(schema=schema))


def checked(schema: str) -> str:
    """`schema`, fit to be written into statements. Raises ValueError unless it is a plain lower-case name."""
    if not re.fullmatch(r"[a-z_][a-z0-9_]{0,62}", schema):
        raise ValueError(f"not a plain schema name: {schema!r}")
    return schema
