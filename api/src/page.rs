//! Cursor pagination, the same for every list.

use postrider_shared::database::Cursor;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::problem::Answer;

/// Most items one page holds.
pub const MAX_LIMIT: u16 = 200;

/// Query parameters of a list without filters.
#[derive(Debug, Clone, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// `next_cursor` of the page before; absent for the first page.
    pub cursor: Option<String>,
    /// Most items in the answer.
    #[serde(default)]
    #[param(value_type = u32, minimum = 1, maximum = 200, default = 50)]
    pub limit: Limit,
}

/// How many items a page holds at most: 1 to [`MAX_LIMIT`], 50 if not said.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "u32")]
pub struct Limit(u16);

impl Default for Limit {
    fn default() -> Self {
        Self(50)
    }
}

impl TryFrom<u32> for Limit {
    type Error = String;

    fn try_from(limit: u32) -> Result<Self, Self::Error> {
        match u16::try_from(limit) {
            Ok(limit @ 1..=MAX_LIMIT) => Ok(Self(limit)),
            _ => Err(format!("`limit` must be 1 to {MAX_LIMIT}")),
        }
    }
}

impl From<Limit> for u64 {
    fn from(limit: Limit) -> Self {
        limit.0.into()
    }
}

impl From<Limit> for usize {
    fn from(limit: Limit) -> Self {
        limit.0.into()
    }
}

/// One page of a list, newest first unless the operation says otherwise.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Pass as `cursor` to get the next page; null on the last one. Opaque.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A store's page as the API shows it.
    pub fn of<R: Into<T>>(page: postrider_shared::database::Page<R>) -> Self {
        Self {
            items: page.items.into_iter().map(Into::into).collect(),
            next_cursor: page.next.map(|cursor| cursor.to_string()),
        }
    }
}

impl PageQuery {
    /// Where the page starts.
    pub fn place(&self) -> Answer<Option<Cursor>> {
        place(self.cursor.as_deref())
    }
}

/// Where a page starts.
pub fn place(cursor: Option<&str>) -> Answer<Option<Cursor>> {
    Ok(cursor.map(str::parse).transpose()?)
}
