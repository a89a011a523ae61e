//! Word to people of what was changed about their account, to the address it had before, so that nobody is robbed of it unnoticed.

mod kind;
mod row;
mod store;

pub use kind::NoticeKind;
pub use row::Model as Notice;
pub use store::Notices;
pub(crate) use store::tell;
