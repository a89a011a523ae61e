use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use postrider_shared::actor::Actor;
use postrider_shared::ids::TenantId;
use postrider_shared::roles::{Permission, Permissions, Role};

use crate::problem::{Answer, Problem, ProblemType};

/// Whoever a request acts as, and what that may do.
#[derive(Debug, Clone, Copy)]
pub struct Caller {
    /// Who it is.
    pub actor: Actor,
    /// The role of the key, or of the person in the tenant.
    pub role: Role,
    /// What it may do: all its role may, or less.
    pub permissions: Permissions,
    /// The tenant it acts for: a tenant's key always has one, a platform key the one it named.
    pub tenant: Option<TenantId>,
}

impl Caller {
    /// Whether it has this permission.
    pub fn may(self, permission: Permission) -> bool {
        self.permissions.contains(permission)
    }

    /// Refuses a caller without this permission.
    pub fn must(self, permission: Permission) -> Answer<()> {
        if self.may(permission) {
            return Ok(());
        }
        let detail = if permission.roles().contains(&self.role) {
            format!("This needs the permission {permission}, which this key's scopes leave out.")
        } else {
            let roles: Vec<&str> = permission.roles().iter().map(|role| role.as_str()).collect();
            format!("This needs the permission {permission} ({}); the role here is {}.", roles.join(", "), self.role)
        };
        Err(Problem::new(ProblemType::Forbidden, detail))
    }

    /// Refuses to give away rights that the caller does not have itself.
    pub fn must_have_all(self, given: Permissions) -> Answer<()> {
        match given.iter().find(|permission| !self.may(*permission)) {
            None => Ok(()),
            Some(permission) => {
                let detail = format!("Nobody gives away more than they have: {permission} is missing here.");
                Err(Problem::new(ProblemType::Forbidden, detail))
            }
        }
    }

    /// Whether it runs the platform, and so sees all tenants.
    pub fn is_platform(self) -> bool {
        self.role == Role::PlatformAdmin
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        let caller = parts.extensions.get::<Self>().copied();
        caller.ok_or_else(|| Problem::new(ProblemType::Unauthenticated, ""))
    }
}

/// The tenant a call acts for. Every store method takes one, so an operation on a tenant's things cannot forget it.
#[derive(Debug, Clone, Copy)]
pub struct Tenant(pub TenantId);

impl<S: Send + Sync> FromRequestParts<S> for Tenant {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Self::Rejection> {
        let caller = Caller::from_request_parts(parts, state).await?;
        caller.tenant.map(Self).ok_or_else(|| Problem::new(ProblemType::TenantRequired, ""))
    }
}
