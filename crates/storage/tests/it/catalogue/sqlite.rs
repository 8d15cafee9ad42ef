//! Reads the catalogue of SQLite, from its pragmas where they tell and from the stored SQL where they
//! do not (names of constraints, predicates).

use alkhub_storage::Database;
use serde_json::Value;

use super::{Catalogue, Column, ForeignKey, Index, plain_predicate};
use crate::sql::json_rows;

pub(crate) async fn read(db: &Database) -> Catalogue {
    let mut catalogue = Catalogue::default();
    for row in json_rows(db, OBJECTS).await {
        let (kind, name, table) = (text(&row[0]), text(&row[1]), text(&row[2]));
        match kind.as_str() {
            "trigger" => {
                catalogue.triggers.insert((table, name));
            }
            "table" if !name.starts_with("hub_") => {
                read_table(db, &name, &text(&row[3]), &mut catalogue).await;
            }
            "index" if !name.starts_with("hub_") => {
                let index = read_index(db, &name, table, &text(&row[3])).await;
                catalogue.indexes.insert(name, index);
            }
            _ => {
                catalogue.others.insert(format!("{kind} {name}"));
            }
        }
    }
    catalogue
}

async fn read_table(db: &Database, table: &str, sql: &str, catalogue: &mut Catalogue) {
    let columns = format!(
        "select json_array(name, type, \"notnull\", dflt_value, pk) from pragma_table_info('{table}')"
    );
    for row in json_rows(db, &columns).await {
        let name = text(&row[0]);
        assert_eq!(row[4] == 1, name == "id", "primary key of {table}");
        catalogue
            .columns
            .entry(table.to_owned())
            .or_default()
            .push(Column {
                type_name: text(&row[1]),
                required: row[2] == 1,
                default: row[3].as_str().map(plain_default),
                name,
            });
    }
    let keys = format!(
        "select json_array(\"from\", \"table\", \"to\", on_delete, on_update)
         from pragma_foreign_key_list('{table}')"
    );
    for row in json_rows(db, &keys).await {
        let column = text(&row[0]);
        let name = format!("fk_{table}_{column}");
        assert!(
            sql.contains(&format!("constraint {name} foreign key")),
            "{name}"
        );
        assert_eq!(row[4], "NO ACTION", "update rule of {name}");
        catalogue.foreign_keys.insert(ForeignKey {
            name,
            table: table.to_owned(),
            column,
            references: format!("{}.{}", text(&row[1]), text(&row[2])),
            on_delete: text(&row[3]),
        });
    }
    for line in sql.lines().map(str::trim) {
        if let Some((name, check)) = line
            .strip_prefix("constraint chk_")
            .and_then(|rest| rest.split_once(" check "))
        {
            catalogue
                .checks
                .insert(format!("chk_{name}"), check.to_owned());
        }
    }
}

async fn read_index(db: &Database, name: &str, table: String, sql: &str) -> Index {
    let columns = format!(
        "select json_array(name, coll, \"desc\") from pragma_index_xinfo('{name}') where key = 1 order by seqno"
    );
    let columns: Vec<String> = json_rows(db, &columns)
        .await
        .iter()
        .map(|row| {
            assert_eq!(
                (&row[1], &row[2]),
                (&Value::from("BINARY"), &Value::from(0)),
                "{name}"
            );
            text(&row[0])
        })
        .collect();
    Index {
        table,
        unique: sql.to_lowercase().starts_with("create unique index"),
        method: "btree".to_owned(),
        columns,
        operator_class: None,
        predicate: sql
            .split_once(" where ")
            .map(|(_, predicate)| plain_predicate(predicate)),
    }
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
        .to_owned()
}

/// `'user'` is the default `user`; the expression for the present time is `now()`.
fn plain_default(text: &str) -> String {
    if text == "strftime('%Y-%m-%dT%H:%M:%f+00:00', 'now')" {
        return "now()".to_owned();
    }
    text.trim_matches('\'').to_owned()
}

const OBJECTS: &str = "
    select json_array(type, name, tbl_name, sql) from sqlite_schema
    where name not like 'sqlite\\_%' escape '\\'";
