//! Who may do what, in one table: [`Permission::roles`].
//!
//! An operation names the permission it needs in its OpenAPI annotation; the table says which roles have it. The checks, the document
//! and the README's table all come from here, so they cannot disagree.

mod permissions;

pub use permissions::Permissions;

use crate::words::words;

words! {
    /// What a key or a member of a tenant is. Each role may do everything the ones before it may.
    "role"
    enum Role {
        /// Reads.
        Viewer = "viewer",
        /// Works with mail, quotes and jobs.
        Agent = "agent",
        /// Changes the tenant's settings, accounts, products, keys and users.
        TenantAdmin = "tenant_admin",
        /// Runs the platform: all tenants, queues, drills.
        PlatformAdmin = "platform_admin",
    }
}

words! {
    /// The right to one kind of operation on one kind of thing: `resource:action`.
    "permission"
    enum Permission {
        /// Sees jobs, batches and the catalogue of kinds.
        JobsRead = "jobs:read",
        /// Submits, cancels and retries jobs, and makes batches.
        JobsWrite = "jobs:write",
        /// Sees dead letters.
        DeadLettersRead = "dead_letters:read",
        /// Redrives and discards dead letters.
        DeadLettersWrite = "dead_letters:write",
        /// Sees mails, their attachments and threads.
        MailsRead = "mails:read",
        /// Marks mails that waited for a person as dealt with.
        MailsWrite = "mails:write",
        /// Sees quotes and their PDFs.
        QuotesRead = "quotes:read",
        /// Approves, answers, revises and renews quotes.
        QuotesWrite = "quotes:write",
        /// Sees what was sent.
        MessagesRead = "messages:read",
        /// Settles messages in doubt.
        MessagesWrite = "messages:write",
        /// Sees connected mailboxes, without their secrets.
        AccountsRead = "accounts:read",
        /// Connects, changes, pauses and disconnects mailboxes.
        AccountsWrite = "accounts:write",
        /// Sees products and their prices.
        ProductsRead = "products:read",
        /// Changes products and their prices.
        ProductsWrite = "products:write",
        /// Sees its own user, sessions and memberships.
        ProfileRead = "profile:read",
        /// Changes its own user, and ends its own sessions.
        ProfileWrite = "profile:write",
        /// Sees the tenant's settings.
        TenantsRead = "tenants:read",
        /// Changes the tenant's settings.
        TenantsWrite = "tenants:write",
        /// Sees the tenant's keys, without their texts.
        KeysRead = "keys:read",
        /// Makes, changes, rotates and revokes the tenant's keys.
        KeysWrite = "keys:write",
        /// Sees the tenant's users and invitations.
        UsersRead = "users:read",
        /// Invites and removes users, and changes their roles.
        UsersWrite = "users:write",
        /// Sees who changed or saw what.
        AuditRead = "audit:read",
        /// Sees how full the queues of the whole platform are.
        QueuesRead = "queues:read",
        /// Pauses and resumes queues for everybody.
        QueuesWrite = "queues:write",
        /// Adds, approves, suspends and deletes tenants.
        TenantsManage = "tenants:manage",
        /// Sees platform keys, without their texts.
        PlatformKeysRead = "platform_keys:read",
        /// Makes, changes, rotates and revokes platform keys.
        PlatformKeysWrite = "platform_keys:write",
        /// Sees who runs the platform.
        PlatformUsersRead = "platform_users:read",
        /// Lets people run the platform, and no longer.
        PlatformUsersWrite = "platform_users:write",
        /// Changes the keys that seal secrets.
        SecretsRotate = "secrets:rotate",
        /// Starts drills that break something on purpose.
        DrillsRun = "drills:run",
    }
}

const EVERYBODY: &[Role] = &[Role::Viewer, Role::Agent, Role::TenantAdmin, Role::PlatformAdmin];
const AGENTS: &[Role] = &[Role::Agent, Role::TenantAdmin, Role::PlatformAdmin];
const ADMINS: &[Role] = &[Role::TenantAdmin, Role::PlatformAdmin];
const PLATFORM: &[Role] = &[Role::PlatformAdmin];

impl Permission {
    /// The table: the roles that have this permission.
    pub const fn roles(self) -> &'static [Role] {
        match self {
            Self::JobsRead
            | Self::DeadLettersRead
            | Self::MailsRead
            | Self::QuotesRead
            | Self::MessagesRead
            | Self::AccountsRead
            | Self::ProductsRead
            | Self::ProfileRead
            | Self::ProfileWrite
            | Self::TenantsRead => EVERYBODY,
            Self::JobsWrite | Self::DeadLettersWrite | Self::MailsWrite | Self::QuotesWrite | Self::MessagesWrite => {
                AGENTS
            }
            Self::AccountsWrite
            | Self::ProductsWrite
            | Self::TenantsWrite
            | Self::KeysRead
            | Self::KeysWrite
            | Self::UsersRead
            | Self::UsersWrite
            | Self::AuditRead => ADMINS,
            Self::QueuesRead
            | Self::QueuesWrite
            | Self::TenantsManage
            | Self::PlatformKeysRead
            | Self::PlatformKeysWrite
            | Self::PlatformUsersRead
            | Self::PlatformUsersWrite
            | Self::SecretsRotate
            | Self::DrillsRun => PLATFORM,
        }
    }
}

impl Role {
    /// Everything the role may do.
    pub fn permissions(self) -> Permissions {
        Permission::ALL.iter().copied().filter(|permission| permission.roles().contains(&self)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_role_may_do_what_the_ones_before_it_may() {
        for pair in Role::ALL.windows(2) {
            assert!(pair[1].permissions().contains_all(pair[0].permissions()), "{} and {}", pair[0], pair[1]);
            assert!(!pair[0].permissions().contains_all(pair[1].permissions()), "{} and {}", pair[0], pair[1]);
        }
    }

    #[test]
    fn the_readme_shows_the_table() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
        let readme = std::fs::read_to_string(path).unwrap();
        let section = readme.split("\n## ").find(|section| section.starts_with("Who may do what\n")).unwrap();
        let shown: Vec<&str> = section.lines().filter(|line| line.starts_with("| `")).collect();
        let row = |permission: &Permission| {
            let marks = Role::ALL.iter().map(|role| if permission.roles().contains(role) { " ✓ |" } else { "   |" });
            format!("| `{permission}` |{}", marks.collect::<String>())
        };
        let rows: Vec<String> = Permission::ALL.iter().map(row).collect();
        assert!(shown.iter().copied().eq(rows.iter().map(String::as_str)), "README.md should say\n{}", rows.join("\n"));
    }
}
