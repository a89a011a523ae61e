//! People who call: from an access token or a cookie to who it is and for which tenant.
//!
//! Whether a session is live is asked of the database, at most once a second for each; what this process changes itself shows at
//! once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use postrider_shared::actor::Actor;
use postrider_shared::database::{AllTenants, StoreError};
use postrider_shared::ids::{SessionId, TenantId};
use postrider_shared::roles::{Permission, Permissions, Role};
use postrider_shared::stores::Stores;
use postrider_shared::users::{Membership, User};

use crate::app::App;
use crate::auth::{Caller, must_be_active, must_be_there};
use crate::problem::{Answer, Problem, ProblemType};

/// How long it is believed that a session is live.
const BELIEVED: Duration = Duration::from_secs(1);
/// How many sessions are remembered at most.
const REMEMBERED: usize = 20_000;

/// What everybody may do who is signed in, for whichever tenant.
const OWN: [Permission; 2] = [Permission::ProfileRead, Permission::ProfileWrite];

/// A live session's person.
#[derive(Debug)]
pub struct Person {
    /// Who it is.
    pub user: User,
    /// For whom they work.
    pub memberships: Vec<Membership>,
}

/// What this process knows of live sessions.
#[derive(Default)]
pub struct People(Mutex<Known>);

#[derive(Default)]
struct Known {
    by_session: HashMap<SessionId, (Instant, Arc<Person>)>,
    /// Raised whenever something is forgotten: what was being read meanwhile may be older, and is not remembered.
    age: u64,
}

impl People {
    /// The person of a live session.
    pub async fn find(&self, stores: &Stores, session: SessionId) -> Result<Option<Arc<Person>>, StoreError> {
        let age = {
            let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match known.by_session.get(&session) {
                Some((since, person)) if since.elapsed() < BELIEVED => return Ok(Some(Arc::clone(person))),
                _ => known.age,
            }
        };
        // In a box, because it is rare: whoever waits for a job asks this again and again, and would hold room for it all the time.
        Box::pin(self.look_up(stores, session, age)).await
    }

    async fn look_up(&self, stores: &Stores, session: SessionId, age: u64) -> Result<Option<Arc<Person>>, StoreError> {
        let Some(session) = stores.sessions.live(session).await? else { return Ok(None) };
        let Some(user) = stores.users.get(session.user_id).await? else { return Ok(None) };
        let memberships = stores.users.memberships(AllTenants, user.id).await?;
        let person = Arc::new(Person { user, memberships });
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.age == age {
            if known.by_session.len() >= REMEMBERED {
                known.by_session.clear();
            }
            known.by_session.insert(session.id, (Instant::now(), Arc::clone(&person)));
        }
        Ok(Some(person))
    }

    /// Something about somebody's sessions or memberships has changed.
    pub fn forget(&self) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.by_session.clear();
        known.age += 1;
    }
}

/// Whom a person's request acts for, and what keeps it from more than their own profile.
pub async fn caller(
    app: &App,
    (person, session): (&Person, SessionId),
    named: Option<TenantId>,
) -> Answer<(Caller, Option<Problem>)> {
    let actor = Actor::User { user: person.user.id, session };
    if person.user.platform_admin {
        if let Some(named) = named {
            must_be_there(app.stores().tenants.state(named).await?)?;
        }
        let role = Role::PlatformAdmin;
        return Ok((Caller { actor, role, permissions: role.permissions(), tenant: named }, None));
    }
    let membership = match (named, person.memberships.as_slice()) {
        (Some(named), all) => {
            let found = all.iter().find(|membership| membership.tenant_id == named);
            Ok(found.ok_or_else(|| Problem::not_found("tenant"))?)
        }
        (None, [only]) => Ok(only),
        (None, []) => Err(Problem::new(ProblemType::Forbidden, "You work for no tenant.")),
        (None, _) => Err(Problem::new(ProblemType::TenantRequired, "You work for several tenants.")),
    };
    let lack = match membership {
        Ok(membership) => match must_be_active(app.stores().tenants.state(membership.tenant_id).await?) {
            Ok(()) => {
                let (role, tenant) = (membership.role, Some(membership.tenant_id));
                return Ok((Caller { actor, role, permissions: role.permissions(), tenant }, None));
            }
            Err(inactive) => inactive,
        },
        Err(lack) => lack,
    };
    let permissions: Permissions = OWN.into_iter().collect();
    Ok((Caller { actor, role: Role::Viewer, permissions, tenant: None }, Some(lack)))
}
