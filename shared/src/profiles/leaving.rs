//! Leaving for good. What becomes of the tenants that a person works for:
//!
//! * one that has another administrator goes on, and so does one that the person does not administer;
//! * the last administrator does not leave others behind, nor a business that is live: an active one with a connected mailbox, or a
//!   key that opens it;
//! * a business that is neither is deleted with its only member, after a week in which those who run the platform may restore it;
//! * one that is suspended stays as it is: whoever suspended it decides.

use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ColumnTrait, Condition, EntityTrait, PaginatorTrait, QueryFilter, QueryOrder};
use serde_json::json;

use super::{Profiles, Proof, proof};
use crate::{
    accounts::{self, AccountState},
    api_keys,
    audit::{AuditKind, AuditOutcome, Said},
    database::{StoreError, Transaction},
    ids::{OutboxId, TenantId, UserId},
    one_time_codes::CodePurpose,
    roles::Role,
    tenants::{self, AskedDeletion, Tenant, TenantState},
    users::{self, Membership, member},
};

/// How long a tenant without members can be restored.
const DELAY: TimeDelta = TimeDelta::days(7);

/// What a person left behind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Left {
    /// Tenants that are to be deleted.
    pub tenants: Vec<TenantId>,
    /// The jobs that do it, on their way.
    pub entries: Vec<OutboxId>,
}

impl Profiles {
    /// Removes a person with sessions, identities, memberships, codes, and what was mailed to their address. What they did stays in the
    /// audit log. `None` if the proof does not hold; a conflict if a tenant, or the platform, would be left without an administrator.
    pub async fn leave(&self, user: UserId, proof: &Proof) -> Result<Option<Left>, StoreError> {
        let nobody = || StoreError::NotFound { what: "user" };
        let now = self.clock.now();
        let tx = self.database.write().await?;
        let found = users::lock_to_remove(&tx, user).await?.ok_or_else(nobody)?;
        if !proof.holds(&tx, &self.codes, &found, CodePurpose::DeleteAccount).await? {
            proof::refuse(tx, user).await?;
            return Ok(None);
        }
        if found.platform_admin {
            users::not_the_only_one(&users::platform_admins(&tx).await?)?;
        }
        let of_user = member::Entity::find().filter(member::Column::UserId.eq(user));
        let of_user = of_user.order_by_asc(member::Column::TenantId);
        let memberships = of_user.clone().all(tx.connection()).await?;
        let mut left = Left::default();
        // None of them is given another role, or loses its other administrators, from here on; then what they are now counts.
        for membership in &memberships {
            users::lock_tenant(&tx, membership.tenant_id).await?;
        }
        let memberships = of_user.all(tx.connection()).await?;
        for membership in &memberships {
            let ended = leave_tenant(&tx, now, membership).await?;
            say(&tx, membership, ended.as_ref());
            if let Some(asked) = ended {
                left.tenants.push(asked.tenant.id);
                left.entries.push(asked.entry);
            }
        }
        if memberships.is_empty() {
            tx.say(said(user, None, json!({ "deleted": true })));
        }
        let gone = member::Entity::delete_many().filter(member::Column::UserId.eq(user));
        gone.exec(tx.connection()).await?;
        users::erase(&tx, user).await?;
        users::forget_address(&tx, &found.email).await?;
        tx.commit().await?;
        for tenant in &left.tenants {
            self.tenants.changed(*tenant);
        }
        Ok(Some(left))
    }
}

/// The tenant's log tells that somebody left, by id: the row that held the address is gone.
fn say(tx: &Transaction, membership: &Membership, ended: Option<&AskedDeletion>) {
    let mut after = json!({ "role": null });
    if let Some(AskedDeletion { tenant, .. }) = ended {
        after = json!({ "role": null, "tenant_state": tenant.state, "delete_after": tenant.delete_after });
    }
    tx.say(said(membership.user_id, Some(membership.tenant_id), after));
}

fn said(user: UserId, tenant: Option<TenantId>, after: serde_json::Value) -> Said {
    Said { tenant, after: Some(after), ..Said::of(AuditKind::Change, AuditOutcome::Done, user) }
}

/// Decides what becomes of a tenant, which `tx` has locked, without this member; the deletion if there is one.
async fn leave_tenant(
    tx: &Transaction,
    now: DateTime<Utc>,
    membership: &Membership,
) -> Result<Option<AskedDeletion>, StoreError> {
    if membership.role != Role::TenantAdmin {
        return Ok(None);
    }
    if users::admins_beside(tx, membership).await? > 0 {
        return Ok(None);
    }
    let tenant = tenants::find(tx.connection(), membership.tenant_id).await?;
    let has_others = users::members_beside(tx, membership).await? > 0;
    match tenant.state {
        TenantState::Pending | TenantState::Active | TenantState::Suspended if has_others => {
            let next = "make one of the others its administrator, or remove them";
            Err(refused(&tenant, "the last administrator", next))
        }
        TenantState::Suspended | TenantState::Deleting | TenantState::Deleted => Ok(None),
        TenantState::Active if is_live(tx, now, tenant.id).await? => {
            let next = "make somebody else its administrator, or disconnect its mailboxes and revoke its keys";
            Err(refused(&tenant, "the only member", next))
        }
        TenantState::Pending | TenantState::Active => {
            tenants::ask_in(tx, now, (tenant.id, tenant.state), DELAY).await.map(Some)
        }
    }
}

fn refused(tenant: &Tenant, what: &str, next: &str) -> StoreError {
    StoreError::conflict("user", format!("is {what} of {} ({}); {next} first", tenant.name, tenant.id))
}

/// Whether something works for the tenant without its people.
async fn is_live(tx: &Transaction, now: DateTime<Utc>, tenant: TenantId) -> Result<bool, StoreError> {
    let mailboxes = accounts::Entity::find()
        .filter(accounts::Column::TenantId.eq(tenant))
        .filter(accounts::Column::State.ne(AccountState::Disconnected))
        .count(tx.connection())
        .await?;
    let in_time = Condition::any().add(api_keys::Column::ExpiresAt.is_null()).add(api_keys::Column::ExpiresAt.gt(now));
    let keys = api_keys::Entity::find()
        .filter(api_keys::Column::TenantId.eq(tenant))
        .filter(api_keys::Column::RevokedAt.is_null())
        .filter(in_time)
        .count(tx.connection())
        .await?;
    Ok(mailboxes + keys > 0)
}
