use crate::words::words;

words! {
    /// What somebody is told of.
    "notice"
    enum NoticeKind {
        /// There is another password, or the first one.
        PasswordChanged = "password_changed",
        /// One can sign in with another identity, too.
        IdentityLinked = "identity_linked",
        /// One cannot sign in with that identity any more.
        IdentityRemoved = "identity_removed",
        /// The account has another address now; this goes to the old one.
        EmailChanged = "email_changed",
    }
}
