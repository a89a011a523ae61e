use chrono::TimeDelta;
use sea_orm::{ActiveValue::Set, ColumnTrait, Condition, EntityTrait, IntoActiveModel, QueryFilter};
use secrecy::SecretString;

use super::{
    Invitation,
    row::{ActiveModel, Column, Entity},
    token,
};
use crate::{
    clock::Clock,
    database::{AllTenants, Cursor, Database, Page, StoreError, page::newest_first},
    ids::{InvitationId, OutboxId, TenantId},
    jobs::MailInvitation,
    outbox,
    roles::Role,
    seal::{KeyRing, Place, SealError},
    users::Email,
};

/// How long an invitation is good.
const VALID: TimeDelta = TimeDelta::days(7);

/// Who is invited, and as what.
#[derive(Debug, Clone)]
pub struct NewInvitation {
    pub id: InvitationId,
    pub email: Email,
    pub role: Role,
    /// The user or key that invites.
    pub invited_by: String,
}

/// An invitation on its way.
#[derive(Debug, Clone)]
pub struct Invited {
    pub invitation: Invitation,
    /// The job that mails it; none for one that was made before.
    pub entry: Option<OutboxId>,
}

/// The table of invitations.
#[derive(Clone)]
pub struct Invitations {
    pub(super) database: Database,
    pub(super) clock: Clock,
    keys: Option<KeyRing>,
}

impl Invitations {
    pub fn new(database: Database, clock: Clock, keys: Option<KeyRing>) -> Self {
        Self { database, clock, keys }
    }

    /// Invites somebody to work for a tenant, or, without one, to run the platform; the mail is on its way. An invitation that has the
    /// id already was made by the same request, whose answer was lost, and is returned as it is.
    pub async fn create(&self, tenant: Option<TenantId>, new: NewInvitation) -> Result<Invited, StoreError> {
        if (new.role == Role::PlatformAdmin) != tenant.is_none() {
            let reason = "must be platform_admin to run the platform, and below it to work for a tenant";
            return Err(StoreError::invalid("role", reason));
        }
        let (now, token) = (self.clock.now(), token::random());
        let invitation = Invitation {
            id: new.id,
            tenant_id: tenant,
            email: new.email.into(),
            role: new.role,
            invited_by: new.invited_by,
            token_hash: token::hash(&token),
            token_sealed: self.keys()?.seal(place(&new.id.to_string()), &token)?,
            expires_at: now + VALID,
            accepted_at: None,
            revoked_at: None,
            mailed_at: None,
            created_at: now,
        };
        let job = MailInvitation { invitation_id: invitation.id };
        let tx = self.database.write().await?;
        tx.watch(Entity::find().filter(own(tenant, new.id))).await?;
        // Whoever is invited may have read the mail by now, or accepted.
        if let Some(made) = Entity::find().filter(own(tenant, new.id)).one(tx.connection()).await? {
            return Ok(Invited { invitation: made, entry: None });
        }
        Entity::insert(invitation.clone().into_active_model()).exec_without_returning(tx.connection()).await?;
        let entry = outbox::enqueue(&tx, now, TenantId::platform(), &job).await?;
        tx.commit().await?;
        Ok(Invited { invitation, entry: Some(entry) })
    }

    /// A tenant's invitations (without one, those to run the platform), newest first, the accepted and revoked ones too.
    pub async fn list(
        &self,
        tenant: Option<TenantId>,
        cursor: Option<Cursor>,
        limit: u64,
    ) -> Result<Page<Invitation>, StoreError> {
        let select = Entity::find().filter(of(tenant));
        let key = |row: &Invitation| Cursor::after(row.created_at, row.id.0);
        let order = (Column::CreatedAt, Column::Id);
        Ok(newest_first(self.database.reader(), select, order, cursor, limit, key).await?)
    }

    /// Nobody can accept it any more. Revoking it again changes nothing; one that was accepted is a conflict.
    pub async fn revoke(&self, tenant: Option<TenantId>, id: InvitationId) -> Result<Invitation, StoreError> {
        let changes = ActiveModel {
            revoked_at: Set(Some(self.clock.now())),
            token_sealed: Set(String::new()),
            ..ActiveModel::default()
        };
        let open = own(tenant, id).add(Column::RevokedAt.is_null()).add(Column::AcceptedAt.is_null());
        let tx = self.database.write().await?;
        tx.watch(Entity::find().filter(own(tenant, id))).await?;
        Entity::update_many().set(changes).filter(open).exec(tx.connection()).await?;
        let found = Entity::find().filter(own(tenant, id)).one(tx.connection()).await?;
        tx.commit().await?;
        let invitation = found.ok_or(StoreError::NotFound { what: "invitation" })?;
        if invitation.accepted_at.is_some() {
            return Err(StoreError::conflict("invitation", "was accepted"));
        }
        Ok(invitation)
    }

    pub async fn get(&self, _: AllTenants, id: InvitationId) -> Result<Option<Invitation>, StoreError> {
        Ok(Entity::find_by_id(id).one(self.database.reader()).await?)
    }

    /// The token, for the mail.
    pub fn open(&self, invitation: &Invitation) -> Result<SecretString, StoreError> {
        Ok(self.keys()?.open(place(&invitation.id.to_string()), &invitation.token_sealed)?)
    }

    /// Whether the mail may be handed to the server now: once, while the invitation is open. Who got a yes and did not hand it over
    /// takes it back with [`not_mailed`](Self::not_mailed).
    pub async fn mailing(&self, _: AllTenants, id: InvitationId) -> Result<bool, StoreError> {
        let now = self.clock.now();
        let changes = ActiveModel { mailed_at: Set(Some(now)), ..ActiveModel::default() };
        let unsent = open_at(now).add(Column::Id.eq(id)).add(Column::MailedAt.is_null());
        let tx = self.database.write().await?;
        let done = Entity::update_many().set(changes).filter(unsent).exec(tx.connection()).await?;
        tx.commit().await?;
        Ok(done.rows_affected == 1)
    }

    /// The server certainly does not have it.
    pub async fn not_mailed(&self, _: AllTenants, id: InvitationId) -> Result<(), StoreError> {
        let changes = ActiveModel { mailed_at: Set(None), ..ActiveModel::default() };
        let tx = self.database.write().await?;
        Entity::update_many().set(changes).filter(Column::Id.eq(id)).exec(tx.connection()).await?;
        tx.commit().await
    }

    fn keys(&self) -> Result<&KeyRing, StoreError> {
        self.keys.as_ref().ok_or(StoreError::Seal(SealError::NoKeys))
    }
}

/// Those that can be accepted at this time.
pub(super) fn open_at(now: chrono::DateTime<chrono::Utc>) -> Condition {
    Condition::all().add(Column::AcceptedAt.is_null()).add(Column::RevokedAt.is_null()).add(Column::ExpiresAt.gt(now))
}

fn place(row: &str) -> Place<'_> {
    Place { table: "invitations", column: "token", row }
}

fn of(tenant: Option<TenantId>) -> Condition {
    Condition::all().add(match tenant {
        Some(tenant) => Column::TenantId.eq(tenant),
        None => Column::TenantId.is_null(),
    })
}

fn own(tenant: Option<TenantId>, id: InvitationId) -> Condition {
    of(tenant).add(Column::Id.eq(id))
}
