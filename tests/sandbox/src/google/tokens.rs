//! Grants, codes and tokens.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use super::{Calls, Orders, Trouble};
use crate::clock;

/// Whether a bearer token is good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Bearer {
    /// It opens this mailbox.
    Good {
        address: String,
    },
    Expired,
    /// Never given, or revoked.
    Unknown,
}

/// What the page that asks for consent is told, and what the code must be redeemed with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) client_id: String,
    pub(super) redirect_uri: String,
    pub(super) scope: String,
    pub(super) challenge: String,
}

#[derive(Debug)]
struct Access {
    address: String,
    expires_at: DateTime<Utc>,
}

/// What a code or a refresh token is exchanged for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Issued {
    pub(super) access: String,
    pub(super) expires_in: i64,
    pub(super) refresh: Option<String>,
    pub(super) scope: String,
}

#[derive(Debug, Default)]
struct State {
    orders: Orders,
    calls: Calls,
    troubles: VecDeque<Trouble>,
    codes: HashMap<String, (Request, String)>,
    /// Refresh token → mailbox and scope.
    refresh: HashMap<String, (String, String)>,
    access: HashMap<String, Access>,
}

/// The accounts' side of Google.
#[derive(Debug, Default)]
pub struct Google(Mutex<State>);

impl Google {
    /// Whether this token is good now, and for which mailbox. Every protocol asks here.
    pub fn bearer(&self, token: &str) -> Bearer {
        let mut state = self.lock();
        let bearer = match state.access.get(token) {
            None => Bearer::Unknown,
            Some(access) if access.expires_at <= clock::now() => Bearer::Expired,
            Some(access) => Bearer::Good { address: access.address.clone() },
        };
        match bearer {
            Bearer::Good { .. } => state.calls.accepted += 1,
            Bearer::Expired | Bearer::Unknown => state.calls.refused += 1,
        }
        bearer
    }

    pub fn calls(&self) -> Calls {
        self.lock().calls.clone()
    }

    pub fn orders(&self) -> Orders {
        self.lock().orders.clone()
    }

    /// Changes what is ordered; troubles are appended to those that wait.
    pub fn order(&self, orders: Orders) {
        let mut state = self.lock();
        state.troubles.extend(orders.troubles.iter().cloned());
        state.orders = Orders { troubles: Vec::new(), ..orders };
    }

    /// All access tokens of a mailbox are from now on too old. How many there were.
    pub fn expire(&self, address: &str) -> usize {
        let now = clock::now();
        let mut state = self.lock();
        let own = state.access.values_mut().filter(|access| access.address.eq_ignore_ascii_case(address));
        own.map(|access| access.expires_at = access.expires_at.min(now)).count()
    }

    /// The owner takes everything back. How many grants there were.
    pub fn revoke(&self, address: &str) -> usize {
        let mut state = self.lock();
        let before = state.refresh.len();
        state.refresh.retain(|_, (owner, _)| !owner.eq_ignore_ascii_case(address));
        state.access.retain(|_, access| !access.address.eq_ignore_ascii_case(address));
        before - state.refresh.len()
    }

    /// Gives a mailbox's tokens without asking anybody.
    pub(super) fn issue(&self, address: &str) -> Issued {
        self.lock().grant(&address.to_lowercase(), "https://mail.google.com/", true)
    }

    pub(super) fn counted(&self, count: impl FnOnce(&mut Calls)) {
        count(&mut self.lock().calls);
    }

    /// The trouble that was ordered for this call, if any.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        let mut state = self.lock();
        let first = state.troubles.front_mut()?;
        let trouble = first.clone();
        first.times = first.times.saturating_sub(1);
        if first.times == 0 {
            state.troubles.pop_front();
        }
        Some(trouble)
    }

    /// Why no token is taken back, if that was ordered.
    pub(super) fn keeps(&self) -> Option<(u16, String)> {
        self.lock().orders.keep.clone()
    }

    /// A code for the mailbox whose owner consented.
    pub(super) fn consent(&self, request: Request, address: &str) -> String {
        let code = secret("4/canary");
        self.lock().codes.insert(code.clone(), (request, address.to_lowercase()));
        code
    }

    /// Tokens for a code. It works once, for who asked for it.
    pub(super) fn redeem(&self, code: &str, given: &Request) -> Option<Issued> {
        let mut state = self.lock();
        let (request, address) = state.codes.remove(code)?;
        let Request { scope, .. } = request.clone();
        (request == Request { scope: scope.clone(), ..given.clone() }).then(|| state.grant(&address, &scope, true))
    }

    /// A new access token; with it a new refresh token, where that is ordered.
    pub(super) fn renew(&self, refresh: &str) -> Option<Issued> {
        let mut state = self.lock();
        let (address, scope) = state.refresh.get(refresh)?.clone();
        let rotate = state.orders.rotate;
        if rotate {
            state.refresh.remove(refresh);
        }
        Some(state.grant(&address, &scope, rotate))
    }

    /// Takes the grant of a token back, with all of its tokens.
    pub(super) fn give_back(&self, token: &str) -> bool {
        let owner = {
            let state = self.lock();
            let of_access = || state.access.get(token).map(|access| access.address.clone());
            state.refresh.get(token).map(|(owner, _)| owner.clone()).or_else(of_access)
        };
        owner.is_some_and(|owner| {
            self.revoke(&owner);
            true
        })
    }

    /// Refresh and access tokens that are good at the moment.
    pub(super) fn standing(&self, address: &str) -> (usize, usize) {
        let (now, state) = (clock::now(), self.lock());
        let owned = |owner: &str| owner.eq_ignore_ascii_case(address);
        let access = state.access.values().filter(|access| owned(&access.address) && access.expires_at > now).count();
        (state.refresh.values().filter(|(owner, _)| owned(owner)).count(), access)
    }

    pub fn clear(&self) {
        *self.lock() = State::default();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn grant(&mut self, address: &str, scope: &str, with_refresh: bool) -> Issued {
        let (access, expires_in) = (secret("ya29.canary"), self.orders.expires_in);
        let expires_at = clock::now() + TimeDelta::seconds(expires_in);
        self.access.insert(access.clone(), Access { address: address.to_owned(), expires_at });
        let refresh = with_refresh.then(|| secret("1//canary"));
        if let Some(refresh) = &refresh {
            self.refresh.insert(refresh.clone(), (address.to_owned(), scope.to_owned()));
        }
        Issued { access, expires_in, refresh, scope: scope.to_owned() }
    }
}

fn secret(prefix: &str) -> String {
    format!("{prefix}{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple())
}
