//! Old mail of a folder: what lay in it when we began to read it, and what was passed over as old since. Times of arrival tell
//! old mail from new only as long as the server keeps them; a folder that is restored from a copy may have lost all of them, and
//! then only this knows which of its mails are old.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter, QuerySelect,
    entity::prelude::{
        ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EnumIter, PrimaryKeyTrait,
    },
    sea_query::OnConflict,
};
use sha2::{Digest, Sha256};

use super::cursor;
use crate::{
    accounts::Account,
    database::{StoreError, Transaction},
    ids::{AccountId, TenantId},
    words::words,
};

words! {
    /// How much of a folder a snapshot knows.
    "snapshot's coverage"
    enum Coverage {
        /// There is none.
        Nothing = "none",
        /// The newest mails: there were more than are kept, or the server did not show all of them.
        Newest = "newest",
        /// Every mail that was there.
        Whole = "whole",
    }
}

/// What a mail is known by, whatever its server numbers it or says of its arrival: a hash of its Message-ID, Date, From and Subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Print(u64);

impl Print {
    /// Of header lines that hold these four, as the server gives them. The size tells mails apart that have no Message-ID.
    pub fn of(header: &[u8], size: u64) -> Self {
        let mut lines: Vec<Vec<u8>> = Vec::new();
        for line in header.split(|byte| *byte == b'\n') {
            match lines.last_mut() {
                Some(last) if line.first().is_some_and(|byte| matches!(byte, b' ' | b'\t')) => {
                    last.push(b' ');
                    last.extend_from_slice(line.trim_ascii());
                }
                _ if line.trim_ascii().is_empty() => {}
                _ => {
                    let name = line.iter().position(|byte| *byte == b':').unwrap_or(line.len());
                    let (name, value) = line.split_at(name);
                    let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
                    lines.push([name.trim_ascii().to_ascii_lowercase().as_slice(), value].join(&b':'));
                }
            }
        }
        lines.sort_unstable();
        let mut hash = Sha256::new();
        for line in &lines {
            hash.update(line);
            hash.update(b"\n");
        }
        if !lines.iter().any(|line| line.starts_with(b"message-id:")) {
            hash.update(size.to_be_bytes());
        }
        let mut first = [0; 8];
        first.copy_from_slice(&hash.finalize()[..8]);
        Self(u64::from_be_bytes(first))
    }
}

/// Prints that are kept of a folder, at most.
pub const MOST_PRINTS: usize = 100_000;

/// Old mail of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub coverage: Coverage,
    prints: HashSet<Print>,
}

impl Snapshot {
    /// Nothing is known.
    pub fn none() -> Self {
        Self { coverage: Coverage::Nothing, prints: HashSet::new() }
    }

    pub fn contains(&self, print: Print) -> bool {
        self.prints.contains(&print)
    }

    /// Prints of mails.
    pub fn len(&self) -> usize {
        self.prints.len()
    }

    pub fn is_empty(&self) -> bool {
        self.prints.is_empty()
    }
}

/// A part of a folder's snapshot: 0 was taken at the beginning, the others hold what was passed over since.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mailbox_snapshots")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub account_id: AccountId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub folder: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub part: i32,
    pub tenant_id: TenantId,
    /// That of part 0 counts.
    pub coverage: Coverage,
    /// Eight bytes for each mail.
    pub prints: Vec<u8>,
    pub taken_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

pub(super) async fn find(
    connection: &impl ConnectionTrait,
    tenant: TenantId,
    account: AccountId,
    folder: &str,
) -> Result<Snapshot, StoreError> {
    let own = place(account, folder).add(Column::TenantId.eq(tenant));
    let mut snapshot = Snapshot::none();
    for part in Entity::find().filter(own).all(connection).await? {
        if part.part == 0 {
            snapshot.coverage = part.coverage;
        }
        let prints = part.prints.as_chunks::<8>().0.iter();
        snapshot.prints.extend(prints.map(|bytes| Print(u64::from_be_bytes(*bytes))));
    }
    Ok(snapshot)
}

/// How much the snapshot knows, without reading it.
pub(super) async fn coverage(
    connection: &impl ConnectionTrait,
    account: AccountId,
    folder: &str,
) -> Result<Coverage, StoreError> {
    let first = place(account, folder).add(Column::Part.eq(0));
    let select = Entity::find().filter(first).select_only().column(Column::Coverage);
    Ok(select.into_tuple().one(connection).await?.unwrap_or(Coverage::Nothing))
}

