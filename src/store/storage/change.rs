//! Makes `scan` and `average_wide` again as the other kind of table, in one transaction, while they are empty. Nothing is moved: with
//! a row in them it refuses.
//!
//! The new table takes the place of the old one with its columns, checks, keys, indexes, comments, triggers, owner and privileges, and
//! views are bound to it by replacing them with their own text; so they keep their privileges too. Whatever else hangs on
//! the old table keeps it from being dropped, and then nothing is changed.

use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::{StorageError, To, has_rows};
use crate::store::session::{Failure, bounded, execute, query};

const TABLES: [(&str, &str, &str); 2] =
    [("scan", "measured_at", "1 day"), ("average_wide", "start", "1 month")];

/// What must be said again of a new table, as statements: keys and indexes by their names, triggers, comment, owner, privileges of
/// the table and of its columns.
const SAID: &str = "WITH t AS (SELECT oid, relowner, relacl FROM pg_class WHERE oid = $1::text::regclass) \
    SELECT format('ALTER TABLE %s ADD CONSTRAINT %I %s', $1, conname, pg_get_constraintdef(c.oid)) FROM t, pg_constraint c \
        WHERE conrelid = t.oid AND contype IN ('p', 'u') \
    UNION ALL SELECT replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ') FROM t, pg_index i WHERE indrelid = t.oid \
        AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid) \
    UNION ALL SELECT pg_get_triggerdef(g.oid) FROM t, pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid WHERE tgrelid = t.oid \
        AND NOT tgisinternal AND p.pronamespace::regnamespace::text NOT LIKE '\\_timescaledb%' \
    UNION ALL SELECT format('COMMENT ON TABLE %s IS %L', $1, obj_description(t.oid, 'pg_class')) FROM t \
    UNION ALL SELECT format('ALTER TABLE %s OWNER TO %s', $1, relowner::regrole) FROM t \
    UNION ALL SELECT format('GRANT %s ON %s TO %s%s', a.privilege_type, $1, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE \
        a.grantee::regrole::text END, CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) FROM t, aclexplode(relacl) a \
        WHERE a.grantee <> relowner \
    UNION ALL SELECT format('GRANT %s (%I) ON %s TO %s%s', a.privilege_type, attname, $1, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE \
        a.grantee::regrole::text END, CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END) \
        FROM t, pg_attribute, aclexplode(attacl) a WHERE attrelid = t.oid";

/// Views that read the tables, as statements that bind them anew.
const VIEWS: &str = "SELECT DISTINCT format('CREATE OR REPLACE VIEW %s%s AS %s', v.oid::regclass, \
    (SELECT ' WITH (' || string_agg(o, ', ') || ')' FROM unnest(v.reloptions) o), pg_get_viewdef(v.oid)) \
    FROM pg_depend d JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid \
    JOIN pg_class v ON v.oid = r.ev_class AND v.relkind = 'v' \
    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid IN ('scan'::regclass, 'average_wide'::regclass)";

/// What would go with the old table without a word.
const LOST: &str = "SELECT format('policy %s', polname) FROM pg_policy WHERE polrelid IN ('scan'::regclass, 'average_wide'::regclass) \
    UNION ALL SELECT format('publication %s', pubname) FROM pg_publication p JOIN pg_publication_rel r ON r.prpubid = p.oid \
        WHERE prrelid IN ('scan'::regclass, 'average_wide'::regclass) \
    UNION ALL SELECT format('rule %s', rulename) FROM pg_rewrite WHERE ev_class IN ('scan'::regclass, 'average_wide'::regclass)";

/// To its COMMIT. After an error the transaction is to be rolled back.
pub(super) async fn change(client: &Client, to: To) -> Result<(), StorageError> {
    bounded(client.batch_execute("BEGIN; LOCK TABLE scan, average_wide IN ACCESS EXCLUSIVE MODE")).await?;
    if has_rows(client).await? {
        // Something came between the decision and the lock.
        let (wish, found, set) = match to {
            To::Hypertables => ("on", "plain partitions", "off"),
            To::Partitions => ("off", "hypertables", "on"),
        };
        return Err(StorageError::HasRows { wish, found, set });
    }
    let lost: Vec<String> = texts(client, LOST, None).await?;
    if !lost.is_empty() {
        return Err(StorageError::InUse { found: lost.join(", ") });
    }
    if to == To::Hypertables {
        bounded(client.batch_execute("CREATE EXTENSION IF NOT EXISTS timescaledb")).await?;
    }
    let views = texts(client, VIEWS, None).await?;
    let mut said = Vec::new();
    for (table, time, _) in TABLES {
        said.extend(texts(client, SAID, Some(table)).await?);
        let by = match to {
            To::Hypertables => String::new(),
            To::Partitions => format!(" PARTITION BY RANGE ({time})"),
        };
        let replace = format!(
            "CREATE TABLE {table}_made (LIKE {table} INCLUDING ALL EXCLUDING INDEXES){by}; \
             ALTER TABLE {table} RENAME TO {table}_before; ALTER TABLE {table}_made RENAME TO {table}"
        );
        bounded(client.batch_execute(&replace)).await?;
    }
    for view in views {
        bounded(client.batch_execute(&view)).await?;
    }
    for (table, _, _) in TABLES {
        let drop = format!("{table}_before");
        bounded(async { Ok::<_, Failure>(drop_table(client, &drop).await) }).await??;
    }
    for statement in said {
        bounded(client.batch_execute(&statement)).await?;
    }
    let kind = match to {
        To::Hypertables => {
            hypertables(client).await?;
            "hypertables"
        }
        To::Partitions => "partitions",
    };
    execute(client, "UPDATE storage SET kind = $1, decided_at = now()", &[&kind]).await?;
    bounded(client.batch_execute("COMMIT")).await?;
    Ok(())
}

async fn drop_table(client: &Client, table: &str) -> Result<(), StorageError> {
    let refused = |error: tokio_postgres::Error| {
        let detail = error.as_db_error().and_then(|answer| answer.detail()).unwrap_or_default();
        if error.code() == Some(&SqlState::DEPENDENT_OBJECTS_STILL_EXIST) {
            return StorageError::InUse { found: detail.lines().collect::<Vec<_>>().join(", ") };
        }
        StorageError::Database(Failure::from(error))
    };
    let drop = format!("DROP TABLE {table}");
    // Its own error is looked at before the bound turns it into another.
    bounded(async { Ok::<_, Failure>(client.batch_execute(&drop).await) }).await?.map_err(refused)
}

async fn hypertables(client: &Client) -> Result<(), Failure> {
    let schema = super::compression::schema(client).await?;
    for (table, time, length) in TABLES {
        let make = format!(
            "SELECT {schema}.create_hypertable('{table}', '{time}', chunk_time_interval => interval '{length}', \
             create_default_indexes => false)"
        );
        bounded(client.batch_execute(&make)).await?;
    }
    Ok(())
}

async fn texts(client: &Client, sql: &str, table: Option<&str>) -> Result<Vec<String>, Failure> {
    let rows = match table {
        Some(table) => query(client, sql, &[&table]).await?,
        None => query(client, sql, &[]).await?,
    };
    Ok(rows.iter().map(|row| row.get(0)).collect())
}
