//! What a database is, as lines: tables with their columns, keys, checks, comments, privileges and number of rows, views, indexes,
//! triggers, functions. Two databases are made alike when their lines are the same.

use std::collections::BTreeSet;

use tokio_postgres::Client;

/// Not what an extension brought, no partitions. A line begins with what it is about.
const LINES: &str = "WITH r AS (SELECT oid, relname, relkind, relacl, reloptions FROM pg_class WHERE relnamespace = 'public'::regnamespace \
        AND NOT relispartition AND relkind IN ('r', 'p', 'v', 'm', 'S')) \
    SELECT concat_ws(' ', 'kind', relname, relkind, pg_get_partkeydef(oid)) FROM r \
    UNION ALL SELECT concat_ws(' ', 'relation', relname, reloptions::text, obj_description(oid, 'pg_class')) FROM r \
    UNION ALL SELECT concat_ws(' ', 'grant', r.relname, a.privilege_type, a.grantee::regrole, a.is_grantable) FROM r, aclexplode(r.relacl) a \
        JOIN pg_class c ON true WHERE c.oid = r.oid AND a.grantee <> c.relowner \
    UNION ALL SELECT concat_ws(' ', 'column', relname, attnum, attname, format_type(atttypid, atttypmod), attnotnull, attidentity, \
        attacl::text, attstorage, pg_get_expr(adbin, adrelid), col_description(r.oid, attnum)) FROM r JOIN pg_attribute ON attrelid = r.oid \
        LEFT JOIN pg_attrdef ON adrelid = r.oid AND adnum = attnum WHERE attnum > 0 AND NOT attisdropped \
    UNION ALL SELECT concat_ws(' ', 'constraint', relname, conname, pg_get_constraintdef(c.oid)) FROM r JOIN pg_constraint c ON conrelid = r.oid \
    UNION ALL SELECT concat_ws(' ', 'index', replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ')) FROM r JOIN pg_index ON indrelid = r.oid \
    UNION ALL SELECT concat_ws(' ', 'trigger', pg_get_triggerdef(t.oid), tgenabled) FROM r JOIN pg_trigger t ON tgrelid = r.oid WHERE NOT tgisinternal \
    UNION ALL SELECT concat_ws(' ', 'view', relname, pg_get_viewdef(oid)) FROM r WHERE relkind IN ('v', 'm') \
    UNION ALL SELECT concat_ws(' ', 'function', pg_get_functiondef(p.oid)) FROM pg_proc p WHERE pronamespace = 'public'::regnamespace \
        AND prokind = 'f' AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype = 'e') \
    UNION ALL SELECT concat_ws(' ', 'rows', relname, \
        (xpath('/row/n/text()', query_to_xml(format('SELECT count(*) AS n FROM public.%I', relname), false, true, '')))[1]) FROM r \
        WHERE relkind IN ('r', 'p')";

/// The lines that are not about one of these relations.
pub async fn lines(client: &Client, except: &[&str]) -> BTreeSet<String> {
    let rows = client.query(LINES, &[]).await.unwrap();
    let is_about = |line: &str| {
        let subject = line.split(' ').nth(1).unwrap_or_default();
        except.contains(&subject) || except.iter().any(|name| line.contains(&format!(" ON public.{name} ")))
    };
    rows.iter().map(|row| row.get(0)).filter(|line: &String| !is_about(line)).collect()
}

/// What only one of two has.
pub fn difference<'l>(one: &'l BTreeSet<String>, other: &'l BTreeSet<String>) -> Vec<&'l String> {
    one.symmetric_difference(other).collect()
}
