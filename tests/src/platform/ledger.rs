//! The product's own send ledger, read from its database: what no interface shows in whole.

use sea_orm::{FromQueryResult, Statement};

use super::Platform;

/// One outgoing message.
#[derive(Debug, Clone, PartialEq, Eq, FromQueryResult)]
pub struct LedgerRow {
    pub to_address: String,
    /// Without angle brackets.
    pub rfc_message_id: String,
    /// Without angle brackets.
    pub in_reply_to: Option<String>,
    pub state: String,
    pub attempt: i32,
    pub reason: Option<String>,
    /// The provider's draft, where it keeps drafts.
    pub draft_id: Option<String>,
    /// The Message-ID under which a draft went out.
    pub sent_message_id: Option<String>,
}

impl Platform {
    /// All rows, oldest first.
    pub async fn ledger(&self) -> Vec<LedgerRow> {
        let connection = self.database().connection().await;
        let sql = "SELECT to_address, rfc_message_id, in_reply_to, state, attempt, reason, draft_id, sent_message_id \
                   FROM messages ORDER BY created_at, id";
        let rows = LedgerRow::find_by_statement(Statement::from_string(connection.get_database_backend(), sql))
            .all(&connection)
            .await
            .expect("read the send ledger");
        connection.close().await.expect("close the connection");
        rows
    }
}
