//! A row that is about to change: what is different at the commit.

use async_trait::async_trait;
use sea_orm::{
    DatabaseTransaction, EntityTrait, IdenStatic, Iterable, ModelTrait, PrimaryKeyToColumn, Select,
    sea_query::{self, Value},
};
use serde_json::{Map, Value as Json, json};

use crate::database::StoreError;

/// Characters of one text that are kept.
const LONGEST: usize = 1_000;
/// Columns that differ with every change.
const NOISE: [&str; 3] = ["updated_at", "last_used_at", "version"];

type Columns = Map<String, Json>;

/// What is different in one row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Difference {
    pub(super) row: Option<String>,
    pub(super) before: Option<Json>,
    pub(super) after: Option<Json>,
}

#[async_trait]
pub(crate) trait Watched: Send + Sync {
    /// `None` if nothing is different.
    async fn difference(&self, tx: &DatabaseTransaction) -> Result<Option<Difference>, StoreError>;
}

/// One row of a table, by the query that finds it.
pub(crate) struct Watch<E: EntityTrait> {
    select: Select<E>,
    before: Option<(String, Columns)>,
}

impl<E: EntityTrait> Watch<E>
where
    E::Model: Sync,
{
    /// Looks at the row as it is before the change.
    pub(crate) async fn begin(select: Select<E>, tx: &DatabaseTransaction) -> Result<Self, StoreError> {
        let before = columns(&select, tx).await?;
        Ok(Self { select, before })
    }
}

#[async_trait]
impl<E: EntityTrait> Watched for Watch<E>
where
    E::Model: Sync,
{
    async fn difference(&self, tx: &DatabaseTransaction) -> Result<Option<Difference>, StoreError> {
        let (mut before, mut after) = (self.before.clone(), columns(&self.select, tx).await?);
        let row = after.as_ref().or(before.as_ref()).map(|(row, _)| row.clone());
        if let (Some((_, before)), Some((_, after))) = (&mut before, &mut after) {
            let same: Vec<String> = before
                .iter()
                .filter(|(name, value)| after.get(*name) == Some(value))
                .map(|(name, _)| name.clone())
                .collect();
            for name in same.iter().map(String::as_str).chain(NOISE) {
                before.remove(name);
                after.remove(name);
            }
            if before.is_empty() && after.is_empty() {
                return Ok(None);
            }
        } else if before.is_none() && after.is_none() {
            return Ok(None);
        }
        let shown = |side: Option<(String, Columns)>| side.map(|(_, columns)| Json::Object(shown(columns)));
        Ok(Some(Difference { row, before: shown(before), after: shown(after) }))
    }
}

/// The row's id, and its columns as they are, secrets included: to be compared, then [`shown`].
async fn columns<E: EntityTrait>(
    select: &Select<E>,
    tx: &DatabaseTransaction,
) -> Result<Option<(String, Columns)>, StoreError> {
    let Some(model) = select.clone().one(tx).await? else { return Ok(None) };
    let column = |column: E::Column| {
        let json = match model.get(column) {
            Value::Bytes(bytes) => json!(format!("{} bytes", bytes.map_or(0, |bytes| bytes.len()))),
            value => sea_query::value::sea_value_to_json_value(&value),
        };
        (IdenStatic::as_str(&column).to_owned(), json)
    };
    let id = E::PrimaryKey::iter().next().map(|key| column(key.into_column()).1);
    let id = id.map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned)).unwrap_or_default();
    Ok(Some((id, E::Column::iter().map(column).collect())))
}

/// Columns without secrets, and without more of a long text than tells what it is.
fn shown(columns: Columns) -> Columns {
    let show = |(name, value): (String, Json)| {
        let value = match value {
            Json::String(text) if is_secret(&name) && !text.is_empty() => json!("(secret)"),
            Json::String(text) if text.chars().count() > LONGEST => {
                json!(format!("{}…", text.chars().take(LONGEST).collect::<String>()))
            }
            value if is_secret(&name) && !value.is_string() && !value.is_null() => json!("(secret)"),
            value => value,
        };
        (name, value)
    };
    columns.into_iter().map(show).collect()
}

/// By their names, so that a new column is not forgotten: whatever is sealed, hashed, or opens something.
fn is_secret(column: &str) -> bool {
    ["sealed", "hash", "password", "secret", "token", "code", "verifier"].iter().any(|part| column.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_long_texts_are_not_kept() {
        let columns: Columns = serde_json::from_value(json!({
            "password_sealed": "s1:k:abc", "token_hash": [1, 2], "name": "x".repeat(2_000), "code": "", "state": "active"
        }))
        .unwrap();
        let shown = shown(columns);
        assert_eq!((&shown["password_sealed"], &shown["token_hash"]), (&json!("(secret)"), &json!("(secret)")));
        assert_eq!((&shown["code"], &shown["state"]), (&json!(""), &json!("active")));
        assert_eq!(shown["name"].as_str().unwrap().chars().count(), LONGEST + 1);
    }
}
