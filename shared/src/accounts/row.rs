use chrono::{DateTime, Utc};
use sea_orm::entity::prelude::{
    ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EntityTrait, EnumIter, PrimaryKeyTrait,
};

use super::{AccountSettings, AccountState, LoginMethod, MailServer, Security, Transport};
use crate::{
    database::Texts,
    ids::{AccountId, TenantId},
    time_zone::TimeZone,
};

/// A connected mailbox.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "accounts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: AccountId,
    pub tenant_id: TenantId,
    pub address: String,
    pub display_name: String,
    /// Who it is to its provider; see [`identity_of`](super::identity_of).
    pub identity: String,
    /// Who it was before its address was changed, latest first, without who it is: messages may wait in their scopes. The sixteen
    /// latest are kept.
    pub(crate) former_identities: Texts,
    /// When it became who it is, if it was somebody else before.
    pub(crate) identity_since: Option<DateTime<Utc>>,
    pub imap_host: String,
    pub imap_port: i32,
    pub imap_security: Security,
    pub imap_username: String,
    pub smtp_host: String,
    pub smtp_port: i32,
    pub smtp_security: Security,
    pub smtp_username: String,
    pub login: LoginMethod,
    /// How its mail is handed over; see [`sends_by_gmail`](Self::sends_by_gmail).
    pub transport: Transport,
    pub(super) password_sealed: String,
    pub daily_cap: i32,
    pub time_zone: TimeZone,
    pub poll_interval_seconds: i32,
    pub state: AccountState,
    pub pause_reason: Option<String>,
    /// The provider's own limit was reached: before this nothing more is handed to it. In the past it means nothing.
    pub limited_until: Option<DateTime<Utc>>,
    /// Mail from before is not read.
    pub connected_at: DateTime<Utc>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    /// Where mail is read.
    pub fn imap(&self) -> MailServer {
        MailServer {
            host: self.imap_host.clone(),
            port: u16::try_from(self.imap_port).unwrap_or_default(),
            security: self.imap_security,
            username: self.imap_username.clone(),
        }
    }

    /// Where mail is sent.
    pub fn smtp(&self) -> MailServer {
        MailServer {
            host: self.smtp_host.clone(),
            port: u16::try_from(self.smtp_port).unwrap_or_default(),
            security: self.smtp_security,
            username: self.smtp_username.clone(),
        }
    }

    /// The settings a person may change.
    pub fn settings(&self) -> AccountSettings {
        AccountSettings {
            address: self.address.clone(),
            display_name: self.display_name.clone(),
            imap: self.imap(),
            smtp: self.smtp(),
            daily_cap: u32::try_from(self.daily_cap).unwrap_or_default(),
            time_zone: self.time_zone,
            poll_interval_seconds: u32::try_from(self.poll_interval_seconds).unwrap_or_default(),
        }
    }

    /// What stands behind the `@` of its address; `localhost` if nothing does.
    pub fn domain(&self) -> &str {
        self.address.rsplit_once('@').map_or("localhost", |(_, domain)| domain)
    }

    /// Whether it is read and sent from.
    pub fn is_active(&self) -> bool {
        self.state == AccountState::Active
    }
}
