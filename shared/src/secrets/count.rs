use sea_orm::{ConnectionTrait, DbBackend, Statement};

use super::Secrets;
use crate::{
    database::{AllTenants, StoreError},
    seal::{SEALED_COLUMNS, SealedColumn},
};

/// How many texts of a column are sealed with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedCount {
    pub column: &'static SealedColumn,
    /// The key's id.
    pub key: String,
    pub values: u64,
}

impl Secrets {
    /// Counts all sealed texts by column and key. It reads every row that has one.
    pub async fn count(&self, _: AllTenants) -> Result<Vec<SealedCount>, StoreError> {
        let backend = self.backend();
        let mut counts = Vec::new();
        for column in SEALED_COLUMNS {
            let name = column.column;
            let key = match backend {
                DbBackend::Sqlite => format!("substr({name}, 4, instr(substr({name}, 4), ':') - 1)"),
                _ => format!("split_part({name}, ':', 2)"),
            };
            let sql = format!(
                "SELECT {key} AS key_id, COUNT(*) AS many FROM {} WHERE {name} <> '' GROUP BY 1 ORDER BY 1",
                column.table
            );
            for row in self.database.reader().query_all_raw(Statement::from_string(backend, sql)).await? {
                let many: i64 = row.try_get("", "many")?;
                counts.push(SealedCount { column, key: row.try_get("", "key_id")?, values: many.unsigned_abs() });
            }
        }
        Ok(counts)
    }
}
