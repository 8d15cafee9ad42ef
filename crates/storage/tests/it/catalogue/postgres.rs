//! Reads the catalogue of PostgreSQL.

use alkhub_storage::Database;
use serde_json::Value;

use super::{Catalogue, Column, ForeignKey, Index, plain_predicate};
use crate::sql::json_rows;

pub(crate) async fn read(db: &Database) -> Catalogue {
    let mut catalogue = Catalogue::default();
    for row in json_rows(db, COLUMNS).await {
        let table = text(&row[0]);
        if table.starts_with("hub_") {
            catalogue.others.insert(format!("table {table}"));
            continue;
        }
        catalogue.columns.entry(table).or_default().push(Column {
            name: text(&row[1]),
            type_name: text(&row[2]),
            required: text(&row[3]) == "NO",
            default: row[4].as_str().map(plain_default),
        });
    }
    for row in json_rows(db, FOREIGN_KEYS).await {
        assert_eq!(text(&row[5]), "a", "update rule of {}", row[0]);
        assert_eq!(row[6], Value::Bool(false), "{} is deferrable", row[0]);
        catalogue.foreign_keys.insert(ForeignKey {
            name: text(&row[0]),
            table: text(&row[1]),
            column: text(&row[2]),
            references: text(&row[3]),
            on_delete: match text(&row[4]).as_str() {
                "c" => "CASCADE".to_owned(),
                "n" => "SET NULL".to_owned(),
                "r" => "RESTRICT".to_owned(),
                other => other.to_owned(),
            },
        });
    }
    for row in json_rows(db, INDEXES).await {
        let name = text(&row[0]);
        if name.starts_with("hub_") {
            catalogue.others.insert(format!("index {name}"));
            continue;
        }
        let classes: Vec<String> = list(&row[5]);
        catalogue.indexes.insert(
            name,
            Index {
                table: text(&row[1]),
                unique: row[2] == Value::Bool(true),
                method: text(&row[3]),
                columns: list(&row[4]),
                operator_class: classes.into_iter().next(),
                predicate: row[6].as_str().map(plain_predicate),
            },
        );
    }
    for row in json_rows(db, CHECKS).await {
        catalogue.checks.insert(text(&row[0]), text(&row[1]));
    }
    for row in json_rows(db, TRIGGERS).await {
        catalogue.triggers.insert((text(&row[0]), text(&row[1])));
    }
    for row in json_rows(db, OTHERS).await {
        catalogue
            .others
            .insert(format!("{} {}", text(&row[0]), text(&row[1])));
    }
    catalogue
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
        .to_owned()
}

fn list(value: &Value) -> Vec<String> {
    value
        .as_array()
        .map(|items| items.iter().map(text).collect())
        .unwrap_or_default()
}

/// `'user'::text` is the default `user`.
fn plain_default(text: &str) -> String {
    let value = text.split("::").next().unwrap_or(text);
    value.trim_matches('\'').to_owned()
}

const COLUMNS: &str = "
    select json_build_array(table_name, column_name, data_type, is_nullable, column_default)::text
    from information_schema.columns
    where table_schema = current_schema()
    order by table_name, ordinal_position";

const FOREIGN_KEYS: &str = "
    select json_build_array(
        c.conname, child.relname, a.attname, parent.relname || '.' || b.attname,
        c.confdeltype, c.confupdtype, c.condeferrable
    )::text
    from pg_constraint c
    join pg_class child on child.oid = c.conrelid
    join pg_class parent on parent.oid = c.confrelid
    join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
    join pg_attribute b on b.attrelid = c.confrelid and b.attnum = c.confkey[1]
    where c.contype = 'f' and child.relnamespace = current_schema()::regnamespace";

const INDEXES: &str = "
    select json_build_array(
        i.relname, t.relname, x.indisunique, m.amname,
        (select json_agg(pg_get_indexdef(x.indexrelid, k, true) order by k)
            from generate_series(1, x.indnkeyatts) k),
        (select json_agg(o.opcname) from pg_opclass o
            where o.oid = any (x.indclass::oid[]) and not o.opcdefault),
        pg_get_expr(x.indpred, x.indrelid)
    )::text
    from pg_index x
    join pg_class i on i.oid = x.indexrelid
    join pg_class t on t.oid = x.indrelid
    join pg_am m on m.oid = i.relam
    where i.relnamespace = current_schema()::regnamespace and not x.indisprimary";

const CHECKS: &str = "
    select json_build_array(conname, pg_get_constraintdef(oid))::text
    from pg_constraint
    where contype = 'c' and connamespace = current_schema()::regnamespace";

const TRIGGERS: &str = "
    select json_build_array(t.relname, g.tgname)::text
    from pg_trigger g join pg_class t on t.oid = g.tgrelid
    where not g.tgisinternal and t.relnamespace = current_schema()::regnamespace";

const OTHERS: &str = "
    select json_build_array('function', proname)::text from pg_proc
    where pronamespace = current_schema()::regnamespace
    union all
    select json_build_array('collation', collname)::text from pg_collation
    where collnamespace = current_schema()::regnamespace
    union all
    select json_build_array('relation', relname)::text from pg_class
    where relnamespace = current_schema()::regnamespace and relkind not in ('r', 'i')
    union all
    select json_build_array('type', typname)::text from pg_type t
    where typnamespace = current_schema()::regnamespace and typtype <> 'c' and typelem = 0";
