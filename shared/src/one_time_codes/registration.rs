use chrono::{DateTime, Utc};
use sea_orm::{
    EntityTrait, IntoActiveModel,
    entity::prelude::{
        ActiveModelBehavior, DeriveEntityModel, DerivePrimaryKey, DeriveRelation, EnumIter, PrimaryKeyTrait,
    },
};

use super::{CodePurpose, Issued, OneTimeCodes};
use crate::{
    audit,
    database::{StoreError, check},
    ids::{CodeId, TenantId},
    roles::Role,
    tenants::{self, Tenant, TenantSettings, TenantState},
    users::{self, Email, NewUser, User},
};

/// What somebody registers with, until the address is proven. Each has its own password, so that whoever registers with another's
/// address cannot slip one in.
#[derive(Debug, Clone, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "registrations")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: CodeId,
    pub email: String,
    pub name: String,
    pub password_hash: String,
    pub tenant_name: String,
    pub created_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// A person and a business that register.
#[derive(Debug, Clone)]
pub struct NewRegistration {
    pub email: Email,
    pub name: String,
    pub password_hash: String,
    /// What the business is called.
    pub tenant_name: String,
}

/// Who registered.
#[derive(Debug, Clone, PartialEq)]
pub struct Registered {
    pub user: User,
    pub tenant: Tenant,
}

impl OneTimeCodes {
    /// Has a code mailed to the address. One that has a user already gets word of that instead, and the caller sees no difference.
    /// `None` if the address got too many mails in this hour.
    pub async fn register(&self, id: CodeId, new: NewRegistration) -> Result<Option<Issued>, StoreError> {
        let registration = Model {
            id,
            email: new.email.as_str().to_owned(),
            name: check::line("name", &new.name, 200)?,
            password_hash: new.password_hash,
            tenant_name: check::line("tenant_name", &new.tenant_name, 200)?,
            created_at: self.clock.now(),
        };
        let known = self.has_user(&new.email).await?;
        let purpose = if known { CodePurpose::AddressTaken } else { CodePurpose::Register };
        let tx = self.database.write().await?;
        let issued = self.issue_in(&tx, id, purpose, None, &new.email).await?;
        if issued.is_some() {
            Entity::insert(registration.into_active_model()).exec_without_returning(tx.connection()).await?;
        }
        tx.commit().await?;
        Ok(issued)
    }

    /// The address is proven: adds the user and the business, whose administrator it is. `None` for a code that is not taken.
    pub async fn registered(
        &self,
        id: CodeId,
        code: &str,
        state: TenantState,
    ) -> Result<Option<Registered>, StoreError> {
        let now = self.clock.now();
        let tx = self.database.write().await?;
        let taken = self.redeem_in(&tx, id, CodePurpose::Register, code).await?;
        let registration = match taken {
            Some(_) => Entity::find_by_id(id).one(tx.connection()).await?,
            None => None,
        };
        let Some(registration) = registration else {
            tx.commit().await?;
            return Ok(None);
        };
        let new = NewUser {
            email: Email::parse(&registration.email)?,
            name: registration.name,
            password_hash: Some(registration.password_hash),
        };
        let (user, added) = users::insert(&tx, now, new).await?;
        if !added {
            return Err(StoreError::Taken { what: "user" });
        }
        let settings = TenantSettings::named(registration.tenant_name);
        let tenant = TenantId::random();
        audit::turns_out_to_be(user.id, Some(tenant));
        let tenant = tenants::insert(&tx, now, tenant, settings, state).await?;
        users::join(&tx, now, tenant.id, user.id, Role::TenantAdmin).await?;
        tx.commit().await?;
        Ok(Some(Registered { user, tenant }))
    }

    async fn has_user(&self, email: &Email) -> Result<bool, StoreError> {
        users::Users::new(self.database.clone(), self.clock.clone()).by_email(email).await.map(|user| user.is_some())
    }
}
