//! The bond between a request and what it changes: every transaction that a request commits says so in the request's row, and is
//! refused once somebody else holds that row. So a process that was away for longer than its lease changes nothing any more, and
//! whoever carries on with the request knows whether something was changed already.

use sea_orm::{ActiveValue::Set, DatabaseTransaction, EntityTrait, QueryFilter};

use super::{
    ActiveModel, Entity,
    store::{Ticket, held},
};
use crate::database::StoreError;

tokio::task_local! {
    static CURRENT: Option<Ticket>;
}

/// Does the work of a request that holds this ticket: what it commits is bound to the ticket.
pub fn holding<F: Future>(ticket: &Ticket, work: F) -> impl Future<Output = F::Output> + use<F> {
    CURRENT.scope(Some(ticket.clone()), work)
}

/// Does what is no part of the request's work.
pub(crate) fn aside<F: Future>(work: F) -> impl Future<Output = F::Output> {
    CURRENT.scope(None, work)
}

/// Binds a transaction that is about to be committed to the request that it belongs to, if there is one.
pub(crate) async fn commit(tx: &DatabaseTransaction) -> Result<(), StoreError> {
    let Some(ticket) = CURRENT.try_with(Clone::clone).ok().flatten() else { return Ok(()) };
    let changes = ActiveModel { committed: Set(true), ..ActiveModel::default() };
    let done = Entity::update_many().set(changes).filter(held(&ticket)).exec(tx).await?;
    match done.rows_affected {
        1 => Ok(()),
        _ => Err(StoreError::conflict("request", "is being carried on with by another process")),
    }
}
