use crate::words::words;

words! {
    /// What somebody is told of.
    "notice"
    enum NoticeKind {
        /// The account has another address now; this goes to the old one.
        EmailChanged = "email_changed",
    }
}
