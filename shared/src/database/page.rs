//! Listings in pages that stay right while rows are added.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select};
use uuid::Uuid;

use super::reach::within_reach;

/// The most rows one page may hold.
pub const MAX_PAGE: u64 = 200;

/// One page of a listing, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// Where the next page starts; `None` on the last one.
    pub next: Option<Cursor>,
}

/// The place after a row: its time and id, never a number of rows to skip, so that new rows move nothing.
/// Opaque to clients, as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    at: DateTime<Utc>,
    id: Uuid,
}

/// The text of a cursor was not one of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the cursor is not one this API gave out")]
pub struct CursorError;

impl Cursor {
    pub(crate) fn after(at: DateTime<Utc>, id: Uuid) -> Self {
        Self { at, id }
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut bytes = self.at.timestamp_micros().to_be_bytes().to_vec();
        bytes.extend_from_slice(self.id.as_bytes());
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl std::str::FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let bytes: [u8; 24] =
            URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok()).ok_or(CursorError)?;
        let (micros, id) = bytes.split_at(8);
        let micros = i64::from_be_bytes(micros.try_into().map_err(|_| CursorError)?);
        let at = DateTime::from_timestamp_micros(micros).ok_or(CursorError)?;
        // No row has another time, and the databases know no such one, or put it elsewhere.
        if within_reach(at) != at {
            return Err(CursorError);
        }
        Ok(Self { at, id: Uuid::from_slice(id).map_err(|_| CursorError)? })
    }
}

/// Reads one page of `select`, newest first by (`at`, `id`), at most [`MAX_PAGE`] rows.
pub(crate) async fn newest_first<E: EntityTrait, C: sea_orm::ConnectionTrait>(
    connection: &C,
    select: Select<E>,
    (at, id): (E::Column, E::Column),
    cursor: Option<Cursor>,
    limit: u64,
    key: impl Fn(&E::Model) -> Cursor,
) -> Result<Page<E::Model>, sea_orm::DbErr> {
    let limit = limit.clamp(1, MAX_PAGE);
    let mut select = select;
    if let Some(cursor) = cursor {
        select = select.filter(
            Condition::any().add(at.lt(cursor.at)).add(Condition::all().add(at.eq(cursor.at)).add(id.lt(cursor.id))),
        );
    }
    let mut items = select.order_by_desc(at).order_by_desc(id).limit(limit + 1).all(connection).await?;
    let more = items.len() as u64 > limit;
    items.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next = if more { items.last().map(key) } else { None };
    Ok(Page { items, next })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text() {
        let cursor = Cursor::after(DateTime::from_timestamp_micros(1_790_000_000_123_456).unwrap(), Uuid::from_u128(7));
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        assert_eq!("nonsense".parse::<Cursor>(), Err(CursorError));
    }
}