/// Keeps a snapshot, unless there is one: the first is the one that was taken before anything happened to the folder.
pub(super) async fn keep(
    tx: &Transaction,
    now: DateTime<Utc>,
    account: &Account,
    folder: &str,
    coverage: Coverage,
    prints: &[Print],
) -> Result<(), StoreError> {
    insert(tx, now, account, (folder, 0), coverage, prints).await?;
    let kept = self::coverage(tx.connection(), account.id, folder).await?;
    cursor::note_snapshot(tx.connection(), account.id, folder, kept).await
}

/// Adds what was passed over as old to a snapshot that was taken. Beyond [`MOST_PRINTS`] it is not whole any more.
pub(super) async fn add(
    tx: &Transaction,
    now: DateTime<Utc>,
    account: &Account,
    folder: &str,
    prints: &[Print],
) -> Result<(), StoreError> {
    let known = find(tx.connection(), account.tenant_id, account.id, folder).await?;
    let new: Vec<Print> = prints.iter().copied().filter(|print| !known.contains(*print)).collect();
    if new.is_empty() || known.coverage == Coverage::Nothing {
        return Ok(());
    }
    if known.len() + new.len() > MOST_PRINTS {
        let first = place(account.id, folder).add(Column::Part.eq(0));
        let changes = ActiveModel { coverage: Set(Coverage::Newest), ..ActiveModel::default() };
        Entity::update_many().set(changes).filter(first).exec(tx.connection()).await?;
        return cursor::note_snapshot(tx.connection(), account.id, folder, Coverage::Newest).await;
    }
    let parts = Entity::find().filter(place(account.id, folder)).select_only().column_as(Column::Part.max(), "part");
    let last = parts.into_tuple::<Option<i32>>().one(tx.connection()).await?.flatten().unwrap_or_default();
    insert(tx, now, account, (folder, last + 1), known.coverage, &new).await
}

async fn insert(
    tx: &Transaction,
    now: DateTime<Utc>,
    account: &Account,
    (folder, part): (&str, i32),
    coverage: Coverage,
    prints: &[Print],
) -> Result<(), StoreError> {
    let row = Model {
        account_id: account.id,
        folder: folder.to_owned(),
        part,
        tenant_id: account.tenant_id,
        coverage,
        prints: prints.iter().flat_map(|print| print.0.to_be_bytes()).collect(),
        taken_at: now,
    };
    Entity::insert(row.into_active_model())
        .on_conflict(OnConflict::columns([Column::AccountId, Column::Folder, Column::Part]).do_nothing().to_owned())
        .exec_without_returning(tx.connection())
        .await?;
    Ok(())
}

/// Another mailbox may stand behind the account from now on, whose numbers and old mail are its own.
pub(crate) async fn forget(connection: &impl ConnectionTrait, account: AccountId) -> Result<(), StoreError> {
    Entity::delete_many().filter(Column::AccountId.eq(account)).exec(connection).await?;
    let changes = cursor::ActiveModel { snapshot: Set(Coverage::Nothing), ..cursor::ActiveModel::default() };
    let own = cursor::Column::AccountId.eq(account);
    cursor::Entity::update_many().set(changes).filter(own).exec(connection).await?;
    cursor::distrust(connection, account).await
}

fn place(account: AccountId, folder: &str) -> Condition {
    Condition::all().add(Column::AccountId.eq(account)).add(Column::Folder.eq(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &[u8] =
        b"Message-ID: <1@a.example>\r\nDate: Mon, 2 Nov 2026 10:00:00 +0100\r\nSubject: Plates\r\n and bars\r\n\r\n";

    #[test]
    fn a_print_outlives_order_case_and_folding() {
        let other = b"subject: Plates\n\tand bars\nDATE:Mon, 2 Nov 2026 10:00:00 +0100\nMessage-Id:  <1@a.example>\n";
        assert_eq!(Print::of(HEADER, 10), Print::of(other, 99));
        for (from, to) in [("<1@", "<2@"), ("Plates", "Plate"), ("10:00:00", "10:00:01")] {
            let changed = String::from_utf8_lossy(HEADER).replace(from, to);
            assert_ne!(Print::of(HEADER, 10), Print::of(changed.as_bytes(), 10), "{to}");
        }
    }

    #[test]
    fn without_a_message_id_the_size_counts() {
        let header = b"Date: Mon, 2 Nov 2026 10:00:00 +0100\r\n\r\n";
        assert_eq!(Print::of(header, 10), Print::of(header, 10));
        assert_ne!(Print::of(header, 10), Print::of(header, 11));
        assert_ne!(Print::of(b"", 1), Print::of(b"", 2));
    }
}
