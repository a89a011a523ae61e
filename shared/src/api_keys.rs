use crate::words::words;

words! {
    /// What a key may do. Each role may do everything the ones below it may.
    "role"
    enum Role {
        /// Reads.
        Viewer = "viewer",
        /// Works with mail, quotes and jobs.
        Agent = "agent",
        /// Changes the tenant's settings, accounts, products and keys.
        TenantAdmin = "tenant_admin",
        /// Runs the platform: all tenants, queues, drills.
        PlatformAdmin = "platform_admin",
    }
}

impl Role {
    /// Whether this role includes what `needed` may do.
    pub fn allows(self, needed: Self) -> bool {
        self >= needed
    }
}
