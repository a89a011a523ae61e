//! Which events: the same for the list and for the export.

use chrono::{DateTime, Utc};
use postrider_shared::audit::{AuditFilter, AuditKind, AuditOutcome};
use postrider_shared::ids::TenantId;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::Format;
use crate::page::Limit;

/// A query with the fields that choose events, and its own. (serde's `flatten` would let unknown fields pass.)
macro_rules! choosing {
    ($name:ident { $($own:tt)* }) => {
        #[derive(Debug, Deserialize, IntoParams)]
        #[serde(deny_unknown_fields)]
        #[into_params(parameter_in = Query)]
        pub(super) struct $name {
            /// Only events of this key or user.
            actor: Option<Uuid>,
            /// Only events of this operation, such as `change_account`.
            operation: Option<String>,
            /// Only events about such things, such as `accounts`.
            resource: Option<String>,
            /// Only events about the thing with this id.
            subject: Option<String>,
            /// Only `change`, only `access`, or only `sign_in`.
            kind: Option<AuditKind>,
            /// Only `done`, only `attempted`, or only `refused`.
            outcome: Option<AuditOutcome>,
            /// Only events of the request with this id.
            request_id: Option<String>,
            /// Only events from this time on.
            from: Option<DateTime<Utc>>,
            /// Only events before this time.
            until: Option<DateTime<Utc>>,
            $($own)*
        }

        impl $name {
            /// Of this tenant, or of all.
            pub(super) fn filter(&self, tenant: Option<TenantId>) -> AuditFilter {
                AuditFilter {
                    tenant,
                    actor: self.actor,
                    operation: self.operation.clone(),
                    resource: self.resource.clone(),
                    subject: self.subject.clone(),
                    kind: self.kind,
                    outcome: self.outcome,
                    request: self.request_id.clone(),
                    from: self.from,
                    until: self.until,
                }
            }
        }
    };
}

choosing!(EventsQuery {
    /// `next_cursor` of the page before; absent for the first page.
    pub(super) cursor: Option<String>,
    /// Most items in the answer.
    #[serde(default)]
    #[param(value_type = u32, minimum = 1, maximum = 200, default = 50)]
    pub(super) limit: Limit,
});

choosing!(ExportQuery {
    /// `ndjson` if absent.
    #[serde(default)]
    #[param(inline, required = false)]
    pub(super) format: Format,
});
