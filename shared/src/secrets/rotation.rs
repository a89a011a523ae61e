use sea_orm::{
    ConnectionTrait, ExprTrait, Order, Value,
    sea_query::{Expr, LockBehavior, LockType, Query},
};
use uuid::Uuid;

use super::Secrets;
use crate::{
    database::{AllTenants, StoreError, Transaction},
    seal::{KeyRing, SEALED_COLUMNS, SealError, SealedColumn},
};

/// Texts of one step: so many rows are locked together, for some milliseconds.
pub const STEP: u64 = 200;

/// Where the next step begins: a column of the list, and the last row that was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    column: usize,
    after: Option<Uuid>,
}

/// What one step of a rotation did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RotationStep {
    /// Texts that are sealed with the first key now.
    pub resealed: u64,
    /// Texts that do not open: sealed with a key that this ring does not have, or altered.
    pub unreadable: u64,
    /// Where the next step begins; none after the last one.
    pub next: Option<Place>,
}

impl Secrets {
    /// Seals up to [`STEP`] texts again that the first key did not seal, from `place` on.
    ///
    /// Rows that somebody changes at this moment are passed over rather than waited for (PostgreSQL; SQLite has one writer), so
    /// that a rotation never takes part in a deadlock: a second run finds them. A text is replaced only where it is still the one
    /// that was opened, so what a store wrote meanwhile stays.
    pub async fn rotate(&self, _: AllTenants, place: Place) -> Result<RotationStep, StoreError> {
        let Some(column) = SEALED_COLUMNS.get(place.column) else { return Ok(RotationStep::default()) };
        let keys = self.keys()?;
        let tx = self.database.write().await?;
        let found = stale(&tx, keys, column, place.after).await?;
        let mut step = RotationStep::default();
        let mut replaced = Vec::with_capacity(found.len());
        for (row, sealed) in &found {
            match again(keys, column, *row, sealed) {
                Ok(fresh) => replaced.push((*row, sealed.as_str(), fresh)),
                Err(SealError::NoKeys | SealError::Unlisted(_)) => return Err(SealError::NoKeys.into()),
                Err(SealError::Malformed | SealError::UnknownKey(_) | SealError::Refused) => step.unreadable += 1,
            }
        }
        step.resealed = replace(&tx, column, replaced).await?;
        tx.commit().await?;
        step.next = match found.last() {
            Some((last, _)) if found.len() as u64 == STEP => Some(Place { after: Some(*last), ..place }),
            _ => Some(Place { column: place.column + 1, after: None }),
        };
        step.next = step.next.filter(|next| next.column < SEALED_COLUMNS.len());
        Ok(step)
    }
}

/// Rows of a column that another key sealed, in the order of their ids. They are ours until the transaction ends.
async fn stale(
    tx: &Transaction,
    keys: &KeyRing,
    column: &SealedColumn,
    after: Option<Uuid>,
) -> Result<Vec<(Uuid, String)>, StoreError> {
    let prefix = keys.current_prefix();
    let mut select = Query::select();
    select
        .column(column.key)
        .column(column.column)
        .from(column.table)
        .and_where(Expr::col(column.column).ne(""))
        // The prefix is made of letters, digits, colons, - and _ only.
        .and_where(Expr::cust(format!("substr({}, 1, {}) <> '{prefix}'", column.column, prefix.len())))
        .order_by(column.key, Order::Asc)
        .limit(STEP)
        .lock_with_behavior(LockType::Update, LockBehavior::SkipLocked);
    if let Some(after) = after {
        select.and_where(Expr::col(column.key).gt(after));
    }
    let rows = tx.connection().query_all(&select).await?;
    rows.iter().map(|row| Ok((row.try_get("", column.key)?, row.try_get("", column.column)?))).collect()
}

fn again(keys: &KeyRing, column: &SealedColumn, row: Uuid, sealed: &str) -> Result<String, SealError> {
    let row = row.to_string();
    let mut refused = SealError::Refused;
    for place in column.places_of(&row) {
        match keys.open(place, sealed) {
            Ok(secret) => return keys.seal(place, &secret),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

/// Puts the new texts where the old ones still are, in one statement; returns how many.
async fn replace(
    tx: &Transaction,
    column: &SealedColumn,
    replaced: Vec<(Uuid, &str, String)>,
) -> Result<u64, StoreError> {
    if replaced.is_empty() {
        return Ok(0);
    }
    let SealedColumn { table, column, key, .. } = column;
    let backend = tx.connection().get_database_backend();
    let mut values: Vec<Value> = Vec::with_capacity(replaced.len() * 3);
    let mut rows = Vec::with_capacity(replaced.len());
    for (row, old, fresh) in replaced {
        let n = values.len();
        rows.push(match backend {
            sea_orm::DbBackend::Postgres => format!("(${}, ${}, ${})", n + 1, n + 2, n + 3),
            _ => "(?, ?, ?)".to_owned(),
        });
        values.extend([row.into(), old.into(), fresh.into()]);
    }
    let sql = format!(
        "UPDATE {table} SET {column} = fresh.column3 FROM (VALUES {}) AS fresh \
         WHERE {table}.{key} = fresh.column1 AND {table}.{column} = fresh.column2",
        rows.join(", ")
    );
    let done = tx.connection().execute_raw(sea_orm::Statement::from_sql_and_values(backend, sql, values)).await?;
    Ok(done.rows_affected())
}

#[cfg(test)]
mod tests {
    use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
    use uuid::Uuid;

    use super::{SEALED_COLUMNS, replace, stale};
    use crate::{config::DatabaseConfig, database::Database, seal::KeyRing};

    /// On SQLite nobody can come between; on PostgreSQL only whoever does not take the lock. The comparison stands against both.
    #[tokio::test]
    async fn a_text_that_is_another_by_now_stays() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}?mode=rwc", folder.path().join("rotation.db").display());
        let database = Database::connect(&DatabaseConfig::at(&url)).await.unwrap();
        let keys = KeyRing::parse(
            "k2:HxECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=,k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        );
        let (keys, column) = (keys.unwrap(), &SEALED_COLUMNS[0]);
        let tx = database.write().await.unwrap();
        let create = format!("CREATE TABLE {} ({} blob, {} text)", column.table, column.key, column.column);
        tx.connection().execute_unprepared(&create).await.unwrap();
        for text in ["s1:k1:stays", "s1:k1:changes"] {
            let insert = format!("INSERT INTO {} VALUES ($1, $2)", column.table);
            let values = [Uuid::now_v7().into(), text.into()];
            let insert = Statement::from_sql_and_values(DbBackend::Sqlite, insert, values);
            tx.connection().execute_raw(insert).await.unwrap();
        }
        let found = stale(&tx, &keys, column, None).await.unwrap();
        assert_eq!(found.len(), 2);
        let change =
            format!("UPDATE {0} SET {1} = 's1:k1:changed' WHERE {1} = 's1:k1:changes'", column.table, column.column);
        tx.connection().execute_unprepared(&change).await.unwrap();
        let replaced = found.iter().map(|(row, old)| (*row, old.as_str(), old.replace("k1", "k2"))).collect();
        assert_eq!(replace(&tx, column, replaced).await.unwrap(), 1);
        let left = stale(&tx, &keys, column, None).await.unwrap();
        assert_eq!(left.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), ["s1:k1:changed"]);
    }
}
