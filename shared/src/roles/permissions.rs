use super::Permission;

/// A set of permissions. Copied with every request, so it is one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Permissions(u64);

const _: () = assert!(Permission::ALL.len() <= 64, "a permission has no bit");

impl Permissions {
    /// No right at all.
    pub const NONE: Self = Self(0);

    pub const fn contains(self, permission: Permission) -> bool {
        self.0 & bit(permission) != 0
    }

    /// Whether these rights include all of those. Who gives rights away must have them.
    pub const fn contains_all(self, others: Self) -> bool {
        others.0 & !self.0 == 0
    }

    /// The rights that both have.
    #[must_use]
    pub const fn narrowed_to(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// In the order of the table.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(move |permission| self.contains(*permission))
    }
}

const fn bit(permission: Permission) -> u64 {
    1 << permission as u64
}

impl FromIterator<Permission> for Permissions {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().fold(0, |bits, permission| bits | bit(permission)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_into_it() {
        let some: Permissions = [Permission::JobsRead, Permission::DrillsRun].into_iter().collect();
        assert_eq!(some.iter().collect::<Vec<_>>(), [Permission::JobsRead, Permission::DrillsRun]);
        assert!(!some.contains(Permission::JobsWrite));
        let other: Permissions = [Permission::JobsRead, Permission::JobsWrite].into_iter().collect();
        assert_eq!(some.narrowed_to(other), [Permission::JobsRead].into_iter().collect());
        assert!(!some.contains_all(other) && some.contains_all(some) && some.contains_all(Permissions::NONE));
    }
}
